"""Who is forgotten, in the state database: never taken back, never read with another key, nothing left undone unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from connector.audiences.marks import audience_is_clear, audiences_to_clear, read_forgotten, write_marks
from connector.errors import SourceError, TransientError
from connector.schema import FORGOTTEN
from connector.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY, OTHER_KEY = bytes(32), b"\x01" * 32


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    with State.open(state_url) as state:
        yield state


def test_marks_are_kept_once_and_for_good(state: State) -> None:
    assert not read_forgotten(state, KEY)
    write_marks(state, KEY, ["b", "a", "a"], ["12"])
    with state.session() as connection:
        first = connection.execute(sa.select(FORGOTTEN).order_by(FORGOTTEN.c.mark)).all()
    write_marks(state, KEY, ["a", "c"], [])
    assert read_forgotten(state, KEY).marks == {"a", "b", "c"}
    with state.session() as connection:
        again = connection.execute(sa.select(FORGOTTEN).order_by(FORGOTTEN.c.mark)).all()
    assert again[:2] == first, "when somebody was forgotten stays as it was"


def test_marks_of_another_key_stop_everything(state: State) -> None:
    write_marks(state, KEY, ["a"], [])
    with pytest.raises(SourceError) as lost:
        read_forgotten(state, OTHER_KEY)
    assert (lost.value.code, lost.value.exit_code) == ("forgotten.key", 3)
    write_marks(state, OTHER_KEY, ["b"], [])
    for key in (KEY, OTHER_KEY):
        with pytest.raises(SourceError):
            read_forgotten(state, key)


def test_an_audience_is_to_be_cleared_from_the_marks_on_until_it_is(state: State) -> None:
    write_marks(state, KEY, ["a"], ["12", "13", "12"])
    write_marks(state, KEY, ["b"], ["12"])
    assert audiences_to_clear(state) == {"12", "13"}
    for _ in range(2):
        audience_is_clear(state, "12")
        assert audiences_to_clear(state) == {"13"}
    write_marks(state, KEY, ["b"], ["12"])
    assert audiences_to_clear(state) == {"12", "13"}


def test_marks_and_audiences_are_written_together_or_not_at_all(state: State) -> None:
    with pytest.raises(TransientError):
        write_marks(state, KEY, ["a"], [None])  # type: ignore[list-item] - the database takes none
    assert (audiences_to_clear(state), read_forgotten(state, KEY).marks) == (set(), frozenset())


def test_more_can_be_forgotten_at_once_than_a_statement_has_parameters(postgres_url: str) -> None:
    """PostgreSQL takes 65,535 of them."""
    many = [f"{n:064x}" for n in range(66_000)]
    with State.open(postgres_url) as state:
        write_marks(state, KEY, many[:5], [])
        write_marks(state, KEY, many, ["12"])
        assert len(read_forgotten(state, KEY).marks) == len(many)
