"""A segment: a named set of profiles, read in bounded frames.

Owns source, predicate and mapping belonging together, and the suppression lists. Must not know what is done with the
profiles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from connector.config import TableFile, shown
from connector.errors import ConfigError
from connector.profiles.mapping import SEVERAL, Mapping, read_mapping
from connector.profiles.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import polars as pl

    from connector.config import Config, Query
    from connector.profiles.mapping import Keys
    from connector.profiles.predicate import Predicate
    from connector.profiles.sources import Source

FRAME_ROWS = 32_768  # rows at a time: 13 keys then need 570 MB in all, and twice that many cost a tenth less CPU
NARROW = 4  # columns at most, of which twice as many rows take no more memory
MATCHED_BY = ("EMAIL", "PHONE", "EXTERN_ID")


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
        for frame in self.source.frames(list(columns), rows=self.frame_rows):
            if self.predicate is None:
                yield Chunk(frame, {}, frame.height)
            else:
                mask, unparsable = self.predicate.mask(frame)
                yield Chunk(frame.filter(mask), unparsable, frame.height)


def open_segment(config: Config, name: str, *, frame_rows: int = FRAME_ROWS) -> Segment:
    """Open the segment ``name``: its mapping read, its source's header looked at, its predicate understood.

    Raises:
        ConfigError: unknown segment or mapping, an attribute or predicate column that the source lacks.
        SourceError: the source cannot be opened.
    """
    model, origin = config.segment(name), config.origin(name)
    mapping = _split_lists(read_mapping(config.mapping_file(model.mapping)), origin)
    source = open_source(origin)
    known = source.columns()
    mapping.check_columns(known, source=_title(config, origin))
    predicate = None
    if model.where is not None:
        from connector.profiles.predicate import parse_predicate  # noqa: PLC0415 - loads a SQL parser: a tenth of a second

        predicate = parse_predicate(model.where, columns=known, file=str(shown(config.file)), line=None)
    return Segment(name, source, mapping, predicate, frame_rows * (2 if len(mapping.columns) <= NARROW else 1))


def suppressed_keys(config: Config) -> Iterator[Keys]:
    """Read every ``suppress:`` list into keys, frame by frame: e-mails, phones and external ids only.

    Raises:
        ConfigError: a list has none of the mapping's attributes for these keys.
        SourceError: a list cannot be read. A run must then not go on: someone who opted out could leave.
    """
    for entry in config.workspace.suppress:
        origin = config.table(entry.from_)
        mapping = _split_lists(read_mapping(config.mapping_file(entry.mapping)), origin)
        source = open_source(origin)
        usable = mapping.only(source.columns())
        wanted = {c: a for c, a in usable.attributes.items() if (c in MATCHED_BY and a.columns) or c == "COUNTRY"}
        if not any(code in wanted for code in MATCHED_BY):
            raise ConfigError(
                f"the suppression list {_title(config, origin)} has no e-mail, phone or external id"
                f" under the names that mapping {mapping.name} uses",
                code="suppress.columns",
                hint="Name its columns as the mapping does, or give it a mapping of its own.",
                file=shown(config.file),
            )
        reading = replace(usable, attributes=wanted)
        for frame in source.frames(list(reading.columns), rows=FRAME_ROWS):
            yield reading.keys_of(frame)


def _split_lists(mapping: Mapping, origin: TableFile | Query) -> Mapping:
    """Let the table's ``list_separator`` hold for e-mails and phones, unless the mapping says its own."""
    if not isinstance(origin, TableFile) or origin.list_separator is None:
        return mapping
    separator = origin.list_separator
    attributes = {
        code: replace(a, separator=separator) if code in SEVERAL and a.separator is None else a
        for code, a in mapping.attributes.items()
    }
    return replace(mapping, attributes=attributes)


def _title(config: Config, origin: TableFile | Query) -> str:
    if isinstance(origin, TableFile):
        return origin.path.removeprefix(f"{config.root}/")
    return origin.file or f"the query on {origin.source}"
