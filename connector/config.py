"""connector.yaml and the environment, as typed objects.

Owns what a workspace says about itself and every environment variable but the tokens'. Must not know how a profile is
read, hashed or sent. No secret ever stands in the file.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from connector.errors import ConfigError, did_you_mean
from connector.yaml_file import StrictModel, read_yaml

FILE_NAME = "connector.yaml"
Mode = Literal["mirror", "add", "replace", "remove"]


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file, or a glob or object-store URL of files that form one table.

    ``path`` is absolute or a URL. ``separator``, ``encoding`` are recognised when ``None``. A cell equal to one of
    ``null`` is null. ``list_separator`` splits a cell into several values.
    """

    path: str
    separator: str | None = None
    encoding: str | None = None
    null: tuple[str, ...] = ()
    list_separator: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """One SQL query against a database: ``url_env`` names the environment variable that holds its SQLAlchemy URL."""

    source: str
    url_env: str
    sql: str
    file: str | None = None


def read_duration(text: object) -> timedelta:
    """Read ``90s``, ``90m``, ``36h``, ``60d`` or ``8w``; anything else is a :class:`ValueError`."""
    found = re.fullmatch(r"\s*(\d+)\s*([smhdw])\s*", str(text))
    if not found:
        raise ValueError("a time span is a number and s, m, h, d or w, for example 60d")
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[found[2]]
    return timedelta(**{unit: int(found[1])})


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _environment_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise ValueError("this is the name of an environment variable, not the secret itself")
    return text


def _known_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("no such time zone; for example UTC or Europe/Paris") from None
    return text


def _cron(text: str) -> str:
    if len(text.split()) != 5:
        raise ValueError('cron has five fields, for example "0 6 * * *"')
    return text


Duration = Annotated[timedelta, BeforeValidator(read_duration)]
Words = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class TableModel(StrictModel):
    """The long form of ``from:``."""

    path: str
    separator: str | None = Field(default=None, min_length=1, max_length=1)
    encoding: str | None = None
    null: Words = ()
    list_separator: str | None = Field(default=None, min_length=1)


class SourceModel(StrictModel):
    """A database."""

    url_env: Annotated[str, AfterValidator(_environment_name)]


class SegmentModel(StrictModel):
    """A named set of profiles."""

    description: str = ""
    from_: str | TableModel | None = Field(default=None, alias="from")
    where: str | None = None
    source: str | None = None
    sql: str | None = None
    mapping: str
    to: Words = ()
    mode: Mode = "mirror"
    refresh_after: Duration | None = None
    every: Annotated[str, AfterValidator(_cron)] | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.from_ is None) == (self.source is None):
            raise ValueError("a segment reads either `from:` a file or `source:` with `sql:`")
        if (self.source is None) != (self.sql is None):
            raise ValueError("`source:` and `sql:` belong together")
        if self.source is not None and self.where is not None:
            raise ValueError("`where:` goes with `from:`; with `sql:` write the condition in the query")
        return self


class SuppressModel(StrictModel):
    """A list of people who never leave."""

    from_: str | TableModel = Field(alias="from")
    mapping: str


class GuardsModel(StrictModel):
    """When a run stops before it sends, or ends as partial."""

    max_shrink: float = Field(default=0.3, ge=0, le=1)
    min_profiles: int = Field(default=100, ge=0)
    max_invalid: float = Field(default=0.001, ge=0, le=1)


class WorkspaceModel(StrictModel):
    """connector.yaml, whole."""

    state: str = "sqlite:///.connector/state.db"
    sources: dict[str, SourceModel] = Field(default_factory=dict)
    segments: dict[str, SegmentModel] = Field(default_factory=dict)
    suppress: tuple[SuppressModel, ...] = ()
    guards: GuardsModel = GuardsModel()
    ledger: str = ".connector/ledger"
    graph_url: str = "https://graph.facebook.com"
    graph_version: str = Field(default="v25.0", pattern=r"^v\d+\.\d+$")
    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"


@dataclass(frozen=True, slots=True)
class Config:
    """A workspace: its folder, what its connector.yaml says, and what the environment overrides."""

    root: Path
    file: Path
    workspace: WorkspaceModel
    state_url: str
    graph_url: str
    ledger: str

    @classmethod
    def load(cls, workspace: Path | str = ".") -> Self:
        """Read ``connector.yaml`` in the folder ``workspace``; relative paths start there.

        Raises:
            ConfigError: the file is missing or wrong (exit 2), all of its problems in one message.
        """
        root = Path(workspace).resolve()
        file = root / FILE_NAME
        model, _ = read_yaml(shown(file), WorkspaceModel)
        state = os.environ.get("CONNECTOR_STATE") or model.state
        graph = (os.environ.get("CONNECTOR_GRAPH_URL") or model.graph_url).rstrip("/")
        _check_graph_url(graph)
        ledger = model.ledger if "://" in model.ledger else str(root / model.ledger)
        return cls(root, file, model, _state_url(state, root), graph, ledger)

    def segment(self, name: str) -> SegmentModel:
        """The segment of that name, or a :class:`ConfigError` with the nearest one."""
        known = self.workspace.segments
        if name not in known:
            raise ConfigError(
                f'no segment is named "{name}"',
                code="segment.unknown",
                hint=did_you_mean(name, known) or f"Known: {', '.join(known) or 'none yet'}",
                file=shown(self.file),
            )
        return known[name]

    def origin(self, name: str) -> TableFile | Query:
        """Where a segment's profiles come from, with paths made absolute."""
        segment = self.segment(name)
        if segment.from_ is not None:
            return self.table(segment.from_)
        source = self.workspace.sources.get(segment.source or "")
        if source is None:
            raise ConfigError(
                f'segment {name}: no source is named "{segment.source}"',
                code="source.unknown",
                hint=did_you_mean(str(segment.source), self.workspace.sources) or "Name it under `sources:`.",
                file=shown(self.file),
            )
        sql, file = self._sql(name, str(segment.sql))
        return Query(source=str(segment.source), url_env=source.url_env, sql=sql, file=file)

    def table(self, origin: str | TableModel) -> TableFile:
        """A ``from:`` as an absolute :class:`TableFile`."""
        model = TableModel(path=origin) if isinstance(origin, str) else origin
        path = model.path if "://" in model.path else str(self.root / model.path)
        return TableFile(path, model.separator, model.encoding, model.null, model.list_separator)

    def mapping_file(self, name: str) -> Path:
        """The file of the mapping ``name``; a :class:`ConfigError` with the nearest name when there is none."""
        path = self.root / "mappings" / f"{name}.yaml"
        if not path.is_file():
            known = self.mappings()
            raise ConfigError(
                f'no mapping is named "{name}": {shown(path)} does not exist',
                code="mapping.unknown",
                hint=did_you_mean(name, known) or f"Known: {', '.join(known) or 'none yet'}",
            )
        return shown(path)

    def mappings(self) -> list[str]:
        """The names of all mapping files."""
        return sorted(path.stem for path in (self.root / "mappings").glob("*.yaml"))

    def _sql(self, segment: str, text: str) -> tuple[str, str | None]:
        """Read ``sql:``: a query, or the path of a file that holds one."""
        if not text.strip().lower().endswith(".sql"):
            return text, None
        path = self.root / text.strip()
        try:
            return path.read_text(encoding="utf-8"), str(shown(path))
        except OSError as error:
            raise ConfigError(
                f"segment {segment}: the query file cannot be read: {error.strerror}",
                code="segment.sql",
                file=shown(path),
                hint="`sql:` is a query or the path of a .sql file, from the folder of connector.yaml.",
            ) from None


def shown(path: Path) -> Path:
    """Shorten a path for messages: from the current folder where it lies below it."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def _state_url(url: str, root: Path) -> str:
    """Make a SQLite file's relative path start at the workspace."""
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url == f"{prefix}:memory:" or url.startswith(f"{prefix}/"):
        return url
    return f"{prefix}{root / url.removeprefix(prefix)}"


def _check_graph_url(url: str) -> None:
    parts = urlsplit(url)
    loopback = parts.hostname in {"localhost", "::1"} or (parts.hostname or "").startswith("127.")
    if parts.scheme == "https" or (parts.scheme == "http" and loopback):
        return
    raise ConfigError(
        "graph_url must be https://… (plain http only to this machine): a token would travel in the open",
        code="config.graph_url",
        hint="Use https://graph.facebook.com, or http://127.0.0.1:PORT for the sandbox.",
    )


def environment_secret(name: str) -> SecretStr | None:
    """The secret in the environment variable ``name``; nothing when it is unset or blank."""
    value = os.environ.get(name, "").strip()
    return SecretStr(value) if value else None
