"""The library call behind ``connector forget``: what stands in its way is named, and nothing is lost by a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from connector import Config, ConfigError, InterruptedRunError, SourceError, State, export_segment, forget_person
from connector.audiences.lock import audience_lock
from connector.schema import FORGETTING, FORGOTTEN, LOCKS
from tests.by_hand import sha
from tests.processes import wait_until
from tests.sandbox_control import calm, fired, script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Members = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def config(workspace: Path, add_demo: Callable[..., None]) -> Config:
    """A workspace whose three people are in an audience."""
    add_demo()
    config = Config.load(workspace)
    assert export_segment(config, "people").tally.added == 3
    return config


@pytest.fixture
def state(config: Config) -> Iterator[State]:
    with State.open(config.state_url) as state:
        yield state


def count(members: Members) -> int:
    return int(next(a["members"] for a in members() if a["name"] == "People"))


def hang(sandbox: dict[str, Any]) -> None:
    script(sandbox["base_url"], {"edge": "users", "method": "DELETE", "do": "hang", "seconds": 60})


def test_several_people_leave_by_one_call(config: Config, members: Members) -> None:
    done = forget_person(config, emails=["mary@example.com"], phones=["+33639981234"], external_ids=["1"])
    assert done.asked == {"email": 1, "phone": 1, "external_id": 1}
    (place,) = done.places
    assert (place.outcome, place.profiles, done.exit_code) == ("removed", 2, 0)
    assert count(members) == 1


def test_the_same_value_written_twice_is_one(config: Config) -> None:
    done = forget_person(config, emails=["mary@example.com", " MARY@example.com", sha("mary@example.com")])
    assert done.asked == {"email": 1}


def test_an_audience_that_is_being_written_is_open_and_its_next_export_finishes(
    config: Config, state: State, members: Members
) -> None:
    audience_id = str(state.destination("demo").audience_id)
    with audience_lock(state, audience_id, "elsewhere"):
        (place,) = forget_person(config, emails=["mary@example.com"]).places
    assert (place.outcome, place.code) == ("open", "audience.locked")
    report = export_segment(config, "people")
    assert report.warnings == ("1 profiles of forgotten people were taken out.",)
    assert count(members) == 2
    assert export_segment(config, "people").warnings == ()
    with state.session() as connection:
        assert connection.execute(sa.select(FORGETTING)).all() == []


def test_a_damaged_ledger_is_named_and_the_person_is_marked_all_the_same(config: Config, state: State) -> None:
    file = next(path for path in (config.root / ".connector" / "ledger").rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-1] + b"\x00")
    (place,) = forget_person(config, emails=["mary@example.com"]).places
    assert (place.outcome, place.code) == ("open", "ledger.damaged")
    with state.session() as connection:
        assert len(connection.execute(sa.select(FORGOTTEN)).all()) == 1


def test_without_the_key_nobody_could_be_recognised(config: Config) -> None:
    forget_person(config, emails=["mary@example.com"])
    (config.root / ".connector" / "key").write_text("0" * 64, encoding="ascii")
    with pytest.raises(SourceError) as lost:
        forget_person(config, emails=["rene@example.org"])
    assert lost.value.code == "forgotten.key"


def test_marks_tell_nothing_without_the_key(config: Config, state: State) -> None:
    forget_person(config, emails=["mary@example.com"], external_ids=["1"])
    with state.session() as connection:
        marks = set(connection.execute(sa.select(FORGOTTEN.c.mark)).scalars())
    assert len(marks) == 2
    assert not marks & {sha("mary@example.com"), sha(sha("mary@example.com")), sha("1")}


def test_stopping_leaves_the_mark_and_running_again_finishes(config: Config, members: Members) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedRunError):
        forget_person(config, emails=["mary@example.com"], stop=stop)
    assert count(members) == 3
    (place,) = forget_person(config, emails=["mary@example.com"]).places
    assert (place.outcome, count(members)) == ("removed", 2)


def test_killed_between_mark_and_removal_the_person_is_never_sent_again_and_again_finishes(
    config: Config, state: State, sandbox: dict[str, Any], members: Members
) -> None:
    hang(sandbox)
    process = subprocess.Popen(
        [sys.executable, "-m", "connector", "forget", "--stdin", "--yes"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ},
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(b"email mary@example.com\n")
    process.stdin.close()
    try:
        wait_until(lambda: fired(sandbox["base_url"]))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    calm(sandbox["base_url"])
    with state.session() as connection:
        assert len(connection.execute(sa.delete(LOCKS).returning(LOCKS.c.holder)).all()) == 1, "its lease would run out"
    assert export_segment(config, "people").tally.skipped["suppressed"] == 1
    assert count(members) == 2
    assert forget_person(config, emails=["mary@example.com"]).places == ()


@pytest.mark.parametrize(
    "given", [{}, {"emails": ["nobody"]}, {"phones": ["12"]}, {"external_ids": [" "]}, {"emails": ["d" * 32]}]
)
def test_what_is_no_identifier_is_refused_before_anything_is_marked(
    config: Config, state: State, given: dict[str, list[str]]
) -> None:
    with pytest.raises(ConfigError):
        forget_person(config, **given)
    with state.session() as connection:
        assert connection.execute(sa.select(FORGOTTEN)).all() == []
