"""THE PATH: one segment to one destination, on one page.

People come in on the left, hashes go out on the right::

    profiles/    Segment.chunks -> Mapping.keys_of          raw frame -> clean Keys
    hashing.py   --------------- Hasher.of --------------   Keys -> Hashed
    audiences/   batches -> Batch.body -> Upload.send       Hashed -> Receipt

In between, ``stock.py`` compares the segment with the ledger, ``transform.py`` takes one frame from people to hashes,
``preparation.py`` gives every profile its fate, ``refresh.py`` decides what is added and removed, ``sending.py`` enters rows in
the ledger before they leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.access.cache import forget_access
from connector.access.connection import connected, own_app
from connector.access.decision import admit
from connector.access.gate import allow, check_access
from connector.audiences.ledger_book import LedgerBook
from connector.audiences.lock import audience_lock
from connector.errors import ConfigError, ConnectorError, GuardError
from connector.job import Job, Options, refuse_paused
from connector.profiles.segments import Segment, open_segment
from connector.refresh import carry_out
from connector.rejects import Rejects, rejects_folder
from connector.report import Progress, Report, Tally
from connector.state import AuditEntry, State

if TYPE_CHECKING:
    from connector.config import Config
    from connector.state import Destination, Run, RunStatus


RUNS_WITH_REJECTS = 20  # of each segment, the newest; older lists are dropped
ACCESS_CHANGED = frozenset({190, 200, 368})  # what the gate remembers is no longer so: access.md §2


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
    with State.open(config.state_url) as opened:
        state = opened.untouched() if options.dry_run else opened  # a plan writes nothing, the gate's memory neither
        destination = state.destination(to or _only_destination(config, name))
        mode = options.mode or config.segment(name).mode
        refuse_paused(state, destination.name)
        with connected(
            config, destination, state=state, stop=options.stop, max_wait=options.max_wait, on_wait=options.on_wait,
            most=options.in_flight, pace=options.pace, read_timeout=options.read_timeout,
        ) as graph:  # fmt: skip
            options.on_progress(Progress("checking access", Tally(), 0.0))
            report = check_access(graph, destination, state=state, **own_app())
            if options.dry_run:
                allow(report)
            else:
                admit(report, destination, state, purpose="export")
            segment = open_segment(config, name)
            _check_fit(segment, destination)
            job = Job(config, segment, destination, mode, graph, state, options)
            known = LedgerBook(state).slice(str(destination.audience_id), name)
            job.make_room(sum(part.rows for part in known.files) if known is not None else 0)
            return carry_out(job) if options.dry_run else _run(job)


def plan_segment(config: Config, name: str, *, to: str | None = None, options: Options | None = None) -> Report:
    """Tell what an export would do: the same gate, reading and counting, and nothing sent or written."""
    options = options or Options()
    options.dry_run = True
    return export_segment(config, name, to=to, options=options)


def _run(job: Job) -> Report:
    """Export with a record and alone: whatever happens, the state says how it ended."""
    _confirm_replace(job)
    audience_id = str(job.destination.audience_id)
    run = job.state.start_run(
        segment=job.segment.name, destination=job.destination.name, mode=job.mode, audience_id=audience_id
    )
    job.run_id, job.tally.rejects = run.id, Rejects()
    status: RunStatus = "failed"
    code: str | None = "bug"
    try:
        with audience_lock(job.state, audience_id, run.id) as job.check_lock:
            _bury_dead_runs(job, run)
            report = carry_out(job)
    except KeyboardInterrupt:
        job.tally.stop()
        status, code = "interrupted", "interrupted"
        raise
    except ConnectorError as error:
        job.tally.stop()
        if error.exit_code == 130 and job.tally.added:
            error.hint = f"{job.tally.added:,} rows were acknowledged. {error.hint}"
        status = "interrupted" if error.exit_code == 130 else "refused" if error.exit_code in {4, 5, 8} else "failed"
        code = error.code
        if error.fault is not None and error.fault.code in ACCESS_CHANGED:
            forget_access(job.state, job.destination.name)
        raise
    else:
        status, code = ("partial" if report.exit_code else "ok"), None
        return report
    finally:
        _record_end(job, run, status, code)


def _bury_dead_runs(job: Job, run: Run) -> None:
    """Say of runs that were killed that they have ended: with the audience's lock held, no other one is running."""
    for one in job.state.runs():
        if one.status == "running" and one.audience_id == run.audience_id and one.started_at < run.started_at:
            job.state.end_run(one.id, status="interrupted", report=one.report, error_code="interrupted")


def _record_end(job: Job, run: Run, status: RunStatus, code: str | None) -> None:
    _keep_rejects(job, run)
    shown = job.report(check=False).to_json()
    job.state.end_run(run.id, status=status, report=shown, error_code=code)
    after = {"run": run.id, "segment": run.segment, "mode": run.mode, **shown["rows"]}
    entry = AuditEntry(action="export", outcome=status, asset=run.audience_id, after=after, source=job.destination.name)
    job.state.audit(entry)


def _keep_rejects(job: Job, run: Run) -> None:
    older = [one.id for one in job.state.runs(limit=2 * RUNS_WITH_REJECTS, segment=run.segment)[RUNS_WITH_REJECTS:]]
    if job.tally.rejects is not None:
        try:
            job.tally.rejects.write(rejects_folder(job.config.root), run.id, older=older)
        except OSError as error:
            job.warnings.append(f"The list of rejects could not be written: {error.strerror}.")


def _confirm_replace(job: Job) -> None:
    if job.mode == "replace" and not job.destination.made_by_us and not job.options.replace_confirmed:
        raise GuardError(
            f"audience “{job.destination.audience_name}” was there before connector: replacing it wipes members we did not"
            " send",
            code="replace.not_confirmed",
            hint="To go on, say --yes; or use --mode mirror, which leaves them alone.",
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


def _only_destination(config: Config, name: str) -> str:
    named = config.segment(name).to
    if len(named) == 1:
        return named[0]
    raise ConfigError(
        f"segment {name} names {len(named) or 'no'} destinations",
        code="segment.to",
        hint="Choose one with --to, or name it under `to:`.",
    )
