"""Take stock: compare a segment with what the ledger says its audience holds, before anything is normalised or sent.

One reading of the source finds who is unchanged (counted, neither normalised nor hashed again), who is a candidate, and
with that who is gone. Sees raw frames and fingerprints; candidates wait in memory up to a bound, beyond it the source is
read a second time.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from connector.audiences.members import UNKNOWN, Wanted
from connector.audiences.suppression import PersonSet
from connector.hashing import Hashed, hash_columns
from connector.in_order import ahead, in_order
from connector.preparation import consenting_of, external_ids, first_candidates
from connector.report import Tally
from connector.room import Room
from connector.transform import UNHASHED, Candidates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from connector.audiences.ledger import Ledger
    from connector.audiences.members import Members, Search
    from connector.audiences.suppression import People
    from connector.profiles.fingerprints import Fingerprinter, Fingerprints
    from connector.profiles.mapping import Mapping
    from connector.profiles.segments import Segment

WANTED = 13  # bytes of a candidate who is read again
MOST_WAITING = 100_000_000  # bytes of candidates that wait in memory, packed
NOBODY = np.zeros(0, dtype=np.int64)
WHO = ("EXTERN_ID", "EMAIL", "PHONE")


@dataclass(slots=True)
class Stock:
    """What one reading found.

    ``gone`` numbers members to take out; ``unchanged`` those that stay as they are, with ``keys`` counting how many of them
    have each key; ``pending`` says of each member whether it is a candidate to be sent again. ``candidates`` counts them all
    (``None``: nobody was sent yet, so everyone is one), and ``again`` gives them, as often as wanted, counting in the
    tally what it leaves out. ``size`` is what it holds for that, in bytes.
    """

    gone: NDArray[np.uint32]
    unchanged: NDArray[np.uint32]
    pending: NDArray[np.bool_]
    candidates: int | None
    again: Callable[[Tally], Iterator[Candidates]]
    size: int = 0
    keys: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Read:
    """One frame: who consents, their fingerprints, who does not, the members' numbers, and which strangers nobody can find.

    Those hold no key identifier at first sight: most of a refresh's strangers do not, again and again.
    """

    some: Candidates
    prints: Fingerprints
    refusing: pl.DataFrame
    numbers: NDArray[np.int64]
    nameless: NDArray[np.bool_]


@dataclass(slots=True)
class Reading:
    """How to read a segment: whose fingerprints, who must not stay, by how many threads, what to do after each frame."""

    segment: Segment
    fingerprinter: Fingerprinter
    never: tuple[People, ...]
    workers: int = 1
    tell: Callable[[], None] = lambda: None
    room: Room = field(default_factory=Room)

    def barred(self, ledger: Ledger) -> NDArray[np.bool_]:
        """Tell which members must not stay."""
        barred = np.zeros(len(ledger.members), dtype=bool)
        for people in self.never:
            barred |= people.members(ledger)
        return barred

    def fingerprinted(
        self, tally: Tally, members: Members | None = None, *, rows: int, workers: int = 1
    ) -> Iterator[_Read]:
        """Read, ``rows`` at a time and a little ahead: those who consent, who of ``members`` they are, and the others."""
        segment = replace(self.segment, frame_rows=rows)

        def consenting() -> Iterator[tuple[Candidates, pl.DataFrame]]:
            for chunk in ahead(segment.chunks()):
                tally.unparsable.update(chunk.unparsable)
                tally.scanned += chunk.scanned
                frame, numbers, refusing = consenting_of(chunk.frame, self.segment.mapping, tally)
                yield Candidates(frame, numbers), refusing

        def fingerprint(read: tuple[Candidates, pl.DataFrame]) -> _Read:
            some, refusing = read
            prints = self.fingerprinter.of(some.frame)
            numbers = NOBODY if members is None else members.find(prints)
            nameless = numbers == UNKNOWN
            if nameless.any():
                strangers = some.frame.filter(pl.Series(nameless))
                nameless[nameless] = self.segment.mapping.without_identifier(strangers).to_numpy()
            return _Read(some, prints, refusing, numbers, nameless)

        return in_order(fingerprint, consenting(), workers=workers)

    def fresh(self) -> Stock:
        """Take stock of a segment that nobody was sent of: nothing to compare."""
        segment = replace(self.segment, frame_rows=self.room.rows)
        again = lambda tally: first_candidates(segment, tally)  # noqa: E731
        return Stock(NOBODY.astype(np.uint32), NOBODY.astype(np.uint32), np.zeros(0, dtype=bool), None, again)


def take_stock(
    reading: Reading, ledger: Ledger, tally: Tally, *, resend: NDArray[np.bool_], only_leavers: bool
) -> Stock:
    """Read the segment once and compare.

    Args:
        reading: What should be in the audience.
        ledger: What is in it.
        tally: Counts reading, consent, unchanged and raw repeats.
        resend: Per member, whether to send it again although it is unchanged.
        only_leavers: Mode ``add``: whoever is just not in the segment stays; only the suppressed and those who took back
            their consent go.
    """
    comparison = _Comparison(ledger, reading.barred(ledger), resend, tally, reading.room.share(MOST_WAITING))
    mapping = reading.segment.mapping
    withdrawn = PersonSet()
    # More rows fit when they are only compared than when they are normalised.
    for read in reading.fingerprinted(tally, ledger.members, rows=2 * reading.room.rows, workers=reading.workers):
        if only_leavers and read.refusing.height:
            _note_withdrawn(withdrawn, mapping, read.refusing)
        comparison.compare(read, mapping)
        reading.tell()
    gone = ledger.members.gone
    if only_leavers:
        gone = gone[(comparison.barred | withdrawn.members(ledger))[gone]]
    return comparison.stock(gone, reading)


@dataclass(frozen=True, slots=True)
class _Packed:
    """Candidates that wait. A few rows filtered from a frame would keep all of its text in memory; packed they do not."""

    frame: bytes
    numbers: pl.Series

    @classmethod
    def of(cls, some: Candidates) -> _Packed:
        packed = io.BytesIO()
        some.frame.write_ipc(packed, compression="lz4")
        return cls(packed.getvalue(), some.numbers)

    def unpacked(self) -> Candidates:
        return Candidates(pl.read_ipc(io.BytesIO(self.frame)), self.numbers)


class _Comparison:
    """The comparison while the source is read."""

    def __init__(
        self, ledger: Ledger, barred: NDArray[np.bool_], resend: NDArray[np.bool_], tally: Tally, most: int
    ) -> None:
        """Begin; ``most`` bytes of packed candidates may wait."""
        self.barred = barred
        self._ledger = ledger
        self._resend = resend | ~ledger.members.held
        self._any_barred, self._any_resend = bool(barred.any()), bool(self._resend.any())
        self._tally = tally
        self._wanted: list[NDArray[np.uint64]] = []  # upper halves of the candidates' fingerprints
        self._waiting: list[_Packed] | None = []
        self._size, self._most = 0, most

    def compare(self, read: _Read, mapping: Mapping) -> None:
        """Count who is suppressed or repeated and let candidates wait; the rest is met in the ledger, and counted at the end."""
        some, numbers = read.some, read.numbers
        known = numbers != UNKNOWN
        out = known & self.barred[numbers] if self._any_barred else np.zeros_like(known)
        again = self._ledger.members.meet(np.where(out, UNKNOWN, numbers))
        candidate = known & self._resend[numbers] if self._any_resend else np.zeros_like(known)
        candidate |= ~known & ~read.nameless
        candidate &= ~out & ~again
        ids = external_ids(some.frame, mapping)
        for reason, which in (("no_identifier", read.nameless), ("suppressed", out), ("duplicate", again)):
            if which.any():
                left_out = pl.Series(which)
                self._tally.skip(reason, some.numbers.filter(left_out), None if ids is None else ids.filter(left_out))
        if candidate.any():
            kept = pl.Series(candidate)
            self._wanted.append(read.prints["high"].filter(kept).to_numpy())
            self._wait(_chosen(some, kept))

    def _wait(self, some: Candidates) -> None:
        if self._waiting is not None:
            self._waiting.append(_Packed.of(some))
            self._size += len(self._waiting[-1].frame)
            if self._size > self._most:
                self._waiting = None

    def stock(self, gone: NDArray[np.uint32], reading: Reading) -> Stock:
        """End the comparison: count who is unchanged."""
        members, tally = self._ledger.members, self._tally
        unchanged, pending = members.met & ~self._resend, members.met & self._resend
        numbers = np.flatnonzero(unchanged).astype(np.uint32)
        rows = int(members.rows[unchanged].sum(dtype=np.int64))
        tally.eligible += len(numbers)
        tally.extra += rows - len(numbers)
        tally.unchanged += rows
        count = sum(map(len, self._wanted))
        waiting = self._waiting
        if waiting is None:
            wanted, size = Wanted(self._wanted), WANTED * count
            again = lambda tally: _gathered(_read_again(reading, wanted.search(), tally), reading.room.rows)  # noqa: E731
        else:
            size = self._size
            again = lambda _: _gathered((packed.unpacked() for packed in waiting), reading.room.rows)  # noqa: E731
        return Stock(gone, numbers, pending, count, again, size, self._ledger.count_keys(unchanged))


def _note_withdrawn(withdrawn: PersonSet, mapping: Mapping, refusing: pl.DataFrame) -> None:
    """Remember who took back consent, by who they are: external id if they have one, else e-mail, else phone."""
    values = mapping.keys_of(refusing).values
    hashed = hash_columns(values.select(code for code in WHO if code in values.columns), plain=UNHASHED)
    columns, unknown = [], pl.lit(value=True)
    for code in WHO:
        if code in hashed.columns:
            columns.append(pl.when(unknown).then(pl.col(code)).alias(code))
            unknown &= pl.col(code).is_null()
    withdrawn.add(Hashed(hashed.select(columns)))


def _gathered(candidates: Iterable[Candidates], rows: int) -> Iterator[Candidates]:
    """Put the few candidates of each frame together, at most ``rows``, as long as their columns are of one type.

    JSON has lists in some blocks only.
    """
    waiting: list[Candidates] = []
    for some in (piece for read in candidates for piece in read.cut(rows)):
        count = sum(one.frame.height for one in waiting)
        if waiting and (count + some.frame.height > rows or some.frame.schema != waiting[0].frame.schema):
            yield _joined(waiting)
            waiting = []
        waiting.append(some)
    if waiting:
        yield _joined(waiting)


def _joined(some: list[Candidates]) -> Candidates:
    if len(some) == 1:
        return some[0]
    return Candidates(pl.concat([one.frame for one in some]), pl.concat([one.numbers for one in some]))


def _chosen(some: Candidates, kept: pl.Series) -> Candidates:
    return Candidates(some.frame.filter(kept), some.numbers.filter(kept))


def _read_again(reading: Reading, search: Search, tally: Tally) -> Iterator[Candidates]:
    """Read the source again for the candidates; what changed in between is left for the next run."""
    counted_before = Tally()
    for read in reading.fingerprinted(counted_before, rows=reading.room.rows):
        yield _chosen(read.some, pl.Series(search.take(read.prints)))
    tally.skipped["source_changed"] = search.missing
