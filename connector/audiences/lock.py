"""One run per audience at a time, on one host and on several: a lease in the state database, kept alive by a heartbeat.

A holder that dies stops renewing, and its lease runs out; one that died on this very machine is taken over from at once. Time
is the database's own, so that hosts with wrong clocks agree.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from connector.errors import ConnectorError, TransientError
from connector.schema import LOCKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Connection

    from connector.state import State

LEASE = 60  # seconds a lease holds without a heartbeat
HEARTBEAT = 15.0


@contextmanager
def audience_lock(
    state: State, audience_id: str, run_id: str, *, lease: int = LEASE, heartbeat: float = HEARTBEAT
) -> Iterator[Callable[[], None]]:
    """Hold the audience's lock; gives a function that raises when the lease was lost, or could not be renewed in time.

    Raises:
        TransientError: another run holds it (``audience.locked``); the message says who and for how long.
    """
    began = [time.monotonic()]  # of the last renewal: from then on the lease holds for sure
    token, holder = secrets.token_hex(16), f"run {run_id}, process {os.getpid()} on {socket.gethostname()}"
    _take(state, audience_id, holder, token, lease)
    lost, done = threading.Event(), threading.Event()

    def beat() -> None:
        while not done.wait(heartbeat):
            now = time.monotonic()
            with suppress(ConnectorError):  # the database is away for now: the lease decides
                if not _renew(state, audience_id, token, lease):
                    lost.set()
                    return
                began[0] = now

    def check() -> None:
        if lost.is_set() or time.monotonic() - began[0] > lease:
            raise TransientError(
                f"the lock on audience {audience_id} was lost: its lease ran out before it was renewed",
                code="audience.lock_lost",
                hint="Nothing is lost: run the same command again.",
            )

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield check
    finally:
        done.set()
        thread.join()
        _release(state, audience_id, token)


def _take(state: State, audience_id: str, holder: str, token: str, lease: int) -> None:
    with state.session() as connection:
        now = _database_time(connection)
        place, process = _here()
        mine = {"audience_id": audience_id, "holder": holder, "place": place, "process": process, "token": token}
        connection.execute(sa.delete(LOCKS).where((LOCKS.c.audience_id == audience_id) & (LOCKS.c.until < now)))
        row = _holder(connection, audience_id)
        if row is not None and place and row["place"] == place and _is_dead(row["process"]):
            connection.execute(sa.delete(LOCKS).where(LOCKS.c.token == row["token"]))
            row = None
        if row is None:
            try:
                with connection.begin_nested():
                    connection.execute(LOCKS.insert().values(**mine, until=now + lease))
            except sa.exc.IntegrityError:  # another host was quicker by a moment
                row = _holder(connection, audience_id) or {"holder": "another run", "until": now}
    if row is not None:
        raise TransientError(
            f"audience {audience_id} is being written by {row['holder']}",
            code="audience.locked",
            hint=f"Wait until it ends; if it died, its lease runs out in {max(1, row['until'] - now + 1)} s.",
        )


def _holder(connection: Connection, audience_id: str) -> dict[str, Any] | None:
    found = connection.execute(sa.select(LOCKS).where(LOCKS.c.audience_id == audience_id)).mappings().first()
    return None if found is None else dict(found)


def _here() -> tuple[str, str]:
    """Name this boot of this machine (and, in a container, its own process numbers), and this process by number and start.

    The place is empty where the system does not tell (it has no ``/proc``): then only the lease says that a holder died.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        numbers = Path("/proc/self/ns/pid").readlink()
        return f"{socket.gethostname()} {boot} {numbers}"[:200], f"{os.getpid()} {_started(os.getpid())}"
    except OSError:
        return "", str(os.getpid())


def _is_dead(process: str) -> bool:
    """Tell whether a process of this place has ended; a number given again to another process has another start."""
    number, _, started = process.partition(" ")
    try:
        return _started(int(number)) != started
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False


def _started(number: int) -> str:
    """Read when a process began, in ticks since the boot; a zombie has ended."""
    fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return "ended" if fields[0] in {"Z", "X"} else fields[19]


def _renew(state: State, audience_id: str, token: str, lease: int) -> bool:
    with state.session() as connection:
        mine = (LOCKS.c.audience_id == audience_id) & (LOCKS.c.token == token)
        until = _database_time(connection) + lease
        return connection.execute(sa.update(LOCKS).where(mine).values(until=until)).rowcount == 1


def _release(state: State, audience_id: str, token: str) -> None:
    with suppress(ConnectorError), state.session() as connection:  # else the lease runs out by itself
        connection.execute(sa.delete(LOCKS).where((LOCKS.c.audience_id == audience_id) & (LOCKS.c.token == token)))


def _database_time(connection: Connection) -> int:
    """Read the database's clock, in seconds since 1970."""
    seconds = {
        "postgresql": "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT)",
        "sqlite": "SELECT CAST(strftime('%s', 'now') AS INTEGER)",
    }.get(connection.dialect.name, "SELECT UNIX_TIMESTAMP()")
    return int(connection.execute(sa.text(seconds)).scalar_one())
