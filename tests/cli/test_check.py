"""``check …`` finds every mistake before an export does, names who has to act, and leaves with the contract's exit code."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from connector.state import AuditEntry, State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    Run = Callable[..., Any]

SEVERAL_WRONG = """\
sources:
  lake: {url_env: LAKE_URL}
segments:
  people: {from: people.csv, mapping: crn}
  lost: {source: laek, sql: "select 1", mapping: crm}
  gone: {source: lake, sql: gone.sql, mapping: crm}
suppress:
  - {from: people.csv, mapping: nobody}
"""


def add_destination(run: Run, sandbox: dict[str, Any], name: str = "demo", *more: str) -> None:
    words = ("--ad-account", sandbox["ad_account"], "--business", sandbox["business"], "--accept-data-terms")
    done = run("add", "destination", name, *words, "--new-audience", f"Audience {name}", *more)
    assert done.exit_code == 0, done.err


# check config


def test_a_right_workspace_is_said_to_be_right(workspace: Path, run: Run):
    done = run("check", "config")
    assert done.exit_code == 0
    first, second = done.out.splitlines()
    assert first == "✓ connector.yaml and everything it names is right: 1 segment, 1 mapping"
    assert second.strip() == "No source was opened: `connector check segment NAME` reads one."


def test_every_mistake_is_listed_not_only_the_first(workspace: Path, run: Run):
    (workspace / "connector.yaml").write_text(SEVERAL_WRONG, encoding="utf-8")
    (workspace / "mappings" / "old.yaml").write_text("key_identifier: email\nkeys: {emial: e}\n", encoding="utf-8")
    (workspace / "mappings" / "dates.yaml").write_text(
        "key_identifier: email\nkeys: {email: e, birth_date: {from: d, format: '%d/%Q'}}\n", encoding="utf-8"
    )
    done = run("check", "config", "--json")
    problems = done.envelope["data"]["problems"]
    assert (done.exit_code, done.envelope["status"]) == (2, "failed")
    assert [problem["code"] for problem in problems] == [
        "config.date_format", "config.unknown_field", "mapping.unknown", "mapping.unknown", "source.unknown", "segment.sql",
    ]  # fmt: skip
    assert [problem["file"] for problem in problems[:2]] == ["mappings/dates.yaml", "mappings/old.yaml"]
    assert problems[1]["line"] == 2
    assert 'Did you mean "email"?' in problems[1]["hint"]
    assert done.envelope["error"]["message"].endswith("(and 5 more, above)")
    shown = run("check", "config")
    assert shown.out.count("✗") == 6
    assert 'Did you mean "crm"?' in shown.out


def test_mistakes_of_a_broken_connector_yaml_stand_apart_and_mappings_are_read_all_the_same(workspace: Path, run: Run):
    (workspace / "connector.yaml").write_text("segmnts: {}\nguards: {max_shrink: 7}\n", encoding="utf-8")
    (workspace / "mappings" / "crm.yaml").write_text("key_identifier: phone\nkeys: {email: e}\n", encoding="utf-8")
    problems = run("check", "config", "--json").envelope["data"]["problems"]
    assert [(p["file"], p["line"]) for p in problems] == [
        ("connector.yaml", 1), ("connector.yaml", 2), ("mappings/crm.yaml", 1),
    ]  # fmt: skip


def test_a_single_mistake_is_said_once(workspace: Path, run: Run):
    (workspace / "mappings" / "crm.yaml").write_text("key_identifier: email\nkeys: {email: e, fon: p}\n")
    done = run("check", "config")
    assert (done.exit_code, done.out.strip()) == (2, "")
    assert done.err.startswith('error mappings/crm.yaml:2: "fon" is not known in keys\n')


def test_an_unset_variable_of_a_source_is_pointed_out_and_no_mistake(
    workspace: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    text = (workspace / "connector.yaml").read_text(encoding="utf-8")
    (workspace / "connector.yaml").write_text(f"sources: {{lake: {{url_env: LAKE_URL}}}}\n{text}", encoding="utf-8")
    done = run("check", "config")
    assert done.exit_code == 0
    assert "! source lake: LAKE_URL is not set here" in done.out
    monkeypatch.setenv("LAKE_URL", "sqlite:///lake.db")
    assert run("check", "config", "--json").envelope["data"]["sources"] == [
        {"name": "lake", "url_env": "LAKE_URL", "set": True}
    ]


# check mapping


def test_a_mapping_is_tried_on_the_first_segment_that_uses_it(workspace: Path, run: Run):
    done = run("check", "mapping", "crm", "--json")
    data = done.envelope["data"]
    assert (done.exit_code, data["mapping"], data["segment"]) == (0, "crm", "people")
    assert (data["keys"]["EMAIL"]["filled"], data["suspicions"]) == (3, [])
    assert "rows" not in data


def test_a_person_sees_losses_with_masked_examples_and_what_to_do(workspace: Path, run: Run):
    rows = "\n".join(f"{n},person{n}@example.com,06 39 98 12 {n:02},Mary,Frankreich?,yes" for n in range(20))
    (workspace / "people.csv").write_text(f"id,email,phone,first_name,country,consent\n{rows}\n", encoding="utf-8")
    done = run("check", "mapping", "crm")
    shown = " ".join(done.out.split())
    assert done.exit_code == 0
    assert "COUNTRY 20 no known country F*** (10 letters)" in shown
    assert "COUNTRY, no known country → Use ISO codes or names of countries" in shown
    assert "! country ← country: 100 % of the cells are dropped, most as unknown country" in shown
    assert "person1" not in shown
    assert "98 12" not in shown


def test_every_column_that_is_missing_is_named_with_its_line(workspace: Path, run: Run):
    mapping = (
        "key_identifier: email\nkeys:\n  email: [email, e_mail]\n  phone: fone\n  last_name: surname\nconsent: ok\n"
    )
    (workspace / "mappings" / "crm.yaml").write_text(mapping, encoding="utf-8")
    done = run("check", "mapping", "crm", "--json")
    problems = done.envelope["data"]["problems"]
    assert done.exit_code == 2
    assert [(p["message"], p["line"]) for p in problems] == [
        ('people.csv has no column "e_mail"', 3), ('people.csv has no column "fone"', 4),
        ('people.csv has no column "surname"', 5), ('people.csv has no column "ok"', 6),
    ]  # fmt: skip
    assert problems[1]["hint"] == 'Did you mean "phone"?'


def test_a_mapping_can_be_tried_on_a_segment_that_uses_another(workspace: Path, run: Run):
    (workspace / "mappings" / "small.yaml").write_text("key_identifier: phone\nkeys: {phone: phone}\n")
    assert run("check", "mapping", "small", "--json").envelope["data"]["segment"] is None
    tried = run("check", "mapping", "small", "--segment", "people", "--json").envelope["data"]
    assert list(tried["keys"]) == ["PHONE"]
    assert tried["profiles"]["consenting"] == 3


def test_an_unknown_mapping_and_an_unknown_segment_are_exit_2(workspace: Path, run: Run):
    assert run("check", "mapping", "crn", "--json").envelope["error"]["code"] == "mapping.unknown"
    assert run("check", "mapping", "crm", "--segment", "x", "--json").envelope["error"]["code"] == "segment.unknown"


# check segment


def test_a_segment_is_looked_at_from_source_to_destination(workspace: Path, run: Run, sandbox: dict[str, Any]):
    add_destination(run, sandbox)
    done = run("check", "segment", "people", "--json")
    assert done.exit_code == 0
    looks = {look["what"]: look for look in done.envelope["data"]["checks"]}
    assert list(looks) == ["source", "mapping", "profiles", "destination", "suppression"]
    assert {look["status"] for look in looks.values()} == {"ok"}
    assert looks["profiles"]["message"] == "all 3 read, 3 consent, 3 can be sent"
    assert run("check", "segment", "people").out.count("✓") == 5


def test_all_that_is_wrong_with_a_segment_is_collected(workspace: Path, run: Run):
    text = (workspace / "connector.yaml").read_text(encoding="utf-8").replace("mode: add", 'where: "oders > 3"')
    (workspace / "connector.yaml").write_text(text + "suppress: [{from: never.csv, mapping: crm}]\n", encoding="utf-8")
    done = run("check", "segment", "people", "--json")
    failed = {c["what"]: c["code"] for c in done.envelope["data"]["checks"] if c["status"] == "fail"}
    assert failed == {
        "where": "config.column", "destination": "destination.unknown", "suppression": "source.missing",
    }  # fmt: skip
    assert done.exit_code == 2
    assert "connector add destination demo" in run("check", "segment", "people").out


def test_a_broken_line_in_the_source_is_exit_3_and_no_cell_is_shown(workspace: Path, run: Run, sandbox: dict[str, Any]):
    add_destination(run, sandbox)
    with (workspace / "people.csv").open("a", encoding="utf-8") as file:
        file.write("4,secretcell@example.com\n")
    done = run("check", "segment", "people")
    assert done.exit_code == 3
    assert "✗ profiles     people.csv:5" in done.out.replace(str(workspace) + "/", "")
    assert "secretcell" not in done.out + done.err


def test_a_segment_that_lets_nobody_through_is_a_warning(workspace: Path, run: Run, sandbox: dict[str, Any]):
    add_destination(run, sandbox)
    text = (workspace / "connector.yaml").read_text(encoding="utf-8").replace("mode: add", "where: \"country = 'XX'\"")
    (workspace / "connector.yaml").write_text(text, encoding="utf-8")
    done = run("check", "segment", "people")
    assert done.exit_code == 0
    assert "! profiles     none: the source is empty, or `where` lets nobody through" in done.out


def test_a_value_based_audience_needs_a_value_and_a_pause_is_pointed_out(
    workspace: Path, run: Run, sandbox: dict[str, Any]
):
    add_destination(run, sandbox, "demo", "--value-based")
    done = run("check", "segment", "people", "--json")
    assert (done.exit_code, done.envelope["error"]["code"]) == (2, "mapping.lookalike_value")
    mapping = (workspace / "mappings" / "crm.yaml").read_text(encoding="utf-8")
    (workspace / "mappings" / "crm.yaml").write_text(mapping.replace("keys:", "keys:\n  lookalike_value: id"))
    run("pause", "destination", "demo")
    done = run("check", "segment", "people")
    assert done.exit_code == 0
    assert "! destination  demo is paused: connector resume destination demo" in done.out


# check access


def test_a_destination_that_may_be_filled_is_exit_0_and_data_is_the_gate_report(
    workspace: Path, run: Run, sandbox: dict[str, Any]
):
    add_destination(run, sandbox)
    done = run("check", "access", "demo", "--json")
    data = done.envelope["data"]
    assert (done.exit_code, done.envelope["status"], done.envelope["error"]) == (0, "ok", None)
    assert list(data) == [
        "destination", "allowed", "checked_at", "calls", "agency", "client", "relationship", "on_behalf_of", "checks",
        "summary",
    ]  # fmt: skip
    assert (data["destination"], data["allowed"], len(data["checks"])) == ("demo", True, sum(data["summary"].values()))
    shown = run("check", "access", "demo").out
    assert "demo may export" in shown
    assert "fine: " in shown


def test_fresh_asks_meta_again(workspace: Path, run: Run, sandbox: dict[str, Any]):
    add_destination(run, sandbox)
    remembered = run("check", "access", "demo", "--json").envelope["data"]["calls"]
    assert run("check", "access", "demo", "--fresh", "--json").envelope["data"]["calls"] > remembered


def test_a_refusal_is_exit_4_names_the_check_and_who_has_to_act(
    workspace: Path, run: Run, sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    add_destination(run, sandbox)
    monkeypatch.setenv("CONNECTOR_TOKEN", sandbox["tokens"]["no_permission"])
    done = run("check", "access", "demo", "--json")
    failed = [check for check in done.envelope["data"]["checks"] if check["status"] == "fail"]
    assert (done.exit_code, done.envelope["status"]) == (4, "refused")
    assert done.envelope["error"]["code"] == f"access.{failed[0]['id']}"
    assert done.envelope["error"]["hint"]
    shown = run("check", "access", "demo")
    assert shown.exit_code == 4
    assert "demo may not export" in shown.out
    assert failed[0]["message"].split(". ")[0][:40] in shown.out
    assert failed[0]["remedy"]["command"] in shown.out
    assert sandbox["tokens"]["no_permission"] not in shown.out + shown.err


def test_the_steps_can_be_had_in_the_clients_language(
    workspace: Path, run: Run, sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    add_destination(run, sandbox)
    monkeypatch.setenv("CONNECTOR_TOKEN", sandbox["tokens"]["expired"])
    english, french = (run("check", "access", "demo", "--language", language).out for language in ("en", "fr"))
    assert "expired" in english
    assert "expiré" in french


def test_without_a_name_every_destination_is_asked(
    workspace: Path, run: Run, sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    add_destination(run, sandbox)
    monkeypatch.setenv("OTHER_TOKEN", sandbox["token"])
    add_destination(run, sandbox, "other", "--token-env", "OTHER_TOKEN")
    monkeypatch.setenv("OTHER_TOKEN", sandbox["tokens"]["expired"])
    done = run("check", "access", "--json")
    assert [(r["destination"], r["allowed"]) for r in done.envelope["data"]["reports"]] == [
        ("demo", True), ("other", False),
    ]  # fmt: skip
    assert (done.exit_code, done.envelope["error"]["code"]) == (4, "access.token")
    monkeypatch.delenv("OTHER_TOKEN")
    done = run("check", "access", "--json")
    assert (done.exit_code, done.envelope["error"]["code"]) == (2, "token.missing")
    assert done.envelope["data"]["reports"][0]["allowed"]


def test_a_paused_destination_passes_the_gate_and_is_still_exit_8(workspace: Path, run: Run, sandbox: dict[str, Any]):
    add_destination(run, sandbox)
    run("pause", "destination", "demo")
    done = run("check", "access", "demo", "--json")
    assert (done.exit_code, done.envelope["error"]["code"]) == (8, "destination.paused")
    assert done.envelope["data"]["allowed"]


def test_without_any_destination_the_next_command_is_named(workspace: Path, run: Run):
    done = run("check", "access")
    assert done.exit_code == 2
    assert "connector add destination" in done.err


# check audit


def test_an_untouched_chain_is_intact_and_its_head_is_shown(workspace: Path, run: Run, sandbox: dict[str, Any]):
    assert run("check", "audit").out == "✓ no audit line yet\n"
    add_destination(run, sandbox)
    run("pause", "destination", "demo")
    data = run("check", "audit", "--json").envelope["data"]
    assert (data["intact"], data["broken_at"]) == (True, None)
    assert data["lines"] >= 2
    assert data["head"] in run("check", "audit").out


@pytest.mark.parametrize(
    ("change", "seq"),
    [
        ("update audit set actor = 'somebody' where seq = 2", 2),
        ("delete from audit where seq = 2", 2),
        ("delete from audit where seq = 1", 1),
        ("update audit set prev = hash where seq = 3", 3),
        ("update audit set hash = prev where seq = 4", 4),
    ],
)
def test_a_changed_chain_is_exit_8_and_names_the_line(workspace: Path, run: Run, change: str, seq: int):
    with State.open(f"sqlite:///{workspace}/.connector/state.db") as state:
        for number in range(4):
            state.audit(AuditEntry(action="export", outcome="ok", after={"added": number}), actor="someone")
    assert run("check", "audit").exit_code == 0
    database = sqlite3.connect(workspace / ".connector" / "state.db")
    database.execute(change)
    database.commit()
    database.close()
    done = run("check", "audit", "--json")
    assert (done.exit_code, done.envelope["status"], done.envelope["error"]["code"]) == (8, "refused", "audit.broken")
    assert done.envelope["data"]["broken_at"] == seq
    assert f"at line {seq}" in done.envelope["error"]["message"]


# check all


def test_check_all_looks_at_files_segments_and_destinations(workspace: Path, run: Run, sandbox: dict[str, Any]):
    add_destination(run, sandbox)
    done = run("check", "all", "--json")
    data = done.envelope["data"]
    assert done.exit_code == 0
    assert (data["config"]["problems"], data["segments"][0]["segment"]) == ([], "people")
    assert (data["suppress"]["status"], data["destinations"][0]["destination"], data["audit"]["intact"]) == (
        "ok", "demo", True,
    )  # fmt: skip


def test_check_all_leaves_with_the_first_exit_of_the_contracts_order(
    workspace: Path, run: Run, sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    add_destination(run, sandbox)
    monkeypatch.setenv("CONNECTOR_TOKEN", sandbox["tokens"]["expired"])
    assert run("check", "all").exit_code == 4
    (workspace / "people.csv").unlink()
    assert run("check", "all").exit_code == 3
    done = run("check", "all")
    assert "✗ source" in done.out
    assert "demo may not export" in done.out


def test_check_all_stops_at_a_connector_yaml_that_cannot_be_read(workspace: Path, run: Run):
    (workspace / "connector.yaml").write_text("segments: [\n", encoding="utf-8")
    done = run("check", "all", "--json")
    assert done.exit_code == 2
    assert done.envelope["error"]["file"] == "connector.yaml"


@pytest.mark.parametrize("noun", ["config", "mapping", "segment", "access", "all", "audit"])
def test_every_help_has_an_example(run: Run, noun: str):
    assert f"Example: connector check {noun}" in run("check", noun, "--help").out
