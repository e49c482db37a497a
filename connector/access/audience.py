"""Checks 18 to 20: the audience is ours to fill, ready to be filled, and not flagged by Meta.

Source: access.md §2 rows 18 to 20, meta-graph-api.md §1.2 and §1.7.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from connector.access.findings import Asset
from connector.access.inquiry import Finding, number_of, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.access.inquiry import Inquiry
    from connector.access.reads import Answer

_FIELDS: Final = (
    "id,name,description,account_id,subtype,is_value_based,permission_for_actions,operation_status,"
    "fields_violating_integrity_policy"
)
MOST_AUDIENCES: Final = 500
NEARLY: Final = 480
GONE_CODES: Final = frozenset({1487301, 1487366, 803})

# operation_status.code to the outcome: access.md §2 row 19.
OPERATION: Final[dict[int, str]] = {
    200: "ok",
    410: "ok",
    441: "ok",
    414: "replacing",
    470: "owner_inactive",
    471: "flagged",
    500: "needs_action",
    **dict.fromkeys((0, 100, 400, 411, 412, 415, 450), "attention"),
}

# Words in a name that make Meta look twice: health and money troubles, in our three languages.
SUSPICIOUS: Final = re.compile(
    r"\b(?:hiv|aids|cancer|tumou?r|diabet|obes|depress|anxiety|pregnan|fertility|infertil|disab(?:led|ility)|addict"
    r"|alcoholi|patients?\b|disease|disorder|medical|medication|bankrupt|insolven|debt|overdraft|arrears"
    r"|payday|low[ _-]?income|credit[ _-]?(?:score|risk)|poor[ _-]?credit|foreclos"
    r"|vih\b|sida\b|cancer|tumeur|diabèt|dépress|enceinte|grossesse|handicap|maladie|malade|alcooli"
    r"|surendett|dettes?\b|faillite|interdit bancaire|bas revenus)"
    r"|糖尿病|がん患者|癌|うつ病|鬱病|妊娠|不妊|障害者|患者|病気|疾患|依存症|借金|債務|破産|低所得|滞納",
    re.IGNORECASE,
)


def check_audience(inquiry: Inquiry) -> Finding:
    """Check 18: the audience is a customer list of this account that we may edit, or there is room for a new one."""
    if inquiry.counts_audiences:
        return _room(inquiry)
    if inquiry.destination.audience_id is None:
        return Finding("not_chosen", inquiry.account)
    answer, asset = _read(inquiry), _asset(inquiry)
    if answer.refusal is not None:
        refusal = answer.refusal
        gone = (refusal.code, refusal.subcode) == (100, 33) or {refusal.code, refusal.subcode} & GONE_CODES
        return Finding("gone" if gone else "unreadable", asset, (str(refusal.code),), answer=answer)
    node = answer.node
    values = {"name": str(node.get("name") or "")}
    word, found = _wrong_with(inquiry, node)
    return Finding(word, asset, found, values, answer=answer)


def _wrong_with(inquiry: Inquiry, node: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    actions = node.get("permission_for_actions")
    account = str(node.get("account_id") or "")
    subtype = str(node.get("subtype") or "")
    value_based = bool(node.get("is_value_based", False))
    if subtype != "CUSTOM":
        return "other_kind", (subtype or "?",)
    if account != inquiry.destination.ad_account.removeprefix("act_"):
        return "shared", (f"act_{account}",)
    if value_based != inquiry.destination.value_based:
        return "value_mismatch", ("value_based" if value_based else "not_value_based",)
    if isinstance(actions, dict) and actions.get("can_edit") is False and _code(node) != 471:
        return "cannot_edit", ("can_edit:false",)
    return "ok", ("CUSTOM", "can_edit")


def _room(inquiry: Inquiry) -> Finding:
    edge = f"{inquiry.destination.ad_account}/customaudiences"
    # Ids only, so pages may be far larger than the 20 Meta advises for whole audiences.
    answer = inquiry.reads.rows(edge, fields="id,subtype,account_id", limit="500")
    if answer.refused:
        return Finding("unreadable", inquiry.account, answer=answer)
    own = {inquiry.destination.ad_account.removeprefix("act_"), ""}
    count = sum(row.get("subtype") == "CUSTOM" and str(row.get("account_id") or "") in own for row in answer.rows)
    word = "full" if count >= MOST_AUDIENCES else "nearly_full" if count >= NEARLY else "room"
    return Finding(word, inquiry.account, (str(count),), {"count": str(count)}, (f"<{MOST_AUDIENCES}",), answer)


def check_operation_status(inquiry: Inquiry) -> Finding:
    """Check 19: Meta is not in the middle of a replacement and has not stopped the audience."""
    if inquiry.counts_audiences or inquiry.destination.audience_id is None:
        return Finding("not_chosen", _asset(inquiry))
    answer, asset = _read(inquiry), _asset(inquiry)
    code = _code(answer.node)
    if code is None:
        return Finding("unclear", asset, answer=answer)
    status = answer.node.get("operation_status")
    says = str(status.get("description") or "") if isinstance(status, dict) else ""
    return Finding(
        OPERATION.get(code, "unclear"), asset, (str(code),), {"says": says, "code": str(code)}, answer=answer
    )


def check_flags(inquiry: Inquiry) -> Finding:
    """Check 20: Meta has not flagged the audience, and its name gives no reason to."""
    asset, answer = _asset(inquiry), None
    texts = [inquiry.destination.creating_title or inquiry.destination.audience_name or ""]
    if inquiry.destination.audience_id is not None and not inquiry.counts_audiences:
        answer = _read(inquiry)
        if answer.refused:
            return Finding("unclear", asset, answer=answer)
        fields = words_of(answer.node.get("fields_violating_integrity_policy"))
        if _code(answer.node) == 471 or fields:
            return Finding("flagged", asset, ("471", *fields), {"fields": ", ".join(fields) or "–"}, answer=answer)
        texts = [str(answer.node.get("name") or ""), str(answer.node.get("description") or "")]
    elif not any(texts):
        return Finding("not_chosen", asset)
    hit = next((found[0] for text in texts if (found := SUSPICIOUS.search(text))), None)
    if hit:
        return Finding("suspicious", asset, (hit,), {"word": hit}, answer=answer)
    return Finding("ok", asset, ("none",), answer=answer)


def _read(inquiry: Inquiry) -> Answer:
    return inquiry.reads.node(inquiry.destination.audience_id or "", fields=_FIELDS)


def _asset(inquiry: Inquiry) -> Asset:
    return Asset("audience", None if inquiry.counts_audiences else inquiry.destination.audience_id)


def _code(node: Mapping[str, Any]) -> int | None:
    """Read ``code``, or ``status`` as one of Meta's samples has it (meta-graph-api.md §1.2)."""
    status = node.get("operation_status")
    if not isinstance(status, dict):
        return None
    return number_of(status.get("code", status.get("status")))
