"""One export while it runs: what its steps share, and the report it ends with."""

from __future__ import annotations

import math
import os
import secrets
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connector.audiences.estimate import Load, plan_for, seconds_per_call
from connector.audiences.ledger import Ledger, open_ledger
from connector.audiences.ledger_book import LedgerBook
from connector.audiences.ledger_files import open_ledger_files
from connector.errors import GuardError, InterruptedRunError, SourceError
from connector.ledger_key import BYTES, make_ledger_key, read_ledger_key
from connector.report import Plan, Progress, Report, Tally
from connector.room import GIGABYTE, Room, room_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.audiences.graph import Graph
    from connector.audiences.pace import Pace, Wait
    from connector.config import Config, Mode
    from connector.profiles.segments import Segment
    from connector.state import Destination, State

IN_FLIGHT = 32
# Times as long as a look for a pause took, and seconds at most, there is no other: it takes a twentieth of a run.
LOOKING, LONGEST_BLIND = 20, 1.0


@dataclass(slots=True)
class Options:
    """How one export is to run.

    ``limit`` sends at most that many rows. ``full`` sends everyone, the unchanged too, and begins a new ledger where the old
    one cannot be read. ``replace_confirmed`` allows mode ``replace`` to wipe members that we did not send. ``workers`` frames
    are normalised and hashed at once. ``in_flight`` requests are under way at most: the pace begins with four and adapts.
    ``memory`` is in bytes. ``max_wait`` bounds all waiting for Meta together; ``pace`` replaces the pace that those two describe. ``read_timeout``
    is in seconds without a byte of an answer. ``stop`` is set to end the run between batches. ``on_progress`` is called
    often, in the calling thread; ``on_wait`` whenever Meta makes us wait, in any thread. ``today`` tells the day in UTC.
    """

    mode: Mode | None = None
    dry_run: bool = False
    limit: int | None = None
    full: bool = False
    allow_shrink: bool = False
    replace_confirmed: bool = False
    in_flight: int = IN_FLIGHT
    workers: int = field(default_factory=lambda: min(4, os.cpu_count() or 1))
    memory: int = GIGABYTE
    max_wait: timedelta = timedelta(hours=2)
    read_timeout: float = 120.0
    pace: Pace | None = None
    on_progress: Callable[[Progress], None] = lambda _: None
    on_wait: Callable[[Wait], None] = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)
    today: Callable[[], date] = lambda: datetime.now(UTC).date()


@dataclass(slots=True)
class Meter:
    """How much of a known whole is done: ``total`` and ``done`` in the same unit."""

    total: int
    done: Callable[[], int]
    began: float = field(default_factory=time.monotonic)

    def left(self) -> float | None:
        """Say how many seconds are left if it goes on like this; nothing while too little is done to tell."""
        done = self.done()
        if done * 50 < self.total:
            return None
        return (time.monotonic() - self.began) * max(0, self.total - done) / max(1, done)


@dataclass(slots=True)
class Job:
    """What the steps of one export share. ``run_id`` is ``None`` for a plan, which writes nothing."""

    config: Config
    segment: Segment
    destination: Destination
    mode: Mode
    graph: Graph
    state: State
    options: Options
    run_id: str | None = None
    room: Room = field(default_factory=Room)
    held: int = 0  # bytes of what is held all the time: the suppression lists
    check_lock: Callable[[], None] = lambda: None
    tally: Tally = field(default_factory=Tally)
    started: float = field(default_factory=time.monotonic)
    warnings: list[str] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)  # of a plan: what it would send
    meter: Meter | None = None
    stops: list[GuardError] = field(default_factory=list)  # of a plan: what an export would refuse
    _look_at: float = -math.inf  # when to look for a pause again

    def tell(self, stage: str) -> None:
        """Show how far the run is."""
        left = self.meter.left() if self.meter is not None else None
        self.options.on_progress(Progress(stage, self.tally, time.monotonic() - self.started, left))

    def between_frames(self, stage: str) -> None:
        """Show how far the run is, and stop when asked to: nothing is under way between two frames of the source."""
        self.tell(stage)
        self.check_stop()

    def check_stop(self) -> None:
        """Stop when asked to."""
        if self.options.stop.is_set():
            raise InterruptedRunError("stopped while reading", hint="Run the same command again to go on.")

    def measured(self) -> list[dict[str, Any] | None]:
        """Give the reports of the destination's finished runs, newest first."""
        runs = self.state.runs(limit=100)
        return [r.report for r in runs if r.destination == self.destination.name and r.status in {"ok", "partial"}]

    def make_room(self, members: int, *, more: int = 0) -> None:
        """Work out how much may be held at once beside a ledger of so many rows, and ``more`` bytes.

        Raises:
            ConfigError: ``memory.little``.
        """
        mapping = self.segment.mapping
        self.room = room_for(
            self.options.memory, codes=mapping.codes, columns=len(mapping.columns), members=members,
            more=self.held + more,
        )  # fmt: skip

    def before_batch(self) -> None:
        """Stop between two batches when the lock is lost or an admin stepped in; where batches come fast, some together."""
        self.check_lock()
        began = time.monotonic()
        if began >= self._look_at:
            refuse_paused(self.state, self.destination.name)
            self._look_at = began + min(LONGEST_BLIND, LOOKING * (time.monotonic() - began))

    def key(self) -> bytes:
        """Read the fingerprint key; the first export makes one, and so does a new ledger where the old one's is lost."""
        ledger_exists = bool(LedgerBook(self.state).slices())
        try:
            return read_ledger_key(self.config.root, ledger_exists=ledger_exists, make=self.run_id is not None)
        except SourceError:
            if not self._anew:
                raise
            return make_ledger_key(self.config.root) if self.run_id is not None else secrets.token_bytes(BYTES)

    def open_ledger(self, key: bytes) -> Ledger:
        """Open the ledger's slice of this export."""
        return open_ledger(
            self.state,
            open_ledger_files(self.config.ledger),
            audience_id=str(self.destination.audience_id),
            segment=self.segment.name,
            key=key,
            run_id=self.run_id,
            anew=self._anew,
        )

    @property
    def _anew(self) -> bool:
        """Whether a ledger that cannot be read is begun anew: everyone is sent, so that nothing depends on it."""
        return self.options.full or self.mode == "replace"

    def report(self, *, check: bool = True) -> Report:
        """Add up."""
        report = Report(
            run=self.run_id,
            segment=self.segment.name,
            destination=self.destination.name,
            mode=self.mode,
            audience_id=self.destination.audience_id,
            audience_name=self.destination.audience_name,
            tally=self.tally,
            seconds=time.monotonic() - self.started,
            limited=self.options.limit is not None,
            dry_run=self.run_id is None,
            max_invalid=self.config.workspace.guards.max_invalid,
            warnings=tuple(self.warnings),
            plan=self._plan() if self.run_id is None else None,
        )
        if check:
            report.check()
        return report

    def _plan(self) -> Plan:
        pace, account = self.graph.pace, self.destination.ad_account
        return plan_for(
            self.loads,
            limited=pace.limited(account),
            seconds_per_call=seconds_per_call(self.measured()),
            least=time.monotonic() - self.started + pace.delay(account),
        )


def refuse_paused(state: State, name: str) -> None:
    """Stop, between batches too, when an admin paused or removed the destination."""
    pauses = state.pauses()
    if name not in pauses:
        raise GuardError(
            f"destination {name} was removed",
            code="destination.removed",
            hint="Nobody was taken out by that. To go on, add it again: connector add destination NAME --audience ID",
        )
    if pauses[name] is not None:
        raise GuardError(
            f"destination {name} is paused since {pauses[name]}",
            code="destination.paused",
            hint=f"Go on with: connector resume destination {name}",
        )
