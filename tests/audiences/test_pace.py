"""The pace on a clock that only sleeping moves; where threads matter, on real ones."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.audiences.pace import Pace, Wait
from connector.audiences.usage import Usage, read_usage, retry_after
from connector.errors import GraphFault, InterruptedRunError, TransientError
from tests.fake_time import FakeTime, pace_on


def custom_audience(percent: float, minutes: float = 0, account: str = "12") -> dict[str, str]:
    entry = {"type": "custom_audience", "call_count": percent, "estimated_time_to_regain_access": minutes}
    return {"x-business-use-case-usage": json.dumps({account: [entry]})}


def start(pace: Pace, account: str | None = "act_12") -> None:
    with pace.slot(account):
        pass


def uploads(pace: Pace, latencies: list[float], account: str = "act_12") -> int:
    for seconds in latencies:
        pace.observe({}, account, seconds=seconds)
    return pace.in_flight(account)


# Headers


def test_regain_time_is_in_minutes_and_reset_duration_in_seconds() -> None:
    headers = custom_audience(95, 19) | {
        "x-app-usage": '{"call_count": 28, "total_time": 25, "total_cputime": 31}',
        "x-ad-account-usage": '{"acc_id_util_pct": 9.67, "reset_time_duration": 100}',
    }
    assert read_usage(headers) == {"12": Usage(95, 19 * 60), None: Usage(31, 0), "": Usage(9.67, 100)}


def test_the_highest_of_several_values_and_entries_counts_and_other_products_do_not() -> None:
    entries = [
        {"type": "custom_audience", "call_count": 1, "total_cputime": 80, "total_time": 2},
        {"type": "ads_management", "call_count": 3, "estimated_time_to_regain_access": 2},
        {"type": "ads_insights", "call_count": 100, "estimated_time_to_regain_access": 60},
    ]
    assert read_usage({"x-business-use-case-usage": json.dumps({"act_5": entries})}) == {"5": Usage(80, 120)}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"x"', "{" * 70000, '{"1": 5}', '{"1": [5, null, {"call_count": "90"}]}', "[" * 5000],
)
def test_a_malformed_header_is_ignored(text: str) -> None:
    names = ("x-business-use-case-usage", "x-app-usage", "x-ad-account-usage")
    assert all(usage == Usage() for usage in read_usage(dict.fromkeys(names, text)).values())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["12", "type", "call_count", "total_time", "estimated_time_to_regain_access", "acc_id_util_pct",
             "reset_time_duration"]
        ),
        inner, max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.one_of(json_values.map(json.dumps), st.text()), st.text())
def test_no_header_whatever_breaks_a_run_or_names_a_wait_below_zero(text: str, after: str) -> None:
    headers = dict.fromkeys(("x-business-use-case-usage", "x-app-usage", "x-ad-account-usage"), text)
    assert all(usage.named >= 0 and usage.percent >= 0 for usage in read_usage(headers).values())
    assert retry_after({"retry-after": after}, 0) >= 0
    pace = pace_on(FakeTime())
    pace.observe(headers, "act_12", seconds=0.1)
    pace.throttled(headers | {"retry-after": after}, "act_12")
    assert pace.in_flight("act_12") >= 1


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after({"retry-after": " 30 "}, 0) == 30
    assert retry_after({"retry-after": "Thu, 01 Jan 1970 00:02:00 GMT"}, 20) == 100
    assert retry_after({"retry-after": "Thu, 01 Jan 1970 00:00:01 GMT"}, 20) == 0
    assert retry_after({"retry-after": "soon"}, 0) == 0
    assert retry_after({}, 0) == 0


# Slow down and stop


def test_below_75_percent_nothing_waits() -> None:
    clock = FakeTime()
    pace = pace_on(clock)
    for _ in range(50):
        start(pace)
        pace.observe(custom_audience(74.9), "act_12")
    assert (clock.slept, pace.in_flight("act_12")) == ([], 4)


def test_from_75_percent_calls_are_spread_and_fewer_at_a_time() -> None:
    clock = FakeTime()
    pace = pace_on(clock, start=16)
    spacings, flights = [], []
    for percent in (75, 80, 85, 90, 94.9):
        start(pace)
        pace.observe(custom_audience(percent), "act_12")
        spacings.append(pace.delay("act_12"))
        flights.append(pace.in_flight("act_12"))
    assert flights == [8, 6, 4, 2, 1]
    assert spacings == sorted(spacings)
    assert spacings[0] == pytest.approx(0.25)
    assert spacings[-1] == pytest.approx(15, rel=0.05)


def test_from_95_percent_all_stop_until_the_reset_that_meta_names() -> None:
    clock = FakeTime()
    pace = pace_on(clock)
    pace.observe({"x-ad-account-usage": '{"acc_id_util_pct": 95, "reset_time_duration": 100}'}, "act_12")
    assert pace.delay("act_12") == 100
    assert pace.delay("act_13") == 0
    start(pace)
    assert clock.slept == [100]


def test_from_95_percent_without_a_reset_one_call_looks_again_after_a_minute() -> None:
    clock = FakeTime()
    pace = pace_on(clock)
    pace.observe(custom_audience(97), "act_12")
    start(pace)
    assert (clock.slept, pace.in_flight("act_12")) == ([60], 1)


def test_usage_that_is_no_longer_told_is_forgotten() -> None:
    clock = FakeTime()
    pace = pace_on(clock)
    pace.observe(custom_audience(90), "act_12")
    assert pace.in_flight("act_12") == 1
    clock.seconds = 301
    assert (pace.in_flight("act_12"), pace.delay("act_12")) == (4, 0)


def test_the_apps_usage_slows_every_account_and_a_businesss_number_means_the_account_of_the_call() -> None:
    pace = pace_on(FakeTime(), start=16)
    pace.observe(custom_audience(80, account="900"), "act_12")
    assert (pace.in_flight("act_12"), pace.in_flight("act_13")) == (6, 16)
    pace.observe({"x-app-usage": '{"call_count": 85}'}, "act_12")
    assert (pace.in_flight("act_12"), pace.in_flight("act_13")) == (4, 4)


# Throttles


@given(
    st.floats(0, 100), st.integers(0, 200), st.integers(0, 4000), st.floats(0, 1), st.integers(1, 12)
)  # fmt: skip
def test_nobody_calls_before_the_longest_named_wait_is_over(
    percent: float, minutes: int, seconds: int, dice: float, workers: int
) -> None:
    clock = FakeTime()
    pace = pace_on(clock, rng=lambda: dice, max_wait=1e9)
    headers = custom_audience(percent, minutes) | {
        "x-ad-account-usage": json.dumps({"acc_id_util_pct": 1, "reset_time_duration": seconds})
    }
    for _ in range(workers):  # one burst: all that were under way are refused
        pace.throttled(headers, "act_12")
    named = max(minutes * 60, seconds)
    assert pace.delay("act_12") == pytest.approx(max(named, 1.0, dice * 5.0))
    start(pace)
    assert clock.seconds >= named


@given(st.floats(0, 1), st.integers(0, 2000))
def test_our_own_back_off_is_full_jitter_up_to_a_quarter_of_an_hour(dice: float, tries: int) -> None:
    wait = pace_on(FakeTime(), rng=lambda: dice).back_off(tries)
    assert wait == pytest.approx(dice * min(900.0, 5.0 * 2.0 ** min(tries, 20)))


def test_throttle_after_throttle_doubles_and_a_success_starts_over() -> None:
    clock = FakeTime()
    pace = pace_on(clock, rng=lambda: 1.0)
    waits = []
    for _ in range(10):
        pace.throttled({}, "act_12")
        waits.append(pace.delay("act_12"))
        start(pace)
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    clock.seconds += 1
    pace.observe({}, "act_12", seconds=0.5)
    pace.throttled({}, "act_12")
    assert pace.delay("act_12") == 5


def test_an_answer_to_a_call_from_before_the_stop_does_not_start_over() -> None:
    clock = FakeTime()
    pace = pace_on(clock, rng=lambda: 1.0)
    pace.throttled({}, "act_12")
    start(pace)
    pace.observe({}, "act_12", seconds=5.5)
    pace.throttled({}, "act_12")
    assert pace.delay("act_12") == 10


# The longest wait


@given(st.lists(st.integers(1, 3000), max_size=12), st.integers(0, 7200))
def test_a_run_never_waits_longer_than_allowed(waits: list[int], longest: int) -> None:
    clock = FakeTime()
    pace = pace_on(clock, max_wait=longest, rng=lambda: 0.0)
    for seconds in waits:
        pace.throttled({"retry-after": str(seconds)}, "act_12")
        if sum(clock.slept) + seconds > longest:
            with pytest.raises(TransientError):
                start(pace)
            break
        start(pace)
    assert sum(clock.slept) == pytest.approx(pace.waited)
    assert pace.waited <= longest


def test_workers_that_wait_together_spend_the_time_once() -> None:
    clock = FakeTime()
    pace = pace_on(clock, max_wait=100)
    pace.throttled({"retry-after": "90"}, "act_12")
    with pace._room:
        for _ in range(16):
            pace._spend(90, None)
    assert pace.waited == 90


def test_beyond_it_the_error_names_the_time_and_the_refusal() -> None:
    pace = pace_on(FakeTime(), max_wait=60)
    pace.throttled({"retry-after": "7200"}, "act_12")
    refused = TransientError("refused", fbtrace_id="T", fault=GraphFault(80003))
    with pytest.raises(TransientError, match="1970-01-01 02:00 UTC") as caught, pace.slot("12", after=refused):
        pytest.fail("the slot opened")
    assert (caught.value.code, caught.value.fbtrace_id, caught.value.fault) == (
        "graph.throttled",
        "T",
        GraphFault(80003),
    )
    assert "--max-wait" in (caught.value.hint or "")
    with pytest.raises(TransientError) as unsent:
        start(pace)
    assert unsent.value.fault == GraphFault(None, received=False)


# Telling and stopping


def test_sixteen_waits_for_one_moment_are_told_once() -> None:
    told: list[Wait] = []
    clock = FakeTime()
    pace = Pace(clock=clock, now=clock, sleep=lambda _: None, rng=lambda: 0.5, on_wait=told.append, max_wait=1e9)
    pace.throttled({"retry-after": "300"}, "act_12")
    for _ in range(16):
        pace._rest(Wait("throttled", 300, datetime.fromtimestamp(300, tz=UTC), "act_12"), pace._patience)
    assert told == [Wait("throttled", 300, datetime.fromtimestamp(300, tz=UTC), "act_12")]


def test_short_waits_are_not_worth_telling() -> None:
    told: list[Wait] = []
    clock = FakeTime()
    pace = pace_on(clock, on_wait=told.append)
    pace.pause(0.9)
    pace.pause(1.0, "act_12")
    assert [wait.reason for wait in told] == ["retry"]
    assert clock.slept == [0.9, 1.0]


@pytest.mark.parametrize("what", ["stopped", "full", "pause"])
def test_a_stop_event_wakes_whoever_waits(what: str) -> None:
    stop, waiting = threading.Event(), threading.Event()
    pace = Pace(start=1, most=1, stop=stop, on_wait=lambda _: waiting.set())
    with ThreadPoolExecutor(1) as pool:
        if what == "stopped":
            pace.throttled({"retry-after": "3600"}, "act_12")
            blocked = pool.submit(start, pace)
            assert waiting.wait(5)
        elif what == "pause":
            blocked = pool.submit(pace.pause, 3600.0)
            assert waiting.wait(5)
        else:
            with pace.slot("act_12"):
                blocked = pool.submit(start, pace)
                stop.set()
                assert isinstance(blocked.exception(5), InterruptedRunError)
        stop.set()
        assert isinstance(blocked.exception(5), InterruptedRunError)


# In flight


def test_steady_latency_raises_four_to_sixteen() -> None:
    pace = pace_on(FakeTime())
    assert uploads(pace, [0.2, 0.25, 0.15, 0.2]) == 4
    assert uploads(pace, [0.2] * 3) == 7
    assert uploads(pace, [0.2] * 50) == 16


def test_one_lucky_answer_and_a_short_last_batch_do_not_lower_the_limit() -> None:
    pace = pace_on(FakeTime())
    for seconds, size in [(0.4, 1000)] * 40 + [(0.05, 1000), (0.01, 20)] + [(0.4, 1000)] * 80:
        pace.observe({}, "act_12", seconds=seconds, size=size)
    assert pace.in_flight("act_12") == 16


def test_larger_bodies_get_a_measure_of_their_own() -> None:
    pace = pace_on(FakeTime())
    for seconds, size in [(0.1, 1000)] * 40 + [(2.0, 90_000)] * 80:
        pace.observe({}, "act_12", seconds=seconds, size=size)
    assert pace.in_flight("act_12") == 16


def test_latency_that_grows_with_the_calls_keeps_them_few() -> None:
    pace = pace_on(FakeTime())
    for _ in range(300):  # a server that works on two calls at a time
        uploads(pace, [0.1 * max(1.0, pace.in_flight("act_12") / 2)])
    assert 4 <= pace.in_flight("act_12") <= 8


def test_a_throttle_halves_and_calm_brings_them_back_one_by_one() -> None:
    clock = FakeTime()
    pace = pace_on(clock)
    uploads(pace, [0.2] * 20)
    pace.throttled({}, "act_12")
    assert pace.in_flight("act_12") == 8
    clock.seconds = 100
    assert uploads(pace, [0.2] * 8) == 9
    assert uploads(pace, [0.2] * 200) == 16


@given(st.lists(st.tuples(st.floats(0.001, 100), st.floats(0, 120), st.booleans()), max_size=60))
def test_calls_in_flight_stay_between_one_and_sixteen(story: list[tuple[float, float, bool]]) -> None:
    clock = FakeTime()
    pace = pace_on(clock, max_wait=1e9)
    for latency, percent, throttle in story:
        clock.seconds += latency
        if throttle:
            pace.throttled(custom_audience(percent), "act_12")
        else:
            pace.observe(custom_audience(percent), "act_12", seconds=latency)
        assert 1 <= pace.in_flight("act_12") <= (16 if percent < 75 else 8)


def test_never_more_than_allowed_are_under_way_on_real_threads() -> None:
    pace = Pace(start=3, most=3)
    lock = threading.Lock()
    running, most = 0, 0

    def work(_: int) -> None:
        nonlocal running, most
        with pace.slot("act_12"):
            with lock:
                running += 1
                most = max(most, running)
            threading.Event().wait(0.001)
            with lock:
                running -= 1

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(200)))
    assert (running, most) == (0, 3)


def test_a_call_that_fails_gives_its_slot_back() -> None:
    pace = Pace(start=1, most=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), pace.slot("act_12"):
            raise ZeroDivisionError
    start(pace)
