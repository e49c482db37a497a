"""Check 14: no on-behalf-of (OBO) request between our business and the client stands in the way.

Source: access.md §2 row 14, meta-graph-api.md §6. Statuses are open-ended: an unknown one fails, it is never taken for a yes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connector.access.inquiry import Finding, party

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.access.findings import Party
    from connector.access.inquiry import Inquiry
    from connector.access.reads import Answer

# The edge wants one status a call. An approval settles the matter, so it is asked first and may be the only call.
ASKED: Final = ("APPROVE", "IN_PROGRESS", "DECLINE")
_WORDS: Final = {"APPROVE": "approved", "IN_PROGRESS": "in_progress", "DECLINE": "declined"}
_FIELDS: Final = "id,status,receiving_business{id,name},requesting_business{id,name}"


def check_obo(inquiry: Inquiry) -> Finding:
    """Check 14: no on-behalf-of request between our business and the owner is open or declined, or one is approved."""
    requests: list[Mapping[str, Any]] = []
    answer: Answer | None = None
    for status in ASKED:
        edge = f"{inquiry.destination.ad_account}/onbehalf_requests"
        answer = inquiry.reads.rows(edge, status=status, fields=_FIELDS)
        if answer.refused:
            return Finding("unclear", inquiry.account, answer=answer)
        requests = [row for row in answer.rows if _is_ours(inquiry, row)]
        if requests:
            break
    if requests:
        return _of_request(inquiry, requests[0], answer)
    if inquiry.relationship == "owner":
        return Finding("own_account", inquiry.account, ("none",), answer=answer)
    return Finding("ok", inquiry.account, ("none",), answer=answer)


def _of_request(inquiry: Inquiry, request: Mapping[str, Any], answer: Answer | None) -> Finding:
    status, other = str(request.get("status") or ""), _other(inquiry, request)
    word, number = _WORDS.get(status, "other"), str(request.get("id") or "")
    receiver = party(request.get("receiving_business"))
    if word == "in_progress" and receiver is not None and receiver.id == _our_id(inquiry):
        word = "in_progress_ours"
    values = {"request": number, "status": status, "other": other.name or other.id if other else "?"}
    facts = {"on_behalf_of": {"id": other.id, "name": other.name}} if other and word == "approved" else {}
    return Finding(word, inquiry.account, (f"{status}:{number}",), values, answer=answer, facts=facts)


def _is_ours(inquiry: Inquiry, request: Mapping[str, Any]) -> bool:
    """Whether the request is between our business and the owner; of our own account, any that names us."""
    ours = _our_id(inquiry)
    pair = {one.id for one in _parties(request)}
    if ours is None:
        return inquiry.owner is not None and inquiry.owner.id in pair
    if inquiry.owner is None or inquiry.owner.id == ours:
        return ours in pair
    return pair == {ours, inquiry.owner.id}


def _other(inquiry: Inquiry, request: Mapping[str, Any]) -> Party | None:
    return next((one for one in _parties(request) if one.id != _our_id(inquiry)), None)


def _parties(request: Mapping[str, Any]) -> list[Party]:
    both = (party(request.get("receiving_business")), party(request.get("requesting_business")))
    return [one for one in both if one is not None]


def _our_id(inquiry: Inquiry) -> str | None:
    return inquiry.agency.id if inquiry.agency else None
