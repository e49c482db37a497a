"""Who asked to be forgotten, in the state database: keyed marks, and the audiences that may still hold somebody of them.

Marks are never taken back, unless their key is lost. An audience stands on the list from the moment marks are written until
nobody of the forgotten is in it: so nothing is lost when the work is cut off in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from connector.audiences.ledger import key_mark
from connector.audiences.suppression import Forgotten
from connector.errors import SourceError
from connector.schema import FORGETTING, FORGOTTEN
from connector.state import now

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.engine import Connection

    from connector.state import State

MOST_AT_ONCE: Final = 10_000


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
            hint="Bring back CONNECTOR_KEY or .connector/key. If it is lost, enter everybody who was ever forgotten again:"
            " connector forget --stdin --new-list < all-of-them.txt",
        )
    return Forgotten(key, frozenset(row.mark for row in rows))


def write_marks(
    state: State, key: bytes, marks: Iterable[str], audiences: Iterable[str], *, new_list: bool = False
) -> int:
    """Write marks and, in the same transaction, which audiences have to be looked through for them.

    With ``new_list`` the marks of other keys, which nobody can read any more, are struck in that transaction as well;
    returns how many they were.
    """
    at, struck = now(), 0
    with state.session() as connection:
        if new_list:
            struck = connection.execute(sa.delete(FORGOTTEN).where(FORGOTTEN.c.key_mark != key_mark(key))).rowcount
        for some in _batched(sorted(set(marks)), MOST_AT_ONCE):
            rows = [{"mark": one, "key_mark": key_mark(key), "forgotten_at": at} for one in some]
            _insert_new(connection, FORGOTTEN.c.mark, rows)
        _insert_new(
            connection, FORGETTING.c.audience_id, [{"audience_id": one, "since": at} for one in sorted(set(audiences))]
        )
    return struck


def audiences_to_clear(state: State) -> set[str]:
    """Name the audiences that may still hold somebody who is forgotten."""
    with state.session() as connection:
        return set(connection.execute(sa.select(FORGETTING.c.audience_id)).scalars())


def audience_is_clear(state: State, audience_id: str) -> None:
    """Take an audience off that list."""
    with state.session() as connection:
        connection.execute(sa.delete(FORGETTING).where(FORGETTING.c.audience_id == audience_id))


def _insert_new(connection: Connection, key: sa.Column[str], rows: list[dict[str, str]]) -> None:
    """Insert the rows whose key is not there yet."""
    wanted = [row[key.name] for row in rows]
    there = set(connection.execute(sa.select(key).where(key.in_(wanted))).scalars())
    new = [row for row in rows if row[key.name] not in there]
    if new:
        connection.execute(sa.insert(key.table), new)


def _batched(values: list[str], size: int) -> Iterator[list[str]]:
    """Cut a list: a database takes tens of thousands of parameters in a statement, and no more."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
