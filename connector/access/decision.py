"""The gate's decision, put on record: who may, or may not, fill which audience, and by which grant.

Every export and every new destination leaves one audit line before its first profile is read (access.md §7). A plan writes
nothing, so it leaves none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from connector.access.gate import allow
from connector.access.grants import recorded_grant
from connector.state import AuditEntry

if TYPE_CHECKING:
    from connector.access.gate import GateReport
    from connector.state import Destination, State

Purpose = Literal["export", "add destination", "forget"]


def admit(report: GateReport, destination: Destination, state: State, *, purpose: Purpose) -> None:
    """Write the decision down, then let pass or raise as :func:`connector.access.gate.allow` does.

    ``after`` names the failed checks and the warnings, and the audit line of the grant that the access rests on, if one of
    ours does.
    """
    by_status = {
        status: [check.id for check in report.checks if check.status == status]
        for status in ("fail", "warn", "unknown")
    }
    refusal = next((check for check in report.checks if check.status == "fail"), None)
    grant = recorded_grant(state, destination.ad_account)
    state.audit(
        AuditEntry(
            action="check access",
            outcome="allowed" if report.allowed else "refused",
            client=report.client.id if report.client else None,
            asset=destination.ad_account,
            after={
                "purpose": purpose,
                "relationship": report.relationship,
                "failed": by_status["fail"],
                "warned": by_status["warn"],
                "unknown": by_status["unknown"],
                "grant": grant.seq if grant else None,
            },
            reason=refusal.id if refusal else None,
            source=destination.name,
            fbtrace_id=refusal.fbtrace_id if refusal else None,
        )
    )
    allow(report)
