"""Which identifiers to take out for those who are gone, and no more: whoever stays and shares one is not thrown out.

Removed by e-mail, else by phone, else by the full row; by EXTERN_ID only when nothing else is held, because Meta forgets that
mapping after 90 days (meta-graph-api.md §2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from connector.audiences.digest_set import DigestSet
from connector.audiences.ledger_rows import (
    MASK_ORDER,
    SEVERAL,
    digest_identity,
    hex_digests,
    identities_of,
    kept_codes,
)
from connector.hashing import Hashed

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from connector.audiences.ledger import Ledger

STRONG = ("EMAIL", "PHONE")


@dataclass(frozen=True, slots=True)
class Removal:
    """Rows of one schema to take out."""

    schema: tuple[str, ...]
    rows: Hashed


class Staying:
    """Which of the gone people's identifiers somebody else in the audience still holds."""

    def __init__(self, ledger: Ledger, gone: NDArray[np.int64]) -> None:
        self._asked = {code: DigestSet() for code in STRONG}
        self._kept = {code: DigestSet() for code in STRONG}
        for code, _, identities in ledger.identities(gone):
            strong = _strong(code)
            if strong is not None:
                self._asked[strong].add(identities)

    def keep_members(self, ledger: Ledger, numbers: NDArray[np.int64]) -> None:
        """Let what these members hold stay."""
        if not any(len(asked) for asked in self._asked.values()):
            return
        for code, _, identities in ledger.identities(numbers):
            strong = _strong(code)
            if strong is not None:
                self._keep(strong, identities)

    def keep_rows(self, hashed: Hashed) -> None:
        """Let what these rows, about to be added, hold stay: it is just added again."""
        for code in STRONG:
            if code in hashed.columns and len(self._asked[code]):
                self._keep(code, digest_identity(hashed[code]))

    def held(self, code: str, identities: pl.Series) -> pl.Series:
        """Tell per identity whether somebody still holds it."""
        return self._kept[code].contains(identities)

    def _keep(self, code: str, identities: pl.Series) -> None:
        asked = identities.filter(self._asked[code].contains(identities))
        self._kept[code].add(asked.filter(~self._kept[code].contains(asked)).unique())


def plan_removals(ledger: Ledger, gone: NDArray[np.int64], staying: Staying) -> list[Removal]:
    """Work out the rows that take ``gone`` out, by schema; an identifier stands in them once."""
    found: dict[tuple[str, ...], list[pl.DataFrame]] = {}
    for frame in ledger.details(gone):
        for schema, rows in _of_frame(frame, staying):
            if rows.height:
                found.setdefault(schema, []).append(rows)
    return [
        Removal(schema, Hashed(pl.concat(frames).unique(maintain_order=True)))
        for schema, frames in sorted(found.items())
    ]


def removal_rows(hashed: Hashed) -> list[Removal]:
    """Take out people as they stand in ``hashed`` (mode ``remove``): by e-mail, else phone, else the full row."""
    found = []
    left: pl.DataFrame = hashed
    for code in STRONG:
        if code in left.columns:
            there = left.filter(pl.col(code).is_not_null())
            found.append(Removal((code,), Hashed(there.select(code).unique(maintain_order=True))))
            left = left.filter(pl.col(code).is_null())
    rest = [code for code in MASK_ORDER if code in left.columns and code not in {*STRONG, "EXTERN_ID", "MADID"}]
    rest = [code for code in rest if code not in {"LOOKALIKE_VALUE", "DATA_PROCESSING_OPTIONS"}]
    if rest and left.height:
        found.append(Removal(tuple(rest), Hashed(left.select(rest).unique(maintain_order=True))))
    return [removal for removal in found if removal.rows.height]


def concat_removals(parts: Iterable[Removal]) -> list[Removal]:
    """Put removals of the same schema together, each identifier once."""
    found: dict[tuple[str, ...], list[pl.DataFrame]] = {}
    for part in parts:
        found.setdefault(part.schema, []).append(part.rows)
    return [Removal(schema, Hashed(pl.concat(frames).unique(maintain_order=True))) for schema, frames in found.items()]


def _of_frame(frame: pl.DataFrame, staying: Staying) -> list[tuple[tuple[str, ...], pl.DataFrame]]:
    codes = kept_codes(frame.columns)
    emails, email_there, email_kept = _digests(frame, codes, "EMAIL", staying)
    phones, phone_there, _ = _digests(frame, codes, "PHONE", staying)
    by_phone = ~email_there | email_kept
    result: list[tuple[tuple[str, ...], pl.DataFrame]] = [
        (("EMAIL",), pl.DataFrame({"EMAIL": column.drop_nulls()})) for column in emails
    ]
    result += [(("PHONE",), pl.DataFrame({"PHONE": column.filter(by_phone).drop_nulls()})) for column in phones]
    nameless = ~(email_there | phone_there)
    weak = [code for code in MASK_ORDER if code in codes and code not in STRONG]
    bare = frame.filter(nameless)
    if weak and bare.height:
        rows = pl.DataFrame([hex_digests(bare, code) for code in weak])
        known = rows.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
        result.append((tuple(weak), rows.filter(known)))
        bare = bare.filter(~known)
    ids = bare.select(pl.col("external_id").alias("EXTERN_ID")).drop_nulls()
    return [*result, (("EXTERN_ID",), ids)]


def _digests(
    frame: pl.DataFrame, codes: list[str], strong: str, staying: Staying
) -> tuple[list[pl.Series], pl.Series, pl.Series]:
    """Give the removable digests column by column, who has any at all, and who has one that somebody else holds."""
    there = kept = pl.Series([False], dtype=pl.Boolean).new_from_index(0, frame.height)
    removable = []
    for code in SEVERAL[strong]:
        if code not in codes:
            continue
        identities = identities_of(frame, code)
        present = identities.is_not_null()
        held = staying.held(strong, identities)
        there, kept = there | present, kept | held
        mine = frame.filter(present & ~held)
        spread = pl.DataFrame({"number": mine["number"], strong: hex_digests(mine, code)})
        joined = frame.select("number").join(spread, on="number", how="left", maintain_order="left")
        removable.append(joined[strong])
    return removable, there, kept


def _strong(code: str) -> str | None:
    return next((strong for strong, names in SEVERAL.items() if code in names), None)
