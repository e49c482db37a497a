"""Reasons to stop on purpose before the first byte: an audience that would shrink, a source that looks broken.

Looks at counts only. ``--allow-shrink`` goes on; both are in the audit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.audiences.estimate import most_rows_to_replace
from connector.errors import GuardError
from connector.profiles.size_hint import rows_hint
from connector.state import AuditEntry

if TYPE_CHECKING:
    from connector.job import Job
    from connector.report import Cells

LEAST_COVERAGE = 0.05  # a key that hardly anyone had cannot fall much


def check_shrink(job: Job, *, members: int, gone: int) -> None:
    """Refuse when more of the audience would go than ``guards.max_shrink`` allows."""
    most = job.config.workspace.guards.max_shrink
    if members and gone / members > most:
        _stop(
            job,
            "guard.max_shrink",
            f"{gone:,} of {members:,} profiles would leave the audience, more than guards.max_shrink ({most:.0%}) allows",
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


def check_size(job: Job, eligible: int) -> None:
    """Refuse an export of fewer profiles than ``guards.min_profiles``."""
    least = job.config.workspace.guards.min_profiles
    if eligible < least:
        raise GuardError(
            f"only {eligible:,} eligible profiles, fewer than guards.min_profiles ({least:,})",
            code="guard.min_profiles",
            hint=f"Is the source complete? See the losses with: connector preview segment {job.segment.name}",
        )


def check_coverage(job: Job, before: dict[str, float] | None, *, candidates: int) -> None:
    """Refuse when the share of profiles that have a key fell by more than half since the last run.

    Judges by what was prepared so far, for ``candidates`` profiles in all, beside the unchanged.
    """
    total = job.tally.unchanged + candidates
    for code, share in (before or {}).items():
        cells = job.tally.cells.get(code)
        if share < LEAST_COVERAGE or cells is None or not job.tally.to_add:
            continue
        now = (share * job.tally.unchanged + _share(cells, job.tally.to_add) * candidates) / total
        if now < share / 2:
            message = f"{code} is there for {now:.0%} of the profiles, and was for {share:.0%} in the last run"
            _stop(job, "guard.coverage", message)


def coverage_after(job: Job, before: dict[str, float] | None) -> dict[str, float]:
    """Work out the share of profiles that have each key, for the next run to compare with."""
    t, known = job.tally, before or {}
    total = t.unchanged + t.to_add
    if not total:
        return known
    return {code: (known.get(code, 0.0) * t.unchanged + cells.sent) / total for code, cells in t.cells.items()} or known


def _share(cells: Cells, rows: int) -> float:
    return cells.sent / rows


def _stop(job: Job, code: str, message: str) -> None:
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
    if not allowed:
        raise GuardError(message, code=code, hint="Look at the source. If this is right, say --allow-shrink.")
    job.warnings.append(f"{message}; --allow-shrink went on.")
