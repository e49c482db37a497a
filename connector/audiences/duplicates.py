"""Who was in the segment before: the first in source order wins.

Source of the rule: match-keys.md, principle 7: all hashed cells equal to an earlier row's, or the same EXTERN_ID; a shared
e-mail alone is no duplicate. "Earlier" means earlier and sent: a profile that was dropped hides nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from connector.audiences.digest_set import DigestSet, identify

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from connector.audiences.ledger import Ledger
    from connector.hashing import Hashed


class Duplicates:
    """Remembers the rows and external ids that were let through in one run."""

    def __init__(self) -> None:
        self._cells = DigestSet()
        self._ids = DigestSet()

    def remember(self, ledger: Ledger, numbers: NDArray[np.int64]) -> None:
        """Let members that stay as they are count as seen, so that nobody is sent beside their own duplicate."""
        for frame in ledger.details(numbers, ("cells_high", "cells_low", "external_id")):
            high, low = (pl.col(name).cast(pl.UInt128) for name in ("cells_high", "cells_low"))
            self._cells.add(frame.select((high * pl.lit(2**64, dtype=pl.UInt128) + low).alias("identity")).to_series())
            self._ids.add(identify(frame, ["external_id"]))

    def firsts(self, hashed: Hashed, profiles: pl.Series, columns: list[str]) -> pl.Series:
        """Tell per row whether it is the first of its kind, and remember those that are.

        Args:
            hashed: Rows in source order; further rows of a profile stand together.
            profiles: Which profile each row belongs to.
            columns: The hashed columns; ``EXTERN_ID`` is looked at if it is there.
        """
        cells = identify(hashed, columns)
        ids = identify(hashed, ["EXTERN_ID"]) if "EXTERN_ID" in hashed.columns else None
        first = ~self._cells.contains(cells)
        if ids is not None:
            first &= ~self._ids.contains(ids)
        first &= _firsts_within(profiles, cells, ids, first)
        self._cells.add(cells.filter(first))
        if ids is not None:
            self._ids.add(ids.filter(first))
        return first


def _firsts_within(profiles: pl.Series, cells: pl.Series, ids: pl.Series | None, open_: pl.Series) -> pl.Series:
    """Tell per row whether no earlier, accepted row of this very frame is the same."""
    table = pl.DataFrame({"profile": profiles, "cells": cells, "open": open_}).with_row_index("at")
    table = table.with_columns(ids.alias("id") if ids is not None else pl.lit(None, dtype=pl.UInt128).alias("id"))
    table = table.filter("open")
    twice = pl.col("cells").is_duplicated()
    if ids is not None:
        mains = pl.col("id").filter(pl.col("profile").is_first_distinct() & pl.col("id").is_not_null())
        repeated = table.select(mains).filter(pl.col("id").is_duplicated())["id"].unique()
        twice |= pl.col("id").is_in(repeated.implode())
    table = table.with_columns(twice=twice)  # over the whole frame, before it is looked at profile by profile
    touched = table.filter(pl.col("twice").any().over("profile"))
    if touched.is_empty():
        return open_
    # Only the rows that meet another one in this frame: who wins can depend on who won before, so one at a time.
    lost: list[int] = []
    owner: dict[int, int] = {}
    known: set[int] = set()
    for at, profile, cell, external in touched.select("at", "profile", "cells", "id").iter_rows():
        if cell in known or (external is not None and owner.get(external, profile) != profile):
            lost.append(at)
            continue
        known.add(cell)
        if external is not None:
            owner[external] = profile
    mask = open_.to_numpy(writable=True)
    mask[lost] = False
    return pl.Series(mask)
