"""The members of one audience, in a few bytes each: adding twice is adding once, removing finds by any key.

A member is kept as the SHA-256 of its canonical JSON (32 bytes: what makes it one of a set, and what the digest sums) and a
64-bit print of each non-blank cell (what removal looks for). Cells themselves are not kept. Ten million members of 13 keys
take 1.6 GB. Knows nothing of JSON, HTTP or audiences.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Prints: TypeAlias = NDArray[np.uint64]
Digests: TypeAlias = NDArray[np.uint64]

EMPTY = np.int32(-1)
FIRST_SIZE = 1 << 4
# The keys that name one person alone; a removal row with one of them is looked up by it, any other by all its keys.
STRONG = ("EXTERN_ID", "EMAIL", "PHONE", "MADID", "UID", "APPUID", "PAGEUID")
# An index is rebuilt once this many rows stand outside it; until then they are looked through one by one.
TAIL = 1 << 18
INDEXES_KEPT = 2
DIGEST_SPACE = 1 << 256


@dataclass(frozen=True, slots=True)
class Rows:
    """Checked rows, ready to be added or looked for.

    ``prints`` maps each key to one print per row, 0 where the cell is blank. ``digests`` is (rows, 4): the SHA-256 of each
    row's canonical JSON as four 64-bit words; rows to be removed may come without.
    """

    prints: dict[str, Prints]
    digests: Digests | None
    count: int


@dataclass(slots=True)
class _Index:
    """Prints of one set of keys in sorted order, and the row each belongs to, for the first ``rows`` rows."""

    values: Prints
    order: NDArray[np.uint32]
    rows: int


@dataclass(slots=True)
class Members:
    """A set of members.

    Rows stand in parallel arrays that grow in place; a removed row is marked dead and squeezed out when half are dead. A hash
    table of row numbers (open addressing, at most 70 % full) finds a member by its digest.
    """

    rows: int = 0
    dead: int = 0
    total: int = 0
    columns: dict[str, Prints] = field(default_factory=dict)
    digests: Digests = field(default_factory=lambda: np.zeros((0, 4), np.uint64))
    alive: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    table: NDArray[np.int32] = field(default_factory=lambda: np.full(FIRST_SIZE, EMPTY, np.int32))
    indexes: dict[tuple[str, ...], _Index] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.rows - self.dead

    def digest(self) -> str:
        """Sum the members' SHA-256 modulo 2^256, as 64 hex digits: the same in whatever order they came."""
        return f"{self.total:064x}"

    def add(self, new: Rows) -> int:
        """Add rows that are not members yet and return how many those were."""
        if new.digests is None or new.count == 0:
            return 0
        self._make_room(new.count)
        first = self.rows
        self.digests[first : first + new.count] = new.digests
        fresh = self._enter(new.count)
        chosen = np.flatnonzero(fresh)
        kept = len(chosen)
        if kept < new.count:
            self._squeeze_tail(first, new.count, chosen)
        for key in self.columns:
            if key not in new.prints:
                self.columns[key][first : first + kept] = 0
        for key, prints in new.prints.items():
            self.columns[key if key in self.columns else self._new_column(key)][first : first + kept] = prints[chosen]
        self.alive[first : first + kept] = True
        self.rows += kept
        self.total = (self.total + sum_of(self.digests[first : first + kept])) % DIGEST_SPACE
        return kept

    def remove(self, wanted: Rows) -> int:
        """Remove every member that has all the non-blank cells of one of the rows; return how many went."""
        doomed = np.zeros(0, np.int64)
        for keys, rows in _by_pattern(wanted).items():
            if keys and all(key in self.columns for key in keys):
                doomed = np.concatenate([doomed, self._find(keys, wanted, rows)])
        doomed = np.unique(doomed)
        doomed = doomed[self.alive[doomed]]
        if len(doomed):
            self.alive[doomed] = False
            self.dead += len(doomed)
            self.total = (self.total - sum_of(self.digests[doomed])) % DIGEST_SPACE
            if self.dead * 2 > self.rows:
                self._compact()
        return len(doomed)

    # --- finding -------------------------------------------------------------------------------------------------

    def _find(self, keys: tuple[str, ...], wanted: Rows, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find the rows that hold all of ``keys`` as the given rows of ``wanted`` do."""
        strong = next((key for key in STRONG if key in keys), None)
        by = keys if strong is None else (strong,)
        looked_for = mix([wanted.prints[key][rows] for key in by])
        index = self._index(by)
        left = np.searchsorted(index.values, looked_for, "left")
        right = np.searchsorted(index.values, looked_for, "right")
        lengths = right - left
        asked = np.repeat(np.arange(len(rows)), lengths)
        within = np.arange(len(asked)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        found = index.order[np.repeat(left, lengths) + within].astype(np.int64)
        tail_asked, tail_found = self._find_in_tail(by, looked_for, index.rows)
        asked, found = np.concatenate([asked, tail_asked]), np.concatenate([found, tail_found])
        same = np.ones(len(found), np.bool_)
        for key in keys:
            same &= self.columns[key][found] == wanted.prints[key][rows][asked]
        return found[same]

    def _find_in_tail(
        self, by: tuple[str, ...], looked_for: Prints, start: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Do the same for the rows that came after the index was built: sort what is looked for instead."""
        tail = mix([self.columns[key][start : self.rows] for key in by])
        order = np.argsort(looked_for, kind="stable")
        ordered = looked_for[order]
        left = np.searchsorted(ordered, tail, "left")
        lengths = np.searchsorted(ordered, tail, "right") - left
        found = np.repeat(np.arange(start, self.rows), lengths)
        within = np.arange(len(found)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return order[np.repeat(left, lengths) + within], found

    def _index(self, by: tuple[str, ...]) -> _Index:
        """Give the index of a set of keys, built anew when too many rows have come since."""
        index = self.indexes.pop(by, None)
        if index is None or self.rows - index.rows > max(TAIL, 1):
            values = mix([self.columns[key][: self.rows] for key in by])
            order = np.argsort(values).astype(np.uint32)
            index = _Index(values[order], order, self.rows)
        self.indexes[by] = index
        while len(self.indexes) > INDEXES_KEPT:
            self.indexes.pop(next(iter(self.indexes)))
        return index

    # --- the table -----------------------------------------------------------------------------------------------

    def _enter(self, count: int) -> NDArray[np.bool_]:
        """Enter the last ``count`` digests, which stand behind the known rows, and say which of them are new."""
        first = self.rows
        fresh = np.zeros(count, np.bool_)
        mask = len(self.table) - 1
        pending = np.arange(count)
        slots = (self.digests[first : first + count, 0] & np.uint64(mask)).astype(np.int64)
        while len(pending):
            mine = (first + pending).astype(np.int32)
            seen = self.table[slots]
            free = seen == EMPTY
            # Rows that want the same free slot all write; the one that stands there afterwards has it.
            self.table[slots[free]] = mine[free]
            seen = self.table[slots]
            won = seen == mine
            known = (self.digests[seen] == self.digests[mine]).all(axis=1) & ~won
            known &= self.alive[seen] | (seen >= first)
            fresh[pending[won]] = True
            going_on = ~(won | known)
            pending = pending[going_on]
            slots = (slots[going_on] + 1) & mask
        return fresh

    def _squeeze_tail(self, first: int, count: int, chosen: NDArray[np.int64]) -> None:
        """Close the gaps that known rows leave among the newly entered ones, in the digests and in the table."""
        numbers = np.full(count, EMPTY, np.int32)
        numbers[chosen] = np.arange(first, first + len(chosen), dtype=np.int32)
        mask = len(self.table) - 1
        pending = chosen
        slots = (self.digests[first + chosen, 0] & np.uint64(mask)).astype(np.int64)
        places = np.zeros(len(chosen), np.int64)
        open_ones = np.arange(len(chosen))
        while len(pending):
            here = self.table[slots] == (first + pending)
            places[open_ones[here]] = slots[here]
            pending, open_ones = pending[~here], open_ones[~here]
            slots = (slots[~here] + 1) & mask
        self.table[places] = numbers[chosen]
        self.digests[first : first + len(chosen)] = self.digests[first + chosen]

    def _make_room(self, count: int) -> None:
        """Let the arrays hold ``count`` more rows. They grow in place, so there is never a second copy."""
        needed = self.rows + count
        if needed > len(self.alive):
            size = max(needed, len(self.alive) + len(self.alive) // 8, 1024)
            self.digests.resize((size, 4), refcheck=False)
            self.alive.resize(size, refcheck=False)
            for column in self.columns.values():
                column.resize(size, refcheck=False)
        if needed * 10 > len(self.table) * 7:
            size = len(self.table)
            while needed * 10 > size * 7:
                size *= 2
            self._rebuild_table(size)

    def _new_column(self, key: str) -> str:
        self.columns[key] = np.zeros(len(self.alive), np.uint64)
        return key

    def _rebuild_table(self, size: int) -> None:
        """Enter all living rows into a table of another size, a slice at a time."""
        self.table = np.full(size, EMPTY, np.int32)
        mask = size - 1
        for start in range(0, self.rows, 1 << 20):
            rows = np.arange(start, min(self.rows, start + (1 << 20)))
            rows = rows[self.alive[rows]]
            slots = (self.digests[rows, 0] & np.uint64(mask)).astype(np.int64)
            while len(rows):
                free = self.table[slots] == EMPTY
                self.table[slots[free]] = rows[free].astype(np.int32)
                left = self.table[slots] != rows
                rows = rows[left]
                slots = (slots[left] + 1) & mask

    def _compact(self) -> None:
        """Squeeze dead rows out of every array and start table and indexes afresh."""
        living = np.flatnonzero(self.alive[: self.rows])
        kept = len(living)
        for key in list(self.columns):
            self.columns[key] = self.columns[key][living]
        self.digests = self.digests[living]
        self.alive = np.ones(kept, np.bool_)
        self.rows, self.dead, self.indexes = kept, 0, {}
        size = FIRST_SIZE
        while kept * 10 > size * 7:
            size *= 2
        self._rebuild_table(size)


def mix(columns: list[Prints]) -> Prints:
    """Fold the prints of several keys into one print; one key stays as it is, so that blank stays 0."""
    if len(columns) == 1:
        return columns[0]
    folded = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        folded = (folded ^ column) * np.uint64(0x9E3779B97F4A7C15)
        folded ^= folded >> np.uint64(29)
    return folded


def sum_of(digests: Digests) -> int:
    """Add up digests of four 64-bit words as big whole numbers; exact for up to 2^32 of them."""
    halves = np.ascontiguousarray(digests)
    low = (halves & np.uint64(0xFFFFFFFF)).sum(axis=0, dtype=np.uint64)
    high = (halves >> np.uint64(32)).sum(axis=0, dtype=np.uint64)
    total = 0
    for place in range(4):
        total += ((int(high[place]) << 32) + int(low[place])) << (64 * (3 - place))
    return total


def _by_pattern(rows: Rows) -> dict[tuple[str, ...], NDArray[np.int64]]:
    """Group row numbers by which of their keys are not blank."""
    keys = sorted(rows.prints)
    if rows.count == 0 or not keys:
        return {}
    code = np.zeros(rows.count, np.int64)
    for place, key in enumerate(keys):
        code |= (rows.prints[key] != 0).astype(np.int64) << place
    order = np.argsort(code, kind="stable")
    values, starts = np.unique(code[order], return_index=True)
    groups = np.split(order, starts[1:])
    return {
        tuple(key for place, key in enumerate(keys) if int(value) >> place & 1): group
        for value, group in zip(values, groups, strict=True)
    }
