"""A keyed fingerprint per profile: what the ledger compares to know who is new, unchanged or gone.

Sees attributes, gives 128 bits that say nothing without the key. Must not know what the ledger does with them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NewType

import numpy as np
import polars as pl
import polars_hash as plh
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

if TYPE_CHECKING:
    from connector.profiles.mapping import Mapping

Fingerprints = NewType("Fingerprints", pl.DataFrame)
"""Two UInt64 columns, ``high`` and ``low``, one row per profile. Only this module makes one."""

FORMAT = 3  # of the fingerprint itself: raise it when anything below changes
RULES = 1  # of the match-key rules: raise it when any value normalises to something else, and all is sent again
_UNIT, _ITEM = "\x1f", "\x1e"


@dataclass(frozen=True, slots=True)
class Fingerprinter:
    """Fingerprints frames by one mapping and one key: XXH3 from a secret seed, sealed with AES-256.

    XXH3 makes 128 bits of any text thirty times as fast as SHA-256, but does not keep its seed; a block cipher does, and
    costs next to nothing. What comes out tells who has not the key nothing but whether two profiles are the same.
    """

    columns: tuple[str, ...]
    seed: int = field(repr=False)
    seal: Cipher[modes.ECB] = field(repr=False)

    def of(self, frame: pl.DataFrame) -> Fingerprints:
        """Fingerprint each profile of ``frame`` over its mapped attributes.

        Each attribute's place is told apart; null and an empty text are both blank, whichever a file has.
        """
        cells = [_as_text(frame, column).fill_null("") for column in self.columns]
        text = frame.select(pl.concat_str(cells, separator=_UNIT).alias("text"))
        hashed = plh.col("text").nchash.xxh3_128(seed=self.seed, return_binary=True, byte_order="big")
        words = text.select(hashed.bin.reinterpret(dtype=pl.Array(pl.UInt64, 2))).to_series().to_numpy()
        # One block for each profile, all of them different unless the profiles are the same: what ECB is for.
        sealed = self.seal.encryptor().update(words.tobytes())
        return Fingerprints(pl.from_numpy(np.frombuffer(sealed, "<u8").reshape(-1, 2), ["high", "low"]))


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
    secret = hashlib.sha512(key + json.dumps(said, sort_keys=True).encode()).digest()
    seal = Cipher(algorithms.AES(secret[:32]), modes.ECB())  # noqa: S305 - see Fingerprinter.of
    return Fingerprinter(columns, int.from_bytes(secret[32:40]), seal)


def _as_text(frame: pl.DataFrame, column: str) -> pl.Expr:
    return pl.col(column).list.join(_ITEM) if frame.schema[column] == pl.List else pl.col(column)
