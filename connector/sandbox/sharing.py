"""Sharing an audience with other ad accounts, and edges of audiences that are always empty here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.sandbox import rules
from connector.sandbox.audience_fields import owner
from connector.sandbox.audiences import may_change
from connector.sandbox.call import Call, Json, Listing
from connector.sandbox.refusals import invalid, missing

if TYPE_CHECKING:
    from connector.sandbox.world import Audience


def share(call: Call, audience: Audience) -> Json:
    """Answer ``POST <audience>/adaccounts``: both accounts must belong to a business."""
    may_change(call, audience)
    given = call.parameters
    wanted = given.names("adaccounts")
    if not wanted:
        raise missing("adaccounts")
    permission = given.text("permissions") or "targeting_and_insights"
    if permission not in {"targeting", "targeting_and_insights"}:
        raise invalid("Param permissions must be one of {targeting, targeting_and_insights}")
    ids = [name if name.startswith("act_") else f"act_{name}" for name in wanted]
    for name in ids:
        account = call.world.accounts.get(name)
        if account is None or account.business is None or name == audience.account:
            raise invalid("Param adaccounts must be ad accounts that belong to a business")
    if given.flag("replace"):
        audience.shared_with.clear()
    audience.shared_with.update(dict.fromkeys(ids, permission))
    return {"success": True, "sharing_data": [{"ad_acct_id": name.removeprefix("act_")} for name in ids]}


def unshare(call: Call, audience: Audience) -> Json:
    """Answer ``DELETE <audience>/adaccounts``."""
    may_change(call, audience)
    wanted = call.parameters.names("adaccounts")
    if not wanted:
        raise missing("adaccounts")
    for name in wanted:
        audience.shared_with.pop("act_" + name.removeprefix("act_"), None)
    return {"success": True}


def list_shared(call: Call, audience: Audience) -> Listing:
    """Answer ``GET <audience>/adaccounts``."""
    rules.may_read(call, owner(call, audience))
    only = call.parameters.text("permissions")
    chosen = [name for name, permission in audience.shared_with.items() if not only or only == permission]
    return Listing([{"id": name} for name in chosen])


def shared_account_info(call: Call, audience: Audience) -> Listing:
    """Answer ``GET <audience>/shared_account_info``."""
    rules.may_read(call, owner(call, audience))
    shown = []
    for name in audience.shared_with:
        account = call.world.accounts[name]
        business = call.world.businesses.get(account.business or "")
        shown.append(
            {
                "account_id": account.account_id,
                "account_name": account.name,
                "business_id": business.id if business else None,
                "business_name": business.name if business else None,
                "sharing_status": "ACTIVE",
            }
        )
    return Listing(shown)


def list_nothing(call: Call, audience: Audience) -> Listing:
    """Answer edges that exist but are always empty here."""
    rules.may_read(call, owner(call, audience))
    return Listing([])
