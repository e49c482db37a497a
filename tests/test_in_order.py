"""Work done ahead by threads: in order, errors where they belong, and no thread left behind."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING

import pytest

from connector.in_order import ahead, in_order

if TYPE_CHECKING:
    from collections.abc import Generator


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(("ahead", "transform"))]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    slow_first = threading.Event()

    def work(number: int) -> int:
        if number == 0 and workers > 1:
            assert slow_first.wait(20)
        slow_first.set()
        return number * number

    assert list(in_order(work, range(20), workers=workers)) == [number * number for number in range(20)]
    assert threads() == []


def test_no_more_than_a_few_items_are_read_ahead() -> None:
    read: list[int] = []

    def items() -> Generator[int]:
        for number in range(50):
            read.append(number)
            yield number

    results = in_order(lambda number: number, items(), workers=2)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(read) <= 5 + 2
    results.close()  # type: ignore[attr-defined]
    assert threads() == []


@pytest.mark.parametrize("broken", ["work", "items"])
def test_what_goes_wrong_is_raised_after_what_went_well(broken: str) -> None:
    def items() -> Generator[int]:
        yield from (1, 2, 3)
        if broken == "items":
            raise ValueError("items")

    def work(number: int) -> int:
        if broken == "work" and number == 3:
            raise ValueError("work")
        return number

    results = in_order(work, items(), workers=1)
    assert [next(results), next(results)] == [1, 2]
    results.close()  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=broken):
        list(in_order(work, items(), workers=2))
    assert threads() == []


def test_the_next_item_is_taken_while_the_last_one_is_worked_on() -> None:
    taken = [threading.Event() for _ in range(4)]

    def items() -> Generator[int]:
        for number in range(4):
            taken[number].set()
            yield number

    met = []
    for number in ahead(items()):
        assert number == 3 or taken[number + 1].wait(20)
        met.append(number)
    assert met == [0, 1, 2, 3]
    assert threads() == []


def test_a_generator_begins_goes_on_and_ends_in_one_thread_that_is_not_ours() -> None:
    seen: list[int] = []

    def items() -> Generator[int]:
        try:
            for number in range(3):
                seen.append(threading.get_ident())
                yield number
        finally:
            seen.append(threading.get_ident())

    assert list(ahead(items())) == [0, 1, 2]
    assert len(seen) == 4
    assert len(set(seen)) == 1
    assert threading.get_ident() not in seen


def test_an_error_of_the_generator_is_raised_where_its_item_was_wanted() -> None:
    def items() -> Generator[int]:
        yield 1
        raise ValueError("second")

    taking = ahead(items())
    assert next(taking) == 1
    with pytest.raises(ValueError, match="second"):
        next(taking)
    assert threads() == []


def hundred(ended: threading.Event) -> Generator[int]:
    """A generator that tells when it has ended."""
    try:
        yield from range(100)
    finally:
        ended.set()


def test_whoever_stops_in_the_middle_leaves_no_thread_and_an_ended_generator() -> None:
    ended = threading.Event()
    taking = ahead(hundred(ended))
    assert next(taking) == 0
    taking.close()  # type: ignore[attr-defined]
    assert ended.is_set()
    assert threads() == []


def test_one_that_is_left_to_the_garbage_collector_ends_too() -> None:
    ended = threading.Event()

    def leave() -> None:
        taking = ahead(hundred(ended))
        knot: list[object] = [taking]
        knot.append(knot)
        next(taking)

    leave()
    gc.collect()
    assert ended.wait(20)
    for thread in threads():
        thread.join(20)
    assert threads() == []
