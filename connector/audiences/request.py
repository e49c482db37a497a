"""One call before and after it is made: what is asked, and what became of it.

Must not know how it is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Piece: TypeAlias = bytes | bytearray | memoryview
Body: TypeAlias = Piece | tuple[Piece, ...]


@dataclass(slots=True)
class Call:
    """What became of one call: hand in an empty one and read it afterwards, whether the call succeeded or not.

    ``attempts`` counts requests, ``throttled`` those that Meta refused for the rate. ``uncertain`` says that an attempt
    before the last may have been carried out although its answer was lost. ``seconds`` is the last attempt's duration.
    """

    attempts: int = 0
    throttled: int = 0
    uncertain: bool = False
    seconds: float = 0.0

    @property
    def retried(self) -> int:
        """How often the request was sent again."""
        return max(0, self.attempts - 1)


@dataclass(frozen=True, slots=True)
class Request:
    """One call, before its first attempt.

    ``idempotent``: it may be sent again although it may have been carried out. ``divisible``: the caller can ask for less.
    """

    method: str
    path: str
    params: Mapping[str, object] = field(repr=False)  # may hold the secrets of a login
    body: Body | Callable[[], Body] | None = field(repr=False)
    account: str | None
    idempotent: bool
    divisible: bool
    call: Call
