"""NDJSON: one JSON object a line, read for the columns asked for.

Owns lines, keys and which JSON is refused. A key may begin to appear on any line. Must not know encodings nor what a key
means. No message holds a cell.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar

import polars as pl

from connector.errors import SourceError
from connector.profiles.cells import as_text
from connector.profiles.encodings import Utf8Stream, newlines
from connector.room import ROW_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from polars.datatypes import DataTypeClass

    from connector.config import TableFile
    from connector.profiles.files import File

    Schema = Mapping[str, DataTypeClass | pl.DataType]

Text = TypeVar("Text", pl.Series, pl.Expr)

BLOCK_BYTES: Final = 16 << 20
PROBE_BYTES: Final = 512 << 10
"""How much of every block but the first is searched for keys that the first does not have."""
LINE_BYTES: Final = 64 << 20
_BLANK: Final = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class JsonLinesFile:
    """One NDJSON file. ``block`` is how many bytes are read at a time: a bound on memory, never on content."""

    file: File
    spec: TableFile
    block: int = BLOCK_BYTES

    @property
    def name(self) -> str:
        """What messages call the file."""
        return self.file.name

    def columns(self) -> tuple[str, ...]:
        """Return the keys, in the order in which they appear.

        There is no header: the first 16 MB are read, and of every further 16 MB the first lines.

        Raises:
            SourceError: with the line: what is no JSON object; ``source.empty``.
        """
        names: dict[str, None] = {}
        for line, data in self._blocks(self.block):
            end = data.find(b"\n", PROBE_BYTES)
            probe = data if line == 1 or end < 0 else data[:end]
            for offset, text in enumerate(probe.split(b"\n")):
                value, problem = _value_of(text)
                if problem:
                    raise self._wrong(problem, line + offset)
                names.update(dict.fromkeys(value))
        if not names:
            raise SourceError("is empty: not one object", code="source.empty", file=self.name)
        return tuple(names)

    def frames(self, columns: Sequence[str], *, rows: int) -> Iterator[pl.DataFrame]:
        """Yield the named keys as text, at most ``rows`` at a time; a key that a line lacks is null.

        A column is List(String) in the blocks in which one of its values is a JSON array.

        Raises:
            SourceError: with the line: what is no JSON object, an object where an attribute should be.
        """
        for line, data in self._blocks(min(self.block, ROW_BYTES * rows)):
            block = _Block(data, line=line, name=self.name)
            frame = block.read(dict.fromkeys(columns, pl.String))
            lists = [column for column in columns if _looks_nested(frame[column]).any()]
            frame = frame.with_columns(block.lists(frame, lists)) if lists else frame
            block.refuse_nul(frame)
            yield from as_text(frame, null=self.spec.null, file=self.name).iter_slices(rows)

    def _blocks(self, size: int) -> Iterator[tuple[int, bytes]]:
        """Yield whole lines with the number of the first, about ``size`` bytes at a time."""
        with self.file.open() as raw:
            stream = Utf8Stream(raw, name=self.name, encoding=self.spec.encoding)
            line, data, ended = 1, b"", False
            while not ended:
                piece = stream.read(size)
                ended = not piece
                data += piece
                end = len(data) if ended else data.rfind(b"\n") + 1
                if not end and len(data) > LINE_BYTES:
                    raise self._wrong("this line is too long", line)
                whole, data = data[:end], data[end:]
                if whole and not whole.isspace():
                    yield line, whole
                line += newlines(whole)

    def _wrong(self, problem: str, line: int) -> SourceError:
        return _error(problem, file=self.name, line=line)


class _Block:
    """Whole lines of JSON, the first of them number ``line``."""

    def __init__(self, data: bytes, *, line: int, name: str) -> None:
        self._data = data
        self._line = line
        self._name = name

    def read(self, schema: Schema) -> pl.DataFrame:
        """Read the schema's keys, or refuse with the first line that cannot be read."""
        frame = _read(self._data, schema)
        if frame is not None:
            return frame
        lines = self._data.split(b"\n")
        # The first line with which the lines before it can no longer be read.
        bad = bisect_left(
            range(len(lines)), True, key=lambda last: _read(b"\n".join(lines[: last + 1]), schema) is None
        )
        problem = _value_of(lines[bad])[1] if bad < len(lines) else None
        raise _error(problem or "this line is no JSON that connector reads", file=self._name, line=self._line + bad)

    def lists(self, frame: pl.DataFrame, columns: Sequence[str]) -> list[pl.Series]:
        """Return columns of text that begin like an array as what they are: lists, or text after all."""
        lists = _read(self._data, dict.fromkeys(columns, pl.List(pl.String)))
        if lists is None:
            return [self._mixed(frame[column]) for column in columns]
        for column in columns:
            nested = lists.get_column(column).list.eval(_looks_nested(pl.element())).list.any()
            for row in nested.arg_true():
                if _is_nested(self._value(row, column)):
                    raise self._refused(row, column)
        return lists.get_columns()

    def refuse_nul(self, frame: pl.DataFrame) -> None:
        r"""Refuse a NUL, which half a surrogate pair (``\ud83d`` alone) also becomes."""
        if b"\\u" not in self._data:
            return
        for column in frame.iter_columns():
            text = column.list.join("", ignore_nulls=True) if isinstance(column.dtype, pl.List) else column
            for row in text.str.contains("\0", literal=True).arg_true():
                raise _error("a text on this line is no Unicode", file=self._name, line=self._line_of(row))

    def _mixed(self, text: pl.Series) -> pl.Series:
        """Wrap single values among lists; refuse objects, and lists of lists."""
        rows = _looks_nested(text).arg_true().to_list()
        values = {row: self._value(row, text.name) for row in rows}
        for row, value in values.items():
            if isinstance(value, dict) or (
                isinstance(value, list) and any(isinstance(each, list | dict) for each in value)
            ):
                raise self._refused(row, text.name)
        listed = [row for row, value in values.items() if isinstance(value, list)]
        if not listed:
            return text
        # Read again as lists: polars' text of a list is no JSON when an element holds a control character.
        alone = b"\n".join(json.dumps({text.name: values[row]}).encode() for row in listed)
        lists = pl.read_ndjson(alone, schema={text.name: pl.List(pl.String)}).to_series()
        column = pl.col(text.name)
        singles = text.to_frame().select(pl.when(column.is_not_null()).then(pl.concat_list(column))).to_series()
        order = pl.Series(range(text.len()), dtype=pl.UInt32).scatter(
            listed, range(text.len(), text.len() + len(listed))
        )
        return pl.concat([singles, lists]).gather(order).alias(text.name)

    def _value(self, row: int, column: str) -> object:
        return _value_of(self._lines[row][1])[0].get(column)

    def _refused(self, row: int, column: str) -> SourceError:
        return _error(
            f'"{column}" on this line is nested, and no attribute',
            file=self._name,
            line=self._line_of(row),
            code="source.type",
        )

    def _line_of(self, row: int) -> int:
        return self._lines[row][0]

    @cached_property
    def _lines(self) -> list[tuple[int, bytes]]:
        """Return the lines that are rows: all but the blank ones."""
        numbered = enumerate(self._data.split(b"\n"), self._line)
        return [(number, text) for number, text in numbered if text.strip(_BLANK)]


def _looks_nested(text: Text) -> Text:
    """Tell which texts begin as an array or an object does: polars hands both over as text."""
    return text.str.starts_with("[") | text.str.starts_with("{")


def _is_nested(value: object) -> bool:
    """Tell whether a value is an object or a list that holds one, or lists."""
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(each, list | dict) for each in value))


def _error(problem: str, *, file: str, line: int, code: str = "source.json") -> SourceError:
    hint = "NDJSON has one flat JSON object on each line."
    return SourceError(problem, code=code, hint=hint, file=file, line=line)


def _read(data: bytes, schema: Schema) -> pl.DataFrame | None:
    try:
        return pl.read_ndjson(data, schema=dict(schema))
    except Exception:  # noqa: BLE001  polars' message holds the line
        return None


def _value_of(text: bytes) -> tuple[dict[str, object], str | None]:
    """Return the object of a line, empty for a blank one, or what is wrong with it."""
    if not text.strip(_BLANK):
        return {}, None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}, "this line is no JSON"
    if not isinstance(value, dict):
        return {}, "this line is no JSON object"
    return value, None
