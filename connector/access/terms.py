"""Checks 15 and 16: Meta's Custom Audience terms, and ours.

Meta's are accepted per person and business, by a real person, never by us: meta-graph-api.md §1.8.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from connector.access.data_terms import DATA_TERMS_VERSION
from connector.access.findings import Asset
from connector.access.inquiry import Finding, number_of

if TYPE_CHECKING:
    from connector.access.inquiry import Inquiry

KEY: Final = "custom_audience_tos"
# Meta asks again after a while; the API tells no date, so the time since we first saw them accepted must do.
REASK: Final = timedelta(days=90)


def check_meta_terms(inquiry: Inquiry) -> Finding:
    """Check 15: Meta's terms are accepted for the account's business, and by the token's person where Meta tells."""
    account = inquiry.read_account()
    if account.refused:
        return Finding("unclear", inquiry.account, answer=account)
    if not _accepted(account.node.get("tos_accepted")):
        return Finding("not_accepted", inquiry.account, ("0",), answer=account)
    if inquiry.facts.get("token_kind") == "USER" and not _accepted(account.node.get("user_tos_accepted")):
        return Finding("user_not_accepted", inquiry.account, ("business:1", "person:0"), answer=account)
    since = inquiry.terms_since
    if since is not None and inquiry.now - since > REASK:
        day = since.date().isoformat()
        return Finding("long_ago", inquiry.account, (f"since:{day}",), {"day": day}, answer=account)
    return Finding("ok", inquiry.account, ("1",), answer=account)


def _accepted(terms: object) -> bool:
    return isinstance(terms, dict) and number_of(terms.get(KEY)) == 1


def check_data_terms(inquiry: Inquiry) -> Finding:
    """Check 16: an admin accepted this version of our data terms for this destination."""
    destination = inquiry.destination
    asset = Asset("destination", destination.name)
    version = destination.data_terms_version
    if version is None:
        return Finding("not_accepted", asset, ("none",))
    if version != DATA_TERMS_VERSION:
        return Finding("old_version", asset, (version,), {"version": version})
    day = (destination.data_terms_at or "")[:10]
    values = {"version": version, "by": destination.data_terms_by or "?", "day": day or "?"}
    return Finding("ok", asset, (version,), values)
