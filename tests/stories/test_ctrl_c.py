"""Ctrl-C at every stage: gone within three seconds, exit 130, no traceback, the lock free, and the next run goes on."""

from __future__ import annotations

import json
import signal
import threading
import time
from dataclasses import dataclass
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

PEOPLE = 20_500
WITHIN = 3.0  # seconds from Ctrl-C to the answer, which is the last thing a run does


@pytest.fixture(scope="module")
def everybody() -> tuple[int, str]:
    people = ({"EXTERN_ID": str(n), "EMAIL": sha(f"person{n}@example.com")} for n in range(PEOPLE))
    return PEOPLE, digest_of(people)


@pytest.fixture
def ready(workspace: Path, add_demo: Callable[..., None]) -> Path:
    rows = "".join(f"{n},person{n}@example.com\n" for n in range(PEOPLE))
    (workspace / "people.csv").write_text(f"id,email\n{rows}", encoding="utf-8")
    mapping = "key_identifier: email\nkeys: {email: email, external_id: id}\n"
    (workspace / "mappings" / "crm.yaml").write_text(mapping, encoding="utf-8")
    add_demo()
    return workspace


def goes_on(sandbox: dict[str, Any], run: Run, everybody: tuple[int, str]) -> None:
    """The lock is free at once, and what was not acknowledged is sent."""
    calm(sandbox["base_url"])
    done = run("export", "segment", "people", "--json")
    assert done.exit_code == 0, done.out
    rows = done.envelope["data"]["rows"]
    assert rows["added"] + rows["unchanged"] == PEOPLE
    assert held(sandbox["base_url"]) == everybody


IN_THE_WAY = {
    "the gate waits for an answer": ({"do": "hang"}, ()),
    "one slow request": ({"edge": "users", "do": "slow", "seconds": 30}, ("--in-flight", "1")),
    "every request is slow": ({"edge": "users", "do": "slow", "seconds": 30}, ()),
    "requests hang": ({"edge": "users", "do": "hang"}, ()),
}


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_requests_under_way_are_cut_after_a_moment(
    what: str, ready: Path, sandbox: dict[str, Any], run: Run, everybody: tuple[int, str]
):
    fault, flags = IN_THE_WAY[what]
    script(sandbox["base_url"], {"times": None, **fault})
    stopped = stop_when(lambda: fired(sandbox["base_url"]), *flags)
    stopped.check()
    goes_on(sandbox, run, everybody)


def test_a_wait_for_a_throttle_ends_at_once(ready: Path, sandbox: dict[str, Any], run: Run, everybody: tuple[int, str]):
    wait = json.dumps({"acc_id_util_pct": 100, "reset_time_duration": 600})
    refusal = {"error": {"code": 17, "error_subcode": 2446079}, "headers": {"X-Ad-Account-Usage": wait}}
    script(sandbox["base_url"], {"edge": "users", "do": "error", "times": None, **refusal})
    stopped = stop_when(lambda: fired(sandbox["base_url"]))
    stopped.check()
    goes_on(sandbox, run, everybody)


@pytest.mark.parametrize("stage", ["checking access", "reading", "sending"])
def test_no_thread_is_left_wherever_a_library_call_is_stopped(
    stage: str, ready: Path, sandbox: dict[str, Any], run: Run, everybody: tuple[int, str]
):
    options = Options()
    before = set(threading.enumerate())
    options.on_progress = lambda progress: options.stop.set() if progress.stage == stage else None
    began = time.monotonic()
    with pytest.raises(InterruptedRunError) as stopped:
        export_segment(Config.load(ready), "people", options=options)
    assert stopped.value.exit_code == 130
    assert time.monotonic() - began < WITHIN + 5  # reading and sending as far as they came
    assert set(threading.enumerate()) == before
    for one in run("list", "runs", "--json").envelope["data"]["runs"]:  # none when it was stopped at the gate
        counted = one["report"]["profiles"]
        assert counted["read"] == counted["eligible"] + sum(counted["skipped"].values())
    goes_on(sandbox, run, everybody)


@dataclass(frozen=True)
class Stopped:
    """How a process ended that was stopped by hand."""

    exit_code: int
    code: str
    seconds: float
    err: str

    def check(self) -> None:
        assert self.seconds < WITHIN
        assert (self.exit_code, self.code) == (130, "interrupted")
        assert "Traceback" not in self.err


def stop_when(happened: Callable[[], object], *flags: str) -> Stopped:
    with started("export", "segment", "people", "--json", *flags) as process:
        wait_until(happened, process=process)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        answer = process.stdout.readline()
        seconds = time.monotonic() - began  # Python itself takes a while to go, on a busy machine
        _, err = process.communicate(timeout=PATIENCE)
    return Stopped(process.returncode, json.loads(answer)["error"]["code"], seconds, err)
