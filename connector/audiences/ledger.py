"""What one segment put into one audience: the ledger's slice, opened for one run.

Sees fingerprints, digests and ids, never attributes. Rows are entered before they are sent (``intend``) and confirmed when
Meta acknowledged them (``hold``): what may be in the audience is never forgotten, so whoever leaves can be taken out, and a
run that was cut off is gone on with by running again. Files in ``ledger_files.py``, the book in ``ledger_book.py``.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
import polars as pl

from connector.audiences.ledger_book import LedgerBook, Part, SliceRecord
from connector.audiences.ledger_rows import identities_of, kept_codes
from connector.audiences.members import Members, read_members
from connector.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from connector.audiences.ledger_book import Kind
    from connector.audiences.ledger_files import LedgerFiles
    from connector.state import State

_LOAD = ("high", "low", "rows", "sent")
MOST_WASTE = 0.3  # of a slice's rows may be superseded or gone before it is written anew
MOST_PARTS = 600
_COMPACT_ROWS = 250_000


class Ledger:
    """One slice. Holds the audience's lock while it is open: nobody else may write."""

    def __init__(self, book: LedgerBook, files: LedgerFiles, record: SliceRecord, run_id: str) -> None:
        self._book = book
        self._files = files
        self._record = record
        self._run_id = run_id
        self._rows = [p for p in record.parts if p.kind == "rows"]
        self.members, self._starts = self._load()

    def _load(self) -> tuple[Members, list[int]]:
        parts = self._record.parts
        loaded = [self._read(p, _LOAD if p.kind == "rows" else ("high", "low")) for p in parts]
        members, starts = read_members(loaded, [p.kind for p in parts], [p.held for p in parts])
        return members, [s for s, p in zip(starts, parts, strict=True) if p.kind == "rows"]

    @property
    def coverage(self) -> dict[str, float] | None:
        """The share of profiles that had each key in the last whole run."""
        return self._record.coverage

    def intend(self, rows: pl.DataFrame) -> int:
        """Enter rows that are about to be sent, in that order; returns the part's number. Durable when it returns."""
        return self._add("rows", rows, held=0)

    def hold(self, held: dict[int, int]) -> None:
        """Confirm, for some parts, that Meta acknowledged so many of their first rows."""
        self._record = self._book.hold(self._record, held)

    def doubt_rows(self, part: int, places: list[int]) -> pl.DataFrame:
        """Say that rows of a part were refused: as before perhaps in the audience, but not by this run. Gives those rows."""
        refused = self._read(next(p for p in self._record.parts if p.part == part))[places]
        self._add("gone", refused.select("high", "low"), held=0)  # what is confirmed of them ends here …
        self._add("rows", refused, held=0)  # … and an earlier run may have sent them all the same
        return refused

    def doubt_this_run(self) -> None:
        """Take back this run's acknowledgements: Meta's session holds fewer rows than were sent."""
        mine = {p.part: 0 for p in self._record.parts if p.run_id == self._run_id and p.kind == "rows"}
        self._record = self._book.hold(self._record, mine)

    def doubt(self) -> None:
        """Take back every acknowledgement, before the audience is replaced."""
        self._record = self._book.doubt(self._record)

    def strike(self, numbers: NDArray[np.int64]) -> None:
        """Enter that members were taken out."""
        if len(numbers):
            gone = pl.DataFrame({"high": self.members.high[numbers], "low": self.members.low[numbers]})
            self._add("gone", gone, held=0)

    def details(self, numbers: NDArray[np.int64], columns: tuple[str, ...] | None = None) -> Iterator[pl.DataFrame]:
        """Give what is kept of members (or some of its columns), part by part, with their ``number``."""
        wanted = np.zeros(sum(p.rows for p in self._rows), dtype=bool)
        wanted[self.members.place[numbers]] = True
        owner = np.zeros(len(wanted), dtype=np.int64)
        owner[self.members.place[numbers]] = numbers
        for part, start in zip(self._rows, self._starts, strict=True):
            mine = wanted[start : start + part.rows]
            if mine.any():
                frame = self._read(part, columns).filter(pl.Series(mine))
                yield frame.with_columns(number=pl.Series(owner[start : start + part.rows][mine]))

    def identities(self, numbers: NDArray[np.int64]) -> Iterator[tuple[str, pl.Series, pl.Series]]:
        """Give the kept digests of members as identities: code, ``number``, identity; part by part."""
        for frame in self.details(numbers):
            for code in kept_codes(frame.columns):
                yield code, frame["number"], identities_of(frame, code)

    def everyone(self) -> NDArray[np.int64]:
        """All members' numbers."""
        return np.arange(len(self.members))

    def finish(self, *, whole: bool, coverage: dict[str, float] | None) -> None:
        """End a run: strike parts that say nothing any more, and write the slice anew when much of it is waste.

        Args:
            whole: Everything was sent and removed, so what earlier runs were not sure of is settled.
            coverage: Kept for the next run's guard.
        """
        unsure = {
            p.part for p in self._record.parts if whole and p.kind == "rows" and not p.held and p.run_id != self._run_id
        }
        self._record = self._book.drop(self._record, unsure, coverage=coverage)
        rows = sum(p.rows for p in self._record.parts if p.kind == "rows")
        waste = sum(p.rows if p.kind == "gone" else p.rows - p.held for p in self._record.parts)
        if whole and (waste > MOST_WASTE * rows or len(self._record.parts) > MOST_PARTS):
            self._write_anew()
        self._sweep()

    def forget_earlier(self) -> None:
        """Strike what earlier runs wrote: this run replaced the whole audience."""
        earlier = {p.part for p in self._record.parts if p.run_id != self._run_id}
        self._record = self._book.drop(self._record, earlier)

    def clear(self) -> None:
        """Strike everything: somebody else's run replaced the whole audience."""
        self._record = self._book.drop(self._record, {p.part for p in self._record.parts})
        self._sweep()

    def erase(self, numbers: NDArray[np.int64]) -> None:
        """Forget members, their digests in the files included. Right after opening: what this run entered is not looked at."""
        stays = np.ones(len(self.members), dtype=bool)
        stays[numbers] = False
        self._copy_live(stays)
        self._sweep()

    def _write_anew(self) -> None:
        """Copy the live rows into few parts, then let those be the slice in one change of the book."""
        self._rows = [p for p in self._record.parts if p.kind == "rows"]
        self.members, self._starts = self._load()
        self._copy_live(np.ones(len(self.members), dtype=bool))

    def _copy_live(self, stays: NDArray[np.bool_]) -> None:
        old = self._record
        for held in (True, False):
            waiting: list[pl.DataFrame] = []
            for frame in self.details(np.flatnonzero(stays & (self.members.held == held))):
                waiting.append(frame.drop("number"))
                if sum(some.height for some in waiting) >= _COMPACT_ROWS:
                    self._copy(waiting, held=held)
                    waiting = []
            self._copy(waiting, held=held)
        self._record = self._book.drop(self._record, {p.part for p in old.parts})

    def _copy(self, frames: list[pl.DataFrame], *, held: bool) -> None:
        if frames:
            rows = pl.concat(frames, how="diagonal")
            self._add("rows", rows, held=rows.height if held else 0)

    def _add(self, kind: Kind, rows: pl.DataFrame, *, held: int) -> int:
        number = self._record.next_part
        checksum = self._files.write(_file(self._record, number), rows)
        self._record = self._book.add(self._record, Part(number, kind, rows.height, held, checksum, self._run_id))
        return number

    def _read(self, part: Part, columns: tuple[str, ...] | None = None) -> pl.DataFrame:
        return self._files.read(_file(self._record, part.part), part.checksum, columns)

    def _sweep(self) -> None:
        """Remove files that the book does not name: a crash between file and book leaves one."""
        named = {f"{p.part:06d}.parquet" for p in self._record.parts}
        folder = folder_of(self._record.audience_id, self._record.segment)
        for name in self._files.names(folder):
            if name not in named:
                self._files.remove(f"{folder}/{name}")


def open_ledger(
    state: State,
    files: LedgerFiles,
    *,
    audience_id: str,
    segment: str,
    key: bytes,
    run_id: str | None,
    anew: bool = False,
) -> Ledger:
    """Open the slice of ``segment`` in ``audience_id``; to write in it, hold the audience's lock.

    With ``anew`` (``--full``) what cannot be read is forgotten: everyone is sent again, and who left before that cannot be
    taken out any more. Without a ``run_id`` (a plan) nothing is written.

    Raises:
        SourceError: a file is missing or damaged, was written with another key, or the book knows nothing of files that
            are there. Never treated as empty.
    """
    book, mark = LedgerBook(state), key_mark(key)
    record = book.slice(audience_id, segment)
    try:
        _check_record(record, files, audience_id, segment, mark)
        if record is not None:
            return Ledger(book, files, record, run_id or "")
    except SourceError:
        if not anew:
            raise
    if run_id is None:
        return Ledger(book, files, SliceRecord(audience_id, segment, 0, mark, 1, None, ()), "")
    if record is not None:
        book.forget_slice(record)
    return Ledger(book, files, book.begin(audience_id, segment, mark), run_id)


def _check_record(record: SliceRecord | None, files: LedgerFiles, audience_id: str, segment: str, mark: str) -> None:
    if record is None and files.names(folder_of(audience_id, segment)):
        raise SourceError(
            f"the state database knows nothing of the ledger that is there for segment {segment}",
            code="ledger.unknown",
            hint="Is CONNECTOR_STATE the same as before? Export once with --full to begin a new ledger.",
        )
    if record is not None and record.key_mark != mark:
        raise SourceError(
            f"the ledger of segment {segment} was written with another key",
            code="ledger.key",
            hint="Bring back CONNECTOR_KEY or .connector/key. Or export once with --full to begin a new ledger.",
        )


def key_mark(key: bytes) -> str:
    """Tell keys apart without telling the key: 16 hex digits."""
    return hashlib.sha256(b"connector ledger key" + key).hexdigest()[:16]


def folder_of(audience_id: str, segment: str) -> str:
    """Name the folder of a slice."""
    return f"{audience_id}/{quote(segment, safe='')}"


def _file(record: SliceRecord, part: int) -> str:
    return f"{folder_of(record.audience_id, record.segment)}/{part:06d}.parquet"
