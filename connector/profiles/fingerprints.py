"""A keyed fingerprint per profile: what the ledger compares to know who is new, unchanged or gone.

Sees attributes, gives 128 bits that say nothing without the key. Must not know what the ledger does with them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NewType

import polars as pl
import polars_hash as plh

from connector.hashing import read_words

if TYPE_CHECKING:
    from connector.profiles.mapping import Mapping

Fingerprints = NewType("Fingerprints", pl.DataFrame)
"""Two UInt64 columns, ``high`` and ``low``, one row per profile. Only this module makes one."""

FORMAT = 2  # of the fingerprint itself: raise it when the text below changes
RULES = 1  # of the match-key rules: raise it when any value normalises to something else, and all is sent again
_UNIT, _ITEM = "\x1f", "\x1e"


@dataclass(frozen=True, slots=True)
class Fingerprinter:
    """Fingerprints frames by one mapping and one key."""

    columns: tuple[str, ...]
    prefix: str

    def of(self, frame: pl.DataFrame) -> Fingerprints:
        """Fingerprint each profile of ``frame`` over its mapped attributes.

        SHA-256 over the secret prefix and the attributes, cut to 128 bits: keyed, and safe against extension because
        it is cut. Each attribute's place is told apart; null and an empty text are both blank, whichever a file has.
        """
        unit = pl.lit(_UNIT)
        parts = [part for column in self.columns for part in (unit, _as_text(frame, column))]
        text = pl.concat_str([pl.lit(self.prefix), *parts], ignore_nulls=True).alias("text")
        digests = frame.select(text).select(plh.col("text").chash.sha2_256()).to_series()
        return Fingerprints(pl.from_numpy(read_words(digests.str.head(32), 2), ["high", "low"]))


def fingerprinter(mapping: Mapping, key: bytes, *, value_based: bool) -> Fingerprinter:
    """Make the fingerprinter of a mapping: what the mapping says is part of it, so a changed mapping changes everyone.

    Args:
        mapping: Consent is left out: who takes it back is gone by predicate, not changed.
        key: 32 random bytes.
        value_based: Whether ``lookalike_value`` travels.
    """
    said = {
        "format": FORMAT,
        "rules": RULES,
        "identifier": mapping.key_identifier,
        "value_based": value_based,
        "country": mapping.settings.default_country,
        "dates": mapping.settings.birth_date_format,
        "zero": mapping.settings.blank_value_is_zero,
        "keys": {code: [list(a.columns), a.value, a.separator] for code, a in mapping.attributes.items()},
    }
    columns = tuple(dict.fromkeys(c for a in mapping.attributes.values() for c in a.columns))
    # 128 secret bits that also stand for what the mapping says: short, so that most profiles fit one block of SHA-256.
    prefix = hashlib.sha256(key + json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]
    return Fingerprinter(columns, prefix)


def _as_text(frame: pl.DataFrame, column: str) -> pl.Expr:
    return pl.col(column).list.join(_ITEM) if frame.schema[column] == pl.List else pl.col(column)
