"""``fields=``: read what was asked, nested or not, off a node; and cut lists into pages with cursors.

Owns the syntax ``name,business{id,name},adaccounts.limit(5){id}`` and paging. The fields themselves belong to each kind.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from connector.sandbox.call import Listing
from connector.sandbox.refusals import Refusal, invalid

if TYPE_CHECKING:
    from connector.sandbox.call import Call, Json, Kind

DEEPEST = 6
LONGEST = 20_000
PAGE = 25
LARGEST_PAGE = 5_000
REPLACED = frozenset({"limit", "after", "before"})


@dataclass(slots=True)
class Wish:
    """One field that was asked for: its name, its arguments as in ``.limit(5)``, and the fields wanted below it."""

    name: str
    arguments: dict[str, str] = field(default_factory=dict)
    below: list[Wish] = field(default_factory=list)


def read_fields(text: str) -> list[Wish]:
    """Parse a ``fields`` parameter.

    Raises:
        Refusal: 2500 with the place, when brackets or names are amiss.
    """
    if len(text) > LONGEST:
        raise Refusal(2500, "Syntax error: fields is too long")
    wishes, at = _read_list(text, 0, 0)
    if at != len(text):
        raise _syntax(at)
    return wishes


def _syntax(at: int) -> Refusal:
    return Refusal(2500, f"Syntax error at character {at}: unexpected end of fields or character")


def _read_list(text: str, at: int, depth: int) -> tuple[list[Wish], int]:
    if depth > DEEPEST:
        raise Refusal(2500, "Syntax error: fields are nested too deep")
    wishes: list[Wish] = []
    while at < len(text):
        wish, at = _read_wish(text, at, depth)
        if wish is not None:
            wishes.append(wish)
        if at < len(text) and text[at] == ",":
            at += 1
            continue
        break
    return wishes, at


def _read_wish(text: str, at: int, depth: int) -> tuple[Wish | None, int]:
    start = at
    while at < len(text) and text[at] not in ",{}.()":
        at += 1
    name = text[start:at].strip()
    if not name:
        if at >= len(text) or text[at] in ",}":
            return None, at
        raise _syntax(at)
    wish = Wish(name)
    while at < len(text) and text[at] == ".":
        opening, closing = text.find("(", at), text.find(")", at)
        if opening < 0 or closing < opening:
            raise _syntax(at)
        wish.arguments[text[at + 1 : opening].strip()] = text[opening + 1 : closing]
        at = closing + 1
    if at < len(text) and text[at] == "{":
        wish.below, at = _read_list(text, at + 1, depth + 1)
        if at >= len(text) or text[at] != "}":
            raise _syntax(at)
        at += 1
    return wish, at


def render(call: Call, node: Any, wishes: list[Wish]) -> Json:
    """Read the wished fields (or the kind's default ones) off a node. ``id`` always comes along.

    Raises:
        Refusal: 100 for a field the kind does not have.
    """
    kind = call.kinds[type(node)]
    shown: Json = {}
    for wish in wishes or [Wish(name) for name in kind.default]:
        value = _value(call, node, kind, wish)
        if value is not None:
            shown[wish.name] = value
    if "id" in kind.fields:
        shown.setdefault("id", kind.fields["id"](call, node))
    return shown


def _value(call: Call, node: Any, kind: Kind, wish: Wish) -> Any:
    if wish.name in kind.fields:
        value = kind.fields[wish.name](call, node)
        return nested(call, value, wish.below)
    found = kind.edges.get(("GET", wish.name))
    if found is None or not wish.name:
        raise Refusal(100, f"(#100) Tried accessing nonexisting field ({wish.name[:64]}) on node type ({kind.title})")
    given = found.answer(call, node)
    if not isinstance(given, Listing):
        return given
    limit = wish.arguments.get("limit", str(PAGE))
    if not limit.isdecimal() or not limit.isascii() or len(limit) > 6:
        raise invalid("limit must be a positive integer")
    return page(call, given, wish.below, limit=int(limit), after=wish.arguments.get("after", ""), path="")


def nested(call: Call, value: Any, below: list[Wish]) -> Any:
    """Show a field's value: nodes by the fields wanted below them, plain objects cut down to those."""
    if type(value) in call.kinds:
        kind = call.kinds[type(value)]
        return render(call, value, below or [Wish(name) for name in kind.nested if name in kind.fields])
    if isinstance(value, list):
        return [nested(call, item, below) for item in value]
    if below and isinstance(value, Mapping):
        return {wish.name: nested(call, value[wish.name], wish.below) for wish in below if wish.name in value}
    return value


def page(
    call: Call, listing: Listing, wishes: list[Wish], *, limit: int, after: str, path: str, before: str = ""
) -> Json:
    """Cut one page out of a listing and say how to get its neighbours.

    Raises:
        Refusal: 100 for a cursor that is none of ours.
    """
    items = list(listing.items)
    limit = max(1, min(limit, LARGEST_PAGE))
    if before:
        end = max(0, _place(before))
        start = max(0, end - limit)
    else:
        start = _place(after) + 1 if after else 0
        end = start + limit
    chosen = items[start:end]
    answer: Json = {"data": [render(call, item, wishes) if type(item) in call.kinds else item for item in chosen]}
    if chosen:
        last = start + len(chosen) - 1
        paging: Json = {"cursors": {"before": _cursor(start), "after": _cursor(last)}}
        if last + 1 < len(items) and path:
            paging["next"] = _link(call, path, limit, "after", _cursor(last))
        if start > 0 and path:
            paging["previous"] = _link(call, path, limit, "before", _cursor(start))
        answer["paging"] = paging
    if listing.total is not None and call.parameters.text("summary"):
        answer["summary"] = {"total_count": listing.total}
    return answer


def _link(call: Call, path: str, limit: int, name: str, cursor: str) -> str:
    kept = {
        key: value
        for key, value in call.parameters.values.items()
        if isinstance(value, str) and key not in REPLACED and len(value) < LONGEST
    }
    return f"{call.base_url}{path}?{urlencode({**kept, 'limit': limit, name: cursor})}"


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(f"at:{place}".encode()).decode().rstrip("=")


def _place(cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        text = ""
    if not text.startswith("at:") or not text[3:].isascii() or not text[3:].isdecimal() or len(text) > 12:
        raise invalid("Invalid cursors values")
    return int(text[3:])
