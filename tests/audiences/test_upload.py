"""One upload session on a real socket: its age, its totals, what is sent twice, how many requests are under way."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import polars as pl
import pytest
from pydantic import SecretStr

from connector.audiences.arrival import rows_arrived
from connector.audiences.audience import create_audience
from connector.audiences.batch import Batch, batches
from connector.audiences.graph import Graph
from connector.audiences.pace import Pace
from connector.audiences.upload import Outcome, Receipt, Upload
from connector.errors import TransientError
from connector.hashing import Hashed
from connector.sandbox.server import running
from tests.by_hand import digest_of, sha

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SCHEMA = ("EMAIL",)
HOUR = 3600.0


def email(number: int) -> str:
    return sha(f"person{number}@example.com")


def rows(count: int, first: int = 0) -> Hashed:
    return Hashed(pl.DataFrame({"EMAIL": [email(number) for number in range(first, first + count)]}))


def small(count: int, size: int = 10) -> Iterator[Batch]:
    """``count`` batches of ``size`` rows."""
    return batches(iter([rows(count * size)]), SCHEMA, size=size)


@dataclass
class Clock:
    """Seconds that pass when the test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Desk:
    """A sandbox with a new audience, and the client's end of it."""

    known: dict[str, Any]
    graph: Graph
    audience: str
    receipts: list[Receipt] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)

    @property
    def account(self) -> str:
        return str(self.known["ad_account"])

    def upload(self, operation: Any = "add", *, in_flight: int = 16, **more: Any) -> Upload:
        given = {"on_receipt": self.receipts.append, "clock": self.clock, **more}
        return Upload(
            self.graph, self.audience, account=self.account, operation=operation, in_flight=in_flight, **given
        )

    def send(self, given: Iterable[Batch], operation: Any = "add", **more: Any) -> Outcome:
        return self.upload(operation, **more).send(given)

    def control(self, path: str, body: dict[str, Any]) -> None:
        httpx.post(f"{self.known['base_url']}/_sandbox/{path}", json=body).raise_for_status()

    def script(self, *faults: dict[str, Any]) -> None:
        self.control("faults", {"faults": list(faults)})

    def state(self) -> dict[str, Any]:
        return dict(httpx.get(f"{self.known['base_url']}/_sandbox/state").json())

    def held(self) -> tuple[int, str]:
        (audience,) = self.state()["audiences"]
        return audience["members"], audience["digest"]

    def sessions(self) -> list[dict[str, Any]]:
        return list(self.state()["sessions"])


def at_desk(known: dict[str, Any], pace: Pace) -> Iterator[Desk]:
    httpx.post(f"{known['base_url']}/_sandbox/reset").raise_for_status()
    with Graph(known["base_url"], "v25.0", SecretStr(known["token"]), pace=pace, read_timeout=5) as graph:
        yield Desk(known, graph, create_audience(graph, known["ad_account"], "People").id)


@pytest.fixture
def desk(sandbox_server: dict[str, Any]) -> Iterator[Desk]:
    yield from at_desk(sandbox_server, Pace(base=0.01))


def rightly(count: int) -> tuple[int, str]:
    return count, digest_of({"EMAIL": email(number)} for number in range(count))


# sessions


def test_batches_of_one_session_are_numbered_from_one_and_the_last_one_closes_it(desk: Desk):
    outcome = desk.send(small(5), in_flight=1)
    assert (outcome.rows, outcome.received, outcome.missing) == (50, 50, 0)
    assert [receipt.seq for receipt in desk.receipts] == [1, 2, 3, 4, 5]
    (session,) = desk.sessions()
    assert (session["stage"], session["num_received"], session["batches"]) == ("completed", "50", 5)
    assert desk.held() == rightly(50)


@pytest.mark.parametrize("operation", ["add", "remove"])
def test_after_an_hour_a_new_session_begins_and_the_totals_of_both_are_added(operation: str, desk: Desk):
    desk.send(small(6))
    desk.receipts.clear()
    ages = {1: HOUR - 1, 3: HOUR + 1}  # after so many answers, so many seconds have passed

    def age(receipt: Receipt) -> None:
        desk.receipts.append(receipt)
        desk.clock.now = 1000.0 + ages.get(len(desk.receipts), desk.clock.now - 1000.0)

    outcome = desk.send(small(6), operation, in_flight=1, on_receipt=age)
    first, second = dict.fromkeys(receipt.session_id for receipt in desk.receipts)
    counts = [(r.session_id == second, r.seq, r.received) for r in desk.receipts]
    assert counts == [(False, 1, 10), (False, 2, 20), (False, 3, 30), (True, 1, 10), (True, 2, 20), (True, 3, 30)]
    assert (outcome.rows, outcome.received, outcome.missing) == (60, 60, 0)
    stages = {session["session_id"]: session["stage"] for session in desk.sessions()}
    assert stages[str(first)] == "uploading"  # Meta closes it by itself
    assert stages[str(second)] == "completed"
    assert desk.held() == (rightly(60) if operation == "add" else rightly(0))


def test_a_wait_that_crosses_the_hour_puts_the_same_rows_into_a_new_session(desk: Desk):
    clock = desk.clock

    def oversleep(seconds: float) -> None:
        clock.now += 70 * 60

    throttle = {"edge": "users", "after": 1, "do": "error", "error": {"code": 80003, "error_subcode": 2446079}}
    desk.script(throttle)
    pace = Pace(clock=clock, sleep=oversleep, max_wait=2 * HOUR)
    with Graph(desk.known["base_url"], "v25.0", SecretStr(desk.known["token"]), pace=pace) as graph:
        desk.graph = graph
        outcome = desk.send(small(3), in_flight=1)
    assert [(receipt.seq, receipt.received) for receipt in desk.receipts] == [(1, 10), (1, 10), (2, 20)]
    assert (outcome.rows, outcome.missing) == (30, 0)
    assert desk.held() == rightly(30)


def test_rows_that_meta_discards_because_the_session_is_too_old_are_missed(desk: Desk):
    """The client's clock stands still, Meta's does not: 200, and nothing is counted."""

    def let_time_pass(receipt: Receipt) -> None:
        desk.receipts.append(receipt)
        if len(desk.receipts) == 2:
            desk.control("world", {"advance_seconds": 5401})

    outcome = desk.send(small(4), in_flight=1, on_receipt=let_time_pass)
    assert (outcome.rows, outcome.received, outcome.missing) == (40, 20, 20)


# what is sent twice


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("do", ["drop_before", "drop_after", "truncate"])
def test_a_batch_whose_answer_was_lost_is_sent_again_and_never_missed(do: str, after: int, desk: Desk):
    desk.script({"edge": "users", "after": after, "do": do})
    outcome = desk.send(small(3), in_flight=1)
    assert (outcome.rows, outcome.missing, sum(receipt.retried for receipt in desk.receipts)) == (30, 0, 1)
    assert desk.held() == rightly(30)


def test_the_last_batch_goes_into_a_new_session_when_its_first_answer_was_lost(desk: Desk):
    """Meta refuses everything after a session's last batch, also that batch itself."""
    desk.script({"edge": "users", "after": 2, "do": "drop_after"})
    desk.send(small(3), in_flight=1)
    assert [receipt.seq for receipt in desk.receipts] == [1, 2, 1]
    assert [session["stage"] for session in desk.sessions()] == ["completed", "completed"]


# replacing


def test_the_first_batch_of_a_replacement_is_answered_before_the_others_leave_and_the_last_leaves_last(desk: Desk):
    """The order of arrival is the sandbox's: it refuses whatever comes before batch 1 and after the last one."""
    running_at_once: list[int] = []
    with running(latency_ms=60) as known:
        for slow in at_desk(known, Pace(base=0.01)):
            busy = {"now": 0}

            def body_of(batch: Batch, busy: dict[str, int] = busy) -> Batch:
                busy["now"] += 1
                running_at_once.append(busy["now"])
                return batch

            def answered(receipt: Receipt, desk: Desk = slow, busy: dict[str, int] = busy) -> None:
                desk.receipts.append(receipt)
                busy["now"] -= 1

            slow.send(map(body_of, small(8)), "replace", on_receipt=answered)
            order = [receipt.seq for receipt in slow.receipts]
            assert slow.held() == rightly(80)
    assert (order[0], order[-1], sorted(order)) == (1, 8, list(range(1, 9)))
    # Made and not yet answered: while the first is under way there are the next two at most.
    assert running_at_once[:3] == [1, 2, 3]
    assert 4 <= max(running_at_once) <= 7


def test_a_first_batch_that_arrived_though_its_answer_was_lost_is_not_sent_again(desk: Desk):
    desk.script({"edge": "usersreplace", "do": "drop_after"})
    outcome = desk.send(small(3), "replace")
    assert (outcome.rows, outcome.missing) == (30, 0)
    assert desk.state()["calls"]["usersreplace"] == 3
    assert desk.held() == rightly(30)


def test_a_last_batch_that_arrived_though_its_answer_was_lost_counts(desk: Desk):
    desk.script({"edge": "usersreplace", "after": 2, "do": "drop_after"})
    outcome = desk.send(small(3), "replace")
    assert (outcome.rows, outcome.missing) == (30, 0)
    assert desk.state()["calls"]["usersreplace"] == 4
    assert desk.held() == rightly(30)


def test_a_replacement_stops_before_meta_closes_it(desk: Desk):
    def let_time_pass(receipt: Receipt) -> None:
        desk.receipts.append(receipt)
        desk.clock.now += 5101 / 2

    with pytest.raises(TransientError) as refused:
        desk.send(small(4), "replace", in_flight=1, on_receipt=let_time_pass)
    assert (refused.value.exit_code, refused.value.code) == (6, "replace.window")
    assert sum(receipt.rows for receipt in desk.receipts) == 20


def test_a_session_that_meta_does_not_know_has_received_nothing(desk: Desk):
    assert rows_arrived(desk.graph, desk.audience, 123, account=desk.account) == 0


# removing


def test_ten_thousand_rows_are_removed_by_one_delete_with_a_body(desk: Desk):
    desk.send(batches(iter([rows(10_020)]), SCHEMA))
    calls = desk.state()["calls"]["users"]
    outcome = desk.send(batches(iter([rows(10_000, first=20)]), SCHEMA), "remove")
    assert (outcome.rows, outcome.received, len(desk.receipts)) == (10_000, 10_000, 3)
    assert desk.receipts[-1].size > 600_000
    assert desk.state()["calls"]["users"] == calls + 1
    assert desk.held() == rightly(20)


# in flight


def timed(known: dict[str, Any], count: int, *, in_flight: int, **pace: Any) -> tuple[float, list[int]]:
    """Seconds that ``count`` small batches take, and what the pace allowed after each of them."""
    allowed: list[int] = []
    for desk in at_desk(known, Pace(most=in_flight, base=0.01, **pace)):
        note = lambda _: allowed.append(desk.graph.pace.in_flight(desk.account))  # noqa: E731, B023
        began = time.monotonic()
        desk.send(small(count), in_flight=in_flight, on_receipt=note)
        seconds = time.monotonic() - began
        assert desk.held() == rightly(count * 10)
    return seconds, allowed


def test_requests_overlap_more_and_more_while_the_server_keeps_up():
    with running(latency_ms=200) as known:
        alone, _ = timed(known, 6, in_flight=1)
        together, allowed = timed(known, 60, in_flight=16)
    assert (allowed[0], max(allowed)) == (4, 16)
    assert allowed.index(8) < 10
    # Sixty one after the other would take ten times as long as six.
    assert together < 10 * alone / 4


def test_in_flight_is_the_most():
    with running(latency_ms=50) as known:
        _, allowed = timed(known, 20, in_flight=3)
    assert set(allowed) == {3}


def test_from_three_quarters_of_a_quota_on_fewer_requests_are_under_way():
    with running() as known:
        for desk in at_desk(known, Pace(most=16, start=16, base=0.01)):
            desk.send(small(3))
            assert desk.graph.pace.in_flight(desk.account) == 16
            # Five calls of a quota of six: 83 %.
            desk.control("world", {"settings": {"quota_custom_audience": desk.state()["calls"]["users"] + 3}})
            desk.send(small(1))
            assert 1 <= desk.graph.pace.in_flight(desk.account) <= 8
            assert desk.graph.pace.delay(desk.account) > 0.1


def test_no_more_batches_exist_than_may_be_under_way_and_two():
    made, most = 0, 0
    with running(latency_ms=50) as known:
        for desk in at_desk(known, Pace(base=0.01, most=5)):

            def counted(desk: Desk = desk) -> Iterator[Batch]:
                nonlocal made, most
                for batch in small(40):
                    made += 1
                    most = max(most, made - len(desk.receipts))
                    yield batch

            desk.send(counted(), in_flight=5)
            assert len(desk.receipts) == 40
    assert most == 5 + 2
