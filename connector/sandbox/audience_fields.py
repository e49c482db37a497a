"""What can be read off a Custom Audience: its states, sizes, permissions and other fields.

Owns how they are derived. Knows no endpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connector.sandbox import rules
from connector.sandbox.uploads import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.sandbox.call import Call, Json
    from connector.sandbox.world import AdAccount, Audience, World

STATUS_WORDS = {
    0: "Status not available",
    100: "This audience is expiring: it was not used in an active ad set for over two years.",
    200: "Normal",
    400: "Warning",
    410: "No file uploaded yet",
    411: "Low match rate",
    412: "Many invalid entries in the last upload",
    414: "The audience is being replaced",
    415: "The last replace failed",
    441: "The audience is still populating",
    450: "The audience is out of date",
    470: "The account that created this audience is no longer active",
    471: "This audience was flagged and is restricted",
    500: "The audience has an error that needs action",
}
DELIVERY_WORDS = {200: "This audience is ready for use.", 300: "This audience is too small.", 400: "Unusable."}


def read_status(world: World, audience: Audience) -> int:
    """Say the operation status now: what is pinned, else 414 while a replace runs or settles, else what uploads left."""
    settle(world, audience)
    if audience.status is not None:
        return audience.status
    if audience.replace is not None or audience.settles > world.now():
        return 414
    return audience.computed


def matched(call: Call, audience: Audience) -> int:
    """Say how many members are matched to people, by the share in the settings."""
    settle(call.world, audience)
    size = len(audience.members) if audience.pretend is None else audience.pretend
    return int(size * call.world.settings.matched_share)


def bound(call: Call, audience: Audience, share: float) -> int:
    """Round a size as Meta shows it: hundreds, at least 1000, -1 until the first upload."""
    if audience.computed == 410 and audience.pretend is None:
        return -1
    return max(1000, round(matched(call, audience) * share / 100) * 100)


def delivery(call: Call, audience: Audience) -> Json:
    """Say whether ads can use the audience."""
    code = 300 if matched(call, audience) < 100 else 200
    if read_status(call.world, audience) in {470, 471, 500}:
        code = 400
    return {"code": code, "description": DELIVERY_WORDS[code]}


def owner(call: Call, audience: Audience) -> AdAccount:
    """Give the ad account that owns the audience."""
    return call.world.accounts[audience.account]


def operation_status(call: Call, audience: Audience) -> Json:
    """Show the operation status with its description."""
    code = read_status(call.world, audience)
    return {"code": code, "description": STATUS_WORDS.get(code, "")}


def permissions(call: Call, audience: Audience) -> Json:
    """Show what the caller may do with it."""
    own = rules.can_edit(call, audience, owner(call, audience))
    return {
        "can_edit": own,
        "can_see_insight": "true" if own else "false",
        "can_share": own,
        "subtype_supports_lookalike": True,
        "supports_recipient_lookalike": False,
    }


def _data_source(audience: Audience) -> Json:
    if audience.sub_type is None:
        return {"type": "UNKNOWN", "sub_type": "ANYTHING"}
    return {"type": "FILE_IMPORTED", "sub_type": audience.sub_type}


FIELDS: dict[str, Callable[[Call, Any], Any]] = {
    "id": lambda _call, audience: audience.id,
    "account_id": lambda _call, audience: audience.account.removeprefix("act_"),
    "name": lambda _call, audience: audience.name,
    "description": lambda _call, audience: audience.description,
    "subtype": lambda _call, audience: audience.subtype,
    "customer_file_source": lambda _call, audience: audience.customer_file_source,
    "opt_out_link": lambda _call, audience: audience.opt_out_link or None,
    "approximate_count_lower_bound": lambda call, audience: bound(call, audience, 0.98),
    "approximate_count_upper_bound": lambda call, audience: bound(call, audience, 1.02),
    "operation_status": operation_status,
    "delivery_status": delivery,
    "data_source": lambda _call, audience: _data_source(audience),
    "permission_for_actions": permissions,
    "is_value_based": lambda _call, audience: audience.is_value_based,
    "retention_days": lambda _call, audience: audience.retention_days or 0,
    "lookalike_audience_ids": lambda _call, audience: audience.lookalikes or None,
    "pixel_id": lambda _call, _audience: None,
    "rule": lambda _call, _audience: None,
    "rule_aggregation": lambda _call, _audience: None,
    "lookalike_spec": lambda _call, _audience: None,
    "sharing_status": lambda _call, audience: {"status": "ACTIVE" if audience.shared_with else "NONE"},
    "fields_violating_integrity_policy": lambda _call, audience: audience.flagged_fields or None,
    "time_created": lambda _call, audience: audience.created,
    "time_updated": lambda _call, audience: audience.updated,
    "time_content_updated": lambda _call, audience: audience.content_updated or None,
    "delete_time": lambda _call, audience: audience.delete_time or None,
    "owner_business": lambda call, audience: call.world.businesses.get(owner(call, audience).business or ""),
    "datafile_custom_audience_uploading_status": lambda _call, _audience: None,
    "included_custom_audiences": lambda _call, _audience: None,
    "excluded_custom_audiences": lambda _call, _audience: None,
    "is_eligible_for_sac_campaigns": lambda _call, _audience: True,
    "household_audience": lambda _call, _audience: 0,
    "usage_restriction": lambda _call, audience: audience.usage_restriction,
    "audience_labels": lambda _call, audience: audience.audience_labels or None,
}


def sees_audience(call: Call, audience: Audience) -> bool:
    """Say whether the token sees the owner's account, or one the audience is shared with."""
    world = call.world
    return any(
        account in world.accounts and rules.sees_account(call, world.accounts[account])
        for account in (audience.account, *audience.shared_with)
    )
