"""What the ledger keeps of a profile that was sent: fingerprint, id, digests to remove by; never a raw attribute.

A row: ``high``, ``low`` (the fingerprint), ``cells_high``, ``cells_low`` (the identity of all hashed cells, for duplicates;
``cells2_high`` … of its further rows), ``rest`` (64 bits of the identity of names and address), ``external_id``, ``mask``
(which keys it had), ``rows`` (how many rows it sent), ``sent`` (days since 1970), and four 64-bit words per digest kept: up
to three e-mails and phones, or every key of a profile known by name and address only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from connector.audiences.digest_set import each_cell, together
from connector.audiences.packing import pack, unpack, word_names
from connector.hashing import Hashed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date


SEVERAL: Final = {"EMAIL": ("EMAIL", "EMAIL2", "EMAIL3"), "PHONE": ("PHONE", "PHONE2", "PHONE3")}
MASK_ORDER: Final = (
    "EXTERN_ID", "EMAIL", "PHONE", "FN", "LN", "FI", "GEN", "DOBY", "DOBM", "DOBD", "CT", "ST", "ZIP", "COUNTRY", "MADID",
    "LOOKALIKE_VALUE", "DATA_PROCESSING_OPTIONS",
)  # fmt: skip
NAMES_AND_ADDRESS: Final = ("FN", "LN", "FI", "GEN", "DOBY", "DOBM", "DOBD", "CT", "ST", "ZIP", "COUNTRY")
IDENTITIES: Final = ("cells", "rest")  # columns of a frame of rows beside its keys: see :func:`with_identities`
_MOST_ROWS: Final = 5  # of one profile: three e-mails and three phones, the first of each in one row
_LOWER: Final = pl.lit(2**64, dtype=pl.UInt128)


def ledger_rows(
    hashed: Hashed, profiles: pl.Series, prints: pl.DataFrame, hashed_codes: Sequence[str], *, sent: date
) -> pl.DataFrame:
    """Make one ledger row per profile from the rows that are about to be sent.

    Args:
        hashed: The rows, with their identities; a profile's main row first, its extra rows right behind it.
        profiles: Which profile each row is of, ascending.
        prints: The profiles' fingerprints, one row for each distinct profile, in the same order.
        hashed_codes: The columns that hold digests.
        sent: Today.
    """
    table = hashed.with_columns(profiles.alias("profile"))
    first = profiles != profiles.shift(1)
    main = table.filter(first.fill_null(value=True))
    extra = table.height > main.height
    no_id = pl.lit(None, dtype=pl.String)
    return pl.DataFrame([prints["high"], prints["low"], *_halves(main["cells"], "cells")]).with_columns(
        main["rest"],
        (main["EXTERN_ID"] if "EXTERN_ID" in main.columns else no_id).alias("external_id"),
        _mask(main),
        _rows(table) if extra else pl.lit(1, dtype=pl.UInt8).alias("rows"),
        pl.lit(sent).cast(pl.Int32).alias("sent"),
        *(_cells_of_extra_rows(table) if extra else ()),
        *(word for code, digests in _kept(table, main, hashed_codes).items() for word in pack(digests, code)),
    )


def cells_names(columns: Sequence[str]) -> list[tuple[str, str]]:
    """Name the pairs of columns that hold identities of all hashed cells: of the main row, then of extra rows."""
    return [(name, f"{name.removesuffix('_high')}_low") for name in columns if name.endswith("_high")]


def kept_codes(columns: Sequence[str]) -> list[str]:
    """Name the digests that a part's columns hold."""
    return [name.removesuffix("_0") for name in columns if name.endswith("_0")]


def identities_of(rows: pl.DataFrame, code: str) -> pl.Series:
    """Give the 128-bit identities of one kept digest, from its first two words; as :func:`digest_identity` gives them."""
    first, second = word_names(code)[:2]
    joined = pl.col(first).cast(pl.UInt128) * _LOWER + pl.col(second).cast(pl.UInt128)
    return rows.select(joined.alias("identity")).to_series()


def digest_identity(digests: pl.Series) -> pl.Series:
    """Give the 128-bit identities of hex digests: their first 16 bytes, for they are random already."""
    frame = digests.alias("digest").to_frame()
    first, second = (
        pl.col("digest").str.slice(start, 16).str.to_integer(base=16, dtype=pl.UInt64).cast(pl.UInt128)
        for start in (0, 16)
    )
    return frame.select((first * _LOWER + second).alias("identity")).to_series()


def with_identities(hashed: Hashed, hashed_codes: Sequence[str]) -> Hashed:
    """Add to each row what it is known again by: ``cells``, 128 bits over all digests, and ``rest``, over names and address.

    ``rest`` is 64 bits, the same whichever of these keys are mapped, null where all are blank.
    """
    each = each_cell(hashed, hashed_codes)
    rest = [code if code in hashed_codes else None for code in NAMES_AND_ADDRESS]
    upper = (pl.col("rest") // _LOWER).cast(pl.UInt64)
    known = each.select(together(hashed_codes).alias("cells"), together(rest).alias("rest")).with_columns(upper)
    if not hashed_codes:  # nothing to be as many as
        known = known.clear(hashed.height)
    return Hashed(hashed.with_columns(known.get_columns()))


def rest_of(hashed: pl.DataFrame) -> pl.Series:
    """Give the identity of names and address, as :func:`with_identities` does."""
    there = [code for code in NAMES_AND_ADDRESS if code in hashed.columns]
    return with_identities(Hashed(hashed.select(there)), there)["rest"]


def hex_digests(rows: pl.DataFrame, code: str) -> pl.Series:
    """Give a kept digest as Meta wants it."""
    return unpack(rows, code)


def _halves(identity: pl.Series, name: str) -> list[pl.Series]:
    """Cut identities into their upper and lower 64 bits."""
    whole = pl.col("whole")
    high, low = (whole // _LOWER).cast(pl.UInt64), (whole % _LOWER).cast(pl.UInt64)
    return identity.alias("whole").to_frame().select(high.alias(f"{name}_high"), low.alias(f"{name}_low")).get_columns()


def _rows(table: pl.DataFrame) -> pl.Series:
    return table.group_by("profile", maintain_order=True).len()["len"].cast(pl.UInt8).alias("rows")


def _cells_of_extra_rows(table: pl.DataFrame) -> list[pl.Series]:
    lists = table.group_by("profile", maintain_order=True).agg("cells")["cells"]
    return [
        half
        for place in range(1, _MOST_ROWS)
        for half in _halves(lists.list.get(place, null_on_oob=True), f"cells{place + 1}")
    ]


def _kept(table: pl.DataFrame, main: pl.DataFrame, hashed_codes: Sequence[str]) -> dict[str, pl.Series]:
    strong = [code for code in SEVERAL if code in hashed_codes]
    kept: dict[str, pl.Series] = {}
    for code in strong:
        kept |= _several(table, code) if table.height > main.height else {code: main[code]}
    bare = pl.all_horizontal(pl.col(c).is_null() for c in strong) if strong else pl.lit(value=True)
    if main.select(bare.alias("bare")).to_series().any():
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
