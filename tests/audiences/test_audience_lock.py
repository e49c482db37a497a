from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from connector.audiences.lock import audience_lock
from connector.errors import TransientError
from connector.schema import LOCKS
from connector.state import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOLDER = """
import sys, time
from connector.audiences.lock import audience_lock
from connector.state import State
with State.open(sys.argv[1]) as state, audience_lock(state, "1", "first"):
    print("held", flush=True)
    time.sleep(60)
"""


def held_elsewhere(url: str) -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_the_loser_of_two_processes_is_told_who_holds_the_audience(state_url: str) -> None:
    with held_elsewhere(state_url) as holder, State.open(state_url) as state:
        with (
            pytest.raises(TransientError, match=f"run first, process {holder.pid}") as lost,
            audience_lock(state, "1", "second"),
        ):
            pass
        holder.kill()
    assert (lost.value.code, lost.value.exit_code) == ("audience.locked", 6)


def test_a_holder_killed_on_this_machine_is_taken_over_from_at_once(state_url: str) -> None:
    with held_elsewhere(state_url) as holder, State.open(state_url) as state:
        holder.kill()
        holder.wait()
        with audience_lock(state, "1", "second") as check:
            check()


def test_a_holder_on_another_machine_keeps_its_lease_until_it_runs_out(state_url: str) -> None:
    with State.open(state_url) as state:
        with state.session() as connection:
            connection.execute(LOCKS.insert().values(
                audience_id="1", holder="run x, process 1 on elsewhere", place="elsewhere", process="1 1", token="t",
                until=int(time.time()) + 2,
            ))  # fmt: skip
        with pytest.raises(TransientError, match="elsewhere"), audience_lock(state, "1", "second"):
            pass
        with state.session() as connection:
            connection.execute(sa.update(LOCKS).values(until=int(time.time()) - 2))
        with audience_lock(state, "1", "second"):
            pass


def _ask_until_lost(check: Callable[[], None]) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        check()
        time.sleep(0.02)


def test_a_lost_lease_stops_the_run(tmp_path: Path) -> None:
    with (
        State.open(f"sqlite:///{tmp_path}/state.db") as state,
        audience_lock(state, "1", "first", heartbeat=0.05) as check,
    ):
        check()
        with state.session() as connection:
            connection.execute(sa.update(LOCKS).values(token="another's"))
        with pytest.raises(TransientError, match="lost to another run") as lost:
            _ask_until_lost(check)
    assert lost.value.code == "audience.lock_lost"


def test_the_lock_is_free_again_after_a_run(state_url: str) -> None:
    with State.open(state_url) as state:
        for run in ("first", "second"):
            with audience_lock(state, "1", run), pytest.raises(TransientError), audience_lock(state, "1", "third"):
                pass
