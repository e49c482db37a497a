"""SQL queries, streamed.

Owns one query against one database. Must not know what the rows are for. Neither the URL, which holds a password, nor a
database's message, which may hold cells, ever leaves this module: errors tell their class and SQLSTATE.
"""

from __future__ import annotations

import datetime as dt
import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import polars as pl
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.pool import NullPool

from connector.databases import patience
from connector.errors import ConfigError, SourceError, did_you_mean
from connector.profiles.cells import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from connector.config import Query

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QuerySource:
    """The result of one query, as a source of profiles."""

    query: Query

    @property
    def name(self) -> str:
        """What messages call it: the query's file, or else its database's name in connector.yaml."""
        return self.query.file or self.query.source

    def columns(self) -> tuple[str, ...]:
        """Return the names of the result's columns; no row is fetched.

        Raises:
            ConfigError: the variable with the URL, or the database's driver, is missing.
            SourceError: ``source.database``, ``source.header``.
        """
        with ExitStack() as stack:
            return self._names(self._executed(stack, rows=1))

    def frames(self, columns: Collection[str], *, rows: int = 65_536) -> Iterator[pl.DataFrame]:
        """Yield the named columns as text, at most ``rows`` at a time, from one transaction that is never committed.

        Raises:
            ConfigError: as `columns`.
            SourceError: as `columns`; ``source.column``, ``source.type``.
        """
        with ExitStack() as stack:
            result = self._executed(stack, rows=rows)
            names = self._names(result)
            indexes = {column: self._index(names, column) for column in columns}
            while batch := self._asked(lambda: result.fetchmany(rows)):
                cells = list(zip(*batch, strict=True))
                yield pl.DataFrame([self._text(column, cells[index]) for column, index in indexes.items()])

    def _connected(self) -> sa.Connection:
        url = os.environ.get(self.query.url_env)
        if not url:
            raise ConfigError(
                f'source "{self.query.source}" takes its database URL from {self.query.url_env}, which is not set',
                code="config.environment",
                hint=f"export {self.query.url_env}=postgresql+psycopg://user:password@host/database",
            )
        engine = _engine(url, variable=self.query.url_env)
        return self._asked(engine.connect)

    def _executed(self, stack: ExitStack, *, rows: int) -> sa.CursorResult[Any]:
        """Run the query; the stack closes cursor and connection, whatever happened to them."""
        connection = self._connected()
        stack.callback(_close, connection)
        # No parameters: the query's own % and : stay what they are.
        connection = connection.execution_options(stream_results=True, max_row_buffer=rows, no_parameters=True)
        result = self._asked(lambda: connection.exec_driver_sql(self.query.sql.strip().rstrip(";")))
        stack.callback(_close, result)
        if not result.returns_rows:
            raise SourceError(
                "the query returns no rows", code="source.database", hint="Write one SELECT.", file=self.query.file
            )
        return result

    def _names(self, result: sa.CursorResult[Any]) -> tuple[str, ...]:
        names = tuple(result.keys())
        for index, name in enumerate(names):
            if names.index(name) != index:
                raise SourceError(
                    f'columns {names.index(name) + 1} and {index + 1} of the query are both called "{name}"',
                    code="source.header",
                    hint="Give each a name of its own with AS.",
                    file=self.query.file,
                )
        return names

    def _index(self, names: tuple[str, ...], column: str) -> int:
        if column in names:
            return names.index(column)
        raise SourceError(
            f'the query has no column "{column}"',
            code="source.column",
            hint=did_you_mean(column, names),
            file=self.query.file,
        )

    def _text(self, column: str, cells: Sequence[Any]) -> pl.Series:
        """Turn a column of Python values into text, type by type: SQLite's columns mix them."""
        kinds = set(map(type, cells)) - {NoneType}
        if kinds <= {str}:
            series = [pl.Series(column, cells, dtype=pl.String)]
        else:
            series = [self._typed(column, kind, _only(kind, cells) if len(kinds) > 1 else cells) for kind in kinds]
        text = [as_text(each.to_frame(), file=self.name).to_series() for each in series]
        return pl.select(pl.coalesce(text).alias(column)).to_series()

    def _typed(self, column: str, kind: type, cells: Sequence[Any]) -> pl.Series:
        if kind is UUID or (kind is int and any(abs(cell or 0) >> 63 for cell in cells)):
            return pl.Series(column, [None if cell is None else str(cell) for cell in cells], dtype=pl.String)
        if kind is memoryview:
            return pl.Series(column, [None if cell is None else bytes(cell) for cell in cells])
        if kind is dt.datetime and any(cell is not None and cell.tzinfo for cell in cells):
            # In the zone that the database answered in: a birthday at midnight stays on its day.
            return pl.Series(column, [None if cell is None else cell.isoformat() for cell in cells])
        try:
            return pl.Series(column, cells)
        except Exception:  # noqa: BLE001  polars raises many kinds, and their messages hold cells
            problem = f'column "{column}" holds values of type {kind.__name__}, which are no attribute'
        raise SourceError(problem, code="source.type", hint="Cast it to text in the query.", file=self.query.file)

    def _asked(self, ask: Callable[[], T]) -> T:
        """Ask the database; its messages may hold cells and its URL a password, so that only their class is told."""
        hint = None
        try:
            return ask()
        except DBAPIError as exc:
            state = getattr(exc.orig, "sqlstate", None) or getattr(exc.orig, "pgcode", None)
            problem = type(exc.orig).__name__ + (f", SQLSTATE {state}" if state else "")
            if isinstance(exc, OperationalError | InterfaceError) and not state:
                hint = f"Is the database of {self.query.url_env} reachable, and does it take this user?"
        except Exception as exc:  # noqa: BLE001  drivers raise outside their own hierarchy, too
            problem = type(exc).__name__
        raise SourceError(
            f'the database "{self.query.source}" refused: {problem}',
            code="source.database",
            hint=hint or "Run the query in the database's own client to see its message.",
            file=self.query.file,
        )


def _close(opened: sa.Connection | sa.CursorResult[Any]) -> None:
    """Close; what a lost database says to that is no news, and may hold cells."""
    with suppress(Exception):
        opened.close()


def _only(kind: type, cells: Sequence[Any]) -> list[Any]:
    return [cell if type(cell) is kind else None for cell in cells]


def _engine(url: str, *, variable: str) -> sa.Engine:
    """Make an engine; SQLAlchemy's own message would print the URL."""
    try:
        parsed = sa.make_url(url)
        return sa.create_engine(parsed, poolclass=NullPool, hide_parameters=True, connect_args=patience(parsed))
    except ModuleNotFoundError as exc:
        problem, hint = (
            f"needs the Python package {exc.name}",
            "pip install 'audience-connector[postgres]' for PostgreSQL.",
        )
    except Exception:  # noqa: BLE001  a URL can be wrong in many ways
        problem, hint = "is no SQLAlchemy URL", "For example postgresql+psycopg://user:password@host/database."
    raise ConfigError(f"the database URL in {variable} {problem}", code="config.url", hint=hint)
