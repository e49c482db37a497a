"""A ledger slice's parts, put together: who is a member, and what is known of each.

Works on numbers only, and on a stretch of rows at a time, so that it takes little more memory than what comes of it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import polars as pl

from connector.audiences.members import AT_ONCE, UNKNOWN, Index, Members, begins_of, find_prints, lower, stretches
from connector.in_order import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

LOADED: Final = ("high", "low", "rows", "sent", "mask")
MOST_LOADED: Final = 12_000_000  # rows to load at once; more are loaded in ranges of half as many
_COLUMNS: Final = tuple(field.name for field in fields(Members) if not field.name.startswith("_"))
_THREADS: Final = 2
# What is known of a row beside its fingerprint's first bits (``high``: the last ones of those), to be fetched at one go.
_RECORD: Final = np.dtype(
    [("high", "u4"), ("low", "u4"), ("mask", "u4"), ("sent", "u2"), ("rows", "u1"), ("held", "?")]
)

Kind = Literal["rows", "leaving", "gone", "lost"]


@dataclass(frozen=True, slots=True)
class Piece:
    """What the book says of one part: its kind, how many rows it has, and how many of the first are acknowledged."""

    kind: Kind
    rows: int
    held: int


def read_members(
    pieces: Sequence[Piece], read: Callable[[], Iterable[pl.DataFrame]], *, most: int = MOST_LOADED
) -> tuple[Members, list[int]]:
    """Put a slice's parts together, in the order they were written: later parts overrule earlier ones.

    Args:
        pieces: What each part is.
        read: Gives each part's rows, in the same order, taken one after the other: the columns ``LOADED`` of a part of rows,
            ``high`` and ``low`` of any other. Called once, or once for each range of fingerprints.
        most: Of so many rows ranges are read one after the other: what is superseded never takes memory beside all that
            is not.

    Returns:
        The members, and for each part the place of its first row (only parts of rows take places).
    """
    sizes = [piece.rows if piece.kind == "rows" else 0 for piece in pieces]
    starts = [0, *itertools.accumulate(sizes)]
    ranges = 1 if starts[-1] <= most else -(-starts[-1] // max(1, most // 2))
    bounds = [(number << 64) // ranges for number in range(1, ranges)]
    found = [_read_range(pieces, read(), starts, low, high) for low, high in itertools.pairwise([0, *bounds, 1 << 64])]
    return _joined(found), starts[:-1]


def _read_range(
    pieces: Sequence[Piece], frames: Iterable[pl.DataFrame], starts: Sequence[int], first: int, end: int
) -> Members:
    """Read the members whose ``high`` is at least ``first`` and below ``end``."""
    table, events = _Table(starts[-1], whole=end - first == 1 << 64), []
    for number, (piece, frame) in enumerate(zip(pieces, frames, strict=True)):
        high = frame["high"].to_numpy()
        mine = slice(0, len(high)) if table.whole else _within(high, first, end)
        if piece.kind == "rows":
            table.fill(frame, mine, number, piece.held, starts[number])
        else:
            events.append(_Event(number, piece.kind, high[mine], lower(frame)[mine]))
    return table.settled(events)


def _within(high: NDArray[np.uint64], first: int, end: int) -> NDArray[np.intp]:
    return np.flatnonzero((high >= np.uint64(first)) & (high <= np.uint64(end - 1)))


def _joined(found: list[Members]) -> Members:
    """Put ranges behind each other, column by column: they are in order."""
    if len(found) == 1:
        return found[0]
    columns: dict[str, Any] = {}
    for name in _COLUMNS:
        columns[name] = np.concatenate([getattr(one, name) for one in found])
        for one in found:
            setattr(one, name, columns[name][:0])
    return Members(**columns)


@dataclass(frozen=True, slots=True)
class _Event:
    """Some members were taken out (``gone``), or are about to be (``leaving``)."""

    number: int
    kind: Kind
    high: NDArray[np.uint64]
    low: NDArray[np.uint32]


class _Table:
    """Rows of all parts in the order they were written; becomes :class:`Members`. Made to peak at some 50 bytes a row.

    Unless it is ``whole``, a range of them, with the place that each has among all. What is not filled takes no memory.
    """

    def __init__(self, size: int, *, whole: bool) -> None:
        self.whole = whole
        self.filled = 0
        self._places = np.uint64((1 << max(1, size.bit_length())) - 1)
        # First bits of ``high``, and in the last ones the row's place here: sorted in a fifth of the time that places take.
        self._packed = np.empty(size, np.uint64)
        self._records = np.empty(size, _RECORD)
        self._at = np.empty(0 if whole else size, np.uint32)
        self._ends: list[int] = []
        self._numbers: list[int] = []

    def fill(self, frame: pl.DataFrame, mine: slice | NDArray[np.intp], number: int, held: int, start: int) -> None:
        """Put some of one part's rows (``mine``) behind the others; ``start`` is the place of its first."""
        high = frame["high"].to_numpy()[mine]
        here = slice(self.filled, self.filled + len(high))
        self._packed[here] = high & ~self._places | np.arange(here.start, here.stop, dtype=np.uint64)
        records = self._records[here]
        records["high"], records["low"] = high.astype(np.uint32), lower(frame)[mine]
        for name in ("rows", "mask", "sent"):
            records[name] = frame[name].to_numpy()[mine]
        if isinstance(mine, slice):
            records["held"] = np.arange(len(high)) < held
        else:
            self._at[here], records["held"] = mine + start, mine < held
        self.filled += len(high)
        self._ends.append(self.filled)
        self._numbers.append(number)

    def settled(self, events: list[_Event]) -> Members:
        """Sort, and let later parts overrule earlier ones. Use once: the table is empty afterwards."""
        packed = pl.Series(self._packed[: self.filled]).sort().to_numpy()
        self._packed = packed[:0]
        members = _fetched(packed, self._records, self._places)
        del packed
        self._records = self._records[:0]
        keep = self._overrule(members, events)
        if keep is not None:
            for name in _COLUMNS:
                setattr(members, name, getattr(members, name)[keep])
        if not self.whole:
            members.place = self._at.take(members.place)
        return members

    def _overrule(self, table: Members, events: list[_Event]) -> NDArray[np.bool_] | None:
        """Tell which rows are live; writes their ``held`` and ``leaving``. ``None``: all of them are."""
        begins = begins_of(table.high, table.low)
        touched = ~begins
        touched[:-1] |= ~begins[1:]
        met = _met(table, events)
        for rows in met:
            touched[rows] = True
        if not touched.any():
            return None
        keep = ~touched
        for here in _slices(begins):
            at = here.start + np.flatnonzero(touched[here])
            if len(at):
                mine = [rows[slice(*np.searchsorted(rows, (here.start, here.stop)))] for rows in met]
                keep[at] = self._live(table, at, begins[at], list(zip(events, mine, strict=True)))
        return keep

    def _live(
        self,
        table: Members,
        at: NDArray[np.int64],
        begins: NDArray[np.bool_],
        events: list[tuple[_Event, NDArray[np.int64]]],
    ) -> NDArray[np.bool_]:
        """Tell which of the rows ``at`` are live, where ``begins`` says which is the first with its fingerprint."""
        group = np.cumsum(begins) - 1
        ended = np.full(group[-1] + 1, UNKNOWN)
        leaves = ended.copy()
        for event, rows in events:
            mine = group[np.searchsorted(at, rows)]
            (ended if event.kind == "gone" else leaves)[mine] = event.number
        number = np.array(self._numbers)[np.searchsorted(self._ends, table.place[at], side="right")]
        first = np.flatnonzero(begins)
        alive = number > ended[group]
        after = alive & (number > leaves[group])
        sure = after & table.held[at]
        # The last row that is acknowledged speaks for the others; without one, the last.
        score = np.where(alive, table.place[at] + np.int64(1) + (sure.astype(np.int64) << 40), 0)
        table.held[at] = np.logical_or.reduceat(sure, first)[group]
        wanted_again = np.logical_or.reduceat(after, first)
        table.leaving[at] = ((leaves > ended) & ~wanted_again)[group]
        live: NDArray[np.bool_] = alive & (score == np.maximum.reduceat(score, first)[group])
        return live


def _fetched(packed: NDArray[np.uint64], records: NDArray[np.void], places: np.uint64) -> Members:
    """Make members of rows: their fingerprints' first bits, sorted, with the place of each row's record in the last (``places``)."""
    rows = len(packed)
    place = _in_order(packed, records, places)
    columns: dict[str, Any] = {name: np.empty(rows, _RECORD[name]) for name in ("low", "mask", "sent", "rows", "held")}
    high = np.empty(rows, np.uint64)

    def fetch(here: slice) -> None:
        some = records.take(place[here])
        high[here] = packed[here] & ~places | some["high"] & places
        for name, column in columns.items():
            column[here] = some[name]

    for _ in in_order(fetch, stretches(rows), workers=_THREADS):
        pass
    nobody = np.zeros(rows, np.bool_)
    return Members(high=high, place=place, leaving=nobody, met=nobody.copy(), **columns)


def _in_order(packed: NDArray[np.uint64], records: NDArray[np.void], places: np.uint64) -> NDArray[np.uint32]:
    """Give the rows' places by fingerprint, rows of one fingerprint in the order they were written."""
    place = np.empty(len(packed), np.uint32)
    for here in stretches(len(packed)):
        place[here] = packed[here] & places
    same = (packed[1:] ^ packed[:-1]) <= places
    tied = np.zeros(len(packed), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    at = np.flatnonzero(tied)
    if len(at):  # what they differ by, if at all, is not among the bits they were sorted by
        some = records.take(place[at])
        high = packed[at] & ~places | some["high"] & places
        place[at] = place[at][np.lexsort((place[at], some["low"], high))]
    return place


def _met(table: Members, events: list[_Event]) -> list[NDArray[np.int64]]:
    """Give for each event the first rows of those it is about, ascending; looked up some at a time."""
    if not events:
        return []
    index, met = Index(table.high), []
    for event in events:
        pieces = [
            find_prints(index, table.low, event.high[here], event.low[here]) for here in stretches(len(event.high))
        ]
        rows = np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *pieces]))
        met.append(rows[np.searchsorted(rows, 0) :])  # UNKNOWN stands before all others
    return met


def _slices(begins: NDArray[np.bool_]) -> Iterator[slice]:
    """Cut sorted rows so that those of one fingerprint stay together: to work on some at a time."""
    start, end = 0, len(begins)
    while start < end:
        stop = start + AT_ONCE
        while stop < end and not begins[stop]:
            stop += 1
        yield slice(start, min(stop, end))
        start = stop
