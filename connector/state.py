"""The state database: destinations, runs, batches and the audit chain.

Takes names, numbers and times only: never an attribute, a person's digest or a token. SQLite by default, any database
that SQLAlchemy speaks by URL; migrations run when it is opened.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import secrets
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from connector.databases import patience
from connector.errors import ConfigError, TransientError, did_you_mean
from connector.schema import AUDIT, BATCHES, DESTINATIONS, RUNS
from connector.schema_version import bring_up_to_date

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import Connection, Engine

FIRST_PREV = "0" * 64
_WRITES = "connector_writes"  # an option of a connection: whether this transaction may write
_ADVISORY_LOCK = 0x636F6E6E  # "conn": one migration at a time on PostgreSQL

RunStatus = Literal["running", "ok", "partial", "refused", "failed", "interrupted"]


def now() -> str:
    """UTC now, as the text every table keeps."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class Destination:
    """One Custom Audience of one ad account, and what an admin said about it.

    ``ad_account`` is ``act_<digits>``; ``business`` is our own (the agency's) business id; ``token_env`` names the
    environment variable that holds the token, which itself is never stored. ``creating_title`` stands only between
    the wish for a new audience and Meta's answer, so that a crash in between finds the audience again. ``made_by_us``
    says that we created the audience: then nobody is in it whom we did not send.
    """

    name: str
    ad_account: str
    business: str | None = None
    audience_id: str | None = None
    audience_name: str | None = None
    value_based: bool = False
    made_by_us: bool = False
    token_env: str = "CONNECTOR_TOKEN"  # noqa: S105  the name of a variable
    data_terms_version: str | None = None
    data_terms_by: str | None = None
    data_terms_at: str | None = None
    creating_title: str | None = None
    paused_at: str | None = None
    created_at: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One export, as remembered: counts in ``report``, never a value."""

    id: str
    segment: str
    destination: str
    mode: str
    audience_id: str | None
    started_at: str
    ended_at: str | None
    status: RunStatus
    error_code: str | None
    report: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What an audit line says; ``State.audit`` adds who, when and its place in the chain."""

    action: str
    outcome: str
    client: str | None = None
    asset: str | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    reason: str | None = None
    approver: str | None = None
    source: str | None = None
    fbtrace_id: str | None = None


class State:
    """A migrated state database. Open it with :meth:`open`; safe to share between threads.

    Raises:
        ConfigError: the URL is not one, its driver is missing, or a newer connector wrote the database.
        TransientError: the database does not answer.
    """

    def __init__(self, engine: Engine, quick: Engine, *, keeps: bool = True) -> None:
        self._engine = engine
        self._quick = quick
        self._keeps = keeps

    @classmethod
    def open(cls, url: str) -> Self:
        """Open (and bring up to date) the database at ``url``; a SQLite file and its folder are made, mode 0600."""
        engine = _engine(url)
        # SQLite's durability belongs to the connection, PostgreSQL's to the transaction.
        lazy = engine.dialect.name == "sqlite" and engine.url.database not in {None, "", ":memory:"}
        state = cls(engine, _engine(url, synchronous="NORMAL") if lazy else engine)
        try:
            with state.session() as connection:
                bring_up_to_date(connection, _lock_for_writing)
        except BaseException:
            state.close()
            raise
        return state

    def untouched(self) -> State:
        """Give the same database to look at only: whatever is written through it is undone at once."""
        return State(self._engine, self._quick, keeps=False)

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()
        self._quick.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def session(self, *, durable: bool = True, writes: bool = True) -> Iterator[Connection]:
        """One transaction; a database that fails is named without its URL or parameters.

        Without ``durable`` the last such transactions may be undone by a power cut (never by a crash of ours): for notes
        that cost nothing to lose and come a thousand times a run. Without ``writes`` it waits for nobody who writes.
        """
        engine = self._engine if durable else self._quick
        try:
            with engine.connect().execution_options(**{_WRITES: writes}) as connection, connection.begin():
                if not durable and connection.dialect.name == "postgresql":
                    connection.execute(sa.text("SET LOCAL synchronous_commit TO off"))
                yield connection
                if not self._keeps:
                    connection.rollback()
        except DBAPIError as error:
            kind = type(error.orig).__name__
            if "readonly database" in str(error.orig) or "unable to open database" in str(error.orig):
                raise ConfigError(
                    f"the state database {self._engine.url.database} cannot be written",
                    code="state.path",
                    hint="Give the rights to it and its folder, or name another place with CONNECTOR_STATE.",
                ) from None
            raise TransientError(
                f"the state database ({self._engine.dialect.name}) did not answer: {kind}",
                code="state.unavailable",
                hint="Check that it runs and that CONNECTOR_STATE names it, then run the same command again.",
            ) from None

    # destinations

    def add_destination(self, destination: Destination) -> Destination:
        """Store a new destination; a taken name is a :class:`ConfigError`."""
        kept = replace(destination, created_at=now())
        with self.session() as connection:
            taken = sa.select(DESTINATIONS.c.name).where(DESTINATIONS.c.name == kept.name)
            if connection.execute(taken).first():
                raise ConfigError(
                    f'a destination named "{kept.name}" exists already',
                    code="destination.exists",
                    hint=f"Look at it with: connector show destination {kept.name}",
                )
            connection.execute(DESTINATIONS.insert().values(**asdict(kept)))
        return kept

    def destinations(self) -> list[Destination]:
        """All destinations, by name."""
        with self.session() as connection:
            rows = connection.execute(sa.select(DESTINATIONS).order_by(DESTINATIONS.c.name)).mappings().all()
        return [Destination(**row) for row in rows]

    def pauses(self) -> dict[str, str | None]:
        """Since when each destination is paused, if it is, by name: a glance for between two batches."""
        with self.session(writes=False) as connection:
            rows = connection.execute(sa.select(DESTINATIONS.c.name, DESTINATIONS.c.paused_at)).all()
        return {name: paused_at for name, paused_at in rows}  # noqa: C416 - a row is no pair to type checkers

    def destination(self, name: str) -> Destination:
        """The destination of that name, or a :class:`ConfigError` with the nearest one."""
        known = {d.name: d for d in self.destinations()}
        if name not in known:
            add = f"Add it with: connector add destination {name} --ad-account act_… --new-audience TITLE"
            raise ConfigError(
                f'no destination is named "{name}"', code="destination.unknown", hint=did_you_mean(name, known) or add
            )
        return known[name]

    def update_destination(self, destination: Destination) -> None:
        """Replace what is stored under the destination's name."""
        values = asdict(destination)
        with self.session() as connection:
            connection.execute(DESTINATIONS.update().where(DESTINATIONS.c.name == destination.name).values(**values))

    def remove_destination(self, name: str) -> None:
        """Forget a destination; its runs and audit lines stay."""
        with self.session() as connection:
            connection.execute(DESTINATIONS.delete().where(DESTINATIONS.c.name == name))

    # runs

    def start_run(self, *, segment: str, destination: str, mode: str, audience_id: str | None) -> Run:
        """Write down that a run began; its id sorts by time."""
        run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        run = Run(run_id, segment, destination, mode, audience_id, now(), None, "running", None, None)
        with self.session() as connection:
            connection.execute(RUNS.insert().values(**asdict(run)))
        return run

    def end_run(
        self, run_id: str, *, status: RunStatus, report: dict[str, Any] | None, error_code: str | None = None
    ) -> None:
        """Write down how a run ended and what it counted."""
        values = {"ended_at": now(), "status": status, "report": report, "error_code": error_code}
        with self.session() as connection:
            connection.execute(RUNS.update().where(RUNS.c.id == run_id).values(**values))

    def record_batches(self, run_id: str, operation: str, counts: Sequence[dict[str, int]]) -> None:
        """Write down acknowledged batches, counts only: ``seq``, ``session_id``, ``rows``, ``bytes`` and ``retried``."""
        known = {"run_id": run_id, "operation": operation, "acknowledged_at": now()}
        if counts:
            with self.session(durable=False) as connection:
                connection.execute(BATCHES.insert(), [{**known, **one} for one in counts])

    def batches(self, run_id: str) -> list[dict[str, Any]]:
        """The acknowledged batches of a run, in the order of their sequence numbers."""
        query = sa.select(BATCHES).where(BATCHES.c.run_id == run_id).order_by(BATCHES.c.operation, BATCHES.c.seq)
        with self.session() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def runs(self, *, limit: int = 50, segment: str | None = None) -> list[Run]:
        """The newest runs first."""
        query = sa.select(RUNS).order_by(RUNS.c.started_at.desc(), RUNS.c.id.desc()).limit(limit)
        if segment is not None:
            query = query.where(RUNS.c.segment == segment)
        with self.session() as connection:
            return [Run(**row) for row in connection.execute(query).mappings()]

    def run(self, run_id: str) -> Run:
        """The run of that id; a beginning of an id will do when only one fits."""
        query = sa.select(RUNS).where(RUNS.c.id.startswith(run_id, autoescape=True)).limit(2)
        with self.session() as connection:
            found = [Run(**row) for row in connection.execute(query).mappings()]
        if len(found) != 1:
            known = f'{len(found)} or more runs begin with "{run_id}"' if found else f'no run has the id "{run_id}"'
            raise ConfigError(known, code="run.unknown", hint="See them with: connector list runs")
        return found[0]

    # audit

    def audit(self, entry: AuditEntry, *, actor: str | None = None) -> str:
        """Append a line to the hash chain; returns its hash. Source of the rule: access.md §7."""
        with self.session() as connection:
            _lock_for_writing(connection)
            newest = sa.select(AUDIT.c.seq, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1)
            last = connection.execute(newest).first()
            line = {
                "seq": (last.seq if last else 0) + 1,
                "at": now(),
                "actor": actor or actor_name(),
                **asdict(entry),
                "prev": last.hash if last else FIRST_PREV,
            }
            line["hash"] = audit_hash(line)
            connection.execute(AUDIT.insert().values(**line))
        return str(line["hash"])

    def audit_lines(self) -> list[dict[str, Any]]:
        """Every audit line, oldest first."""
        with self.session() as connection:
            return [dict(row) for row in connection.execute(sa.select(AUDIT).order_by(AUDIT.c.seq)).mappings()]


def audit_hash(line: dict[str, Any]) -> str:
    """SHA-256 of the line before and this line's canonical JSON (sorted keys, no spaces), without its own hash."""
    body = {key: value for key, value in line.items() if key not in {"hash", "prev"}}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256((line["prev"] + canonical).encode()).hexdigest()


def broken_at(lines: Sequence[dict[str, Any]]) -> int | None:
    """Find the ``seq`` of the first audit line that does not follow from the one before it; nothing if all do."""
    before = FIRST_PREV
    for place, line in enumerate(lines, start=1):
        if line["seq"] != place or line["prev"] != before or audit_hash(line) != line["hash"]:
            return min(place, int(line["seq"]))
        before = line["hash"]
    return None


def actor_name() -> str:
    """Who runs this: CONNECTOR_ACTOR, else the operating system's user."""
    named = os.environ.get("CONNECTOR_ACTOR")
    if named:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"


def _engine(url: str, *, synchronous: str = "FULL") -> Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database not in {None, "", ":memory:"}:
            _make_private(Path(str(parsed.database)))
        engine = sa.create_engine(
            parsed,
            json_serializer=_json,
            pool_pre_ping=parsed.get_backend_name() != "sqlite",  # a file is always there: one statement less each time
            connect_args=patience(parsed),
        )
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        missing = isinstance(error, ModuleNotFoundError) and "psycopg" in str(error)
        raise ConfigError(
            "the state URL is not one that SQLAlchemy understands, or its driver is not installed",
            code="state.url",
            hint="pip install 'audience-connector[postgres]', then postgresql+psycopg://…"
            if missing
            else "For example sqlite:///.connector/state.db or postgresql+psycopg://user@host/name",
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", partial(_tune_sqlite, synchronous))
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(path: Path) -> None:
    """Make the SQLite file and its folder, readable by their owner only."""
    try:
        path.parent.mkdir(exist_ok=True, mode=0o700)  # no more than that: a folder spelt wrong is not made
        if not path.exists():  # else it would look changed
            path.touch(mode=0o600)
    except OSError as error:
        raise ConfigError(
            f"the state database cannot be made at {path}: {error.strerror}",
            code="state.path",
            hint="Name another place with `state:` in connector.yaml or CONNECTOR_STATE.",
        ) from None


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _tune_sqlite(synchronous: str, connection: Any, _record: object) -> None:
    connection.isolation_level = None  # Python's driver would begin late and leave DDL outside the transaction
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 30000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute(f"PRAGMA synchronous = {synchronous}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # Takes the write lock at once: reading first and writing later could deadlock with another process.
    writes = connection.get_execution_options().get(_WRITES, True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _lock_for_writing(connection: Connection) -> None:
    """Let one writer at a time read the end of the audit chain and append to it, or migrate (SQLite: see below)."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
