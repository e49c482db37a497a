"""Take stock: compare a segment with what the ledger says its audience holds, before anything is normalised or sent.

One reading of the source finds who is unchanged (counted, neither normalised nor hashed again), who is a candidate, and
with that who is gone. Sees raw frames and fingerprints; candidates wait in memory up to a bound, beyond it the source is
read a second time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from connector.audiences.members import UNKNOWN, Members, members_of
from connector.audiences.suppression import PersonSet
from connector.hashing import hash_columns
from connector.preparation import UNHASHED, Candidates, consenting_of, external_ids
from connector.profiles.fingerprints import Fingerprints
from connector.report import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from connector.audiences.ledger import Ledger
    from connector.profiles.fingerprints import Fingerprinter
    from connector.profiles.segments import Segment

MOST_WAITING = 200_000_000  # bytes of candidates that wait in memory
WHO = ("EXTERN_ID", "EMAIL", "PHONE")


@dataclass(slots=True)
class Stock:
    """What one reading found. ``gone`` numbers members to take out; ``unchanged`` those that stay as they are."""

    gone: NDArray[np.int64]
    unchanged: NDArray[np.int64]
    candidates: int
    again: Callable[[], Iterator[Candidates]]
    waiting: list[Candidates] | None = field(default=None)


def take_stock(
    segment: Segment,
    ledger: Ledger,
    fingerprinter: Fingerprinter,
    tally: Tally,
    *,
    never: PersonSet,
    resend: NDArray[np.bool_],
    only_leavers: bool,
    tell: Callable[[], None] = lambda: None,
) -> Stock:
    """Read the segment once and compare.

    Args:
        segment: What should be in the audience.
        ledger: What is in it.
        fingerprinter: Of the segment's mapping.
        tally: Counts reading, consent, unchanged and raw repeats.
        never: Nobody of these stays.
        resend: Per member, whether to send it again although it is unchanged.
        only_leavers: Mode ``add``: whoever is just not in the segment stays; only the suppressed and those who took back
            their consent go.
        tell: Called now and then, to show progress.
    """
    members, barred = ledger.members, never.members(ledger)
    withdrawn, size, count = PersonSet(), 0, 0
    waiting: list[Candidates] | None = []
    prints: list[Fingerprints] = []
    unchanged = np.zeros(len(members), dtype=bool)
    for chunk in segment.chunks():
        tally.unparsable.update(chunk.unparsable)
        tally.scanned += chunk.scanned
        consenting, numbers, refusing = consenting_of(chunk.frame, segment.mapping, tally)
        if only_leavers and refusing.height:
            _note_withdrawn(withdrawn, segment, refusing)
        read = Candidates(consenting, fingerprinter.of(consenting), numbers)
        some = _compare(read, segment, members, barred, resend, unchanged, tally)
        count += some.frame.height
        prints.append(some.prints)
        size += int(some.frame.estimated_size())
        if waiting is not None:
            waiting = [*waiting, some] if size <= MOST_WAITING else None
        tell()
    gone = members.gone
    if only_leavers and len(gone):
        leaving = barred | withdrawn.members(ledger) if withdrawn else barred
        gone = gone[leaving[gone]]
    return Stock(
        gone, np.flatnonzero(unchanged), count, _again(segment, fingerprinter, waiting, prints, tally, count), waiting
    )


def _compare(
    some: Candidates,
    segment: Segment,
    members: Members,
    barred: NDArray[np.bool_],
    resend: NDArray[np.bool_],
    unchanged: NDArray[np.bool_],
    tally: Tally,
) -> Candidates:
    """Count who is unchanged, suppressed or repeated, and give the rest."""
    numbers = members.find(some.prints)
    known = numbers != UNKNOWN
    out = np.zeros(len(numbers), dtype=bool)
    out[known] = barred[numbers[known]]
    again = members.meet(np.where(out, UNKNOWN, numbers))
    candidate = ~known
    candidate[known] = resend[numbers[known]] | ~members.held[numbers[known]]
    same = known & ~out & ~again & ~candidate
    rows = members.rows[numbers[same]].astype(np.int64)
    for reason, which in (("suppressed", out), ("duplicate", again)):
        if which.any():
            left_out = pl.Series(which)
            ids = external_ids(some.frame.filter(left_out), segment.mapping)
            tally.skip(reason, some.numbers.filter(left_out), ids)
    tally.eligible += len(rows)
    tally.extra += int(rows.sum()) - len(rows)
    tally.unchanged += int(rows.sum())
    unchanged[numbers[same]] = True
    chosen = pl.Series(candidate & ~out & ~again)
    return Candidates(some.frame.filter(chosen), Fingerprints(some.prints.filter(chosen)), some.numbers.filter(chosen))


def _note_withdrawn(withdrawn: PersonSet, segment: Segment, refusing: pl.DataFrame) -> None:
    """Remember who took back consent, by who they are: external id if mapped, else e-mail, else phone."""
    codes = [code for code in WHO if code in segment.mapping.codes][:1]
    hashed = hash_columns(segment.mapping.keys_of(refusing).values, plain=UNHASHED)
    withdrawn.add(type(hashed)(hashed.select(codes)))


def _again(
    segment: Segment,
    fingerprinter: Fingerprinter,
    waiting: list[Candidates] | None,
    prints: list[Fingerprints],
    tally: Tally,
    count: int,
) -> Callable[[], Iterator[Candidates]]:
    """Give the candidates, from memory or by reading the source again; what changed in between is left for the next run."""

    def from_memory() -> Iterator[Candidates]:
        yield from waiting or ()

    def by_reading() -> Iterator[Candidates]:
        wanted = members_of(pl.concat(prints))
        found, again = 0, Tally()  # counted when it was read first
        for chunk in segment.chunks():
            consenting, numbers, _ = consenting_of(chunk.frame, segment.mapping, again)
            seen = fingerprinter.of(consenting)
            mine = wanted.find(seen) != UNKNOWN
            mine &= np.cumsum(mine) <= count - found  # never more than were counted: the rest is the next run's
            found += int(mine.sum())
            chosen = pl.Series(mine)
            prints_of_mine = Fingerprints(seen.filter(chosen))
            yield Candidates(consenting.filter(chosen), prints_of_mine, numbers.filter(chosen))
        tally.skipped["source_changed"] = max(0, count - found)

    return from_memory if waiting is not None else by_reading
