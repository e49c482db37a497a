"""Whatever stops a run, nothing is lost and nobody is sent who should not be: the next run ends with just the right members."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from connector.audiences.pace import Pace
from tests.by_hand import adds_up, digest_of, sha
from tests.processes import PATIENCE, started, wait_until
from tests.relay import Hold, Request, relay_to
from tests.sandbox_control import calm, held, script_upload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Any]
    Members = Callable[[], list[dict[str, Any]]]

BATCH = 10_000
PEOPLE = 3 * BATCH + 500
MAPPING = "key_identifier: email\nkeys: {email: email, external_id: id}\n"
EXPORT = ("export", "segment", "people")


def email(number: int) -> str:
    return f"person{number}@example.com"


def rightly(count: int) -> tuple[int, str]:
    """How many members there should be, and their digest."""
    return count, digest_of({"EXTERN_ID": str(n), "EMAIL": sha(email(n))} for n in range(count))


@pytest.fixture(scope="module")
def everybody() -> tuple[int, str]:
    return rightly(PEOPLE)


@pytest.fixture
def ready(workspace: Path, add_demo: Callable[..., None]) -> Path:
    """A workspace of four requests, and its destination."""
    people(workspace, PEOPLE)
    (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    add_demo()
    return workspace


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-offs of milliseconds: the default of an argument, nothing else."""
    monkeypatch.setitem(Pace.__init__.__kwdefaults__, "base", 0.01)


def people(workspace: Path, count: int) -> None:
    rows = "".join(f"{n},{email(n)}\n" for n in range(count))
    (workspace / "people.csv").write_text(f"id,email\n{rows}", encoding="utf-8")


def runs(run: Run) -> list[dict[str, Any]]:
    return list(run("list", "runs", "--json").envelope["data"]["runs"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_stopped_by_hand_says_so_and_the_next_one_sends_the_rest(
    number: signal.Signals, ready: Path, sandbox: dict[str, Any], run: Run, everybody: tuple[int, str],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    hold = Hold(after=1)
    with relay_to(sandbox["base_url"], change=hold) as relay, monkeypatch.context() as through:
        through.setenv("CONNECTOR_GRAPH_URL", relay.base_url)
        with started(*EXPORT, "--in-flight", "1", "--json") as process:
            wait_until(hold.reached.is_set, process=process)
            process.send_signal(number)
            assert process.stderr is not None
            assert any("Stopping after the requests under way" in line for line in process.stderr)
            hold.let_go.set()
            out, err = process.communicate(timeout=PATIENCE)
    answer = json.loads(out)
    assert (process.returncode, answer["exit_code"], answer["status"]) == (130, 130, "failed")
    assert answer["error"]["code"] == "interrupted"
    assert "again" in answer["error"]["hint"]
    assert "Traceback" not in err
    (stopped,) = runs(run)
    assert (stopped["status"], stopped["report"]["rows"]["added"]) == ("interrupted", 2 * BATCH)
    assert held(sandbox["base_url"])[0] == 2 * BATCH  # the request under way was waited for
    report = run(*EXPORT, "--json").envelope["data"]
    assert (report["rows"]["unchanged"], report["rows"]["added"]) == (2 * BATCH, PEOPLE - 2 * BATCH)
    assert held(sandbox["base_url"]) == everybody
    assert [one["status"] for one in runs(run)] == ["ok", "interrupted"]


def test_a_killed_run_is_gone_on_with(ready: Path, sandbox: dict[str, Any], run: Run, everybody: tuple[int, str]):
    script_upload(sandbox["base_url"], after=1, times=1, do="slow", seconds=5)
    with started(*EXPORT, "--in-flight", "1") as process:
        wait_until(lambda: held(sandbox["base_url"])[0] == 2 * BATCH, process=process)  # but the answer is on its way
        process.kill()
        process.communicate(timeout=PATIENCE)
    again = run(*EXPORT, "--json")
    assert again.exit_code == 0, again.out
    report = again.envelope["data"]
    assert adds_up(report)
    assert report["rows"]["unchanged"] + report["rows"]["added"] == PEOPLE
    assert held(sandbox["base_url"]) == everybody
    third = run(*EXPORT, "--json").envelope["data"]
    assert (third["rows"]["to_add"], third["batches"]["sent"]) == (0, 0)
    assert held(sandbox["base_url"]) == everybody


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
    script_upload(sandbox["base_url"], after=1, times=1, **fault)
    done = run(*EXPORT, "--json")
    assert done.exit_code == 0, done.out
    report = done.envelope["data"]
    assert adds_up(report)
    assert (report["rows"]["added"], report["batches"]["retried"]) == (PEOPLE, 1)
    assert held(sandbox["base_url"]) == everybody


def test_a_throttle_is_waited_for_as_long_as_meta_says(
    ready: Path, sandbox: dict[str, Any], run: Run, quick: None, everybody: tuple[int, str]
):
    usage = {sandbox["ad_account"].removeprefix("act_"): [
        {"type": "custom_audience", "call_count": 60, "total_cputime": 1, "total_time": 1, "estimated_time_to_regain_access": 0}
    ]}  # fmt: skip
    script_upload(
        sandbox["base_url"], after=1, times=1, do="error", status=400, error={"code": 80003, "error_subcode": 2446079},
        headers={"X-Business-Use-Case-Usage": json.dumps(usage)},
    )  # fmt: skip
    began = time.monotonic()
    done = run(*EXPORT, "--json")
    assert done.exit_code == 0, done.out
    assert time.monotonic() - began > 1.0
    assert done.envelope["data"]["batches"]["retried"] == 1
    assert held(sandbox["base_url"]) == everybody


def test_a_network_that_stays_broken_ends_the_run_and_the_next_one_sends_the_rest(
    ready: Path, sandbox: dict[str, Any], run: Run, quick: None, everybody: tuple[int, str]
):
    script_upload(sandbox["base_url"], after=2, times=None, do="drop_before")
    broken = run(*EXPORT, "--in-flight", "1", "--json")
    assert (broken.exit_code, broken.envelope["status"]) == (6, "failed")
    assert broken.envelope["error"]["code"] == "graph.cut"
    (stopped,) = runs(run)
    assert (stopped["status"], stopped["error_code"]) == ("failed", "graph.cut")
    assert held(sandbox["base_url"])[0] == 2 * BATCH
    calm(sandbox["base_url"])
    rest = run(*EXPORT, "--json").envelope["data"]["rows"]
    assert rest["added"] == PEOPLE - 2 * BATCH
    assert held(sandbox["base_url"]) == everybody


def test_a_token_that_expires_in_the_middle_names_who_connects_again(
    ready: Path, sandbox: dict[str, Any], run: Run, everybody: tuple[int, str]
):
    script_upload(
        sandbox["base_url"], after=1, times=None, do="error", status=400, error={"code": 190, "error_subcode": 463}
    )
    refused = run(*EXPORT, "--in-flight", "1", "--json")
    assert (refused.exit_code, refused.envelope["status"]) == (4, "refused")
    error = refused.envelope["error"]
    assert error["code"] == "graph.token_expired"
    assert error["fbtrace_id"]
    (stopped,) = runs(run)
    assert (stopped["status"], stopped["report"]["rows"]["added"]) == ("refused", BATCH)
    assert adds_up(stopped["report"])
    calm(sandbox["base_url"])
    assert run(*EXPORT).exit_code == 0
    assert held(sandbox["base_url"]) == everybody


def test_a_third_of_the_rows_rejected_is_exit_7_and_a_report_that_adds_up(
    ready: Path, sandbox: dict[str, Any], run: Run, monkeypatch: pytest.MonkeyPatch
):
    people(ready, 3_000)

    def break_every_third_row(request: Request) -> bytes:
        if not request.is_upload:
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
    assert held(sandbox["base_url"])[0] == 2_000
    (remembered,) = runs(run)
    assert (remembered["status"], remembered["report"]["rows"]) == ("partial", report["rows"])
    text = run("show", "run", remembered["id"]).out
    assert "rows invalid" in text
    assert "1,000" in text


def test_an_admin_who_pauses_stops_a_run_between_two_requests(
    ready: Path, sandbox: dict[str, Any], run: Run, everybody: tuple[int, str], monkeypatch: pytest.MonkeyPatch
):
    hold = Hold(after=1)
    with relay_to(sandbox["base_url"], change=hold) as relay, monkeypatch.context() as through:
        through.setenv("CONNECTOR_GRAPH_URL", relay.base_url)
        with started(*EXPORT, "--in-flight", "1", "--json") as process:
            wait_until(hold.reached.is_set, process=process)
            assert run("pause", "destination", "demo").exit_code == 0
            hold.let_go.set()
            out, _ = process.communicate(timeout=PATIENCE)
    answer = json.loads(out)
    assert (process.returncode, answer["status"], answer["error"]["code"]) == (8, "refused", "destination.paused")
    # The request under way was finished, and another may have been let through just before.
    assert held(sandbox["base_url"])[0] in {2 * BATCH, 3 * BATCH}
    assert run("resume", "destination", "demo").exit_code == 0
    assert run(*EXPORT).exit_code == 0
    assert held(sandbox["base_url"]) == everybody
