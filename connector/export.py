"""THE PATH: one segment to one destination, on one page.

People come in on the left, hashes go out on the right::

    profiles/    Segment.chunks -> Mapping.keys_of          raw frame -> clean Keys
    hashing.py   ------------- hash_columns -------------   Keys -> Hashed
    audiences/   json_rows -> batches -> Upload.send        Batch -> Receipt

Every profile that is read gets exactly one fate, and the report adds up to the profiles read.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connector.access.connection import connected, own_app
from connector.access.gate import allow, check_access
from connector.audiences.batch import batches, json_rows
from connector.audiences.upload import Receipt, Upload
from connector.errors import ConfigError, ConnectorError, GuardError
from connector.preparation import hashed_rows, read_suppression, wire_schema
from connector.profiles.segments import Segment, open_segment
from connector.report import Report, Tally
from connector.state import AuditEntry, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl

    from connector.audiences.graph import Graph
    from connector.audiences.pace import Wait
    from connector.config import Config, Mode
    from connector.hashing import Hashed
    from connector.state import Destination, RunStatus

IN_FLIGHT = 4
MODES_SO_FAR: tuple[Mode, ...] = ("add",)  # the others come with the ledger


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: ``stage`` in words, the counts so far, ``fraction`` of the source read where that is known."""

    stage: str
    tally: Tally
    seconds: float
    fraction: float | None = None


@dataclass(slots=True)
class Options:
    """How one export is to run.

    ``limit`` sends at most that many rows. ``stop`` is set to end the run between batches. ``on_progress`` is called
    often, in the calling thread; ``on_wait`` whenever Meta makes us wait, in any thread.
    """

    mode: Mode | None = None
    dry_run: bool = False
    limit: int | None = None
    allow_shrink: bool = False
    in_flight: int = IN_FLIGHT
    on_progress: Callable[[Progress], None] = lambda _: None
    on_wait: Callable[[Wait], None] = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class _Job:
    """What the steps of one export share."""

    config: Config
    destination: Destination
    mode: Mode
    graph: Graph
    state: State
    options: Options
    tally: Tally = field(default_factory=Tally)
    started: float = field(default_factory=time.monotonic)

    def tell(self, stage: str) -> None:
        self.options.on_progress(Progress(stage, self.tally, time.monotonic() - self.started))


def export_segment(config: Config, name: str, *, to: str | None = None, options: Options | None = None) -> Report:
    """Send a segment's match keys to one destination's audience and account for every profile.

    Args:
        config: The workspace.
        name: The segment's name in connector.yaml.
        to: The destination; may be left out when the segment names exactly one.
        options: How to run.

    Raises:
        ConnectorError: one of the tree in ``errors.py``; nothing is lost, the next run goes on from there.
    """
    options = options or Options()
    with State.open(config.state_url) as state:
        destination = state.destination(to or _only_destination(config, name))
        mode = _mode(config, name, options)
        _refuse_paused(state, destination.name)
        with connected(config, destination, stop=options.stop, on_wait=options.on_wait) as graph:
            job = _Job(config, destination, mode, graph, state, options)
            job.tell("checking access")
            allow(check_access(graph, destination, state=state, **own_app()))
            segment = open_segment(config, name)
            _check_fit(segment, destination)
            return _plan(job, segment) if options.dry_run else _run(job, segment)


def plan_segment(config: Config, name: str, *, to: str | None = None, options: Options | None = None) -> Report:
    """Tell what an export would do: the same gate, the same reading and counting, and nothing sent or written."""
    options = options or Options()
    options.dry_run = True
    return export_segment(config, name, to=to, options=options)


def _plan(job: _Job, segment: Segment) -> Report:
    for _ in _rows(job, segment):
        job.tell("planning")
    return _report(job, segment.name, None)


def _run(job: _Job, segment: Segment) -> Report:
    """Export with a record: whatever happens, the state says how it ended."""
    destination = job.destination
    run = job.state.start_run(
        segment=segment.name, destination=destination.name, mode=job.mode, audience_id=destination.audience_id
    )
    status: RunStatus = "failed"
    code: str | None = "bug"
    try:
        _send(job, segment, run.id)
        report = _report(job, segment.name, run.id)
    except ConnectorError as error:
        status = "interrupted" if error.exit_code == 130 else "refused" if error.exit_code in {4, 5, 8} else "failed"
        code = error.code
        raise
    else:
        status, code = ("partial" if report.exit_code else "ok"), None
        return report
    finally:
        shown = _report(job, segment.name, run.id, check=False).to_json()
        job.state.end_run(run.id, status=status, report=shown, error_code=code)
        job.state.audit(
            AuditEntry(
                action="export",
                outcome=status,
                asset=destination.audience_id,
                after={"run": run.id, "segment": segment.name, **shown["rows"]},
                source=destination.name,
            )
        )


def _send(job: _Job, segment: Segment, run_id: str) -> None:
    """Send the rows in one session, remember each receipt, and read what Meta counted."""
    tally, schema = job.tally, wire_schema(segment, value_based=job.destination.value_based)

    def acknowledge(receipt: Receipt) -> None:
        job.state.record_batch(
            run_id,
            operation="add",
            seq=receipt.seq,
            session_id=receipt.session_id,
            rows=receipt.rows,
            size=receipt.size,
            retried=receipt.retried,
        )
        tally.batches_sent += 1
        tally.batches_retried += receipt.retried
        tally.bytes_sent += receipt.size
        tally.added += receipt.rows
        job.tell("sending")

    upload = Upload(
        job.graph,
        str(job.destination.audience_id),
        account=job.destination.ad_account,
        operation="add",
        in_flight=job.options.in_flight,
        on_receipt=acknowledge,
        before_batch=lambda: _refuse_paused(job.state, job.destination.name),
        stop=job.options.stop,
    )
    texts = (json_rows(frame, schema) for frame in _rows(job, segment))
    outcome = upload.send(batches(_first(texts, job.options.limit), schema))
    tally.invalid = min(outcome.invalid, outcome.rows - outcome.missing)
    tally.added = outcome.rows - outcome.missing - tally.invalid


def _rows(job: _Job, segment: Segment) -> Iterator[Hashed]:
    """Give the hashed rows to add, held back until the guards agree: too few profiles, and nothing is ever sent."""
    minimum = job.config.workspace.guards.min_profiles
    rows = hashed_rows(segment, read_suppression(job.config), job.tally, value_based=job.destination.value_based)
    held: list[Hashed] = []
    for frame in rows:
        held.append(frame)
        job.tell("reading")
        if job.tally.eligible >= minimum:
            break
    if job.tally.eligible < minimum:
        raise GuardError(
            f"only {job.tally.eligible:,} eligible profiles, fewer than guards.min_profiles ({minimum:,})",
            code="guard.min_profiles",
            hint=f"Is the source complete? See the losses with: connector preview segment {segment.name}",
        )
    while held:
        yield held.pop(0)
    yield from rows


def _first(parts: Iterator[pl.Series], limit: int | None) -> Iterator[pl.Series]:
    """Let through the first ``limit`` rows; the rest is still read, so that the report can count it."""
    if limit is None:
        yield from parts
        return
    room = limit
    for part in parts:
        if room:
            yield part.head(room)
        room = max(0, room - part.len())


def _report(job: _Job, segment: str, run_id: str | None, *, check: bool = True) -> Report:
    report = Report(
        run=run_id,
        segment=segment,
        destination=job.destination.name,
        mode=job.mode,
        audience_id=job.destination.audience_id,
        audience_name=job.destination.audience_name,
        tally=job.tally,
        seconds=time.monotonic() - job.started,
        limited=job.options.limit is not None,
        dry_run=job.options.dry_run,
        max_invalid=job.config.workspace.guards.max_invalid,
    )
    if check:
        report.check()
    return report


def _only_destination(config: Config, name: str) -> str:
    named = config.segment(name).to
    if len(named) == 1:
        return named[0]
    raise ConfigError(
        f"segment {name} names {len(named) or 'no'} destinations",
        code="segment.to",
        hint="Choose one with --to, or name it under `to:`.",
    )


def _mode(config: Config, name: str, options: Options) -> Mode:
    mode = options.mode or config.segment(name).mode
    if mode not in MODES_SO_FAR:
        raise ConfigError(
            f"mode {mode} is not in this release yet: it needs the ledger",
            code="mode.unsupported",
            hint="Say `mode: add` in connector.yaml, or --mode add.",
        )
    return mode


def _refuse_paused(state: State, name: str) -> None:
    """Stop, between batches too, when an admin paused or removed the destination."""
    current = {d.name: d for d in state.destinations()}.get(name)
    if current is None:
        raise GuardError(f"destination {name} was removed", code="destination.removed")
    if current.paused_at is not None:
        raise GuardError(
            f"destination {name} is paused since {current.paused_at}",
            code="destination.paused",
            hint=f"Go on with: connector resume destination {name}",
        )


def _check_fit(segment: Segment, destination: Destination) -> None:
    if destination.value_based and "LOOKALIKE_VALUE" not in segment.mapping.codes:
        raise ConfigError(
            f"{destination.name} is a value-based audience, and mapping {segment.mapping.name} has no lookalike_value",
            code="mapping.lookalike_value",
            file=segment.mapping.file,
            hint="Add `lookalike_value: <attribute>` under keys.",
        )
    if destination.audience_id is None:
        raise ConfigError(
            f"destination {destination.name} has no audience",
            code="destination.audience",
            hint=f"Remove it and add it again: connector remove destination {destination.name}",
        )
