"""Small typed readers for Meta's answers, which are any JSON: nothing here raises, what has the wrong type counts as absent.

Must not know which call was answered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

JsonObject: TypeAlias = dict[str, Any]


def read_text(answer: Mapping[str, object], name: str) -> str | None:
    """Read a text or an id; a number becomes text.

    >>> read_text({"id": 120211}, "id")
    '120211'
    """
    value = answer.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def read_int(answer: Mapping[str, object], name: str) -> int | None:
    """Read a whole number, which Meta also writes as text.

    >>> read_int({"num_received": "10000"}, "num_received")
    10000
    """
    value = answer.get(name)
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value, re.ASCII):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_flag(answer: Mapping[str, object], name: str) -> bool:
    """Read a boolean, which Meta also writes as ``"true"`` (meta-graph-api.md, 0).

    >>> read_flag({"success": "true"}, "success")
    True
    """
    value = answer.get(name)
    return value is True or (isinstance(value, str) and value.lower() == "true")


def read_object(answer: Mapping[str, object], name: str) -> JsonObject:
    """Read a nested object; an empty one when there is none."""
    value = answer.get(name)
    return value if isinstance(value, dict) else {}


def read_objects(answer: Mapping[str, object], name: str) -> list[JsonObject]:
    """Read a list of objects; whatever in it is no object is left out."""
    value = answer.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
