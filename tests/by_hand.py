"""What the sandbox should hold, worked out without any of our code: match-keys.md beside it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def sha(text: str) -> str:
    """The digest Meta wants of a normalised value."""
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of(members: Iterable[dict[str, str]]) -> str:
    """The order-free digest of contract.md §6."""
    total = 0
    for member in members:
        text = json.dumps(sorted(member.items()), separators=(",", ":"), ensure_ascii=False)
        total += int(hashlib.sha256(text.encode()).hexdigest(), 16)
    return f"{total % 2**256:064x}"


def adds_up(report: dict[str, Any]) -> bool:
    """The sums of contract.md §4: every profile has one fate, every row one outcome, every cell is there or not."""
    profiles, rows = report["profiles"], report["rows"]
    return (
        profiles["read"] == profiles["eligible"] + sum(profiles["skipped"].values())
        and profiles["eligible"] + rows["extra"] == rows["to_add"] + rows["unchanged"]
        and rows["to_add"] == rows["added"] + rows["invalid"] + rows["left"]
        and rows["to_remove"] == rows["removed"] + rows["left_to_remove"]
        and all(c["sent"] + c["blank"] + sum(c["dropped"].values()) == rows["to_add"] for c in report["cells"].values())
    )
