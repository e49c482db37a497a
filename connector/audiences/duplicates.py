"""Who was in the segment before: the first in source order wins.

Source of the rule: match-keys.md, principle 7: all hashed cells equal to an earlier row's, or the same EXTERN_ID; a shared
e-mail alone is no duplicate. "Earlier" means earlier and sent: a profile that was dropped hides nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from connector.audiences.digest_set import DigestSet, identify, split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from connector.audiences.digest_set import Keys
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
        cells = split(identify(hashed, columns))
        first = ~self._cells.find(cells)
        ids = split(identify(hashed, ["EXTERN_ID"])) if "EXTERN_ID" in hashed.columns else None
        if ids is not None:
            first &= ~self._ids.find(ids)
        first = _firsts_within(profiles.to_numpy(), cells, ids, first)
        self._cells.put((cells[0], cells[1], cells[2] & first))
        if ids is not None:
            self._ids.put((ids[0], ids[1], ids[2] & first))
        return pl.Series(first)


def _firsts_within(
    profiles: NDArray[np.uint32], cells: Keys, ids: Keys | None, first: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Strike from ``first`` the rows whose like stands earlier in this very frame and is let through."""
    meets = _repeated(cells[0], first & cells[2])
    if ids is not None:
        known_by_id = np.flatnonzero(first & ids[2])
        begins = np.ones(len(known_by_id), dtype=bool)  # further rows of a profile share its id and are no repeat
        begins[1:] = profiles[known_by_id][1:] != profiles[known_by_id][:-1]
        among = np.zeros(len(first), dtype=bool)
        among[known_by_id[begins]] = True
        meets |= _repeated(ids[0], among)
    if not meets.any():
        return first
    # Only the profiles that meet another one in this frame: who wins can depend on who won before, so one at a time.
    touched = np.isin(profiles, profiles[meets])
    owner: dict[int, int] = {}
    known: set[int] = set()
    for at in np.flatnonzero(touched & first):
        profile, cell = int(profiles[at]), int(cells[0][at])
        external = int(ids[0][at]) if ids is not None and ids[2][at] else None
        if cell in known or (external is not None and owner.get(external, profile) != profile):
            first[at] = False
            continue
        known.add(cell)
        if external is not None:
            owner[external] = profile
    return first


def _repeated(keys: NDArray[np.uint64], among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which of the chosen keys stand there more than once."""
    places = np.flatnonzero(among)
    order = places[np.argsort(keys[places])]
    same = keys[order][1:] == keys[order][:-1]
    repeated = np.zeros(len(keys), dtype=bool)
    repeated[order[1:][same]] = True
    repeated[order[:-1][same]] = True
    return repeated
