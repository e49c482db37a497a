"""Ctrl-C in a refresh, at the moments that a first export does not have: exit 130, and the next run ends with just the right members."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from connector import Config, InterruptedRunError, Options, export_segment
from tests.by_hand import digest_of, sha
from tests.processes import PATIENCE, started, wait_until
from tests.sandbox_control import calm, fired, held, script

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Any]

CONFIG = """\
segments:
  people: {from: people.csv, mapping: crm, to: [demo]}
guards: {min_profiles: 1}
"""
MAPPING = "key_identifier: email\nkeys: {external_id: id, email: email}\n"
EXPORT = ("export", "segment", "people", "--json")
FIRST = {n: f"p{n}" for n in range(300)}
SECOND = {n: f"p{n}{'b' if n < 60 else ''}" for n in range(30, 340)}


@pytest.fixture
def ready(workspace: Path, sandbox: dict[str, Any], run: Run, add_demo: Callable[..., None]) -> dict[str, Any]:
    """Everybody is sent, and then some leave, some change and some are new."""
    (workspace / "connector.yaml").write_text(CONFIG, encoding="utf-8")
    (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    write(workspace, FIRST)
    add_demo()
    assert run(*EXPORT).exit_code == 0
    write(workspace, SECOND)
    return sandbox


def write(folder: Path, people: dict[int, str]) -> None:
    lines = (f"{n},{text}@x.example\n" for n, text in people.items())
    (folder / "people.csv").write_text("id,email\n" + "".join(lines), encoding="utf-8")


def goes_on(sandbox: dict[str, Any], run: Run) -> dict[str, Any]:
    """The next run takes out who is left to take out, and adds who is left to add."""
    calm(sandbox["base_url"])
    done = run(*EXPORT)
    assert done.exit_code == 0, done.out
    cells = ({"EXTERN_ID": str(n), "EMAIL": sha(f"{text}@x.example")} for n, text in SECOND.items())
    assert held(sandbox["base_url"]) == (len(SECOND), digest_of(cells))
    again = run(*EXPORT).envelope["data"]
    assert (again["rows"]["unchanged"], again["batches"]["sent"]) == (len(SECOND), 0)
    return dict(done.envelope["data"]["rows"])


@pytest.mark.parametrize(
    ("method", "removed", "twice"), [("DELETE", 0, False), ("POST", 60, True)], ids=["removing", "then adding, twice"]
)
def test_a_process_stopped_while_it_waits_for_meta(
    method: str, removed: int, twice: bool, ready: dict[str, Any], run: Run
) -> None:
    script(ready["base_url"], {"edge": "users", "method": method, "do": "slow", "seconds": 30, "times": None})
    with started(*EXPORT) as process:
        wait_until(lambda: fired(ready["base_url"]), process=process)
        process.send_signal(signal.SIGINT)
        if twice:
            assert process.stderr is not None
            assert "Ctrl-C again" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, out + err
    assert json.loads(out)["error"]["code"] == "interrupted"
    assert "Traceback" not in err
    newest = run("list", "runs", "--json").envelope["data"]["runs"][0]
    assert (newest["status"], newest["error_code"]) == ("interrupted", "interrupted")
    assert newest["report"]["rows"]["removed"] == removed
    rows = goes_on(ready, run)
    assert rows["to_remove"] == 60 - removed


@pytest.mark.parametrize("stage", ["comparing", "reading", "removing", "sending"])
def test_a_library_call_stopped_at_any_stage(stage: str, ready: dict[str, Any], workspace: Path, run: Run) -> None:
    options, seen = Options(), []

    def told(progress: Any) -> None:
        seen.append(progress.stage)
        if progress.stage == stage:
            options.stop.set()

    options.on_progress = told
    if stage == "sending":  # the only batch is on its way by then, and it is acknowledged
        export_segment(Config.load(workspace), "people", options=options)
    else:
        with pytest.raises(InterruptedRunError):
            export_segment(Config.load(workspace), "people", options=options)
    assert seen[-1] == stage
    goes_on(ready, run)


def test_taking_out_a_segment_stops_while_it_is_read(ready: dict[str, Any], workspace: Path, run: Run) -> None:
    everybody = held(ready["base_url"])
    options = Options(mode="remove")
    options.on_progress = lambda progress: options.stop.set() if progress.stage == "reading" else None
    with pytest.raises(InterruptedRunError):
        export_segment(Config.load(workspace), "people", options=options)
    assert held(ready["base_url"]) == everybody
    goes_on(ready, run)
