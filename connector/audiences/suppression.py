"""Who must never leave: digests and ids of the suppression lists, and keyed marks of the forgotten.

Takes hashed rows and ledger rows; never an attribute.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import polars as pl
import polars_hash as plh

from connector.audiences.digest_set import DigestSet, identify
from connector.audiences.ledger_rows import SEVERAL, digest_identity, hex_digests, kept_codes
from connector.audiences.packing import keys_of_words, word_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from connector.audiences.ledger import Ledger
    from connector.hashing import Hashed

_OF_ROW: Final = 16  # bytes of a set, marks included
MATCHED_BY: Final = ("EMAIL", "PHONE", "EXTERN_ID")
_KEPT: Final = ("external_id", *(word for names in SEVERAL.values() for code in names for word in word_names(code)))


class People(Protocol):
    """Some people, to be recognised among the members of a ledger slice."""

    def members(self, ledger: Ledger) -> NDArray[np.bool_]:
        """Tell for each member of a ledger slice whether it is one of them."""


def identity_of(rows: pl.DataFrame, code: str) -> pl.Series:
    """Give the identities of one column: of a digest its own first half, of an id a hash."""
    return identify(rows, [code]) if code == "EXTERN_ID" else digest_identity(rows[code])


@dataclass(slots=True)
class PersonSet:
    """People by any of their e-mails, phones or external ids."""

    by: dict[str, DigestSet] = field(default_factory=lambda: {code: DigestSet() for code in MATCHED_BY})

    def __bool__(self) -> bool:
        return any(len(digests) for digests in self.by.values())

    @property
    def size(self) -> int:
        """About how many bytes they take."""
        return _OF_ROW * sum(len(digests) for digests in self.by.values())

    def add(self, hashed: Hashed) -> None:
        """Put everyone of ``hashed`` in."""
        for code, digests in self.by.items():
            if code in hashed.columns:
                digests.add(identity_of(hashed, code))

    def hits(self, hashed: pl.DataFrame) -> pl.Series:
        """Tell per row whether any of its cells is in the set."""
        hit = pl.Series(np.zeros(hashed.height, dtype=bool))
        for code, digests in self.by.items():
            if len(digests) and code in hashed.columns:
                hit |= digests.contains(identity_of(hashed, code))
        return hit

    def members(self, ledger: Ledger) -> NDArray[np.bool_]:
        """Tell for each member of a ledger slice whether any of its digests or its id is in the set."""
        return _members(ledger, self._of_frame) if self else np.zeros(len(ledger.members), dtype=bool)

    def _of_frame(self, frame: pl.DataFrame) -> NDArray[np.bool_]:
        hit = self.by["EXTERN_ID"].contains(identify(frame, ["external_id"])).to_numpy(writable=True)
        for strong, names in SEVERAL.items():
            for name in set(names) & set(kept_codes(frame.columns)):
                hit |= self.by[strong].find(keys_of_words(frame, name))
        return hit


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Marks of people who were forgotten: keyed, so that the list names nobody without the key."""

    key: bytes
    marks: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.marks)

    def hits(self, hashed: pl.DataFrame) -> pl.Series:
        """Tell per row whether it is of someone forgotten."""
        hit = pl.Series(np.zeros(hashed.height, dtype=bool))
        if not self.marks:
            return hit
        known = pl.Series(sorted(self.marks), dtype=pl.String)
        for code in MATCHED_BY:
            if code in hashed.columns:
                hit |= marks_of(hashed[code], code, self.key).is_in(known.implode()).fill_null(value=False)
        return hit

    def members(self, ledger: Ledger) -> NDArray[np.bool_]:
        """Tell for each member of a ledger slice whether it is of someone forgotten. Hashes all that is kept: seconds for millions."""
        return _members(ledger, self._of_frame) if self else np.zeros(len(ledger.members), dtype=bool)

    def _of_frame(self, frame: pl.DataFrame) -> NDArray[np.bool_]:
        hit = self.hits(frame.select(pl.col("external_id").alias("EXTERN_ID"))).to_numpy(writable=True)
        for strong, names in SEVERAL.items():
            for name in set(names) & set(kept_codes(frame.columns)):
                hit |= self.hits(hex_digests(frame, name).alias(strong).to_frame()).to_numpy()
        return hit


def marks_of(cells: pl.Series, code: str, key: bytes) -> pl.Series:
    """Give the keyed mark of each digest or id; null stays null."""
    prefix = f"{key.hex()}\x1f{code}\x1f"
    text = pl.concat_str([pl.lit(prefix), pl.col("cell")]).alias("mark")
    return cells.alias("cell").to_frame().select(text).select(plh.col("mark").chash.sha2_256()).to_series()


def _members(ledger: Ledger, recognise: Callable[[pl.DataFrame], NDArray[np.bool_]]) -> NDArray[np.bool_]:
    found = np.zeros(len(ledger.members), dtype=bool)
    for frame in ledger.details(ledger.everyone(), _KEPT):
        found[frame["number"].to_numpy()[recognise(frame)]] = True
    return found
