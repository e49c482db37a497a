"""Who leaves, what the ledger keeps of them, and what of it somebody else holds: whoever stays is not thrown out with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from connector.audiences.digest_set import DigestSet, SpillingSet, identify, only, split
from connector.audiences.ledger_rows import SEVERAL, rest_of
from connector.audiences.packing import keys_of_digests, keys_of_words, word_names
from connector.audiences.removal_rows import ID, STRONG

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from connector.audiences.digest_set import Keys
    from connector.audiences.ledger import Ledger
    from connector.audiences.removal_rows import Removal
    from connector.hashing import Hashed

REST: Final = "rest"  # names and address of somebody who has neither e-mail nor phone
_KEPT: Final = ("rest", *(word for names in SEVERAL.values() for code in names for word in word_names(code)[:2]))
_OF_LEAVER: Final = 15  # bytes: marks of what it holds and of what stays of it, its numbers and what goes of it
_SPILL: Final = 1 << 18  # rows of one of a dozen sets that wait in memory
_OF_REMEMBERED: Final = 200  # bytes: the ledger row of one of those who are remembered
MOST_REMEMBERED: Final = 300_000  # leavers whose ledger rows are read once and kept


def leaving_bytes(leavers: int) -> int:
    """Say about how much memory it takes to find out what so many members leave with."""
    return (_OF_REMEMBERED if leavers <= MOST_REMEMBERED else _OF_LEAVER) * leavers


class Leavers:
    """Members who are gone, and what the ledger keeps of them."""

    def __init__(self, ledger: Ledger, numbers: NDArray[np.integer], most: int = MOST_REMEMBERED) -> None:
        """Begin; the rows of at most ``most`` are remembered."""
        self.ledger = ledger
        self.numbers = numbers
        self.few = len(numbers) <= most
        self._remembered: pl.DataFrame | None = None
        if len(numbers) and self.few:  # a few of each part: together they are looked through in one go
            self._remembered = pl.concat(ledger.details(numbers), how="diagonal")

    def __len__(self) -> int:
        return len(self.numbers)

    def digest_set(self) -> DigestSet:
        """Make a set for what they hold: as many are expected as they are."""
        return DigestSet() if self.few else SpillingSet(_SPILL, rows=len(self))

    def frames(self) -> Iterator[pl.DataFrame]:
        """Give their ledger rows, in the same order each time: part by part, or all at once."""
        yield from self.ledger.details(self.numbers) if self._remembered is None else (self._remembered,)


class Staying:
    """Which of the leavers' identifiers somebody else in the audience holds, or comes to hold by being added.

    Where most of all ``members`` of the audience leave, it remembers whatever the others hold: that is less than what to look
    for.
    """

    def __init__(self, leavers: Leavers, members: int) -> None:
        self._kept = {code: leavers.digest_set() for code in (*STRONG, REST)}
        self._added = {code: leavers.digest_set() for code in (*STRONG, REST, ID)}
        self._asked: dict[str, DigestSet] | None = None
        if 2 * len(leavers) <= members:
            self._asked = {code: leavers.digest_set() for code in (*STRONG, REST, ID)}
            for frame in leavers.frames():
                for code, keys in strong_keys(frame):
                    self._asked[code].put(keys)
                self._asked[REST].put(only(rest_keys(frame["rest"]), _nameless(frame)))
                self._asked[ID].put(split(identify(frame, ["external_id"])))

    def keep_members(self, ledger: Ledger, numbers: NDArray[np.integer]) -> None:
        """Let what these members hold stay."""
        if any(map(self._asks, (*STRONG, REST))):
            for found in ledger.look_through(numbers, _KEPT, self._asked_of):
                for code, keys in found:
                    self._kept[code].put(keys)

    def _asks(self, code: str) -> bool:
        return self._asked is None or len(self._asked[code]) > 0

    def _asked_for(self, code: str, keys: Keys) -> NDArray[np.bool_]:
        return keys[2] if self._asked is None else self._asked[code].find(keys)

    def _asked_of(self, frame: pl.DataFrame, staying: NDArray[np.bool_]) -> list[tuple[str, Keys]]:
        """Give what those who stay, of some ledger rows, hold of what the leavers hold."""
        held = [*strong_keys(frame), (REST, rest_keys(frame["rest"]))]
        return [(code, only(keys, self._asked_for(code, keys) & staying)) for code, keys in held]

    def keep_rows(self, hashed: Hashed) -> None:
        """Let what these rows, about to be added, hold stay: it is just added again."""
        for code in STRONG:
            if code in hashed.columns and self._asks(code):
                self._keep(code, keys_of_digests(hashed[code]))
        if self._asks(REST):
            self._keep(REST, rest_keys(hashed["rest"]))
        if ID in hashed.columns and self._asks(ID):
            self._keep(ID, split(identify(hashed, [ID])))

    def held(self, code: str, keys: Keys) -> NDArray[np.bool_]:
        """Tell for each identifier whether somebody still holds it."""
        return self._kept[code].find(keys) | self._added[code].find(keys)

    def returning(self, leavers: Leavers) -> NDArray[np.uint32]:
        """Give the leavers who are only changed: somebody is added under their id, else e-mail, else phone, else names."""
        found = []
        for frame in leavers.frames():
            back, known = np.zeros(frame.height, dtype=bool), np.zeros(frame.height, dtype=bool)
            ids = split(identify(frame, ["external_id"]))
            for code, keys in ((ID, ids), *strong_keys(frame), (REST, rest_keys(frame["rest"]))):
                back |= ~known & self._added[code].find(keys)
                known |= keys[2]
            found.append(frame["number"].to_numpy()[back])
        return _numbers(found)

    def _keep(self, code: str, keys: Keys) -> None:
        self._added[code].put(only(keys, self._asked_for(code, keys)))


class Taken:
    """Identifiers that were asked to be taken out, whoever holds them (mode ``remove``)."""

    def __init__(self) -> None:
        self._by = {code: DigestSet() for code in (*STRONG, REST, ID)}

    def add_ids(self, ids: pl.Series) -> None:
        """Ask for everybody with one of these external ids."""
        self._by[ID].put(split(identify(ids.alias(ID).to_frame(), [ID])))

    def add(self, removals: Iterable[Removal]) -> None:
        """Note what these rows take out."""
        for removal in removals:
            code = removal.schema[0]
            for rows in removal.frames():
                if code in STRONG:
                    self._by[code].put(keys_of_digests(rows[code]))
                else:
                    self._by[REST].put(rest_keys(rest_of(rows)))

    def with_ids(self, ledger: Ledger) -> NDArray[np.uint32]:
        """Number the members of a slice who have one of the external ids."""
        if not len(self._by[ID]):
            return _numbers([])
        frames = ledger.details(ledger.everyone(), ("external_id",))
        return _numbers(f["number"].to_numpy()[self._by[ID].find(split(identify(f, ["external_id"])))] for f in frames)

    def members(self, ledger: Ledger) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Number the members of a slice of whom something is taken out, and those of whom nothing is left then."""
        hit, out = [], []
        for frame in ledger.details(ledger.everyone(), _KEPT):
            mine, whole = self._of_frame(frame)
            numbers = frame["number"].to_numpy()
            hit.append(numbers[mine])
            out.append(numbers[whole])
        return _numbers(hit), _numbers(out)

    def _of_frame(self, frame: pl.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Every row of somebody holds an e-mail if there is any, and a phone: so it is out when all of either go.

        And every row holds the names and address.
        """
        hit, whole = np.zeros(frame.height, dtype=bool), np.zeros(frame.height, dtype=bool)
        there = {strong: np.zeros(frame.height, dtype=bool) for strong in STRONG}
        left = {strong: np.zeros(frame.height, dtype=bool) for strong in STRONG}
        for strong, keys in strong_keys(frame):
            found = self._by[strong].find(keys)
            there[strong] |= keys[2]
            left[strong] |= keys[2] & ~found
            hit |= found
        for strong in STRONG:
            whole |= there[strong] & ~left[strong]
        by_names = self._by[REST].find(rest_keys(frame["rest"]))
        return hit | by_names, whole | by_names


def strong_keys(frame: pl.DataFrame) -> Iterator[tuple[str, Keys]]:
    """Give the e-mails and phones of ledger rows, e-mails first, column by column."""
    there = {column.rpartition("_")[0] for column in frame.columns}
    for strong, names in SEVERAL.items():
        for name in names:
            if name in there:
                yield strong, keys_of_words(frame, name)


def _nameless(frame: pl.DataFrame) -> NDArray[np.bool_]:
    """Tell who has neither e-mail nor phone."""
    nameless = np.ones(frame.height, dtype=bool)
    for _, keys in strong_keys(frame):
        nameless &= ~keys[2]
    return nameless


def rest_keys(rest: pl.Series) -> Keys:
    """Give names and address as a set looks them up."""
    words = rest.fill_null(0).to_numpy()
    return words, words.astype(np.uint32), rest.is_not_null().to_numpy()


def _numbers(parts: Iterable[NDArray[np.integer]]) -> NDArray[np.uint32]:
    return np.concatenate([np.zeros(0, dtype=np.uint32), *(part.astype(np.uint32) for part in parts)])
