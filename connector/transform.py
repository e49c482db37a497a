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
from connector.profiles.mapping import ROW
from connector.profiles.match_keys import PLAIN
from connector.profiles.normalise import Normaliser

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from connector.hashing import Hashed
    from connector.profiles.fingerprints import Fingerprinter, Fingerprints
    from connector.profiles.mapping import Keys, Mapping
    from connector.report import Tally

AT = "at"  # a row's place in its frame, kept beside the hashes to look up why a cell is blank
UNHASHED = frozenset({*PLAIN, ROW, AT, *IDENTITIES})


@dataclass(frozen=True, slots=True)
class Candidates:
    """Raw profiles that consented and may have to be sent, with their row numbers in the source, row by row."""

    frame: pl.DataFrame
    numbers: pl.Series


@dataclass(frozen=True, slots=True)
class Transformed:
    """One frame, hashed: ``no_identifier`` and ``bad_value`` name its profiles (places in the frame) that have no row left."""

    some: Candidates
    prints: Fingerprints
    keys: Keys
    hashed: Hashed
    no_identifier: NDArray[np.int64]
    bad_value: NDArray[np.int64]

    def skip(self, lost: NDArray[np.int64], tally: Tally, reason: str) -> None:
        """Give the profiles ``lost`` (places in the frame) their fate."""
        if len(lost):
            values = self.keys.values
            mains = np.searchsorted(values[ROW].to_numpy(), lost)
            ids = values["EXTERN_ID"][mains] if "EXTERN_ID" in values.columns else None
            tally.skip(reason, self.some.numbers[lost], ids)


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
        keys = self.mapping.keys_of(some.frame, self._normaliser)
        values = keys.values.with_row_index(AT)
        identified = values.filter(self.mapping.identified(values))
        nameless = profiles_lost(values, identified)
        good = identified
        if self._value_based:
            good = identified.filter(identified["LOOKALIKE_VALUE"].is_not_null())
        elif "LOOKALIKE_VALUE" in values.columns:
            good = identified.drop("LOOKALIKE_VALUE")
        bad = profiles_lost(identified, good)
        hashed = self._hasher.of(good)
        known = with_identities(hashed, hashed_codes(hashed))
        return Transformed(some, self._fingerprinter.of(some.frame), keys, known, nameless, bad)


def hashed_codes(rows: pl.DataFrame) -> list[str]:
    """Name the columns of ``rows`` that hold digests."""
    return [code for code in rows.columns if code not in UNHASHED]


def wire_schema(mapping: Mapping, *, value_based: bool = False) -> tuple[str, ...]:
    """Name the columns that travel, in wire order: a birth date in three, a value only for value-based audiences."""
    codes: list[str] = []
    for code in mapping.codes:
        codes += ["DOBY", "DOBM", "DOBD"] if code == "DOB" else [code]
    return tuple(dict.fromkeys(c for c in codes if c != "LOOKALIKE_VALUE" or value_based))


def profiles_lost(rows: pl.DataFrame, kept: pl.DataFrame) -> NDArray[np.int64]:
    """Name the profiles (by ``row``, ascending) that have none of their rows among ``kept``."""
    if kept.height == rows.height:
        return np.zeros(0, dtype=np.int64)
    lost = np.zeros(int(rows[ROW][-1]) + 1, dtype=bool)
    lost[rows[ROW].to_numpy()] = True
    lost[kept[ROW].to_numpy()] = False
    return np.flatnonzero(lost)
