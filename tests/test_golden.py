"""Three things that people and programs rely on to the letter: a request, a report, a help page. Each fits on a screen.

A change here is a change for somebody: say so in the changelog, then write the file again by hand or from the test's output.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.relay import relay_to

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    Run = Callable[..., Any]

GOLDEN = Path(__file__).parent / "golden"


def exported(run: Run, add_demo: Callable[..., None]) -> dict[str, Any]:
    add_demo()
    done = run("export", "segment", "people", "--json")
    assert done.exit_code == 0, done.out
    return dict(done.envelope)


def test_a_request_is_to_the_letter_what_meta_reads(
    workspace: Path, sandbox: dict[str, Any], run: Run, add_demo: Callable[..., None], monkeypatch: pytest.MonkeyPatch
):
    with relay_to(sandbox["base_url"]) as relay:
        monkeypatch.setenv("CONNECTOR_GRAPH_URL", relay.base_url)
        exported(run, add_demo)
    (upload,) = relay.uploads()
    body = re.sub(rb'"session_id":\d{1,16},', b'"session_id":1,', upload.body)
    assert json.dumps(json.loads(body), indent=1, ensure_ascii=False) + "\n" == (GOLDEN / "request.json").read_text(
        "utf-8"
    )
    assert b" " not in body.replace("René".encode(), b"")  # compact: nothing is sent for its looks
    assert upload.headers["Content-Type"] == "application/json"
    assert upload.headers["Authorization"] == f"Bearer {sandbox['token']}"
    assert re.fullmatch(r"/v\d+\.\d+/\d+/users", upload.path)


def test_a_report_is_to_the_letter_what_schedulers_read(workspace: Path, run: Run, add_demo: Callable[..., None]):
    answer = exported(run, add_demo)
    data = answer["data"]
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{6}", data["run"])
    assert 0 < data["seconds"] < 60
    data |= {"run": "20260630-061500-a1b2c3", "seconds": 0.5, "profiles_per_second": 6}
    data["batches"]["bytes"] = 1000
    assert json.dumps(answer, indent=1, ensure_ascii=False) + "\n" == (GOLDEN / "report.json").read_text("utf-8")


def test_a_help_page_is_what_people_read(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "100")
    shown = run("explain", "--help")
    page = "\n".join(line.rstrip() for line in shown.out.splitlines()).strip("\n")
    assert (shown.exit_code, page + "\n") == (0, (GOLDEN / "help.txt").read_text("utf-8"))
