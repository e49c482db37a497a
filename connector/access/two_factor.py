"""Check 17: two-factor authentication is demanded by both portfolios and switched on by our own people.

A client's setting is often hidden from an agency: then only a person can tell. Source: access.md §2 row 17, §6 row 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector.access.findings import Asset
from connector.access.inquiry import Finding

if TYPE_CHECKING:
    from connector.access.findings import Party
    from connector.access.inquiry import Inquiry
    from connector.access.reads import Answer

# Meta documents no values of two_fac_status: these are read as off, anything else as on.
OFF: Final = frozenset({"disabled", "inactive", "not_active", "not_enabled", "none", "off", "false"})


def check_two_factor(inquiry: Inquiry) -> Finding:
    """Check 17: both portfolios demand two-factor authentication of everyone, and our own people have it on."""
    parties = {one.id: one for one in (inquiry.owner, inquiry.agency) if one}
    if not parties:
        return Finding("unclear", inquiry.account)
    settings = {number: _setting(inquiry, number) for number in parties}
    ours = inquiry.agency.id if inquiry.agency else None
    without = _people_without(inquiry, ours) if ours else 0
    found = [f"{number}:{setting or '?'}" for number, (setting, _) in settings.items()]
    if without:
        found.append(f"people_without:{without}")
    word, business = _verdict(inquiry, {number: setting for number, (setting, _) in settings.items()}, without)
    answer = settings[business][1] if business in settings else None
    asset = Asset("business", business)
    values = {"business": _label(parties.get(business)), "people": str(without)}
    return Finding(_addressed(word, business, ours), asset, tuple(found), values, answer=answer)


def _setting(inquiry: Inquiry, business: str) -> tuple[str | None, Answer]:
    answer = inquiry.reads.node(business, fields="id,name,two_factor_type")
    value = answer.node.get("two_factor_type")
    return (str(value) if value else None), answer


def _people_without(inquiry: Inquiry, business: str) -> int:
    people = inquiry.reads.rows(f"{business}/business_users", fields="role,two_fac_status", limit="100")
    return sum(str(row.get("two_fac_status", "")).lower() in OFF for row in people.rows)


def _verdict(inquiry: Inquiry, settings: dict[str, str | None], without: int) -> tuple[str, str]:
    """Pick the worst: not demanded at all, demanded of admins only, our people without, not visible."""
    for setting, word in (
        ("none", "required" if inquiry.policy.require_two_factor else "none"),
        ("admin_required", "admins_only"),
    ):
        for business, value in settings.items():
            if value == setting:
                return word, business
    if without and inquiry.agency:
        return "people", inquiry.agency.id
    hidden = next((business for business, value in settings.items() if value != "all_required"), None)
    return ("hidden", hidden) if hidden else ("ok", next(iter(settings)))


def _addressed(word: str, business: str, ours: str | None) -> str:
    """Our own portfolio is ours to change, the client's is the client's."""
    return f"{word}_ours" if business == ours and word in {"none", "required", "admins_only", "hidden"} else word


def _label(party: Party | None) -> str:
    return f"{party.name} ({party.id})" if party and party.name else party.id if party else "?"
