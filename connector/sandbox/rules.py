"""Who may do what: scopes, people and partner access, account status, data terms.

Owns every permission question about ad accounts and businesses, asked in the order Meta asks them. Knows no endpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.sandbox.refusals import Refusal, forbidden, unseen

if TYPE_CHECKING:
    from connector.sandbox.call import Call
    from connector.sandbox.world import AdAccount, Audience, Business, User

ALL_TASKS = ["MANAGE", "ADVERTISE", "ANALYZE", "DRAFT", "AA_ANALYZE"]
WRITING = frozenset({"MANAGE", "ADVERTISE"})
CLOSED = frozenset({2, 100, 101})
TERMS = {1870034: (200, 1870034), 1870090: (200, 1870090), 2663: (2663, None), 2664: (2664, None)}


def linked(user: User, account: AdAccount) -> bool:
    """Say whether one of the person's businesses owns the account or is its confirmed agency."""
    if account.business in user.roles:
        return True
    return any(
        grant.access_status == "CONFIRMED" and business in user.roles for business, grant in account.agencies.items()
    )


def tasks_on(user: User, account: AdAccount) -> list[str]:
    """List the person's own tasks on an account; an admin of its owner has all that matter."""
    if account.business is not None and user.roles.get(account.business) == "ADMIN":
        return ["MANAGE", "ADVERTISE", "ANALYZE"]
    if account.id in user.direct or linked(user, account):
        return list(user.accounts.get(account.id, []))
    return []


def sees_account(call: Call, account: AdAccount) -> bool:
    """Say whether the token can read the account at all; if not, Meta says 100/33."""
    user = call.user
    if user is None or not (call.token and call.token.kind in {"USER", "SYSTEM_USER"}):
        return False
    if tasks_on(user, account):
        return True
    return linked(user, account) and any(
        role == "ADMIN" and (business == account.business or business in account.agencies)
        for business, role in user.roles.items()
    )


def sees_business(call: Call, business: Business) -> bool:
    """Say whether the token can read a business: a member of it, or of one that shares an asset with it."""
    user = call.user
    if user is None:
        return False
    if business.id in user.roles:
        return True
    for account in call.world.accounts.values():
        parties = {account.business, *account.agencies}
        if business.id in parties and parties & set(user.roles):
            return True
    return any(
        business.id in {request.receiving_business, request.requesting_business}
        and {request.receiving_business, request.requesting_business} & set(user.roles)
        for request in call.world.requests.values()
    )


def in_business(call: Call, business: Business, *, admin: bool = False) -> None:
    """Insist on membership of a business and on the scope ``business_management``."""
    need_scope(call, "business_management")
    user = call.user
    if user is None or business.id not in user.roles:
        raise forbidden("Requires business_management permission to manage the object")
    if admin and user.roles[business.id] != "ADMIN":
        raise forbidden("Only an admin of the business may do this")


def need_scope(call: Call, *scopes: str) -> None:
    """Insist on one of these scopes.

    Raises:
        Refusal: 200 with the first scope's name, as Meta words it.
    """
    if call.token is None or not any(call.token.grants(scope) for scope in scopes):
        raise forbidden(f"Requires {scopes[0]} permission to manage the object")


def need_target(call: Call, account: AdAccount, scope: str) -> None:
    """Insist that the consent to a scope, if it was limited to some assets, includes this account."""
    targets = call.token.granular.get(scope) if call.token else None
    allowed = targets is None or account.account_id in targets or (account.business or "") in targets
    if not allowed:
        raise forbidden("Ad account owner has NOT granted ads_management or ads_read permission")


def may_read(call: Call, account: AdAccount) -> None:
    """Insist on everything that reading an account and its audiences needs."""
    need_scope(call, "ads_management", "ads_read")
    held = "ads_management" if call.token and call.token.grants("ads_management") else "ads_read"
    need_target(call, account, held)
    if call.app is not None and call.app.development:
        raise Refusal(270)


def may_write(call: Call, account: AdAccount, refused: Refusal) -> None:
    """Insist on everything that writing audiences of an account needs; ``refused`` is said when tasks are lacking."""
    need_scope(call, "ads_management")
    need_target(call, account, "ads_management")
    if not sees_account(call, account):
        raise unseen(account.id, call.method)
    if call.app is not None and call.app.development:
        raise Refusal(270)
    if account.account_status in CLOSED:
        raise forbidden("The ad account is disabled or closed")
    if account.business is None:
        raise Refusal(200, subcode=1870050)
    if not can_write(call, account):
        raise refused
    if not account_terms(call, account):
        code, subcode = TERMS[call.world.settings.terms_error]
        raise Refusal(code, subcode=subcode)


def can_write(call: Call, account: AdAccount) -> bool:
    """Say whether person and partner access both allow advertising."""
    user = call.user
    if user is None or not WRITING & set(tasks_on(user, account)):
        return False
    if account.business in user.roles:
        return True
    grants = [grant for business, grant in account.agencies.items() if business in user.roles]
    if not grants:
        return account.id in user.direct
    return any(grant.access_status == "CONFIRMED" and WRITING & set(grant.permitted_tasks) for grant in grants)


def account_terms(call: Call, account: AdAccount) -> bool:
    """Say whether somebody accepted the Custom Audience terms for the business that owns the account."""
    business = call.world.businesses.get(account.business or "")
    return business is not None and bool(business.terms)


def can_edit(call: Call, audience: Audience, account: AdAccount) -> bool:
    """Say what ``permission_for_actions.can_edit`` says."""
    return audience.can_edit and audience.subtype == "CUSTOM" and can_write(call, account)
