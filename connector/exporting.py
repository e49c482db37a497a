"""One export at work: what every mode shares.

Owns what is opened for an export (ledgers, reading, transform, sender), how its rows are prepared, and what stands open at
its end. Must not know the modes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connector.audiences.duplicates import LOOK_UP_ROWS, Duplicates, Unchanged
from connector.audiences.ledger import open_ledgers
from connector.audiences.ledger_book import LedgerBook
from connector.audiences.ledger_files import open_ledger_files
from connector.audiences.removals import leaving_bytes
from connector.in_order import ahead
from connector.job import Meter
from connector.preparation import prepare

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from contextlib import ExitStack

    import numpy as np
    from numpy.typing import NDArray

    from connector.audiences.ledger import Ledger
    from connector.audiences.suppression import Forgotten, PersonSet
    from connector.job import Job
    from connector.preparation import Prepared
    from connector.report import Tally
    from connector.sending import Sender
    from connector.stock import Reading, Stock
    from connector.transform import Candidates, Transform


@dataclass(slots=True)
class Export:
    """One export at work: what it compares and filters with, and its sender (a plan has none)."""

    job: Job
    key: bytes
    ledger: Ledger
    never: PersonSet
    forgotten: Forgotten
    reading: Reading
    transform: Transform
    sender: Sender | None
    schema: tuple[str, ...]
    at_end: ExitStack
    _others: list[Ledger] | None = None
    _barred: dict[int, NDArray[np.bool_]] = field(default_factory=dict)
    _unchanged: Unchanged | None = None

    def others(self) -> list[Ledger]:
        """Open what other segments put into the audience."""
        if self._others is None:
            job, files = self.job, open_ledger_files(self.job.config.ledger)
            self._others = open_ledgers(
                job.state, files, audience_id=str(job.destination.audience_id), key=self.key, run_id=job.run_id,
                but=job.segment.name, anew=job.mode == "replace",
            )  # fmt: skip
        return self._others

    def make_room(self, stock: Stock, *, others: bool) -> None:
        """Work out anew how much may be held at once, now that it is known who is to be sent and who is gone.

        With ``others``, what other segments put into the audience is going to be opened as well.

        Raises:
            ConfigError: ``memory.little``; nothing was sent yet.
        """
        members = len(self.ledger.members)
        if others:
            slices = LedgerBook(self.job.state).slices(str(self.job.destination.audience_id))
            members += sum(part.rows for one in slices if one.segment != self.job.segment.name for part in one.files)
        self.job.make_room(members, more=stock.size + leaving_bytes(len(stock.gone)))
        self.reading.room = self.job.room
        if self.sender is not None:
            self.sender.room = self.job.room

    def barred(self, ledger: Ledger) -> NDArray[np.bool_]:
        """Tell which members of a slice must not stay; found out once, for all of the slice is walked through."""
        if id(ledger) not in self._barred:
            self._barred[id(ledger)] = self.reading.barred(ledger)
        return self._barred[id(ledger)]

    def prepared(self, stock: Stock, tally: Tally) -> Generator[Prepared]:
        """Prepare the candidates, a frame ahead; members that stay count as seen."""
        if self._unchanged is None:
            self._unchanged = Unchanged(self.ledger, stock.unchanged, self.job.room.share(LOOK_UP_ROWS))
        preparing = prepare(
            self.candidates(stock, tally), self.transform, tally, never=self.never, forgotten=self.forgotten,
            duplicates=Duplicates(self._unchanged if len(stock.unchanged) else None), workers=self.job.options.workers,
        )  # fmt: skip
        taking = ahead(preparing)
        self.at_end.callback(taking.close)  # not only when nothing holds an error's frames any more
        try:
            for some in taking:
                self.job.tell("reading")
                yield some
        finally:
            taking.close()

    def candidates(self, stock: Stock, tally: Tally) -> Iterator[Candidates]:
        """Give the candidates, and stop between two frames when asked to."""
        handed = 0
        if stock.candidates is not None:
            self.job.meter = Meter(stock.candidates, lambda: handed)
        for some in stock.again(tally):
            self.job.check_stop()
            handed += some.frame.height
            yield some
