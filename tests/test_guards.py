"""What stops a run on purpose, where the command line's stories (stories/test_guards.py) do not go: replacements too long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from connector import Config, export_segment
from connector.errors import GuardError
from connector.job import Options
from connector.state import State
from tests.sandbox_control import uploads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = 12_000
MAPPING = "key_identifier: email\nkeys: {email: email, external_id: id}\nconsent: ok\n"


@pytest.fixture
def config(workspace: Path, add_demo: Callable[..., None]) -> Config:
    (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    add_demo()
    return Config.load(workspace)


def write(folder: Path, consenting: int, refusing: int) -> None:
    lines = [f"{n},p{n}@x.example,{'yes' if n < consenting else 'no'}\n" for n in range(consenting + refusing)]
    (folder / "people.csv").write_text("id,email,ok\n" + "".join(lines), encoding="utf-8")


def measured(config: Config, seconds_a_request: float) -> None:
    """An earlier run to this destination, so slow."""
    with State.open(config.state_url) as state:
        run = state.start_run(segment="people", destination="demo", mode="replace", audience_id="1")
        state.end_run(run.id, status="ok", report={"batches": {"sent": 20}, "seconds": 20 * seconds_a_request})


def replace(config: Config) -> tuple[int, bool]:
    """How many were added, and whether the source was counted before."""
    stages: list[str] = []
    options = Options(mode="replace", workers=1, on_progress=lambda progress: stages.append(progress.stage))
    return export_segment(config, "people", options=options).tally.added, "counting" in stages


def test_a_replacement_that_cannot_end_in_time_is_not_begun(config: Config, sandbox: dict[str, Any]) -> None:
    """5,100 seconds for one request of 10,000 rows: then 10,000 rows are the most."""
    write(config.root, ROWS, 0)
    measured(config, 5100)
    with pytest.raises(GuardError) as too_long:
        replace(config)
    assert (too_long.value.code, uploads(sandbox["base_url"])) == ("replace.too_long", 0)
    assert f"{ROWS:,} profiles" in too_long.value.message
    assert "--mode mirror" in str(too_long.value.hint)


def test_where_the_estimate_leaves_a_doubt_the_source_is_counted(config: Config) -> None:
    write(config.root, 9_000, ROWS - 9_000)
    measured(config, 5100)
    assert replace(config) == (9_000, True)


def test_a_source_that_is_small_enough_is_not_counted(config: Config) -> None:
    write(config.root, 50, 0)
    measured(config, 5100)
    assert replace(config) == (50, False)
