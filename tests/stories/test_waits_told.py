"""People are told how long it takes, why it waits, and what would not end in time."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from connector import Config, Options, export_segment
from connector.audiences.pace import Pace
from tests.sandbox_control import change_world, script, state_of, uploads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from connector.report import Progress

    Run = Callable[..., Any]

CONFIG = (
    "segments:\n  people: {{from: people.{0}, mapping: crm, to: [demo], mode: mirror}}\nguards: {{min_profiles: 1}}\n"
)


@pytest.fixture
def place(workspace: Path, add_demo: Callable[..., None]) -> Path:
    """A workspace of three requests, and its destination."""
    (workspace / "connector.yaml").write_text(CONFIG.format("csv"), encoding="utf-8")
    (workspace / "mappings" / "crm.yaml").write_text("key_identifier: email\nkeys: {email: email}\n", encoding="utf-8")
    rows = "".join(f"person{n}@example.com\n" for n in range(20_500))
    (workspace / "people.csv").write_text(f"email\n{rows}", encoding="utf-8")
    add_demo()
    return workspace


def limited(sandbox: dict[str, Any]) -> None:
    change_world(sandbox["base_url"], settings={"tier": "limited"})


def test_a_plan_tells_calls_bytes_and_time(place: Path, run: Run):
    plan = run("plan", "segment", "people", "--json").envelope["data"]["plan"]
    assert plan["calls"] == 3
    done = run("export", "segment", "people", "--json").envelope["data"]
    assert "plan" not in done
    assert plan["bytes"] == pytest.approx(done["batches"]["bytes"], rel=0.001)
    assert 0 < plan["seconds"] < 60
    assert plan["limited_access"] is False
    (place / "people.csv").write_text("email\nperson1@example.com\n", encoding="utf-8")
    leaving = run("export", "segment", "people", "--dry-run", "--allow-shrink", "--json").envelope["data"]
    assert (leaving["rows"]["to_add"], leaving["rows"]["to_remove"], leaving["plan"]["calls"]) == (0, 20_499, 3)


def test_a_plan_says_in_words_that_limited_access_takes_the_time(place: Path, sandbox: dict[str, Any], run: Run):
    limited(sandbox)
    said = run("plan", "segment", "people")
    assert said.exit_code == 0, said.err
    assert "3 requests, 1.4 MB, about" in said.out
    assert "Limited access" in said.out


def test_a_replacement_that_cannot_end_in_time_is_not_begun(place: Path, sandbox: dict[str, Any], run: Run):
    limited(sandbox)
    (place / "connector.yaml").write_text(CONFIG.format("parquet"), encoding="utf-8")
    many = pl.DataFrame({"email": ["a@example.com"]}).select(pl.col("email").repeat_by(3_600_000).explode())
    many.write_parquet(place / "people.parquet")
    refused = run("export", "segment", "people", "--mode", "replace", "--json")
    assert (refused.exit_code, refused.envelope["error"]["code"]) == (8, "replace.too_long")
    assert "3,600,000 profiles" in refused.envelope["error"]["message"]
    assert "--mode mirror" in refused.envelope["error"]["hint"]
    assert uploads(sandbox["base_url"]) == 0
    few = pl.DataFrame({"email": ["a@example.com"]})
    few.write_parquet(place / "people.parquet")
    assert run("export", "segment", "people", "--mode", "replace").exit_code == 0


def test_an_audience_that_is_being_replaced_is_tried_later(place: Path, sandbox: dict[str, Any], run: Run):
    (audience,) = state_of(sandbox["base_url"])["audiences"]
    change_world(sandbox["base_url"], change=[{"node": audience["id"], "set": {"status": 414}}])
    busy = run("export", "segment", "people", "--mode", "replace", "--json")
    assert busy.exit_code == 6, busy.out


def test_a_wait_says_why_and_until_when(place: Path, sandbox: dict[str, Any], run: Run):
    wait = json.dumps({"acc_id_util_pct": 50, "reset_time_duration": 4})
    fault = {
        "edge": "users", "do": "error", "error": {"code": 17, "error_subcode": 2446079},
        "headers": {"X-Ad-Account-Usage": wait},
    }  # fmt: skip
    script(sandbox["base_url"], fault)
    done = run("export", "segment", "people")
    assert done.exit_code == 0
    assert "Meta asks us to wait: going on at " in done.err
    assert re.search(r" UTC, in [345] s", done.err)  # its own back-off may be longer than the four that Meta names


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_progress_tells_the_time_left_where_the_whole_is_known(kind: str, place: Path):
    (place / "connector.yaml").write_text(CONFIG.format(kind), encoding="utf-8")
    many = pl.DataFrame({"email": [f"person{n}@example.com" for n in range(200_000)]})
    (many.write_csv if kind == "csv" else many.write_parquet)(place / f"people.{kind}")
    seen: list[Progress] = []
    export_segment(Config.load(place), "people", options=Options(on_progress=seen.append, pace=Pace()))
    told = [progress for progress in seen if progress.stage == "sending" and progress.left is not None]
    assert told
    # At the end nearly nothing is left: a text file's rows are judged by those of its first block.
    assert 0 <= (told[-1].left or 0) < 0.3 * told[-1].seconds
