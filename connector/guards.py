"""Reasons to stop on purpose before the first byte: an audience that would shrink, a source that looks broken.

Looks at counts only. ``--allow-shrink`` goes on; both are in the audit. A plan is finished first, and tells then. What a
damaged ledger keeps a run from doing is told here as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.audiences.estimate import most_rows_to_replace
from connector.errors import GuardError, SourceError
from connector.profiles.size_hint import rows_hint
from connector.state import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from connector.audiences.ledger import Ledger
    from connector.job import Job
    from connector.report import Report, Tally
    from connector.stock import Stock

LEAST_COVERAGE = 0.05  # a key that hardly anyone had cannot fall much


class PlannedStopError(GuardError):
    """What a plan says when the export would be stopped; ``report`` is the whole plan."""

    def __init__(self, stop: GuardError, report: Report) -> None:
        super().__init__(stop.message, code=stop.code, hint=stop.hint)
        self.report = report


def check_shrink(job: Job, *, members: int, leaving: int) -> None:
    """Refuse when more of the audience would go than ``guards.max_shrink`` allows; who is only changed stays."""
    most = job.config.workspace.guards.max_shrink
    if members and leaving / members > most:
        _stop(
            job,
            "guard.max_shrink",
            f"{leaving:,} of {members:,} profiles would leave the audience, more than guards.max_shrink ({most:.0%}) allows",
        )


def check_replace_fits(job: Job) -> None:
    """Refuse to begin a replacement that cannot end before Meta closes its window: what had arrived would be the audience.

    Where a cheap estimate leaves a doubt, the source is read once to count.
    """
    limited = job.graph.pace.limited(job.destination.ad_account)
    most = most_rows_to_replace(job.measured(), limited=limited)
    hint = rows_hint(job.segment.source)
    if most is None or (hint is not None and hint <= most):
        return
    count = 0
    for chunk in job.segment.chunks():
        count += int(job.segment.mapping.consents(chunk.frame).sum())
        job.between_frames("counting")
    if count > most:
        why = "Meta gives the app Limited access" if limited else "as earlier runs to it measured"
        raise GuardError(
            f"{count:,} profiles cannot be sent within the 85 minutes that a replacement may take; here it is at most"
            f" {most:,} ({why})",
            code="replace.too_long",
            hint="Use --mode mirror: it ends with the same members, goes on where it stopped, and has no such limit.",
        )


def check_size(job: Job, *, members: int) -> None:
    """Refuse an export of fewer profiles than ``guards.min_profiles``, and an empty one where there were some."""
    least, eligible = job.config.workspace.guards.min_profiles, job.tally.eligible
    if eligible < least:
        message = f"only {eligible:,} eligible profiles, fewer than guards.min_profiles ({least:,})"
        look = f"Is the source complete? `connector preview segment {job.segment.name}` shows the losses."
        _stop(job, "guard.min_profiles", message, look)
    elif members and not eligible:
        _stop(job, "guard.empty", f"there is no eligible profile any more, and the audience holds {members:,}")


def check_not_empty(tally: Tally) -> None:
    """Refuse to replace an audience by nobody: Meta would not do it, and the ledger must not believe it.

    ``tally`` counts the first rows to add, or all of them.
    """
    if not tally.to_add:
        raise GuardError(
            "there is nobody to replace the audience by",
            code="replace.empty",
            hint="To empty an audience, use --mode mirror with --allow-shrink.",
        )


def check_coverage(job: Job, ledger: Ledger, stock: Stock, schema: Collection[str], tally: Tally) -> None:
    """Refuse when the share of profiles that have a key fell by more than half since the last run.

    Judges by the unchanged, whose keys the ledger knows, and by the candidates that ``tally`` has counted so far: how many
    of them are sent, and what those have.
    """
    rows, judged = tally.to_add, tally.eligible + tally.skipped.total()
    candidates = (stock.candidates or 0) * tally.eligible / judged if judged else 0
    total = len(stock.unchanged) + candidates
    for code, before in ledger.coverage().items() if total else ():
        if before < LEAST_COVERAGE or code not in schema:
            continue
        share = tally.cells[code].sent / rows if rows and code in tally.cells else 0.0
        now = (stock.keys.get(code, 0) + share * candidates) / total
        if now < before / 2:
            message = f"{code} is there for {now:.0%} of the profiles, and was for {before:.0%} in the last run"
            _stop(job, "guard.coverage", message)


def may_take_out(job: Job, open_others: Callable[[], object]) -> bool:
    """Open what other segments put into the audience, before anything is sent: who is in both of them stays.

    With ``--full`` one that cannot be read keeps this run from taking anybody out, and from nothing else: so that two
    damaged ledgers can be begun anew, one after the other.
    """
    try:
        open_others()
    except SourceError as error:
        if not job.options.full:
            raise
        job.warnings.append(
            f"Nobody was taken out: {error.message}. Export that segment with --full, then this one again."
        )
        return False
    return True


def tell_of_lost_rows(job: Job, ledger: Ledger) -> None:
    """Warn of people whom nobody can take out any more, until a replacement does."""
    if ledger.lost and job.mode != "replace":
        job.warnings.append(
            f"{ledger.lost:,} profiles stood in files of the ledger that are lost. Whoever of them left the segment since is"
            " still in the audience, and nobody knows them: --mode replace puts that right."
        )


def refuse_guarded(job: Job, report: Report) -> None:
    """End a plan as its export would end, with the plan."""
    if job.stops:
        raise PlannedStopError(job.stops[0], report)


def _stop(job: Job, code: str, message: str, look: str = "Look at the source.") -> None:
    """Stop, unless ``--allow-shrink`` says to go on; a real run writes either into the audit."""
    allowed = job.options.allow_shrink
    if job.run_id is not None:
        job.state.audit(
            AuditEntry(
                action="guard",
                outcome="overridden" if allowed else "refused",
                asset=job.destination.audience_id,
                after={"run": job.run_id, "segment": job.segment.name, "guard": code},
                reason=message,
                source=job.destination.name,
            )
        )
    stop = GuardError(message, code=code, hint=f"{look} If this is right, say --allow-shrink.")
    if allowed:
        job.warnings.append(f"{message}; --allow-shrink went on.")
    elif job.run_id is None:
        job.warnings.append(f"{message}: an export would stop here.")
        job.stops.append(stop)
    else:
        raise stop
