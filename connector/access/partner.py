"""Checks 8 to 10, 12 and 13: who is our business to this ad account, and which tasks have it and its person.

The client owns, the agency borrows: the partner grant goes from business to business, the assignment from our business
to one of its people or system users. Source: access.md §2, meta-graph-api.md §5 and §6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connector.access.findings import Asset, Party
from connector.access.inquiry import Finding, words_of
from connector.access.reads import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.access.inquiry import Inquiry

ENOUGH_FOR_USERS: Final = frozenset({"ADVERTISE", "MANAGE"})
_PAGE: Final = "100"


def agencies(inquiry: Inquiry) -> Answer:
    """Read the businesses with agency access to the account."""
    fields = "id,name,access_status,access_requested_time,access_updated_time,permitted_tasks"
    return inquiry.reads.rows(f"{inquiry.destination.ad_account}/agencies", fields=fields, limit=_PAGE)


def client_accounts(inquiry: Inquiry) -> Answer:
    """Read the ad accounts our business has as an agency."""
    if inquiry.agency is None:
        return Answer("")
    return inquiry.reads.rows(f"{inquiry.agency.id}/client_ad_accounts", fields="id,permitted_tasks", limit=_PAGE)


def pending_accounts(inquiry: Inquiry) -> Mapping[str, Any] | None:
    """Find our own request for the account that the client has not answered."""
    if inquiry.agency is None:
        return None
    fields = "id,ad_account{id},permitted_tasks"
    rows = inquiry.reads.rows(f"{inquiry.agency.id}/pending_client_ad_accounts", fields=fields, limit=_PAGE).rows
    return next((row for row in rows if _account_of(row) == inquiry.destination.ad_account), None)


def _account_of(row: Mapping[str, Any]) -> str:
    account = row.get("ad_account")
    found = str(account.get("id", "")) if isinstance(account, dict) else str(account or "")
    return found if found.startswith("act_") else f"act_{found}"


def check_membership(inquiry: Inquiry) -> Finding:
    """Check 8: the token's person or system user is in the agency or in the owner, not just invited to the account."""
    person = Asset("token", inquiry.facts.get("user_id"))
    wanted = {business.id for business in (inquiry.agency, inquiry.owner) if business}
    system = inquiry.facts.get("token_kind") == "SYSTEM_USER"
    answer = Answer("")
    mine: dict[str, str] = {}
    if not system or inquiry.agency is None:
        answer = inquiry.reads.rows("me/businesses", fields="id,name", limit=_PAGE)
        mine = {str(row.get("id")): str(row.get("name") or "") for row in answer.rows}
    if (
        not wanted & set(mine)
        and inquiry.agency is not None
        and person.id
        and inquiry.facts.get("token_kind") != "USER"
    ):
        answer = inquiry.reads.rows(f"{inquiry.agency.id}/system_users", fields="id", limit=_PAGE)
        if any(str(row.get("id")) == person.id for row in answer.rows):
            mine[inquiry.agency.id] = inquiry.agency.name or ""
    facts = {"businesses": mine}
    inside = tuple(sorted((wanted or set(mine)) & set(mine)))
    if inside:
        return Finding("ok", person, inside, {"businesses": _named(inside, mine)}, answer=answer, facts=facts)
    if answer.refused:
        return Finding("unclear", person, answer=answer)
    word = "direct" if words_of(inquiry.read_account().node.get("user_tasks")) else "outside"
    return Finding(word, person, tuple(sorted(mine)), wanted=tuple(sorted(wanted)) or None, answer=answer, facts=facts)


def _named(ids: tuple[str, ...], names: Mapping[str, str]) -> str:
    return ", ".join(f"{names[i]} ({i})" if names.get(i) else i for i in ids)


def check_relationship(inquiry: Inquiry) -> Finding:
    """Check 9: our business owns the ad account or is an agency on it."""
    owner, candidates = inquiry.owner, _our_businesses(inquiry)
    if owner is not None and owner.id in candidates:
        return _related(inquiry, "owner", owner, inquiry.read_account())
    partners = agencies(inquiry)
    row = next((row for row in partners.rows if str(row.get("id")) in candidates), None)
    if row is not None:
        return _related(inquiry, "agency", Party(str(row["id"]), row.get("name")), partners)
    lent = client_accounts(inquiry)
    asked = partners.refused and pending_accounts(inquiry) is not None  # an edge that answers lists requests as well
    if inquiry.agency is not None and (_holds(inquiry, lent) or asked):
        return _related(inquiry, "agency", inquiry.agency, lent)
    if partners.refused and (lent.refused or not lent.call):
        return Finding("unclear", inquiry.account, answer=partners)
    tasks = words_of(inquiry.read_account().node.get("user_tasks"))
    word, relationship = ("person", "person") if tasks else ("nobody", "none")
    return Finding(word, inquiry.account, tasks or ("none",), answer=partners, facts={"relationship": relationship})


def _holds(inquiry: Inquiry, lent: Answer) -> bool:
    return any(row.get("id") == inquiry.destination.ad_account for row in lent.rows)


def _our_businesses(inquiry: Inquiry) -> set[str]:
    """Name the businesses that count as ours: the destination's, or any the person is in when it names none."""
    named = inquiry.destination.business
    return {named} if named else set(inquiry.businesses)


def _related(inquiry: Inquiry, word: str, ours: Party, answer: Answer) -> Finding:
    name = ours.name or inquiry.businesses.get(ours.id)
    facts = {"relationship": word, "agency": {"id": ours.id, "name": name}}
    return Finding(word, inquiry.account, (word,), {"agency": name or ours.id}, answer=answer, facts=facts)


def our_row(inquiry: Inquiry) -> tuple[Mapping[str, Any] | None, Answer]:
    """Find the row that speaks of our agency access, and the read it came from."""
    ours = inquiry.agency.id if inquiry.agency else None
    partners = agencies(inquiry)
    row = next((row for row in partners.rows if str(row.get("id")) == ours), None)
    if row is not None:
        return row, partners
    lent = client_accounts(inquiry)
    own = next((row for row in lent.rows if row.get("id") == inquiry.destination.ad_account), None)
    if own is not None:  # what stands in this list is given, not asked for
        return {"access_status": "CONFIRMED", **own}, lent
    pending = pending_accounts(inquiry) if partners.refused else None
    if pending is not None:
        return {"access_status": "PENDING", **pending}, lent
    return None, partners


def check_partner_status(inquiry: Inquiry) -> Finding:
    """Check 10: the agency access is confirmed."""
    if inquiry.relationship == "owner":
        return Finding("owner", inquiry.account, ("OWNER",))
    if inquiry.relationship != "agency":
        return Finding("unclear" if inquiry.relationship == "unknown" else "no_partnership", inquiry.account)
    row, answer = our_row(inquiry)
    status = str((row or {}).get("access_status") or "")
    word = next((word for part, word in _BY_STATUS if part in status.upper()), "unclear")
    return Finding(word, inquiry.account, (status,) if status else (), answer=answer)


# Statuses are open-ended: anything with PENDING in it is pending, CONFIRMED is active (meta-graph-api.md §6).
_BY_STATUS: Final = (
    ("PENDING", "pending"),
    ("DECLINED", "declined"),
    ("EXPIRED", "expired"),
    ("CONFIRMED", "ok"),
)


def check_partner_tasks(inquiry: Inquiry) -> Finding:
    """Check 12: the agency has ADVERTISE, and MANAGE only for a reason."""
    if inquiry.relationship == "owner":
        return Finding("owner", inquiry.account, ("OWNER",))
    if inquiry.relationship != "agency":
        return Finding("unclear" if inquiry.relationship == "unknown" else "no_partnership", inquiry.account)
    row, answer = our_row(inquiry)
    if row is None or "permitted_tasks" not in row:
        return Finding("unclear", inquiry.account, answer=answer)
    tasks = words_of(row["permitted_tasks"])
    reason = inquiry.policy.manage_reason or (inquiry.grant.reason if inquiry.grant else None)
    if "MANAGE" in tasks:
        return Finding("ok" if reason else "manage", inquiry.account, tasks, answer=answer)
    return Finding("ok" if "ADVERTISE" in tasks else "too_few", inquiry.account, tasks, answer=answer)


def check_user_tasks(inquiry: Inquiry) -> Finding:
    """Check 13: the token's own person or system user may advertise on the account."""
    account = inquiry.read_account()
    tasks, answer = words_of(account.node.get("user_tasks")), account
    if not tasks:
        assigned = _assigned(inquiry)
        if assigned is None or assigned.refused:
            return Finding("unclear", inquiry.account, answer=assigned or account)
        user = inquiry.facts.get("user_id")
        mine = (row for row in assigned.rows if str(row.get("id")) == user)
        tasks, answer = words_of(next(mine, {}).get("tasks")), assigned
    return Finding("ok" if ENOUGH_FOR_USERS & set(tasks) else "too_few", inquiry.account, tasks, answer=answer)


def _assigned(inquiry: Inquiry) -> Answer | None:
    business = inquiry.agency or inquiry.owner
    if business is None or not inquiry.facts.get("user_id"):
        return None
    edge = f"{inquiry.destination.ad_account}/assigned_users"
    return inquiry.reads.rows(edge, business=business.id, fields="id,tasks", limit=_PAGE)
