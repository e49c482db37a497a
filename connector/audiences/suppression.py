"""Who must never leave: digests and ids of the suppression lists, and keyed marks of the forgotten.

Takes hashed rows and ledger rows; never an attribute.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
import polars_hash as plh

from connector.audiences.digest_set import DigestSet, identify
from connector.audiences.ledger_rows import SEVERAL, digest_identity, hex_digests, identities_of, kept_codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from connector.audiences.ledger import Ledger
    from connector.hashing import Hashed

MATCHED_BY: Final = ("EMAIL", "PHONE", "EXTERN_ID")


def identity_of(rows: pl.DataFrame, code: str) -> pl.Series:
    """Give the identities of one column: of a digest its own first half, of an id a hash."""
    return identify(rows, [code]) if code == "EXTERN_ID" else digest_identity(rows[code])


@dataclass(slots=True)
class PersonSet:
    """People by any of their e-mails, phones or external ids."""

    by: dict[str, DigestSet] = field(default_factory=lambda: {code: DigestSet() for code in MATCHED_BY})

    def __bool__(self) -> bool:
        return any(len(digests) for digests in self.by.values())

    def add(self, hashed: Hashed) -> None:
        """Put everyone of ``hashed`` in."""
        for code, digests in self.by.items():
            if code in hashed.columns:
                digests.add(_same_name(identity_of(hashed, code)))

    def hits(self, hashed: pl.DataFrame) -> pl.Series:
        """Tell per row whether any of its cells is in the set."""
        hit = pl.Series(np.zeros(hashed.height, dtype=bool))
        for code, digests in self.by.items():
            if len(digests) and code in hashed.columns:
                hit |= digests.contains(identity_of(hashed, code))
        return hit

    def members(self, ledger: Ledger) -> NDArray[np.bool_]:
        """Tell for each member of a ledger slice whether any of its digests or its id is in the set."""
        found = np.zeros(len(ledger.members), dtype=bool)
        if not self or not len(found):
            return found
        for frame in ledger.details(ledger.everyone()):
            hit = np.zeros(frame.height, dtype=bool)
            for code in kept_codes(frame.columns):
                strong = next((s for s, names in SEVERAL.items() if code in names), None)
                if strong is not None and len(self.by[strong]):
                    hit |= self.by[strong].contains(identities_of(frame, code)).to_numpy()
            if len(self.by["EXTERN_ID"]):
                hit |= self.by["EXTERN_ID"].contains(identify(frame, ["external_id"])).to_numpy()
            found[frame["number"].to_numpy()[hit]] = True
        return found


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Marks of people who were forgotten: keyed, so that the list names nobody without the key."""

    key: bytes
    marks: frozenset[str]

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
        found = np.zeros(len(ledger.members), dtype=bool)
        for frame in ledger.details(ledger.everyone()) if self.marks else ():
            hit = self.hits(frame.select(pl.col("external_id").alias("EXTERN_ID"))).to_numpy(writable=True)
            for strong, names in SEVERAL.items():
                for name in set(names) & set(kept_codes(frame.columns)):
                    hit |= self.hits(hex_digests(frame, name).alias(strong).to_frame()).to_numpy()
            found[frame["number"].to_numpy()[hit]] = True
        return found


def marks_of(cells: pl.Series, code: str, key: bytes) -> pl.Series:
    """Give the keyed mark of each digest or id; null stays null."""
    prefix = f"{key.hex()}\x1f{code}\x1f"
    text = pl.concat_str([pl.lit(prefix), pl.col("cell")]).alias("mark")
    return cells.alias("cell").to_frame().select(text).select(plh.col("mark").chash.sha2_256()).to_series()


def _same_name(identity: pl.Series) -> pl.Series:
    return identity.alias("identity")
