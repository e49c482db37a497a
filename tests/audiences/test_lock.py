from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from connector.audiences.lock import _here, _is_dead, audience_lock
from connector.errors import TransientError
from connector.schema import LOCKS
from connector.state import State
from tests.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    with State.open(state_url) as state:
        yield state


def locked(state: State) -> list[str]:
    with state.session() as connection:
        return list(connection.execute(sa.select(LOCKS.c.audience_id)).scalars())


def test_the_second_is_told_who_holds_the_audience_and_for_how_long(state: State) -> None:
    with audience_lock(state, "7", "first", lease=30), pytest.raises(TransientError) as refused:
        audience_lock(state, "7", "second").__enter__()
    assert (refused.value.code, refused.value.exit_code) == ("audience.locked", 6)
    assert "run first, process" in refused.value.message
    assert re.search(r"its lease runs out in (2\d|3[01]) s", str(refused.value.hint))
    with audience_lock(state, "7", "third"):
        assert locked(state) == ["7"]
    assert locked(state) == []


def test_two_audiences_do_not_wait_for_each_other(state: State) -> None:
    with audience_lock(state, "7", "first"), audience_lock(state, "8", "second"):
        assert sorted(locked(state)) == ["7", "8"]


def test_a_failing_run_lets_go(state: State) -> None:
    with suppress(ValueError), audience_lock(state, "7", "first"):
        raise ValueError
    assert locked(state) == []


def test_the_lease_of_somebody_on_another_machine_runs_out(state: State) -> None:
    holds(state, place="another machine", until=-1)
    with audience_lock(state, "7", "second"):
        assert locked(state) == ["7"]


def test_somebody_on_another_machine_is_waited_for(state: State) -> None:
    holds(state, place="another machine", until=30)
    with pytest.raises(TransientError, match="being written by the other"), audience_lock(state, "7", "second"):
        pass


def test_a_heartbeat_keeps_a_short_lease(state: State) -> None:
    with audience_lock(state, "7", "first", lease=2, heartbeat=0.1) as check:
        deadline = time.monotonic() + 3.0
        while time.monotonic() < deadline:
            check()
            time.sleep(0.05)


def test_whoever_lost_the_lease_is_stopped(state: State) -> None:
    with audience_lock(state, "7", "first", heartbeat=0.02) as check:
        check()
        with state.session() as connection:
            connection.execute(sa.update(LOCKS).values(token="somebody else's"))
        with pytest.raises(TransientError) as stopped:
            wait_for(check)
    assert stopped.value.code == "audience.lock_lost"
    assert locked(state) == ["7"], "the other one's lease is not struck"


def test_a_lease_that_cannot_be_renewed_stops_its_holder_before_anybody_else_may_begin(state: State) -> None:
    with audience_lock(state, "7", "first", lease=1, heartbeat=60) as check:
        check()
        with pytest.raises(TransientError, match="ran out"):
            wait_for(check)


def test_a_database_that_goes_away_and_comes_back_does_not_cost_the_lock(state_url: str) -> None:
    with State.open(state_url) as state:
        engine, broken = state._engine, sa.create_engine("sqlite:////nowhere/at/all.db")
        with audience_lock(state, "7", "first", heartbeat=0.02) as check:
            away, back = threading.Event(), threading.Event()
            sa.event.listen(broken, "do_connect", lambda *_: away.set())
            state._engine = broken
            assert away.wait(20), "no heartbeat met it"
            state._engine = engine
            sa.event.listen(engine, "commit", lambda *_: back.set())
            assert back.wait(20), "no heartbeat came through"
            check()
        assert locked(state) == []
    broken.dispose()


def test_a_lock_that_cannot_be_struck_ends_by_its_lease(state_url: str) -> None:
    with State.open(state_url) as state:
        engine, broken = state._engine, sa.create_engine("sqlite:////nowhere/at/all.db")
        with audience_lock(state, "7", "first", lease=1):
            state._engine = broken
        state._engine = engine
        assert locked(state) == ["7"]
        wait_until(lambda: is_free(state))
    broken.dispose()


HOLDER = """
import sys, time
from connector.audiences.lock import audience_lock
from connector.state import State
with State.open(sys.argv[1]) as state, audience_lock(state, "7", "holder"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_holder_killed_on_this_machine_is_taken_over_from_at_once(state_url: str) -> None:
    holding = [sys.executable, "-c", HOLDER, state_url]
    with State.open(state_url) as state, subprocess.Popen(holding, stdout=subprocess.PIPE, text=True) as holder:
        assert read(holder) == "held"
        with pytest.raises(TransientError, match=f"run holder, process {holder.pid} on "):
            audience_lock(state, "7", "second").__enter__()
        holder.kill()
        wait_until(lambda: is_free(state))  # nobody has waited for it yet: it is a zombie, and holds nothing
        holder.wait()


def is_free(state: State) -> bool:
    with suppress(TransientError), audience_lock(state, "7", "next"):
        return True
    return False


@pytest.mark.parametrize(("process", "dead"), [("4194305 17", True), ("no number", False), ("", False)])
def test_a_process_is_dead_only_when_the_system_says_so(process: str, dead: bool) -> None:
    assert _is_dead(process) is dead


def test_a_number_given_again_to_another_process_is_not_the_holder() -> None:
    assert _is_dead(f"{os.getpid()} 17") is True
    assert _is_dead(_here()[1]) is False


def test_where_the_system_does_not_tell_only_the_lease_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathlib.Path.readlink", lambda _: (_ for _ in ()).throw(OSError))
    assert _here() == ("", str(os.getpid()))


RACER = """
import sys
from connector.audiences.lock import audience_lock
from connector.errors import TransientError
from connector.state import State
with State.open(sys.argv[1]) as state:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        with audience_lock(state, "7", "racer " + sys.argv[2]):
            print("held", flush=True)
            sys.stdin.readline()
    except TransientError as error:
        print(error.message, flush=True)
"""


def test_of_processes_that_race_for_an_audience_just_one_gets_it_and_the_others_name_it(state_url: str) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, state_url, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for n in range(4)
    ]
    try:
        assert [read(racer) for racer in racers] == ["ready"] * 4
        for racer in racers:
            write(racer)
        said = [read(racer) for racer in racers]
        (winner,) = [n for n, words in enumerate(said) if words == "held"]
        assert all(f"run racer {winner}, process {racers[winner].pid}" in words for words in said if words != "held")
    finally:
        for racer in racers:
            with suppress(BrokenPipeError):
                write(racer)
            racer.communicate(timeout=30)


def read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def write(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def holds(state: State, *, place: str, until: int) -> None:
    """Write the lease of somebody else; ``until`` is in seconds from now."""
    lease = {"audience_id": "7", "holder": "the other", "place": place, "process": "1 1", "token": "t"}
    with state.session() as connection:
        connection.execute(LOCKS.insert().values(**lease, until=int(time.time()) + until))


def wait_for(check: Callable[[], None]) -> None:
    """Check until it raises."""
    wait_until(check)  # which gives None each time
