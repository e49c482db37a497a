"""Who asked to be forgotten: keyed marks in the state database, so that they never go out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from connector.audiences.ledger import key_mark
from connector.audiences.suppression import Forgotten
from connector.errors import SourceError
from connector.schema import FORGOTTEN

if TYPE_CHECKING:
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
