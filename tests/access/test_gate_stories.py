"""One story per check: the world is broken in one way, the gate names it and who can mend it, they do, and it is green."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from connector.access.checklist import CHECKS
from connector.access.gate import Policy, allow
from connector.errors import AccessError
from connector.state import AuditEntry, State

if TYPE_CHECKING:
    from collections.abc import Callable

EMMA = "500000000000001"
TASKS = ["ADVERTISE", "ANALYZE"]


@dataclass(frozen=True)
class Story:
    """``gate`` runs it broken; ``mend`` does what the remedy says; ``after`` runs it again, by default the same way."""

    check: str
    who: str
    gate: Callable[[Any], Any]
    mend: Callable[[Any], object]
    after: Callable[[Any], Any] | None = None
    beside: frozenset[str] = field(default_factory=frozenset)
    name: str = ""


def on(account: str | None = None, **options: Any) -> Callable[[Any], Any]:
    """Run the gate on one of the seeded accounts."""
    return lambda world: world.gate(account, **options)


def nothing(_world: Any) -> None:
    """Only the gate is run differently afterwards: with the new token, the other audience."""


def grants(account: str) -> Callable[[Any], object]:
    """Let the client's admin give the agency advertiser access."""
    return lambda world: world.post(
        f"{world.account(account)}/agencies",
        token="client_admin",
        business=world.seed["business"],
        permitted_tasks=TASKS,
    )


def accepts(token: str) -> Callable[[Any], object]:
    return lambda world: world.post(f"{world.account('no_terms')}/customaudiencestos", token=token, tos_id="1")


def both_accept(world: Any) -> None:
    """Terms are accepted per person: one of the client, and the one whose token it is."""
    accepts("client_admin")(world)
    world.post(f"{world.account('no_terms')}/customaudiencestos", tos_id="1")


def with_audience(name: str, **changes: Any) -> Callable[[Any], Any]:
    return lambda world: world.gate(to=world.destination(audience_id=world.audience(name), **changes))


STORIES = [
    Story("token", "connected_person", on(token="expired"), nothing, on()),
    Story("token", "connected_person", on(token="password_changed"), nothing, on(), name="password"),
    Story("token", "connected_person", on(token="revoked"), nothing, on(), name="revoked"),
    Story("token", "connected_person", on(token="unauthorised"), nothing, on(), name="unauthorised"),
    Story(
        "token",
        "connected_person",
        on(token="checkpointed"),
        lambda world: world.change(world.token("checkpointed"), broken=None),
        name="checkpoint",
    ),
    Story(
        "token",
        "connected_person",
        on(token="unconfirmed"),
        lambda world: world.change(world.token("unconfirmed"), broken=None),
        name="unconfirmed",
    ),
    Story("token", "client_admin", on(token="no_page_role"), nothing, on(), name="page role"),
    Story(
        "scopes",
        "connected_person",
        on(token="no_permission"),
        lambda world: world.change(
            world.token("no_permission"), scopes=dict.fromkeys(("ads_management", "business_management"), "granted")
        ),
    ),
    Story("scopes", "connected_person", on(token="ads_read_only"), nothing, on(), name="only ads_read"),
    Story(
        "granular",
        "connected_person",
        on(token="granular_other"),
        lambda world: world.change(world.token("granular_other"), granular={}),
    ),
    Story(
        "app",
        "app_owner",
        on(token="development_app", app_id="200000000000004"),
        lambda world: world.change("200000000000004", development=False),
    ),
    Story("app", "app_owner", on(secret="not-the-secret-of-this-app"), nothing, on(), name="secret"),
    Story("account", "client_admin", on("not_shared"), grants("not_shared"), beside=frozenset({"relationship"})),
    Story(
        "account",
        "agency_admin",
        on("no_two_factor", token="analyst"),
        lambda world: (
            world.post(f"{world.account('no_two_factor')}/assigned_users", user="500000000000003", tasks=TASKS),
            world.post(f"{world.account('no_two_factor')}/customaudiencestos", token="analyst", tos_id="1"),
        ),
        name="partner has it, person has not",
    ),
    Story(
        "account",
        "client_admin",
        on("not_shared"),
        grants("not_shared"),
        beside=frozenset({"partner_status"}),
        name="request not answered",
    ),
    Story(
        "account_status",
        "client_admin",
        on("disabled"),
        lambda world: world.change(world.account("disabled"), account_status=1, disable_reason=0),
    ),
    Story(
        "in_business",
        "client_admin",
        on("personal"),
        lambda world: world.change(world.account("personal"), business=world.seed["client_business"]),
    ),
    Story(
        "membership",
        "agency_admin",
        on("not_assigned"),
        lambda world: (
            world.change(EMMA, roles={world.seed["business"]: "ADMIN"}),
            world.post(f"{world.account('not_assigned')}/assigned_users", user=EMMA, tasks=TASKS),
        ),
        beside=frozenset({"account"}),
    ),
    Story("relationship", "client_admin", on("not_shared"), grants("not_shared"), beside=frozenset({"account"})),
    Story("partner_status", "client_admin", on("agency_pending"), grants("agency_pending")),
    Story("partner_status", "client_admin", on("agency_declined"), grants("agency_declined"), name="declined"),
    Story("partner_status", "client_admin", on("agency_expired"), grants("agency_expired"), name="expired"),
    Story("partner_tasks", "client_admin", on("analyze_only"), grants("analyze_only")),
    Story(
        "user_tasks",
        "agency_admin",
        on("not_assigned"),
        lambda world: world.post(f"{world.account('not_assigned')}/assigned_users", user=EMMA, tasks=TASKS),
    ),
    Story(
        "obo",
        "client_admin",
        on("obo_in_progress"),
        lambda world: world.change(world.seed["obo_request"], status="APPROVE"),
    ),
    Story(
        "obo",
        "client_admin",
        on("obo_in_progress"),
        lambda world: world.delete(world.seed["obo_request"]),
        name="cancelled",
    ),
    Story("meta_terms", "client_admin", on("no_terms"), both_accept),
    Story(
        "data_terms",
        "operator",
        lambda world: world.gate(to=world.destination(data_terms_version=None)),
        nothing,
        on(),
    ),
    Story(
        "data_terms",
        "operator",
        lambda world: world.gate(to=world.destination(data_terms_version="1999-01-01")),
        nothing,
        on(),
        name="old version",
    ),
    Story(
        "two_factor",
        "client_admin",
        on("no_two_factor", policy=Policy(require_two_factor=True)),
        lambda world: world.change("310000000000003", two_factor_type="all_required"),
    ),
    Story(
        "audience",
        "operator",
        on("full", for_new_audience=True),
        lambda world: [
            world.delete(str(audience["id"]))
            for audience in world.rows(f"{world.account('full')}/customaudiences", limit=500)[:25]
        ],
        name="no room",
    ),
    Story("audience", "operator", with_audience("website"), nothing, on()),
    Story("audience", "operator", with_audience("shared"), nothing, on(), name="shared"),
    Story("audience", "operator", with_audience("not_editable"), nothing, on(), name="not editable"),
    Story(
        "audience",
        "operator",
        with_audience("value_based"),
        nothing,
        with_audience("value_based", value_based=True),
        name="values",
    ),
    Story(
        "audience", "operator", lambda w: w.gate(to=w.destination(audience_id="120219999")), nothing, on(), name="gone"
    ),
    Story("operation_status", "operator", with_audience("creator_gone"), nothing, on(), name="creator gone"),
    Story("operation_status", "operator", with_audience("error"), nothing, on()),
    Story("flags", "operator", with_audience("flagged"), nothing, on()),
    Story(
        "grant_expiry",
        "operator",
        on(policy=Policy(grant_expires=(datetime.now(UTC) - timedelta(days=2)).date())),
        nothing,
        on(policy=Policy(grant_expires=(datetime.now(UTC) + timedelta(days=300)).date())),
    ),
]


def broken_beforehand(world: Any, story: Story) -> None:
    """Break what the seeded world does not bring along."""
    if story.check == "membership":
        world.change(EMMA, roles={}, direct=[])
    if story.name == "request not answered":
        grant = {world.seed["business"]: {"access_status": "CLIENT_RESPONSE_PENDING", "permitted_tasks": TASKS}}
        world.change(world.account("not_shared"), agencies=grant)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story.check} {story.name}".strip())
def test_what_is_broken_is_named_asked_of_the_right_person_and_green_once_mended(world: Any, story: Story) -> None:
    broken_beforehand(world, story)
    before = story.gate(world)
    found = {check.id: check for check in before.checks}[story.check]
    assert (found.status, found.remedy and found.remedy.who) == ("fail", story.who), found.message
    assert {check.id for check in before.checks if check.status == "fail"} == {story.check, *story.beside}
    assert not before.allowed
    with pytest.raises(AccessError) as refused:
        allow(before)
    assert refused.value.exit_code == 4

    story.mend(world)
    after = (story.after or story.gate)(world)
    healed = {check.id: check for check in after.checks}[story.check]
    assert healed.status == "pass", healed.message
    assert after.allowed
    allow(after)


def test_a_story_is_told_of_every_check() -> None:
    told = {story.check for story in STORIES} | {"admin_review"}
    assert told == {row.id for row in CHECKS}


def test_a_grant_that_waits_for_a_second_admin_fails_until_it_is_confirmed(world: Any, state_url: str) -> None:
    account, agency = world.account("admin_review"), world.seed["business"]
    with State.open(state_url) as state:
        granted = world.post(f"{account}/agencies", token="client_admin", business=agency, permitted_tasks=TASKS)
        assert granted["requires_admin_approval"] is True
        state.audit(AuditEntry("grant access", "pending", asset=account, after=granted))
        waiting = {check.id: check for check in world.gate("admin_review", state=state).checks}["admin_review"]
        assert (waiting.status, waiting.remedy.who) == ("fail", "client_admin")
        assert waiting.remedy.link == "https://business.facebook.com/settings/requests/admin_reviews"

        world.change(account, agencies={agency: {"access_status": "CONFIRMED"}})
        report = world.gate("admin_review", state=state)
        assert {check.id: check.status for check in report.checks}["admin_review"] == "pass"
        assert report.allowed


def test_terms_the_client_accepted_are_still_to_be_accepted_by_the_tokens_person(world: Any) -> None:
    accepts("client_admin")(world)
    terms = {check.id: check for check in world.gate("no_terms").checks}["meta_terms"]
    assert (terms.status, terms.remedy.who) == ("fail", "agency_admin")
    assert terms.remedy.link == "https://business.facebook.com/ads/manage/customaudiences/tos/?act=10000000000002"


def test_a_declined_request_to_act_on_behalf_is_beaten_by_an_approved_one(world: Any) -> None:
    assert not world.gate("obo_declined").allowed
    number = next(check for check in world.gate("obo_declined").checks if check.id == "obo").found[0].split(":")[1]
    world.change(number, status="APPROVE")
    report = world.gate("obo_declined")
    assert report.allowed
    assert report.on_behalf_of.name == "Orchard Goods"


WARNINGS = [
    ("token", "connected_person", on(token="expiring_soon")),
    ("scopes", "connected_person", on(token="no_business_management")),
    ("app", "app_owner", on("limited_tier")),
    ("account_status", "client_admin", on("unsettled")),
    ("account_status", "client_admin", on("grace_period")),
    ("account_status", "meta", on("pending_risk_review")),
    ("in_business", "client_admin", on("personal", policy=Policy(allow_personal_until=date(9999, 12, 31)))),
    ("relationship", "client_admin", on("person_only")),
    ("partner_tasks", "client_admin", on("manage")),
    ("obo", "agency_admin", on("agency_owned")),
    ("two_factor", "client_admin", on("no_two_factor")),
    ("operation_status", "operator", with_audience("low_match")),
    ("operation_status", "operator", with_audience("expiring")),
    ("operation_status", "operator", with_audience("out_of_date")),
    ("operation_status", "operator", with_audience("many_invalid")),
    ("operation_status", "operator", with_audience("replace_failed")),
    ("operation_status", "operator", with_audience("not_available")),
    ("operation_status", "operator", with_audience("warning")),
    ("flags", "operator", lambda w: w.gate("full", to=w.destination("full", creating_title="People in debt"))),
    (
        "grant_expiry",
        "operator",
        on(policy=Policy(grant_expires=(datetime.now(UTC) + timedelta(days=9)).date())),
    ),
]


@pytest.mark.parametrize(("check", "who", "gate"), WARNINGS)
def test_a_warning_names_who_could_act_and_lets_the_export_pass(
    world: Any, check: str, who: str, gate: Callable[[Any], Any]
) -> None:
    report = gate(world)
    found = {one.id: one for one in report.checks}[check]
    assert (found.status, found.remedy.who) == ("warn", who), found.message


def test_a_reason_for_manage_turns_the_warning_off(world: Any) -> None:
    report = world.gate("manage", policy=Policy(manage_reason="sets the spend limit"))
    assert {check.id: check.status for check in report.checks}["partner_tasks"] == "pass"


def test_a_person_with_a_direct_share_is_warned_of(world: Any) -> None:
    report = world.gate(to=world.destination(ad_account=world.account(), audience_id=None), token="outsider")
    assert {check.id: check.status for check in report.checks}["membership"] == "warn"
