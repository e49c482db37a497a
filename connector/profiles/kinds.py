"""What a text cell can be read as when a predicate compares it: a number, a date, a timestamp, a boolean.

Owns the forms accepted. A cell in another form is null. Must not know SQL.
"""

from __future__ import annotations

import datetime as dt
import re
from enum import StrEnum
from typing import Final

import polars as pl

_NUMBER: Final = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$"
_DAY: Final = r"^(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[T ]\d{1,2}:\d{2}.*)?$"
_COMPACT_DAY: Final = r"^(\d{4})(\d{2})(\d{2})$"
_CLOCK: Final = r"^.{8,10}[T ](\d{1,2}):(\d{2})(?::(\d{2}))?"
_TRUE: Final = ("true", "t", "yes", "y", "on", "1")
_FALSE: Final = ("false", "f", "no", "n", "off", "0")
_DATE_SHAPE: Final = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?\Z")


class Kind(StrEnum):
    """How a cell is read."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    TIMESTAMP = "timestamp"
    BOOLEAN = "boolean"


def read_as(kind: Kind, text: pl.Expr) -> pl.Expr:
    """Read text cells as a kind other than text; null where they are none.

    ============  ============================================================================
    number        ``3``, ``-3.50``, ``1e3``; no thousands separator, no decimal comma
    date          ``1990-05-01``, ``1990/5/1``, ``19900501``; the day of a timestamp
    timestamp     as date, with ``13:45`` or ``13:45:10`` behind; an offset is not applied
    boolean       true t yes y on 1, false f no n off 0, in any case
    ============  ============================================================================

    White space around the cell does not count.
    """
    return _READERS[kind](text.str.strip_chars())


def date_literal(text: str) -> dt.date | dt.datetime | None:
    """Read an ISO date or timestamp of a query; nothing when it is none.

    >>> date_literal("2024-02-29"), date_literal("2023-02-29"), date_literal("soon")
    (datetime.date(2024, 2, 29), None, None)
    """
    if not _DATE_SHAPE.match(text):
        return None
    try:
        return dt.date.fromisoformat(text) if len(text) == 10 else dt.datetime.fromisoformat(text)
    except ValueError:
        return None


def shaped_as_date(text: str) -> bool:
    """Tell whether a text of a query is written as a date, be it in the calendar or not."""
    return _DATE_SHAPE.match(text) is not None


def is_number(text: str) -> bool:
    """Tell whether a text of a query would be read as a number in a cell."""
    return re.match(_NUMBER, text.strip()) is not None


def _day(cell: pl.Expr) -> pl.Expr:
    parts = (cell.str.extract_groups(pattern).struct for pattern in (_DAY, _COMPACT_DAY))
    iso = [pl.concat_str(part[0], part[1].str.zfill(2), part[2].str.zfill(2), separator="-") for part in parts]
    return pl.coalesce(iso).str.to_date("%Y-%m-%d", strict=False)


def _time_of_day(cell: pl.Expr) -> pl.Expr:
    clock = cell.str.extract_groups(_CLOCK).struct
    hours, minutes, seconds = (clock[index].cast(pl.Int64, strict=False).fill_null(0) for index in range(3))
    return pl.duration(hours=hours, minutes=minutes, seconds=seconds)


def _number(cell: pl.Expr) -> pl.Expr:
    return pl.when(cell.str.contains(_NUMBER)).then(cell.str.strip_prefix("+")).cast(pl.Float64, strict=False)


def _timestamp(cell: pl.Expr) -> pl.Expr:
    return _day(cell).cast(pl.Datetime("us")) + _time_of_day(cell)


def _boolean(cell: pl.Expr) -> pl.Expr:
    word = cell.str.to_lowercase()
    return pl.when(word.is_in(_TRUE)).then(True).when(word.is_in(_FALSE)).then(False)


_READERS: Final = {Kind.NUMBER: _number, Kind.DATE: _day, Kind.TIMESTAMP: _timestamp, Kind.BOOLEAN: _boolean}
