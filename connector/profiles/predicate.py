"""``where``: one SQL condition over a source's columns, as a mask.

Owns the way from SQL to a mask. Must not know where frames come from. A column that is compared as number, date or
boolean is read as such for the comparison only; everyone else sees its text.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl
from sqlglot import exp

from connector.errors import ConfigError, SourceError, did_you_mean
from connector.profiles.comparisons import Kinds
from connector.profiles.grammar import parsed, refused
from connector.profiles.kinds import Kind, read_as
from connector.profiles.terms import Terms, reading_name

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition that is understood: its SQL, and the columns it needs."""

    sql: str
    columns: tuple[str, ...]
    _condition: pl.Expr = field(repr=False, compare=False)
    _readings: tuple[tuple[str, Kind], ...] = field(repr=False, compare=False)

    def mask(self, frame: pl.DataFrame) -> tuple[pl.Series, dict[str, int]]:
        """Return where the condition holds, and per column how many cells could not be read as what it is compared with.

        The mask is Boolean without nulls: where SQL says *unknown*, the row is left out. The counts name only columns
        with such cells.

        Raises:
            SourceError: ``source.type``, a column that holds lists.
        """
        for column in self.columns:
            if frame.schema[column] != pl.String:
                raise SourceError(f'`where` compares column "{column}", which holds lists', code="source.type")
        readings = {reading_name(column, kind): read_as(kind, pl.col(column)) for column, kind in self._readings}
        typed = frame.with_columns(**readings)
        counts: dict[str, int] = {}
        for column, kind in self._readings:
            blank = pl.col(column).str.strip_chars() == ""
            unread = typed.select((~blank & pl.col(reading_name(column, kind)).is_null()).sum()).item()
            if unread:
                counts[column] = max(unread, counts.get(column, 0))
        mask = typed.select(self._condition.fill_null(False).alias("where")).to_series()
        # A condition that polars finds constant has one row, however many the frame has.
        return (mask if mask.len() == frame.height else mask.new_from_index(0, frame.height)), counts


def parse_predicate(
    sql: str,
    *,
    columns: Collection[str],
    file: Path | str | None = None,
    line: int | None = None,
    today: dt.date | None = None,
) -> Predicate:
    """Understand a condition.

    Args:
        sql: One SQL expression. Column names are plain or in double quotes; their case matters only where two differ in nothing else.
        columns: The source's columns.
        file: Where the condition is written, for messages; with ``line``.
        line: Its line, from 1.
        today: What ``current_date`` means, by default today in UTC.

    Raises:
        ConfigError: ``config.where``: no SQL, a subquery, something not allowed, kinds that do not fit;
            ``config.column``: a column that is not there.
    """
    try:
        condition = parsed(sql)
        names = _resolve(condition, columns)
        kinds = Kinds()
        kinds.settle(condition)
        terms = Terms(kinds, today or dt.datetime.now(dt.UTC).date())
        expression = terms.term(condition, Kind.BOOLEAN)
    except ConfigError as exc:
        problem = exc
    else:
        readings = tuple(reading for reading in terms.readings if reading[1] is not Kind.TEXT)
        return Predicate(sql, names, expression, readings)
    raise ConfigError(problem.message, code=problem.code, hint=problem.hint, file=file, line=line)


def _resolve(condition: exp.Expr, columns: Collection[str]) -> tuple[str, ...]:
    """Give every column its name in the source, in place; return the names, each once."""
    if "current_date" in map(str.lower, columns) and condition.find(exp.CurrentDate):
        raise refused(
            "`where` names current_date, which is a function and a column", 'Write the column as "current_date".'
        )
    names: dict[str, None] = {}
    for node in list(condition.find_all(exp.Column, bfs=False)):
        written = ".".join(part.name for part in node.parts)
        name = _name_of(written, columns, quoted=bool(node.this.args.get("quoted")))
        names[name] = None
        node.set("this", exp.to_identifier(name, quoted=True))
        for part in ("table", "db", "catalog"):
            node.set(part, None)
    return tuple(names)


def _name_of(written: str, columns: Collection[str], *, quoted: bool) -> str:
    if written in columns:
        return written
    alike = [column for column in columns if column.lower() == written.lower()]
    if len(alike) == 1:
        return alike[0]
    hint = did_you_mean(written, columns)
    if alike:
        hint = "Write it in double quotes, in its own case."
    elif hint is None and quoted:
        hint = "Text stands in single quotes, a column in double quotes."
    raise ConfigError(
        f'`where` names a column "{written}" that the source does not have', code="config.column", hint=hint
    )
