"""What stops a run on purpose, where the command line's stories (stories/test_guards.py) do not go: replacements too long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from connector import Config, export_segment
from connector.errors import GuardError
from connector.job import Options
from connector.state import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = 12_000
MAPPING = "key_identifier: email\nkeys: {email: email, external_id: id}\nconsent: ok\n"


@pytest.fixture
def config(workspace: Path, sandbox: dict[str, Any], run: Callable[..., Any]) -> Config:
    (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    added = run(
        "add", "destination", "demo", "--ad-account", sandbox["ad_account"], "--business", sandbox["business"],
        "--new-audience", "People", "--accept-data-terms",
    )  # fmt: skip
    assert added.exit_code == 0, added.err
    return Config.load(workspace)


def write(folder: Path, consenting: int, refusing: int) -> None:
    lines = [f"{n},p{n}@x.example,{'yes' if n < consenting else 'no'}\n" for n in range(consenting + refusing)]
    (folder / "people.csv").write_text("id,email,ok\n" + "".join(lines), encoding="utf-8")


def measured(config: Config, seconds_a_request: float) -> None:
    """An earlier run to this destination, so slow."""
    with State.open(config.state_url) as state:
        run = state.start_run(segment="people", destination="demo", mode="replace", audience_id="1")
        state.end_run(run.id, status="ok", report={"batches": {"sent": 20}, "seconds": 20 * seconds_a_request})


def uploads(sandbox: dict[str, Any]) -> int:
    calls = httpx.get(f"{sandbox['base_url']}/_sandbox/state").json()["calls"]
    return int(calls.get("users", 0)) + int(calls.get("usersreplace", 0))


def replace(config: Config) -> Any:
    return export_segment(config, "people", options=Options(mode="replace", workers=1))


def test_a_replacement_that_cannot_end_in_time_is_not_begun(config: Config, sandbox: dict[str, Any]) -> None:
    """5,100 seconds for one request of 10,000 rows: then 10,000 rows are the most."""
    write(config.root, ROWS, 0)
    measured(config, 5100)
    with pytest.raises(GuardError) as too_long:
        replace(config)
    assert (too_long.value.code, uploads(sandbox)) == ("replace.too_long", 0)
    assert f"{ROWS:,} profiles" in too_long.value.message
    assert "--mode mirror" in str(too_long.value.hint)


def test_where_the_estimate_leaves_a_doubt_the_source_is_counted(config: Config) -> None:
    write(config.root, 9_000, ROWS - 9_000)
    measured(config, 5100)
    assert replace(config).tally.added == 9_000


def test_a_source_that_is_small_enough_is_not_counted(config: Config) -> None:
    write(config.root, 50, 0)
    measured(config, 5100)
    assert replace(config).tally.added == 50
