"""Delimited text: CSV and its relatives, read right or refused with the line.

Owns the way from text to frames. polars pads short records and cuts long ones without a word, so the fields of every
record are counted here, a block at a time, before polars parses it; a block that this quick count does not vouch for is
read record by record (`records.py`). Must not know encodings nor what a column means. No message holds a cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from connector.profiles.cells import as_text
from connector.profiles.encodings import Utf8Stream, newlines
from connector.profiles.records import TOO_LONG, Shape, diagnosed, error_of, exact_records
from connector.profiles.table_header import HEAD_BYTES, Header, read_header
from connector.room import ROW_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from connector.config import TableFile
    from connector.profiles.files import File

BLOCK_BYTES: Final = 16 << 20
EXACT_BYTES: Final = 2 << 20
"""How much of a doubtful block is read record by record before the quick count is tried again."""
RECORD_BYTES: Final = 16 << 20
"""The longest record: what is longer is a quote that was never closed."""

_NEWLINE, _RETURN, _QUOTE = (ord(character) for character in '\n\r"')


@dataclass(frozen=True, slots=True)
class DelimitedFile:
    """One delimited file. ``block`` is how many bytes are read at a time: a bound on memory, never on content."""

    file: File
    spec: TableFile
    block: int = BLOCK_BYTES

    @property
    def name(self) -> str:
        """What messages call the file."""
        return self.file.name

    def columns(self) -> tuple[str, ...]:
        """Return the names in the header, trimmed, in file order; blank ones are left out.

        Raises:
            SourceError: no header, a doubled name, undecodable text.
        """
        with self.file.open() as raw:
            stream = Utf8Stream(raw, name=self.name, encoding=self.spec.encoding)
            return read_header(stream.read(HEAD_BYTES), self.spec, name=self.name).named

    def frames(self, columns: Sequence[str], *, rows: int) -> Iterator[pl.DataFrame]:
        """Yield the named columns as text, at most ``rows`` at a time.

        Raises:
            SourceError: with the line: too few or too many fields, a quote without its end, text that is none.
        """
        with self.file.open() as raw:
            stream = Utf8Stream(raw, name=self.name, encoding=self.spec.encoding)
            head = stream.read(HEAD_BYTES)
            header = read_header(head, self.spec, name=self.name)
            block = min(self.block, ROW_BYTES * rows)  # no more than so many rows may take
            for frame in self._parsed(_pieces(head[header.used :], stream, block), block, header, columns):
                yield from as_text(frame, null=self.spec.null, file=self.name).iter_slices(rows)

    def _parsed(
        self, pieces: Iterator[bytes], block: int, header: Header, columns: Sequence[str]
    ) -> Iterator[pl.DataFrame]:
        """Cut the text at the borders of records and parse piece by piece."""
        read = _Records(header.shape, {column: header.names.index(column) for column in columns}, self.name)
        data, line, ended, used = b"", header.lines + 1, False, 0
        # How many of the bytes ahead are known to hold something doubtful: they are looked at in small pieces.
        doubtful = 0
        while True:
            if used == 0 or (len(data) < block and not ended):
                piece = next(pieces, b"")
                ended = not piece
                data += piece
            if ended and not data.endswith(b"\n"):
                data += b"\n"
            if ended and data == b"\n":
                return
            found = None if doubtful > 0 else read.quickly(data, last=ended, line=line)
            if found is None:
                doubtful = max(doubtful, 0) or len(data)
                found = read.closely(data, last=ended, line=line)
            used, frame = found
            if frame.height:
                yield frame
            line += newlines(data[:used])
            data, doubtful = data[used:], doubtful - used
            if ended and not data:
                return


@dataclass(frozen=True, slots=True)
class _Records:
    """Reads the whole records at the start of a text; ``indexes`` says which column stands where."""

    shape: Shape
    indexes: dict[str, int]
    name: str

    def quickly(self, data: bytes, *, last: bool, line: int) -> tuple[int, pl.DataFrame] | None:
        """Return the bytes taken and the records, or nothing when one of them is in doubt."""
        used, count = vouched(data, self.shape)
        if count > 0:
            frame = _parse(data[:used], self.shape, self.indexes)
            return (used, frame) if frame is not None and frame.height == count else None
        if count < 0 or last:
            return None
        if len(data) > RECORD_BYTES:
            raise error_of(diagnosed(data.decode(errors="replace"), self.shape) or TOO_LONG, line=line, name=self.name)
        return 0, pl.DataFrame()

    def closely(self, data: bytes, *, last: bool, line: int) -> tuple[int, pl.DataFrame]:
        """Return the bytes taken and the records, read one by one unless the next few megabytes are beyond doubt."""
        near = data[:EXACT_BYTES]
        if len(near) < len(data):
            found = self.quickly(near, last=True, line=line)
            if found is not None:
                return found
        records = exact_records(near, self.shape, line=line, last=last and len(near) == len(data), name=self.name)
        if records.used == 0 and len(near) < len(data):
            records = exact_records(data, self.shape, line=line, last=last, name=self.name)
        cells = {column: [row[index] for row in records.rows] for column, index in self.indexes.items()}
        return records.used, pl.DataFrame(cells, schema=dict.fromkeys(self.indexes, pl.String))


def _pieces(head: bytes, stream: Utf8Stream, size: int) -> Iterator[bytes]:
    """Yield what is left of the head, then the rest of the stream; a piece may end inside a character."""
    for start in range(0, len(head), size):
        yield head[start : start + size]
    while piece := stream.read(size):
        yield piece


def vouched(data: bytes, shape: Shape) -> tuple[int, int]:
    """Count the records at the start of the data that are beyond doubt.

    Returns:
        The bytes they take and their number. ``(0, 0)``: no record ends in the data. ``(0, -1)``: at least one record
        is not plainly right, and must be looked at one by one.
    """
    text = np.frombuffer(data, np.uint8)
    if shape.skip_spaces or b"\0" in data or not _ends_alike(text, data):
        return 0, -1
    marks = (text == ord(shape.separator)) | (text == _NEWLINE)
    if b'"' in data:
        marks |= text == _QUOTE
    at = np.flatnonzero(marks)
    mark = text[at]
    is_quote = mark == _QUOTE
    # Quotes open and close in turn; what stands after an even number of them stands outside.
    outside = (np.cumsum(is_quote, dtype=np.uint8) & 1) == 0
    ends = np.flatnonzero((mark == _NEWLINE) & outside)
    if not ends.size:
        return 0, 0
    last = int(ends[-1]) + 1
    if not _proper(text, at[:last][is_quote[:last]], shape) or _blank_line(data, shape):
        return 0, -1
    borders = mark[:last][outside[:last] & ~is_quote[:last]]
    if borders.size % shape.width:
        return 0, -1
    ends_line = (borders == _NEWLINE).reshape(-1, shape.width)
    right = ends_line[:, -1].all() and ends.size == ends_line.shape[0]
    return (int(at[last - 1]) + 1, ends_line.shape[0]) if right else (0, -1)


def _ends_alike(text: NDArray[np.uint8], data: bytes) -> bool:
    """Tell whether every carriage return stands before a newline."""
    if b"\r" not in data:
        return True
    returns = np.flatnonzero(text == _RETURN)
    if returns[-1] + 1 == text.size:
        returns = returns[:-1]
    return bool((text[returns + 1] == _NEWLINE).all())


def _proper(text: NDArray[np.uint8], quotes: NDArray[np.intp], shape: Shape) -> bool:
    """Tell whether every quote opens a cell, closes one, or is half of a doubled one; all are closed."""
    opening, closing = quotes[0::2], quotes[1::2]
    before = text[opening[opening > 0] - 1]
    after = text[closing + 1]
    allowed = np.zeros(256, dtype=np.bool_)
    allowed[[ord(shape.separator), _NEWLINE, _QUOTE]] = True
    right_before = allowed[before].all()
    allowed[_RETURN] = True
    return bool(right_before and allowed[after].all())


def _blank_line(data: bytes, shape: Shape) -> bool:
    """Tell whether a table of one column may hold blank lines, which its count cannot see."""
    return shape.width == 1 and (data.startswith((b"\n", b"\r\n")) or b"\n\n" in data or b"\n\r\n" in data)


def _parse(data: bytes, shape: Shape, indexes: dict[str, int]) -> pl.DataFrame | None:
    """Parse records that are beyond doubt; columns by position, as polars' names for them differ between versions."""
    positions = sorted(indexes.values())
    try:
        frame = pl.read_csv(data, has_header=False, separator=shape.separator, infer_schema=False, columns=positions)
    except Exception:  # noqa: BLE001  its message may hold cells; the exact reader knows the line
        return None
    parsed = dict(zip(positions, frame.iter_columns(), strict=True))
    return pl.DataFrame([parsed[index].alias(column) for column, index in indexes.items()])
