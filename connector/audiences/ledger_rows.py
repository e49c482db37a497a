"""What the ledger keeps of a profile that was sent: fingerprint, id, digests to remove by; never a raw attribute.

A row: ``high``, ``low`` (the fingerprint), ``cells_high``, ``cells_low`` (the identity of all hashed cells, for duplicates),
``external_id``, ``mask`` (which keys it had), ``rows`` (how many rows it sent), ``sent`` (days since 1970), and four 64-bit
words per digest kept: up to three e-mails and phones, or every key of a profile known by name and address only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from connector.audiences.digest_set import identify
from connector.audiences.packing import pack, unpack, word_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from connector.hashing import Hashed

SEVERAL: Final = {"EMAIL": ("EMAIL", "EMAIL2", "EMAIL3"), "PHONE": ("PHONE", "PHONE2", "PHONE3")}
MASK_ORDER: Final = (
    "EXTERN_ID", "EMAIL", "PHONE", "FN", "LN", "FI", "GEN", "DOBY", "DOBM", "DOBD", "CT", "ST", "ZIP", "COUNTRY", "MADID",
    "LOOKALIKE_VALUE", "DATA_PROCESSING_OPTIONS",
)  # fmt: skip


def ledger_rows(
    hashed: Hashed, profiles: pl.Series, prints: pl.DataFrame, hashed_codes: Sequence[str], *, sent: date
) -> pl.DataFrame:
    """Make one ledger row per profile from the rows that are about to be sent.

    Args:
        hashed: The rows; a profile's main row first, its extra rows right behind it.
        profiles: Which profile each row is of, ascending.
        prints: The profiles' fingerprints, one row for each distinct profile, in the same order.
        hashed_codes: The columns that hold digests.
        sent: Today.
    """
    table = hashed.with_columns(profiles.alias("profile"))
    main = table.filter(pl.col("profile").is_first_distinct())
    identity = identify(main, list(hashed_codes))
    fixed = pl.DataFrame(
        {
            "high": prints["high"],
            "low": prints["low"],
            "cells_high": high_word(identity),
            "cells_low": low_word(identity),
            "external_id": main["EXTERN_ID"]
            if "EXTERN_ID" in main.columns
            else pl.repeat(None, main.height, dtype=pl.String, eager=True),
            "mask": _mask(main),
            "rows": table.group_by("profile", maintain_order=True).len()["len"].cast(pl.UInt8),
        }
    ).with_columns(sent=pl.lit(sent).cast(pl.Int32))
    words = [word for code, digests in _kept(table, main, hashed_codes).items() for word in pack(digests, code)]
    return fixed.hstack(words)


def kept_codes(columns: Sequence[str]) -> list[str]:
    """Name the digests that a part's columns hold."""
    return [name.removesuffix("_0") for name in columns if name.endswith("_0")]


def identities_of(rows: pl.DataFrame, code: str) -> pl.Series:
    """Give the 128-bit identities of one kept digest, from its first two words; as :func:`digest_identity` gives them."""
    first, second = word_names(code)[:2]
    joined = pl.col(first).cast(pl.UInt128) * pl.lit(2**64, dtype=pl.UInt128) + pl.col(second).cast(pl.UInt128)
    return rows.select(joined.alias("identity")).to_series()


def digest_identity(digests: pl.Series) -> pl.Series:
    """Give the 128-bit identities of hex digests: their first 16 bytes, for they are random already."""
    frame = digests.alias("digest").to_frame()
    first, second = (
        pl.col("digest").str.slice(start, 16).str.to_integer(base=16, dtype=pl.UInt64).cast(pl.UInt128)
        for start in (0, 16)
    )
    return frame.select((first * pl.lit(2**64, dtype=pl.UInt128) + second).alias("identity")).to_series()


def hex_digests(rows: pl.DataFrame, code: str) -> pl.Series:
    """Give a kept digest as Meta wants it."""
    return unpack(rows, code)


def high_word(identity: pl.Series) -> pl.Series:
    """The upper 64 bits."""
    return (identity // pl.Series([2**64], dtype=pl.UInt128)).cast(pl.UInt64)


def low_word(identity: pl.Series) -> pl.Series:
    """The lower 64 bits."""
    return (identity % pl.Series([2**64], dtype=pl.UInt128)).cast(pl.UInt64)


def _kept(table: pl.DataFrame, main: pl.DataFrame, hashed_codes: Sequence[str]) -> dict[str, pl.Series]:
    strong = [code for code in SEVERAL if code in hashed_codes]
    kept: dict[str, pl.Series] = {}
    extra = table.height > main.height
    for code in strong:
        kept |= _several(table, code) if extra else {code: main[code]}
    nameless = main.select(pl.all_horizontal(pl.col(c).is_null() for c in strong) if strong else pl.lit(value=True))
    if nameless.to_series().any():
        bare = pl.all_horizontal(pl.col(c).is_null() for c in strong) if strong else pl.lit(value=True)
        for code in hashed_codes:
            if code not in SEVERAL:
                kept[code] = main.select(pl.when(bare).then(pl.col(code)).alias(code)).to_series()
    return kept


def _several(table: pl.DataFrame, code: str) -> dict[str, pl.Series]:
    """Spread a profile's different digests of one key over its columns."""
    lists = table.group_by("profile", maintain_order=True).agg(pl.col(code).drop_nulls().unique(maintain_order=True))
    return {name: lists[code].list.get(place, null_on_oob=True).alias(name) for place, name in enumerate(SEVERAL[code])}


def _mask(main: pl.DataFrame) -> pl.Series:
    bits = [
        pl.col(code).is_not_null().cast(pl.UInt32) * (1 << place)
        for place, code in enumerate(MASK_ORDER)
        if code in main.columns
    ]
    return main.select(pl.sum_horizontal(bits).cast(pl.UInt32).alias("mask")).to_series()
