"""Agency access and on-behalf-of requests: who lent what to whom, asked for, granted, taken back.

Owns the ``agencies`` edges of ad accounts, Pages, pixels and catalogues, and OBO requests (specification §6). Lists of a
business's assets stand in ``business``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connector.sandbox import rules
from connector.sandbox.accounts import iso
from connector.sandbox.call import Call, Json, Listing
from connector.sandbox.refusals import Refusal, forbidden, invalid, missing
from connector.sandbox.world import AdAccount, Asset, Business, Grant, OboRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

TASKS = {
    "ad_account": frozenset({"MANAGE", "ADVERTISE", "ANALYZE", "DRAFT", "AA_ANALYZE"}),
    "page": frozenset(
        [
            "MANAGE",
            "CREATE_CONTENT",
            "MODERATE",
            "ADVERTISE",
            "ANALYZE",
            "DRAFT",
            "MESSAGING",
            "MANAGE_JOBS",
            "VIEW_MONETIZATION_INSIGHTS",
            "MODERATE_COMMUNITY",
            "MANAGE_LEADS",
            "PROFILE_PLUS_FULL_CONTROL",
            "PROFILE_PLUS_ADVERTISE",
            "PROFILE_PLUS_ANALYZE",
        ]
    ),
    "pixel": frozenset({"EDIT", "ANALYZE", "UPLOAD", "ADVERTISE", "AA_ANALYZE"}),
    "product_catalog": frozenset({"MANAGE", "ADVERTISE", "MANAGE_AR", "AA_ANALYZE"}),
    "instagram_account": frozenset({"MANAGE", "ADVERTISE", "ANALYZE"}),
}
ROLES = {"ADMIN": ["MANAGE", "ADVERTISE"], "ADVERTISER": ["ADVERTISE"]}
ANSWERABLE = frozenset({"APPROVE", "DECLINE", "IN_PROGRESS"})
ASKED = "CLIENT_RESPONSE_PENDING"


@dataclass(frozen=True, slots=True)
class Partner:
    """One business in a list of agencies, with its grant."""

    business: Business
    grant: Grant


PARTNER_FIELDS = {
    "id": lambda _call, partner: partner.business.id,
    "name": lambda _call, partner: partner.business.name,
    "verification_status": lambda _call, partner: partner.business.verification_status,
    "access_status": lambda _call, partner: partner.grant.access_status,
    "access_requested_time": lambda _call, partner: iso(partner.grant.requested),
    "access_updated_time": lambda _call, partner: iso(partner.grant.updated),
    "permitted_tasks": lambda _call, partner: partner.grant.permitted_tasks,
}
PARTNER_DEFAULT = tuple(name for name in PARTNER_FIELDS if name != "verification_status")

OBO_FIELDS = {
    "id": lambda _call, request: request.id,
    "status": lambda _call, request: request.status,
    "receiving_business": lambda call, request: call.world.businesses[request.receiving_business],
    "requesting_business": lambda call, request: call.world.businesses[request.requesting_business],
    "business_owned_object": lambda _call, request: request.account.removeprefix("act_"),
}


def kind_of(asset: AdAccount | Asset) -> str:
    """Name the kind of an asset as the table of tasks does."""
    return "ad_account" if isinstance(asset, AdAccount) else asset.kind


def read_tasks(call: Call, kind: str) -> list[str]:
    """Read ``permitted_tasks``; catalogues also take the older ``permitted_roles``.

    Raises:
        Refusal: 100 when none or an unknown one is given, 100/1752129 for MANAGE without ADVERTISE on an ad account.
    """
    tasks = call.parameters.names("permitted_tasks")
    for role in call.parameters.names("permitted_roles"):
        tasks += ROLES.get(role, [role])
    if not tasks:
        raise missing("permitted_tasks")
    if set(tasks) - TASKS[kind]:
        raise invalid("Param permitted_tasks must be one of {" + ", ".join(sorted(TASKS[kind])) + "}")
    if kind == "ad_account" and "MANAGE" in tasks and "ADVERTISE" not in tasks:
        raise Refusal(100, subcode=1752129)
    return list(dict.fromkeys(tasks))


def other_business(call: Call) -> Business:
    """Find the business that ``business`` names."""
    business = call.world.businesses.get(call.parameters.needed("business"))
    if business is None:
        raise invalid("Param business must be a valid business id")
    return business


def sees_asset(call: Call, asset: Asset) -> bool:
    """Say whether the token is the Page's own, or its person is in the owner or in an agency of the asset."""
    if call.token is not None and call.token.page == asset.id:
        return True
    user = call.user
    if user is None:
        return False
    confirmed = {name for name, grant in asset.agencies.items() if grant.access_status == "CONFIRMED"}
    return bool(({asset.business} | confirmed) & set(user.roles))


def list_agencies(call: Call, asset: AdAccount | Asset) -> Listing:
    """Answer ``GET <asset>/agencies``."""
    if not (call.token and call.token.kind == "PAGE"):
        rules.need_scope(call, "business_management")
    partners = [Partner(call.world.businesses[name], grant) for name, grant in asset.agencies.items()]
    return Listing(partners, total=len(partners))


def _owns(call: Call, asset: AdAccount | Asset) -> bool:
    """Say whether the caller speaks for the owner: a Page by its own token, all else by an admin of the business."""
    if kind_of(asset) == "page":
        if call.token is None or call.token.kind != "PAGE" or call.token.page != asset.id:
            raise Refusal(210, "(#210) A page access token is required to request this resource.")
        return True
    rules.need_scope(call, "business_management")
    return call.user is not None and call.user.roles.get(asset.business or "") == "ADMIN"


def grant_access(call: Call, asset: AdAccount | Asset) -> Json:
    """Answer ``POST <asset>/agencies``: the owner grants or approves; a second admin may have to confirm."""
    if not _owns(call, asset):
        raise forbidden("Only the business that owns the object can give agencies access to it")
    business = other_business(call)
    tasks = read_tasks(call, kind_of(asset))
    if asset.business is None:
        raise Refusal(200, subcode=1870050)
    if business.id == asset.business:
        raise invalid("The business owns the object already")
    now = int(call.world.now())
    waits = isinstance(asset, AdAccount) and call.world.businesses[asset.business].requires_admin_approval
    known = asset.agencies.get(business.id)
    grant = known or Grant(call.world.new_id(), business.id, tasks, "PENDING", now, now)
    if known is not None and known.access_status == "CONFIRMED":
        waits = False
    grant.permitted_tasks, grant.updated = tasks, now
    grant.access_status = "PENDING" if waits else "CONFIRMED"
    asset.agencies[business.id] = grant
    return {"success": True, "requires_admin_approval": True} if waits else {"success": True}


def revoke_access(call: Call, asset: AdAccount | Asset) -> Json:
    """Answer ``DELETE <asset>/agencies``: by the owner, or by the agency that gives its access back."""
    business = other_business(call)
    own = call.user is not None and call.user.roles.get(business.id) == "ADMIN"
    if own:
        rules.need_scope(call, "business_management")
    elif not _owns(call, asset):
        raise forbidden("Only the owner or the agency itself can end this access")
    if business.id not in asset.agencies:
        raise invalid("The business is not an agency of this object")
    del asset.agencies[business.id]
    return {"success": True}


def request_access(call: Call, business: Business, asset: AdAccount | Asset) -> Json:
    """Ask the owner of an asset for agency access, as ``POST <business>/client_…`` does."""
    tasks = read_tasks(call, kind_of(asset))
    if asset.business == business.id:
        raise invalid("The business owns the object already")
    known = asset.agencies.get(business.id)
    if known is not None and known.access_status == "CONFIRMED" and set(tasks) <= set(known.permitted_tasks):
        return {"access_status": "CONFIRMED"}
    now = int(call.world.now())
    asset.agencies[business.id] = Grant(call.world.new_id(), business.id, tasks, ASKED, now, now)
    return {"access_status": "PENDING"}


def grants_to(world_assets: dict[str, Any], business: str, *, pending: bool) -> Iterator[tuple[Any, Grant]]:
    """Go through the assets that a business may use as an agency, or has asked for."""
    for asset in world_assets.values():
        grant = asset.agencies.get(business)
        if grant is None:
            continue
        if grant.access_status == "CONFIRMED" if not pending else "PENDING" in grant.access_status:
            yield asset, grant


# --- on behalf of ------------------------------------------------------------------------------------------------------


def sees_request(call: Call, request: OboRequest) -> bool:
    """Say whether the token's person is in one of the two businesses."""
    return call.user is not None and bool(
        {request.receiving_business, request.requesting_business} & set(call.user.roles)
    )


def read_request(call: Call, request: OboRequest) -> Any:
    """Answer ``GET <obo request>``: the bare node."""
    rules.need_scope(call, "business_management")
    return request


def cancel_request(call: Call, request: OboRequest) -> Json:
    """Answer ``DELETE <obo request>``; ``success`` is a text here, as Meta documents."""
    rules.need_scope(call, "business_management")
    if request.status != "IN_PROGRESS":
        raise invalid("The request is not in progress")
    if call.user is None or call.user.roles.get(request.requesting_business) != "ADMIN":
        raise forbidden("Only an admin of the requesting business can cancel the request")
    request.status = "CANCELED"
    return {"success": "true"}


def list_account_requests(call: Call, account: AdAccount) -> Listing:
    """Answer ``GET act_<id>/onbehalf_requests?status=``: the status is required."""
    rules.need_scope(call, "business_management")
    status = call.parameters.text("status")
    if not status:
        raise missing("status")
    if status not in ANSWERABLE:
        raise invalid("Param status must be one of {APPROVE, DECLINE, IN_PROGRESS}")
    return Listing([r for r in call.world.requests.values() if r.account == account.id and r.status == status])


def list_received(call: Call, business: Business) -> Listing:
    """Answer ``GET <business>/received_inprogress_onbehalf_requests``."""
    rules.in_business(call, business)
    found = call.world.requests.values()
    return Listing([r for r in found if r.status == "IN_PROGRESS" and r.receiving_business == business.id])


def list_sent(call: Call, business: Business) -> Listing:
    """Answer ``GET <business>/sent_inprogress_onbehalf_requests``."""
    rules.in_business(call, business)
    found = call.world.requests.values()
    return Listing([r for r in found if r.status == "IN_PROGRESS" and r.requesting_business == business.id])


# --- pixels shared with accounts -----------------------------------------------------------------------------------------


def list_pixel_accounts(call: Call, pixel: Asset) -> Listing:
    """Answer ``GET <pixel>/shared_accounts?business=``."""
    rules.need_scope(call, "business_management")
    business = other_business(call)
    shared = [call.world.accounts[name] for name, held in pixel.shared_accounts.items() if held == business.id]
    return Listing(shared)


def share_pixel(call: Call, pixel: Asset) -> Json:
    """Answer ``POST <pixel>/shared_accounts``: the business must have access to pixel and account already."""
    business, account = _pixel_parties(call, pixel)
    pixel.shared_accounts[account.id] = business.id
    pixel.accounts.add(account.id)
    return {"success": True}


def unshare_pixel(call: Call, pixel: Asset) -> Json:
    """Answer ``DELETE <pixel>/shared_accounts``."""
    _, account = _pixel_parties(call, pixel)
    pixel.shared_accounts.pop(account.id, None)
    pixel.accounts.discard(account.id)
    return {"success": True}


def _pixel_parties(call: Call, pixel: Asset) -> tuple[Business, AdAccount]:
    rules.need_scope(call, "business_management")
    business = other_business(call)
    account = call.world.accounts.get("act_" + call.parameters.needed("account_id").removeprefix("act_"))
    if account is None:
        raise invalid("Param account_id must be a valid ad account id")
    user = call.user
    if user is None or user.roles.get(business.id) != "ADMIN":
        raise forbidden("Only an admin of the business can share the pixel")
    for asset in (pixel, account):
        grant = asset.agencies.get(business.id)
        if asset.business != business.id and (grant is None or grant.access_status != "CONFIRMED"):
            raise forbidden("The business needs access to both the pixel and the ad account")
    return business, account
