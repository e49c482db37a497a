"""What one segment put into one audience: the ledger's slice, opened for one run.

Sees fingerprints, digests and ids, never attributes. Rows are entered before they are sent (``intend``) and confirmed when
Meta acknowledged them (``hold``); members are marked before they are taken out (``leave``) and struck when Meta acknowledged
that (``strike``). So what may be in the audience is never forgotten, and a run that was cut off is gone on with by running
again. Files in ``ledger_files.py``, the book in ``ledger_book.py``, what a damaged one leaves in ``ledger_rescue.py``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import unquote

import numpy as np
import polars as pl

from connector.audiences.ledger_book import LedgerBook, Part, SliceRecord, folder_of, part_number, part_run
from connector.audiences.ledger_rescue import left_by_crash, rescued
from connector.audiences.ledger_rows import MASK_ORDER
from connector.audiences.members import stretches
from connector.audiences.members_loading import LOADED, MOST_LOADED, Piece, read_members
from connector.errors import SourceError, TransientError
from connector.in_order import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from connector.audiences.ledger_files import LedgerFiles
    from connector.audiences.members import Members
    from connector.audiences.members_loading import Kind
    from connector.state import State

T = TypeVar("T")

READERS: Final = 2  # parts that are read at once
_PRINT: Final = ("high", "low")
_AGAIN_FORGOTTEN: Final = "the list of forgotten people is lost with it, so forget them again first."


@dataclass(frozen=True, slots=True)
class Tidiness:
    """When a slice is written anew, and in parts of how many rows.

    ``waste``: how many rows may be superseded or gone, as a share of the live ones; a few thousand are never worth it.
    ``loaded``: of more rows half as many are loaded at a time: what is superseded would take as much as what is not.
    """

    waste: float = 0.3
    least_waste: int = 5_000
    parts: int = 1_000
    rows: int = 250_000
    loaded: int = 6_000_000


TIDY: Final = Tidiness()


class Ledger:
    """One slice. Whoever writes holds the audience's lock while it is open."""

    def __init__(
        self,
        book: LedgerBook,
        files: LedgerFiles,
        record: SliceRecord,
        run_id: str,
        tidiness: Tidiness | None = None,
    ) -> None:
        self._book = book
        self._files = files
        self._record = record
        self._run_id = run_id
        self._tidiness = tidiness or TIDY
        self._rows = [p for p in record.parts if p.kind == "rows"]
        self.members, self._starts = self._load(MOST_LOADED)
        self._waste = sum(p.rows for p in record.files) - len(self.members)

    def _load(self, most: int) -> tuple[Members, list[int]]:
        parts = self._record.files
        read = lambda part: self._read(part, LOADED if part.kind == "rows" else _PRINT)  # noqa: E731
        pieces = [Piece(p.kind, p.rows, p.held) for p in parts]
        members, starts = read_members(pieces, lambda: in_order(read, parts, workers=READERS), most=most)
        return members, [s for s, p in zip(starts, parts, strict=True) if p.kind == "rows"]

    @property
    def lost(self) -> int:
        """How many rows stood in files that nobody could read: whoever of them left the segment, nobody knows any more."""
        return self._record.lost

    @property
    def present(self) -> NDArray[np.bool_]:
        """Tell who counts as in the audience: everybody but those whose removal was begun."""
        return ~self.members.leaving

    def count_keys(self, chosen: NDArray[np.bool_]) -> dict[str, int]:
        """Count how many of the chosen members have each key."""
        return dict(zip(MASK_ORDER, self.members.count_bits(chosen, len(MASK_ORDER)), strict=True))

    def coverage(self) -> dict[str, float]:
        """Give the share of those in the audience that have each key."""
        present = self.present
        total = int(present.sum())
        return {code: count / total for code, count in self.count_keys(present).items()} if total else {}

    def intend(self, rows: pl.DataFrame) -> int:
        """Enter rows that are about to be sent, in that order; returns the part's number. Durable when it returns."""
        self._waste += int(np.count_nonzero(self.members.find(rows) >= 0))
        return self._add("rows", rows, held=0)

    def hold(self, held: dict[int, int]) -> None:
        """Confirm, for some parts, that Meta acknowledged so many of their first rows."""
        self._record = self._book.hold(self._record, held)

    def doubt_rows(self, part: int, places: list[int]) -> pl.DataFrame:
        """Say that rows of a part were refused: as before perhaps in the audience, but not by this run. Gives those rows."""
        refused = self._read(next(p for p in self._record.parts if p.part == part))[places]
        self._add("gone", refused.select(_PRINT), held=0)  # what is confirmed of them ends here …
        self._add("rows", refused, held=0)  # … and an earlier run may have sent them all the same
        self._waste += 2 * refused.height
        return refused

    def doubt_this_run(self) -> None:
        """Take back this run's acknowledgements: Meta's session holds fewer rows than were sent."""
        mine = {p.part: 0 for p in self._record.parts if p.run_id == self._run_id and p.kind == "rows"}
        self._record = self._book.hold(self._record, mine)

    def doubt(self) -> None:
        """Take back every acknowledgement, before the audience is replaced."""
        self._record = self._book.doubt(self._record)

    def leave(self, numbers: NDArray[np.integer]) -> None:
        """Enter that members are about to be taken out: from now on they may be in the audience, or not."""
        self._mark("leaving", numbers[~self.members.leaving[numbers]])
        self.members.leaving[numbers] = True
        self.members.held[numbers] = False

    def strike(self, numbers: NDArray[np.integer]) -> None:
        """Enter that members were taken out."""
        self._mark("gone", numbers)
        self._waste += len(numbers)

    def linger(self, rows: pl.DataFrame) -> None:
        """Keep, of members that leave, ``rows`` only: what of them is still in the audience because somebody shares it."""
        self._add("rows", rows, held=0)
        self._add("leaving", rows.select(_PRINT), held=0)
        self._waste += 2 * rows.height

    def erase(self, numbers: NDArray[np.integer]) -> None:
        """Strike members and write the slice anew, so that no file holds anything of them."""
        self.strike(numbers)
        self._write_anew()
        self._sweep()

    def details(self, numbers: NDArray[np.integer], columns: tuple[str, ...] | None = None) -> Iterator[pl.DataFrame]:
        """Give what is kept of members (or some columns, where a part has them), part by part, with their ``number``."""
        owner = np.zeros(sum(p.rows for p in self._rows), dtype=np.uint32)
        owner[self.members.place[numbers]] = numbers

        def take(place: tuple[Part, int, NDArray[np.bool_]]) -> pl.DataFrame:
            part, start, mine = place
            frame = self._read(part, columns)
            whose = pl.Series("number", owner[start : start + part.rows][mine].astype(np.int64))
            return (frame if mine.all() else frame.filter(pl.Series(mine))).with_columns(whose)

        yield from in_order(take, self._places(numbers), workers=READERS)

    def look_through(
        self,
        numbers: NDArray[np.integer],
        columns: tuple[str, ...],
        look: Callable[[pl.DataFrame, NDArray[np.bool_]], T],
    ) -> Iterator[T]:
        """Let ``look`` find something in each part that holds some of these members: its rows, and which of them are meant.

        Cheaper than :meth:`details` for many members of whom little is wanted. Several parts are looked at at once.
        """
        look_at = lambda place: look(self._read(place[0], columns), place[2])  # noqa: E731
        yield from in_order(look_at, self._places(numbers), workers=READERS)

    def _places(self, chosen: NDArray[np.integer] | NDArray[np.bool_]) -> Iterator[tuple[Part, int, NDArray[np.bool_]]]:
        """Name the parts that hold these members: with the place of their first row, and which rows are meant."""
        wanted = np.zeros(sum(p.rows for p in self._rows), dtype=bool)
        wanted[self.members.place[chosen]] = True
        for part, start in zip(self._rows, self._starts, strict=True):
            mine = wanted[start : start + part.rows]
            if mine.any():
                yield part, start, mine

    def everyone(self) -> NDArray[np.int64]:
        """All members' numbers."""
        return np.arange(len(self.members))

    def finish(self) -> None:
        """End a run: write the slice anew when much of it is waste, and remove what a crash left lying."""
        live = max(0, sum(p.rows for p in self._record.files) - self._waste)
        most = max(self._tidiness.waste * live, self._tidiness.least_waste)
        if self._waste > most or len(self._record.files) > self._tidiness.parts:
            self._write_anew()
        self._sweep()

    def forget_earlier(self) -> None:
        """Strike what earlier runs wrote: this run replaced the whole audience."""
        earlier = {p.part for p in self._record.parts if p.run_id != self._run_id}
        self._record = self._book.drop(self._record, earlier)
        self._waste = 0

    def clear(self) -> None:
        """Strike everything: somebody else's run replaced the whole audience."""
        self._record = self._book.drop(self._record, {p.part for p in self._record.parts})
        self._sweep()

    def _mark(self, kind: Kind, numbers: NDArray[np.integer]) -> None:
        for here in stretches(len(numbers)):
            some = numbers[here]
            prints = pl.DataFrame({"high": self.members.high[some], "low": self.members.low[some].astype(np.uint64)})
            self._add(kind, prints, held=0)
            self._waste += len(some)

    def _write_anew(self) -> None:
        """Copy the live rows into few parts, then let those be the slice in one change of the book."""
        old = {p.part for p in self._record.files}
        self._reload()
        held, leaving = self.members.held, self.members.leaving
        self._copy(held, held=True)
        self._copy(~held & ~leaving, held=False)
        self._copy(leaving, held=False)
        self._mark("leaving", np.flatnonzero(leaving))
        self._record = self._book.drop(self._record, old)
        self._reload()
        self._waste = int(leaving.sum())

    def _reload(self) -> None:
        self._rows = [p for p in self._record.parts if p.kind == "rows"]
        self.members, self._starts = read_members([], list)  # not two slices in memory at a time
        self.members, self._starts = self._load(self._tidiness.loaded)

    def _copy(self, chosen: NDArray[np.bool_], *, held: bool) -> None:
        waiting: list[pl.DataFrame] = []
        for part, _, mine in self._places(chosen):
            waiting.append(self._read(part).filter(pl.Series(mine)))
            if sum(some.height for some in waiting) >= self._tidiness.rows:
                self._put(waiting, held=held)
                waiting = []
        if waiting:
            self._put(waiting, held=held)

    def _put(self, frames: list[pl.DataFrame], *, held: bool) -> None:
        rows = pl.concat(frames, how="diagonal")
        self._add("rows", rows, held=rows.height if held else 0)

    def _add(self, kind: Kind, rows: pl.DataFrame, *, held: int) -> int:
        part = Part(self._record.next_part, kind, rows.height, held, "", self._run_id)
        checksum = self._files.write(f"{self._record.folder}/{part.file}", rows)
        self._record = self._book.add(self._record, replace(part, checksum=checksum))
        return part.part

    def _read(self, part: Part, columns: tuple[str, ...] | None = None) -> pl.DataFrame:
        try:
            return self._files.read(f"{self._record.folder}/{part.file}", part.checksum, columns)
        except SourceError:
            now = self._book.slice(self._record.audience_id, self._record.segment)
            if now is not None and now.generation == self._record.generation:
                raise
        raise TransientError(
            f"another run changed the ledger of segment {self._record.segment} meanwhile",
            code="ledger.overtaken",
            hint="Nothing is lost: run the same command again.",
        )

    def _sweep(self) -> None:
        """Remove files that the book named once, or that were never finished; not what a run after this one may write."""
        named = {part.file for part in self._record.files}
        for name in self._files.names(self._record.folder, hidden=True):
            if name not in named and 0 < part_number(name) < self._record.next_part:
                self._files.remove(f"{self._record.folder}/{name}")


def open_ledger(
    state: State,
    files: LedgerFiles,
    *,
    audience_id: str,
    segment: str,
    key: bytes,
    run_id: str | None,
    anew: bool = False,
    any_key: bool = False,
) -> Ledger:
    """Open the slice of ``segment`` in ``audience_id``; to write in it, hold the audience's lock.

    With ``anew`` (``--full``) a slice that cannot be believed is begun anew with what can be read of it, everyone in doubt.
    With ``any_key`` nobody is going to compare fingerprints, so that it does not matter which key made them. Without a
    ``run_id`` (a plan) nothing is written.

    Raises:
        SourceError: a file is missing or damaged, was written with another key, or the book knows nothing of files that
            are there, or less. Never treated as empty.
    """
    book, mark, older = LedgerBook(state), key_mark(key), False
    names = files.names(folder_of(audience_id, segment))  # before the book: a run beside a plan may be writing
    record = book.slice(audience_id, segment)
    try:
        _check_book(book, record, segment, names)
        if record is not None:
            if record.key_mark != mark and not any_key:
                raise _of_another_key(segment)
            if run_id is not None:
                record = _entered(book, files, record, names)
            return Ledger(book, files, record, run_id or "")
    except SourceError as error:
        if not anew:
            raise
        older = error.code in {"ledger.unknown", "ledger.newer"}
    begun = rescued(book, files, record, audience_id=audience_id, segment=segment, key_mark=mark, older=older)
    if run_id is not None:
        begun = book.begin(begun, instead_of=record)
    return Ledger(book, files, begun, run_id or "")


def open_ledgers(
    state: State,
    files: LedgerFiles,
    *,
    audience_id: str,
    key: bytes,
    run_id: str | None,
    but: str | None = None,
    anew: bool = False,
) -> list[Ledger]:
    """Open what all segments, ``but`` one, put into an audience: to look digests up in, not to compare fingerprints with."""
    return [
        open_ledger(state, files, audience_id=audience_id, segment=one, key=key, run_id=run_id, anew=anew, any_key=True)
        for one in segments_in(state, files, audience_id)
        if one != but
    ]


def segments_in(state: State, files: LedgerFiles, audience_id: str) -> list[str]:
    """Name the segments that put somebody into an audience: those in the book, and those whose files lie there all the same."""
    known = {record.segment for record in LedgerBook(state).slices(audience_id)}
    lying = {name for name in files.folders(audience_id) if files.names(f"{audience_id}/{name}")}
    return sorted(known | {unquote(name) for name in lying})


def _check_book(book: LedgerBook, record: SliceRecord | None, segment: str, names: list[str]) -> None:
    """Compare the book with the files' names: it may be another one, or an old copy."""
    again = f"Export it once with --full to begin a new ledger with what is there: connector export segment {segment} --full"
    if record is None:
        if names:
            raise SourceError(
                f"the state database knows nothing of the ledger that is there for segment {segment}",
                code="ledger.unknown",
                hint=f"Is CONNECTOR_STATE the same as before? If that database is lost: {_AGAIN_FORGOTTEN} {again}",
            )
        return
    # A crash between a file and the book leaves one file more than the book knows: the next, by a run that it knows. Not two.
    beyond = [name for name in names if part_number(name) >= record.next_part]
    if any(part_number(name) > record.next_part or not book.knows_run(part_run(name)) for name in beyond):
        raise SourceError(
            f"the state database knows an older ledger of segment {segment} than the one that is there",
            code="ledger.newer",
            hint=f"Bring the newest state database back. If it is lost: {_AGAIN_FORGOTTEN} {again}",
        )


def _of_another_key(segment: str) -> SourceError:
    return SourceError(
        f"the ledger of segment {segment} was written with another key",
        code="ledger.key",
        hint="Bring back CONNECTOR_KEY or .connector/key. If it is lost, export every segment once with --full:"
        f" connector export segment {segment} --full",
    )


def _entered(book: LedgerBook, files: LedgerFiles, record: SliceRecord, names: list[str]) -> SliceRecord:
    """Enter the file that a crash left behind between file and book."""
    for name in names:
        if part_number(name) == record.next_part:
            part = left_by_crash(files, record, name)
            return record if part is None else book.add(record, part)
    return record


def key_mark(key: bytes) -> str:
    """Tell keys apart without telling the key: 16 hex digits."""
    return hashlib.sha256(b"connector ledger key" + key).hexdigest()[:16]
