"""Who was in the segment before: the first in source order wins.

Source of the rule: match-keys.md, principle 7: all hashed cells equal to an earlier row's, or the same EXTERN_ID; a shared
e-mail alone is no duplicate. "Earlier" means earlier and sent: a profile that was dropped hides nobody.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import polars as pl

from connector.audiences.digest_set import DigestSet, SpillingSet, identify, only, split
from connector.audiences.ledger_rows import cells_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from connector.audiences.digest_set import Keys
    from connector.audiences.ledger import Ledger
    from connector.hashing import Hashed

_KEPT: Final = (
    "external_id",
    *(f"cells{place}_{half}" for place in ("", *range(2, 6)) for half in ("high", "low")),
)

LOOK_UP_ROWS: Final = 100_000  # whose duplicates are looked up in the ledger at once
MOST_PASSES: Final = 3  # through the ledger, before it is remembered whole


class Unchanged:
    """Members that stay as they are: they count as seen, so that nobody is sent beside their own duplicate.

    The ledger is looked through for the rows in question, many at a time, for all of it would be 370 MB for ten million;
    where that happens again and again, it is taken in whole after all. One may begin to ask while another, who reads
    ahead, still does.
    """

    def __init__(self, ledger: Ledger, numbers: NDArray[np.uint32], rows: int = LOOK_UP_ROWS) -> None:
        """Begin; the ledger is looked through for so many ``rows`` at once."""
        self._ledger = ledger
        self._rows = rows
        self._numbers = numbers
        self._passes = 0
        self._asked = {"cells": DigestSet(), "ids": DigestSet()}
        self._known = {"cells": SpillingSet(), "ids": SpillingSet()}
        self._lock = threading.Lock()

    @property
    def worth(self) -> int:
        """How many rows a look through the ledger is worth."""
        return self._rows if len(self._numbers) else 0

    def known(self, what: Literal["cells", "ids"], keys: Keys) -> NDArray[np.bool_]:
        """Tell which identities a member has; :meth:`look_up` them first."""
        with self._lock:
            return self._known[what].find(keys)

    def look_up(self, cells: Keys, ids: Keys | None) -> None:
        """Find out about these identities, unless that was done before."""
        with self._lock:
            self._look_up(cells, ids)

    def _look_up(self, cells: Keys, ids: Keys | None) -> None:
        new = {"cells": _without(cells, self._asked["cells"])}
        if ids is not None:
            new["ids"] = _without(ids, self._asked["ids"])
        if not len(self._numbers) or not any(keys[2].any() for keys in new.values()):
            return
        self._passes += 1
        if self._passes > MOST_PASSES:
            self._take_in(None)
            self._numbers = self._numbers[:0]
            return
        wanted = {what: DigestSet() for what in new}
        for what, keys in new.items():
            wanted[what].put(keys)
            self._asked[what].put(keys)
        self._take_in(wanted)

    def _take_in(self, wanted: dict[str, DigestSet] | None) -> None:
        def chosen(frame: pl.DataFrame, mine: NDArray[np.bool_]) -> list[tuple[Literal["cells", "ids"], Keys]]:
            held = _of_ledger(frame)
            if wanted is None:
                return [(what, only(keys, mine)) for what, keys in held]
            return [(what, only(keys, wanted[what].find(keys) & mine)) for what, keys in held if what in wanted]

        for found in self._ledger.look_through(self._numbers, _KEPT, chosen):
            for what, keys in found:
                self._known[what].put(keys)


class Duplicates:
    """Remembers the rows and external ids that were let through in one run."""

    def __init__(self, unchanged: Unchanged | None = None) -> None:
        self._unchanged = unchanged
        self._cells = SpillingSet()
        self._ids = SpillingSet()

    @property
    def worth(self) -> int:
        """How many rows :meth:`expect` should be given at once."""
        return 0 if self._unchanged is None else self._unchanged.worth

    def expect(self, frames: Sequence[Hashed]) -> None:
        """Find out what must be known of these rows, before :meth:`firsts` is asked about them."""
        if self._unchanged is None or not frames:
            return
        rows = pl.concat([_who(frame) for frame in frames])
        ids = split(identify(rows, ["EXTERN_ID"])) if "EXTERN_ID" in rows.columns else None
        self._unchanged.look_up(split(rows["cells"]), ids)

    def firsts(self, hashed: Hashed, profiles: pl.Series) -> pl.Series:
        """Tell per row whether it is the first of its kind, and remember those that are.

        Args:
            hashed: Rows in source order, with their identities; further rows of a profile stand together. ``EXTERN_ID`` is
                looked at if it is there.
            profiles: Which profile each row belongs to.
        """
        cells = split(hashed["cells"])
        first = ~self._cells.find(cells)
        ids = split(identify(hashed, ["EXTERN_ID"])) if "EXTERN_ID" in hashed.columns else None
        if ids is not None:
            first &= ~self._ids.find(ids)
        if self._unchanged is not None:
            first &= ~self._unchanged.known("cells", cells)
            if ids is not None:
                first &= ~self._unchanged.known("ids", ids)
        first = _firsts_within(profiles.to_numpy(), cells, ids, first)
        self._cells.put((cells[0], cells[1], cells[2] & first))
        if ids is not None:
            self._ids.put((ids[0], ids[1], ids[2] & first))
        return pl.Series(first)


class NoDuplicates(Duplicates):
    """Lets everybody through: who is to be taken out is taken out, however often they stand there."""

    def firsts(self, hashed: Hashed, profiles: pl.Series) -> pl.Series:  # noqa: ARG002
        """Tell that every row is the first of its kind."""
        return pl.repeat(True, hashed.height, eager=True, dtype=pl.Boolean)


def _who(hashed: Hashed) -> pl.DataFrame:
    return hashed.select(name for name in ("cells", "EXTERN_ID") if name in hashed.columns)


def _without(keys: Keys, known: DigestSet) -> Keys:
    return keys[0], keys[1], keys[2] & ~known.find(keys)


def _of_ledger(frame: pl.DataFrame) -> Iterator[tuple[Literal["cells", "ids"], Keys]]:
    """Give the identities that ledger rows keep, of main rows and of extra rows."""
    for high, low in cells_names(frame.columns):
        second = frame[low].fill_null(0).to_numpy().astype(np.uint32)
        yield "cells", (frame[high].fill_null(0).to_numpy(), second, frame[high].is_not_null().to_numpy())
    yield "ids", split(identify(frame, ["external_id"]))


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
    repeated = np.zeros(len(keys), dtype=bool)
    places = np.flatnonzero(among)
    chosen = keys[places]
    ascending = np.sort(chosen)
    if not (ascending[1:] == ascending[:-1]).any():  # almost always, and numbers alone are sorted in no time
        return repeated
    order = places[np.argsort(chosen)]
    same = keys[order][1:] == keys[order][:-1]
    repeated[order[1:][same]] = True
    repeated[order[:-1][same]] = True
    return repeated
