"""One frame from people to hashes: normalise, hash, and say which rows are the same.

A pure function of the frame and the mapping, so that any thread can do it, and any other machine could, frame by frame.
What depends on the frames before it is in ``preparation.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from connector.audiences.ledger_rows import IDENTITIES, with_identities
from connector.hashing import Hasher
from connector.profiles.mapping import ROW, Keys
from connector.profiles.match_keys import PLAIN
from connector.profiles.normalise import Normaliser

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    from numpy.typing import NDArray

    from connector.hashing import Hashed
    from connector.profiles.fingerprints import Fingerprinter, Fingerprints
    from connector.profiles.mapping import Mapping
    from connector.report import Tally

AT = "at"  # a row's place in its frame, kept beside the hashes to look up why a cell is blank
UNHASHED = frozenset({*PLAIN, ROW, AT, *IDENTITIES})


@dataclass(frozen=True, slots=True)
class Candidates:
    """Raw profiles that consented and may have to be sent, with their row numbers in the source, row by row."""

    frame: pl.DataFrame
    numbers: pl.Series

    def cut(self, rows: int) -> Iterator[Candidates]:
        """Give them in pieces of at most so many rows."""
        for start in range(0, self.frame.height, rows):
            yield Candidates(self.frame.slice(start, rows), self.numbers.slice(start, rows))


@dataclass(frozen=True, slots=True)
class Transformed:
    """One frame, hashed. ``keys`` are those of ``hashed``, row by row, and ``at`` numbers them; ``lost`` have no row there."""

    numbers: pl.Series
    prints: Fingerprints
    keys: Keys
    hashed: Hashed
    lost: tuple[Lost, ...]

    def skip(self, lost: NDArray[np.int64], tally: Tally, reason: str) -> None:
        """Give the profiles ``lost`` (places in the frame) their fate."""
        if len(lost):
            tally.skip(reason, *_known_by(self.numbers, self.keys.values, lost))


class Transform:
    """Turns frames into hashed rows. What it learns of values that come often helps with every frame, in any thread."""

    def __init__(self, mapping: Mapping, fingerprinter: Fingerprinter, *, value_based: bool = False) -> None:
        self.mapping = mapping
        self._fingerprinter = fingerprinter
        self._value_based = value_based
        self._normaliser = Normaliser(mapping.settings)
        self._hasher = Hasher(UNHASHED)

    def __call__(self, some: Candidates) -> Transformed:
        """Normalise and hash the rows that have a key identifier."""
        some, at_sight = self._named(some)
        keys = self.mapping.keys_of(some.frame, self._normaliser)
        identified = self.mapping.identified(keys.values)
        good = identified
        if self._value_based:
            good &= keys.values["LOOKALIKE_VALUE"].is_not_null()
        rows = keys.values[ROW]
        nameless = profiles_lost(rows, rows.filter(identified))
        bad = profiles_lost(rows.filter(identified), rows.filter(good))
        kept = keys if good.all() else Keys(keys.values.filter(good), keys.raw.filter(good))
        values = kept.values if self._value_based else kept.values.drop("LOOKALIKE_VALUE", strict=False)
        hashed = self._hasher.of(values.with_row_index(AT))
        known = with_identities(hashed, hashed_codes(hashed))
        later = (
            Lost(reason, *_known_by(some.numbers, keys.values, which))
            for reason, which in (("no_identifier", nameless), ("bad_value", bad))
            if len(which)
        )
        return Transformed(some.numbers, self._fingerprinter.of(some.frame), kept, known, (*at_sight, *later))

    def _named(self, some: Candidates) -> tuple[Candidates, tuple[Lost, ...]]:
        """Leave out whoever has no key identifier at first sight: of a refresh's candidates they are the most."""
        nothing = self.mapping.without_identifier(some.frame)
        if not nothing.any():
            return some, ()
        ids = self.mapping.external_ids(some.frame.filter(nothing), self._normaliser)
        lost = Lost("no_identifier", some.numbers.filter(nothing), ids)
        return Candidates(some.frame.filter(~nothing), some.numbers.filter(~nothing)), (lost,)


@dataclass(frozen=True, slots=True)
class Lost:
    """Profiles that met their fate, by row number in the source and, where it is mapped, external id."""

    reason: str
    numbers: pl.Series
    ids: pl.Series | None


def _known_by(numbers: pl.Series, values: pl.DataFrame, lost: NDArray[np.int64]) -> tuple[pl.Series, pl.Series | None]:
    mains = np.searchsorted(values[ROW].to_numpy(), lost)
    return numbers[lost], values["EXTERN_ID"][mains] if "EXTERN_ID" in values.columns else None


def hashed_codes(rows: pl.DataFrame) -> list[str]:
    """Name the columns of ``rows`` that hold digests."""
    return [code for code in rows.columns if code not in UNHASHED]


def wire_schema(mapping: Mapping, *, value_based: bool = False) -> tuple[str, ...]:
    """Name the columns that travel, in wire order: a birth date in three, a value only for value-based audiences."""
    codes: list[str] = []
    for code in mapping.codes:
        codes += ["DOBY", "DOBM", "DOBD"] if code == "DOB" else [code]
    return tuple(dict.fromkeys(c for c in codes if c != "LOOKALIKE_VALUE" or value_based))


def profiles_lost(rows: pl.Series, kept: pl.Series) -> NDArray[np.int64]:
    """Name the profiles, ascending, that are among ``rows`` (a profile a row) and not among those ``kept``."""
    if kept.len() == rows.len():
        return np.zeros(0, dtype=np.int64)
    lost = np.zeros(int(rows[-1]) + 1, dtype=bool)
    lost[rows.to_numpy()] = True
    lost[kept.to_numpy()] = False
    return np.flatnonzero(lost)
