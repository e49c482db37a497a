"""Why cells are blank, found out for many at a time: a rule's reasons cost the same for ten cells as for ten thousand.

Holds raw text of cells that their rule left empty until it has enough of them: stays in ``profiles/`` and the path.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

import polars as pl

from connector.profiles.normalise import reasons

if TYPE_CHECKING:
    from connector.profiles.mapping import Keys
    from connector.profiles.rules import Settings

ENOUGH: Final = 100_000  # cells that wait
BLANK: Final = "blank"


class Losses:
    """Counts the blank cells of rows that are sent, by match key and reason."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._waiting: dict[str, list[pl.DataFrame]] = defaultdict(list)
        self._same: dict[str, str] = {}
        self._cells = 0

    def add(self, keys: Keys, positions: pl.Series) -> dict[str, int]:
        """Take note of the blank cells in the rows at ``positions``; returns how many there are of each key."""
        blanks: dict[str, int] = {}
        whole_dates: list[str] = []
        for code in keys.values.columns[1:]:
            at = positions.filter(keys.values[code].is_null().gather(positions))
            blanks[code] = at.len()
            if code in keys.raw.columns:
                self._note(keys, code, code, at)
            elif not whole_dates or blanks[whole_dates[0]] != at.len():
                self._note(keys, code, "DOB", at)
            else:
                self._same[code] = whole_dates[0]  # year, month and day of one attribute are blank together
            if code not in keys.raw.columns:
                whole_dates.append(code)
        if self._cells >= ENOUGH:
            self._find_out()
        return blanks

    def reasons(self) -> dict[str, Counter[str]]:
        """Give all counts so far."""
        self._find_out()
        return dict(self._counts) | {code: self._counts[as_] for code, as_ in self._same.items()}

    def _note(self, keys: Keys, code: str, origin: str, at: pl.Series) -> None:
        raw = keys.raw[origin].gather(at)
        there = raw.is_not_null()
        self._counts[code][BLANK] += raw.len() - int(there.sum())
        some = at.filter(there)
        if some.len():
            columns = [origin, "COUNTRY"] if "COUNTRY" in keys.raw.columns and origin != "COUNTRY" else [origin]
            self._waiting[code].append(pl.DataFrame([keys.raw[name].gather(some) for name in columns]))
            self._cells += some.len()

    def _find_out(self) -> None:
        for code, frames in self._waiting.items():
            raw = pl.concat(frames)
            nothing = pl.DataFrame({code: pl.repeat(None, raw.height, dtype=pl.String, eager=True)})
            why = reasons(raw, nothing, self._settings)[code]
            for reason, count in why.value_counts().iter_rows():
                self._counts[code][reason] += count
        self._waiting.clear()
        self._cells = 0
