"""From a segment's profiles to the hashed rows that should leave: here every profile gets its fate.

Owns the order of the fates and the counting. Sees people on one side and hashes on the other, and keeps neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from connector.audiences.suppression import PersonSet
from connector.hashing import Hashed, hash_columns
from connector.in_order import ahead, in_order
from connector.profiles.fingerprints import Fingerprints
from connector.profiles.losses import Losses
from connector.profiles.mapping import ROW
from connector.profiles.suppressed import read_lists
from connector.transform import AT, UNHASHED, Candidates, Transformed, profiles_lost

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from connector.audiences.duplicates import Duplicates
    from connector.audiences.suppression import Forgotten
    from connector.config import Config
    from connector.profiles.mapping import Mapping
    from connector.profiles.segments import Segment
    from connector.report import Tally
    from connector.transform import Transform


@dataclass(frozen=True, slots=True)
class Prepared:
    """Hashed rows to add. ``profiles`` says, per row, which of ``prints`` and ``numbers`` is its profile's, ascending from 0."""

    rows: Hashed
    profiles: pl.Series
    prints: Fingerprints
    numbers: pl.Series

    def head(self, rows: int) -> Prepared:
        """Keep at most ``rows`` rows, and no profile in part."""
        if self.rows.height <= rows:
            return self
        cut = int(self.profiles[rows])
        kept = self.profiles < cut
        prints, numbers = Fingerprints(self.prints.head(cut)), self.numbers.head(cut)
        return Prepared(Hashed(self.rows.filter(kept)), self.profiles.filter(kept), prints, numbers)


def read_suppression(config: Config) -> tuple[PersonSet, list[str]]:
    """Read the suppression lists of a workspace: who stands on them, and warnings of rows that stop nobody.

    Raises:
        ConfigError, SourceError: a list cannot be read; nobody may leave then.
    """
    people = PersonSet()
    read = read_lists(config, lambda keys: people.add(hash_columns(keys.values, plain=UNHASHED)))
    return people, read.warnings


def first_candidates(segment: Segment, tally: Tally) -> Iterator[Candidates]:
    """Read a segment that was never sent: whoever consents is a candidate."""
    for chunk in ahead(segment.chunks()):
        tally.unparsable.update(chunk.unparsable)
        tally.scanned += chunk.scanned
        consenting, numbers, _ = consenting_of(chunk.frame, segment.mapping, tally)
        yield Candidates(consenting, numbers)


def consenting_of(frame: pl.DataFrame, mapping: Mapping, tally: Tally) -> tuple[pl.DataFrame, pl.Series, pl.DataFrame]:
    """Count a frame as read and part it: those who consent, their row numbers (from 1, over all frames), and the others."""
    numbers = pl.int_range(tally.read + 1, tally.read + 1 + frame.height, dtype=pl.UInt32, eager=True)
    tally.read += frame.height
    consent = mapping.consents(frame) if mapping.consent is not None else None
    if consent is None or consent.all():
        return frame, numbers, frame.clear()
    refusing = frame.filter(~consent)
    tally.skip("no_consent", numbers.filter(~consent), external_ids(refusing, mapping))
    return frame.filter(consent), numbers.filter(consent), refusing


def external_ids(frame: pl.DataFrame, mapping: Mapping) -> pl.Series | None:
    """Give the raw external ids, where the mapping has one and it is text."""
    attribute = mapping.attributes.get("EXTERN_ID")
    if attribute is None or not attribute.columns or frame.schema[attribute.columns[0]] != pl.String:
        return None
    return frame[attribute.columns[0]]


def prepare(
    candidates: Iterable[Candidates],
    transform: Transform,
    tally: Tally,
    *,
    never: PersonSet,
    forgotten: Forgotten,
    duplicates: Duplicates,
    workers: int = 1,
) -> Generator[Prepared]:
    """Normalise and hash candidates: the rows to add in source order, every profile's fate counted in ``tally``.

    The first of these that holds is a profile's fate: no identifier, bad value, suppressed or forgotten, duplicate.
    ``workers`` threads normalise and hash ahead; what depends on order is done here, frame after frame.
    """
    losses = Losses(transform.mapping.settings)
    try:
        transformed = in_order(transform, candidates, workers=workers)
        for done in _looked_up(transformed, duplicates):
            for lost in done.lost:
                tally.skip(lost.reason, lost.numbers, lost.ids)
            hashed: pl.DataFrame = done.hashed
            out = never.hits(hashed) | forgotten.hits(hashed)
            hashed = _keep(done, hashed, ~_of_whole_profile(hashed, out), tally, "suppressed")
            hashed = _keep(done, hashed, duplicates.firsts(Hashed(hashed), hashed[ROW]), tally, "duplicate")
            blanks = losses.add(done.keys, hashed[AT])
            tally.count_cells(hashed.height, {code: blanks[code] for code in hashed.columns if code in blanks})
            yield _counted(done, hashed, tally)
    finally:
        sent = set(tally.cells)
        tally.explain_blanks({code: why for code, why in losses.reasons().items() if code in sent})


def _looked_up(transformed: Iterator[Transformed], duplicates: Duplicates) -> Iterator[Transformed]:
    """Let frames wait until there are enough rows in them to be worth a look through the whole ledger."""
    waiting: list[Transformed] = []
    for done in transformed:
        waiting.append(done)
        if sum(one.hashed.height for one in waiting) >= duplicates.worth:
            duplicates.expect([one.hashed for one in waiting])
            yield from waiting
            waiting = []
    duplicates.expect([one.hashed for one in waiting])
    yield from waiting


def _counted(done: Transformed, hashed: pl.DataFrame, tally: Tally) -> Prepared:
    """Count what is left as eligible and to add, and number its profiles from 0."""
    rows = hashed[ROW].to_numpy()
    begins = np.append(True, rows[1:] != rows[:-1])[: len(rows)]
    whose = rows[begins]
    tally.eligible += len(whose)
    tally.extra += len(rows) - len(whose)
    tally.to_add += len(rows)
    profiles = pl.Series(np.cumsum(begins, dtype=np.uint32) - np.uint32(1), dtype=pl.UInt32)
    prints, numbers = done.prints, done.numbers
    if len(whose) < numbers.len():
        prints, numbers = Fingerprints(prints[whose]), numbers[whose]
    return Prepared(Hashed(hashed.drop(AT, ROW)), profiles, prints, numbers)


def _keep(done: Transformed, rows: pl.DataFrame, keep: pl.Series, tally: Tally, reason: str) -> pl.DataFrame:
    """Keep some rows; the profiles that lost all of theirs have met their fate."""
    if keep.all():
        return rows
    kept = rows.filter(keep)
    done.skip(profiles_lost(rows[ROW], kept[ROW]), tally, reason)
    return kept


def _of_whole_profile(rows: pl.DataFrame, hit: pl.Series) -> pl.Series:
    """Let a hit on one row count for all rows of its profile."""
    if not hit.any():
        return hit
    return rows.select(ROW, hit.alias("hit")).select(pl.col("hit").any().over(ROW)).to_series()
