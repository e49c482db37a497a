"""What the gate remembers between runs: passes and warnings with their time to live, in the state database.

Ids and names of businesses, never a token: rows carry a mark of it instead (``Caller.mark``), so that a new token finds
nothing. A failure is not remembered at all. Source of the times to live: access.md §2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from connector.access.findings import Asset
from connector.access.inquiry import Finding, time_of, words_of
from connector.access.reads import Answer
from connector.schema import ACCESS_CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from connector.state import State

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class Remembered:
    """One check's last good answer: when it was given, until when it stands, since when it has been good."""

    finding: Finding
    checked_at: datetime
    valid_until: datetime
    since: datetime


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one destination. ``good`` holds for this very token and destination."""

    good: Mapping[str, Remembered] = field(default_factory=dict)
    any_token: Mapping[str, Remembered] = field(default_factory=dict)


def recall(state: State | None, destination: str, mark: str) -> Memory:
    """Read what is remembered of a destination."""
    if state is None:
        return Memory()
    table = ACCESS_CHECKS
    with state.session() as connection:
        found = connection.execute(sa.select(table).where(table.c.destination == destination)).mappings()
        rows = [dict(row) for row in found]
    known = {row["check_id"]: _read(row) for row in rows}
    return Memory({row["check_id"]: known[row["check_id"]] for row in rows if row["mark"] == mark}, known)


def remember(
    state: State | None, destination: str, mark: str, *, good: Mapping[str, Remembered], asked: Iterable[str]
) -> None:
    """Replace what is remembered of the checks that were ``asked`` by those that are ``good``."""
    if state is None:
        return
    table = ACCESS_CHECKS
    rows = [_row(destination, mark, check, kept) for check, kept in good.items()]
    with state.session() as connection:
        gone = table.c.check_id.in_(list(asked))
        connection.execute(table.delete().where(table.c.destination == destination, gone))
        if not rows:
            return
        try:
            with connection.begin_nested():
                connection.execute(table.insert(), rows)
        except IntegrityError:
            pass  # another run of the same gate was faster, and its answers are as good


def forget_access(state: State, destination: str) -> None:
    """Make the gate ask everything anew: after error 190, 200 or 368 in a run, or when a destination is removed."""
    table = ACCESS_CHECKS
    with state.session() as connection:
        connection.execute(table.delete().where(table.c.destination == destination))


def _row(destination: str, mark: str, check: str, kept: Remembered) -> dict[str, Any]:
    finding = kept.finding
    return {
        "destination": destination,
        "check_id": check,
        "mark": mark,
        "checked_at": kept.checked_at.strftime(_TIME),
        "valid_until": kept.valid_until.strftime(_TIME),
        "since": kept.since.strftime(_TIME),
        "finding": {
            "word": finding.word,
            "asset": [finding.asset.kind, finding.asset.id],
            "found": list(finding.found),
            "wanted": None if finding.wanted is None else list(finding.wanted),
            "values": dict(finding.values),
            "call": finding.answer.call if finding.answer else None,
            "facts": dict(finding.facts),
        },
    }


def _read(row: Mapping[str, Any]) -> Remembered:
    kept = row["finding"]
    finding = Finding(
        kept["word"],
        Asset(*kept["asset"]),
        words_of(kept["found"]),
        kept["values"],
        None if kept["wanted"] is None else words_of(kept["wanted"]),
        Answer(kept["call"]) if kept["call"] else None,
        kept["facts"],
    )
    return Remembered(finding, _time(row["checked_at"]), _time(row["valid_until"]), _time(row["since"]))


def _time(text: str) -> datetime:
    read = time_of(text.replace("Z", "+00:00"))
    if read is None:
        raise ValueError("a time of the access cache is not one")
    return read
