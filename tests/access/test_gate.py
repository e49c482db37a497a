"""The gate as a whole: order, reads, skips, unknowns, the JSON of the specification, and what it raises."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from connector.access.caller import Caller
from connector.access.checklist import BEFORE_AUDIENCE, CHECKS
from connector.access.gate import allow, check_access
from connector.access.inquiry import number_of, time_of
from connector.access.reads import MOST_READS, Reads
from connector.errors import AccessError, TransientError

ORDER = [
    "token", "scopes", "granular", "app", "account", "account_status", "in_business", "membership", "relationship",
    "partner_status", "admin_review", "partner_tasks", "user_tasks", "obo", "meta_terms", "data_terms", "two_factor",
    "audience", "operation_status", "flags", "grant_expiry",
]  # fmt: skip
PARTNER = {"membership", "relationship", "partner_status", "admin_review", "partner_tasks", "obo"}


def statuses(report: Any) -> dict[str, str]:
    return {check.id: check.status for check in report.checks}


def reads(world: Any, before: dict[str, int]) -> int:
    return sum(world.calls().values()) - sum(before.values())


def test_the_checks_stand_in_the_order_of_the_specification(world: Any) -> None:
    assert [row.id for row in CHECKS] == ORDER
    assert [check.id for check in world.gate().checks] == ORDER


def test_a_sound_destination_passes_every_check_in_eleven_reads(world: Any) -> None:
    report = world.gate()
    assert set(statuses(report).values()) == {"pass"}
    assert report.allowed
    assert report.calls == 11
    assert (report.relationship, report.agency.id) == ("agency", world.seed["business"])
    assert report.client.name == "Orchard Goods"


def test_a_report_has_the_json_of_the_specification(world: Any) -> None:
    moment = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
    shown = json.loads(json.dumps(world.gate("analyze_only", now=lambda: moment).to_json()))
    assert list(shown) == [
        "destination", "allowed", "checked_at", "calls", "agency", "client", "relationship", "on_behalf_of", "checks",
        "summary",
    ]  # fmt: skip
    assert shown["checked_at"] == "2026-11-21T18:00:00Z"
    assert shown["agency"] == {"id": "300000000000001", "name": "Lantern Media (agency)"}
    assert shown["summary"] == {"pass": 17, "warn": 0, "fail": 1, "unknown": 0, "skip": 3}
    [tasks] = [check for check in shown["checks"] if check["id"] == "partner_tasks"]
    step = (
        "Business Settings → Users → Partners → Lantern Media (agency) → Ad accounts → act_10000000000014 → "
        "Manage campaigns (ADVERTISE) → Save."
    )
    assert tasks == {
        "id": "partner_tasks",
        "status": "fail",
        "asset": {"kind": "ad_account", "id": "act_10000000000014"},
        "wanted": ["ADVERTISE"],
        "found": ["ANALYZE"],
        "message": "act_10000000000014 (Orchard Goods): partner has ANALYZE, needs ADVERTISE.",
        "remedy": {
            "who": "client_admin",
            "steps": [step],
            "link": "https://business.facebook.com/settings/partners",
            "command": "connector check access demo",
        },
        "call": "GET act_10000000000014/agencies",
        "fbtrace_id": None,
        "cached": False,
        "valid_until": None,
    }
    assert shown["checks"][0]["valid_until"] == "2026-11-21T18:15:00Z"


def test_a_refused_export_says_what_is_wrong_and_whom_to_ask(world: Any) -> None:
    with pytest.raises(AccessError) as refused:
        allow(world.gate("analyze_only"))
    assert refused.value.code == "access.partner_tasks"
    assert refused.value.message == "act_10000000000014 (Orchard Goods): partner has ANALYZE, needs ADVERTISE."
    assert refused.value.hint == (
        "Ask an admin of Orchard Goods: Business Settings → Users → Partners → Lantern Media (agency) → Ad accounts → "
        "act_10000000000014 → Manage campaigns (ADVERTISE) → Save. https://business.facebook.com/settings/partners "
        "Then: connector check access demo"
    )


def test_one_report_holds_every_problem(world: Any) -> None:
    world.change(world.account("analyze_only"), account_status=2, disable_reason=3)
    world.change("310000000000001", terms={})
    report = world.gate("analyze_only", to=world.destination("analyze_only", data_terms_version=None))
    failed = [check for check, status in statuses(report).items() if status == "fail"]
    assert failed == ["account_status", "partner_tasks", "meta_terms", "data_terms"]
    with pytest.raises(AccessError, match=r"\(\+ partner_tasks, meta_terms, data_terms\)") as refused:
        allow(report)
    assert refused.value.code == "access.account_status"


@pytest.mark.parametrize("token", ["expired", "granular_other", "no_permission"])
def test_what_rests_on_a_broken_token_is_skipped_and_says_so(world: Any, token: str) -> None:
    report = world.gate(token=token)
    by_id = {check.id: check for check in report.checks}
    first = next(check.id for check in report.checks if check.status == "fail")
    assert by_id["account"].status == "skip"
    assert by_id["account"].message == f"Not looked at: {first} comes first."
    assert by_id["data_terms"].status == "pass"
    assert statuses(report).get("grant_expiry") == "pass"


def test_a_token_that_may_only_read_still_shows_the_rest(world: Any) -> None:
    found = statuses(world.gate(token="ads_read_only"))
    assert [check for check, status in found.items() if status == "fail"] == ["scopes"]
    assert "skip" not in found.values()


def test_without_business_management_partners_are_a_question_not_a_pass(world: Any) -> None:
    found = statuses(world.gate(token="no_business_management"))
    assert {check for check, status in found.items() if status == "unknown"} == PARTNER | {"two_factor"}


def test_an_app_without_business_access_leaves_questions_and_names_whom_to_ask(world: Any) -> None:
    report = world.gate(token="no_b2b", app_id="200000000000002")
    questions = {check.id: check.remedy.who for check in report.checks if check.status == "unknown"}
    assert questions["relationship"] == questions["obo"] == "client_admin"
    assert statuses(report)["partner_status"] == "unknown"


def test_without_the_apps_secret_the_token_is_tried_and_its_limits_are_a_question(world: Any) -> None:
    report = world.gate(app_id=None, app_secret=None)
    assert statuses(report)["token"] == "pass"
    assert statuses(report)["granular"] == "unknown"
    assert [check.call for check in report.checks][:2] == ["GET me", "GET me/permissions"]


@pytest.mark.parametrize(("token", "expected"), [("expired", "190/463"), ("password_changed", "190/460")])
def test_without_the_apps_secret_a_dead_token_still_says_why(world: Any, token: str, expected: str) -> None:
    [dead, *_] = world.gate(token=token, app_id=None, app_secret=None).checks
    assert (dead.status, dead.found) == ("fail", (expected,))
    assert dead.fbtrace_id


def test_an_app_that_demands_a_signature_gets_one_or_says_so(world: Any) -> None:
    assert world.gate(token="proof_required", app_id="200000000000003").allowed
    with world.graph("proof_required") as graph:
        unsigned = type(graph)(world.seed["base_url"], "v25.0", SecretStr(world.token("proof_required")))
    with unsigned:
        report = check_access(unsigned, world.destination(), app_id=None, app_secret=None)
    assert {check.id: check for check in report.checks}["app"].message.endswith(
        "needs CONNECTOR_APP_ID and CONNECTOR_APP_SECRET."
    )
    assert statuses(report)["app"] == "fail"


def test_a_system_user_is_found_in_the_agency_and_asked_no_personal_terms(world: Any) -> None:
    report = world.gate(to=world.destination(ad_account=world.account(), audience_id=None), token="system_user")
    found = statuses(report)
    assert (found["membership"], found["meta_terms"], found["user_tasks"]) == ("pass", "pass", "pass")


def test_without_a_named_business_the_agency_is_found_by_its_people(world: Any) -> None:
    report = world.gate(to=world.destination(business=None))
    assert report.agency.id == world.seed["business"]
    assert statuses(report)["relationship"] == "pass"


def test_an_own_account_asks_our_admin_where_a_client_would_be_asked(world: Any) -> None:
    world.change(world.account("agency_owned"), account_status=2, disable_reason=3)
    report = world.gate("agency_owned")
    [status] = [check for check in report.checks if check.id == "account_status"]
    assert (report.relationship, status.remedy.who) == ("owner", "agency_admin")


def test_a_replacement_under_way_is_worth_a_later_try(world: Any) -> None:
    report = world.gate(to=world.destination(audience_id=world.audience("replacing")))
    assert statuses(report)["operation_status"] == "fail"
    with pytest.raises(TransientError) as later:
        allow(report)
    assert (later.value.code, later.value.exit_code) == ("access.operation_status", 6)


def test_a_replacement_under_way_does_not_hide_a_refusal(world: Any) -> None:
    audience = world.destination(audience_id=world.audience("replacing"), data_terms_version=None)
    with pytest.raises(AccessError) as refused:
        allow(world.gate(to=audience))
    assert refused.value.code == "access.data_terms"


def test_before_an_audience_is_chosen_its_checks_wait(world: Any) -> None:
    destination = world.destination("full", data_terms_version=None)
    report = world.gate(to=destination, without=BEFORE_AUDIENCE)
    assert report.allowed
    assert {check for check, status in statuses(report).items() if status == "skip"} == set(BEFORE_AUDIENCE)


def test_a_new_audience_is_counted_for_over_all_pages(world: Any) -> None:
    report = world.gate(to=world.destination(audience_id=None), for_new_audience=True)
    [room] = [check for check in report.checks if check.id == "audience"]
    assert room.status == "pass"
    assert 1 <= int(room.found[0]) < 480
    [full] = [check for check in world.gate("full", for_new_audience=True).checks if check.id == "audience"]
    assert (full.status, full.found) == ("fail", ("500",))


def test_almost_five_hundred_audiences_are_warned_of(world: Any) -> None:
    for audience in world.rows(f"{world.account('full')}/customaudiences", limit=500)[:20]:
        world.delete(str(audience["id"]))
    [room] = [check for check in world.gate("full", for_new_audience=True).checks if check.id == "audience"]
    assert (room.status, room.found) == ("warn", ("480",))


@pytest.mark.parametrize("code", [4, 17, 80004, 2])
def test_a_throttle_or_an_outage_is_no_finding_but_a_later_try(world: Any, code: int) -> None:
    from connector.audiences.pace import Pace

    world.fault(edge="agencies", method="GET", times=99, do="error", error={"code": code})
    with world.graph() as graph:
        graph.pace = Pace(max_wait=0, base=0.001, cap=0.002)
        with pytest.raises(TransientError) as later:
            check_access(graph, world.destination(), app_id=None, app_secret=None)
    assert later.value.exit_code == 6


def test_every_seeded_account_and_token_is_judged_within_fifteen_reads_and_no_write(world: Any) -> None:
    trials = [(name, None) for name in world.seed["ad_accounts"]] + [(None, name) for name in world.seed["tokens"]]
    for account, token in trials:
        before = world.calls()
        destination = world.destination(account) if account else world.destination()
        report = world.gate(to=destination, token=token, for_new_audience=account != "full")
        made = reads(world, before)
        assert report.calls == made <= MOST_READS, (account, token)


def test_the_gate_writes_nothing_at_meta(world: Any) -> None:
    for method in ("POST", "DELETE"):
        for edge in ("agencies", "customaudiences", "assigned_users", "customaudiencestos", "onbehalf_requests"):
            world.fault(edge=edge, method=method, times=99, do="error", error={"code": 1})
    assert world.gate().allowed
    seen = world.control.get("/_sandbox/faults").json()["faults"]
    assert {fault["seen"] for fault in seen} == {0}


def test_no_token_and_no_secret_stands_in_anything_the_gate_gives(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    secrets = {world.seed["app_secret"], *world.seed["tokens"].values(), world.token()}
    for token in (None, "expired", "no_permission", "not_assigned", "development_app"):
        report = world.gate(token=token)
        written = json.dumps(report.to_json()) + repr(report) + caplog.text
        try:
            allow(report)
        except AccessError as refused:
            written += f"{refused} {refused!r} {refused.hint} {vars(refused)}"
        assert not [secret for secret in secrets if secret in written]


def test_a_request_that_waits_for_us_is_asked_of_our_admin(world: Any) -> None:
    ours = world.destination("obo_in_progress", business=world.seed["client_business"])
    [obo] = [check for check in world.gate(to=ours, token="client_admin").checks if check.id == "obo"]
    assert (obo.status, obo.remedy.who) == ("fail", "agency_admin")


def test_a_request_between_other_businesses_is_not_in_the_way(world: Any) -> None:
    strangers = world.destination("obo_declined", business="390000000000001")
    report = world.gate(to=strangers)
    assert statuses(report)["obo"] == "pass"
    assert statuses(report)["relationship"] == "warn"


def test_our_own_portfolio_and_people_without_two_factor_are_ours_to_mend(world: Any) -> None:
    world.change("500000000000003", two_fac_status="disabled")
    [people] = [check for check in world.gate().checks if check.id == "two_factor"]
    assert (people.status, people.remedy.who, people.found[-1]) == ("warn", "agency_admin", "people_without:1")
    world.change(world.seed["business"], two_factor_type="admin_required")
    [admins] = [check for check in world.gate().checks if check.id == "two_factor"]
    assert (admins.status, admins.asset.id, admins.remedy.who) == ("warn", world.seed["business"], "agency_admin")


REFUSALS = [
    ({"code": 190, "error_subcode": 460}, "account", "fail", "connected_person"),
    ({"code": 100}, "account", "fail", "client_admin"),
    ({"code": 10}, "account", "fail", "agency_admin"),
    ({"code": 3}, "app", "fail", "app_owner"),
    ({"code": 104}, "app", "fail", "app_owner"),
    ({"code": 270}, "app", "fail", "app_owner"),
    ({"code": 294}, "app", "fail", "app_owner"),
]


@pytest.mark.parametrize(("error", "check", "status", "who"), REFUSALS)
def test_a_refused_account_is_laid_at_the_right_door(
    world: Any, error: dict[str, int], check: str, status: str, who: str
) -> None:
    world.fault(edge="ad_account", method="GET", times=99, do="error", error=error)
    found = {one.id: one for one in world.gate().checks}
    assert (found[check].status, found[check].remedy.who) == (status, who)
    assert found["account_status"].status == "skip"


def test_an_account_status_nobody_described_is_a_question(world: Any) -> None:
    world.change(world.account("disabled"), account_status=55)
    [status] = [check for check in world.gate("disabled").checks if check.id == "account_status"]
    assert (status.status, status.found, status.remedy.who) == ("unknown", ("55",), "client_admin")


def test_a_disabled_account_without_a_reason_is_refused_all_the_same(world: Any) -> None:
    world.change(world.account("disabled"), disable_reason=0)
    [status] = [check for check in world.gate("disabled").checks if check.id == "account_status"]
    assert (status.status, status.found) == ("fail", ("DISABLED",))


UNREADABLE = [
    ("businesses", "membership"),
    ("onbehalf_requests", "obo"),
    ("custom_audience", "operation_status"),
    ("custom_audience", "flags"),
]


@pytest.mark.parametrize(("edge", "check"), UNREADABLE)
def test_what_meta_does_not_show_is_a_question_to_somebody(world: Any, edge: str, check: str) -> None:
    world.fault(edge=edge, method="GET", times=99, do="error", error={"code": 200})
    [found] = [one for one in world.gate().checks if one.id == check]
    assert found.status == "unknown"
    assert found.remedy.steps


def test_audiences_that_cannot_be_counted_leave_no_room_for_a_new_one(world: Any) -> None:
    world.fault(edge="customaudiences", method="GET", times=99, do="error", error={"code": 200})
    [room] = [check for check in world.gate("full", for_new_audience=True).checks if check.id == "audience"]
    assert room.status == "fail"


def test_hidden_partners_are_looked_for_in_our_own_list_of_client_accounts(world: Any) -> None:
    world.fault(edge="agencies", method="GET", times=99, do="error", error={"code": 200})
    found = {check.id: check for check in world.gate("analyze_only").checks}
    assert (found["relationship"].status, found["relationship"].call) == (
        "pass",
        "GET 300000000000001/client_ad_accounts",
    )
    assert (found["partner_status"].status, found["partner_tasks"].status) == ("pass", "fail")


def test_a_stranger_without_a_business_of_ours_is_told_apart_from_a_partner(world: Any) -> None:
    stranger = world.destination(ad_account=world.account(), audience_id=None, business=None)
    report = world.gate(to=stranger, token="outsider")
    assert report.relationship == "person"
    assert statuses(report)["membership"] == "warn"


def test_tasks_that_nobody_shows_are_a_question(world: Any) -> None:
    world.fault(edge="assigned_users", method="GET", times=99, do="error", error={"code": 200})
    [tasks] = [check for check in world.gate("not_assigned").checks if check.id == "user_tasks"]
    assert (tasks.status, tasks.remedy.who) == ("unknown", "agency_admin")


def test_metas_numbers_and_times_are_read_whatever_their_form() -> None:
    assert [number_of(value) for value in (1, "2", 3.0, True, "x", None, [])] == [1, 2, 3, 1, None, None, None]
    assert time_of(0) is None
    assert time_of("soon") is None
    assert time_of(1_754_846_089) == time_of("2025-08-10T17:14:49+0000")


def test_a_sixteenth_read_is_not_made(world: Any) -> None:
    with world.graph() as graph:
        reading = Reads(Caller(graph, app_id=None, app_secret=None))
        before = world.calls()
        answers = [reading.node("me", fields="id", locale=f"en_{number}") for number in range(16)]
        assert [answer.refused for answer in answers] == [False] * 15 + [True]
        assert reading.node("me", fields="id", locale="en_3") is answers[3]
    assert reads(world, before) == reading.count == 15


def test_metas_own_words_follow_ours(world: Any) -> None:
    words = {"code": 200, "error_subcode": 1870034}
    world.fault(edge="ad_account", method="GET", times=99, do="error", error=words)
    [account] = [check for check in world.gate().checks if check.id == "account"]
    assert account.status == "fail"
    assert "Meta: Custom Audience Terms Not Accepted" in account.message
