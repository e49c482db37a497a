"""Rows on their way out: entered in the ledger before they leave, confirmed when Meta acknowledged them.

Joins prepared rows, ledger and upload; counts what Meta answered. Sees hashes and fingerprints only.
"""

from __future__ import annotations

import math
import time
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import polars as pl

from connector.audiences.batch import MOST_ROWS, batches
from connector.audiences.ledger_rows import ledger_rows
from connector.audiences.upload import Receipt, Upload
from connector.errors import ConnectorError
from connector.in_order import in_order
from connector.rejects import REJECTED
from connector.transform import hashed_codes

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterable, Iterator
    from datetime import date

    from numpy.typing import NDArray

    from connector.audiences.graph import Graph
    from connector.audiences.ledger import Ledger
    from connector.audiences.removal_rows import Removal
    from connector.audiences.upload import Operation, Outcome
    from connector.hashing import Hashed
    from connector.preparation import Prepared
    from connector.report import Tally
    from connector.room import Room
    from connector.state import Destination, State

_Entered: TypeAlias = "tuple[Prepared, pl.DataFrame]"  # rows to send, and what the ledger keeps of them
NOTE_EVERY = 0.2  # seconds
PART_ROWS = 50_000  # rows to gather before they are entered: each part costs two syncs to disk and one to the database


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the ledger under way: where each profile's rows end among all rows sent, and its row in the source."""

    part: int
    ends: NDArray[np.int64]
    numbers: pl.Series


@dataclass(slots=True)
class _Notes:
    """What is to be written down of acknowledgements: at once, but when they come fast, several together.

    Written to the end when the block is left, however that happens. What a crash loses is sent again, which does no harm.
    """

    record: Callable[[list[dict[str, int]]], None]
    hold: Callable[[int], None] = lambda _: None
    receipts: list[Receipt] = field(default_factory=list)
    _rows: int = 0
    _written_at: float = -math.inf

    def settled(self, rows: int) -> None:
        """Take note that so many rows, from the first on, are acknowledged."""
        self._rows = rows
        if time.monotonic() - self._written_at >= NOTE_EVERY:
            self._write()

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write down the last ones; when the run fails already, as well as can be."""
        with suppress(ConnectorError) if kind is not None else nullcontext():
            self._write()

    def _write(self) -> None:
        self._written_at = time.monotonic()
        written = len(self.receipts)
        self.record([receipt.counts() for receipt in self.receipts])
        del self.receipts[:written]
        self.hold(self._rows)


@dataclass(slots=True)
class Sender:
    """Sends for one run: to one destination, counted in one tally, recorded under one run id."""

    graph: Graph
    destination: Destination
    state: State
    run_id: str
    tally: Tally
    workers: int
    in_flight: int
    most_bytes: int
    room: Room
    stop: threading.Event
    before_batch: Callable[[], None]
    tell: Callable[[str], None]
    today: date
    _part_ends: list[_Part] = field(default_factory=list)
    _rows: int = 0

    def add(
        self,
        prepared: Iterable[Prepared],
        ledger: Ledger,
        schema: tuple[str, ...],
        *,
        limit: int | None,
        replace: bool = False,
    ) -> None:
        """Send rows to add; each is in the ledger before it leaves. With ``limit``, the rest is read and counted only."""
        refuse = lambda places: self._refuse(ledger, places)  # noqa: E731
        with closing(self._entered(self._cut(prepared, limit), ledger)) as rows:
            outcome = self._upload("replace" if replace else "add", rows, schema, ledger, refuse)
        if outcome.missing:
            ledger.doubt_this_run()
        invalid = min(outcome.invalid, outcome.rows - outcome.missing)
        self.tally.invalid = invalid + outcome.refused
        self.tally.added = outcome.rows - outcome.missing - invalid

    def remove(self, removals: Iterable[Removal]) -> bool:
        """Send rows to take out, a session for each schema; true when Meta received all of them."""
        whole = True
        for removal in removals:
            outcome = self._upload("remove", removal.frames(), removal.schema)
            self.tally.removed -= outcome.missing
            whole = whole and not outcome.missing and not outcome.refused
        return whole

    def _upload(
        self,
        operation: Operation,
        rows: Iterator[Hashed],
        schema: tuple[str, ...],
        ledger: Ledger | None = None,
        on_refused: Callable[[list[int]], None] = lambda _: None,
    ) -> Outcome:
        notes = _Notes(partial(self.state.record_batches, self.run_id, operation))
        if ledger is not None:
            notes.hold = partial(self._hold, ledger)
        upload = Upload(
            self.graph,
            str(self.destination.audience_id),
            account=self.destination.ad_account,
            operation=operation,
            in_flight=self.in_flight,
            most_bytes=self.room.share(self.most_bytes),
            on_receipt=lambda receipt: notes.receipts.append(self._counted(operation, receipt)),
            on_rows=notes.settled,
            on_refused=on_refused,
            before_batch=self.before_batch,
            stop=self.stop,
        )
        with notes:
            return upload.send(batches(rows, schema))

    def _counted(self, operation: Operation, receipt: Receipt) -> Receipt:
        self.tally.batches_sent += 1
        self.tally.batches_retried += receipt.retried
        self.tally.bytes_sent += receipt.size
        if operation == "remove":
            self.tally.removed += receipt.rows
        else:
            self.tally.added += receipt.rows
        self.tell("removing" if operation == "remove" else "sending")
        return receipt

    def _cut(self, prepared: Iterable[Prepared], limit: int | None) -> Iterator[Prepared]:
        """Let through at most ``limit`` rows, and read on."""
        sent = 0
        for some in prepared:
            mine = some if limit is None else some.head(max(0, limit - sent))
            sent += mine.rows.height
            if mine.rows.height:
                yield mine

    def _entered(self, prepared: Iterable[Prepared], ledger: Ledger) -> Generator[Hashed]:
        """Give the rows, each part entered in the ledger first."""
        entered = in_order(self._with_ledger_rows, prepared, workers=self.workers)
        for part in _gathered(entered, min(PART_ROWS, max(MOST_ROWS, self.room.share(PART_ROWS)))):
            rows = pl.concat([rows for _, rows in part], how="diagonal")
            ends = self._rows + np.cumsum(rows["rows"].to_numpy(), dtype=np.int64)
            numbers = pl.concat([some.numbers for some, _ in part])
            self._part_ends.append(_Part(ledger.intend(rows), ends, numbers))
            self._rows = int(ends[-1])
            del rows
            while part:  # nothing of it is kept here once it is on its way
                yield part.pop(0)[0].rows

    def _with_ledger_rows(self, some: Prepared) -> _Entered:
        return some, ledger_rows(some.rows, some.profiles, some.prints, hashed_codes(some.rows), sent=self.today)

    def _refuse(self, ledger: Ledger, places: list[int]) -> None:
        """Count rows that Meta refuses, and let their profiles count as not sent: the next run tries again."""
        self.tally.invalid += len(places)
        begin = 0
        for one in self._part_ends:
            mine = [place for place in places if begin <= place < one.ends[-1]]
            begin = int(one.ends[-1])
            if mine:
                profiles = np.unique(np.searchsorted(one.ends, mine, side="right"))
                rows = ledger.doubt_rows(one.part, profiles.tolist())
                if self.tally.rejects is not None:
                    self.tally.rejects.note(REJECTED, one.numbers[profiles], rows["external_id"])

    def _hold(self, ledger: Ledger, acknowledged: int) -> None:
        """Confirm the profiles whose rows are all among the first ``acknowledged``."""
        held: dict[int, int] = {}
        while self._part_ends:
            one = self._part_ends[0]
            whole = int(np.searchsorted(one.ends, acknowledged, side="right"))
            if whole:
                held[one.part] = whole
            if whole < len(one.ends):
                break
            self._part_ends.pop(0)
        if held:
            ledger.hold(held)


def _gathered(entered: Iterable[_Entered], rows_wanted: int) -> Iterator[list[_Entered]]:
    """Put small frames together, so that a part of the ledger is worth its file."""
    waiting: list[_Entered] = []
    for some in entered:
        waiting.append(some)
        if sum(rows.height for _, rows in waiting) >= rows_wanted:
            yield waiting
            waiting = []
    if waiting:
        yield waiting
