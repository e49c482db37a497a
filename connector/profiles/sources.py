"""Every source as bounded frames of text: a file, a glob, an object-store URL, a query.

Owns which reader takes which source, and that files of one glob form one table. Must not know mappings or predicates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from connector.config import Query, TableFile
from connector.errors import ConfigError, SourceError, did_you_mean
from connector.profiles.columnar import ColumnarFile
from connector.profiles.files import COMPRESSED_SUFFIXES, File, expand
from connector.profiles.json_lines import JsonLinesFile
from connector.profiles.object_store import safe_name
from connector.profiles.queries import QuerySource
from connector.profiles.tables import DelimitedFile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import polars as pl

DELIMITED: Final = (".csv", ".tsv", ".tab", ".txt", ".psv")
JSON_LINES: Final = (".ndjson", ".jsonl", ".json")
PARQUET: Final = (".parquet", ".pq")
ARROW: Final = (".arrow", ".ipc", ".feather")
SPREADSHEETS: Final = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")

FRAME_ROWS: Final = 65_536


class Source(Protocol):
    """Profiles as text, read from front to back as often as one likes."""

    @property
    def name(self) -> str:
        """The path, glob, URL without credentials, or query; for messages."""

    def columns(self) -> tuple[str, ...]:
        """Return the column names; reads a header, not the rows (NDJSON has no header and is read through)."""

    def frames(self, columns: Collection[str], *, rows: int = FRAME_ROWS) -> Iterator[pl.DataFrame]:
        """Yield frames of at most ``rows`` rows in source order, with just these columns.

        Every column is String, or List(String) where the source holds lists; null where a cell is empty or missing.

        Raises:
            SourceError: what cannot be read, with file and line; ``source.column`` for a column that is not there.
        """


@dataclass(frozen=True, slots=True)
class FileSource:
    """Files that form one table, each read by its own reader."""

    name: str
    files: tuple[DelimitedFile | JsonLinesFile | ColumnarFile, ...]

    def columns(self) -> tuple[str, ...]:
        """Return the names in the first file's header; the others' may stand in another order."""
        return self.files[0].columns()

    def frames(self, columns: Collection[str], *, rows: int = FRAME_ROWS) -> Iterator[pl.DataFrame]:
        """Yield the files' frames one after the other; every header is looked at before the first row is read."""
        wanted = list(dict.fromkeys(columns))
        for file in self.files:
            if not isinstance(file, JsonLinesFile):
                _all_there(wanted, file)
        for file in self.files:
            yield from file.frames(wanted, rows=rows)


def open_source(spec: TableFile | Query) -> Source:
    """Find the reader for a source; files are looked for, nothing is read.

    Raises:
        ConfigError: a format, scheme or package that is not there.
        SourceError: ``source.missing``.
    """
    if isinstance(spec, Query):
        return QuerySource(spec)
    name = safe_name(spec.path) if "://" in spec.path else spec.path
    return FileSource(name, tuple(_reader(file, spec) for file in expand(spec.path)))


def _reader(file: File, spec: TableFile) -> DelimitedFile | JsonLinesFile | ColumnarFile:
    if file.suffix in DELIMITED:
        return DelimitedFile(file, spec)
    if file.suffix in JSON_LINES:
        return JsonLinesFile(file, spec)
    if file.suffix in PARQUET + ARROW and not file.compressed:
        return ColumnarFile(file, parquet=file.suffix in PARQUET, null=spec.null)
    known = f"It reads {', '.join((*DELIMITED, *JSON_LINES, *PARQUET, *ARROW))}, and text with {', '.join(COMPRESSED_SUFFIXES)}."
    spreadsheet = " Save it as CSV (UTF-8), with ids and phone numbers as text: a spreadsheet shortens long numbers."
    raise ConfigError(
        f'{file.name}: connector does not know the format "{file.suffix}"',
        code="config.format",
        hint=known + (spreadsheet if file.suffix in SPREADSHEETS else ""),
    )


def _all_there(columns: list[str], file: DelimitedFile | ColumnarFile) -> None:
    known = file.columns()
    for column in columns:
        if column not in known:
            raise SourceError(
                f'there is no column "{column}"', code="source.column", hint=did_you_mean(column, known), file=file.name
            )
