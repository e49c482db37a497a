"""A growing set of rows, held as 96 bits each: who was seen already, who must never leave.

Takes hashes of digests and ids only. Grows by sorted runs that are merged when they are of a size (as a log-structured
tree does), so that ten million rows cost 120 MB and each look-up a few binary searches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SEEDS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)


class DigestSet:
    """A set of cells or rows. A false hit needs two rows that share 96 bits: 1 in 10^15 for ten million rows."""

    def __init__(self) -> None:
        self._runs: list[tuple[NDArray[np.uint64], NDArray[np.uint32]]] = []

    def __len__(self) -> int:
        return sum(len(run[0]) for run in self._runs)

    def contains(self, rows: pl.Series) -> pl.Series:
        """Tell for each of ``rows`` (pairs from :func:`identify`) whether it is in the set; null is not."""
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
    """Give each row of ``frame`` its two hashes over ``columns``; null where all of them are null.

    The hashes hold within one run only: polars' row hash may change from version to version.
    """
    chosen = frame.select(columns)
    blank = chosen.select(pl.all_horizontal(pl.all().is_null())).to_series()
    pair = pl.DataFrame(
        {"first": chosen.hash_rows(seed=_SEEDS[0]), "second": chosen.hash_rows(seed=_SEEDS[1])}
    ).to_struct("rows")
    return pl.select(pl.when(~blank).then(pair)).to_series()


def _split(rows: pl.Series) -> tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.bool_]]:
    fields = rows.struct
    present = rows.is_not_null().to_numpy()
    first = fields.field("first").fill_null(0).to_numpy()
    second = (fields.field("second").fill_null(0) % 2**32).cast(pl.UInt32).to_numpy()
    return first, second, present
