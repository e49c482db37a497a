"""Take people out of an audience for good: by every identifier the ledger holds of them, and out of the ledger's files.

Sees ledger rows: digests and ids. Must not know why somebody goes, nor hold a lock or prove access: the caller does.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from connector.audiences.batch import batches
from connector.audiences.digest_set import DigestSet, identify
from connector.audiences.ledger_rows import MASK_ORDER, SEVERAL, hex_digests, identities_of, kept_codes
from connector.audiences.removal_rows import Removal, concat_removals
from connector.audiences.suppression import MATCHED_BY
from connector.audiences.upload import Upload
from connector.hashing import Hashed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from connector.audiences.graph import Graph
    from connector.audiences.ledger import Ledger
    from connector.audiences.upload import Receipt
    from connector.state import Destination, State


@dataclass(frozen=True, slots=True)
class Found:
    """A slice of the audience, and who of its members goes."""

    ledger: Ledger
    numbers: NDArray[np.int64]


@dataclass(slots=True)
class Erasure:
    """Erases for one run: in one audience, recorded under one run id. ``sent`` and ``removed`` count rows."""

    graph: Graph
    destination: Destination
    state: State
    run_id: str
    before_batch: Callable[[], None] = lambda: None
    stop: threading.Event = field(default_factory=threading.Event)
    sent: int = 0
    removed: int = 0

    def erase(self, found: list[Found], asked: Iterable[Removal] = ()) -> bool:
        """Take the found members out at Meta, then out of the ledger; true when Meta received every row.

        Args:
            found: Every slice of the audience, those in which nobody goes as well: whoever stays there and shares an
                identifier keeps it.
            asked: Identifiers that go in any case.
        """
        removals = concat_removals([*asked, *identifiers(found)])
        self.sent += sum(removal.height for removal in removals)
        whole = True
        for removal in removals:
            whole = self._remove(removal) and whole
        if whole:
            for one in found:
                if len(one.numbers):
                    one.ledger.erase(one.numbers)
        return whole

    def _remove(self, removal: Removal) -> bool:
        upload = Upload(
            self.graph,
            str(self.destination.audience_id),
            account=self.destination.ad_account,
            operation="remove",
            in_flight=1,
            on_receipt=self._record,
            before_batch=self.before_batch,
            stop=self.stop,
        )
        outcome = upload.send(batches(removal.frames(), removal.schema))
        self.removed += outcome.rows - outcome.missing
        return outcome.rows - outcome.missing == removal.height

    def _record(self, receipt: Receipt) -> None:
        self.state.record_batches(self.run_id, "remove", [receipt.counts()])


def identifiers(found: list[Found]) -> Iterator[Removal]:
    """Give every identifier of those who go, but those that somebody who stays in the audience holds as well."""
    shared = _Shared(found)
    for one in found:
        for frame in one.ledger.details(one.numbers):
            yield from _of_frame(frame, shared)


class _Shared:
    """Which identifiers of those who go are held by somebody who stays."""

    def __init__(self, found: list[Found]) -> None:
        self._wanted = {code: DigestSet() for code in MATCHED_BY}
        self._kept = {code: DigestSet() for code in MATCHED_BY}
        for one in found:
            for frame in one.ledger.details(one.numbers):
                for code, identities in _identities(frame):
                    self._wanted[code].add(identities)
        if not any(len(wanted) for wanted in self._wanted.values()):
            return
        for one in found:
            stays = np.ones(len(one.ledger.members), dtype=bool)
            stays[one.numbers] = False
            for frame in one.ledger.details(np.flatnonzero(stays)):
                for code, identities in _identities(frame):
                    self._kept[code].add(identities.filter(self._wanted[code].contains(identities)).unique())

    def free(self, code: str, identities: pl.Series) -> pl.Series:
        """Tell per identity whether it may go."""
        return identities.is_not_null() & ~self._kept[code].contains(identities)


def _identities(frame: pl.DataFrame) -> Iterator[tuple[str, pl.Series]]:
    for strong, names in SEVERAL.items():
        for name in names:
            if name in kept_codes(frame.columns):
                yield strong, identities_of(frame, name)
    yield "EXTERN_ID", identify(frame, ["external_id"])


def _of_frame(frame: pl.DataFrame, shared: _Shared) -> Iterator[Removal]:
    codes = kept_codes(frame.columns)
    for strong, names in SEVERAL.items():
        for name in names:
            if name in codes:
                cells = hex_digests(frame, name).alias(strong)
                yield _single(strong, cells.filter(shared.free(strong, identities_of(frame, name))))
    ids = frame["external_id"].alias("EXTERN_ID")
    yield _single("EXTERN_ID", ids.filter(shared.free("EXTERN_ID", identify(frame, ["external_id"]))))
    weak = [code for code in MASK_ORDER if code in codes and code not in SEVERAL]
    if weak:
        rows = pl.DataFrame([hex_digests(frame, code) for code in weak])
        known = rows.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
        yield Removal.of(Hashed(rows.filter(known)))


def _single(code: str, cells: pl.Series) -> Removal:
    return Removal.of(Hashed(cells.drop_nulls().alias(code).to_frame()))
