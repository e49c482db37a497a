"""A growing set of rows, held as 96 bits each: who was seen already, who must never leave.

Takes identities of digests and ids only. A table of marks (a Bloom filter whose bits for a row lie in one word) tells
strangers from the rest at one look; the rest is looked up in sorted runs that are merged eight at a time, as a
log-structured tree does.
"""

from __future__ import annotations

import mmap
import os
import secrets
import tempfile
import weakref
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final

import numpy as np
import polars as pl
import polars_hash as plh

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Keys = tuple["NDArray[np.uint64]", "NDArray[np.uint32]", "NDArray[np.bool_]"]
Run = tuple["NDArray[np.uint64]", "NDArray[np.uint32]"]

_ODD: Final = pl.lit(0x9E3779B97F4A7C15F39CC0605CEDC835, dtype=pl.UInt128)  # the golden ratio's first 128 bits
_LOWER: Final = pl.lit(2**64, dtype=pl.UInt128)
_FAN: Final = 8  # runs of a size are merged when there are this many of them
# Bits in the table of marks for each row, at least: then at most 3 % of strangers are looked up.
_SPARSE: Final = 10
_WORD_BITS: Final = 6  # tell a bit of a 64-bit word
_FIRST_BITS: Final = 16
_MANY: Final = 13_000_000  # 16 MB of marks
_WIDE: Final = 24
_MOST_BITS: Final = 31
_ROW_BYTES: Final = 12
_GIVE_BACK: Final[int | None] = getattr(mmap, "MADV_DONTNEED", None)
_AT_ONCE: Final = 1 << 16  # rows to mark at a time


class DigestSet:
    """A set of identities. A false hit needs two that share 96 bits: 1 in 10^15 for ten million rows."""

    def __init__(self, bits: int = _FIRST_BITS) -> None:
        """Begin; the table of marks has ``2 ** bits`` bits at first."""
        self._runs: list[Run] = []
        self._bits = bits
        self._marks = _no_marks(self._bits)

    def __len__(self) -> int:
        return sum(len(run[0]) for run in self._all_runs())

    def contains(self, rows: pl.Series) -> pl.Series:
        """Tell for each of ``rows`` (identities from :func:`identify`) whether it is in the set; null is not."""
        return pl.Series(self.find(split(rows)))

    def add(self, rows: pl.Series) -> None:
        """Put ``rows`` into the set; nulls are left out."""
        self.put(split(rows))

    def find(self, keys: Keys) -> NDArray[np.bool_]:
        """As :meth:`contains`, for identities that are split already."""
        first, second, present = keys
        marks = _marks_of(second)
        found: NDArray[np.bool_] = (self._marks[self._words(first)] & marks) == marks
        found &= present
        asked = np.flatnonzero(found)
        if len(asked):
            order = asked[np.argsort(first[asked])]  # sorted look-ups walk a run in one direction
            found[order] = self._look_up(first[order], second[order])
        return found

    def put(self, keys: Keys) -> None:
        """As :meth:`add`, for identities that are split already."""
        there = np.flatnonzero(keys[2])
        if not len(there):
            return
        first, second = keys[0][there], keys[1][there]
        order = np.argsort(first)
        run = first[order], second[order]
        self._runs.append(run)
        self._mark(run)
        self._merge()
        self._widen()

    def _all_runs(self) -> list[Run]:
        return self._runs

    def _words(self, first: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Name the word in the table of marks that is each row's."""
        return (first >> np.uint64(64 - self._bits + _WORD_BITS)).astype(np.int64)

    def _mark(self, run: Run) -> None:
        """Set the marks of some rows, which are sorted: those of one word stand together."""
        words = self._words(run[0])
        begins = np.flatnonzero(np.append(True, words[1:] != words[:-1])[: len(words)])
        self._marks[words[begins]] |= np.bitwise_or.reduceat(_marks_of(run[1]), begins)

    def _look_up(self, first: NDArray[np.uint64], second: NDArray[np.uint32]) -> NDArray[np.bool_]:
        found = np.zeros(len(first), dtype=bool)
        for keys, checks in self._all_runs():
            at = np.searchsorted(keys, first)
            np.minimum(at, len(keys) - 1, out=at)
            found |= (keys[at] == first) & (checks[at] == second)
            self._done_with(keys)
        return found

    def _done_with(self, keys: NDArray[np.uint64]) -> None:
        """Take note that a run was looked through."""

    def _merge(self) -> None:
        """Merge the last runs when eight of them are of one size or smaller than the one before."""
        while len(self._runs) >= _FAN:
            last = self._runs[-_FAN:]
            if len(last[0][0]) > _FAN * len(last[-1][0]):
                return
            self._runs[-_FAN:] = [_merged(last)]

    def _widen(self) -> None:
        """Make the table of marks larger when it grows full."""
        wanted = min(_MOST_BITS, (len(self) * _SPARSE).bit_length())
        if wanted > self._bits:
            self._bits = min(_MOST_BITS, wanted + (2 if wanted < _WIDE else 0))  # each time all are marked again
            self._marks = _no_marks(self._bits)
            for keys, checks in self._all_runs():
                for start in range(0, len(keys), _AT_ONCE):
                    self._mark((keys[start : start + _AT_ONCE], checks[start : start + _AT_ONCE]))
                self._done_with(keys)


class SpillingSet(DigestSet):
    """A set that keeps little more than its marks in memory: 2 bytes a row, and as many as for ``rows`` from the start.

    The rest lies in a file without a name, which is gone with the process. What stands there says nothing to anybody else:
    it is mixed with two secret numbers that only this process knows.
    """

    def __init__(self, most: int = 1 << 19, rows: int = _MANY) -> None:
        """Begin; ``most`` rows stay in memory before they are written out, and none of ``rows`` is marked twice."""
        super().__init__(max(_FIRST_BITS, (rows * _SPARSE).bit_length()))
        self._most = most
        self._secrets = [np.uint64(secrets.randbits(64) | 1) for _ in range(2)]
        self._file: IO[bytes] | None = None
        self._map: mmap.mmap | None = None
        self._spans: list[tuple[int, int]] = []  # where each run begins in the file, and how many rows it has
        self._filed: list[Run] = []

    def find(self, keys: Keys) -> NDArray[np.bool_]:
        """As :meth:`DigestSet.find`."""
        return super().find(self._hidden(keys))

    def put(self, keys: Keys) -> None:
        """As :meth:`DigestSet.put`."""
        super().put(self._hidden(keys))
        if sum(len(run[0]) for run in self._runs) >= self._most:
            with suppress(OSError):  # no room on the disk: it stays in memory, and the next time may be better
                self._write(_merged(self._runs))
                self._runs = []

    def _hidden(self, keys: Keys) -> Keys:
        first, second, there = keys
        mixed = (first * self._secrets[1]) >> np.uint64(32)
        return first * self._secrets[0], second ^ mixed.astype(np.uint32), there

    def _all_runs(self) -> list[Run]:
        return [*self._filed, *self._runs]

    def _done_with(self, keys: NDArray[np.uint64]) -> None:
        """Give the pages that were touched back to the system."""
        for (start, rows), run in zip(self._spans, self._filed, strict=True):
            if run[0] is keys and self._map is not None and _GIVE_BACK is not None:
                self._map.madvise(_GIVE_BACK, start, rows * _ROW_BYTES)

    def _write(self, run: Run) -> None:
        """Put a run behind the others in the file, from a new page on, and look at all of them through one new map."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="connector-", buffering=0)  # noqa: SIM115 - lives as long as the set
            weakref.finalize(self, self._file.close)
        start = -(-self._file.seek(0, os.SEEK_END) // mmap.PAGESIZE) * mmap.PAGESIZE
        self._file.seek(start)
        for column in run:
            left = memoryview(column.data).cast("B")
            while left:
                left = left[self._file.write(left) :]
        self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self._spans.append((start, len(run[0])))
        self._filed = [_run_at(self._map, *span) for span in self._spans]


def _run_at(pages: mmap.mmap, start: int, rows: int) -> Run:
    return np.frombuffer(pages, np.uint64, rows, start), np.frombuffer(pages, np.uint32, rows, start + 8 * rows)


def only(keys: Keys, rows: NDArray[np.bool_]) -> Keys:
    """Choose some of the keys."""
    return keys[0][rows], keys[1][rows], keys[2][rows]


def _merged(runs: list[Run]) -> Run:
    keys = np.concatenate([run[0] for run in runs])
    order = np.argsort(keys, kind="stable")  # sorted pieces are merged, not sorted again
    return keys[order], np.concatenate([run[1] for run in runs])[order]


def _no_marks(bits: int) -> NDArray[np.uint64]:
    return np.zeros(1 << (bits - _WORD_BITS), dtype=np.uint64)


def _marks_of(second: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Choose three bits of a word for each row."""
    one, last = np.uint64(1), np.uint32(63)
    marks = one << (second & last).astype(np.uint64)
    for shift in (_WORD_BITS, 2 * _WORD_BITS):
        marks |= one << ((second >> np.uint32(shift)) & last).astype(np.uint64)
    return marks


def identify(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """Give each row of ``frame`` a 128-bit identity over ``columns``, the same on every machine and in every version.

    Each cell's XXH3 times an odd constant's power by place: cheap, stable, no text is put together. Null where all of the
    cells are null.
    """
    return each_cell(frame, columns).select(together(columns).alias("identity")).to_series()


def each_cell(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Hash each cell: what :func:`together` makes identities of, over as many choices of columns as wanted."""
    return frame.select(plh.col(column).nchash.xxh3_128() for column in columns)


def together(columns: Sequence[str | None]) -> pl.Expr:
    """Put the hashes of a row's cells together; a column of ``None`` counts as one of blanks."""
    total = pl.lit(len(columns), dtype=pl.UInt128)
    for column in columns:
        total = total * _ODD + (pl.col(column).fill_null(0) if column is not None else 0)
    there = [pl.col(column).is_not_null() for column in columns if column is not None]
    return pl.when(pl.any_horizontal(there)).then(total) if there else pl.lit(None, dtype=pl.UInt128)


def split(rows: pl.Series) -> Keys:
    """Cut identities into 64 bits to sort by and 32 to make sure, and tell which are there at all."""
    whole = rows.alias("whole").to_frame().select(pl.col("whole").fill_null(0))
    first = (pl.col("whole") // _LOWER).cast(pl.UInt64)
    second = (pl.col("whole") % _LOWER).cast(pl.UInt64)
    parts = whole.select(first=first, second=second)
    return parts["first"].to_numpy(), parts["second"].to_numpy().astype(np.uint32), rows.is_not_null().to_numpy()
