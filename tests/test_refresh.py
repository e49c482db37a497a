"""The steps of an export that the walks through all modes (stories/test_modes.py) pass by, or pass by chance only."""

from __future__ import annotations

import gzip
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from connector import Config, export_segment
from connector.audiences.marks import audiences_to_clear
from connector.errors import ConfigError, SourceError
from connector.job import Options
from connector.state import State
from tests.by_hand import digest_of, sha
from tests.sandbox_control import held, script, state_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = """\
segments:
  people: {from: people.csv, mapping: crm, to: [demo], refresh_after: 30d}
  others: {from: others.csv, mapping: crm, to: [demo]}
guards: {min_profiles: 0, max_shrink: 1}
"""
MAPPING = "key_identifier: email\nkeys: {email: email, first_name: name}\n"
TODAY = date(2026, 11, 21)


@pytest.fixture
def config(workspace: Path, add_demo: Callable[..., None]) -> Config:
    """Two segments of one audience, without external ids."""
    (workspace / "connector.yaml").write_text(CONFIG, encoding="utf-8")
    (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    add_demo()
    return Config.load(workspace)


def write(config: Config, people: list[tuple[int, str]], name: str = "people") -> None:
    lines = [f"p{n}@x.example,{first}\n" for n, first in people]
    (config.root / f"{name}.csv").write_text("email,name\n" + "".join(lines), encoding="utf-8")


def export(config: Config, name: str = "people", *, later: int = 0, **options: Any) -> Any:
    given = {"workers": 1, "today": lambda: TODAY + timedelta(days=later)} | options
    return export_segment(config, name, options=Options(**given))


def holds(sandbox: dict[str, Any], people: list[tuple[int, str]]) -> bool:
    rows = [{"EMAIL": sha(f"p{n}@x.example"), "FN": sha(name)} for n, name in people]
    return held(sandbox["base_url"]) == (len(rows), digest_of(rows))


def test_a_replacement_by_the_first_rows_is_refused(config: Config) -> None:
    write(config, [(1, "ann")])
    with pytest.raises(ConfigError) as refused:
        export(config, mode="replace", limit=1)
    assert refused.value.code == "replace.limit"


def test_a_source_of_unknown_length_is_exported_all_the_same(config: Config, sandbox: dict[str, Any]) -> None:
    (config.root / "people.csv.gz").write_bytes(gzip.compress(b"email,name\np1@x.example,ann\n"))
    text = (config.root / "connector.yaml").read_text(encoding="utf-8").replace("people.csv", "people.csv.gz")
    (config.root / "connector.yaml").write_text(text, encoding="utf-8")
    export(Config.load(config.root))
    assert holds(sandbox, [(1, "ann")])


def refuse_removal_of(sandbox: dict[str, Any], number: int) -> None:
    """Twice: with the others, and alone."""
    fault = {"edge": "users", "method": "DELETE", "times": 2, "do": "error", "error": {"code": 100}}
    fault["holding"] = sha(f"p{number}@x.example")
    script(sandbox["base_url"], fault)


@pytest.mark.parametrize("mode", ["mirror", "remove"])
def test_a_removal_that_meta_did_not_take_whole_is_tried_again(
    config: Config, sandbox: dict[str, Any], mode: str
) -> None:
    write(config, [(n, "ann") for n in range(5)])
    export(config)
    write(config, [(n, "ann") for n in ((0, 1, 2) if mode == "mirror" else (3, 4))])
    refuse_removal_of(sandbox, 4)
    first = export(config, mode=mode)
    assert (first.tally.to_remove, first.tally.removed) == (2, 1)
    assert holds(sandbox, [(n, "ann") for n in (0, 1, 2, 4)])
    write(config, [(n, "ann") for n in range(3)])
    second = export(config)
    assert (second.tally.to_add, second.tally.unchanged) == (0, 3)
    assert holds(sandbox, [(n, "ann") for n in range(3)])
    assert export(config).tally.to_remove == 0


def test_a_forgetting_that_meta_did_not_take_whole_stays_open(
    config: Config, sandbox: dict[str, Any], run: Callable[..., Any]
) -> None:
    write(config, [(n, "ann") for n in range(4)])
    export(config)
    run("pause", "destination", "demo")
    assert run("forget", "--email", "p0@x.example", "--email", "p1@x.example", "--yes").exit_code == 7
    run("resume", "destination", "demo")
    refuse_removal_of(sandbox, 1)
    export(config, mode="add")  # takes them out again by itself: whoever is forgotten must not be there
    assert holds(sandbox, [(2, "ann"), (3, "ann")])
    with State.open(config.state_url) as state:
        assert len(audiences_to_clear(state)) == 1, "the ledger's files may still tell of them"
        export(config)
        assert audiences_to_clear(state) == set()


def test_many_frames_of_people_are_taken_out_without_ids(
    config: Config, sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [(n, "ann") for n in range(150)]
    write(config, people)
    export(config)
    write(config, people[:140] * 2)
    monkeypatch.setattr("connector.room.MOST_ROWS", 1)
    done = export(config, mode="remove")
    assert (done.tally.read, done.tally.to_remove, done.tally.removed) == (280, 140, 140)
    assert holds(sandbox, people[140:])


def test_whoever_is_sent_again_and_is_somebody_elses_double_by_now_leaves_at_the_end(
    config: Config, sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With too many candidates to keep, that comes out only while they are sent."""
    monkeypatch.setattr("connector.refresh.MOST_KEPT", 0)
    write(config, [(1, "Ann"), (2, "bob")])
    export(config)
    write(config, [(1, "ann"), (1, "Ann"), (2, "bob")])  # the new one is first, and the same when normalised
    done = export(config, later=40)
    assert (done.tally.added, done.tally.skipped["duplicate"]) == (2, 1)
    assert holds(sandbox, [(1, "ann"), (2, "bob")])
    assert export(config, later=40).tally.to_add == 0


def test_a_damaged_slice_of_others_is_told_before_anything_is_sent_though_who_leaves_comes_out_late(
    config: Config, sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(config, [(1, "Ann"), (2, "bob")])
    export(config)
    write(config, [(2, "eve")], "others")
    export(config, "others")
    path = next((config.root / ".connector" / "ledger").rglob("others/*.parquet"))
    path.write_bytes(path.read_bytes()[:-1])
    monkeypatch.setattr("connector.refresh.MOST_KEPT", 0)
    write(config, [(1, "ann"), (1, "Ann"), (2, "bob")])
    before = state_of(sandbox["base_url"])
    with pytest.raises(SourceError) as damaged:
        export(config, later=40)
    assert (damaged.value.code, "others" in damaged.value.message) == ("ledger.damaged", True)
    assert state_of(sandbox["base_url"])["audiences"] == before["audiences"]
    assert state_of(sandbox["base_url"])["calls"]["users"] == before["calls"]["users"]


def test_nobody_is_removed_before_others_who_share_an_identifier_are_looked_at(
    config: Config, sandbox: dict[str, Any]
) -> None:
    write(config, [(1, "ann"), (2, "bob")])
    write(config, [(2, "eve")], "others")
    export(config)
    export(config, "others")
    write(config, [])
    done = export(config, allow_shrink=True)
    assert (done.tally.to_remove, done.tally.removed) == (1, 1)
    assert holds(sandbox, [(2, "bob"), (2, "eve")])
    write(config, [], "others")
    export(config, "others", allow_shrink=True)
    assert holds(sandbox, [])
