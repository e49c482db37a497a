"""Ad accounts: their fields, and the edges that are neither audiences nor partners.

Owns ``act_<id>`` reads, data terms and assigned people. Audiences and agencies have their own modules.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from connector.sandbox import rules
from connector.sandbox.call import Call, Json, Listing
from connector.sandbox.refusals import Refusal, forbidden, invalid, missing

if TYPE_CHECKING:
    from connector.sandbox.world import AdAccount, Asset, User

TERMS_ID = "1"
TERMS_TEXT = "Custom Audience terms: you have the right to send these people's hashed identifiers."


def iso(seconds: float) -> str:
    """Write a time as Meta does outside audiences: ``2026-02-18T00:00:00+0000``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def account_of(call: Call, account_id: str) -> AdAccount:
    """Find an ad account by ``act_…`` or bare digits, or say 100."""
    account = call.world.accounts.get("act_" + account_id.removeprefix("act_"))
    if account is None:
        raise invalid("Ad account does not exist")
    return account


def read_business(call: Call, account: AdAccount) -> Any:
    """Give the owning business, absent for personal accounts."""
    return call.world.businesses.get(account.business) if account.business else None


def tos_accepted(call: Call, account: AdAccount) -> Json:
    """Say whether anybody accepted the terms for the account's business."""
    return {"custom_audience_tos": 1} if rules.account_terms(call, account) else {}


def user_tos_accepted(call: Call, account: AdAccount) -> Json:
    """Say whether this person accepted them; system users cannot be asked."""
    if call.token is None or call.token.kind != "USER" or call.user is None:
        raise invalid("user_tos_accepted needs a user access token")
    business = call.world.businesses.get(account.business or "")
    return {"custom_audience_tos": 1} if business is not None and call.user.id in business.terms else {}


def user_tasks(call: Call, account: AdAccount) -> list[str]:
    """List the calling person's tasks."""
    return rules.tasks_on(call.user, account) if call.user else []


def funding(call: Call, account: AdAccount) -> Any:
    """Describe the payment method; needs the MANAGE task and an open account."""
    if account.account_status in rules.CLOSED or "MANAGE" not in user_tasks(call, account):
        return None
    return {"id": "1" + account.account_id, "display_string": "Visa *4242", "type": 1}


FIELDS = {
    "id": lambda _call, account: account.id,
    "account_id": lambda _call, account: account.account_id,
    "name": lambda _call, account: account.name,
    "account_status": lambda _call, account: account.account_status,
    "disable_reason": lambda _call, account: account.disable_reason,
    "currency": lambda _call, account: account.currency,
    "timezone_id": lambda _call, _account: 57,
    "timezone_name": lambda _call, account: account.timezone_name,
    "timezone_offset_hours_utc": lambda _call, _account: 1,
    "spend_cap": lambda _call, account: account.spend_cap,
    "amount_spent": lambda _call, _account: "0",
    "balance": lambda _call, _account: "0",
    "business": read_business,
    "business_name": lambda call, account: getattr(read_business(call, account), "name", None),
    "business_country_code": lambda _call, _account: "FR",
    "owner": lambda _call, account: account.business or "1000",
    "owner_business": read_business,
    "end_advertiser": lambda _call, _account: "NONE",
    "end_advertiser_name": lambda _call, account: account.name,
    "media_agency": lambda _call, _account: "NONE",
    "partner": lambda _call, _account: "NONE",
    "funding_source": lambda call, account: (funding(call, account) or {}).get("id"),
    "funding_source_details": funding,
    "user_tasks": user_tasks,
    "user_role": lambda call, account: "1001" if "MANAGE" in user_tasks(call, account) else "1002",
    "capabilities": lambda _call, account: account.capabilities,
    "tos_accepted": tos_accepted,
    "user_tos_accepted": user_tos_accepted,
    "is_personal": lambda _call, account: 1 if account.business is None else 0,
    "is_prepay_account": lambda _call, _account: False,
    "created_time": lambda _call, account: iso(account.created),
    "age": lambda call, account: round((call.world.now() - account.created) / 86_400, 2),
    "min_daily_budget": lambda _call, _account: 100,
    "tax_id_status": lambda _call, _account: 0,
    "extended_credit_invoice_group": lambda _call, _account: None,
    "failed_delivery_checks": lambda _call, _account: [],
    "user_access_expire_time": lambda _call, _account: None,
}


def read_account(call: Call, account: AdAccount) -> Any:
    """Answer ``GET act_<id>``."""
    rules.may_read(call, account)
    return account


def list_terms(call: Call, account: AdAccount) -> Listing:
    """Answer ``GET act_<id>/customaudiencestos``."""
    rules.may_read(call, account)
    return Listing([{"id": TERMS_ID, "content": TERMS_TEXT, "type": "CUSTOM_AUDIENCE_TOS"}])


def accept_terms(call: Call, account: AdAccount) -> Json:
    """Answer ``POST act_<id>/customaudiencestos``: a real person accepts, for the business that owns the account."""
    rules.need_scope(call, "ads_management")
    if call.parameters.needed("tos_id") != TERMS_ID:
        raise invalid("Invalid tos_id")
    user = call.user
    business = call.world.businesses.get(account.business or "")
    if business is None:
        raise Refusal(200, subcode=1870050)
    asked_for = call.parameters.text("business_id")
    if asked_for and asked_for != business.id and asked_for not in account.agencies:
        raise invalid("The business has no access to this ad account")
    if user is None or user.kind != "USER":
        raise forbidden("System users cannot accept terms; a person of the business must")
    business.terms[user.id] = int(call.world.now())
    return {"success": True}


def list_assigned(call: Call, account: AdAccount) -> Listing:
    """Answer ``GET act_<id>/assigned_users?business=``: people of one business with tasks on the account."""
    rules.need_scope(call, "business_management")
    business = call.world.businesses.get(call.parameters.needed("business"))
    if business is None:
        raise invalid("Param business must be a business with access to the ad account")
    people = [
        user
        for user in call.world.users.values()
        if business.id in user.roles and (account.id in user.accounts or account.business == business.id)
    ]
    shown = [
        {
            "id": user.id,
            "name": user.name,
            "user_type": "system_user" if user.kind == "SYSTEM_USER" else "business_user",
            "business": {"id": business.id, "name": business.name},
            "tasks": rules.tasks_on(user, account),
            "permitted_tasks": rules.tasks_on(user, account),
        }
        for user in people
    ]
    return Listing(shown, total=len(shown))


def _person(call: Call) -> User:
    user = call.world.users.get(call.parameters.needed("user"))
    if user is None:
        raise invalid("Param user must be a user of a business")
    return user


def assign(call: Call, account: AdAccount) -> Json:
    """Answer ``POST act_<id>/assigned_users``: an admin of a business with access gives one of its people tasks."""
    rules.need_scope(call, "business_management")
    user = _person(call)
    tasks = call.parameters.names("tasks")
    if not tasks:
        raise missing("tasks")
    if set(tasks) - set(rules.ALL_TASKS):
        raise invalid("Param tasks must be one of {MANAGE, ADVERTISE, ANALYZE, DRAFT, AA_ANALYZE}")
    if "MANAGE" in tasks and "ADVERTISE" not in tasks:
        raise Refusal(100, subcode=1752129)
    _admin_over(call, account, user)
    user.accounts[account.id] = tasks
    return {"success": True}


def unassign(call: Call, account: AdAccount) -> Json:
    """Answer ``DELETE act_<id>/assigned_users``."""
    rules.need_scope(call, "business_management")
    user = _person(call)
    _admin_over(call, account, user)
    user.accounts.pop(account.id, None)
    user.direct.discard(account.id)
    return {"success": True}


def _admin_over(call: Call, account: AdAccount, user: User) -> None:
    """Insist that the caller is an admin of a business that has the account and the person."""
    caller = call.user
    having = {
        account.business,
        *(name for name, grant in account.agencies.items() if grant.access_status == "CONFIRMED"),
    }
    shared = {name for name in user.roles if name in having}
    if caller is None or not any(caller.roles.get(name) == "ADMIN" for name in shared):
        raise Refusal(2620, "(#2620) Invalid call to update account permissions")


def linked_assets(kind: str) -> Any:
    """Make the answer to ``GET act_<id>/adspixels`` and its like: assets of one kind linked to the account."""

    def answer(call: Call, account: AdAccount) -> Listing:
        rules.may_read(call, account)
        found: list[Asset] = [
            asset for asset in call.world.assets.values() if asset.kind == kind and account.id in asset.accounts
        ]
        return Listing(found)

    return answer


def list_people(call: Call, account: AdAccount) -> Listing:
    """Answer ``GET act_<id>/users``."""
    rules.may_read(call, account)
    people = [user for user in call.world.users.values() if rules.tasks_on(user, account)]
    shown = [{"id": user.id, "name": user.name, "tasks": rules.tasks_on(user, account)} for user in people]
    return Listing(shown)


def list_nothing(call: Call, account: AdAccount) -> Listing:
    """Answer edges that exist but are always empty here."""
    rules.may_read(call, account)
    return Listing([])
