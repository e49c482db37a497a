"""Who leaves the audience and how: planned against everybody who stays, noted before, struck afterwards. And mode ``remove``.

An identifier that somebody else in the audience holds, or comes to hold, stays. Source: contract.md §4.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from connector.audiences.duplicates import NoDuplicates
from connector.audiences.estimate import Load
from connector.audiences.removal_rows import concat_removals, first_rows, removal_rows, size_of
from connector.audiences.removals import MOST_REMEMBERED, Leavers, Staying, Taken
from connector.audiences.suppression import Forgotten, PersonSet
from connector.audiences.take_out import plan_removals
from connector.preparation import first_candidates, prepare
from connector.report import Tally
from connector.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from connector.audiences.removal_rows import Removal
    from connector.audiences.take_out import TakeOut
    from connector.exporting import Export
    from connector.preparation import Prepared
    from connector.stock import Stock


def plan_take_out(
    export: Export, stock: Stock, gone: NDArray[np.uint32], prepared: list[Prepared] | None, tally: Tally
) -> tuple[TakeOut, NDArray[np.uint32]]:
    """Work out how to take out ``gone``, and who of them is added again; identifiers that somebody else holds stay.

    Without ``prepared`` the rows to add are prepared for this alone, and counted in ``tally``.
    """
    leavers = Leavers(export.ledger, gone, export.job.room.share(MOST_REMEMBERED))
    slices = (export.ledger, *(export.others() if len(leavers) else ()))
    staying = Staying(leavers, sum(len(one.members) for one in slices))
    if len(leavers):
        members = export.ledger.members
        stays = members.met | ~members.leaving
        stays[stock.gone] = False
        stays[gone] = False
        staying.keep_members(export.ledger, np.flatnonzero(stays).astype(np.uint32))
        for other in export.others():
            out = export.barred(other) | other.members.leaving
            staying.keep_members(other, np.flatnonzero(~out))
        for some in export.prepared(stock, tally) if prepared is None else prepared:
            staying.keep_rows(some.rows)
    plan = plan_removals(leavers, staying)
    export.job.tally.to_remove += plan.rows
    return plan, staying.returning(leavers)


def take_out(export: Export, plan: TakeOut) -> None:
    """Send removals: noted in the ledger before, struck there when Meta received all of them."""
    if export.sender is None:
        _weigh(export, plan.removals)
        return
    export.ledger.leave(plan.hit)
    _leave_elsewhere(export, plan)
    if export.sender.remove(plan.removals):
        export.ledger.strike(plan.out)


def _leave_elsewhere(export: Export, plan: TakeOut) -> None:
    """Note in other segments' slices who is taken out with these: somebody who must not be there holds no identifier back."""
    others = [other for other in export.others() if export.barred(other).any()] if plan.rows else []
    taken = Taken()
    if others:
        taken.add(plan.removals)
    for other in others:
        hit, _ = taken.members(other)
        other.leave(hit[export.barred(other)[hit]])


def _weigh(export: Export, removals: Iterable[Removal]) -> None:
    """Let a plan know what removals weigh."""
    for removal in removals:
        load = Load()
        for rows in removal.frames():
            load.add(rows, removal.schema)
        export.job.loads.append(load)


def settle(export: Export, plan: TakeOut) -> None:
    """Let go of leavers whose identifiers somebody shares, now that all of those are in the ledger."""
    tally = export.job.tally
    left = (
        tally.to_add - tally.added - tally.invalid + tally.to_remove - tally.removed + tally.skipped["source_changed"]
    )
    if not left:
        export.ledger.strike(plan.shared)
        for rows in plan.lingering():
            export.ledger.linger(rows)


def remove(export: Export) -> None:
    """Take these profiles out of the audience, whoever put them there; and who must not be in it."""
    job, tally = export.job, export.job.tally
    asked: list[Removal] = []
    ids = Taken()
    for some in _asked_to_leave(export, tally):
        export.job.between_frames("reading")
        asked += removal_rows(some.rows)
        if "EXTERN_ID" in some.rows.columns:
            ids.add_ids(some.rows["EXTERN_ID"])
        if len(asked) > 64:  # together now and then, so that an identifier is there once
            asked = concat_removals(asked)
            job.make_room(len(export.ledger.members), more=2 * size_of(asked))
    tally.unchanged, tally.to_add = tally.to_add, 0
    tally.cells.clear()
    slices = (export.ledger, *export.others())
    for one in slices:
        known = Leavers(one, ids.with_ids(one))
        asked += plan_removals(known, Staying(known, len(one.members))).removals
    barred = np.flatnonzero(export.barred(export.ledger)).astype(np.uint32)
    plan, _ = plan_take_out(export, export.reading.fresh(), barred, [], Tally())
    removals = concat_removals([*asked, *plan.removals])
    tally.to_remove = sum(removal.height for removal in removals)
    if export.sender is None:
        _weigh(export, removals)
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
        for other in slices[1:]:
            other.finish()


def _asked_to_leave(export: Export, tally: Tally) -> Iterator[Prepared]:
    """Prepare everyone in the segment: neither suppression nor a lack of consent is a reason to leave somebody in."""
    mapping = replace(export.job.segment.mapping, consent=None)
    everyone = replace(export.job.segment, mapping=mapping, frame_rows=export.job.room.rows)
    return prepare(
        first_candidates(everyone, tally),
        Transform(mapping, export.reading.fingerprinter),
        tally,
        never=PersonSet(),
        forgotten=Forgotten(export.key, frozenset()),
        duplicates=NoDuplicates(),
        workers=export.job.options.workers,
    )
