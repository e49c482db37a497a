"""The suppression lists: whoever stands on one never leaves.

Reads them by the rules that segments are read by, and says which of their rows stop nobody. Must not know who is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import polars as pl

from connector.config import shown
from connector.errors import ConfigError, SourceError
from connector.profiles.mapping import ROW, read_mapping
from connector.profiles.segments import split_lists, title_of
from connector.profiles.sources import open_source
from connector.room import FRAME_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connector.config import Config, SuppressModel
    from connector.profiles.mapping import Keys

MATCHED_BY: Final = ("EMAIL", "PHONE", "EXTERN_ID")


@dataclass(slots=True)
class Suppressed:
    """What was read: how many rows of all lists, and in words which stop nobody."""

    rows: int = 0
    warnings: list[str] = field(default_factory=list)


def read_lists(config: Config, take: Callable[[Keys], None]) -> Suppressed:
    """Read every ``suppress:`` list, handing its e-mails, phones and external ids to ``take``, frame by frame.

    Raises:
        ConfigError: a list has none of the mapping's attributes for these keys.
        SourceError: a list cannot be read, or nobody on it can be recognised (``suppress.unusable``). A run must then not
            go on: someone who opted out could leave.
    """
    read = Suppressed()
    for entry in config.workspace.suppress:
        title = title_of(config, config.table(entry.from_))
        rows = usable = 0
        for keys in _frames(config, entry):
            there = [pl.col(code).is_not_null() for code in MATCHED_BY if code in keys.values.columns]
            rows += keys.values[ROW].n_unique()
            usable += keys.values.filter(pl.any_horizontal(there))[ROW].n_unique()
            take(keys)
        read.rows += rows
        lost = f"{rows - usable:,} of {rows:,} rows of {title} hold no e-mail, phone or external id that can be read"
        if rows and not usable:
            raise SourceError(
                f"nobody on a suppression list can be recognised: {lost}",
                code="suppress.unusable",
                hint="Put the list or its mapping right, or take it out: rather nobody is sent than somebody who opted out.",
            )
        if usable < rows:
            read.warnings.append(f"{lost}: they stop nobody. See what becomes of a value with: connector explain")
    return read


def _frames(config: Config, entry: SuppressModel) -> Iterator[Keys]:
    origin = config.table(entry.from_)
    mapping = split_lists(read_mapping(config.mapping_file(entry.mapping)), origin)
    source = open_source(origin)
    usable = mapping.only(source.columns())
    wanted = {c: a for c, a in usable.attributes.items() if (c in MATCHED_BY and a.columns) or c == "COUNTRY"}
    if not any(code in wanted for code in MATCHED_BY):
        raise ConfigError(
            f"the suppression list {title_of(config, origin)} has no e-mail, phone or external id"
            f" under the names that mapping {mapping.name} uses",
            code="suppress.columns",
            hint="Name its columns as the mapping does, or give it a mapping of its own.",
            file=shown(config.file),
        )
    reading = replace(usable, attributes=wanted)
    return map(reading.keys_of, source.frames(list(reading.columns), rows=FRAME_ROWS))
