from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.audiences.digest_set import DigestSet, SpillingSet, identify, split
from connector.audiences.duplicates import Duplicates, Unchanged
from connector.audiences.ledger_rows import with_identities
from connector.hashing import Hashed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
Row = tuple[int, str | None, str | None, str]


def plain_firsts(rows: list[Row]) -> list[bool]:
    """Principle 7, told in plain Python: one row after the other."""
    cells, owners, verdicts = set(), {}, []
    for profile, external, email, name in rows:
        taken = external is not None and owners.get(external, profile) != profile
        first = not taken and (email, name) not in cells
        if first:
            cells.add((email, name))
            if external is not None:
                owners[external] = profile
        verdicts.append(first)
    return verdicts


def firsts(rows: list[Row], frame_sizes: list[int]) -> list[bool]:
    """The same by the real thing, cut into frames that never part a profile's rows."""
    duplicates, verdicts, start = Duplicates(), [], 0
    sizes = iter(frame_sizes)
    while start < len(rows):
        end = min(len(rows), start + next(sizes, len(rows)))
        while end < len(rows) and rows[end][0] == rows[end - 1][0]:
            end += 1
        part = rows[start:end]
        hashed = pl.DataFrame(
            {"EXTERN_ID": [r[1] for r in part], "EMAIL": [r[2] for r in part], "FN": [r[3] for r in part]},
            schema={"EXTERN_ID": pl.String, "EMAIL": pl.String, "FN": pl.String},
        )
        profiles = pl.Series([r[0] for r in part], dtype=pl.UInt32)
        verdicts += duplicates.firsts(with_identities(Hashed(hashed), ["EMAIL", "FN"]), profiles).to_list()
        start = end
    return verdicts


@st.composite
def profiles(draw: st.DrawFn) -> list[Row]:
    rows: list[Row] = []
    for profile in range(draw(st.integers(1, 12))):
        external = draw(st.sampled_from([None, "a", "b", "c", "d"]))
        emails, names = st.sampled_from([None, "x", "y", "z"]), st.sampled_from(["m", "n"])
        rows += [(profile, external, draw(emails), draw(names)) for _ in range(draw(st.integers(1, 3)))]
    return rows


@given(profiles(), st.lists(st.integers(1, 6), max_size=6))
def test_the_first_in_source_order_wins_whatever_the_size_of_the_frames(rows: list[Row], sizes: list[int]) -> None:
    assert firsts(rows, sizes) == plain_firsts(rows)


def test_a_profile_dropped_for_its_id_does_not_hide_a_later_one() -> None:
    rows: list[Row] = [(0, "a", "x", "m"), (1, "a", "y", "m"), (2, "b", "y", "m")]
    assert firsts(rows, [3]) == firsts(rows, [1, 1, 1]) == [True, False, True]


def test_a_shared_email_alone_is_no_duplicate() -> None:
    assert firsts([(0, None, "x", "m"), (1, None, "x", "n")], [2]) == [True, True]


def test_equal_rows_without_an_id_beside_others_with_one_are_found() -> None:
    rows: list[Row] = [(0, None, "x", "m"), (1, "a", "y", "m"), (2, None, "x", "m"), (3, "b", "z", "m")]
    assert firsts(rows, [4]) == [True, True, False, True]


@pytest.mark.parametrize("make", [DigestSet, lambda: SpillingSet(most=9)])
@given(parts=st.lists(st.lists(st.integers(0, 50), max_size=20), max_size=12))
def test_a_digest_set_holds_just_what_was_added(make: Callable[[], DigestSet], parts: list[list[int]]) -> None:
    digests, plain = make(), set()
    for part in parts:
        rows = identify(pl.DataFrame({"cell": [str(n) for n in part]}, schema={"cell": pl.String}), ["cell"])
        assert digests.contains(rows).to_list() == [n in plain for n in part]
        digests.add(rows)
        plain |= set(part)


def test_a_set_of_many_keeps_only_marks_in_memory_and_forgets_nobody() -> None:
    some, others = (identify(pl.DataFrame({"n": [f"{n}{which}" for n in range(30_000)]}), ["n"]) for which in "ab")
    digests = SpillingSet(most=10_000)
    for start in range(0, 30_000, 5_000):
        digests.add(some.slice(start, 5_000))
    assert len(digests) == 30_000
    assert digests._runs == []
    assert len(digests._filed) == 3
    assert digests.contains(some).all()
    assert not digests.contains(others).any()


def test_what_is_written_out_is_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[np.ndarray, np.ndarray]] = []
    monkeypatch.setattr(SpillingSet, "_write", lambda _, run: written.append(run))
    rows = identify(pl.DataFrame({"n": ["4711", "4712"]}), ["n"])
    SpillingSet(most=1).add(rows)
    assert len(written) == 1
    for hidden, plain in zip(written[0], split(rows), strict=False):
        assert len(hidden) == 2
        assert not set(hidden.tolist()) & set(plain.tolist())


def test_a_full_disk_keeps_it_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere/at/all")
    digests = SpillingSet(most=1)
    rows = identify(pl.DataFrame({"n": ["4711", "4712"]}), ["n"])
    digests.add(rows)
    assert digests.contains(rows).all()


def test_whoever_asks_while_another_looks_through_the_ledger_waits_for_what_is_found() -> None:
    """Two passes over the candidates share one look through the ledger, and may overlap by a frame that is read ahead."""
    begun, go_on = threading.Event(), threading.Event()
    keys = split(identify(pl.DataFrame({"n": ["4711", "4712"]}), ["n"]))

    class Slow:
        def look_through(self, _: object, __: object, look: Callable[..., T]) -> Iterator[T]:
            begun.set()
            assert go_on.wait(30)
            second = pl.Series(keys[1]).cast(pl.UInt64)
            rows = pl.DataFrame({"cells_high": keys[0], "cells_low": second, "external_id": ["a", None]})
            yield look(rows, np.ones(2, dtype=bool))

    unchanged = Unchanged(Slow(), np.arange(2, dtype=np.uint32))  # type: ignore[arg-type]
    found: list[np.ndarray] = []

    def ask() -> None:
        unchanged.look_up(keys, None)
        found.append(unchanged.known("cells", keys))

    first, second = threading.Thread(target=ask), threading.Thread(target=ask)
    first.start()
    assert begun.wait(30)
    second.start()
    second.join(0.2)
    assert found == []
    go_on.set()
    for one in (first, second):
        one.join(30)
    assert [one.tolist() for one in found] == [[True, True], [True, True]]


def test_an_identity_depends_on_place_and_value_and_is_null_for_nothing() -> None:
    frame = pl.DataFrame({"a": ["x", "y", None, None], "b": ["y", "x", "x", None]})
    identities = identify(frame, ["a", "b"])
    assert identities.n_unique() == 4
    assert identities.is_null().to_list() == [False, False, False, True]


def test_an_identity_is_the_same_in_every_version() -> None:
    """The ledger keeps identities: a new polars or plug-in must not change them."""
    frame = pl.DataFrame({"a": ["f1904cf1"], "b": [None]}, schema={"a": pl.String, "b": pl.String})
    assert identify(frame, ["a", "b"]).item() == KNOWN


KNOWN = 54343357844243477851468735495603922722
