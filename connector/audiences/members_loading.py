"""A ledger slice's parts, put together: who is a member, and what is known of each.

Works on numbers only, and on a stretch of rows at a time, so that it takes little more memory than what comes of it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import numpy as np
import polars as pl

from connector.audiences.members import AT_ONCE, UNKNOWN, Index, Members, begins_of, find_prints, lower, stretches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

LOADED: Final = ("high", "low", "rows", "sent", "mask")
MOST_LOADED: Final = 12_000_000  # rows to load at once; more are loaded in ranges of half as many
_COLUMNS: Final = tuple(field.name for field in fields(Members) if not field.name.startswith("_"))

Number = TypeVar("Number", bound=np.generic)
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
        self._high, self._low = np.empty(size, np.uint64), np.empty(size, np.uint32)
        self._at = np.empty(0 if whole else size, np.uint32)
        self._rows, self._sent = np.empty(size, np.uint8), np.empty(size, np.uint16)
        self._mask, self._held = np.empty(size, np.uint32), np.zeros(size, np.bool_)
        self._ends: list[int] = []
        self._numbers: list[int] = []

    def fill(self, frame: pl.DataFrame, mine: slice | NDArray[np.intp], number: int, held: int, start: int) -> None:
        """Put some of one part's rows (``mine``) behind the others; ``start`` is the place of its first."""
        high = frame["high"].to_numpy()[mine]
        here = slice(self.filled, self.filled + len(high))
        self._high[here], self._low[here] = high, lower(frame)[mine]
        for name, column in (("rows", self._rows), ("mask", self._mask), ("sent", self._sent)):
            column[here] = frame[name].to_numpy()[mine]
        if isinstance(mine, slice):
            self._held[self.filled : self.filled + held] = True
        else:
            self._at[here], self._held[here] = mine + start, mine < held
        self.filled += len(high)
        self._ends.append(self.filled)
        self._numbers.append(number)

    def settled(self, events: list[_Event]) -> Members:
        """Sort, and let later parts overrule earlier ones. Use once: the table is empty afterwards."""
        place, bits = _sorting(self._high[: self.filled])
        high = _taken(self._high, place)
        self._high = high[:0]
        low = _taken(self._low, place)
        self._low = low[:0]
        _order_ties(high, low, place, bits)
        held, leaving = _taken(self._held, place), np.zeros(len(high), dtype=bool)
        keep = self._overrule(_Sorted(high, low, place, held, leaving), events)
        if keep is not None:
            high, low, place, held, leaving = high[keep], low[keep], place[keep], held[keep], leaving[keep]
        met = np.zeros(len(high), dtype=bool)
        rows, sent, mask = _taken(self._rows, place), _taken(self._sent, place), _taken(self._mask, place)
        place = place if self.whole else _taken(self._at, place)
        return Members(high, low, place, rows, sent, mask, held, leaving, met)

    def _overrule(self, table: _Sorted, events: list[_Event]) -> NDArray[np.bool_] | None:
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
        table: _Sorted,
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


@dataclass(frozen=True, slots=True)
class _Sorted:
    """All rows of all parts, sorted by fingerprint, rows of one fingerprint in the order they were written."""

    high: NDArray[np.uint64]
    low: NDArray[np.uint32]
    place: NDArray[np.uint32]
    held: NDArray[np.bool_]
    leaving: NDArray[np.bool_]


def _sorting(high: NDArray[np.uint64]) -> tuple[NDArray[np.uint32], int]:
    """Give the order of random numbers by all but their last bits, and how many those are.

    Each number's place stands in its last bits while they are sorted: a fifth of the time that sorting places takes.
    """
    bits = max(1, len(high).bit_length())
    places = np.uint64((1 << bits) - 1)
    packed = high & ~places
    for here in stretches(len(packed)):
        packed[here] |= np.arange(here.start, here.stop, dtype=np.uint64)
    packed = pl.Series(packed).sort().to_numpy()
    place = np.empty(len(packed), dtype=np.uint32)
    for here in stretches(len(packed)):
        place[here] = packed[here] & places
    return place, bits


def _taken(column: NDArray[Number], place: NDArray[np.uint32]) -> NDArray[Number]:
    """Give a column's cells at these places: as ``take`` does, which would first make 64 bits of each place."""
    taken = np.empty(len(place), column.dtype)
    for here in stretches(len(place)):
        taken[here] = column.take(place[here])
    return taken


def _order_ties(high: NDArray[np.uint64], low: NDArray[np.uint32], place: NDArray[np.uint32], bits: int) -> None:
    """Bring rows that share all but the last ``bits`` of ``high`` into the order of ``high``, ``low`` and ``place``."""
    same = (high[1:] ^ high[:-1]) >> np.uint64(bits) == 0
    tied = np.zeros(len(high), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    at = np.flatnonzero(tied)
    if len(at):
        order = at[np.lexsort((place[at], low[at], high[at]))]
        high[at], low[at], place[at] = high[order], low[order], place[order]


def _met(table: _Sorted, events: list[_Event]) -> list[NDArray[np.int64]]:
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
