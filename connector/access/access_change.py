"""A change of partner access as values: what is wanted, what is about to happen, how it is to be made, what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from connector.access.findings import Asset, Language, Party
    from connector.access.manual_path import ManualPath
    from connector.access.partnerships import AssetKind, Partnership

Action = Literal["request access", "grant access", "revoke access"]
# ``by_hand``: the app may not, and ``Attempt.manual`` says how a person does it.
Outcome = Literal["planned", "pending", "confirmed", "admin_review", "revoked", "by_hand"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long to look, how often, and how to pass the time between."""

    span: timedelta
    every: timedelta = timedelta(seconds=30)
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class AccessWish:
    """What somebody wants changed. ``business`` is the other one: who gets access, or loses it; not for a request."""

    kind: AssetKind
    asset: str
    reason: str
    tasks: Sequence[str] = ()
    business: str | None = None
    expires: date | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What is about to be written at Meta. ``confirm_id`` is what has to be typed; ``stops`` names exports that will end."""

    action: Action
    asset: Asset
    asset_name: str | None
    owner: Party | None
    agency: Party
    tasks: tuple[str, ...]
    reason: str
    expires: date | None
    confirm_id: str
    stops: tuple[tuple[str, str], ...] = ()
    before: Partnership | None = None

    def to_json(self) -> dict[str, Any]:
        """Give it for machines."""
        return {
            "action": self.action,
            "asset": {"kind": self.asset.kind, "id": self.asset.id, "name": self.asset_name},
            "owner": _party(self.owner),
            "business": _party(self.agency),
            "tasks": list(self.tasks),
            "reason": self.reason,
            "expires": self.expires.isoformat() if self.expires else None,
            "stops": [{"segment": segment, "destination": name} for segment, name in self.stops],
        }


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of it."""

    change: Change
    outcome: Outcome
    manual: ManualPath | None = None
    fbtrace_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Give it for machines."""
        manual = {"manual": self.manual.to_json()} if self.manual else {}
        return {**self.change.to_json(), "status": self.outcome, **manual}


Confirm = Callable[[Change], bool]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a change is made: ``confirm`` is asked before anything is written, ``dry_run`` stops there.

    ``on_manual`` is told the way by hand as soon as it is known to be needed, before any waiting.
    """

    confirm: Confirm
    dry_run: bool = False
    wait: Waiting | None = None
    fresh: bool = False
    language: Language = "en"
    on_manual: Callable[[ManualPath], None] = lambda _: None


def _party(party: Party | None) -> dict[str, str | None] | None:
    return {"id": party.id, "name": party.name} if party else None
