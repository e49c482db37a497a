"""Checks 11 and 21, and what our own record says of a grant: when, why, until when, and whether it waits for a review.

The record is the audit chain: the last line on the asset that says that access was granted or asked for and that Meta took,
with ``requires_admin_approval`` and ``expires`` (``YYYY-MM-DD``) in ``after`` and the reason in ``reason`` (access.md §7).
Access that was taken back since has no record.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from connector.access.inquiry import Finding, time_of
from connector.access.partner import our_row
from connector.schema import AUDIT

if TYPE_CHECKING:
    from connector.access.inquiry import Inquiry
    from connector.state import State

REVOKED: Final = "revoke access"
ACTIONS: Final = ("grant access", "request access", REVOKED)
TAKEN: Final = ("ok", "pending")  # outcomes of attempts that Meta took; others changed nothing
SOON: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Grant:
    """Our record of the last grant or request on an asset; ``seq`` is its audit line, ``business`` who got it."""

    at: datetime
    needs_review: bool = False
    reason: str | None = None
    expires: date | None = None
    seq: int | None = None
    business: str | None = None

    def is_older_than(self, time: object) -> bool:
        """Whether one of Meta's times is not before this record; a missing time is taken for later."""
        read = time_of(time)
        # Meta's times are whole seconds, ours are not.
        return read is None or read >= self.at.replace(microsecond=0)


def recorded_grant(state: State | None, asset: str) -> Grant | None:
    """Find the last grant or request of access to the asset in the audit chain."""
    if state is None:
        return None
    query = (
        sa.select(AUDIT.c.seq, AUDIT.c.at, AUDIT.c.action, AUDIT.c.after, AUDIT.c.reason)
        .where(AUDIT.c.asset == asset, AUDIT.c.action.in_(ACTIONS), AUDIT.c.outcome.in_(TAKEN))
        .order_by(AUDIT.c.seq.desc())
        .limit(1)
    )
    with state.session() as connection:
        row = connection.execute(query).first()
    if row is None or row.action == REVOKED:
        return None
    after = row.after or {}
    return Grant(
        at=time_of(row.at.replace("Z", "+00:00")) or datetime.now(UTC),
        needs_review=after.get("requires_admin_approval") is True,
        reason=row.reason,
        expires=_day(after.get("expires")),
        seq=row.seq,
        business=after.get("business"),
    )


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def check_admin_review(inquiry: Inquiry) -> Finding:
    """Check 11: no grant of ours still waits for a second admin of the client."""
    grant = inquiry.grant
    if grant is None or not grant.needs_review:
        return Finding("ok", inquiry.account, ("none",))
    day = grant.at.date().isoformat()
    row, answer = our_row(inquiry)
    if row is None and answer.refused:
        return Finding("unclear", inquiry.account, (day,), {"day": day}, answer=answer)
    confirmed = "CONFIRMED" in str((row or {}).get("access_status") or "").upper()
    if confirmed and grant.is_older_than((row or {}).get("access_updated_time")):
        return Finding("ok", inquiry.account, ("confirmed",), answer=answer)
    return Finding("waiting", inquiry.account, (f"since:{day}",), {"day": day}, answer=answer)


def check_grant_expiry(inquiry: Inquiry) -> Finding:
    """Check 21: the agreed end of the grant is more than two weeks away."""
    end = inquiry.policy.grant_expires or (inquiry.grant.expires if inquiry.grant else None)
    if end is None:
        return Finding("no_end", inquiry.account, ("no_end",))
    left = end - inquiry.now.date()
    values = {"day": end.isoformat(), "days": str(left.days)}
    word = "past" if left < timedelta() else "soon" if left <= SOON else "ok"
    return Finding(word, inquiry.account, (f"until:{end.isoformat()}",), values)
