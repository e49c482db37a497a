"""Who is live in a slice, against the rules told in plain Python: one part after the other, the later overrules the earlier."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.audiences.members import UNKNOWN, Index, Members, Wanted
from connector.audiences.members_loading import Piece, read_members

FEW = settings(max_examples=80)
Print = tuple[int, int]
# Few fingerprints, some that share a half: what is one in 10^19 in earnest is every second one here.
prints = st.tuples(st.sampled_from([0, 1, 2**63, 2**64 - 1]), st.sampled_from([0, 1, 2**32 - 1]))


@dataclass(frozen=True)
class Part:
    """One part: its kind, its fingerprints, and how many of the first are acknowledged."""

    kind: str
    prints: tuple[Print, ...]
    held: int = 0


@st.composite
def slices(draw: st.DrawFn) -> list[Part]:
    parts = []
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["rows", "rows", "leaving", "gone"]))
        rows = tuple(draw(st.lists(prints, max_size=8)))
        held = draw(st.integers(0, len(rows))) if kind == "rows" else 0
        parts.append(Part(kind, rows, held))
    return parts


def frame(part: Part, before: int) -> pl.DataFrame:
    table = pl.DataFrame(
        {"high": [p[0] for p in part.prints], "low": [p[1] for p in part.prints]},
        schema={"high": pl.UInt64, "low": pl.UInt64},
    )
    if part.kind != "rows":
        return table
    place = pl.int_range(before, before + table.height, eager=True)
    return table.with_columns(
        rows=(place % 5 + 1).cast(pl.UInt8), sent=(place + 100).cast(pl.Int32), mask=(place + 7).cast(pl.UInt32)
    )


def read(parts: list[Part], most: int = 1_000) -> tuple[Members, list[int]]:
    frames, before = [], 0
    for part in parts:
        frames.append(frame(part, before))
        before += len(part.prints) if part.kind == "rows" else 0
    pieces = [Piece(p.kind, len(p.prints), p.held) for p in parts]  # type: ignore[arg-type]
    return read_members(pieces, lambda: iter(frames), most=most)


def told(parts: list[Part]) -> dict[Print, tuple[int, bool, bool]]:
    """Of each live fingerprint: the place that speaks for it, whether it is held, whether it is leaving."""
    rows: dict[Print, list[tuple[int, bool]]] = {}
    leaving: set[Print] = set()
    place = 0
    for part in parts:
        for number, one in enumerate(part.prints):
            if part.kind == "gone":
                rows.pop(one, None)
                leaving.discard(one)
            elif part.kind == "leaving":
                rows[one] = [(at, False) for at, _ in rows[one]] if one in rows else []
                leaving |= {one} if rows[one] else set()
                if not rows[one]:
                    del rows[one]
            else:
                rows.setdefault(one, []).append((place, number < part.held))
                leaving.discard(one)
                place += 1
    live = {}
    for one, entered in rows.items():
        sure = [at for at, held in entered if held]
        live[one] = (max(sure or [at for at, _ in entered]), bool(sure), one in leaving)
    return live


@pytest.fixture(params=[1, 3, 1 << 20], ids="{} at once".format)
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many rows are worked on at a time makes no difference."""
    for module in ("members", "members_loading"):
        monkeypatch.setattr(f"connector.audiences.{module}.AT_ONCE", request.param)


@pytest.mark.usefixtures("at_once")
@FEW
@given(slices(), st.sampled_from([1, 5, 1_000]))
def test_later_parts_overrule_earlier_ones(parts: list[Part], most: int) -> None:
    """Whether they are read at once or, as ``most`` has it, in ranges."""
    members, starts = read(parts, most)
    got = {
        (int(high), int(low)): (int(place), bool(held), bool(leaving))
        for high, low, place, held, leaving in zip(
            members.high, members.low, members.place, members.held, members.leaving, strict=True
        )
    }
    assert got == told(parts)
    assert len(members) == len(got), "each fingerprint once"
    assert list(members.high) == sorted(members.high)
    assert not members.met.any()
    place = members.place.astype(np.int64)
    assert (members.rows == place % 5 + 1).all()
    assert (members.sent == place + 100).all()
    assert (members.mask == place + 7).all()
    sizes = [len(part.prints) if part.kind == "rows" else 0 for part in parts]
    assert starts == [sum(sizes[:n]) for n in range(len(parts))]


def asked(some: list[Print]) -> pl.DataFrame:
    return frame(Part("gone", tuple(some)), 0)


@FEW
@given(slices(), st.lists(st.lists(prints, max_size=10), max_size=3))
def test_members_are_found_and_met_once(parts: list[Part], frames: list[list[Print]]) -> None:
    members, _ = read(parts)
    live, met = told(parts), set()
    for some in frames:
        numbers = members.find(asked(some))
        assert [number != UNKNOWN for number in numbers] == [one in live for one in some]
        known = numbers[numbers != UNKNOWN]
        assert list(zip(members.high[known].tolist(), members.low[known].tolist(), strict=True)) == [
            one for one in some if one in live
        ]
        expected = []
        for one in some:
            expected.append(one in live and one in met)
            met.add(one)
        assert members.meet(numbers).tolist() == expected
    gone = {(int(members.high[n]), int(members.low[n])) for n in members.gone}
    assert gone == set(live) - met


@FEW
@given(st.lists(prints, max_size=12), st.lists(st.lists(prints, max_size=10), max_size=4))
def test_each_fingerprint_is_taken_as_often_as_it_is_wanted(wanted: list[Print], frames: list[list[Print]]) -> None:
    """By its upper half: the whole of it would be twice as much to hold."""
    pieces = [asked(some)["high"].to_numpy() for some in (wanted[:2], wanted[2:])]
    left, asking = Counter(high for high, _ in wanted), Wanted(pieces).search()
    for some in frames:
        expected = []
        for high, _ in some:
            expected.append(left[high] > 0)
            left[high] -= left[high] > 0
        assert asking.take(asked(some)).tolist() == expected
    assert asking.missing == left.total()


@pytest.mark.parametrize("kind", ["leaving", "gone"])
def test_taken_out_and_added_again_is_in(kind: str) -> None:
    one = (5, 5)
    members, _ = read([Part("rows", (one,), 1), Part(kind, (one,)), Part("rows", (one,), 1)])
    assert (len(members), members.held.tolist(), members.leaving.tolist()) == (1, [True], [False])


def test_nothing_written_is_nobody() -> None:
    members, starts = read([])
    assert (len(members), starts, members.find(asked([(1, 1)])).tolist()) == (0, [], [UNKNOWN])
    assert Wanted([]).search().take(asked([(1, 1)])).tolist() == [False]


numbers = st.lists(st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**62, 2**63, 2**64 - 1])), max_size=60)


@given(known=numbers, wanted=numbers)
def test_the_table_by_first_bits_says_the_place_that_a_binary_search_says(known: list[int], wanted: list[int]) -> None:
    high, asked = np.sort(np.array(known, np.uint64)), np.array([*wanted, *known], np.uint64)
    assert Index(high).places(asked).tolist() == np.searchsorted(high, asked).tolist()


def test_the_table_holds_for_many_numbers_that_are_not_random_at_all() -> None:
    ends = [*range(5_000), *[2**63] * 5_000, *(2**64 - 1 - n for n in range(3_000))]
    high = np.sort(np.array(ends, np.uint64))
    asked = np.unique(np.concatenate([high, high + np.uint64(1), high - np.uint64(1)]))
    assert Index(high).places(asked).tolist() == np.searchsorted(high, asked).tolist()


@given(numbers)
def test_members_come_in_order_whichever_bits_they_share(high: list[int]) -> None:
    different = list(dict.fromkeys(high))
    members, _ = read([Part("rows", tuple((one, 0) for one in different), 0)])
    assert members.high.tolist() == sorted(different)
    assert [different[place] for place in members.place] == members.high.tolist()


def test_many_rows_are_read_in_ranges_and_come_to_the_same() -> None:
    dice = np.random.default_rng(1)
    high = dice.integers(0, 2**64, 500, dtype=np.uint64).tolist()
    both = [Part("rows", tuple((one, 0) for one in high), 500)] * 2
    readings = []
    frames = [frame(one, 500 * n) for n, one in enumerate(both)]
    pieces = [Piece("rows", 500, 500)] * 2

    def again() -> list[pl.DataFrame]:
        readings.append(1)
        return frames

    whole, _ = read_members(pieces, again)
    cut, _ = read_members(pieces, again, most=500)
    assert len(readings) == 1 + 4
    for name in ("high", "low", "place", "rows", "sent", "mask", "held", "leaving", "met"):
        assert getattr(whole, name).tolist() == getattr(cut, name).tolist(), name
        assert getattr(whole, name).dtype == getattr(cut, name).dtype
    assert whole.place.min() == 500, "the later ones"
