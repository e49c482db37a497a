"""From a segment's profiles to the hashed rows that should leave: here every profile gets its fate.

Owns the order of the fates and the counting. Sees people on one side and hashes on the other, and keeps neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from connector.audiences.digest_set import DigestSet, identify
from connector.audiences.duplicates import Duplicates
from connector.hashing import Hashed, hash_columns
from connector.profiles.mapping import ROW
from connector.profiles.match_keys import PLAIN
from connector.profiles.segments import MATCHED_BY, suppressed_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.config import Config
    from connector.profiles.segments import Segment
    from connector.report import Tally

AT = "at"  # a row's place in its frame, kept beside the hashes to look up why a cell is blank
UNHASHED = frozenset({*PLAIN, ROW, AT})


@dataclass(frozen=True, slots=True)
class Suppression:
    """Who never leaves: per key (EMAIL, PHONE, EXTERN_ID) the digests or ids on any suppression list."""

    digests: dict[str, DigestSet]

    def hits(self, hashed: pl.DataFrame) -> pl.Series:
        """Tell per row whether its profile is on a list, by any of its e-mails, phones or its external id."""
        hit = pl.Series([False]).new_from_index(0, hashed.height)
        for code, digests in self.digests.items():
            if len(digests) and code in hashed.columns:
                hit |= digests.contains(_cells(hashed, code))
        return (
            hashed.select(hit.alias("hit")).select(pl.col("hit").any().over(hashed[ROW])).to_series()
            if hit.any()
            else hit
        )


def read_suppression(config: Config) -> Suppression:
    """Read the suppression lists of a workspace.

    Raises:
        ConfigError, SourceError: a list cannot be read; nobody may leave then.
    """
    digests = {code: DigestSet() for code in MATCHED_BY}
    for keys in suppressed_keys(config):
        hashed = hash_columns(keys.values, plain=UNHASHED)
        for code in MATCHED_BY:
            if code in hashed.columns:
                digests[code].add(_cells(hashed, code))
    return Suppression(digests)


def hashed_rows(segment: Segment, never: Suppression, tally: Tally, *, value_based: bool = False) -> Iterator[Hashed]:
    """Read, normalise and hash a segment: the rows to add in source order, every profile's fate counted in ``tally``.

    The first of these that holds is a profile's fate: no consent, no identifier, bad value, suppressed, duplicate.
    """
    seen = Duplicates()
    for chunk in segment.chunks():
        tally.unparsable.update(chunk.unparsable)
        tally.read += chunk.frame.height
        consenting = chunk.frame.filter(segment.mapping.consents(chunk.frame))
        tally.skipped["no_consent"] += chunk.frame.height - consenting.height
        keys = segment.mapping.keys_of(consenting)
        values = keys.values.with_row_index(AT)
        values = _keep(values, segment.mapping.identified(values), tally, "no_identifier")
        if value_based:
            values = _keep(values, values["LOOKALIKE_VALUE"].is_not_null(), tally, "bad_value")
        elif "LOOKALIKE_VALUE" in values.columns:
            values = values.drop("LOOKALIKE_VALUE")
        hashed: pl.DataFrame = hash_columns(values, plain=UNHASHED)
        hashed = _keep(hashed, ~never.hits(hashed), tally, "suppressed")
        columns = [code for code in hashed.columns if code not in UNHASHED]
        hashed = _keep(hashed, seen.firsts(Hashed(hashed), hashed[ROW], columns), tally, "duplicate")
        profiles = hashed[ROW].n_unique()
        tally.eligible += profiles
        tally.extra += hashed.height - profiles
        tally.to_add += hashed.height
        losses = keys.losses(hashed[AT])
        tally.count_cells(
            hashed.height, {code: losses.get(code, {}) for code in hashed.columns if code not in {ROW, AT}}
        )
        yield Hashed(hashed.drop(AT, ROW))


def wire_schema(segment: Segment, *, value_based: bool = False) -> tuple[str, ...]:
    """Name the columns that travel, in wire order: a birth date in three, a value only for value-based audiences."""
    codes: list[str] = []
    for code in segment.mapping.codes:
        codes += ["DOBY", "DOBM", "DOBD"] if code == "DOB" else [code]
    return tuple(dict.fromkeys(c for c in codes if c != "LOOKALIKE_VALUE" or value_based))


def _keep(rows: pl.DataFrame, keep: pl.Series, tally: Tally, reason: str) -> pl.DataFrame:
    """Keep some rows, and count the profiles that lost all of theirs."""
    kept = rows.filter(keep)
    if kept.height < rows.height:
        tally.skipped[reason] += rows[ROW].n_unique() - kept[ROW].n_unique()
    return kept


def _cells(hashed: pl.DataFrame, code: str) -> pl.Series:
    """Identify one column's cells, alike whatever the column is called."""
    return identify(hashed.select(pl.col(code).alias("cell")), ["cell"])
