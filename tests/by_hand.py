"""What the sandbox should hold, worked out without any of our code: match-keys.md beside it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

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
