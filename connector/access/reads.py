"""The gate's reads: counted, made once each, and a refusal is an answer instead of an exception.

Owns the limit of 15 and the way from Meta's refusal to a plain value. Must not know what a read is for.
Throttles and network errors are no refusals: they leave as :class:`TransientError`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from connector.errors import AccessError, RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connector.access.caller import Caller

MOST_READS: Final = 15
_META_SAYS: Final = " Meta says: "

APP_CODES: Final = frozenset({3, 104, 270, 294})
TOKEN_CODES: Final = frozenset({102, 190})
CLOSED_CODES: Final = TOKEN_CODES | {368}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Meta's no: codes, its words for people (already redacted) and its trace id. ``code`` 0: no code came."""

    code: int
    subcode: int | None = None
    words: str | None = None
    fbtrace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one read gave: a node, or the rows of an edge, or a refusal; ``call`` is how the report names it."""

    call: str
    node: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[Mapping[str, Any], ...] = ()
    refusal: Refusal | None = None

    @property
    def refused(self) -> bool:
        """Whether Meta said no."""
        return self.refusal is not None


OVER_BUDGET: Final = Refusal(0, words=f"not read: the gate stops at {MOST_READS} reads")


class Reads:
    """All reads of one gate run; the same read asked twice is made once."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._answers: dict[tuple[str, tuple[tuple[str, str], ...]], Answer] = {}
        self.count = 0

    @property
    def tier(self) -> str | None:
        """The app's tier, once an answer named it."""
        return self._caller.tier

    @property
    def met_a_closed_door(self) -> bool:
        """Whether a read was refused for what the token is or may: 102, 190, 200 to 299, 368, 100/33."""
        refusals = [answer.refusal for answer in self._answers.values() if answer.refusal]
        return any(
            one.code in CLOSED_CODES or 200 <= one.code <= 299 or (one.code, one.subcode) == (100, 33)
            for one in refusals
        )

    def node(self, path: str, **params: str) -> Answer:
        """Read a node."""
        return self._once(path, params, lambda: Answer(f"GET {path}", self._caller.get(path, **params)))

    def rows(self, path: str, **params: str) -> Answer:
        """Read every row of an edge, all pages."""
        return self._once(path, params, lambda: Answer(f"GET {path}", rows=tuple(self._caller.pages(path, **params))))

    def inspected(self) -> Answer | None:
        """Read what ``debug_token`` says of the token; nothing when the app's id or secret is not known."""
        if not self._caller.knows_the_app:
            return None
        return self._once("debug_token", {}, lambda: Answer("GET debug_token", _data(self._caller.inspect_token())))

    def _once(self, path: str, params: Mapping[str, str], ask: Callable[[], Answer]) -> Answer:
        key = (path, tuple(sorted(params.items())))
        if key not in self._answers:
            self._answers[key] = self._counted(path, ask)
        return self._answers[key]

    def _counted(self, path: str, ask: Callable[[], Answer]) -> Answer:
        if self.count >= MOST_READS:
            return Answer(f"GET {path}", refusal=OVER_BUDGET)
        self.count += 1
        try:
            return ask()
        except (AccessError, RejectedError) as error:
            if error.fault is None:
                raise
            words = error.message.partition(_META_SAYS)[2] or None
            refusal = Refusal(error.fault.code or 0, error.fault.subcode, words, error.fbtrace_id)
            return Answer(f"GET {path}", refusal=refusal)


def _data(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    data = answer.get("data")
    return data if isinstance(data, dict) else {}
