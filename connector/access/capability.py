"""What our Meta app may do between businesses, as far as it is known: read partners, write partners.

Since 2021-06-08 Meta answers these calls only to apps it let in, with an error that it does not document. Owns which refusals
mean that, and the memory of it: 24 hours an app, beside what the gate remembers. Source: access.md §3.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

import sqlalchemy as sa

from connector.access.inquiry import time_of
from connector.errors import AccessError
from connector.schema import ACCESS_CHECKS

if TYPE_CHECKING:
    from datetime import datetime

    from connector.errors import ConnectorError
    from connector.state import State

Capability = Literal["b2b_read", "b2b_write"]

UNAVAILABLE: Final = "b2b.unavailable"
REMEMBERED: Final = timedelta(hours=24)
# What only the app can be blamed for; 10 and 200 may also be the person's lack of a scope or a role.
_OF_THE_APP: Final = frozenset({3, 270, 294})
_OF_EITHER: Final = frozenset({10, 200})
_NOT_LET_IN: Final = 2655040
_TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


def recall_capability(state: State, app: str | None, what: Capability, now: datetime) -> bool | None:
    """Say whether the app may, if that was learned within the last 24 hours."""
    if app is None:
        return None
    table = ACCESS_CHECKS
    query = sa.select(table.c.finding, table.c.valid_until).where(
        table.c.destination == _owner(app), table.c.check_id == what
    )
    with state.session() as connection:
        row = connection.execute(query).first()
    until = time_of(row.valid_until.replace("Z", "+00:00")) if row else None
    if row is None or until is None or until <= now:
        return None
    return bool(row.finding.get("may"))


def learn_capability(state: State, app: str | None, what: Capability, now: datetime, *, may: bool) -> None:
    """Remember for 24 hours whether the app may; nothing is remembered of an app that is not known."""
    if app is None:
        return
    table = ACCESS_CHECKS
    at = now.strftime(_TIME)
    row = {
        "destination": _owner(app), "check_id": what, "mark": "", "checked_at": at, "since": at,
        "valid_until": (now + REMEMBERED).strftime(_TIME), "finding": {"may": may},
    }  # fmt: skip
    with state.session() as connection:
        connection.execute(table.delete().where(table.c.destination == row["destination"], table.c.check_id == what))
        connection.execute(table.insert().values(**row))


def _owner(app: str) -> str:
    """Name the app's rows; no destination's name holds a colon."""
    return f"app:{app}"


def blames_the_app(error: ConnectorError) -> bool:
    """Whether a refusal can only mean that the app was not let in."""
    fault = error.fault
    return fault is not None and (fault.code in _OF_THE_APP or fault.subcode == _NOT_LET_IN)


def may_blame_the_app(error: ConnectorError) -> bool:
    """Whether a refusal may mean that the app was not let in, if nothing else explains it."""
    fault = error.fault
    return blames_the_app(error) or (fault is not None and fault.code in _OF_EITHER)


def unavailable(fbtrace_id: str | None = None) -> AccessError:
    """Say that the app was not let in; the way by hand is the caller's to show."""
    return AccessError(
        "Meta does not let this app make calls between businesses",
        code="b2b.unavailable",
        hint="Do it by hand, in the steps shown; then: connector check access",
        fbtrace_id=fbtrace_id,
    )
