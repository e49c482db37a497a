from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from connector.errors import ConfigError, TransientError
from connector.schema import DESTINATIONS, METADATA
from connector.state import FIRST_PREV, AuditEntry, Destination, State, audit_hash

if TYPE_CHECKING:
    from pathlib import Path


def test_the_migrations_make_just_the_tables_of_the_schema(state_url: str) -> None:
    State.open(state_url).close()
    engine = sa.create_engine(state_url)
    with engine.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), METADATA)
    engine.dispose()
    assert difference == []


def test_opening_twice_keeps_what_was_written(state_url: str) -> None:
    with State.open(state_url) as state:
        state.add_destination(Destination("demo", "act_1"))
    with State.open(state_url) as state:
        assert [d.name for d in state.destinations()] == ["demo"]


def test_a_database_of_a_newer_connector_is_refused_by_name(state_url: str) -> None:
    State.open(state_url).close()
    engine = sa.create_engine(state_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(ConfigError, match="newer connector") as refused:
        State.open(state_url)
    assert refused.value.code == "state.newer"


def test_a_database_that_cannot_be_written_is_a_setting_to_put_right_and_no_reason_to_try_again(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    State.open(f"sqlite:///{path}").close()
    engine = sa.create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")  # rights would not stop whoever is root
    with State(engine, engine) as state, pytest.raises(ConfigError, match="cannot be written") as refused:
        state.add_destination(Destination("demo", "act_1"))
    assert refused.value.code == "state.path"
    assert "CONNECTOR_STATE" in (refused.value.hint or "")


def test_a_glance_at_pauses_waits_for_nobody_who_writes(state_url: str) -> None:
    with State.open(state_url) as state, State.open(state_url) as other:
        paused = replace(state.add_destination(Destination("demo", "act_1")), paused_at="2026-01-01T00:00:00Z")
        with other.session() as writing:
            writing.execute(DESTINATIONS.update().values(paused_at="not yet to be seen"))
            assert state.pauses() == {"demo": None}
            writing.rollback()
        state.update_destination(paused)
        assert state.pauses() == {"demo": "2026-01-01T00:00:00Z"}


def test_a_destination_is_kept_changed_and_removed(state_url: str) -> None:
    with State.open(state_url) as state:
        added = state.add_destination(Destination("demo", "act_1", audience_id="2", value_based=True))
        assert state.destination("demo") == added
        assert added.created_at.endswith("Z")
        state.update_destination(replace(added, paused_at="2026-01-01T00:00:00Z"))
        assert state.destination("demo").paused_at == "2026-01-01T00:00:00Z"
        state.remove_destination("demo")
        assert state.destinations() == []


def test_a_taken_name_is_refused_and_changes_nothing(state_url: str) -> None:
    with State.open(state_url) as state:
        state.add_destination(Destination("demo", "act_1"))
        with pytest.raises(ConfigError, match="exists already"):
            state.add_destination(Destination("demo", "act_2"))
        assert state.destination("demo").ad_account == "act_1"


def test_an_unknown_destination_names_the_nearest(state_url: str) -> None:
    with State.open(state_url) as state:
        state.add_destination(Destination("loyalty", "act_1"))
        with pytest.raises(ConfigError) as unknown:
            state.destination("loyalti")
    assert unknown.value.hint == 'Did you mean "loyalty"?'


def test_a_run_and_its_batches_come_back_as_written(state_url: str) -> None:
    with State.open(state_url) as state:
        run = state.start_run(segment="s", destination="d", mode="add", audience_id="1")
        assert state.run(run.id).status == "running"
        counts = {"session_id": 2**53, "rows": 10, "bytes": 99, "retried": 0}
        state.record_batches(run.id, "add", [{"seq": seq, **counts} for seq in (2, 1)])
        state.record_batches(run.id, "add", [])
        state.end_run(run.id, status="ok", report={"rows": {"added": 20}})
        ended = state.run(run.id[:15])
        assert (ended.status, ended.report, ended.error_code) == ("ok", {"rows": {"added": 20}}, None)
        assert [(b["seq"], b["session_id"]) for b in state.batches(run.id)] == [(1, 2**53), (2, 2**53)]
        assert [r.id for r in state.runs(segment="s")] == [run.id]
        assert state.runs(segment="other") == []


def test_an_unknown_or_ambiguous_run_id_is_refused(state_url: str) -> None:
    with State.open(state_url) as state:
        for _ in range(2):
            state.start_run(segment="s", destination="d", mode="add", audience_id=None)
        with pytest.raises(ConfigError, match="no run has"):
            state.run("nothing")
        with pytest.raises(ConfigError, match="begin with"):
            state.run("2")
        with pytest.raises(ConfigError, match="no run has"):
            state.run("%")


def test_every_audit_line_carries_the_hash_of_the_one_before(state_url: str) -> None:
    with State.open(state_url) as state:
        first = state.audit(AuditEntry("a", "ok", after={"ü": 1}), actor="mia")
        state.audit(AuditEntry("b", "ok"), actor="mia")
        one, two = state.audit_lines()
    assert (one["seq"], two["seq"]) == (1, 2)
    assert (one["prev"], two["prev"]) == (FIRST_PREV, first)
    assert all(line["hash"] == audit_hash(line) for line in (one, two))


def test_a_changed_audit_line_no_longer_fits_its_hash(state_url: str) -> None:
    with State.open(state_url) as state:
        state.audit(AuditEntry("a", "ok", reason="because"))
        (line,) = state.audit_lines()
    assert audit_hash({**line, "reason": "for another reason"}) != line["hash"]


WRITER = """
import sys
from connector.state import AuditEntry, State
with State.open(sys.argv[1]) as state:
    for _ in range(15):
        state.audit(AuditEntry("race", "ok"))
"""


def test_two_processes_that_open_and_write_at_once_keep_one_chain(state_url: str) -> None:
    racers = [subprocess.Popen([sys.executable, "-c", WRITER, state_url]) for _ in range(3)]
    assert [racer.wait(timeout=60) for racer in racers] == [0, 0, 0]
    with State.open(state_url) as state:
        lines = state.audit_lines()
    assert [line["seq"] for line in lines] == list(range(1, 46))
    assert all(later["prev"] == earlier["hash"] for earlier, later in itertools.pairwise(lines))


def test_the_sqlite_file_and_its_folder_are_for_their_owner_only(tmp_path: Path) -> None:
    State.open(f"sqlite:///{tmp_path}/inner/state.db").close()
    assert (tmp_path / "inner").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "inner" / "state.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("url", ["not a url", "nosuchdatabase://x/y"])
def test_a_url_that_is_none_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match="state URL"):
        State.open(url)


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(TransientError) as lost:
        State.open("postgresql+psycopg://someone:hunter2@127.0.0.1:1/nothing")
    assert "hunter2" not in json.dumps([str(lost.value), lost.value.hint, repr(lost.value)])
    assert lost.value.__cause__ is None


def test_a_folder_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be made"):
        State.open(f"sqlite:///{tmp_path}/file/state.db")


def test_the_actor_is_who_the_environment_says(state_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_ACTOR", "scheduler")
    with State.open(state_url) as state:
        state.audit(AuditEntry("a", "ok"))
        assert state.audit_lines()[0]["actor"] == "scheduler"
