"""Whatever stops a run, nothing is lost and nobody is sent who should not be: the next run ends with just the right members."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from connector.audiences.pace import Pace
from tests.by_hand import digest_of, sha
from tests.relay import Request, relay_to

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Any]
    Members = Callable[[], list[dict[str, Any]]]

BATCH = 10_000
PEOPLE = 3 * BATCH + 500
MAPPING = "key_identifier: email\nkeys: {email: email, external_id: id}\n"
EXPORT = ("export", "segment", "people")
WITHIN = 60.0  # seconds; what is waited for comes in one or two


def email(number: int) -> str:
    return f"person{number}@example.com"


def rightly(count: int) -> tuple[int, str]:
    """How many members there should be, and their digest."""
    return count, digest_of({"EXTERN_ID": str(n), "EMAIL": sha(email(n))} for n in range(count))


@pytest.fixture(scope="module")
def everybody() -> tuple[int, str]:
    return rightly(PEOPLE)


@pytest.fixture
def ready(workspace: Path, sandbox: dict[str, Any], run: Run) -> Path:
    """A workspace of four requests, and its destination."""
    people(workspace, PEOPLE)
    (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    added = run(
        "add", "destination", "demo", "--ad-account", sandbox["ad_account"], "--business", sandbox["business"],
        "--new-audience", "People", "--accept-data-terms",
    )  # fmt: skip
    assert added.exit_code == 0, added.err
    return workspace


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-offs of milliseconds: the default of an argument, nothing else."""
    monkeypatch.setitem(Pace.__init__.__kwdefaults__, "base", 0.01)


def people(workspace: Path, count: int) -> None:
    rows = "".join(f"{n},{email(n)}\n" for n in range(count))
    (workspace / "people.csv").write_text(f"id,email\n{rows}", encoding="utf-8")


def script(sandbox: dict[str, Any], **fault: Any) -> None:
    fault = {"edge": "users", "method": "POST", **fault}
    httpx.post(f"{sandbox['base_url']}/_sandbox/faults", json={"faults": [fault]}).raise_for_status()


def held(sandbox: dict[str, Any]) -> tuple[int, str]:
    (audience,) = httpx.get(f"{sandbox['base_url']}/_sandbox/state").json()["audiences"]
    return audience["members"], audience["digest"]


def start(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "connector", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until_a_request_is_under_way_after(sandbox: dict[str, Any], acknowledged: int) -> None:
    """Until the sandbox has answered so many uploads and is at the next, which a fault slows down."""
    ends = time.monotonic() + WITHIN
    while time.monotonic() < ends:
        faults = httpx.get(f"{sandbox['base_url']}/_sandbox/faults").json()["faults"]
        if faults[-1]["fired"] and held(sandbox)[0] >= acknowledged * BATCH:
            return
        time.sleep(0.02)
    pytest.fail("the upload did not get there")


def runs(run: Run) -> list[dict[str, Any]]:
    return list(run("list", "runs", "--json").envelope["data"]["runs"])


def adds_up(report: dict[str, Any]) -> bool:
    profiles, rows = report["profiles"], report["rows"]
    return (
        profiles["read"] == profiles["eligible"] + sum(profiles["skipped"].values())
        and profiles["eligible"] + rows["extra"] == rows["to_add"] + rows["unchanged"]
        and rows["to_add"] == rows["added"] + rows["invalid"] + rows["left"]
        and rows["to_remove"] == rows["removed"] + rows["left_to_remove"]
        and all(c["sent"] + c["blank"] + sum(c["dropped"].values()) == rows["to_add"] for c in report["cells"].values())
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_stopped_by_hand_says_so_and_the_next_one_sends_the_rest(
    number: signal.Signals, ready: Path, sandbox: dict[str, Any], run: Run, everybody: tuple[int, str]
):
    script(sandbox, after=1, times=1, do="slow", seconds=1.0)
    with start(*EXPORT, "--in-flight", "1", "--json") as process:
        wait_until_a_request_is_under_way_after(sandbox, 1)
        process.send_signal(number)
        out, err = process.communicate(timeout=WITHIN)
    answer = json.loads(out)
    assert (process.returncode, answer["exit_code"], answer["status"]) == (130, 130, "failed")
    assert answer["error"]["code"] == "interrupted"
    assert "again" in answer["error"]["hint"]
    assert "Traceback" not in err
    (stopped,) = runs(run)
    assert (stopped["status"], stopped["report"]["rows"]["added"]) == ("interrupted", 2 * BATCH)
    assert held(sandbox)[0] == 2 * BATCH  # the request under way was waited for
    report = run(*EXPORT, "--json").envelope["data"]
    assert (report["rows"]["unchanged"], report["rows"]["added"]) == (2 * BATCH, PEOPLE - 2 * BATCH)
    assert held(sandbox) == everybody
    assert [one["status"] for one in runs(run)] == ["ok", "interrupted"]


def test_a_killed_run_is_gone_on_with(ready: Path, sandbox: dict[str, Any], run: Run, everybody: tuple[int, str]):
    script(sandbox, after=1, times=1, do="slow", seconds=3)
    with start(*EXPORT, "--in-flight", "1") as process:
        wait_until_a_request_is_under_way_after(sandbox, 1)
        process.kill()
        process.communicate(timeout=WITHIN)
    again = run(*EXPORT, "--json")
    if again.exit_code == 6:  # the dead run's lease still holds, and the message says for how long
        assert again.envelope["error"]["code"] == "audience.locked"
        assert "lease runs out in" in again.envelope["error"]["hint"]
        with sqlite3.connect(ready / ".connector" / "state.db") as state:
            state.execute("UPDATE audience_lock SET until = 0")  # let that time pass
        again = run(*EXPORT, "--json")
    assert again.exit_code == 0, again.out
    report = again.envelope["data"]
    assert adds_up(report)
    assert report["rows"]["unchanged"] + report["rows"]["added"] == PEOPLE
    assert held(sandbox) == everybody
    third = run(*EXPORT, "--json").envelope["data"]
    assert (third["rows"]["to_add"], third["batches"]["sent"]) == (0, 0)
    assert held(sandbox) == everybody


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "html", "status": 502},
        {"do": "drop_after"},
        {"do": "drop_before"},
        {"do": "truncate"},
        {"do": "error", "error": {"code": 2, "is_transient": True}, "status": 500},
        {"do": "error", "error": {"code": 1}, "status": 500},
    ],
    ids=lambda fault: f"{fault['do']} {fault.get('error', fault).get('code', '')}".strip(),
)
def test_what_the_network_does_to_one_request_is_repaired_within_the_run(
    fault: dict[str, Any], ready: Path, sandbox: dict[str, Any], run: Run, quick: None, everybody: tuple[int, str]
):
    script(sandbox, after=1, times=1, **fault)
    done = run(*EXPORT, "--json")
    assert done.exit_code == 0, done.out
    report = done.envelope["data"]
    assert adds_up(report)
    assert (report["rows"]["added"], report["batches"]["retried"]) == (PEOPLE, 1)
    assert held(sandbox) == everybody


def test_a_throttle_is_waited_for_as_long_as_meta_says(
    ready: Path, sandbox: dict[str, Any], run: Run, quick: None, everybody: tuple[int, str]
):
    usage = {sandbox["ad_account"].removeprefix("act_"): [
        {"type": "custom_audience", "call_count": 60, "total_cputime": 1, "total_time": 1, "estimated_time_to_regain_access": 0}
    ]}  # fmt: skip
    script(
        sandbox, after=1, times=1, do="error", status=400, error={"code": 80003, "error_subcode": 2446079},
        headers={"X-Business-Use-Case-Usage": json.dumps(usage)},
    )  # fmt: skip
    began = time.monotonic()
    done = run(*EXPORT, "--json")
    assert done.exit_code == 0, done.out
    assert time.monotonic() - began > 1.0
    assert done.envelope["data"]["batches"]["retried"] == 1
    assert held(sandbox) == everybody


def test_a_network_that_stays_broken_ends_the_run_and_the_next_one_sends_the_rest(
    ready: Path, sandbox: dict[str, Any], run: Run, quick: None, everybody: tuple[int, str]
):
    script(sandbox, after=2, times=None, do="drop_before")
    broken = run(*EXPORT, "--in-flight", "1", "--json")
    assert (broken.exit_code, broken.envelope["status"]) == (6, "failed")
    assert broken.envelope["error"]["code"] == "graph.cut"
    (stopped,) = runs(run)
    assert (stopped["status"], stopped["error_code"]) == ("failed", "graph.cut")
    assert held(sandbox)[0] == 2 * BATCH
    httpx.delete(f"{sandbox['base_url']}/_sandbox/faults").raise_for_status()
    rest = run(*EXPORT, "--json").envelope["data"]["rows"]
    assert rest["added"] == PEOPLE - 2 * BATCH
    assert held(sandbox) == everybody


def test_a_token_that_expires_in_the_middle_names_who_connects_again(
    ready: Path, sandbox: dict[str, Any], run: Run, everybody: tuple[int, str]
):
    script(sandbox, after=1, times=None, do="error", status=400, error={"code": 190, "error_subcode": 463})
    refused = run(*EXPORT, "--in-flight", "1", "--json")
    assert (refused.exit_code, refused.envelope["status"]) == (4, "refused")
    error = refused.envelope["error"]
    assert error["code"] == "graph.token_expired"
    assert error["fbtrace_id"]
    (stopped,) = runs(run)
    assert (stopped["status"], stopped["report"]["rows"]["added"]) == ("refused", BATCH)
    assert adds_up(stopped["report"])
    httpx.delete(f"{sandbox['base_url']}/_sandbox/faults").raise_for_status()
    assert run(*EXPORT).exit_code == 0
    assert held(sandbox) == everybody


def test_a_third_of_the_rows_rejected_is_exit_7_and_a_report_that_adds_up(
    ready: Path, sandbox: dict[str, Any], run: Run, monkeypatch: pytest.MonkeyPatch
):
    people(ready, 3_000)

    def break_every_third_row(request: Request) -> bytes:
        if not request.path.partition("?")[0].endswith("/users"):
            return request.body
        upload = json.loads(request.body)
        rows = upload["payload"]["data"]
        at = upload["payload"]["schema"].index("EMAIL")
        for row in rows[::3]:
            row[at] = "z" * 64
        return json.dumps(upload).encode()

    with relay_to(sandbox["base_url"], change=break_every_third_row) as relay:
        monkeypatch.setenv("CONNECTOR_GRAPH_URL", relay.base_url)
        shown = run(*EXPORT, "--json")
    report = shown.envelope["data"]
    assert (shown.exit_code, shown.envelope["status"], shown.envelope["error"]) == (7, "partial", None)
    assert (report["rows"]["to_add"], report["rows"]["added"], report["rows"]["invalid"]) == (3_000, 2_000, 1_000)
    assert adds_up(report)
    assert held(sandbox)[0] == 2_000
    (remembered,) = runs(run)
    assert (remembered["status"], remembered["report"]["rows"]) == ("partial", report["rows"])
    text = run("show", "run", remembered["id"]).out
    assert "rows invalid" in text
    assert "1,000" in text


def test_an_admin_who_pauses_stops_a_run_between_two_requests(
    ready: Path, sandbox: dict[str, Any], run: Run, everybody: tuple[int, str]
):
    script(sandbox, after=1, times=1, do="slow", seconds=1.0)
    with start(*EXPORT, "--in-flight", "1", "--json") as process:
        wait_until_a_request_is_under_way_after(sandbox, 1)
        assert run("pause", "destination", "demo").exit_code == 0
        out, _ = process.communicate(timeout=WITHIN)
    answer = json.loads(out)
    assert (process.returncode, answer["status"], answer["error"]["code"]) == (8, "refused", "destination.paused")
    assert held(sandbox)[0] in {2 * BATCH, 3 * BATCH}  # a request may have been let through just before
    assert run("resume", "destination", "demo").exit_code == 0
    assert run(*EXPORT).exit_code == 0
    assert held(sandbox) == everybody
