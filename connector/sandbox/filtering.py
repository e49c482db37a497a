"""``filtering=``: which audiences of a list pass rules like ``{"field": "name", "operator": "CONTAIN", "value": "x"}``.

Owns the operators. Fields are read as ``fields=`` reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connector.sandbox.audience_fields import FIELDS
from connector.sandbox.refusals import invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.sandbox.call import Call
    from connector.sandbox.world import Audience


def filter_audiences(call: Call, found: list[Audience], wanted: Any) -> list[Audience]:
    """Keep the audiences that pass every rule.

    Raises:
        Refusal: 100 for a rule without a known field or operator.
    """
    if not isinstance(wanted, list) or not all(isinstance(rule, dict) for rule in wanted):
        raise invalid("Param filtering must be an array of objects")
    for rule in wanted:
        field, operator = rule.get("field"), rule.get("operator")
        if not isinstance(field, str) or field.split(".")[0] not in FIELDS:
            raise invalid("Filtering field is not valid")
        if operator not in OPERATORS:
            raise invalid("Filtering operator must be one of {" + ", ".join(OPERATORS) + "}")
        found = [audience for audience in found if _passes(call, audience, field, operator, rule.get("value"))]
    return found


def _passes(call: Call, audience: Audience, field: str, operator: str, value: Any) -> bool:
    head, *rest = field.split(".")
    seen = FIELDS[head](call, audience)
    for name in rest:
        seen = seen.get(name) if isinstance(seen, dict) else None
    return OPERATORS[operator](seen, value)


def _alike(seen: Any, value: Any) -> bool:
    return str(seen).lower() == str(value).lower()


def _amount(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _members_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "EQUAL": _alike,
    "NOT_EQUAL": lambda seen, value: not _alike(seen, value),
    "GREATER_THAN": lambda seen, value: _amount(seen) > _amount(value),
    "GREATER_THAN_OR_EQUAL": lambda seen, value: _amount(seen) >= _amount(value),
    "LESS_THAN": lambda seen, value: _amount(seen) < _amount(value),
    "LESS_THAN_OR_EQUAL": lambda seen, value: _amount(seen) <= _amount(value),
    "IN": lambda seen, value: any(_alike(seen, one) for one in _members_of(value)),
    "NOT_IN": lambda seen, value: not any(_alike(seen, one) for one in _members_of(value)),
    "CONTAIN": lambda seen, value: str(value).lower() in str(seen).lower(),
    "NOT_CONTAIN": lambda seen, value: str(value).lower() not in str(seen).lower(),
    "STARTS_WITH": lambda seen, value: str(seen).lower().startswith(str(value).lower()),
}
