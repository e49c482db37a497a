"""A database host that takes a connection and never says a word."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING

import pytest

from connector import databases
from connector.config import Query
from connector.errors import SourceError, TransientError
from connector.profiles.queries import QuerySource
from connector.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT = 2  # seconds; the driver takes no less


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a host that never answers, with less patience than usual."""
    monkeypatch.setitem(databases._OF_LIBPQ, "connect_timeout", SHORT)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"postgresql+psycopg://reader@127.0.0.1:{listening.getsockname()[1]}/shop"


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def test_a_state_database_that_never_answers_is_given_up(silent: str) -> None:
    with at_most(20 * SHORT), pytest.raises(TransientError) as gone:
        State.open(silent)
    assert gone.value.code == "state.unavailable"


def test_a_source_that_never_answers_is_given_up(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", silent)
    with at_most(20 * SHORT), pytest.raises(SourceError) as gone:
        QuerySource(Query(source="shop", url_env="SHOP_URL", sql="select 1", file=None)).columns()
    assert gone.value.code == "source.database"
    assert "Is the database of SHOP_URL reachable" in (gone.value.hint or "")
