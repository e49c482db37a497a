"""Whom a ledger slice holds, in memory: sorted fingerprints, 34 bytes each with what is known of them, and who of them was met in the source.

Works on numbers only. Sees fingerprints, never attributes or digests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

UNKNOWN: Final = -1
LOADED: Final = ("high", "low", "rows", "sent", "mask")
_AT_ONCE: Final = 1 << 20  # members to count or to settle
_NOBODY: Final = np.zeros(0, dtype=np.uint64)

Number = TypeVar("Number", bound=np.generic)
Kind = Literal["rows", "leaving", "gone", "lost"]


@dataclass(frozen=True, slots=True)
class Piece:
    """What the book says of one part: its kind, how many rows it has, and how many of the first are acknowledged."""

    kind: Kind
    rows: int
    held: int


@dataclass(slots=True)
class Members:
    """The live rows of a slice, sorted by ``high``.

    ``place`` is a row's place in the slice's parts of rows, put behind each other; ``rows`` how many rows it sent; ``sent``
    the day (since 1970); ``mask`` which keys it had; ``held`` that Meta acknowledged it and nothing has made that doubtful
    since; ``leaving`` that its removal was begun; ``met`` that the source still has it.
    """

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    place: NDArray[np.uint32]
    rows: NDArray[np.uint8]
    sent: NDArray[np.uint16]
    mask: NDArray[np.uint32]
    held: NDArray[np.bool_]
    leaving: NDArray[np.bool_]
    met: NDArray[np.bool_]
    _index: _Index | None = None

    def __len__(self) -> int:
        return len(self.high)

    @property
    def gone(self) -> NDArray[np.int64]:
        """Who was not met."""
        return np.flatnonzero(~self.met)

    def find(self, prints: pl.DataFrame) -> NDArray[np.int64]:
        """Give for each fingerprint its member's number, or ``UNKNOWN``."""
        index = self._index = self._index or _Index(self.high)  # of two threads, each may make one
        return _find(index, self.low, prints["high"].to_numpy(), prints["low"].to_numpy())

    def meet(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mark the members as met; true for those that were met before, in an earlier frame or earlier in this one."""
        known = numbers != UNKNOWN
        mine = numbers[known]
        again: NDArray[np.bool_] = known & self.met[numbers] if len(self) else known
        if pl.Series(mine).n_unique() < len(mine):  # hardly ever within one frame
            later = np.ones(len(mine), dtype=bool)
            later[np.unique(mine, return_index=True)[1]] = False
            again[known] |= later
        self.met[mine] = True
        return again

    def count_bits(self, chosen: NDArray[np.bool_], bits: int) -> list[int]:
        """Count for each of the first ``bits`` bits of ``mask`` how many of the chosen members have it."""
        counts = np.zeros(1 << bits, dtype=np.int64)
        for here in _stretches(len(self)):
            counts += np.bincount(self.mask[here][chosen[here]], minlength=len(counts))
        masks = np.arange(len(counts))
        return [int(counts[masks >> bit & 1 == 1].sum()) for bit in range(bits)]


class Wanted:
    """Fingerprints to be met again, each as often as it was wanted; by several readings, each from the start."""

    def __init__(self, prints: Sequence[pl.DataFrame]) -> None:
        high = np.concatenate([_NOBODY, *(some["high"].to_numpy() for some in prints)])
        low = np.concatenate([_NOBODY, *(some["low"].to_numpy() for some in prints)])
        place, bits = _sorting(high)
        high, low = _taken(high, place), _taken(low, place)
        _order_ties(high, low, place, bits)
        first = _begins(high, low)
        self._index, self._low = _Index(high[first]), low[first]
        self._counts = np.diff(np.append(np.flatnonzero(first), len(high))).astype(np.uint32)

    def search(self) -> Search:
        """Begin to look for them."""
        return Search(self._index, self._low, self._counts.copy())


@dataclass(slots=True)
class Search:
    """One reading that looks for what is :class:`Wanted`; ``left`` counts how often each is still to be met."""

    _index: _Index
    _low: NDArray[np.uint64]
    _left: NDArray[np.uint32]

    def take(self, prints: pl.DataFrame) -> NDArray[np.bool_]:
        """Tell for each fingerprint whether it is wanted (still), and take it off the list."""
        numbers = _find(self._index, self._low, prints["high"].to_numpy(), prints["low"].to_numpy())
        taken = np.zeros(len(numbers), dtype=bool)
        known = np.flatnonzero(numbers != UNKNOWN)
        order = known[np.argsort(numbers[known], kind="stable")]
        if len(order):
            mine = numbers[order]
            begins = np.flatnonzero(np.append(True, mine[1:] != mine[:-1]))
            nth = np.arange(len(mine)) - np.repeat(begins, np.diff(np.append(begins, len(mine))))
            taken[order] = nth < self._left[mine]
            np.subtract.at(self._left, numbers[taken], 1)
        return taken

    @property
    def missing(self) -> int:
        """How many were not met again."""
        return int(self._left.sum(dtype=np.int64))


def read_members(pieces: Sequence[Piece], frames: Iterable[pl.DataFrame]) -> tuple[Members, list[int]]:
    """Put a slice's parts together, in the order they were written: later parts overrule earlier ones.

    Args:
        pieces: What each part is.
        frames: Each part's rows, in the same order, taken one after the other: the columns ``LOADED`` of a part of rows,
            ``high`` and ``low`` of any other.

    Returns:
        The members, and for each part the place of its first row (only parts of rows take places).
    """
    table, events = _Table(sum(p.rows for p in pieces if p.kind == "rows")), []
    starts = []
    for number, (piece, frame) in enumerate(zip(pieces, frames, strict=True)):
        starts.append(table.filled)
        if piece.kind == "rows":
            table.fill(frame, number, piece.held)
        else:
            events.append(_Event(number, piece.kind, frame["high"].to_numpy(), frame["low"].to_numpy()))
    return table.settled(events), starts


@dataclass(frozen=True, slots=True)
class _Event:
    """Some members were taken out (``gone``), or are about to be (``leaving``)."""

    number: int
    kind: Kind
    high: NDArray[np.uint64]
    low: NDArray[np.uint64]


class _Table:
    """Rows of all parts in the order they were written; becomes :class:`Members`. Made to peak at 40 bytes a row."""

    def __init__(self, size: int) -> None:
        self.filled = 0
        self._high, self._low = np.empty(size, np.uint64), np.empty(size, np.uint64)
        self._rows, self._sent = np.empty(size, np.uint8), np.empty(size, np.uint16)
        self._mask, self._held = np.empty(size, np.uint32), np.zeros(size, np.bool_)
        self._ends: list[int] = []
        self._numbers: list[int] = []

    def fill(self, frame: pl.DataFrame, number: int, held: int) -> None:
        """Put one part's rows behind the others."""
        here = slice(self.filled, self.filled + frame.height)
        self._high[here], self._low[here] = frame["high"].to_numpy(), frame["low"].to_numpy()
        self._rows[here], self._mask[here] = frame["rows"].to_numpy(), frame["mask"].to_numpy()
        self._sent[here] = frame["sent"].to_numpy()
        self._held[self.filled : self.filled + held] = True
        self.filled += frame.height
        self._ends.append(self.filled)
        self._numbers.append(number)

    def settled(self, events: list[_Event]) -> Members:
        """Sort, and let later parts overrule earlier ones. Use once: the table is empty afterwards."""
        place, bits = _sorting(self._high)
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
        return Members(high, low, place, rows, sent, mask, held, leaving, met)

    def _overrule(self, table: _Sorted, events: list[_Event]) -> NDArray[np.bool_] | None:
        """Tell which rows are live; writes their ``held`` and ``leaving``. ``None``: all of them are."""
        begins = _begins(table.high, table.low)
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
    low: NDArray[np.uint64]
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
    for here in _stretches(len(packed)):
        packed[here] |= np.arange(here.start, here.stop, dtype=np.uint64)
    packed = pl.Series(packed).sort().to_numpy()
    place = np.empty(len(packed), dtype=np.uint32)
    for here in _stretches(len(packed)):
        place[here] = packed[here] & places
    return place, bits


def _taken(column: NDArray[Number], place: NDArray[np.uint32]) -> NDArray[Number]:
    """Give a column's cells at these places: as ``take`` does, which would first make 64 bits of each place."""
    taken = np.empty(len(place), column.dtype)
    for here in _stretches(len(place)):
        taken[here] = column.take(place[here])
    return taken


def _stretches(rows: int) -> Iterator[slice]:
    """Cut rows: what works on some at a time needs no second column for what stands in between."""
    return (slice(start, min(start + _AT_ONCE, rows)) for start in range(0, rows, _AT_ONCE))


def _order_ties(high: NDArray[np.uint64], low: NDArray[np.uint64], place: NDArray[np.uint32], bits: int) -> None:
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
    index, met = _Index(table.high), []
    for event in events:
        pieces = [_find(index, table.low, event.high[here], event.low[here]) for here in _stretches(len(event.high))]
        rows = np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *pieces]))
        met.append(rows[np.searchsorted(rows, 0) :])  # UNKNOWN stands before all others
    return met


def _slices(begins: NDArray[np.bool_]) -> Iterator[slice]:
    """Cut sorted rows so that those of one fingerprint stay together: to work on some at a time."""
    start, end = 0, len(begins)
    while start < end:
        stop = start + _AT_ONCE
        while stop < end and not begins[stop]:
            stop += 1
        yield slice(start, min(stop, end))
        start = stop


def _begins(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell which of sorted fingerprints is not the one before again."""
    begins = np.ones(len(high), dtype=bool)
    begins[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    return begins


class _Index:
    """Where to look for a fingerprint: they are random, so that a table by their first bits says it almost to the place."""

    def __init__(self, known: NDArray[np.uint64]) -> None:
        self.known = known
        bits = max(1, len(known).bit_length() - 3)  # a bucket for every eight, on average
        self._shift = np.uint64(64 - bits)
        buckets = np.arange(1 << bits, dtype=np.uint64) << self._shift
        starts = np.searchsorted(known, buckets).astype(np.uint32)
        self._starts = np.append(starts, np.uint32(len(known)))

    def places(self, wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Give for each number the place of the first that is as large, as ``searchsorted`` does; a sixth of its time."""
        bucket = (wanted >> self._shift).astype(np.int64)
        low, high = self._starts.take(bucket).astype(np.int64), self._starts.take(bucket + 1).astype(np.int64)
        last = max(0, len(self.known) - 1)
        while (low < high).any():
            middle = (low + high) >> 1
            right = (self.known.take(np.minimum(middle, last)) < wanted) & (low < high)
            low = np.where(right, middle + 1, low)
            high = np.where(right, high, np.minimum(high, middle))
        return low


def _find(
    index: _Index, known_low: NDArray[np.uint64], high: NDArray[np.uint64], low: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Look fingerprints up among those sorted by ``high``: the place of the first that is the same, or ``UNKNOWN``."""
    found = np.full(len(high), UNKNOWN, dtype=np.int64)
    known_high = index.known
    if not len(known_high):
        return found
    at = index.places(high)
    # Fingerprints that share their upper half lie beside each other, and are as rare as two equal 64-bit numbers.
    going_on = np.arange(len(high))
    while len(going_on):
        going_on = going_on[at[going_on] < len(known_high)]
        here = at[going_on]
        near = known_high.take(here) == high[going_on]
        same = near & (known_low.take(here) == low[going_on])
        found[going_on[same]] = here[same]
        going_on = going_on[near & ~same]
        at[going_on] += 1
    return found
