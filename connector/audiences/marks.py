"""Who asked to be forgotten, in the state database: keyed marks, and the audiences that may still hold somebody of them.

Marks are never taken back. An audience stands on the list from the moment marks are written until nobody of the forgotten is
in it: so nothing is lost when the work is cut off in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from connector.audiences.ledger import key_mark
from connector.audiences.suppression import Forgotten
from connector.errors import SourceError
from connector.schema import FORGETTING, FORGOTTEN
from connector.state import now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.engine import Connection

    from connector.state import State


def read_forgotten(state: State, key: bytes) -> Forgotten:
    """Read the marks.

    Raises:
        SourceError: marks were written with another key, so that nobody could be told to be forgotten (``forgotten.key``).
    """
    with state.session() as connection:
        rows = connection.execute(sa.select(FORGOTTEN.c.mark, FORGOTTEN.c.key_mark)).all()
    if any(row.key_mark != key_mark(key) for row in rows):
        raise SourceError(
            "the list of forgotten people was written with another key: nobody on it could be recognised",
            code="forgotten.key",
            hint="Bring back CONNECTOR_KEY or .connector/key.",
        )
    return Forgotten(key, frozenset(row.mark for row in rows))


def write_marks(state: State, key: bytes, marks: Iterable[str], audiences: Iterable[str]) -> None:
    """Write marks and, in the same transaction, which audiences have to be looked through for them."""
    at = now()
    with state.session() as connection:
        for mark in sorted(_missing(connection, FORGOTTEN.c.mark, marks)):
            connection.execute(FORGOTTEN.insert().values(mark=mark, key_mark=key_mark(key), forgotten_at=at))
        for audience_id in sorted(_missing(connection, FORGETTING.c.audience_id, audiences)):
            connection.execute(FORGETTING.insert().values(audience_id=audience_id, since=at))


def audiences_to_clear(state: State) -> set[str]:
    """Name the audiences that may still hold somebody who is forgotten."""
    with state.session() as connection:
        return set(connection.execute(sa.select(FORGETTING.c.audience_id)).scalars())


def audience_is_clear(state: State, audience_id: str) -> None:
    """Take an audience off that list."""
    with state.session() as connection:
        connection.execute(sa.delete(FORGETTING).where(FORGETTING.c.audience_id == audience_id))


def _missing(connection: Connection, column: sa.Column[str], wanted: Iterable[str]) -> set[str]:
    asked = set(wanted)
    return asked - set(connection.execute(sa.select(column).where(column.in_(asked))).scalars())
