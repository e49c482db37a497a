"""What an export does in each mode, in order: take stock, guard, take out, send, account.

``mirror``: add who is new or changed, take out who left or whose identifiers were superseded. ``add``: never take out but who
must not be there. ``replace``: the whole audience at once. ``remove``: take these profiles out. Source: contract.md §4.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from connector.audiences.duplicates import Duplicates, NoDuplicates, Unchanged
from connector.audiences.estimate import Load
from connector.audiences.ledger import open_ledgers
from connector.audiences.ledger_files import open_ledger_files
from connector.audiences.marks import read_forgotten
from connector.audiences.removals import (
    Leavers,
    Staying,
    Taken,
    TakeOut,
    concat_removals,
    first_rows,
    plan_removals,
    removal_rows,
)
from connector.audiences.suppression import Forgotten, PersonSet
from connector.errors import ConfigError
from connector.forgetting import finish_forgetting, finish_replaced
from connector.guards import (
    check_coverage,
    check_not_empty,
    check_replace_fits,
    check_shrink,
    check_size,
    may_take_out,
    refuse_guarded,
    tell_of_lost_rows,
)
from connector.in_order import ahead
from connector.job import Meter
from connector.preparation import first_candidates, prepare, read_suppression
from connector.profiles.fingerprints import fingerprinter
from connector.profiles.size_hint import rows_hint
from connector.report import Tally
from connector.sending import Sender
from connector.stock import Reading, Stock, take_stock
from connector.transform import Transform, wire_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from connector.audiences.ledger import Ledger
    from connector.audiences.removals import Removal
    from connector.job import Job
    from connector.preparation import Prepared
    from connector.report import Report
    from connector.transform import Candidates

MOST_KEPT = 200_000  # rows that are prepared once and kept, rather than twice


@dataclass(slots=True)
class _Export:
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
    _others: list[Ledger] | None = field(default=None)
    _unchanged: Unchanged | None = field(default=None)

    def others(self) -> list[Ledger]:
        """Open what other segments put into the audience."""
        if self._others is None:
            job, files = self.job, open_ledger_files(self.job.config.ledger)
            self._others = open_ledgers(
                job.state, files, audience_id=str(job.destination.audience_id), key=self.key, run_id=job.run_id,
                but=job.segment.name, anew=job.mode == "replace",
            )  # fmt: skip
        return self._others

    def prepared(self, stock: Stock, tally: Tally) -> Iterator[Prepared]:
        """Prepare the candidates, a frame ahead; members that stay count as seen."""
        if self._unchanged is None:
            self._unchanged = Unchanged(self.ledger, stock.unchanged)
        preparing = prepare(
            self.candidates(stock, tally), self.transform, tally, never=self.never, forgotten=self.forgotten,
            duplicates=Duplicates(self._unchanged if len(stock.unchanged) else None), workers=self.job.options.workers,
        )  # fmt: skip
        taking = ahead(preparing)
        self.at_end.callback(taking.close)  # not only when nothing holds an error's frames any more
        for some in taking:
            self.job.tell("reading")
            yield some

    def candidates(self, stock: Stock, tally: Tally) -> Iterator[Candidates]:
        """Give the candidates, and stop between two frames when asked to."""
        handed = 0
        if stock.candidates is not None:
            self.job.meter = Meter(stock.candidates, lambda: handed)
        for some in stock.again(tally):
            self.job.check_stop()
            handed += some.frame.height
            yield some


def carry_out(job: Job) -> Report:
    """Do the export, with the audience's lock held; or, without a run id, work out what it would do and touch nothing."""
    rows = rows_hint(job.segment.source)
    if rows is not None:
        job.meter = Meter(rows, lambda: job.tally.scanned)
    with ExitStack() as at_end:
        export = _open(job, at_end)
        {"remove": _remove, "replace": _replace}.get(job.mode, _refresh)(export)
    report = job.report()
    refuse_guarded(job, report)
    return report


def _open(job: Job, at_end: ExitStack) -> _Export:
    if job.mode == "replace" and job.options.limit is not None:
        raise ConfigError(
            "--limit would replace the audience by its first rows",
            code="replace.limit",
            hint="Leave it out, or try it with --mode mirror --limit N.",
        )
    key, value_based = job.key(), job.destination.value_based
    finish_forgetting(job, key)
    never, forgotten = read_suppression(job.config), read_forgotten(job.state, key)
    printer = fingerprinter(job.segment.mapping, key, value_based=value_based)
    tell = lambda: job.between_frames("comparing")  # noqa: E731
    reading = Reading(job.segment, printer, (never, forgotten), job.options.workers, tell)
    schema = wire_schema(job.segment.mapping, value_based=value_based)
    transform = Transform(job.segment.mapping, printer, value_based=value_based)
    ledger = job.open_ledger(key)
    tell_of_lost_rows(job, ledger)
    return _Export(job, key, ledger, never, forgotten, reading, transform, _sender(job), schema, at_end)


def _refresh(export: _Export) -> None:
    """``mirror`` and ``add``."""
    job, ledger, mirror = export.job, export.ledger, export.job.mode == "mirror"
    stock = export.reading.fresh()
    if len(ledger.members):
        stock = take_stock(export.reading, ledger, job.tally, resend=_resend(job, ledger), only_leavers=not mirror)
    prepared = _guarded(export, stock)
    kept = prepared if isinstance(prepared, list) else None
    if kept is not None and mirror:
        _note(stock, ledger, kept)
        stock.gone = np.union1d(stock.gone, _not_sent_again(stock))
    if (len(stock.gone) or (mirror and stock.pending.any())) and not may_take_out(job, export.others):
        stock.gone, mirror = stock.gone[:0], False
    ahead = Tally()
    plan, returning = _plan_removals(export, stock, stock.gone, kept, ahead)
    leaving = ledger.present[np.setdiff1d(stock.gone, returning)]
    check_shrink(job, members=int(ledger.present.sum()), leaving=int(leaving.sum()))
    check_coverage(job, ledger, stock, export.schema, ahead if ahead.to_add else job.tally)
    _take_out(export, plan)
    _add(export, _noting(export, stock, prepared))
    late = _not_sent_again(stock) if mirror else stock.gone[:0]
    following, _ = _plan_removals(export, stock, late, None, Tally())
    _take_out(export, following)
    if export.sender is not None:
        for each in (plan, following):
            _settle(export, each)
        ledger.finish()


def _replace(export: _Export) -> None:
    """Replace the audience by the segment; what other segments put there is wiped with the rest."""
    job, ledger = export.job, export.ledger
    check_replace_fits(job)
    stock, held = export.reading.fresh(), int(ledger.present.sum())
    if len(ledger.members):
        everyone = np.ones(len(ledger.members), dtype=bool)
        stock = take_stock(export.reading, ledger, job.tally, resend=everyone, only_leavers=False)
        check_shrink(job, members=held, leaving=max(0, held - (stock.candidates or 0)))
    prepared = _guarded(export, stock)
    check_not_empty(job)
    check_coverage(job, ledger, stock, export.schema, job.tally)
    others = export.others()
    if export.sender is not None:
        for one in (ledger, *others):
            one.doubt()
    _add(export, prepared, whole=True)
    if export.sender is not None:
        for other in others:
            other.clear()
        ledger.forget_earlier()
        finish_replaced(job)
        ledger.finish()


def _remove(export: _Export) -> None:
    """Take these profiles out of the audience, whoever put them there; and who must not be in it."""
    job, tally = export.job, export.job.tally
    asked: list[Removal] = []
    ids = Taken()
    for some in _asked_to_leave(export, tally):
        asked += removal_rows(some.rows)
        if "EXTERN_ID" in some.rows.columns:
            ids.add_ids(some.rows["EXTERN_ID"])
        if len(asked) > 64:  # together now and then, so that an identifier is there once
            asked = concat_removals(asked)
    tally.unchanged, tally.to_add = tally.to_add, 0
    tally.cells.clear()
    slices = (export.ledger, *export.others())
    for one in slices:
        known = Leavers(one, ids.with_ids(one))
        asked += plan_removals(known, Staying(known)).removals
    barred = np.flatnonzero(export.reading.barred(export.ledger))
    plan, _ = _plan_removals(export, export.reading.fresh(), barred, [], Tally())
    removals = concat_removals([*asked, *plan.removals])
    tally.to_remove = sum(removal.rows.height for removal in removals)
    if export.sender is None:
        _load(export, removals)
        return
    removals = first_rows(removals, job.options.limit)
    taken = Taken()
    taken.add(removals)
    hits = [(one, *taken.members(one)) for one in slices]
    for one, hit, _ in hits:
        one.leave(hit)
    if export.sender.remove(removals):
        for one, _, out in hits:
            one.strike(out)
            one.finish()


def _asked_to_leave(export: _Export, tally: Tally) -> Iterator[Prepared]:
    """Prepare everyone in the segment: neither suppression nor a lack of consent is a reason to leave somebody in."""
    mapping = replace(export.job.segment.mapping, consent=None)
    everyone = replace(export.job.segment, mapping=mapping)
    return prepare(
        first_candidates(everyone, tally),
        Transform(mapping, export.reading.fingerprinter),
        tally,
        never=PersonSet(),
        forgotten=Forgotten(export.key, frozenset()),
        duplicates=NoDuplicates(),
        workers=export.job.options.workers,
    )


def _guarded(export: _Export, stock: Stock) -> list[Prepared] | Iterator[Prepared]:
    """Hold rows back until there are enough of them for the guards; of a refresh all are kept, where they are not many."""
    tally, least = export.job.tally, export.job.config.workspace.guards.min_profiles
    prepared = export.prepared(stock, tally)
    held: list[Prepared] = []
    refresh, ended = stock.candidates is not None, False
    most = MOST_KEPT if refresh else 0
    for some in prepared:
        held.append(some)
        if tally.eligible >= least and tally.to_add and sum(one.rows.height for one in held) > most:
            break
    else:
        ended = True
    check_size(export.job, members=int(export.ledger.present.sum()))
    return held if refresh and ended else _chained(held, prepared)


def _chained(held: list[Prepared], prepared: Iterator[Prepared]) -> Iterator[Prepared]:
    while held:
        yield held.pop(0)
    yield from prepared


def _noting(export: _Export, stock: Stock, prepared: Iterable[Prepared]) -> Iterator[Prepared]:
    for some in prepared:
        _note(stock, export.ledger, [some])
        yield some


def _note(stock: Stock, ledger: Ledger, prepared: Iterable[Prepared]) -> None:
    """Note which members are really sent again."""
    if stock.pending.any():
        for some in prepared:
            numbers = ledger.members.find(some.prints)
            stock.pending[numbers[numbers >= 0]] = False


def _not_sent_again(stock: Stock) -> NDArray[np.int64]:
    """Give, once, the members who were to be sent again and may not: a duplicate of somebody else by now, for example."""
    numbers = np.flatnonzero(stock.pending)
    stock.pending[numbers] = False
    return numbers


def _plan_removals(
    export: _Export, stock: Stock, gone: NDArray[np.int64], prepared: list[Prepared] | None, tally: Tally
) -> tuple[TakeOut, NDArray[np.int64]]:
    """Work out how to take out ``gone``, and who of them is added again; identifiers that somebody else holds stay.

    Without ``prepared`` the rows to add are prepared for this alone, and counted in ``tally``.
    """
    leavers = Leavers(export.ledger, gone)
    staying = Staying(leavers)
    if len(leavers):
        members = export.ledger.members
        stays = members.met | ~members.leaving
        stays[stock.gone] = False
        stays[gone] = False
        staying.keep_members(export.ledger, np.flatnonzero(stays).astype(np.uint32))
        for other in export.others():
            out = export.reading.barred(other) | other.members.leaving
            staying.keep_members(other, np.flatnonzero(~out))
        for some in export.prepared(stock, tally) if prepared is None else prepared:
            staying.keep_rows(some.rows)
    plan = plan_removals(leavers, staying)
    export.job.tally.to_remove += plan.rows
    return plan, staying.returning(leavers)


def _take_out(export: _Export, plan: TakeOut) -> None:
    """Send removals: noted in the ledger before, struck there when Meta received all of them."""
    if export.sender is None:
        _load(export, plan.removals)
        return
    export.ledger.leave(plan.hit)
    _leave_elsewhere(export, plan)
    if export.sender.remove(plan.removals):
        export.ledger.strike(plan.out)


def _leave_elsewhere(export: _Export, plan: TakeOut) -> None:
    """Note in other segments' slices who is taken out with these: somebody who must not be there holds no identifier back."""
    taken = Taken()
    taken.add(plan.removals)
    for other in export.others() if plan.removals else ():
        barred = export.reading.barred(other)
        if barred.any():
            hit, _ = taken.members(other)
            other.leave(hit[barred[hit]])


def _load(export: _Export, removals: Iterable[Removal]) -> None:
    for removal in removals:
        load = Load()
        load.add(removal.rows, removal.schema)
        export.job.loads.append(load)


def _settle(export: _Export, plan: TakeOut) -> None:
    """Let go of leavers whose identifiers somebody shares, now that all of those are in the ledger."""
    tally = export.job.tally
    left = (
        tally.to_add - tally.added - tally.invalid + tally.to_remove - tally.removed + tally.skipped["source_changed"]
    )
    if not left:
        export.ledger.strike(plan.shared)
        for rows in plan.lingering:
            export.ledger.linger(rows)


def _add(export: _Export, prepared: Iterable[Prepared], *, whole: bool = False) -> None:
    """Send the rows to add, or weigh them for a plan; ``whole`` when they replace the audience."""
    limit = export.job.options.limit
    if export.sender is not None:
        export.sender.add(prepared, export.ledger, export.schema, limit=limit, replace=whole)
        return
    load = Load()
    for some in prepared:
        load.add(some.rows if limit is None else some.head(max(0, limit - load.rows)).rows, export.schema)
        export.job.tell("planning")
    export.job.loads.append(load)


def _resend(job: Job, ledger: Ledger) -> NDArray[np.bool_]:
    """Say who is sent again though unchanged: everyone with ``--full``, and who was sent longer ago than ``refresh_after``."""
    if job.options.full:
        return np.ones(len(ledger.members), dtype=bool)
    after = job.config.segment(job.segment.name).refresh_after
    if after is None:
        return np.zeros(len(ledger.members), dtype=bool)
    today = (job.options.today() - date(1970, 1, 1)).days
    return ledger.members.sent <= today - max(1, after.days)


def _sender(job: Job) -> Sender | None:
    """Make the sender of a run; a plan has none."""
    if job.run_id is None:
        return None
    return Sender(
        job.graph, job.destination, job.state, job.run_id, job.tally, job.options.workers, job.options.in_flight,
        job.options.memory // 8, job.options.stop, job.before_batch, job.tell, job.options.today(),
    )  # fmt: skip
