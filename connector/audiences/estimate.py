"""How many calls an export takes, how many bytes and about how long: arithmetic for plans and for what must not begin.

Takes measured sizes and rates, and Meta's quotas (meta-graph-api.md §7). Must not know profiles, nor how calls are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from connector.audiences.batch import MOST_ROWS, json_rows
from connector.audiences.upload import REPLACE_SECONDS
from connector.report import Plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from connector.hashing import Hashed

# Limited access: 60 points that drain within 300 s, and a write takes 3. From 75 % on the pace slows down.
LIMITED_SECONDS: Final = 15.0
LIMITED_BURST: Final = 15
# Nothing measured yet: four requests under way, two seconds each. Meta's own times are not published.
GUESSED_SECONDS: Final = 0.5
MEASURED_FROM: Final = 4  # requests: a shorter run measures its beginning
PROVEN_FROM: Final = 20  # requests: only a run of so many says how fast it goes at all
_ENOUGH: Final = 100_000  # rows whose size is measured; the others are as long
_ENVELOPE: Final = 200  # bytes around the rows of a request


@dataclass(slots=True)
class Load:
    """What is to be sent, gathered while a plan is made; one kind of rows each."""

    rows: int = 0
    _measured: int = 0
    _size: int = 0

    def add(self, rows: Hashed, schema: tuple[str, ...]) -> None:
        """Take in rows; the first ones are measured."""
        self.rows += rows.height
        if self._measured < _ENOUGH and rows.height:
            texts = json_rows(rows, schema)
            self._measured += texts.len()
            self._size += int(texts.str.len_bytes().sum()) + texts.len()

    @property
    def calls(self) -> int:
        """Requests of 10,000 rows."""
        return -(-self.rows // MOST_ROWS)

    @property
    def size(self) -> int:
        """Bytes, from what was measured."""
        return round(self.rows * self._size / self._measured) + self.calls * _ENVELOPE if self._measured else 0


def plan_for(loads: Iterable[Load], *, limited: bool, seconds_per_call: float | None, least: float) -> Plan:
    """Put together what a plan says.

    Args:
        loads: What is to be sent.
        limited: Whether Meta's headers say Limited access.
        seconds_per_call: As the last run measured it; ``None`` when there was none.
        least: Seconds that reading and preparing took, and any wait that is due; sending goes on meanwhile.
    """
    loads = list(loads)
    calls = sum(load.calls for load in loads)
    seconds = calls * (seconds_per_call or GUESSED_SECONDS)
    if limited:
        seconds = max(seconds, max(0, calls - LIMITED_BURST) * LIMITED_SECONDS)
    return Plan(calls, sum(load.size for load in loads), max(seconds, least), limited=limited)


def seconds_per_call(reports: Iterable[Mapping[str, Any] | None]) -> float | None:
    """Read from the reports of earlier runs, newest first, how long a request takes with others beside it."""
    return next(iter(_measured(reports, MEASURED_FROM)), None)


def most_rows_to_replace(reports: Iterable[Mapping[str, Any] | None], *, limited: bool) -> int | None:
    """Say how many rows a replacement can send within its window; ``None`` when nothing is known against any number.

    Of earlier runs the fastest counts: a bad day is no reason to refuse.
    """
    limits = []
    if limited:
        limits.append(LIMITED_BURST + int(REPLACE_SECONDS / LIMITED_SECONDS))
    fastest = min(_measured(reports, PROVEN_FROM), default=None)
    if fastest is not None:
        limits.append(int(REPLACE_SECONDS / fastest))
    return min(limits) * MOST_ROWS if limits else None


def _measured(reports: Iterable[Mapping[str, Any] | None], least: int) -> list[float]:
    found = []
    for report in reports:
        sent = int((report or {}).get("batches", {}).get("sent", 0))
        if report is not None and sent >= least and report.get("seconds"):
            found.append(float(report["seconds"]) / sent)
    return found
