"""Businesses: their fields, their people, and the lists of what they own, may use, or have asked for.

Granting and taking back stands in ``partners``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connector.sandbox import rules
from connector.sandbox.accounts import FIELDS as ACCOUNT_FIELDS
from connector.sandbox.accounts import account_of, iso
from connector.sandbox.call import Call, Json, Listing
from connector.sandbox.oauth import give_token_of
from connector.sandbox.partners import Partner, grants_to, kind_of, other_business, request_access
from connector.sandbox.refusals import forbidden, invalid
from connector.sandbox.world import AdAccount, Asset, Business, Grant, User

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Member:
    """One person or system user of a business, in that role."""

    user: User
    business: Business


@dataclass(frozen=True, slots=True)
class LentAccount:
    """One ad account of a client with the grant an agency has on it."""

    asset: AdAccount
    grant: Grant


@dataclass(frozen=True, slots=True)
class LentAsset:
    """One other asset of a client with the grant an agency has on it."""

    asset: Asset
    grant: Grant


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for an asset that has not been answered."""

    asset: AdAccount | Asset
    grant: Grant


def _two_factor(call: Call, business: Business) -> str:
    rules.need_scope(call, "business_management")
    return business.two_factor_type


def _page_token(call: Call, asset: Asset) -> str | None:
    """Give a Page's token to a member of its business."""
    if asset.kind != "page" or call.user is None or asset.business not in call.user.roles:
        return None
    return next((token.value for token in call.world.tokens.values() if token.page == asset.id), None)


FIELDS = {
    "id": lambda _call, business: business.id,
    "name": lambda _call, business: business.name,
    "verification_status": lambda _call, business: business.verification_status,
    "two_factor_type": _two_factor,
    "created_time": lambda _call, business: iso(business.created),
    "updated_time": lambda _call, business: iso(business.created),
    "timezone_id": lambda _call, _business: 57,
    "link": lambda _call, business: f"https://business.facebook.com/{business.id}",
    "is_hidden": lambda _call, _business: False,
    "primary_page": lambda _call, _business: None,
    "vertical": lambda _call, _business: "RETAIL",
}
MEMBER_FIELDS = {
    "id": lambda _call, member: member.user.id,
    "name": lambda _call, member: member.user.name,
    "role": lambda _call, member: member.user.roles[member.business.id],
    "two_fac_status": lambda _call, member: member.user.two_fac_status,
    "email": lambda _call, member: member.user.email,
    "business": lambda _call, member: member.business,
}
ASSET_FIELDS = {
    "id": lambda _call, asset: asset.id,
    "name": lambda _call, asset: asset.name,
    "owner_business": lambda call, asset: call.world.businesses.get(asset.business or ""),
    "business": lambda call, asset: call.world.businesses.get(asset.business or ""),
    "last_fired_time": lambda call, asset: iso(call.world.now() - 3600) if asset.kind == "pixel" else None,
    "is_unavailable": lambda _call, asset: False if asset.kind == "pixel" else None,
    "product_count": lambda _call, asset: 12 if asset.kind == "product_catalog" else None,
    "username": lambda _call, asset: asset.name if asset.kind == "instagram_account" else None,
    "access_token": _page_token,
}


def read_business(call: Call, business: Business) -> Any:
    """Answer ``GET <business>``."""
    rules.need_scope(call, "business_management")
    return business


def list_people(kind: str) -> Callable[[Call, Business], Listing]:
    """Make the answer to ``business_users`` or ``system_users``."""

    def answer(call: Call, business: Business) -> Listing:
        rules.in_business(call, business)
        found = [u for u in call.world.users.values() if u.kind == kind and business.id in u.roles]
        return Listing([Member(user, business) for user in found], total=len(found))

    return answer


def list_owned(kind: str) -> Callable[[Call, Business], Listing]:
    """Make the answer to ``owned_ad_accounts``, ``owned_pages`` and their like."""

    def answer(call: Call, business: Business) -> Listing:
        rules.in_business(call, business)
        shelf: dict[str, Any] = _shelf(call, kind)
        found = [asset for asset in shelf.values() if asset.business == business.id]
        return Listing(found, total=len(found))

    return answer


def _shelf(call: Call, kind: str) -> dict[str, Any]:
    if kind == "ad_account":
        return dict(call.world.accounts)
    if kind == "application":
        return {}
    return {asset.id: asset for asset in call.world.assets.values() if asset.kind == kind}


def list_lent(kind: str) -> Callable[[Call, Business], Listing]:
    """Make the answer to ``client_ad_accounts``, ``client_pages`` and their like: confirmed access."""

    def answer(call: Call, business: Business) -> Listing:
        rules.in_business(call, business)
        made = LentAccount if kind == "ad_account" else LentAsset
        lent = [made(asset, grant) for asset, grant in grants_to(_shelf(call, kind), business.id, pending=False)]
        query = call.parameters.text("search_query").lower()
        found = [one for one in lent if query in one.asset.name.lower() or query in one.asset.id]
        return Listing(found, total=len(found))

    return answer


def list_asked(kind: str) -> Callable[[Call, Business], Listing]:
    """Make the answer to ``pending_client_ad_accounts`` and ``pending_client_pages``."""

    def answer(call: Call, business: Business) -> Listing:
        rules.in_business(call, business)
        found = [Asked(asset, grant) for asset, grant in grants_to(_shelf(call, kind), business.id, pending=True)]
        return Listing(found, total=len(found))

    return answer


def list_claimed(kind: str) -> Callable[[Call, Business], Listing]:
    """Make the answer to ``pending_owned_ad_accounts`` and ``pending_owned_pages``."""

    def answer(call: Call, business: Business) -> Listing:
        rules.in_business(call, business)
        accounts = call.world.accounts.values() if kind == "ad_account" else ()
        return Listing([Asked(a, a.own_requests[business.id]) for a in accounts if business.id in a.own_requests])

    return answer


def ask_for_account(call: Call, business: Business) -> Json:
    """Answer ``POST <business>/client_ad_accounts``."""
    rules.in_business(call, business, admin=True)
    return request_access(call, business, account_of(call, call.parameters.needed("adaccount_id")))


def ask_for_page(call: Call, business: Business) -> Json:
    """Answer ``POST <business>/client_pages``."""
    rules.in_business(call, business, admin=True)
    return request_access(call, business, _page(call))


def _page(call: Call) -> Asset:
    page = call.world.assets.get(call.parameters.needed("page_id"))
    if page is None or page.kind != "page":
        raise invalid("Param page_id must be a valid Page id")
    return page


def claim_account(call: Call, business: Business) -> Json:
    """Answer ``POST <business>/owned_ad_accounts``: at once for an admin of the account, else on request."""
    rules.in_business(call, business, admin=True)
    account = account_of(call, call.parameters.needed("adaccount_id"))
    if account.business == business.id:
        return {"access_status": "CONFIRMED"}
    user = call.user
    if account.business is None and user is not None and "MANAGE" in rules.tasks_on(user, account):
        account.business = business.id
        account.own_requests.pop(business.id, None)
        return {"access_status": "CONFIRMED"}
    now = int(call.world.now())
    account.own_requests[business.id] = Grant(call.world.new_id(), business.id, ["MANAGE"], "PENDING", now, now)
    return {"access_status": "PENDING"}


def drop_account(call: Call, business: Business) -> Json:
    """Answer ``DELETE <business>/ad_accounts``: let go of an own account, or of access to a client's."""
    rules.in_business(call, business, admin=True)
    return _drop(business, account_of(call, call.parameters.needed("adaccount_id")))


def drop_page(call: Call, business: Business) -> Json:
    """Answer ``DELETE <business>/pages``."""
    rules.in_business(call, business, admin=True)
    return _drop(business, _page(call))


def _drop(business: Business, asset: AdAccount | Asset) -> Json:
    if asset.business == business.id:
        asset.business = None
    elif asset.agencies.pop(business.id, None) is None:
        raise invalid("The business has no access to this object")
    return {"success": True}


# --- who works with whom -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Agency:
    """A business that may use assets of another one; ``lists`` holds one entry per asset, by kind of asset."""

    business: Business
    lists: dict[str, list[Json]]


@dataclass(frozen=True, slots=True)
class Client:
    """A business whose assets another one may use or has asked for."""

    business: Business
    lists: dict[str, list[Json]]


def _list_named(name: str) -> Callable[[Call, Any], list[Json] | None]:
    return lambda _call, relation: relation.lists.get(name)


RELATION_FIELDS = {
    "id": lambda _call, relation: relation.business.id,
    "name": lambda _call, relation: relation.business.name,
    "verification_status": lambda _call, relation: relation.business.verification_status,
    # Meta documents the first spelling for agencies; the second is what clients are said to have: both may be asked for.
    "adaccount_permissions": _list_named("ad_account"),
    "ad_account_permissions": _list_named("ad_account"),
    "page_permissions": _list_named("page"),
    "productcatalog_permissions": _list_named("product_catalog"),
    "pixel_permissions": _list_named("pixel"),
}
AGENCY_DEFAULT = ("id", "name", "adaccount_permissions", "page_permissions", "productcatalog_permissions")
CLIENT_DEFAULT = ("id", "name", "ad_account_permissions", "page_permissions", "productcatalog_permissions")


def _assets(call: Call) -> list[AdAccount | Asset]:
    return [*call.world.accounts.values(), *call.world.assets.values()]


def list_business_agencies(call: Call, business: Business) -> Listing:
    """Answer ``GET <business>/agencies``: who may use the assets of this business."""
    rules.in_business(call, business)
    found: dict[str, Agency] = {}
    for asset in _assets(call):
        for name, grant in asset.agencies.items() if asset.business == business.id else ():
            agency = found.setdefault(name, Agency(call.world.businesses[name], {}))
            agency.lists.setdefault(kind_of(asset), []).append(_entry(asset, grant))
    return Listing(list(found.values()), total=len(found))


def list_clients(call: Call, business: Business) -> Listing:
    """Answer ``GET <business>/clients``: whose assets this business may use or has asked for."""
    rules.in_business(call, business)
    found: dict[str, Client] = {}
    for asset in _assets(call):
        grant = asset.agencies.get(business.id)
        owner = call.world.businesses.get(asset.business or "")
        if grant is not None and owner is not None:
            client = found.setdefault(owner.id, Client(owner, {}))
            client.lists.setdefault(kind_of(asset), []).append(_entry(asset, grant))
    return Listing(list(found.values()), total=len(found))


def _entry(asset: AdAccount | Asset, grant: Grant) -> Json:
    return {
        "id": asset.id,
        "permitted_tasks": grant.permitted_tasks,
        "access_status": grant.access_status,
        "access_requested_time": iso(grant.requested),
        "access_updated_time": iso(grant.updated),
    }


def drop_agency(call: Call, business: Business) -> Json:
    """Answer ``DELETE <business>/agencies``: take all this business's assets back from one agency."""
    rules.in_business(call, business, admin=True)
    return _part(call, owner=business.id, agency=other_business(call).id)


def drop_client(call: Call, business: Business) -> Json:
    """Answer ``DELETE <business>/clients``: give all of one client's assets back."""
    rules.in_business(call, business, admin=True)
    return _part(call, owner=other_business(call).id, agency=business.id)


def _part(call: Call, *, owner: str, agency: str) -> Json:
    shared = [asset for asset in _assets(call) if asset.business == owner and agency in asset.agencies]
    for asset in shared:
        del asset.agencies[agency]
    if not shared:
        raise invalid("The businesses do not work together")
    return {"success": True}


def list_nothing(call: Call, business: Business) -> Listing:
    """Answer edges that exist but are always empty here."""
    rules.in_business(call, business)
    return Listing([], total=0)


def give_system_token(call: Call, business: Business) -> Json:
    """Answer ``POST <business>/system_user_access_tokens``."""
    rules.in_business(call, business, admin=True)
    user = call.world.users.get(call.parameters.needed("system_user_id"))
    if user is None or user.kind != "SYSTEM_USER" or business.id not in user.roles:
        raise invalid("Param system_user_id must be a system user of the business")
    app = call.app
    if app is None or user.id not in app.installed_on:
        raise forbidden("The app must be installed on the system user first")
    return give_token_of(call, user, app)


def list_asset_agencies(call: Call, asset: Asset) -> Listing:
    """Answer ``GET <pixel>/shared_agencies``."""
    rules.need_scope(call, "business_management")
    return Listing([Partner(call.world.businesses[name], grant) for name, grant in asset.agencies.items()])


def _lent_fields(fields: Mapping[str, Callable[[Call, Any], Any]]) -> dict[str, Callable[[Call, Any], Any]]:
    """Make the fields of a lent asset: its own, and the tasks lent."""

    def through(read: Callable[[Call, Any], Any]) -> Callable[[Call, Any], Any]:
        return lambda call, lent: read(call, lent.asset)

    shown = {name: through(read) for name, read in fields.items()}
    shown["permitted_tasks"] = lambda _call, lent: lent.grant.permitted_tasks
    return shown


LENT_ACCOUNT_FIELDS = _lent_fields(ACCOUNT_FIELDS)
LENT_ASSET_FIELDS = _lent_fields(ASSET_FIELDS)
ASKED_FIELDS = {
    "id": lambda _call, asked: asked.grant.id,
    "ad_account": lambda _call, asked: asked.asset if isinstance(asked.asset, AdAccount) else None,
    "page": lambda _call, asked: None if isinstance(asked.asset, AdAccount) else asked.asset,
    "permitted_tasks": lambda _call, asked: asked.grant.permitted_tasks,
}
