"""Partner access between businesses, on the sandbox: asked for, given, taken back, by hand, and what is written down."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from connector.access.access_change import AccessWish, Change, Manner, Waiting
from connector.access.capability import learn_capability, recall_capability
from connector.access.desk import Speaker
from connector.access.grants import recorded_grant
from connector.access.manual_path import STEPS, TEXTS, manual_path
from connector.access.partner_changes import grant_access, request_access, revoke_access
from connector.access.partner_lists import list_agencies, list_clients
from connector.access.partnerships import TASKS, Party, asset_of, status_of, tasks_of
from connector.config import Config
from connector.errors import AccessError, ConfigError, GuardError, RejectedError, TransientError
from connector.state import Destination, State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AGENCY, CLIENT = "300000000000001", "310000000000001"
BOTH = ("ADVERTISE,ANALYZE",)
CLIENT_SPEAKS, NO_B2B = Speaker(token_env="CLIENT_TOKEN"), Speaker(token_env="NO_B2B")


@pytest.fixture
def config(world: Any, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("CLIENT_TOKEN", world.token("client_admin"))
    monkeypatch.setenv("NO_B2B", world.token("no_b2b"))
    monkeypatch.setenv("PAGE_TOKEN", world.token("page"))
    return Config.load(workspace)


def yes(_: Change) -> bool:
    return True


def no(_: Change) -> bool:
    return False


YES = Manner(yes)


def ask(world: Any, account: str = "not_shared", **fields: Any) -> AccessWish:
    return AccessWish("ad_account", world.account(account), "spring campaigns", BOTH, **fields)


def give(world: Any, account: str = "not_shared", **fields: Any) -> AccessWish:
    return replace(ask(world, account), business=AGENCY, **fields)


def audit(config: Config) -> list[dict[str, Any]]:
    with State.open(config.state_url) as state:
        return state.audit_lines()


def status(config: Config, account: str) -> list[tuple[str, str]]:
    rows = list_agencies(config, "ad_account", account, CLIENT_SPEAKS)
    return [(row.business.id, row.status) for row in rows]


# what can be seen to be wrong without asking anybody


@pytest.mark.parametrize(
    ("kind", "given", "id_"),
    [("ad_account", "123", "act_123"), ("ad_account", "act_123", "act_123"), ("page", "9", "9")],
)
def test_an_ad_account_is_named_with_or_without_act(kind: Any, given: str, id_: str):
    assert asset_of(kind, given).id == id_


@pytest.mark.parametrize(
    ("kind", "given"), [("page", "act_1"), ("page", ""), ("ad_account", "act_"), ("pixel", "9/users"), ("page", "٣")]
)
def test_what_is_no_id_is_refused_before_anybody_is_asked(kind: Any, given: str):
    with pytest.raises(ConfigError) as wrong:
        asset_of(kind, given)
    assert wrong.value.code == "partner.asset"


def test_tasks_come_with_commas_or_apart_in_any_case_and_once():
    assert tasks_of("ad_account", ["advertise, ANALYZE", "ADVERTISE"]) == ("ADVERTISE", "ANALYZE")


@pytest.mark.parametrize(("kind", "words"), [("ad_account", ["UPLOAD"]), ("pixel", ["MANAGE"]), ("page", [" , "])])
def test_a_task_that_this_kind_of_asset_has_not_is_refused(kind: Any, words: list[str]):
    with pytest.raises(ConfigError) as wrong:
        tasks_of(kind, words)
    assert wrong.value.code == "partner.tasks"


def test_a_misspelt_task_gets_the_nearest_as_a_hint():
    with pytest.raises(ConfigError) as wrong:
        tasks_of("ad_account", ["ADVERTIZE"])
    assert wrong.value.hint == 'Did you mean "ADVERTISE"?'


@pytest.mark.parametrize(
    ("meta", "ours"),
    [
        ("CLIENT_RESPONSE_PENDING", "pending"), ("AGENCY_RESPONSE_PENDING", "pending"), ("CONFIRMED", "confirmed"),
        ("DECLINED", "declined"), ("EXPIRED", "expired"), ("SOMETHING_NEW", "unknown"), (None, "unknown"),
    ],
)  # fmt: skip
def test_metas_open_ended_statuses_become_ours(meta: str | None, ours: str):
    assert status_of(meta) == ours


def test_a_pending_grant_that_our_record_has_in_review_says_so():
    assert status_of("PENDING", waits=True) == "admin_review"
    assert status_of("CONFIRMED", waits=True) == "confirmed"


# asking, giving, taking back


def test_a_request_is_pending_until_the_client_grants_it(world: Any, config: Config):
    account = world.account("not_shared")
    assert request_access(config, ask(world), Speaker(), YES).outcome == "pending"
    assert status(config, account) == [(AGENCY, "pending")]
    mine = [row for row in list_clients(config, Speaker(), status="pending") if row.asset.id == account]
    assert [(row.business.id, row.tasks) for row in mine] == [(CLIENT, ("ADVERTISE", "ANALYZE"))]
    assert grant_access(config, give(world), CLIENT_SPEAKS, YES).outcome == "confirmed"
    assert status(config, account) == [(AGENCY, "confirmed")]


def test_what_is_granted_is_what_was_asked_for_and_nothing_more(world: Any, config: Config):
    grant_access(config, give(world, tasks=("ANALYZE",)), CLIENT_SPEAKS, YES)
    (row,) = list_agencies(config, "ad_account", world.account("not_shared"), CLIENT_SPEAKS)
    assert row.tasks == ("ANALYZE",)


def test_a_grant_may_wait_for_a_second_admin_and_the_list_says_so(world: Any, config: Config):
    account = world.account("admin_review")
    assert grant_access(config, give(world, "admin_review"), CLIENT_SPEAKS, YES).outcome == "admin_review"
    assert status(config, account) == [(AGENCY, "admin_review")]
    with State.open(config.state_url) as state:
        grant = recorded_grant(state, account)
    assert grant is not None
    assert (grant.needs_review, grant.reason) == (True, "spring campaigns")


def test_the_gate_stops_at_a_grant_that_waits_and_passes_once_it_is_confirmed(world: Any, config: Config):
    grant_access(config, give(world, "admin_review"), CLIENT_SPEAKS, YES)
    account = world.account("admin_review")
    with State.open(config.state_url) as state:
        check = {one.id: one for one in world.gate("admin_review", state=state).checks}["admin_review"]
        assert check.status == "fail"
        world.change(account, agencies={AGENCY: {"access_status": "CONFIRMED"}})
        check = {one.id: one for one in world.gate("admin_review", state=state, fresh=True).checks}["admin_review"]
        assert check.status == "pass"


@pytest.mark.parametrize(
    ("kind", "asset", "tasks"),
    [("page", "page", "ADVERTISE"), ("pixel", "pixel_not_shared", "EDIT"), ("catalog", "product_catalog", "MANAGE")],
)  # fmt: skip
def test_pages_pixels_and_catalogues_are_given_and_taken_back(
    world: Any, config: Config, kind: Any, asset: str, tasks: str
):
    number = world.seed["assets"][asset]
    wish = AccessWish(kind, number, "launch", (tasks,), AGENCY)
    assert grant_access(config, wish, CLIENT_SPEAKS, YES).outcome == "confirmed"
    (row,) = world.rows_as("client_admin", f"{number}/agencies")
    assert row["permitted_tasks"] == [tasks]
    assert revoke_access(config, wish, CLIENT_SPEAKS, YES).outcome == "revoked"
    assert world.rows_as("client_admin", f"{number}/agencies") == []


def test_a_page_without_its_token_is_refused_by_name(world: Any, config: Config):
    wish = AccessWish("page", world.seed["assets"]["page"], "over", business=AGENCY)
    with pytest.raises(AccessError) as refused:
        revoke_access(config, wish, Speaker(), YES)
    assert refused.value.code == "partner.page_token"


def test_an_agency_gives_back_what_it_borrowed(world: Any, config: Config):
    account = world.seed["ad_account"]
    wish = AccessWish("ad_account", account, "contract ended", business=AGENCY)
    assert revoke_access(config, wish, Speaker(), YES).outcome == "revoked"
    assert status(config, account) == []


def test_only_the_owner_grants_and_the_refusal_names_who(world: Any, config: Config):
    wish = AccessWish("ad_account", world.seed["ad_account"], "x", BOTH, "390000000000001")
    with pytest.raises(AccessError, match="another business") as refused:
        grant_access(config, wish, Speaker(), YES)
    assert refused.value.code == "partner.not_owner"
    assert "Orchard Goods" in str(refused.value.hint)
    assert [(line["action"], line["outcome"]) for line in audit(config)] == [("grant access", "refused")]


def test_a_personal_account_has_no_partners_to_speak_of(world: Any, config: Config):
    with pytest.raises(AccessError, match="no business portfolio"):
        grant_access(config, give(world, "personal"), CLIENT_SPEAKS, YES)


def test_who_has_no_access_cannot_lose_it(world: Any, config: Config):
    with pytest.raises(ConfigError, match="has no access"):
        revoke_access(config, give(world), CLIENT_SPEAKS, YES)


def test_asking_for_our_own_account_is_a_mistake(world: Any, config: Config):
    with pytest.raises(ConfigError, match="our own"):
        request_access(config, ask(world, "agency_owned"), Speaker(), YES)


def test_metas_refusal_of_a_combination_is_no_access_error(world: Any, config: Config):
    with pytest.raises(RejectedError) as refused:
        grant_access(config, give(world, tasks=("MANAGE",)), CLIENT_SPEAKS, YES)
    assert refused.value.code == "graph.tasks_unsupported"
    assert audit(config)[-1]["after"]["error"] == "graph.tasks_unsupported"


def test_an_answer_that_never_came_is_for_later_and_written_down(world: Any, config: Config):
    world.fault(edge="client_ad_accounts", method="POST", do="drop_before")
    with pytest.raises(TransientError):
        request_access(config, ask(world), Speaker(), YES)
    assert audit(config)[-1]["outcome"] == "failed"


# nothing happens unasked


def test_a_no_changes_nothing_and_is_written_down(world: Any, config: Config):
    with pytest.raises(GuardError) as stopped:
        grant_access(config, give(world), CLIENT_SPEAKS, Manner(no))
    assert stopped.value.code == "partner.not_confirmed"
    assert status(config, world.account("not_shared")) == []
    assert [line["outcome"] for line in audit(config)] == ["not_confirmed"]


def test_a_dry_run_asks_nobody_and_writes_nothing(world: Any, config: Config):
    def never(_: Change) -> bool:
        raise AssertionError("a dry run wants no confirmation")

    done = grant_access(config, give(world), CLIENT_SPEAKS, Manner(never, dry_run=True))
    assert done.outcome == "planned"
    assert status(config, world.account("not_shared")) == []
    assert audit(config) == []


def test_what_has_to_be_typed_is_the_other_business(world: Any, config: Config):
    seen: list[Change] = []

    def look(change: Change) -> bool:
        seen.append(change)
        return True

    grant_access(config, give(world), CLIENT_SPEAKS, Manner(look))
    request_access(config, ask(world, "manage"), Speaker(), Manner(look))
    assert [change.confirm_id for change in seen] == [AGENCY, CLIENT]
    assert seen[0].agency.name == "Lantern Media (agency)"


def test_an_asset_whose_owner_nobody_sees_is_confirmed_by_its_own_id(world: Any, config: Config):
    typed: list[str] = []
    request_access(config, ask(world), Speaker(), Manner(lambda change: not typed.append(change.confirm_id)))
    assert typed == [world.account("not_shared")]


def test_a_revocation_names_the_exports_that_will_stop(world: Any, config: Config):
    account = world.seed["ad_account"]
    with State.open(config.state_url) as state:
        state.add_destination(Destination("demo", account, business=AGENCY))
        state.add_destination(Destination("elsewhere", "act_1", business=AGENCY))
    wish = AccessWish("ad_account", account, "over", business=AGENCY)
    done = revoke_access(config, wish, CLIENT_SPEAKS, Manner(yes, dry_run=True))
    assert done.change.stops == (("people", "demo"),)


# the record


def test_the_record_says_who_what_why_and_until_when(world: Any, config: Config):
    grant_access(config, give(world, expires=date(2099, 1, 1)), CLIENT_SPEAKS, YES)
    (line,) = audit(config)
    assert (line["action"], line["outcome"], line["reason"]) == ("grant access", "ok", "spring campaigns")
    assert (line["client"], line["asset"]) == (CLIENT, world.account("not_shared"))
    assert line["after"] == {
        "kind": "ad_account", "business": AGENCY, "tasks": ["ADVERTISE", "ANALYZE"],
        "requires_admin_approval": False, "expires": "2099-01-01",
    }  # fmt: skip


def test_access_ends_after_twelve_months_unless_told_otherwise(world: Any, config: Config):
    done = request_access(config, ask(world), Speaker(), YES)
    assert done.change.expires == datetime.now(UTC).date() + timedelta(days=365)


def test_an_end_in_the_past_is_a_mistake(world: Any, config: Config):
    with pytest.raises(ConfigError, match="not in the future"):
        grant_access(config, give(world, expires=date(2020, 1, 1)), CLIENT_SPEAKS, YES)


def test_a_refused_attempt_does_not_replace_the_record_of_the_grant(world: Any, config: Config):
    grant_access(config, give(world), CLIENT_SPEAKS, YES)
    with pytest.raises(RejectedError):
        grant_access(config, give(world, tasks=("MANAGE",)), CLIENT_SPEAKS, YES)
    with State.open(config.state_url) as state:
        grant = recorded_grant(state, world.account("not_shared"))
        assert grant is not None
        assert grant.seq == 1
    revoke_access(config, give(world), CLIENT_SPEAKS, YES)
    with State.open(config.state_url) as state:
        assert recorded_grant(state, world.account("not_shared")) is None


# waiting


class Clock:
    """Time that passes only while somebody waits; things may happen meanwhile."""

    def __init__(self, *happenings: Callable[[], object]) -> None:
        self.now, self.slept, self._happenings = 0.0, [], list(happenings)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if self._happenings:
            self._happenings.pop(0)()

    def waiting(self, minutes: int) -> Waiting:
        return Waiting(timedelta(minutes=minutes), sleep=self.sleep, clock=lambda: self.now)


def test_waiting_looks_every_thirty_seconds_until_the_client_has_granted(world: Any, config: Config):
    clock = Clock(lambda: None, lambda: grant_access(config, give(world), CLIENT_SPEAKS, YES))
    done = request_access(config, ask(world), Speaker(), replace(YES, wait=clock.waiting(30)))
    assert done.outcome == "confirmed"
    assert clock.slept == [30.0, 30.0]


def test_waiting_ends_when_its_time_is_over_and_the_request_stays_pending(world: Any, config: Config):
    clock = Clock()
    done = request_access(config, ask(world), Speaker(), replace(YES, wait=clock.waiting(2)))
    assert done.outcome == "pending"
    assert sum(clock.slept) == 120.0


def test_waiting_for_a_second_admin_ends_with_the_confirmation(world: Any, config: Config):
    account = world.account("admin_review")
    clock = Clock(lambda: world.change(account, agencies={AGENCY: {"access_status": "CONFIRMED"}}))
    manner = replace(YES, wait=clock.waiting(30))
    done = grant_access(config, give(world, "admin_review"), CLIENT_SPEAKS, manner)
    assert (done.outcome, clock.slept) == ("confirmed", [30.0])


# an app that Meta did not let in


def test_without_the_right_a_request_gives_the_way_by_hand(world: Any, config: Config):
    done = request_access(config, ask(world), NO_B2B, replace(YES, language="fr"))
    assert done.outcome == "by_hand"
    assert done.manual is not None
    assert done.manual.language == "fr"
    for said in (AGENCY, world.account("not_shared"), "ADVERTISE", "ANALYZE"):
        assert said in done.manual.text
    assert [line["outcome"] for line in audit(config)] == ["unavailable"]


def test_the_way_by_hand_is_shown_before_the_waiting_which_ends_when_the_account_appears(world: Any, config: Config):
    shown: list[Any] = []
    clock = Clock(lambda: shown.append("waited"), lambda: by_hand(world))
    manner = replace(YES, wait=clock.waiting(30), on_manual=lambda path: shown.append(path.asset.id))
    done = request_access(config, ask(world), NO_B2B, manner)
    assert done.outcome == "confirmed"
    assert shown == [world.account("not_shared"), "waited"]


def by_hand(world: Any) -> None:
    """What the client's admin does in Business Settings."""
    world.change(
        world.account("not_shared"),
        agencies={AGENCY: {"access_status": "CONFIRMED", "permitted_tasks": ["ADVERTISE", "ANALYZE"]}},
    )


def test_waiting_in_vain_still_gives_the_way_by_hand(world: Any, config: Config):
    done = request_access(config, ask(world), NO_B2B, replace(YES, wait=Clock().waiting(1)))
    assert (done.outcome, done.manual is not None) == ("by_hand", True)


def test_that_the_app_may_not_is_remembered_for_a_day_and_asked_again_when_told(world: Any, config: Config):
    with pytest.raises(AccessError) as refused:
        list_agencies(config, "ad_account", world.seed["ad_account"], NO_B2B)
    assert refused.value.code == "b2b.unavailable"
    before = world.calls()["agencies"]
    world.change("200000000000002", b2b=True)
    with pytest.raises(AccessError):
        list_agencies(config, "ad_account", world.seed["ad_account"], NO_B2B)
    assert world.calls()["agencies"] == before
    assert list_agencies(config, "ad_account", world.seed["ad_account"], NO_B2B, fresh=True)
    assert list_agencies(config, "ad_account", world.seed["ad_account"], NO_B2B)


def test_what_is_known_of_an_app_ends_after_24_hours(state_url: str):
    at = datetime(2026, 11, 21, 12, tzinfo=UTC)
    with State.open(state_url) as state:
        learn_capability(state, "7", "b2b_read", at, may=False)
        assert recall_capability(state, "7", "b2b_read", at + timedelta(hours=23)) is False
        assert recall_capability(state, "7", "b2b_read", at + timedelta(hours=25)) is None
        assert recall_capability(state, "8", "b2b_read", at) is None
        learn_capability(state, "7", "b2b_read", at, may=True)
        assert recall_capability(state, "7", "b2b_read", at) is True


@pytest.mark.parametrize(("code", "subcode"), [(3, None), (10, None), (270, None), (294, None), (200, 2655040)])
def test_each_refusal_of_a_write_that_only_the_app_explains_leads_to_the_way_by_hand(
    world: Any, config: Config, code: int, subcode: int | None
):
    error = {"code": code, **({"error_subcode": subcode} if subcode else {})}
    world.fault(edge="agencies", method="POST", do="error", error=error, status=403)
    done = grant_access(config, give(world), CLIENT_SPEAKS, YES)
    assert done.outcome == "by_hand"
    again = grant_access(config, give(world), CLIENT_SPEAKS, YES)
    assert again.outcome == "by_hand"  # remembered: the fault is over, nobody was asked
    assert grant_access(config, give(world), CLIENT_SPEAKS, replace(YES, fresh=True)).outcome == "confirmed"


def test_a_plain_200_of_a_write_is_about_the_person_and_not_the_app(world: Any, config: Config):
    world.fault(edge="agencies", method="POST", do="error", error={"code": 200}, status=403)
    with pytest.raises(AccessError) as refused:
        grant_access(config, give(world), CLIENT_SPEAKS, YES)
    assert refused.value.code == "graph.permission"


def test_a_token_without_the_scope_is_not_taken_for_an_app_without_the_right(
    world: Any, config: Config, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NARROW", world.token("no_business_management"))
    with pytest.raises(AccessError) as refused:
        list_agencies(config, "ad_account", world.seed["ad_account"], Speaker(token_env="NARROW"))
    assert refused.value.code == "graph.permission"
    assert list_agencies(config, "ad_account", world.seed["ad_account"], Speaker())


def test_a_stranger_to_a_business_is_told_so(world: Any, config: Config):
    with pytest.raises(AccessError) as refused:
        list_agencies(config, "business", CLIENT, Speaker())
    assert refused.value.code == "partner.not_member"


def test_several_businesses_want_a_choice(world: Any, config: Config):
    with pytest.raises(ConfigError, match="several") as wrong:
        list_clients(config, CLIENT_SPEAKS)
    assert CLIENT in str(wrong.value.hint)
    assert list_clients(config, replace(CLIENT_SPEAKS, business=CLIENT)) == []


def test_all_assets_of_a_business_and_who_may_use_them(world: Any, config: Config):
    rows = list_agencies(config, "business", CLIENT, CLIENT_SPEAKS)
    assert {row.business.id for row in rows} == {AGENCY}
    assert {row.asset.kind for row in rows} >= {"ad_account", "page", "catalog"}
    assert ("act_10000000000001", ("ADVERTISE", "ANALYZE"), "confirmed") in [
        (row.asset.id, row.tasks, row.status) for row in rows
    ]


def test_clients_are_shown_by_status(world: Any, config: Config):
    everything = list_clients(config, Speaker())
    pending, confirmed = (list_clients(config, Speaker(), status=wish) for wish in ("pending", "confirmed"))
    assert {row.status for row in pending} == {"pending"}
    assert {row.status for row in confirmed} == {"confirmed"}
    assert {"declined", "expired"} <= {row.status for row in everything}
    assert len({row.asset for row in everything}) == len(everything)


# the words


@pytest.mark.parametrize("language", ["fr", "ja"])
def test_every_sentence_of_the_way_by_hand_is_there_in_every_language(language: Any):
    assert TEXTS[language].keys() == TEXTS["en"].keys()


@pytest.mark.parametrize("language", ["en", "fr", "ja"])
@pytest.mark.parametrize("purpose", list(STEPS))
@pytest.mark.parametrize("kind", list(TASKS))
def test_no_gap_is_left_in_the_way_by_hand(language: Any, purpose: Any, kind: Any):
    path = manual_path(
        purpose, asset_of(kind, "12"), Party("34", "Ours"), TASKS[kind], client=Party("56"), request="78", language=language
    )  # fmt: skip
    assert "{" not in path.text
    assert "…" not in path.text
    assert len(path.steps) == len(STEPS[purpose])
