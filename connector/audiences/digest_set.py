"""A growing set of rows, held as 96 bits each: who was seen already, who must never leave.

Takes hashes of digests and ids only. Grows by sorted runs that are merged when they are of a size (as a log-structured
tree does), so that ten million rows cost 120 MB and each look-up a few binary searches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import polars_hash as plh

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ODD = pl.lit(0x9E3779B97F4A7C15F39CC0605CEDC835, dtype=pl.UInt128)  # the golden ratio's first 128 bits


class DigestSet:
    """A set of cells or rows. A false hit needs two rows that share 96 bits: 1 in 10^15 for ten million rows."""

    def __init__(self) -> None:
        self._runs: list[tuple[NDArray[np.uint64], NDArray[np.uint32]]] = []

    def __len__(self) -> int:
        return sum(len(run[0]) for run in self._runs)

    def contains(self, rows: pl.Series) -> pl.Series:
        """Tell for each of ``rows`` (identities from :func:`identify`) whether it is in the set; null is not."""
        first, second, present = _split(rows)
        order = np.argsort(first)  # sorted look-ups walk the runs in one direction: cache-friendly
        found = np.zeros(len(first), dtype=bool)
        found[order] = self._find(first[order], second[order])
        return pl.Series(found & present)

    def add(self, rows: pl.Series) -> None:
        """Put ``rows`` into the set; nulls are left out."""
        first, second, present = _split(rows)
        places = np.flatnonzero(present)
        order = places[np.argsort(first[places])]
        keys, checks = first[order], second[order]
        if not len(keys):
            return
        self._runs.append((keys, checks))
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= 2 * len(self._runs[-1][0]):
            later, earlier = self._runs.pop(), self._runs.pop()
            merged = np.concatenate([earlier[0], later[0]])
            merge = np.argsort(merged, kind="stable")  # merges two sorted runs in linear time
            self._runs.append((merged[merge], np.concatenate([earlier[1], later[1]])[merge]))

    def _find(self, keys: NDArray[np.uint64], checks: NDArray[np.uint32]) -> NDArray[np.bool_]:
        found = np.zeros(len(keys), dtype=bool)
        for known, known_checks in self._runs:
            at = np.searchsorted(known, keys)
            np.minimum(at, len(known) - 1, out=at)
            found |= (known[at] == keys) & (known_checks[at] == checks)
        return found


def identify(frame: pl.DataFrame, columns: list[str]) -> pl.Series:
    """Give each row of ``frame`` a 128-bit identity over ``columns``, the same on every machine and in every version.

    Each cell's XXH3 times an odd constant's power by place: cheap, stable, no text is put together. Null where all of the
    cells are null.
    """
    total = pl.lit(len(columns), dtype=pl.UInt128)
    for column in columns:
        total = total * _ODD + plh.col(column).nchash.xxh3_128().fill_null(0)
    blank = pl.all_horizontal(pl.col(columns).is_null())
    return frame.select(pl.when(~blank).then(total).alias("identity")).to_series()


def _split(rows: pl.Series) -> tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.bool_]]:
    """Cut identities into 64 bits to sort by and 32 to make sure."""
    whole = rows.fill_null(0).alias("whole").to_frame()
    parts = whole.select(
        first=(pl.col("whole") // pl.lit(2**64, dtype=pl.UInt128)).cast(pl.UInt64),
        second=(pl.col("whole") % pl.lit(2**32, dtype=pl.UInt128)).cast(pl.UInt32),
    )
    return parts["first"].to_numpy(), parts["second"].to_numpy(), rows.is_not_null().to_numpy()
