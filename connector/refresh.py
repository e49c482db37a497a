"""What an export does in each mode, in order: take stock, guard, take out, send, account.

``mirror``: add who is new or changed, take out who left or whose identifiers were superseded. ``add``: never take out but who
must not be there. ``replace``: the whole audience at once. ``remove``: take these profiles out. Source: contract.md §4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from connector.audiences.duplicates import Duplicates
from connector.audiences.estimate import Load
from connector.audiences.ledger_book import LedgerBook
from connector.audiences.marks import read_forgotten
from connector.audiences.removals import Staying, plan_removals, removal_rows
from connector.audiences.suppression import Forgotten, PersonSet
from connector.forgetting import finish_forgetting, finish_replaced
from connector.guards import check_coverage, check_replace_fits, check_shrink, check_size, coverage_after
from connector.job import Meter
from connector.preparation import first_candidates, prepare, read_suppression, wire_schema
from connector.profiles.fingerprints import fingerprinter
from connector.profiles.size_hint import rows_hint
from connector.report import Tally
from connector.sending import Sender
from connector.stock import Stock, take_stock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from connector.audiences.ledger import Ledger
    from connector.audiences.ledger_book import SliceRecord
    from connector.audiences.removals import Removal
    from connector.job import Job
    from connector.preparation import Candidates, Prepared
    from connector.profiles.fingerprints import Fingerprinter
    from connector.report import Report

MOST_KEPT = 100_000  # candidates that are prepared once and kept, rather than twice


@dataclass(slots=True)
class _Materials:
    """What a run compares and filters with."""

    key: bytes
    ledger: Ledger
    never: PersonSet
    forgotten: Forgotten
    printer: Fingerprinter


def carry_out(job: Job) -> Report:
    """Do the export, with the audience's lock held; or, without a run id, work out what it would do and touch nothing."""
    rows = rows_hint(job.segment.source)
    if rows is not None:
        job.meter = Meter(rows, lambda: job.tally.scanned)
    key = job.key()
    finish_forgetting(job, key)
    ledger = job.open_ledger(key)
    materials = _materials(job, key, ledger)
    if job.mode == "remove":
        _remove(job, materials)
    elif job.mode == "replace":
        _replace(job, materials)
    else:
        _refresh(job, materials)
    return job.report()


def _materials(job: Job, key: bytes, ledger: Ledger) -> _Materials:
    never = read_suppression(job.config)
    forgotten = read_forgotten(job.state, key)
    printer = fingerprinter(job.segment.mapping, key, value_based=job.destination.value_based)
    return _Materials(key, ledger, never, forgotten, printer)


def _refresh(job: Job, materials: _Materials) -> None:
    """``mirror`` and ``add``."""
    ledger = materials.ledger
    if len(ledger.members):
        stock = take_stock(
            job.segment,
            ledger,
            materials.printer,
            job.tally,
            never=materials.never,
            resend=_resend(job, ledger),
            only_leavers=job.mode == "add",
            tell=lambda: job.between_frames("comparing"),
        )
    else:
        nobody = np.zeros(0, dtype=np.int64)
        candidates = lambda: first_candidates(job.segment, materials.printer, job.tally)  # noqa: E731
        stock = Stock(nobody, nobody, -1, candidates)
    check_shrink(job, members=len(ledger.members), gone=len(stock.gone))
    prepared = _guarded(job, _prepared(job, materials, stock, job.tally), ledger, stock)
    removals = _removals(job, materials, stock, prepared)
    job.tally.to_remove = sum(removal.rows.height for removal in removals)
    sender = _sender(job)
    if sender is None:
        _only_count(job, prepared, removals)
        return
    if sender.remove(removals):
        ledger.strike(stock.gone)
    sender.add(prepared, ledger, _schema(job), limit=job.options.limit)
    whole = job.options.limit is None and job.tally.removed == job.tally.to_remove
    ledger.finish(whole=whole and job.mode == "mirror", coverage=coverage_after(job, ledger.coverage))


def _replace(job: Job, materials: _Materials) -> None:
    """Replace the audience by the segment; what other segments put there is wiped with the rest."""
    check_replace_fits(job)
    ledger = materials.ledger
    nobody = np.zeros(0, dtype=np.int64)
    stock = Stock(nobody, nobody, -1, lambda: first_candidates(job.segment, materials.printer, job.tally))
    prepared = _guarded(job, _prepared(job, materials, stock, job.tally), ledger, stock)
    sender = _sender(job)
    if sender is None:
        _only_count(job, prepared)
        return
    others = [job.open_ledger(materials.key, s.segment) for s in _other_slices(job)]
    for one in (ledger, *others):
        one.doubt()
    sender.add(prepared, ledger, _schema(job), limit=None, replace=True)
    for other in others:
        other.clear()
    ledger.forget_earlier()
    finish_replaced(job)
    ledger.finish(whole=True, coverage=coverage_after(job, None))


def _remove(job: Job, materials: _Materials) -> None:
    """Take these profiles out of the audience, whoever put them there; and who must not be in it."""
    # Neither suppression nor a lack of consent is a reason to leave somebody in.
    everyone = replace(job.segment, mapping=replace(job.segment.mapping, consent=None))
    stock = Stock(
        np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), -1,
        lambda: first_candidates(everyone, materials.printer, job.tally),
    )  # fmt: skip
    open_door = _Materials(
        materials.key, materials.ledger, PersonSet(), Forgotten(materials.key, frozenset()), materials.printer
    )
    taken, prints, sender = PersonSet(), [], _sender(job)
    whole = _remove_suppressed(job, materials, sender)
    for some in _prepared(job, open_door, stock, job.tally):
        removals = removal_rows(some.rows)
        job.tally.to_remove += sum(removal.rows.height for removal in removals)
        taken.add(some.rows)
        prints.append(some.prints)
        if sender is None:
            _measure(job, removals)
        else:
            whole = sender.remove(removals) and whole
    job.tally.unchanged, job.tally.to_add = job.tally.to_add, 0
    job.tally.cells.clear()
    if sender is not None and whole:
        for one in (materials.ledger, *(job.open_ledger(materials.key, s.segment) for s in _other_slices(job))):
            out = taken.members(one)
            for some_prints in prints:
                numbers = one.members.find(some_prints)
                out[numbers[numbers >= 0]] = True
            one.strike(np.flatnonzero(out))
        materials.ledger.finish(whole=False, coverage=None)


def _remove_suppressed(job: Job, materials: _Materials, sender: Sender | None) -> bool:
    """Take out whom the ledger holds and a suppression list names; true when Meta received all of it."""
    barred = np.flatnonzero(materials.never.members(materials.ledger))
    removals = _removals(job, materials, Stock(barred, np.zeros(0, dtype=np.int64), 0, lambda: iter(())), [])
    job.tally.to_remove += sum(removal.rows.height for removal in removals)
    if sender is None or not sender.remove(removals):
        return sender is None
    materials.ledger.strike(barred)
    return True


def _prepared(job: Job, materials: _Materials, stock: Stock, tally: Tally) -> Iterator[Prepared]:
    """Prepare the candidates; members that stay count as seen."""
    duplicates = Duplicates()
    if len(stock.unchanged) and stock.candidates:
        duplicates.remember(materials.ledger, stock.unchanged)
    return prepare(
        _telling(job, stock),
        job.segment.mapping,
        tally,
        never=materials.never,
        forgotten=materials.forgotten,
        duplicates=duplicates,
        value_based=job.destination.value_based,
        workers=job.options.workers,
    )


def _telling(job: Job, stock: Stock) -> Iterator[Candidates]:
    handed = 0
    if stock.candidates >= 0:
        job.meter = Meter(stock.candidates, lambda: handed)
    for some in stock.again():
        job.between_frames("reading")
        handed += some.frame.height
        yield some


def _guarded(job: Job, prepared: Iterator[Prepared], ledger: Ledger, stock: Stock) -> Iterable[Prepared]:
    """Hold rows back until the guards are content; few candidates are all prepared now and kept."""
    least = job.config.workspace.guards.min_profiles
    held: list[Prepared] = []
    few = 0 <= stock.candidates <= MOST_KEPT
    for some in prepared:
        held.append(some)
        if not few and job.tally.eligible >= least and job.tally.to_add:
            break
    check_size(job, job.tally.eligible)
    known = stock.candidates if stock.candidates >= 0 else job.tally.to_add
    check_coverage(job, ledger.coverage, candidates=known)
    return held if few else _chained(held, prepared)


def _chained(held: list[Prepared], prepared: Iterator[Prepared]) -> Iterator[Prepared]:
    while held:
        yield held.pop(0)
    yield from prepared


def _removals(job: Job, materials: _Materials, stock: Stock, prepared: Iterable[Prepared]) -> list[Removal]:
    """Work out what to take out for those who are gone; what anybody still holds, or is added again, stays."""
    ledger = materials.ledger
    if not len(stock.gone):
        return []
    staying = Staying(ledger, stock.gone)
    stays = np.ones(len(ledger.members), dtype=bool)
    stays[stock.gone] = False
    staying.keep_members(ledger, np.flatnonzero(stays))
    for other in _other_slices(job):
        theirs = job.open_ledger(materials.key, other.segment)
        barred = materials.never.members(theirs)
        staying.keep_members(theirs, np.flatnonzero(~barred))
    again = prepared if isinstance(prepared, list) else _prepared(job, materials, stock, Tally())
    for some in again:
        staying.keep_rows(some.rows)
    return plan_removals(ledger, stock.gone, staying)


def _other_slices(job: Job) -> list[SliceRecord]:
    book = LedgerBook(job.state)
    return [s for s in book.slices(str(job.destination.audience_id)) if s.segment != job.segment.name]


def _resend(job: Job, ledger: Ledger) -> NDArray[np.bool_]:
    """Say who is sent again though unchanged: everyone with ``--full``, and who was sent longer ago than ``refresh_after``."""
    if job.options.full:
        return np.ones(len(ledger.members), dtype=bool)
    after = job.config.segment(job.segment.name).refresh_after
    if after is None:
        return np.zeros(len(ledger.members), dtype=bool)
    today = (datetime.now(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
    return ledger.members.sent <= today - max(1, after.days)


def _sender(job: Job) -> Sender | None:
    """Make the sender of a run; a plan has none."""
    if job.run_id is None:
        return None
    return Sender(
        job.graph, job.destination, job.state, job.run_id, job.tally, job.options.in_flight, job.options.stop,
        job.before_batch, job.tell,
    )  # fmt: skip


def _only_count(job: Job, prepared: Iterable[Prepared], removals: Iterable[Removal] = ()) -> None:
    """Go through all that a plan would send, and measure it."""
    job.loads.append(adding := Load())
    for some in prepared:
        adding.add(some.rows, _schema(job))
        job.tell("planning")
    _measure(job, removals)


def _measure(job: Job, removals: Iterable[Removal]) -> None:
    for removal in removals:
        job.loads.append(leaving := Load())
        leaving.add(removal.rows, removal.schema)


def _schema(job: Job) -> tuple[str, ...]:
    return wire_schema(job.segment.mapping, value_based=job.destination.value_based)
