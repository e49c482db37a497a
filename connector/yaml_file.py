"""A YAML file as a typed object, with file, line and the nearest known name for whatever is wrong in it.

Follows YAML 1.2's core words, so that ``country: NO`` stays Norway and ``07030`` stays text. Knows nothing of what the
files are about.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from connector.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[str | int, ...]


class StrictModel(BaseModel):
    """A part of a YAML file: no unknown field, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True)


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2's words: only true and false are booleans, no dates, no octal or sexagesimal numbers."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  PyYAML's own attribute


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?", "-+0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))
_Loader.yaml_implicit_resolvers[""] = _Loader.yaml_implicit_resolvers.pop("\0")


def read_yaml(path: Path, model: type[Model]) -> tuple[Model, dict[Place, int]]:
    """Read ``path`` and check it against ``model``; also give the line each place stands in (``("keys", "email")``).

    Raises:
        ConfigError: missing file, broken YAML, a key twice, an unknown field or a wrong value. All problems of the file
            stand in one message; ``file`` and ``line`` are the first one's.
    """
    node = _compose(path)
    lines: dict[Place, int] = {}
    data = _plain(node, (), lines, path) if node is not None else {}
    try:
        return model.model_validate(data), lines
    except ValidationError as error:
        errors = [e for e in error.errors(include_url=False, include_input=False) if not _other_branch(e, error)]
        raise _explained(path, model, errors, lines) from None


def _other_branch(error: ErrorDetails, whole: ValidationError) -> bool:
    """Tell whether this is only "not text either" beside a better message about the same place's long form."""
    place = error["loc"]
    if not place or place[-1] not in {"str", "function-before[_as_tuple(), tuple[str, ...]]"}:
        return False
    beside = [e["loc"] for e in whole.errors(include_url=False, include_input=False)]
    return any(loc[: len(place) - 1] == place[:-1] and loc != place for loc in beside)


def _compose(path: Path) -> yaml.Node | None:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            "there is no such file", code="config.missing", file=path, hint="Make one with: connector init"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        what = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror or "unreadable"
        raise ConfigError(f"the file cannot be read: {what}", code="config.unreadable", file=path) from None
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "this is not YAML"
        line = mark.line + 1 if mark else None
        raise ConfigError(
            f"broken YAML: {problem}", code="config.yaml", file=path, line=line, hint="Often a tab or a missing quote."
        ) from None


def _plain(node: yaml.Node, place: Place, lines: dict[Place, int], path: Path) -> Any:
    """Turn nodes into plain values, remembering the line of each place and refusing a key that stands twice."""
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*place, i), lines, path) for i, child in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        loader = _Loader("")
        try:
            return loader.construct_object(node, deep=True)
        finally:
            loader.dispose()
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in result:
            raise ConfigError(f'"{key}" stands here twice', code="config.twice", file=path, line=line)
        lines[(*place, key)] = line
        result[key] = _plain(value_node, (*place, key), lines, path)
    return result


def _explained(path: Path, model: type[BaseModel], errors: list[ErrorDetails], lines: dict[Place, int]) -> ConfigError:
    problems = []
    for error in errors:
        place = error["loc"]
        message, hint = _in_words(model, place, error)
        problems.append((_line_of(place, lines), message, hint))
    problems.sort(key=lambda p: p[0] or 0)
    line, message, hint = problems[0]
    more = [f"{path}:{n}: {text}" + (f" {h}" if h else "") for n, text, h in problems[1:]]
    code = "config.unknown_field" if "is not known" in message else "config.value"
    return ConfigError("\n".join([message, *more]), code=code, hint=hint, file=path, line=line)


def _line_of(place: Place, lines: dict[Place, int]) -> int | None:
    """Find the line of the innermost part of ``place`` that stands in the file (a union adds names that do not)."""
    named = tuple(part for part in place if isinstance(part, int) or not _is_union_label(part))
    for end in range(len(named), -1, -1):
        if named[:end] in lines:
            return lines[named[:end]]
    return None


def _is_union_label(part: str) -> bool:
    return part.endswith(("Model", "]", ")")) or part in {"str", "int", "bool", "float"}


def _in_words(model: type[BaseModel], place: Place, error: ErrorDetails) -> tuple[str, str | None]:
    named = [str(part) for part in place if isinstance(part, int) or not _is_union_label(part)]
    name = named[-1] if named else "the file"
    within = f" in {'.'.join(named[:-1])}" if named[:-1] else ""
    match error["type"]:
        case "extra_forbidden":
            known = _fields_at(model, place[:-1])
            return f'"{name}" is not known{within}', did_you_mean(name, known) or f"Known: {', '.join(sorted(known))}"
        case "missing":
            return f'"{name}" is missing{within}', None
        case "model_type" | "dict_type":
            return f'"{name}"{within} should hold named fields', None
        case "value_error":
            return f"{'.'.join(named) or name}: {error['msg'].removeprefix('Value error, ')}", None
        case _:
            wish = error["msg"][0].lower() + error["msg"][1:]
            return f'"{name}"{within}: {wish}', None


def _fields_at(model: type[BaseModel], place: Place) -> set[str]:
    """Name the fields of the model that stands at ``place``."""
    current: type[BaseModel] | None = model
    for part in place:
        if current is None or isinstance(part, int):
            continue
        field = next((f for n, f in current.model_fields.items() if part in {n, f.alias}), None)
        if field is not None:
            current = _model_in(field.annotation) or current
    return {f.alias or n for n, f in current.model_fields.items()} if current else set()


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)
