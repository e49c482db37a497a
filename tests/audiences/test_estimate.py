"""What a plan says of calls, bytes and time, and which replacement is too large to begin."""

from __future__ import annotations

import polars as pl
import pytest

from connector.audiences.batch import Batch
from connector.audiences.estimate import Load, most_rows_to_replace, plan_for, seconds_per_call
from connector.hashing import Hashed


def hashed(rows: int) -> Hashed:
    return Hashed(pl.DataFrame({"EMAIL": ["a" * 64] * rows}))


def load_of(rows: int) -> Load:
    load = Load()
    for start in range(0, rows, 50_000):
        load.add(hashed(min(50_000, rows - start)), ("EMAIL",))
    return load


def run(batches: int, seconds: float) -> dict[str, object]:
    return {"batches": {"sent": batches}, "seconds": seconds}


def test_bytes_are_those_of_the_bodies():
    rows = hashed(10_000)
    body = Batch(("EMAIL",), rows).body({"session_id": 1, "batch_seq": 1, "last_batch_flag": True})
    plan = plan_for([load_of(10_000)], limited=False, seconds_per_call=None, least=0)
    assert plan.calls == 1
    assert plan.bytes == pytest.approx(sum(map(len, body)), rel=0.001)


def test_rows_beyond_the_measured_ones_are_taken_to_be_as_long():
    plan = plan_for([load_of(1_000_000)], limited=False, seconds_per_call=None, least=0)
    assert (plan.calls, round(plan.bytes / 1e6)) == (100, 69)


def test_adding_and_each_kind_of_removal_are_requests_of_their_own():
    assert plan_for([load_of(10_001), load_of(1), Load()], limited=False, seconds_per_call=None, least=0).calls == 3


@pytest.mark.parametrize(
    ("limited", "per_call", "least", "seconds"),
    [
        (False, None, 0.0, 50.0),
        (False, 3.0, 0.0, 300.0),
        (False, 0.001, 7.0, 7.0),
        (True, None, 0.0, 85 * 15.0),
        (True, 20.0, 0.0, 2000.0),
    ],
)
def test_the_slowest_of_what_is_known_counts(limited: bool, per_call: float | None, least: float, seconds: float):
    plan = plan_for([load_of(1_000_000)], limited=limited, seconds_per_call=per_call, least=least)
    assert (plan.seconds, plan.limited) == (seconds, limited)


def test_the_newest_run_that_was_long_enough_says_how_long_a_request_takes():
    assert seconds_per_call([None, run(1, 60.0), run(10, 5.0), run(10, 50.0)]) == 0.5
    assert seconds_per_call([run(3, 60.0), {"batches": {}}]) is None


def test_a_replacement_is_bounded_by_limited_access_and_by_the_fastest_run_before():
    assert most_rows_to_replace([], limited=False) is None
    assert most_rows_to_replace([run(19, 1e6)], limited=False) is None
    assert most_rows_to_replace([], limited=True) == 3_550_000
    assert most_rows_to_replace([run(20, 2000.0), run(100, 1000.0)], limited=False) == 5_100_000
    assert most_rows_to_replace([run(100, 100_000.0)], limited=True) == 50_000
