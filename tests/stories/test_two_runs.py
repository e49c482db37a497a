"""Two processes export to one audience at once, as two schedulers would: one does it, the other says who is at it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.by_hand import digest_of, sha

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PEOPLE = 300


@pytest.fixture
def ready(
    workspace: Path, sandbox: dict[str, Any], state_url: str, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]
) -> dict[str, Any]:
    """A workspace of one request, its state on SQLite and on PostgreSQL."""
    monkeypatch.setenv("CONNECTOR_STATE", state_url)
    rows = "".join(f"{n},person{n}@example.com\n" for n in range(PEOPLE))
    (workspace / "people.csv").write_text(f"id,email\n{rows}", encoding="utf-8")
    mapping = "key_identifier: email\nkeys: {email: email, external_id: id}\n"
    (workspace / "mappings" / "crm.yaml").write_text(mapping, encoding="utf-8")
    added = run(
        "add", "destination", "demo", "--ad-account", sandbox["ad_account"], "--business", sandbox["business"],
        "--new-audience", "People", "--accept-data-terms",
    )  # fmt: skip
    assert added.exit_code == 0, added.err
    return sandbox


def export() -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "connector", "export", "segment", "people", "--json"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def uploads(sandbox: dict[str, Any]) -> int:
    return int(httpx.get(f"{sandbox['base_url']}/_sandbox/state").json()["calls"].get("users", 0))


def test_one_runs_and_the_other_names_it(ready: dict[str, Any]) -> None:
    hang = {"edge": "users", "method": "POST", "do": "slow", "seconds": 8, "after": 0, "times": 1}
    httpx.post(f"{ready['base_url']}/_sandbox/faults", json={"faults": [hang]}).raise_for_status()
    first = export()
    deadline = time.monotonic() + 60
    while not uploads(ready):  # from here on the first one waits for Meta, with the lock in its hand
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    second = export()
    said, _ = second.communicate(timeout=60)
    refused = json.loads(said)
    assert (second.returncode, refused["error"]["code"]) == (6, "audience.locked")
    assert f"process {first.pid} on " in refused["error"]["message"]
    done, _ = first.communicate(timeout=60)
    assert (first.returncode, json.loads(done)["data"]["rows"]["added"]) == (0, PEOPLE)
    (audience,) = httpx.get(f"{ready['base_url']}/_sandbox/state").json()["audiences"]
    rightly = digest_of({"EXTERN_ID": str(n), "EMAIL": sha(f"person{n}@example.com")} for n in range(PEOPLE))
    assert (audience["members"], audience["digest"]) == (PEOPLE, rightly)


def test_whichever_is_first_the_members_are_right(ready: dict[str, Any]) -> None:
    racers = [export() for _ in range(3)]
    codes = []
    for racer in racers:
        racer.communicate(timeout=120)
        codes.append(racer.returncode)
    assert set(codes) <= {0, 6}
    assert 0 in codes
    (audience,) = httpx.get(f"{ready['base_url']}/_sandbox/state").json()["audiences"]
    assert audience["members"] == PEOPLE


def test_a_run_that_was_killed_is_said_to_have_ended_by_the_next(
    ready: dict[str, Any], run: Callable[..., Any]
) -> None:
    hang = {"edge": "users", "method": "POST", "do": "hang", "after": 0, "times": 1}
    httpx.post(f"{ready['base_url']}/_sandbox/faults", json={"faults": [hang]}).raise_for_status()
    killed = export()
    deadline = time.monotonic() + 60
    while not uploads(ready):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    killed.kill()
    killed.communicate(timeout=60)
    assert run("export", "segment", "people").exit_code == 0
    runs = run("list", "runs", "--json").envelope["data"]["runs"]
    assert [one["status"] for one in runs] == ["ok", "interrupted"]
