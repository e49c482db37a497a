"""Checks 5 to 7: the ad account can be read, is active and belongs to a business.

Source: access.md §2 and §6 rows 2, 4, 6, 7, 13; meta-graph-api.md §5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector.access.findings import Asset
from connector.access.inquiry import Finding, number_of, party
from connector.access.partner import client_accounts, pending_accounts
from connector.access.reads import TOKEN_CODES

if TYPE_CHECKING:
    from connector.access.inquiry import Inquiry

# account_status: what Meta calls it, and the outcome.
STATUSES: Final[dict[int, tuple[str, str]]] = {
    1: ("ACTIVE", "ok"),
    2: ("DISABLED", "disabled"),
    3: ("UNSETTLED", "unpaid"),
    7: ("PENDING_RISK_REVIEW", "in_review"),
    8: ("PENDING_SETTLEMENT", "unpaid"),
    9: ("IN_GRACE_PERIOD", "unpaid"),
    100: ("PENDING_CLOSURE", "closed"),
    101: ("CLOSED", "closed"),
}
DISABLE_REASONS: Final[dict[int, str]] = {
    0: "NONE",
    1: "ADS_INTEGRITY_POLICY",
    2: "ADS_IP_REVIEW",
    3: "RISK_PAYMENT",
    4: "GRAY_ACCOUNT_SHUT_DOWN",
    5: "ADS_AFC_REVIEW",
    6: "BUSINESS_INTEGRITY_RAR",
    7: "PERMANENT_CLOSE",
    8: "UNUSED_RESELLER_ACCOUNT",
    9: "UNUSED_ACCOUNT",
    10: "UMBRELLA_AD_ACCOUNT",
    11: "BUSINESS_MANAGER_INTEGRITY_POLICY",
    12: "MISREPRESENTED_AD_ACCOUNT",
    13: "AOAB_DESHARE_LEGAL_ENTITY",
    14: "CTX_THREAD_REVIEW",
    15: "COMPROMISED_AD_ACCOUNT",
}


def check_account(inquiry: Inquiry) -> Finding:
    """Check 5: the token reads the ad account; if not, the finding tells which of the two assignments is missing."""
    account = inquiry.read_account()
    if account.refusal is None:
        owner = party(account.node.get("business"))
        facts = {"owner": {"id": owner.id, "name": owner.name}} if owner else {}
        name = str(account.node.get("name") or "")
        return Finding("ok", inquiry.account, ("readable",), {"name": name}, answer=account, facts=facts)
    code = account.refusal.code
    found = (f"{code}/{account.refusal.subcode}",) if account.refusal.subcode else (f"{code}",)
    if code in TOKEN_CODES:
        return Finding("token_refused", inquiry.account, found, answer=account)
    if (code, account.refusal.subcode) != (100, 33) and code != 10 and not 200 <= code <= 299:
        return Finding("refused", inquiry.account, found, answer=account)
    return Finding(_which_is_missing(inquiry), inquiry.account, found, answer=account)


def _which_is_missing(inquiry: Inquiry) -> str:
    """Tell the partner's missing account (client) from the person's missing assignment (agency): §6 rows 6 and 7."""
    if inquiry.agency is None or not inquiry.sees_businesses:
        return "not_visible"
    if any(row.get("id") == inquiry.destination.ad_account for row in client_accounts(inquiry).rows):
        return "not_assigned"
    return "partner_pending" if pending_accounts(inquiry) else "not_visible"


def check_account_status(inquiry: Inquiry) -> Finding:
    """Check 6: the ad account is active; a disabled one says why."""
    account = inquiry.read_account()
    code = number_of(account.node.get("account_status"))
    if code is None:
        return Finding("unclear", inquiry.account, answer=account)
    name, word = STATUSES.get(code, (str(code), "unclear"))
    reason = number_of(account.node.get("disable_reason")) or 0
    if word == "disabled" and reason:
        why = DISABLE_REASONS.get(reason, str(reason))
        return Finding("disabled_why", inquiry.account, (name, why), {"reason": f"disable.{reason}"}, answer=account)
    return Finding(word, inquiry.account, (name,), answer=account)


def check_in_business(inquiry: Inquiry) -> Finding:
    """Check 7: a business owns the ad account, or an admin allowed a personal one until a day."""
    account = inquiry.read_account()
    owner = party(account.node.get("business"))
    if owner is not None:
        asset = Asset("ad_account", inquiry.destination.ad_account)
        return Finding("ok", asset, (owner.id,), {"owner": owner.name or owner.id}, answer=account)
    personal = account.node.get("is_personal")
    if account.refused or (
        not personal and not inquiry.sees_businesses
    ):  # Meta may hide the owner from such a token: §4.4
        return Finding("unclear", inquiry.account, answer=account)
    until = inquiry.policy.allow_personal_until
    found = ("personal",) if personal else ("no_business",)
    if until is not None and inquiry.now.date() <= until:
        return Finding("allowed", inquiry.account, found, {"day": until.isoformat()}, answer=account)
    return Finding("absent", inquiry.account, found, answer=account)
