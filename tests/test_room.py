"""How much is held at once: what fits below ``--memory``, and what an export says it needs where nothing does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.cli.options import read_size
from connector.errors import ConfigError
from connector.room import FRAME_ROWS, LEAST_ROWS, MOST_ROWS, Room, room_for

GIGABYTE = 1_000_000_000
ALL = ("EMAIL", "PHONE", "FN", "LN", "GEN", "DOB", "CT", "ST", "ZIP", "COUNTRY", "EXTERN_ID")


@pytest.mark.parametrize(
    ("memory", "codes", "columns", "rows"),
    [(GIGABYTE, ALL, 11, FRAME_ROWS), (GIGABYTE, ALL[:1], 1, 2 * FRAME_ROWS), (2 * GIGABYTE, ALL, 11, 2 * FRAME_ROWS)],
    ids=["usual", "narrow", "more memory"],
)
def test_frames_have_as_many_rows_as_cost_least(memory: int, codes: tuple[str, ...], columns: int, rows: int) -> None:
    found = room_for(memory, codes=codes, columns=columns).rows
    assert rows - 2_048 < found <= rows


@given(
    memory=st.integers(0, 8 * GIGABYTE),
    codes=st.integers(1, 11).map(lambda n: ALL[:n]),
    columns=st.integers(1, 30),
    members=st.integers(0, 50_000_000),
    more=st.integers(0, GIGABYTE),
)
def test_an_export_has_room_or_says_how_much_would_do(
    memory: int, codes: tuple[str, ...], columns: int, members: int, more: int
) -> None:
    def room(memory: int, more: int) -> Room | ConfigError:
        try:
            return room_for(memory, codes=codes, columns=columns, members=members, more=more)
        except ConfigError as little:
            return little

    found, with_more_to_hold = room(memory, more), room(memory, more + 100_000_000)
    if isinstance(found, Room):
        assert LEAST_ROWS <= found.rows <= MOST_ROWS
        assert not isinstance(with_more_to_hold, Room) or with_more_to_hold.rows <= found.rows
        return
    assert found.code == "memory.little"
    assert isinstance(with_more_to_hold, ConfigError)
    named = re.search(r"--memory (\d+MB)", found.hint or "")
    assert named is not None
    enough = read_size(named[1], "--memory")
    assert enough > memory
    assert isinstance(room(enough, more), Room)


@given(rows=st.integers(1, MOST_ROWS), most=st.integers(0, 10**9))
def test_what_waits_is_in_proportion_and_never_nothing(rows: int, most: int) -> None:
    share = Room(rows).share(most)
    assert share <= most
    assert share == most or rows < FRAME_ROWS
    assert share >= min(1, most)
