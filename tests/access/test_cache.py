"""What the gate remembers between runs, on SQLite and PostgreSQL: passes for their time, failures never."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from connector.access.cache import forget_access
from connector.access.caller import Caller
from connector.access.gate import Policy
from connector.schema import ACCESS_CHECKS, METADATA
from connector.state import AuditEntry, State

if TYPE_CHECKING:
    from collections.abc import Iterator

MORNING = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
ALWAYS_ASKED = {"partner_status", "admin_review", "data_terms", "operation_status", "flags", "grant_expiry"}


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    with State.open(state_url) as state:
        yield state


def at(moment: datetime) -> Any:
    return lambda: moment


def asked(report: Any) -> set[str]:
    return {check.id for check in report.checks if not check.cached}


def test_a_second_run_asks_only_what_must_always_be_asked(world: Any, state: State) -> None:
    first = world.gate(state=state, now=at(MORNING))
    assert asked(first) == {check.id for check in first.checks}
    second = world.gate(state=state, now=at(MORNING + timedelta(minutes=14)))
    assert asked(second) == ALWAYS_ASKED
    assert second.calls == 2
    assert second.allowed
    assert (second.agency, second.client, second.relationship) == (first.agency, first.client, first.relationship)
    assert second.on_behalf_of == first.on_behalf_of
    assert [check.message for check in second.checks] == [check.message for check in first.checks]


def test_each_answer_stands_for_its_own_time(world: Any, state: State) -> None:
    world.gate(state=state, now=at(MORNING))
    later = world.gate(state=state, now=at(MORNING + timedelta(minutes=16)))
    assert {"app", "in_business", "membership", "relationship", "partner_tasks", "user_tasks", "two_factor"} == {
        check.id for check in later.checks if check.cached
    } - {"meta_terms"}
    valid = {check.id: check.valid_until for check in later.checks}
    assert valid["app"] == MORNING + timedelta(days=1)
    assert valid["relationship"] == MORNING + timedelta(hours=1)
    assert valid["token"] == MORNING + timedelta(minutes=31)
    assert valid["partner_status"] is None
    tomorrow = world.gate(state=state, now=at(MORNING + timedelta(days=2)))
    assert not [check for check in tomorrow.checks if check.cached]


def test_a_remembered_answer_is_told_in_the_language_of_the_day(world: Any, state: State) -> None:
    world.gate(state=state, language="en")
    [tasks] = [check for check in world.gate(state=state, language="fr").checks if check.id == "partner_tasks"]
    assert tasks.cached
    assert tasks.message.endswith("le partenaire a ADVERTISE, ANALYZE.")


def test_a_failure_is_never_remembered_and_takes_the_old_pass_with_it(world: Any, state: State) -> None:
    world.gate("analyze_only", state=state)
    world.change(world.account("analyze_only"), account_status=2)
    broken = world.gate("analyze_only", state=state, fresh=True)
    assert {check.id for check in broken.checks if check.status == "fail"} == {"account_status", "partner_tasks"}
    world.change(world.account("analyze_only"), account_status=1)
    mended = world.gate("analyze_only", state=state)
    [status] = [check for check in mended.checks if check.id == "account_status"]
    assert (status.status, status.cached) == ("pass", False)


def test_fresh_asks_everything(world: Any, state: State) -> None:
    world.gate(state=state)
    assert not [check for check in world.gate(state=state, fresh=True).checks if check.cached]


def test_a_new_token_finds_nothing_remembered(world: Any, state: State) -> None:
    world.gate(state=state)
    assert not [check for check in world.gate(state=state, token="client_admin").checks if check.cached]


@pytest.mark.parametrize("change", [{"ad_account": "act_10000000000001"}, {"business": None}, {"name": "other"}])
def test_a_changed_destination_finds_nothing_remembered(world: Any, state: State, change: dict[str, Any]) -> None:
    world.gate(state=state)
    changed = replace(world.destination(), **change)
    assert not [check for check in world.gate(to=changed, state=state).checks if check.cached]


def test_another_audience_is_asked_about_and_nothing_else(world: Any, state: State) -> None:
    world.gate(state=state)
    other = world.destination(audience_id=world.audience("populating"))
    assert asked(world.gate(to=other, state=state)) == ALWAYS_ASKED | {"audience"}


def test_a_token_that_died_since_is_noticed_by_what_is_always_asked(world: Any, state: State) -> None:
    world.gate(state=state, now=at(MORNING))
    world.change(world.token(), broken=467)
    report = world.gate(state=state, now=at(MORNING + timedelta(minutes=5)))
    assert not report.allowed
    assert [check.id for check in report.checks if check.status == "fail"] == ["token"]
    assert not [check for check in report.checks if check.cached]


def test_partner_access_taken_back_since_is_noticed_at_once(world: Any, state: State) -> None:
    account, agency = world.account("agency_pending"), world.seed["business"]
    world.change(account, agencies={agency: {"access_status": "CONFIRMED"}})
    assert world.gate("agency_pending", state=state).relationship == "agency"
    world.change(account, agencies={agency: None})
    assert world.gate("agency_pending", state=state).relationship == "person"


def test_an_account_hidden_between_two_times_to_live_is_a_question_about_its_terms(world: Any, state: State) -> None:
    world.gate(state=state, now=at(MORNING))
    world.gate(state=state, now=at(MORNING + timedelta(hours=23, minutes=55)))
    world.fault(edge="ad_account", method="GET", times=99, do="error", error={"code": 100})
    report = world.gate(state=state, now=at(MORNING + timedelta(hours=24, minutes=1)))
    found = {check.id: (check.status, check.cached) for check in report.checks}
    assert found["account"] == ("pass", True)
    assert found["in_business"] == found["meta_terms"] == ("unknown", False)


def test_what_is_forgotten_is_asked_again(world: Any, state: State) -> None:
    world.gate(state=state)
    forget_access(state, "demo")
    assert not [check for check in world.gate(state=state).checks if check.cached]


def test_two_gates_at_once_do_not_trip_over_each_other(world: Any, state_url: str) -> None:
    with State.open(state_url) as one, State.open(state_url) as other:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(2) as pool:
            reports = list(pool.map(lambda state: world.gate(state=state, fresh=True), [one, other] * 2))
    assert all(report.allowed for report in reports)


def is_waiting(state: State) -> bool:
    """Whether somebody's insert waits for another transaction."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT%access_check%'"
    with state.session() as connection:
        return bool(connection.execute(sa.text(query)).scalar())


def test_a_gate_that_comes_second_keeps_the_first_ones_answers(world: Any, postgres_url: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    row = {"destination": "demo", "check_id": "token", "mark": "0" * 16, "finding": {}}
    times = dict.fromkeys(("checked_at", "valid_until", "since"), "2026-11-21T08:00:00.000000Z")
    with State.open(postgres_url) as first, State.open(postgres_url) as second, ThreadPoolExecutor(1) as pool:
        with first.session() as connection:
            connection.execute(ACCESS_CHECKS.insert().values(**row, **times))
            running = pool.submit(world.gate, state=second)
            deadline = time.monotonic() + 30
            while not is_waiting(first) and not running.done():
                assert time.monotonic() < deadline
        assert running.result().allowed
        with first.session() as connection:
            kept = connection.execute(sa.select(ACCESS_CHECKS.c.mark)).scalars().all()
    assert kept == ["0" * 16]


def test_terms_accepted_long_ago_are_warned_of_whatever_token_saw_them(world: Any, state: State) -> None:
    world.gate(state=state, now=at(MORNING))
    much_later = world.gate(state=state, token="client_admin", now=at(MORNING + timedelta(days=91)))
    [terms] = [check for check in much_later.checks if check.id == "meta_terms"]
    assert (terms.status, terms.found) == ("warn", ("since:2026-11-21",))
    earlier = world.gate("manage", state=state, now=at(MORNING + timedelta(days=91)))
    assert {check.id: check.status for check in earlier.checks}["meta_terms"] == "pass"


def test_a_recorded_end_and_reason_of_the_grant_are_believed(world: Any, state: State) -> None:
    after = {"expires": "2026-11-30", "requires_admin_approval": False}
    state.audit(AuditEntry("grant access", "ok", asset=world.account("manage"), after=after, reason="spend limits"))
    found = {check.id: check.status for check in world.gate("manage", state=state, now=at(MORNING)).checks}
    assert (found["grant_expiry"], found["partner_tasks"]) == ("warn", "pass")
    longer = Policy(grant_expires=(MORNING + timedelta(days=99)).date())
    found = {
        c.id: c.status for c in world.gate("manage", state=state, now=at(MORNING), policy=longer, fresh=True).checks
    }
    assert found["grant_expiry"] == "pass"


def test_a_grant_whose_review_cannot_be_seen_is_a_question(world: Any, state: State) -> None:
    after = {"requires_admin_approval": True, "expires": "next summer"}
    state.audit(AuditEntry("grant access", "pending", asset=world.account("with_audiences"), after=after))
    report = world.gate(state=state, token="no_b2b", app_id="200000000000002", now=at(MORNING))
    found = {check.id: check for check in report.checks}
    assert (found["admin_review"].status, found["admin_review"].remedy.who) == ("unknown", "client_admin")
    assert found["grant_expiry"].found == ("no_end",)


def test_the_table_keeps_no_token_and_no_secret(world: Any, state: State) -> None:
    world.gate(state=state)
    with state.session() as connection:
        rows = connection.execute(sa.select(ACCESS_CHECKS)).all()
    assert len(rows) == 15
    kept = repr(rows)
    assert world.token() not in kept
    assert world.seed["app_secret"] not in kept
    assert ACCESS_CHECKS in METADATA.sorted_tables


def test_a_mark_tells_tokens_and_destinations_apart_and_is_no_token(world: Any) -> None:
    with world.graph() as one, world.graph("client_admin") as other:
        first = Caller(one, app_id=None, app_secret=None)
        second = Caller(other, app_id=None, app_secret=None)
        marks = {first.mark("demo"), first.mark("demo", "act_1"), second.mark("demo")}
        assert first.mark("demo") in marks
        assert len(marks) == 3
        assert all(len(mark) == 16 for mark in marks)
