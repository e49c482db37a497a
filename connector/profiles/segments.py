"""A segment: a named set of profiles, read in bounded frames.

Owns source, predicate and mapping belonging together. Must not know what is done with the profiles.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from connector.config import TableFile, shown
from connector.profiles.mapping import SEVERAL, Mapping, read_mapping
from connector.profiles.sources import open_source
from connector.room import FRAME_ROWS, ROW_BYTES, row_bytes

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import polars as pl

    from connector.config import Config, Query
    from connector.profiles.predicate import Predicate
    from connector.profiles.sources import Source


@dataclass(frozen=True, slots=True)
class Chunk:
    """Profiles that the predicate let through, as text.

    ``unparsable`` counts, per column, cells ``where`` could not read; ``scanned`` the rows before the predicate.
    """

    frame: pl.DataFrame
    unparsable: dict[str, int]
    scanned: int


@dataclass(frozen=True, slots=True)
class Segment:
    """Source, predicate and mapping, found to fit each other."""

    name: str
    source: Source
    mapping: Mapping
    predicate: Predicate | None
    frame_rows: int = FRAME_ROWS

    def chunks(self) -> Generator[Chunk]:
        """Read the segment once, in source order, ``frame_rows`` rows at a time.

        Raises:
            SourceError: the profiles cannot be read; with file and line where there is one.
        """
        columns = dict.fromkeys([*self.mapping.columns, *(self.predicate.columns if self.predicate else ())])
        read = self.source.frames(list(columns), rows=self.frame_rows)
        for frame in itertools.chain.from_iterable(map(self._fitting, read)):
            if self.predicate is None:
                yield Chunk(frame, {}, frame.height)
            else:
                mask, unparsable = self.predicate.mask(frame)
                yield Chunk(frame.filter(mask), unparsable, frame.height)

    def _fitting(self, frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Cut a frame of long cells into pieces that take what a frame of usual ones does."""
        pieces = -(-row_bytes(frame) * frame.height // (ROW_BYTES * self.frame_rows))
        yield from [frame] if pieces <= 1 else frame.iter_slices(max(1, frame.height // pieces))


def open_segment(config: Config, name: str) -> Segment:
    """Open the segment ``name``: its mapping read, its source's header looked at, its predicate understood.

    Raises:
        ConfigError: unknown segment or mapping, an attribute or predicate column that the source lacks.
        SourceError: the source cannot be opened.
    """
    model, origin = config.segment(name), config.origin(name)
    mapping = split_lists(read_mapping(config.mapping_file(model.mapping)), origin)
    source = open_source(origin)
    known = source.columns()
    mapping.check_columns(known, source=title_of(config, origin))
    predicate = None
    if model.where is not None:
        from connector.profiles.predicate import parse_predicate  # noqa: PLC0415 - loads a SQL parser: a tenth of a second

        predicate = parse_predicate(model.where, columns=known, file=str(shown(config.file)), line=None)
    return Segment(name, source, mapping, predicate)


def split_lists(mapping: Mapping, origin: TableFile | Query) -> Mapping:
    """Let the table's ``list_separator`` hold for e-mails and phones, unless the mapping says its own."""
    if not isinstance(origin, TableFile) or origin.list_separator is None:
        return mapping
    separator = origin.list_separator
    attributes = {
        code: replace(a, separator=separator) if code in SEVERAL and a.separator is None else a
        for code, a in mapping.attributes.items()
    }
    return replace(mapping, attributes=attributes)


def title_of(config: Config, origin: TableFile | Query) -> str:
    """Name a table as an error does: its file, or the query's."""
    if isinstance(origin, TableFile):
        return origin.path.removeprefix(f"{config.root}/")
    return origin.file or f"the query on {origin.source}"
