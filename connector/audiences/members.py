"""Whom a ledger slice holds, in memory: sorted fingerprints, 26 bytes each with what is known of them, and who was met in the source.

Of a fingerprint's 128 bits 96 are held: two of ten million that share those come once in 10^15.

Works on numbers only. Sees fingerprints, never attributes or digests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

UNKNOWN: Final = -1
AT_ONCE: Final = 1 << 20  # members to count or to settle
_NOBODY: Final = np.zeros(0, dtype=np.uint64)
_BYTE: Final = 255


@dataclass(slots=True)
class Members:
    """The live rows of a slice, sorted by ``high``.

    ``place`` is a row's place in the slice's parts of rows, put behind each other; ``rows`` how many rows it sent; ``sent``
    the day (since 1970); ``mask`` which keys it had; ``held`` that Meta acknowledged it and nothing has made that doubtful
    since; ``leaving`` that its removal was begun; ``met`` that the source still has it.
    """

    high: NDArray[np.uint64]
    low: NDArray[np.uint32]
    place: NDArray[np.uint32]
    rows: NDArray[np.uint8]
    sent: NDArray[np.uint16]
    mask: NDArray[np.uint32]
    held: NDArray[np.bool_]
    leaving: NDArray[np.bool_]
    met: NDArray[np.bool_]
    _index: Index | None = None

    def __len__(self) -> int:
        return len(self.high)

    @property
    def gone(self) -> NDArray[np.uint32]:
        """Who was not met."""
        return np.flatnonzero(~self.met).astype(np.uint32)

    def find(self, prints: pl.DataFrame) -> NDArray[np.int64]:
        """Give for each fingerprint its member's number, or ``UNKNOWN``."""
        index = self._index = self._index or Index(self.high)  # of two threads, each may make one
        return find_prints(index, self.low, prints["high"].to_numpy(), lower(prints))

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
        for here in stretches(len(self)):
            counts += np.bincount(self.mask[here][chosen[here]], minlength=len(counts))
        masks = np.arange(len(counts))
        return [int(counts[masks >> bit & 1 == 1].sum()) for bit in range(bits)]


class Wanted:
    """Fingerprints to be met again, each as often as it was wanted; by several readings, each from the start.

    Known by their upper halves, 9 bytes each with how often: who shares one by chance, one in a million for ten million new
    and ten million others, is sent now instead of by the next run.
    """

    def __init__(self, highs: list[NDArray[np.uint64]]) -> None:
        """Take them over: ``highs``, the upper halves in pieces, is empty afterwards."""
        known = np.concatenate([_NOBODY, *highs])
        highs.clear()
        known.sort()
        begins = begins_of(known)
        starts = np.empty(int(begins.sum()) + 1, dtype=np.uint32)
        filled = 0
        for here in stretches(len(begins)):
            at = here.start + np.flatnonzero(begins[here])
            starts[filled : filled + len(at)] = at
            filled += len(at)
        starts[filled] = len(known)
        counts = np.diff(starts)
        self._counts = counts if counts.max(initial=0) > _BYTE else counts.astype(np.uint8)
        self._index = Index(known if filled == len(known) else known[begins])

    def search(self) -> Search:
        """Begin to look for them."""
        return Search(self._index, self._counts.copy())


@dataclass(slots=True)
class Search:
    """One reading that looks for what is :class:`Wanted`; ``left`` counts how often each is still to be met."""

    _index: Index
    _left: NDArray[np.unsignedinteger]

    def take(self, prints: pl.DataFrame) -> NDArray[np.bool_]:
        """Tell for each fingerprint whether it is wanted (still), and take it off the list."""
        high = prints["high"].to_numpy()
        taken = np.zeros(len(high), dtype=bool)
        if not len(self._left):
            return taken
        numbers = np.minimum(self._index.places(high), len(self._left) - 1)
        known = np.flatnonzero(self._index.known.take(numbers) == high)
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


def stretches(rows: int) -> Iterator[slice]:
    """Cut rows: what works on some at a time needs no second column for what stands in between."""
    return (slice(start, min(start + AT_ONCE, rows)) for start in range(0, rows, AT_ONCE))


def begins_of(high: NDArray[np.uint64], low: NDArray[np.uint32] | None = None) -> NDArray[np.bool_]:
    """Tell which of sorted fingerprints (of their upper halves) is not the one before again."""
    begins = np.ones(len(high), dtype=bool)
    begins[1:] = high[1:] != high[:-1]
    if low is not None:
        begins[1:] |= low[1:] != low[:-1]
    return begins


class Index:
    """Where to look for a fingerprint: they are random, so that a table by their first bits says it almost to the place."""

    def __init__(self, known: NDArray[np.uint64]) -> None:
        self.known = known
        bits = max(1, len(known).bit_length() - 2)  # a bucket for every two to four, on average
        self._shift = np.uint64(64 - bits)
        self._starts = np.empty(1 << bits, dtype=np.uint32)
        for here in stretches(len(self._starts)):
            firsts = np.arange(here.start, here.stop, dtype=np.uint64) << self._shift
            self._starts[here] = np.searchsorted(known, firsts)

    def places(self, wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Give for each number the place of the first that is as large, as ``searchsorted`` does; in a thirtieth of its time."""
        at = self._starts.take((wanted >> self._shift).astype(np.int64)).astype(np.int64)
        going_on = np.arange(len(at))
        while len(going_on):
            going_on = going_on[at[going_on] < len(self.known)]
            going_on = going_on[self.known.take(at[going_on]) < wanted[going_on]]
            at[going_on] += 1
        return at


def find_prints(
    index: Index, known_low: NDArray[np.uint32], high: NDArray[np.uint64], low: NDArray[np.uint32]
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


def lower(prints: pl.DataFrame) -> NDArray[np.uint32]:
    """Give of the lower halves of fingerprints what is held of them."""
    return prints["low"].to_numpy().astype(np.uint32)
