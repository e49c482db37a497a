"""Two processes export to one audience at once, as two schedulers would: one does it, the other says who is at it."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.by_hand import digest_of, sha
from tests.processes import PATIENCE, started, wait_until
from tests.relay import Hold, relay_to
from tests.sandbox_control import held, script_upload, uploads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PEOPLE = 300
EXPORT = ("export", "segment", "people", "--json")


@pytest.fixture
def base_url(
    workspace: Path, sandbox: dict[str, Any], state_url: str, monkeypatch: pytest.MonkeyPatch,
    add_demo: Callable[..., None],
) -> str:  # fmt: skip
    """The sandbox's; with a workspace of one request, its state on SQLite and on PostgreSQL."""
    monkeypatch.setenv("CONNECTOR_STATE", state_url)
    rows = "".join(f"{n},person{n}@example.com\n" for n in range(PEOPLE))
    (workspace / "people.csv").write_text(f"id,email\n{rows}", encoding="utf-8")
    mapping = "key_identifier: email\nkeys: {email: email, external_id: id}\n"
    (workspace / "mappings" / "crm.yaml").write_text(mapping, encoding="utf-8")
    add_demo()
    return str(sandbox["base_url"])


def everybody() -> tuple[int, str]:
    return PEOPLE, digest_of({"EXTERN_ID": str(n), "EMAIL": sha(f"person{n}@example.com")} for n in range(PEOPLE))


def test_one_runs_and_the_other_names_it(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hold = Hold()  # while it waits for Meta, the first one has the lock in its hand
    with relay_to(base_url, change=hold) as relay:
        monkeypatch.setenv("CONNECTOR_GRAPH_URL", relay.base_url)
        with started(*EXPORT) as first:
            wait_until(hold.reached.is_set, process=first)
            with started(*EXPORT) as second:
                refused = json.loads(second.communicate(timeout=PATIENCE)[0])
            hold.let_go.set()
            done = json.loads(first.communicate(timeout=PATIENCE)[0])
    assert (second.returncode, refused["error"]["code"]) == (6, "audience.locked")
    assert f"process {first.pid} on " in refused["error"]["message"]
    assert (first.returncode, done["data"]["rows"]["added"]) == (0, PEOPLE)
    assert held(base_url) == everybody()


def test_whichever_is_first_the_members_are_right(base_url: str) -> None:
    with contextlib.ExitStack() as stack:
        racers = [stack.enter_context(started(*EXPORT)) for _ in range(3)]
        for racer in racers:
            racer.communicate(timeout=2 * PATIENCE)
    codes = {racer.returncode for racer in racers}
    assert 0 in codes
    assert codes <= {0, 6}
    assert held(base_url) == everybody()


def test_a_run_that_was_killed_is_said_to_have_ended_by_the_next(base_url: str, run: Callable[..., Any]) -> None:
    script_upload(base_url, do="hang")
    with started(*EXPORT) as killed:
        wait_until(lambda: uploads(base_url), process=killed)
        killed.kill()
        killed.communicate(timeout=PATIENCE)
    assert run("export", "segment", "people").exit_code == 0
    runs = run("list", "runs", "--json").envelope["data"]["runs"]
    assert [one["status"] for one in runs] == ["ok", "interrupted"]
