"""Scripted faults: which call of which edge goes wrong, how, and how often.

Owns the list and the counting. How a fault reaches the wire stands in ``wire``. Knows nothing of the world.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from connector.sandbox.refusals import Refusal

WAYS = frozenset({"error", "html", "hang", "drop_before", "drop_after", "truncate", "slow"})
FIELDS = frozenset(
    {"edge", "method", "after", "times", "do", "error", "status", "headers", "seconds", "body", "holding"}
)
ERROR_FIELDS = frozenset(
    {"code", "error_subcode", "is_transient", "message", "type", "error_user_title", "error_user_msg", "error_data"}
)
METHODS = frozenset({"GET", "POST", "DELETE"})


class ControlError(Exception):
    """A control request is wrong; the message says how, in one sentence."""


@dataclass(slots=True)
class Fault:
    """One scripted fault. ``edge`` or ``method`` ``None`` means any; ``times`` ``None`` means for ever.

    ``seconds`` is the length of ``slow`` and ``hang`` (0: a hang lasts until the client goes away). With ``holding`` only
    calls count whose body holds that text: a row that sinks its batch.
    """

    do: str
    edge: str | None = None
    method: str | None = None
    after: int = 0
    times: int | None = 1
    error: dict[str, Any] = field(default_factory=dict)
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    body: str | None = None
    holding: str | None = None
    seen: int = 0
    fired: int = 0

    def refusal(self) -> Refusal:
        """Turn an ``error`` fault into the refusal it scripts; an empty one is code 2."""
        known = {"code", "error_subcode", "is_transient", "message", "type"}
        return Refusal(
            int(self.error.get("code", 2)),
            self.error.get("message"),
            subcode=self.error.get("error_subcode"),
            kind=self.error.get("type"),
            status=self.status,
            is_transient=self.error.get("is_transient"),
            extra={name: value for name, value in self.error.items() if name not in known},
            headers=dict(self.headers),
        )

    def describe(self) -> dict[str, Any]:
        """Show the fault and how often it has fired."""
        return {
            "do": self.do,
            "edge": self.edge,
            "method": self.method,
            "after": self.after,
            "times": self.times,
            "seconds": self.seconds,
            "status": self.status,
            "error": self.error,
            "seen": self.seen,
            "fired": self.fired,
        }


@dataclass(slots=True)
class Faults:
    """The faults in the order they were scripted; each call takes the first that is due."""

    items: list[Fault] = field(default_factory=list)

    def take(self, edge: str, method: str, among: frozenset[str] = WAYS, *, body: bytes = b"") -> Fault | None:
        """Count this call against every matching fault and return the first that fires, if any does."""
        due: Fault | None = None
        for fault in self.items:
            if fault.do not in among or fault.edge not in {None, edge} or fault.method not in {None, method}:
                continue
            if fault.holding is not None and fault.holding.encode() not in body:
                continue
            fault.seen += 1
            spent = fault.times is not None and fault.fired >= fault.times
            if due is None and not spent and fault.seen > fault.after:
                fault.fired += 1
                due = fault
        return due


def read_faults(body: Any) -> list[Fault]:
    """Check a ``{"faults": [...]}`` body and return its faults.

    Raises:
        ControlError: with one sentence that says which fault and what is wrong with it.
    """
    if not isinstance(body, dict) or set(body) - {"faults"} or not isinstance(body.get("faults"), list):
        raise ControlError('the body must be {"faults": [...]}')
    return [_read_fault(number, item) for number, item in enumerate(body["faults"])]


def _read_fault(number: int, item: Any) -> Fault:
    if not isinstance(item, dict):
        raise ControlError(f"fault {number}: not an object")
    unknown = sorted(set(item) - FIELDS)
    if unknown:
        raise ControlError(f"fault {number}: unknown field {unknown[0]}")
    if item.get("do") not in WAYS:
        raise ControlError(f"fault {number}: do must be one of {', '.join(sorted(WAYS))}")
    method = item.get("method")
    if method is not None and (not isinstance(method, str) or method.upper() not in METHODS):
        raise ControlError(f"fault {number}: method must be GET, POST or DELETE")
    edge = item.get("edge")
    if edge is not None and not isinstance(edge, str):
        raise ControlError(f"fault {number}: edge must be a string")
    return Fault(
        do=item["do"],
        edge=None if edge in {None, "", "*"} else edge,
        method=None if method is None else method.upper(),
        after=_count(item.get("after", 0), number, "after"),
        times=None if item.get("times", 1) is None else _count(item.get("times", 1), number, "times"),
        error=_error(item.get("error"), number),
        status=_status(item.get("status"), number),
        headers=_headers(item.get("headers"), number),
        seconds=_seconds(item.get("seconds", 0), number),
        body=item["body"] if isinstance(item.get("body"), str) else None,
        holding=item["holding"] if isinstance(item.get("holding"), str) and item["holding"] else None,
    )


def _count(value: Any, number: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ControlError(f"fault {number}: {name} must be a whole number of 0 or more")
    return value


def _seconds(value: Any, number: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86_400:
        raise ControlError(f"fault {number}: seconds must be a number from 0 to 86400")
    return float(value)


def _status(value: Any, number: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
        raise ControlError(f"fault {number}: status must be from 200 to 599")
    return value


def _headers(value: Any, number: int) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ControlError(f"fault {number}: headers must be an object of strings")
    for name, text in value.items():
        plain = isinstance(text, str) and text.isprintable() and text.isascii()
        if not plain or not name or not all(sign.isalnum() or sign in "-_" for sign in name) or not name.isascii():
            raise ControlError(f"fault {number}: headers must be an object of printable ASCII strings")
    return dict(value)


def _error(value: Any, number: int) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or set(value) - ERROR_FIELDS:
        raise ControlError(f"fault {number}: error may hold {', '.join(sorted(ERROR_FIELDS))}")
    for name in ("code", "error_subcode"):
        if name in value and (isinstance(value[name], bool) or not isinstance(value[name], int)):
            raise ControlError(f"fault {number}: error.{name} must be a whole number")
    return dict(value)
