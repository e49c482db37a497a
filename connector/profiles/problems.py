"""Everything that is wrong in a workspace's files, found at once instead of one mistake at a time.

Owns the tour of connector.yaml, the mapping files and the query files. Must not read a profile, a database or the network.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from connector.config import Config
from connector.errors import ConfigError, ConnectorError
from connector.profiles.dates import parse_format
from connector.profiles.mapping import read_mapping
from connector.profiles.places import check_country

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from connector.profiles.mapping import Mapping


def find_problems(workspace: Path | str) -> tuple[Config | None, list[ConnectorError]]:
    """Read connector.yaml, every mapping file and every query file of a workspace.

    Returns:
        The configuration, or nothing where connector.yaml itself is wrong; and every problem, in the order of the files.
    """
    problems: list[ConnectorError] = []
    config: Config | None = None
    try:
        config = Config.load(workspace)
    except ConfigError as error:
        problems += _one_by_one(error)
    files = sorted((Path(workspace) / "mappings").glob("*.yaml"))
    for file in files if config is None else map(config.mapping_file, config.mappings()):
        problems += _caught(check_mapping_file, file)
    if config is not None:
        segments, lists = config.workspace.segments, config.workspace.suppress
        for name in dict.fromkeys([*(s.mapping for s in segments.values()), *(entry.mapping for entry in lists)]):
            problems += _caught(config.mapping_file, name)
        for name in segments:
            problems += _caught(config.origin, name)
    return config, problems


def check_mapping_file(file: Path) -> Mapping:
    """Read a mapping file and try its country and its date format.

    Raises:
        ConfigError: what is wrong in it, with file and line.
    """
    mapping = read_mapping(file)
    try:
        check_country(mapping.settings.default_country)
        if mapping.settings.birth_date_format is not None:
            parse_format(mapping.settings.birth_date_format)
    except ConfigError as error:
        raise ConfigError(error.message, code=error.code, hint=error.hint, file=file) from None
    return mapping


def missing_columns(mapping: Mapping, known: Collection[str], *, source: str) -> list[ConnectorError]:
    """Name every attribute of a mapping that a source does not have, not only the first."""
    found: list[ConnectorError] = []
    for code, attribute in mapping.attributes.items():
        for column in attribute.columns:
            part = replace(mapping, attributes={code: replace(attribute, columns=(column,))}, consent=None)
            found += _caught(partial(part.check_columns, known, source=source))
    found += _caught(partial(replace(mapping, attributes={}).check_columns, known, source=source))
    return found


def _caught(work: Callable[..., object], *given: object) -> list[ConnectorError]:
    try:
        work(*given)
    except ConfigError as error:
        return _one_by_one(error)
    return []


def _one_by_one(error: ConfigError) -> list[ConnectorError]:
    """Take a message that lists all problems of a YAML file apart: ``file:line: text`` from the second line on."""
    first, *more = error.message.split("\n")
    found: list[ConnectorError] = [
        ConfigError(first, code=error.code, hint=error.hint, file=error.file, line=error.line)
    ]
    for line in more:
        known = re.fullmatch(r"(?P<file>.+?):(?P<line>[0-9]+|None): (?P<text>.+)", line)
        if known is None:
            found.append(ConfigError(line, code=error.code, file=error.file))
            continue
        number = None if known["line"] == "None" else int(known["line"])
        found.append(ConfigError(known["text"], code=error.code, file=known["file"], line=number))
    return found
