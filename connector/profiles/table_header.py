"""The header of delimited text: separator and column names.

Owns how a separator is recognised and which headers are refused. No message holds a cell, and a header may be data when
somebody forgot it: columns are named by their position.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from connector.errors import ConfigError, SourceError
from connector.profiles.records import SPACED, TOO_LONG, Shape, diagnosed, error_of

if TYPE_CHECKING:
    from connector.config import TableFile

HEAD_BYTES: Final = 64 << 10
"""How much of the text is looked at for separator and header; a header must fit in."""

# The comma comes last, for it stands in prices and phrases, too: name;size, cm / Anna;170,5.
_SEPARATORS: Final = "\t;|,"
_SAMPLE_RECORDS: Final = 50
_WORDS: Final = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_EMAIL: Final = re.compile(r"\S@\S+\.\S")
# Excel announces its separator so: sep=;
_ANNOUNCED: Final = re.compile(r'\A"?sep=([^"\r\n])"?\r?\n')


@dataclass(frozen=True, slots=True)
class Header:
    """Names by position, ``""`` where blank; the bytes and lines they took; the shape of the records below."""

    names: tuple[str, ...]
    used: int
    lines: int
    shape: Shape

    @property
    def named(self) -> tuple[str, ...]:
        """The names that can be asked for."""
        return tuple(name for name in self.names if name)


def read_header(head: bytes, spec: TableFile, *, name: str) -> Header:
    """Read the first record of a table.

    Raises:
        ConfigError: ``config.separator``.
        SourceError: ``source.empty``, ``source.header``, ``source.quotes``.
    """
    whole = len(head) < HEAD_BYTES - 4
    text = head.decode() if whole else head[: head.rfind(b"\n") + 1].decode()
    announced = _ANNOUNCED.match(text)
    skipped = announced.end() if announced else 0
    blank = len(text) - len(text[skipped:].lstrip("\r\n"))
    body = text[blank:]
    if not body.strip():
        problem = "is empty: not even a header" if whole else "begins with a line that is too long for a header"
        raise SourceError(problem, code="source.empty", file=name, line=1)
    separator = _chosen(spec.separator) or (announced[1] if announced else None) or recognised_separator(body)
    line = text.count("\n", 0, blank) + 1
    skip_spaces = _spaces_before_quotes(body, separator)
    record, lines = _first_record(body, Shape(separator, 0, skip_spaces), line=line, name=name)
    names = tuple(cell.strip(" \t\r\n\ufeff\u00a0") for cell in record)
    _check(names, line=line, name=name)
    used = len("".join(text[:blank])) + len("".join(lines))
    return Header(
        names=names,
        used=len(text[:used].encode()),
        lines=line - 1 + len(lines),
        shape=Shape(separator, len(names), skip_spaces),
    )


def recognised_separator(text: str) -> str:
    r"""Return the separator under which the first records agree best with the header, then the one with most fields.

    >>> recognised_separator("name;size, cm\nAnna;170,5\n")
    ';'
    """
    agreement = {separator: _agreement(text, separator) for separator in _SEPARATORS}
    best = max(_SEPARATORS, key=lambda separator: agreement[separator])
    # A header of one name has no separator; a comma below it is then one field too many.
    return best if any(agreement[best]) else ","


def _agreement(text: str, separator: str) -> tuple[float, int]:
    """Return the share of the first records that have as many fields as the header, and how many these are."""
    widths = [len(record) for record, _ in _sample(text, separator)]
    # The last record may be cut by the end of the sample.
    if len(widths) > 2:
        widths.pop()
    if not widths or widths[0] < 2:
        return 0.0, 0
    return widths.count(widths[0]) / len(widths), widths[0]


def _spaces_before_quotes(text: str, separator: str) -> bool:
    """Tell whether the file is written ``"a", "b"``: then spaces before a quote belong to no cell."""
    if f'{separator} "' not in text:
        return False
    faults = (diagnosed(lines, Shape(separator, 0)) for _, lines in _sample(text, separator))
    return any(fault is not None and fault.message == SPACED for fault in faults)


def _sample(text: str, separator: str) -> list[tuple[list[str], str]]:
    """Read the first records leniently, each with the lines it stands on."""
    lines = list(io.StringIO(text, newline="\n"))
    reader = csv.reader(lines, delimiter=separator)
    records: list[tuple[list[str], str]] = []
    start = 0
    try:
        for record in reader:
            if record:
                records.append((record, "".join(lines[start : reader.line_num])))
            start = reader.line_num
            if len(records) > _SAMPLE_RECORDS:
                break
    except csv.Error:
        pass
    return records


def _chosen(separator: str | None) -> str | None:
    if separator is None:
        return None
    separator = _WORDS.get(separator, separator)
    if len(separator) == 1 and separator.isascii() and separator not in '"\r\n\0':
        return separator
    raise ConfigError(
        "separator is one ASCII character, or tab",
        code="config.separator",
        hint='For example: separator: ";"',
    )


def _first_record(text: str, shape: Shape, *, line: int, name: str) -> tuple[list[str], list[str]]:
    """Return the header's cells and the physical lines they stand on."""
    lines = list(io.StringIO(text, newline="\n"))
    reader = csv.reader(lines, delimiter=shape.separator, skipinitialspace=shape.skip_spaces, strict=True)
    try:
        record = next(reader)
        return record, lines[: reader.line_num]
    except (csv.Error, StopIteration):
        pass
    raise error_of(diagnosed(text, shape) or TOO_LONG, line=line, name=name)


def _check(names: tuple[str, ...], *, line: int, name: str) -> None:
    if any("\0" in each for each in names):
        hint = "Is this a text file? If so, say its encoding: from: {path: …, encoding: utf-16}."
        raise SourceError("a NUL stands on this line", code="source.text", hint=hint, file=name, line=line)
    if any(_EMAIL.search(each) for each in names) or not any(names):
        raise SourceError(
            "this line holds data or blanks where the column names should stand",
            code="source.header",
            hint="Put a line with the column names first.",
            file=name,
            line=line,
        )
    for index, each in enumerate(names):
        if each and names.index(each) != index:
            raise SourceError(
                f"columns {names.index(each) + 1} and {index + 1} have the same name",
                code="source.header",
                hint="Give every column a name of its own.",
                file=name,
                line=line,
            )
