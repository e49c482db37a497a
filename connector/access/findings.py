"""What the gate finds: a check with its remedy, and the report of all checks, in the shape of access.md §2.

Plain values. Knows no Graph call, no rule and no sentence.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from datetime import datetime

Status = Literal["pass", "warn", "fail", "unknown", "skip"]
Who = Literal["client_admin", "agency_admin", "app_owner", "operator", "connected_person", "meta"]
Relationship = Literal["owner", "agency", "person", "none", "unknown"]
Language = Literal["en", "fr", "ja"]

STATUSES: Final[tuple[Status, ...]] = ("pass", "warn", "fail", "unknown", "skip")


@dataclass(frozen=True, slots=True)
class Asset:
    """What a check looked at: ``token``, ``app``, ``ad_account``, ``business``, ``audience`` or ``destination``."""

    kind: str
    id: str | None


@dataclass(frozen=True, slots=True)
class Party:
    """A business portfolio by id; its name when Meta told it."""

    id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do: who, in which steps, where, and the command to type afterwards. Steps are in the report's language.

    ``request`` is all of it in one line, ready to paste into a message.
    """

    who: Who
    steps: tuple[str, ...]
    link: str | None
    command: str
    request: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One of the 21 checks, answered.

    ``message`` says what there is and what is needed, then Meta's own words if it had any; never a token.
    ``valid_until`` is the time until which the answer is remembered, ``cached`` says that it was. ``later``: a failure
    that passes by itself (exit 6).
    """

    id: str
    status: Status
    asset: Asset
    wanted: tuple[str, ...]
    found: tuple[str, ...]
    message: str
    remedy: Remedy | None = None
    call: str | None = None
    fbtrace_id: str | None = None
    cached: bool = False
    valid_until: datetime | None = None
    later: bool = False

    def to_json(self) -> dict[str, Any]:
        """Give the shape of access.md §2."""
        remedy = None
        if self.remedy is not None:
            remedy = {
                "who": self.remedy.who,
                "steps": list(self.remedy.steps),
                "link": self.remedy.link,
                "command": self.remedy.command,
            }
        return {
            "id": self.id,
            "status": self.status,
            "asset": {"kind": self.asset.kind, "id": self.asset.id},
            "wanted": list(self.wanted),
            "found": list(self.found),
            "message": self.message,
            "remedy": remedy,
            "call": self.call,
            "fbtrace_id": self.fbtrace_id,
            "cached": self.cached,
            "valid_until": stamp(self.valid_until) if self.valid_until else None,
        }


@dataclass(frozen=True, slots=True)
class GateReport:
    """Every check of one destination, in order. ``calls`` counts reads of Meta, further pages of a list not among them."""

    destination: str
    allowed: bool
    checked_at: datetime
    calls: int
    agency: Party | None
    client: Party | None
    relationship: Relationship
    on_behalf_of: Party | None
    checks: tuple[Check, ...]

    @property
    def summary(self) -> dict[Status, int]:
        """How many checks have which status; every status is there."""
        counts = Counter(check.status for check in self.checks)
        return {status: counts[status] for status in STATUSES}

    def to_json(self) -> dict[str, Any]:
        """Give the ``data`` object of access.md §2."""
        return {
            "destination": self.destination,
            "allowed": self.allowed,
            "checked_at": stamp(self.checked_at),
            "calls": self.calls,
            "agency": _party(self.agency),
            "client": _party(self.client),
            "relationship": self.relationship,
            "on_behalf_of": _party(self.on_behalf_of),
            "checks": [check.to_json() for check in self.checks],
            "summary": dict(self.summary),
        }


def stamp(at: datetime) -> str:
    """Write a UTC time the way every report does: whole seconds, ``Z``."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _party(party: Party | None) -> dict[str, str | None] | None:
    return {"id": party.id, "name": party.name} if party else None
