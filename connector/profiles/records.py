r"""Records of delimited text, one by one: exact, and slow enough to be used only where it must.

Owns what is a record, which deviations are read (blank lines, a quote inside an unquoted cell, a doubled ``\r``) and
which are refused, with the line they stand on. Must not know blocks or files. No message holds a cell.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from connector.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_QUOTED: Final = re.compile(r'"(?:[^"]|"")*+"')
SPACED: Final = "a space stands before an opening quote"
_QUOTE_HINT: Final = 'Inside a quoted cell a quote is written twice: "".'


@dataclass(frozen=True, slots=True)
class Shape:
    """What a record looks like: its separator, its number of fields, whether spaces may stand before a quote."""

    separator: str
    width: int
    skip_spaces: bool = False


@dataclass(frozen=True, slots=True)
class Records:
    """Whole records, and how many bytes they took; what follows is the beginning of another."""

    rows: list[list[str]]
    used: int


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, how many lines further down, and what to do."""

    message: str
    lines: int = 0
    code: str = "source.quotes"
    hint: str | None = _QUOTE_HINT


TOO_LONG: Final = Fault(
    "the record on this line is too long", code="source.text", hint="Is the separator right, and every quote closed?"
)


def exact_records(data: bytes, shape: Shape, *, line: int, last: bool, name: str) -> Records:
    """Read the records of UTF-8 text that begins at a record's border.

    Args:
        data: Physical lines, the last one perhaps incomplete.
        shape: What each record must look like.
        line: The physical line the data begins on, from 1.
        last: Whether the file ends with the data.
        name: The file, for messages.

    Raises:
        SourceError: ``source.fields``, ``source.quotes``, ``source.text``, with the line.
    """
    nul = data.find(b"\0")
    if nul >= 0:
        fault = Fault(
            "a NUL stands on this line", data.count(b"\n", 0, nul), code="source.text", hint="Is this a text file?"
        )
        raise error_of(fault, line=line, name=name)
    text = data[: data.rfind(b"\n") + 1].decode()
    lines = list(io.StringIO(text, newline="\n"))
    reader = _Reader(lines, shape)
    spaced = ' "' in text or '\t"' in text
    rows: list[list[str]] = []
    for start, end, record in reader:
        fault_here = _fault_of(record, shape, lines[start:end] if spaced else [])
        if fault_here is not None:
            raise error_of(fault_here, line=line + start, name=name)
        if record:
            rows.append(record)
    if reader.broken is None:
        return Records(rows, used=len("".join(lines).encode()))
    start, exhausted = reader.broken
    if exhausted and not last:
        return Records(rows, used=len("".join(lines[:start]).encode()))
    raise error_of(diagnosed("".join(lines[start:]), shape) or TOO_LONG, line=line + start, name=name)


def error_of(fault: Fault, *, line: int, name: str) -> SourceError:
    """Make a fault an error; ``line`` is where its text begins."""
    return SourceError(fault.message, code=fault.code, hint=fault.hint, file=name, line=line + fault.lines)


def diagnosed(text: str, shape: Shape) -> Fault | None:
    """Say what is wrong with the quotes of the record that ``text`` begins with, or nothing."""
    at = 0
    while True:
        if shape.skip_spaces:
            at = len(text) - len(text[at:].lstrip(" "))
        lines = text.count("\n", 0, at)
        if text.startswith('"', at):
            quoted = _QUOTED.match(text, at)
            if quoted is None:
                return Fault("a quoted cell opens on this line and does not end", lines)
            at = quoted.end()
            if text[at : at + 1] not in {shape.separator, "\r", "\n", ""}:
                return Fault("text follows the end of a quoted cell that opens on this line", lines)
        else:
            end = min(
                (found for found in (text.find(shape.separator, at), text.find("\n", at)) if found >= 0),
                default=len(text),
            )
            cell = text[at:end]
            if "\r" in cell.rstrip("\r"):
                return Fault("a carriage return stands inside this line", lines, code="source.text", hint=None)
            if cell.startswith((" ", "\t")) and cell.lstrip().startswith('"'):
                return Fault(SPACED, lines, hint="Write the quote right after the separator.")
            at = end
        if text[at : at + 1] != shape.separator:
            return None
        at += 1


class _Reader:
    """Iterates over (first line, line after, record), lines from 0; ``broken`` says where it stopped, and whether for want of more lines."""

    def __init__(self, lines: list[str], shape: Shape) -> None:
        self._lines = lines
        self._exhausted = False
        self._reader = csv.reader(
            self._fed(), delimiter=shape.separator, skipinitialspace=shape.skip_spaces, strict=True
        )
        self.broken: tuple[int, bool] | None = None

    def _fed(self) -> Iterator[str]:
        yield from self._lines
        self._exhausted = True

    def __iter__(self) -> Iterator[tuple[int, int, list[str]]]:
        while True:
            start = self._reader.line_num
            try:
                record = next(self._reader)
            except StopIteration:
                return
            except csv.Error:
                self.broken = start, self._exhausted
                return
            yield start, self._reader.line_num, record


def _fault_of(record: Sequence[str], shape: Shape, lines: Sequence[str]) -> Fault | None:
    """Return what is wrong with a record that could be read; its lines are needed if a quote follows a space in them."""
    if lines and any(cell.startswith((" ", "\t")) and cell.lstrip().startswith('"') for cell in record):
        fault = diagnosed("".join(lines), shape)
        if fault is not None:
            return fault
    if not record or len(record) == shape.width:
        return None
    found = f"{len(record)} field{'s' if len(record) > 1 else ''}"
    return Fault(
        f"{found} on this line, {shape.width} in the header",
        code="source.fields",
        hint=f"The separator is {_shown(shape.separator)}; a cell that holds it must be quoted.",
    )


def _shown(separator: str) -> str:
    return "tab" if separator == "\t" else f'"{separator}"'
