"""Custom Audiences as objects: create, list, read, update, delete, share.

Owns their fields and states. What goes into them stands in ``uploads``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connector.sandbox import rules
from connector.sandbox.audience_fields import owner, read_status
from connector.sandbox.call import Call, Json, Listing, Written
from connector.sandbox.filtering import filter_audiences
from connector.sandbox.refusals import Refusal, forbidden, invalid, missing
from connector.sandbox.world import Audience

if TYPE_CHECKING:
    from connector.sandbox.world import AdAccount

SUBTYPES = frozenset(
    [
        "CUSTOM",
        "PRIMARY",
        "WEBSITE",
        "APP",
        "OFFLINE_CONVERSION",
        "CLAIM",
        "MANAGED",
        "PARTNER",
        "VIDEO",
        "LOOKALIKE",
        "ENGAGEMENT",
        "BAG_OF_ACCOUNTS",
        "STUDY_RULE_AUDIENCE",
        "FOX",
        "MEASUREMENT",
        "REGULATED_CATEGORIES_AUDIENCE",
        "BIDDING",
        "EXCLUSION",
        "MESSENGER_SUBSCRIBER_LIST",
    ]
)
FILE_SOURCES = frozenset({"USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED"})
RESTRICTIONS = frozenset({"EXCLUSION_ONLY", "NONE"})
ENUMS = {"customer_file_source": FILE_SOURCES, "usage_restriction": RESTRICTIONS}
LABELS = frozenset(
    [
        "APP_USERS",
        "AT_RISK",
        "CART_ABANDONERS",
        "CUSTOMERS",
        "DISENGAGED",
        "DISQUALIFIED_LEADS",
        "ENGAGED_USERS",
        "GENERAL_CUSTOMERS",
        "HIGH_VALUE_CUSTOMERS",
        "LOW_VALUE_CUSTOMERS",
        "OTHER_1",
        "OTHER_2",
        "OTHER_3",
        "QUALIFIED_LEADS",
        "RECENT_PURCHASERS",
        "TRIAL_USERS",
        "APP_INSTALLERS",
        "CUSTOMER_LEADS",
        "PERSONAS",
        "RESTRICTED_USERS",
        "UNWANTED_CUSTOMERS",
    ]
)
# Parameters of other kinds of audiences: known, so not refused, but without effect on a customer list.
OTHER_KINDS = (
    "allowed_domains",
    "associated_audience_id",
    "claim_objective",
    "content_type",
    "countries",
    "creation_params",
    "dataset_id",
    "enable_fetch_or_create",
    "event_source_group",
    "event_sources",
    "exclusions",
    "facebook_page_id",
    "inclusions",
    "list_of_accounts",
    "lookalike_spec",
    "marketing_message_channels",
    "origin_audience_id",
    "parent_audience_id",
    "partner_reference_key",
    "pixel_id",
    "prefill",
    "product_set_id",
    "regulated_audience_spec",
    "rev_share_policy_id",
    "rule",
    "rule_aggregation",
    "seed_audience",
    "subscription_info",
    "use_for_products",
    "use_in_campaigns",
    "video_group_ids",
    "whats_app_business_phone_number_id",
)
WRITABLE = (
    "name",
    "description",
    "opt_out_link",
    "customer_file_source",
    "retention_days",
    "audience_labels",
    "usage_restriction",
)
CREATE_PARAMETERS = (*WRITABLE, *OTHER_KINDS, "subtype", "is_value_based")


def create(call: Call, account: AdAccount) -> Written:
    """Answer ``POST act_<id>/customaudiences``."""
    given = call.parameters
    rules.may_write(call, account, Refusal(2654, subcode=1713092))
    wanted = _read_new(call)
    if given.flag("enable_fetch_or_create"):
        same = next((a for a in call.world.audiences_of(account.id) if a.origin == wanted), None)
        if same is not None:
            return Written({"id": same.id, "message": "Existing custom audience fetched"}, same)
    held = sum(1 for a in call.world.audiences_of(account.id) if a.subtype == "CUSTOM")
    if held >= call.world.settings.audience_limit:
        raise Refusal(2654, "(#2654) Failed to create custom audience: the limit of customer list audiences is reached")
    now = int(call.world.now())
    audience = Audience(call.world.new_id(), account.id, given.needed("name"), created=now, updated=now)
    audience.is_value_based = given.flag("is_value_based")
    audience.origin = wanted
    _write(call, audience)
    call.world.audiences[audience.id] = audience
    return Written({"id": audience.id, "message": ""}, audience)


def _read_new(call: Call) -> tuple[Any, ...]:
    """Check what a new audience needs and return what makes it the same as another one."""
    given = call.parameters
    absent = [name for name in ("name", "subtype") if not given.text(name)]
    if absent:
        raise missing(", ".join(absent))
    if given.text("subtype") not in SUBTYPES:
        raise invalid("Param subtype must be one of {" + ", ".join(sorted(SUBTYPES)) + "}")
    if given.text("subtype") != "CUSTOM":
        raise invalid("The sandbox makes customer list audiences only: subtype must be CUSTOM")
    if not given.text("customer_file_source"):
        raise missing("customer_file_source")
    return (
        given.text("name"),
        given.text("description"),
        given.text("customer_file_source"),
        given.flag("is_value_based"),
        given.whole("retention_days"),
        given.text("opt_out_link"),
        tuple(given.names("audience_labels")),
    )


def _write(call: Call, audience: Audience) -> None:
    """Check all writable parameters first, then set those that were given."""
    given = call.parameters
    values: dict[str, Any] = {
        name: given.text(name) for name in ("name", "description", "opt_out_link") if name in given
    }
    if values.get("name") == "":
        raise invalid("Param name must be a non-empty string")
    for name, known in ENUMS.items():
        if name in given:
            values[name] = one_of(name, [given.text(name)], known)[0]
    if "audience_labels" in given:
        values["audience_labels"] = one_of("audience_labels", given.names("audience_labels"), LABELS)
    if "retention_days" in given:
        values["retention_days"] = given.whole("retention_days")
        if not 1 <= (1 if values["retention_days"] is None else values["retention_days"]) <= 180:
            raise invalid("Param retention_days must be from 1 to 180")
    for name, value in values.items():
        setattr(audience, name, value)
    audience.updated = int(call.world.now())
    _flag(call, audience)


def one_of(name: str, values: list[str], known: frozenset[str]) -> list[str]:
    """Insist that all values of a parameter are known ones."""
    if set(values) - known:
        raise invalid(f"Param {name} must be one of {{{', '.join(sorted(known))}}}")
    return values


def _flag(call: Call, audience: Audience) -> None:
    """Flag an audience whose name or description holds one of the words in the settings."""
    words = [word.lower() for word in call.world.settings.flagged_words]
    texts = {"name": audience.name.lower(), "description": audience.description.lower()}
    flagged = [name for name, text in texts.items() if any(word in text for word in words)]
    if flagged:
        audience.status, audience.flagged_fields = 471, flagged


def list_audiences(call: Call, account: AdAccount) -> Listing:
    """Answer ``GET act_<id>/customaudiences``: own and shared ones, filtered."""
    rules.may_read(call, account)
    world = call.world
    found = world.audiences_of(account.id)
    if not call.parameters.flag("fetch_primary_audience"):
        found += [audience for audience in world.audiences.values() if account.id in audience.shared_with]
    wanted = call.parameters.structure("filtering")
    return Listing(found if wanted in (None, "", []) else filter_audiences(call, found, wanted))


def read(call: Call, audience: Audience) -> Any:
    """Answer ``GET <audience>``."""
    rules.may_read(call, owner(call, audience))
    return audience


def may_change(call: Call, audience: Audience) -> None:
    """Insist that the caller may change this audience."""
    refused = forbidden(f"The current user can not update audience {audience.id}")
    rules.may_write(call, owner(call, audience), refused)
    if not rules.can_edit(call, audience, owner(call, audience)):
        raise refused


def update(call: Call, audience: Audience) -> Written:
    """Answer ``POST <audience>``."""
    may_change(call, audience)
    if read_status(call.world, audience) == 471:
        raise Refusal(100, subcode=1713228)
    _write(call, audience)
    return Written({"success": True, "message": ""}, audience)


def delete(call: Call, audience: Audience) -> Json:
    """Answer ``DELETE <audience>``."""
    may_change(call, audience)
    if audience.lookalikes:
        raise Refusal(2656)
    del call.world.audiences[audience.id]
    for key in [key for key in call.world.sessions if key[0] == audience.id]:
        del call.world.sessions[key]
    return {"success": True}
