"""The run report: every profile read has one fate, every row one outcome, and the sums hold or the run fails.

Numbers and names only. Shape: contract.md §4.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from connector.errors import ConnectorError

if TYPE_CHECKING:
    import polars as pl

    from connector.rejects import Rejects

SKIPS = ("no_identifier", "no_consent", "suppressed", "duplicate", "bad_value", "source_changed")


@dataclass(slots=True)
class Cells:
    """What became of one match key's cells in the rows to add."""

    sent: int = 0
    blank: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


NOT_REACHED: Final = "not_reached"  # only of a run that was stopped: read, and not yet prepared


@dataclass(slots=True)
class Tally:
    """Counts of a run while it goes on."""

    read: int = 0
    eligible: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    extra: int = 0
    to_add: int = 0
    unchanged: int = 0
    added: int = 0
    invalid: int = 0
    to_remove: int = 0
    removed: int = 0
    cells: dict[str, Cells] = field(default_factory=dict)
    unparsable: Counter[str] = field(default_factory=Counter)
    batches_sent: int = 0
    batches_retried: int = 0
    bytes_sent: int = 0
    scanned: int = 0  # rows of the source, before `where`
    rejects: Rejects | None = None

    def skip(self, reason: str, rows: pl.Series, ids: pl.Series | None) -> None:
        """Count profiles that are left out; a run that keeps them notes their rows and (to be masked) external ids."""
        self.skipped[reason] += rows.len()
        if self.rejects is not None:
            self.rejects.note(reason, rows, ids)

    def stop(self) -> None:
        """Give those a fate who were read when the run was stopped, and had none yet."""
        self.skipped[NOT_REACHED] += max(0, self.read - self.eligible - self.skipped.total())

    def count_cells(self, rows: int, blanks: dict[str, int]) -> None:
        """Add ``rows`` rows to send, with so many blank cells of each key; why they are blank comes later."""
        for code, count in blanks.items():
            self.cells.setdefault(code, Cells()).sent += rows - count

    def explain_blanks(self, reasons: dict[str, Counter[str]]) -> None:
        """Say why the cells that were not sent are blank: key → reason → cells, for all rows together."""
        for code, counted in reasons.items():
            cells = self.cells.setdefault(code, Cells())
            cells.blank = counted["blank"]
            cells.dropped = Counter({reason: count for reason, count in counted.items() if reason != "blank" and count})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: ``stage`` in words, the counts so far, and the seconds left where the whole is known."""

    stage: str
    tally: Tally
    seconds: float
    left: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What sending would take: requests, bytes of their bodies, seconds at this account's pace.

    ``limited`` says that Meta gives the app Limited access, which is what takes the time.
    """

    calls: int
    bytes: int
    seconds: float
    limited: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """One export of one segment to one destination, accounted for."""

    run: str | None
    segment: str
    destination: str
    mode: str
    audience_id: str | None
    audience_name: str | None
    tally: Tally
    seconds: float
    limited: bool = False
    dry_run: bool = False
    max_invalid: float = 0.001
    warnings: tuple[str, ...] = ()
    plan: Plan | None = None

    @property
    def left(self) -> int:
        """Rows that should be in the audience and were not sent, or whose receipt Meta did not count."""
        return self.tally.to_add - self.tally.added - self.tally.invalid

    @property
    def _stopped(self) -> tuple[str, ...]:
        return (NOT_REACHED,) if self.tally.skipped[NOT_REACHED] else ()

    @property
    def exit_code(self) -> int:
        """0, or 7 when more was not accepted than ``max_invalid`` allows (rows left by ``--limit`` are no failure)."""
        lost = self.tally.invalid + (0 if self.limited or self.dry_run else self.left)
        return 7 if lost > self.max_invalid * max(self.tally.to_add, 1) else 0

    def check(self) -> None:
        """Fail loudly when the numbers do not add up: then this program has a bug, and no report may hide it."""
        t = self.tally
        sums = {
            "read = eligible + skipped": t.read == t.eligible + sum(t.skipped.values()),
            "eligible + extra = to_add + unchanged": t.eligible + t.extra == t.to_add + t.unchanged,
            "to_add = added + invalid + left": self.left >= 0,
            "to_remove = removed + left_to_remove": t.to_remove >= t.removed,
            "cells = to_add": all(c.sent + c.blank + sum(c.dropped.values()) == t.to_add for c in t.cells.values()),
        }
        for what, holds in sums.items():
            if not holds:
                raise ConnectorError(
                    f"the report does not add up: {what}", code="bug.report", hint="Please report this."
                )

    def to_json(self) -> dict[str, Any]:
        """Give the shape of contract.md §4."""
        t = self.tally
        result: dict[str, Any] = {
            "run": self.run,
            "segment": self.segment,
            "destination": self.destination,
            "mode": self.mode,
            "audience": {"id": self.audience_id, "name": self.audience_name},
            "profiles": {
                "read": t.read,
                "eligible": t.eligible,
                "skipped": {reason: t.skipped[reason] for reason in (*SKIPS, *self._stopped)},
            },
            "rows": {
                "extra": t.extra,
                "to_add": t.to_add,
                "unchanged": t.unchanged,
                "added": t.added,
                "invalid": t.invalid,
                "left": self.left,
                "to_remove": t.to_remove,
                "removed": t.removed,
                "left_to_remove": t.to_remove - t.removed,
            },
            "cells": {
                code: {"sent": c.sent, "blank": c.blank, "dropped": dict(sorted(c.dropped.items()))}
                for code, c in t.cells.items()
            },
            "batches": {"sent": t.batches_sent, "retried": t.batches_retried, "bytes": t.bytes_sent},
            "seconds": round(self.seconds, 3),
            "profiles_per_second": round(t.read / self.seconds) if self.seconds > 0 else 0,
        }
        if self.plan is not None:
            result["plan"] = {
                "calls": self.plan.calls, "bytes": self.plan.bytes, "seconds": round(self.plan.seconds, 1),
                "limited_access": self.plan.limited,
            }  # fmt: skip
        if t.unparsable:
            result["where_unparsable"] = dict(t.unparsable)
        if self.limited:
            result["limited"] = True
        if self.warnings:
            result["warnings"] = list(self.warnings)
        return result
