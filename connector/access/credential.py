"""Checks 1 to 4: the token, what its person granted, and the app it belongs to.

The token itself is handed to ``debug_token`` and nowhere else; findings hold the person's id at most.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from connector.access.findings import Asset
from connector.access.inquiry import Finding, number_of, time_of, words_of
from connector.access.reads import APP_CODES, TOKEN_CODES, Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.access.inquiry import Inquiry

NEEDED: Final = "ads_management"
BUSINESS: Final = "business_management"
READ_ONLY: Final = "ads_read"
SOON: Final = timedelta(days=7)

# Words by subcode of 190: meta-graph-api.md §8.
BY_SUBCODE: Final = {
    458: "app_removed",
    459: "checkpoint",
    460: "password",
    463: "expired",
    464: "unconfirmed",
    467: "logged_out",
    492: "page_role",
}
APP_WORDS: Final = {104: "secret", 270: "development"}


def check_token(inquiry: Inquiry) -> Finding:
    """Check 1: the token is valid for more than a week."""
    inspected = _inspected(inquiry)
    if inspected is None:
        return _token_by_me(inquiry)
    kind, data = str(inspected.node.get("type", "")), inspected.node
    asset = Asset("token", _text(data.get("user_id")))
    facts = {"token_kind": kind, "user_id": asset.id}
    if data.get("is_valid") is not True:
        error = data.get("error")
        subcode = number_of(error.get("subcode")) if isinstance(error, dict) else None
        return _invalid(asset, subcode, inspected, system=kind == "SYSTEM_USER")
    ends = [end for end in (time_of(data.get("expires_at")), time_of(data.get("data_access_expires_at"))) if end]
    if ends and min(ends) - inquiry.now <= SOON:
        word = "system_ends_soon" if kind == "SYSTEM_USER" else "ends_soon"
        day = min(ends).date().isoformat()
        return Finding(word, asset, (day,), {"day": day}, answer=inspected, facts=facts)
    found = (f"valid_until:{min(ends).date().isoformat()}",) if ends else ("valid",)
    return Finding("ok", asset, found, answer=inspected, facts=facts)


def _token_by_me(inquiry: Inquiry) -> Finding:
    me = inquiry.reads.node("me", fields="id")
    asset = Asset("token", _text(me.node.get("id")))
    if me.refusal is None:
        return Finding("ok_no_end", asset, ("valid",), answer=me, facts={"user_id": asset.id})
    if me.refusal.code in TOKEN_CODES:
        return _invalid(asset, me.refusal.subcode, me, system=False)
    return Finding("unclear", asset, answer=me)


def _invalid(asset: Asset, subcode: int | None, answer: Answer, *, system: bool) -> Finding:
    word = BY_SUBCODE.get(subcode or 0, "invalid")
    if system and word in {"expired", "invalid", "logged_out", "app_removed"}:
        word = "system_invalid"
    found = (f"190/{subcode}",) if subcode else ("invalid",)
    return Finding(word, asset, found, answer=answer)


def check_scopes(inquiry: Inquiry) -> Finding:
    """Check 2: ``ads_management`` is granted, and ``business_management`` for what concerns partners."""
    asset = Asset("token", inquiry.facts.get("user_id"))
    inspected = _inspected(inquiry)
    granted = set(words_of(inspected.node.get("scopes"))) if inspected else set()
    answer, declined = inspected, set[str]()
    if not {NEEDED, BUSINESS} <= granted:
        answer = inquiry.reads.rows("me/permissions")
        if not answer.refused:
            granted = {str(row.get("permission")) for row in answer.rows if row.get("status") == "granted"}
            declined = {str(row.get("permission")) for row in answer.rows if row.get("status") == "declined"}
        elif inspected is None:
            return Finding("unclear", asset, answer=answer)
    found = tuple(sorted(granted & {NEEDED, BUSINESS, READ_ONLY}))
    facts = {"business_management": BUSINESS in granted, "reads_ads": bool(granted & {NEEDED, READ_ONLY})}
    if NEEDED not in granted:
        word = "declined" if NEEDED in declined else "only_read" if READ_ONLY in granted else "missing"
    else:
        word = "ok" if BUSINESS in granted else "no_business"
    return Finding(word, asset, found, answer=answer, facts=facts)


def check_granular(inquiry: Inquiry) -> Finding:
    """Check 3: the consent to ``ads_management`` is not limited to other accounts or businesses."""
    asset = inquiry.account
    inspected = _inspected(inquiry)
    if inspected is None:
        return Finding("unclear", asset)
    targets = _targets(inspected.node)
    if targets is None:
        return Finding("ok_all", asset, ("all",), answer=inspected)
    names = {asset.id or "", (asset.id or "").removeprefix("act_"), inquiry.destination.business or ""}
    if not names & targets:  # the owner's id costs a read, so it is asked last
        owner = inquiry.read_account().node.get("business")
        names.add(str(owner.get("id")) if isinstance(owner, dict) else "")
    word = "ok" if (names - {""}) & targets else "not_ticked"
    return Finding(word, asset, tuple(sorted(targets)), answer=inspected)


def _targets(data: Mapping[str, object]) -> set[str] | None:
    """Give the ids the consent to ``ads_management`` is limited to, or nothing when it covers all."""
    scopes = data.get("granular_scopes")
    for scope in scopes if isinstance(scopes, list) else ():
        if isinstance(scope, dict) and scope.get("scope") == NEEDED and "target_ids" in scope:
            return set(words_of(scope["target_ids"]))
    return None


def check_app(inquiry: Inquiry) -> Finding:
    """Check 4: the app may use the Marketing API, its secret fits, and its tier carries an export.

    Evidence beats settings: an id that does not fit the token is no failure as long as Meta takes the calls.
    """
    debug, inspected = inquiry.reads.inspected(), _inspected(inquiry)
    of_token = _text(inspected.node.get("app_id")) if inspected else None
    asset = Asset("app", of_token or inquiry.app_id)
    account = inquiry.read_account()
    if account.refusal is not None:
        code = account.refusal.code
        if code in APP_CODES:
            return Finding(APP_WORDS.get(code, "capability"), asset, (str(code),), answer=account)
        if _is_bare_100(account) and _is_bare_100(inquiry.reads.node("me", fields="id")):
            return Finding("secret" if debug is not None else "proof", asset, ("100",), answer=debug or account)
    if debug is not None and debug.refusal is not None:
        return Finding("other_app", asset, (f"debug_token:{debug.refusal.code}",), answer=debug)
    tier = inquiry.reads.tier
    word = {"standard_access": "ok", "development_access": "limited"}.get(tier or "", "tier_unseen")
    return Finding(word, asset, (tier,) if tier else (), answer=account)


def _is_bare_100(answer: Answer) -> bool:
    """A missing or wrong ``appsecret_proof`` is code 100 without a subcode, on every call (meta-graph-api.md §4.5)."""
    return answer.refusal is not None and (answer.refusal.code, answer.refusal.subcode) == (100, None)


def _inspected(inquiry: Inquiry) -> Answer | None:
    """What ``debug_token`` says of the token, or nothing when it was not or could not be asked."""
    answer = inquiry.reads.inspected()
    return None if answer is None or answer.refused or not answer.node else answer


def _text(value: object) -> str | None:
    return str(value) if value else None
