"""Everything an export of a segment needs from this side: source, columns, predicate, sample, suppression, destinations.

Owns the order in which a segment is looked at. Must not know Meta; destinations are looked up by name only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from connector.errors import ConfigError, ConnectorError
from connector.profiles.coverage import look_at
from connector.profiles.problems import check_mapping_file, missing_columns
from connector.profiles.segments import open_segment
from connector.profiles.sources import open_source
from connector.profiles.suppressed import read_lists

if TYPE_CHECKING:
    from connector.config import Config
    from connector.profiles.mapping import Mapping
    from connector.profiles.segments import Segment
    from connector.state import Destination, State

SAMPLE = 5_000


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that was looked at: fine (``ok``), fine but odd (``warn``), or wrong (``fail``, with its error)."""

    what: str
    status: Literal["ok", "warn", "fail"]
    message: str
    problem: ConnectorError | None = None

    def to_json(self) -> dict[str, Any]:
        """Give the object under ``checks``."""
        hint = self.problem.hint if self.problem else None
        code = self.problem.code if self.problem else None
        return {"what": self.what, "status": self.status, "message": self.message, "code": code, "hint": hint}


def try_mapping(config: Config, mapping: str, segment: str) -> tuple[Segment | None, list[ConnectorError]]:
    """Open a segment as if it used ``mapping``; or name every attribute that its source does not have.

    Raises:
        ConfigError: unknown segment or mapping, a wrong mapping file or predicate.
        SourceError: the source cannot be opened.
    """
    changed = config.segment(segment).model_copy(update={"mapping": mapping})
    segments = {**config.workspace.segments, segment: changed}
    tried = replace(config, workspace=config.workspace.model_copy(update={"segments": segments}))
    missing = _missing(tried, segment, check_mapping_file(config.mapping_file(mapping)))
    return (None, missing) if missing else (open_segment(tried, segment), [])


def inspect_segment(config: Config, name: str, *, state: State) -> list[Look]:
    """Look at what an export of the segment needs of its own, without a word to Meta; problems are collected, not raised.

    Raises:
        ConfigError: there is no such segment.
    """
    model = config.segment(name)
    looks = _profiles(config, name)
    for destination in model.to:
        try:
            looks.append(_destination(config, model.mapping, state.destination(destination)))
        except ConnectorError as error:
            looks.append(_failed("destination", error))
    if not model.to:
        looks.append(Look("destination", "warn", "none is named under `to:`; an export needs --to"))
    return looks


def _destination(config: Config, mapping: str, found: Destination) -> Look:
    """Look at a destination as stored: whether it is paused, and whether it wants a value that the mapping lacks.

    Raises:
        ConfigError: the mapping cannot be read, or maps no value for a value-based audience.
    """
    codes = check_mapping_file(config.mapping_file(mapping)).codes
    if found.value_based and "LOOKALIKE_VALUE" not in codes:
        raise ConfigError(
            f"{found.name} is a value-based audience, and mapping {mapping} has no lookalike_value",
            code="mapping.lookalike_value",
            hint="Add `lookalike_value: <attribute>` under keys, or choose another destination.",
        )
    if found.paused_at is not None:
        return Look("destination", "warn", f"{found.name} is paused: connector resume destination {found.name}")
    return Look("destination", "ok", f"{found.name} is connected")


def _profiles(config: Config, name: str) -> list[Look]:
    """Look at source, mapping, predicate and the first profiles, up to the first that fails."""
    model = config.segment(name)
    looks: list[Look] = []
    stage = "source"
    try:
        origin = config.origin(name)
        source = open_source(origin)
        looks.append(Look("source", "ok", f"{_short(config, source.name)}: {len(source.columns())} columns"))
        stage = "mapping"
        mapping = check_mapping_file(config.mapping_file(model.mapping))
        if missing := _missing(config, name, mapping):
            return [*looks, *(_failed("mapping", problem) for problem in missing)]
        looks.append(
            Look("mapping", "ok", f"{mapping.name}: {len(mapping.codes)} match keys, every attribute is there")
        )
        stage = "where"
        segment = open_segment(config, name)
        if segment.predicate is not None:
            looks.append(Look("where", "ok", segment.predicate.sql))
        stage = "profiles"
        looks.append(_sample(segment))
    except ConnectorError as error:
        looks.append(_failed(stage, error))
    return looks


def _sample(segment: Segment) -> Look:
    found = look_at(segment, sample=SAMPLE, rows=0)
    seen = f"all {found.read:,}" if found.whole else f"the first {found.read:,}"
    if not found.read:
        return Look("profiles", "warn", "none: the source is empty, or `where` lets nobody through")
    message = f"{seen} read, {found.consenting:,} consent, {found.identified:,} can be sent"
    if found.suspicions:
        count = len(found.suspicions)
        message += f"; {count} thing{'s look' if count > 1 else ' looks'} odd: connector preview segment {segment.name}"
    return Look("profiles", "warn" if found.suspicions or not found.identified else "ok", message)


def inspect_suppression(config: Config) -> Look:
    """Read every suppression list whole: an export that cannot read one does not begin."""
    lists = len(config.workspace.suppress)
    if not lists:
        return Look("suppression", "ok", "no list")
    try:
        read = read_lists(config, lambda _: None)
    except ConnectorError as error:
        return _failed("suppression", error)
    said = "; ".join([f"{lists} list{'s' if lists > 1 else ''}, {read.rows:,} rows", *read.warnings])
    return Look("suppression", "warn" if read.warnings else "ok", said)


def _missing(config: Config, name: str, mapping: Mapping) -> list[ConnectorError]:
    source = open_source(config.origin(name))
    return missing_columns(mapping, source.columns(), source=_short(config, source.name))


def _short(config: Config, name: str) -> str:
    return name.removeprefix(f"{config.root}/")


def _failed(what: str, problem: ConnectorError) -> Look:
    return Look(what, "fail", str(problem), problem)
