"""What an export does in each mode, in order: take stock, guard, take out, send, account.

``mirror``: add who is new or changed, take out who left or whose identifiers were superseded. ``add``: never take out but who
must not be there. ``replace``: the whole audience at once. ``remove``: take these profiles out. Source: contract.md §4.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, closing
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from connector.audiences.estimate import Load
from connector.audiences.marks import read_forgotten
from connector.errors import ConfigError
from connector.exporting import Export
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
from connector.job import Meter
from connector.leaving import plan_take_out, remove, settle, take_out
from connector.preparation import read_suppression
from connector.profiles.fingerprints import fingerprinter
from connector.profiles.size_hint import rows_hint
from connector.report import Tally
from connector.sending import Sender
from connector.stock import Reading, take_stock
from connector.transform import Transform, wire_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from connector.audiences.ledger import Ledger
    from connector.job import Job
    from connector.preparation import Prepared
    from connector.report import Report
    from connector.stock import Stock

MOST_KEPT = 200_000  # rows that are prepared once and kept, rather than twice


def carry_out(job: Job) -> Report:
    """Do the export, with the audience's lock held; or, without a run id, work out what it would do and touch nothing."""
    rows = rows_hint(job.segment.source)
    if rows is not None:
        job.meter = Meter(rows, lambda: job.tally.scanned)
    with ExitStack() as at_end:
        export = _open(job, at_end)
        {"remove": remove, "replace": _replace}.get(job.mode, _refresh)(export)
        ledger = None if export.sender is None else export.ledger
        del export  # and with it what took memory: tidying the ledger takes some of its own
    if ledger is not None:
        ledger.finish()
    report = job.report()
    refuse_guarded(job, report)
    return report


def _open(job: Job, at_end: ExitStack) -> Export:
    if job.mode == "replace" and job.options.limit is not None:
        raise ConfigError(
            "--limit would replace the audience by its first rows",
            code="replace.limit",
            hint="Leave it out, or try it with --mode mirror --limit N.",
        )
    key, value_based = job.key(), job.destination.value_based
    finish_forgetting(job, key)
    never, warnings = read_suppression(job.config)
    forgotten = read_forgotten(job.state, key)
    job.warnings += warnings
    ledger = job.open_ledger(key)
    job.held = never.size
    job.make_room(len(ledger.members))
    printer = fingerprinter(job.segment.mapping, key, value_based=value_based)
    tell = lambda: job.between_frames("comparing")  # noqa: E731
    reading = Reading(job.segment, printer, (never, forgotten), job.options.workers, tell, job.room)
    schema = wire_schema(job.segment.mapping, value_based=value_based)
    transform = Transform(job.segment.mapping, printer, value_based=value_based)
    tell_of_lost_rows(job, ledger)
    return Export(job, key, ledger, never, forgotten, reading, transform, _sender(job), schema, at_end)


def _refresh(export: Export) -> None:
    """``mirror`` and ``add``."""
    job, ledger, mirror = export.job, export.ledger, export.job.mode == "mirror"
    stock = export.reading.fresh()
    if len(ledger.members):
        stock = take_stock(export.reading, ledger, job.tally, resend=_resend(job, ledger), only_leavers=not mirror)
        export.make_room(stock, others=len(stock.gone) > 0 or bool(stock.pending.any()))
    prepared, seen = _guarded(export, stock)
    kept = prepared if isinstance(prepared, list) else None
    if kept is not None and mirror:
        _note(stock, ledger, kept)
        stock.gone = np.union1d(stock.gone, _not_sent_again(stock))
    if (len(stock.gone) or (mirror and stock.pending.any())) and not may_take_out(job, export.others):
        stock.gone, mirror = stock.gone[:0], False
    ahead = Tally()
    plan, returning = plan_take_out(export, stock, stock.gone, kept, ahead)
    stock.gone = plan.numbers
    present = ledger.present
    stays = np.ones(len(present), dtype=bool)
    stays[stock.gone], stays[returning] = False, True
    check_shrink(job, members=int(present.sum()), leaving=int((present & ~stays).sum()))
    del present, stays, returning
    check_coverage(job, ledger, stock, export.schema, ahead if ahead.to_add else seen)
    take_out(export, plan)
    _add(export, _noting(export, stock, prepared))
    late = _not_sent_again(stock) if mirror else stock.gone[:0]
    following, _ = plan_take_out(export, stock, late, None, Tally())
    take_out(export, following)
    if export.sender is not None:
        for each in (plan, following):
            settle(export, each)


def _replace(export: Export) -> None:
    """Replace the audience by the segment; what other segments put there is wiped with the rest."""
    job, ledger = export.job, export.ledger
    check_replace_fits(job)
    stock, held = export.reading.fresh(), int(ledger.present.sum())
    if len(ledger.members):
        everyone = np.ones(len(ledger.members), dtype=bool)
        stock = take_stock(export.reading, ledger, job.tally, resend=everyone, only_leavers=False)
        check_shrink(job, members=held, leaving=max(0, held - (stock.candidates or 0)))
    export.make_room(stock, others=True)
    prepared, seen = _guarded(export, stock)
    check_not_empty(seen)
    check_coverage(job, ledger, stock, export.schema, seen)
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


def _guarded(export: Export, stock: Stock) -> tuple[list[Prepared] | Iterator[Prepared], Tally]:
    """Hold rows back until there are enough of them for the guards; of a refresh all are kept, where they are not many.

    Also counts what is held, and what was left out for it: the export's own tally goes on in the thread that reads ahead.
    """
    kept = export.job.room.share(MOST_KEPT)
    sample = _sample(export, stock, kept) if (stock.candidates or 0) > 2 * kept else None
    if sample is not None:
        return export.prepared(stock, export.job.tally), sample
    tally, least = export.job.tally, export.job.config.workspace.guards.min_profiles
    eligible, skipped = tally.eligible, tally.skipped.total()
    prepared = export.prepared(stock, tally)
    held: list[Prepared] = []
    refresh, ended = stock.candidates is not None, False
    most = kept if refresh else 0
    for some in prepared:
        held.append(some)
        if tally.eligible >= least and tally.to_add and sum(one.rows.height for one in held) > most:
            break
    else:
        ended = True
    check_size(export.job, members=int(export.ledger.present.sum()))
    seen = Tally(eligible=tally.eligible - eligible, skipped=Counter(left_out=tally.skipped.total() - skipped))
    for some in held:
        codes = (code for code in export.schema if code in some.rows.columns)
        seen.to_add += some.rows.height
        seen.count_cells(some.rows.height, {code: some.rows[code].null_count() for code in codes})
    return held if refresh and ended else _chained(held, prepared), seen


def _sample(export: Export, stock: Stock, kept: int) -> Tally | None:
    """Prepare the first of a refresh's many candidates for the guards alone; nothing, if too few of them can be sent.

    They are prepared again when their turn comes: rows that wait meanwhile, and half-done ones behind them, would take as
    much memory as the whole export.
    """
    sample, least = Tally(), export.job.config.workspace.guards.min_profiles - export.job.tally.eligible
    with closing(export.prepared(stock, sample)) as prepared:
        for _ in prepared:
            if sample.eligible >= least and sample.to_add > kept // 4:
                return sample
            if sample.eligible + sample.skipped.total() > 2 * kept:  # hardly anybody can be sent: not worth more
                break
    return None


def _chained(held: list[Prepared], prepared: Iterator[Prepared]) -> Iterator[Prepared]:
    while held:
        yield held.pop(0)
    yield from prepared


def _noting(export: Export, stock: Stock, prepared: Iterable[Prepared]) -> Iterator[Prepared]:
    for some in prepared:
        _note(stock, export.ledger, [some])
        yield some


def _note(stock: Stock, ledger: Ledger, prepared: Iterable[Prepared]) -> None:
    """Note which members are really sent again."""
    if stock.pending.any():
        for some in prepared:
            numbers = ledger.members.find(some.prints)
            stock.pending[numbers[numbers >= 0]] = False


def _not_sent_again(stock: Stock) -> NDArray[np.uint32]:
    """Give, once, the members who were to be sent again and may not: a duplicate of somebody else by now, for example."""
    numbers = np.flatnonzero(stock.pending).astype(np.uint32)
    stock.pending[numbers] = False
    return numbers


def _add(export: Export, prepared: Iterable[Prepared], *, whole: bool = False) -> None:
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
        job.options.memory // 8, job.room, job.options.stop, job.before_batch, job.tell, job.options.today(),
    )  # fmt: skip
