"""Work out each different cell of a column once, however often it comes: first names, cities, countries, birth dates.

Knows nothing of what the cells mean. What it knows it holds in memory only, bounded, for as long as a run takes.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

MOST: Final = 1 << 16
"""Cells that are known at once: beyond that it begins anew, which bounds memory to some 15 MB a column."""
ENOUGH: Final = 1 << 13
"""Cells after which a column is judged."""
WORTH: Final = 1.7
"""How often a cell must come on average, for looking it up to be cheaper than working it out."""
LONG: Final = 128
"""Bytes of a cell on average: longer ones are no names nor places, and not worth the memory."""
_SEPARATOR, _NULL = "\x1f", "\x1e"


class Memo:
    """Remembers what ``work`` made of each different row of a frame. Any number of threads may ask at once.

    ``work`` is given different rows, and gives a String for each; it must depend on nothing but the row. A row whose first
    cell is null is not worked out: it gives null. Where hardly any cell comes twice, all are handed to ``work``.
    """

    def __init__(self, work: Callable[[pl.DataFrame], pl.Series]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._pays = True
        self._begin()

    def _begin(self) -> None:
        self._numbering = pl.Series(
            [], dtype=pl.Categorical(pl.Categories.random())
        )  # lasts as long as a column has it
        self._known = pl.Series([], dtype=pl.String)
        self._asked = 0

    def of(self, cells: pl.DataFrame) -> pl.Series:
        """Give what ``work`` makes of ``cells``: text columns, of which the last ones never hold a control character."""
        if not self._pays or cells.estimated_size() > LONG * cells.height:
            return self._work(cells)
        key = _joined(cells)
        with self._lock:
            places = key.cast(self._numbering.dtype).to_physical()
            self._asked += places.len() - places.null_count()
            self._learn(cells, places)
            known = self._known
            self._judge()
        return known.gather(places)

    def _learn(self, cells: pl.DataFrame, places: pl.Series) -> None:
        unknown = (places >= self._known.len()).fill_null(value=False)
        if unknown.any():
            new = cells.with_columns(places.alias("place")).filter(unknown).unique("place").sort("place")
            self._known = pl.concat([self._known, self._work(new.drop("place"))], rechunk=True)

    def _judge(self) -> None:
        """Give up on a column of mostly different cells, and forget all when too much is known."""
        if self._known.len() > ENOUGH and self._asked < WORTH * self._known.len():
            self._pays = False
        if self._known.len() > MOST or not self._pays:
            self._begin()


def _joined(cells: pl.DataFrame) -> pl.Series:
    """Make one text of each row; null where its first cell is."""
    first, *others = cells.get_columns()
    if not others:
        return first
    rest = [pl.col(column.name).fill_null(_NULL) for column in others]
    return cells.select(pl.concat_str(first.name, *rest, separator=_SEPARATOR)).to_series()
