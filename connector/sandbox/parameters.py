"""From a request to named parameters: query, form, multipart or JSON, and what Meta tolerates in each value.

Owns the encodings. Scalars stay text until a rule asks for them as something else. Knows no endpoint and no world.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from connector.sandbox.refusals import Refusal, invalid, missing
from connector.sandbox.rows import Cells, lift_rows

BOUNDARY = re.compile(r'boundary="?([^";,]{1,200})"?', re.IGNORECASE)
PART_NAME = re.compile(rb'name="([^"]{1,200})"', re.IGNORECASE)
# What percent-encoding does to JSON; taken back in bulk before the general, slow way.
COMMON_ESCAPES = ((b"%22", b'"'), (b"%2C", b","), (b"%5B", b"["), (b"%5D", b"]"), (b"%3A", b":"))
LARGE = 4_096
MOST_FIELDS = 1_000
INT64 = (1 << 63) - 1
TRUE = frozenset({"true", "1", "yes", "on"})
FALSE = frozenset({"false", "0", "no", "off", ""})


@dataclass(slots=True)
class Parameters:
    """All parameters of one call. ``cells`` are the rows of a payload that were lifted out of its JSON, if they were."""

    values: dict[str, Any] = field(default_factory=dict)
    cells: Cells | None = None

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        """Read a text; literal surrounding double quotes are taken as JSON (specification §0)."""
        value = self.values.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        if not isinstance(value, str):
            raise invalid(f"Param {name} must be a string")
        if len(value) >= 2 and value[0] == value[-1] == '"':
            return _unquoted(value)
        return value

    def needed(self, name: str) -> str:
        """Read a text that must be there and not be empty."""
        value = self.text(name)
        if not value:
            raise missing(name)
        return value

    def whole(self, name: str, default: int | None = None) -> int | None:
        """Read a whole number."""
        value = self.values.get(name)
        if value is None or value == "":
            return default
        return whole_number(value, f"Param {name} must be an integer")

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Read a boolean."""
        value = self.values.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        word = str(value).strip('"').lower()
        if word in TRUE or word in FALSE:
            return word in TRUE
        raise invalid(f"Param {name} must be a boolean")

    def names(self, name: str) -> list[str]:
        """Read a list of texts: JSON, single-quoted JSON, comma-separated or repeated."""
        value = self.values.get(name)
        if value is None or value == "":
            return []
        if isinstance(value, str):
            value = _loose_list(value)
        if not isinstance(value, list):
            raise invalid(f"Param {name} must be an array")
        return [str(item) for item in value if isinstance(item, str | int) and not isinstance(item, bool)]

    def structure(self, name: str) -> Any:
        """Read an object or list; in form and query it is JSON text."""
        value = self.values.get(name)
        if isinstance(value, str):
            try:
                return read_json(value)
            except ValueError:
                raise invalid(f"Param {name} must be a valid JSON object") from None
        return value


def whole_number(value: Any, wrong: str) -> int:
    """Take a whole number of at most 64 bits out of a JSON number or a text of digits, or refuse with the words given."""
    if isinstance(value, str) and re.fullmatch(r'"?-?[0-9]{1,20}"?', value):
        value = int(value.strip('"'))
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > INT64:
        raise invalid(wrong)
    return value


def read_json(text: str | bytes) -> Any:
    """Parse JSON strictly: no NaN, no infinity.

    Raises:
        ValueError: for anything else, and for what is nested too deep.
    """

    def refuse(word: str) -> float:
        raise ValueError(word)

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _unquoted(value: str) -> str:
    try:
        inner = json.loads(value)
    except ValueError:
        return value
    return inner if isinstance(inner, str) else value


def _loose_list(text: str) -> Any:
    stripped = text.strip()
    if not stripped.startswith("["):
        return [item.strip().strip("'\"") for item in stripped.split(",") if item.strip()]
    try:
        return read_json(stripped)
    except ValueError:
        inner = stripped.removeprefix("[").removesuffix("]")
        return [item.strip().strip("'\"") for item in inner.split(",") if item.strip()]


def read_parameters(query: bytes, content_type: str, body: bytes) -> Parameters:
    """Read query and body; what stands in both is taken from the body.

    Raises:
        Refusal: 100 when the body is not what its content type says, 105 for too many parameters.
    """
    found = Parameters(_read_pairs(query))
    kind = content_type.split(";", 1)[0].strip().lower()
    if body and kind == "application/json":
        _read_json(body, found)
    elif body and kind == "multipart/form-data":
        found.values.update(_read_multipart(body, content_type))
    elif body:
        found.values.update(_read_pairs(body))
    payload = found.values.get("payload")
    if isinstance(payload, str):
        rest, found.cells = lift_rows(payload.encode("utf-8", "replace"))
        if found.cells is not None:
            found.values["payload"] = rest.decode("utf-8", "replace")
    return found


def _read_pairs(text: bytes) -> dict[str, Any]:
    if len(text) <= LARGE:
        try:
            return _gather(
                parse_qsl(text.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
            )
        except ValueError:
            raise Refusal(105) from None
    pairs = []
    for item in text.split(b"&"):
        name, _, value = item.partition(b"=")
        pairs.append((_decoded(name), _decoded(value)))
    return _gather(pairs)


def _decoded(text: bytes) -> str:
    if b"+" in text:
        text = text.replace(b"+", b" ")
    # A percent sign that was itself escaped (%2522) must not be decoded twice: leave such a text to the general way.
    if len(text) > LARGE and b"%25" not in text:
        for escape, plain in COMMON_ESCAPES:
            text = text.replace(escape, plain)
    if b"%" in text:
        text = unquote_to_bytes(text)
    return text.decode("utf-8", "replace")


def _gather(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name.endswith("]") and "[" in name:
            base = name[: name.index("[")]
            held = found.setdefault(base, [])
            if isinstance(held, list):
                held.append(value)
        else:
            found[name] = value
    return found


def _read_multipart(body: bytes, content_type: str) -> dict[str, Any]:
    boundary = BOUNDARY.search(content_type)
    if boundary is None:
        raise Refusal(100, "(#100) The multipart body has no boundary")
    pairs = []
    for part in body.split(b"--" + boundary.group(1).encode("utf-8", "replace"))[1:]:
        head, found, value = part.partition(b"\r\n\r\n")
        name = PART_NAME.search(head)
        if not found or name is None:
            continue
        pairs.append((name.group(1).decode("utf-8", "replace"), value.removesuffix(b"\r\n").decode("utf-8", "replace")))
    return _gather(pairs)


def _read_json(body: bytes, found: Parameters) -> None:
    rest, cells = lift_rows(body)
    try:
        given = read_json(rest)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Refusal(100, "(#100) The body is not a JSON object")
    found.cells = cells
    found.values.update(given)
