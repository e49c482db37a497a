"""Mistakes people make: each is one paragraph with file and line, what to do, the right exit code, and nothing half-done."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from connector.audiences.pace import Pace
from tests.sandbox_control import state_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Any]
    Members = Callable[[], list[dict[str, Any]]]

EXPORT = ("export", "segment", "people")
STATUS = {2: "failed", 3: "failed", 4: "refused", 5: "refused", 6: "failed", 8: "refused"}


@dataclass(frozen=True)
class Mistake:
    """In ``file`` ``old`` becomes ``new`` (all of it without ``old``); then ``words`` end as told."""

    code: str
    exit_code: int
    words: tuple[str, ...] = EXPORT
    file: str = "connector.yaml"
    old: str = ""
    new: str | None = None
    at: tuple[str | None, int | None] = (None, None)
    says: str = ""
    hint: str = ""


MISTAKES = {
    "a wrong column": Mistake(
        "mapping.column", 2, file="mappings/crm.yaml", old="  email: email", new="  email: emial",
        at=("mappings/crm.yaml", 4), says='people.csv has no column "emial"', hint='Did you mean "email"?',
    ),
    "an unknown match key": Mistake(
        "config.unknown_field", 2, file="mappings/crm.yaml", old="  first_name:", new="  firstname:",
        at=("mappings/crm.yaml", 6), says='"firstname" is not known in keys', hint='Did you mean "first_name"?',
    ),
    "a key identifier that is not mapped": Mistake(
        "mapping.identifier", 2, file="mappings/crm.yaml", old="  email: email\n", new="",
        at=("mappings/crm.yaml", 1), says="key_identifier email needs email", hint="Add `email: <attribute>`",
    ),
    "an unknown field": Mistake(
        "config.unknown_field", 2, old="    mode: add", new="    mod: add",
        at=("connector.yaml", 6), says='"mod" is not known in segments.people', hint='Did you mean "mode"?',
    ),
    "a wrong value": Mistake(
        "config.value", 2, old="    mode: add", new="    mode: append",
        at=("connector.yaml", 6), says='"mode" in segments.people',
    ),
    "broken YAML": Mistake(
        "config.yaml", 2, old="    mapping: crm", new="\tmapping: crm", at=("connector.yaml", 4), says="broken YAML",
        hint="Often a tab",
    ),
    "a key twice": Mistake(
        "config.twice", 2, old="    mode: add", new="    mode: add\n    mode: add", at=("connector.yaml", 7),
        says='"mode" stands here twice',
    ),
    "no such mapping": Mistake(
        "mapping.unknown", 2, old="mapping: crm", new="mapping: crn", says='no mapping is named "crn"',
        hint='Did you mean "crm"?',
    ),
    "a condition on an unknown column": Mistake(
        "config.column", 2, old="    mode: add", new="    mode: add\n    where: contry = 'US'",
        says='a column "contry"', hint='Did you mean "country"?',
    ),
    "a condition that is no SQL": Mistake(
        "config.where", 2, old="    mode: add", new="    mode: add\n    where: country = (", says="where",
    ),
    "a source whose variable is not set": Mistake(
        "config.environment", 2, new="sources: {lake: {url_env: LAKE_URL}}\nsegments:\n  people:\n"
        "    {source: lake, sql: select 1, mapping: crm, to: [demo], mode: add}\n",
        says="LAKE_URL, which is not set", hint="LAKE_URL",
    ),
    "no destination named": Mistake(
        "segment.to", 2, old="to: [demo]", new="to: []", says="segment people names no destination", hint="--to",
    ),
    "an unknown segment": Mistake(
        "segment.unknown", 2, ("export", "segment", "peple"), says='no segment is named "peple"',
        at=("connector.yaml", None), hint='Did you mean "people"?',
    ),
    "an unknown destination": Mistake(
        "destination.unknown", 2, (*EXPORT, "--to", "dmeo"), says='no destination is named "dmeo"',
        hint='Did you mean "demo"?',
    ),
    "an unknown run": Mistake(
        "run.unknown", 2, ("show", "run", "2001"), says='no run has the id "2001"', hint="connector list runs",
    ),
    "a missing file": Mistake(
        "source.missing", 3, old="people.csv", new="gone.csv", says="is not there", at=("gone.csv", None),
        hint="Relative paths start at the folder of connector.yaml.",
    ),
    "a glob that matches nothing": Mistake(
        "source.missing", 3, old="people.csv", new="exports/*.csv", says="matches no file", at=("exports/*.csv", None),
        hint="Relative paths",
    ),
    "a broken CSV line": Mistake(
        "source.fields", 3, file="people.csv", old="2,rene@example.org,", new="2,rene@example.org,,",
        at=("people.csv", 3), says="7 fields on this line, 6 in the header",
    ),
    "a quote without its end": Mistake(
        "source.quotes", 3, file="people.csv", old="3,aiko", new='3,"aiko', at=("people.csv", 4), says="quote",
    ),
    "an empty file": Mistake("source.empty", 3, file="people.csv", new="", at=("people.csv", None), says="is empty"),
    "a spreadsheet": Mistake(
        "source.format", 3, file="people.csv", new="PK\x03\x04 and so on", at=("people.csv", None),
        says="is a spreadsheet", hint="Save the sheet as CSV",
    ),
    "too few profiles": Mistake(
        "guard.min_profiles", 8, old="{min_profiles: 1}", new="{min_profiles: 100}",
        says="only 3 eligible profiles", hint="connector preview segment people",
    ),
}  # fmt: skip

USAGE = {
    "an unknown verb": (("exprot", "segment", "people"), "No such command 'exprot'", "connector --help"),
    "an unknown noun": (("export", "segmnt", "people"), "No such command 'segmnt'", "connector export --help"),
    "an unknown flag": ((*EXPORT, "--destination", "demo"), "--destination", "connector export segment --help"),
    "a missing name": (("export", "segment"), "Missing argument 'name'", "connector export segment --help"),
    "a word for a number": ((*EXPORT, "--limit", "many"), "--limit", "connector export segment --help"),
    "an unknown mode": ((*EXPORT, "--mode", "append"), "--mode", "connector export segment --help"),
    "a word too many": ((*EXPORT, "demo"), "demo", "connector export segment --help"),
}


@pytest.fixture
def ready(workspace: Path, add_demo: Callable[..., None]) -> Path:
    """The workspace with a destination."""
    add_demo()
    return workspace


def one_paragraph(run: Run, words: tuple[str, ...], code: str, exit_code: int) -> dict[str, Any]:
    """Run ``words`` as people and as machines do; give the error, which must be the same for both."""
    shown = run(*words)
    assert (shown.exit_code, shown.out) == (exit_code, "")
    first, *rest = shown.err.strip("\n").split("\n")
    assert first.startswith("error ")
    assert all(line.startswith("      ") for line in rest)
    assert len(rest) <= 2
    told = run(*words, "--json")
    assert (told.exit_code, told.err) == (exit_code, "")
    answer = told.envelope
    assert (answer["version"], answer["status"], answer["exit_code"]) == (1, STATUS[exit_code], exit_code)
    error: dict[str, Any] = answer["error"]
    assert error["code"] == code
    where = (
        f"{error['file']}:{error['line']}: " if error.get("line") else f"{error['file']}: " if "file" in error else ""
    )
    assert first == f"error {where}{error['message']}"
    if error["hint"]:
        assert rest[0] == f"      → {error['hint']}"
    assert "Traceback" not in shown.err
    return error


def nothing_happened(sandbox: dict[str, Any], run: Run) -> None:
    """No member, no session, and no run that says it is still under way."""
    state = state_of(sandbox["base_url"])
    assert [audience["members"] for audience in state["audiences"]] == [0]
    assert state["sessions"] == []
    runs = run("list", "runs", "--json").envelope["data"]["runs"]
    assert [one for one in runs if one["status"] in {"running", "ok", "partial"}] == []


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_explained_in_one_paragraph_and_nothing_is_half_done(
    mistake: Mistake, ready: Path, sandbox: dict[str, Any], run: Run
):
    if mistake.new is not None:
        file = ready / mistake.file
        text = file.read_text(encoding="utf-8")
        assert mistake.old in text
        file.write_text(text.replace(mistake.old, mistake.new, 1) if mistake.old else mistake.new, encoding="utf-8")
    error = one_paragraph(run, mistake.words, mistake.code, mistake.exit_code)
    assert mistake.says in error["message"]
    assert mistake.hint in (error["hint"] or "")
    file, line = mistake.at
    assert file is None or (ready / error["file"]).resolve() == (ready / file).resolve()
    assert line is None or error["line"] == line
    if mistake.new is not None and mistake.file == "connector.yaml":
        (ready / "connector.yaml").write_text("segments: {}\n", encoding="utf-8")  # so that `list runs` can look
    nothing_happened(sandbox, run)


@pytest.mark.parametrize(("words", "says", "hint"), USAGE.values(), ids=USAGE)
def test_a_wrong_word_on_the_command_line_names_the_help_that_fits(
    words: tuple[str, ...], says: str, hint: str, ready: Path, sandbox: dict[str, Any], run: Run
):
    error = one_paragraph(run, words, "usage", 2)
    assert says in error["message"]
    assert error["hint"].endswith(f"See: {hint}")
    assert run(*hint.split()[1:]).exit_code == 0
    nothing_happened(sandbox, run)


@pytest.mark.parametrize("words", [("forget",), ("explain", "email", "ada@example.com")])
def test_a_word_too_many_may_be_somebodys_data_and_is_not_repeated(words: tuple[str, ...], ready: Path, run: Run):
    told = run(*words, "zoe.secret@example.com")
    assert told.exit_code == 2
    assert "a word too many" in told.err
    assert "zoe" not in told.out + told.err


def test_a_broken_line_is_named_and_no_cell_of_it_is_shown(ready: Path, run: Run):
    people = ready / "people.csv"
    people.write_text(
        people.read_text(encoding="utf-8") + "4,zoe@example.com,Zoë,too,many,cells,here\n", encoding="utf-8"
    )
    for words in (EXPORT, ("plan", "segment", "people"), ("preview", "segment", "people")):
        error = one_paragraph(run, words, "source.fields", 3)
        assert ((ready / error["file"]).resolve(), error["line"]) == (people.resolve(), 5)
        assert not re.search("zoe|Zoë|many|rene|aiko", str(error))


@pytest.mark.parametrize(
    ("token", "says"),
    [("expired", "has expired"), ("revoked", "token"), ("no_permission", "ads_management"), (None, "token")],
)
def test_a_wrong_token_is_refused_before_anything_is_read(
    token: str | None, says: str, ready: Path, sandbox: dict[str, Any], run: Run, monkeypatch: pytest.MonkeyPatch
):
    (ready / "people.csv").unlink()  # whoever looks for it now has looked too early
    text = sandbox["tokens"][token] if token else "EAA" + "x" * 40
    monkeypatch.setenv("CONNECTOR_TOKEN", text)
    error = one_paragraph(run, EXPORT, "access.scopes" if token == "no_permission" else "access.token", 4)
    assert says in error["message"]
    assert error["hint"]
    assert text not in str(error)
    nothing_happened(sandbox, run)


def test_a_token_that_is_not_set_is_asked_for_by_its_variable(
    ready: Path, sandbox: dict[str, Any], run: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("CONNECTOR_TOKEN")
    error = one_paragraph(run, EXPORT, "token.missing", 2)
    assert "CONNECTOR_TOKEN" in error["message"]
    assert "CONNECTOR_TOKEN" in error["hint"]
    nothing_happened(sandbox, run)


def test_a_token_with_a_line_break_is_refused_without_being_shown(
    ready: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CONNECTOR_TOKEN", "EAAsecret\nmore")
    error = one_paragraph(run, EXPORT, "config.token", 2)
    assert "EAAsecret" not in str(error)


def test_plain_http_to_another_host_is_refused_before_the_token_travels(
    ready: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CONNECTOR_GRAPH_URL", "http://graph.example.com")
    error = one_paragraph(run, EXPORT, "config.graph_url", 2)
    assert "https" in error["message"]


def test_a_host_that_cannot_be_reached_is_a_reason_to_try_later(
    ready: Path, sandbox: dict[str, Any], run: Run, monkeypatch: pytest.MonkeyPatch
):
    # Six attempts a minute apart in all: the same with less waiting. Nothing but the default of an argument changes.
    monkeypatch.setitem(Pace.__init__.__kwdefaults__, "base", 0.01)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        monkeypatch.setenv("CONNECTOR_GRAPH_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        told = run(*EXPORT, "--json")
    assert (told.exit_code, told.envelope["status"]) == (6, "failed")
    assert told.envelope["error"]["code"] == "graph.no_connection"
    assert "cannot be reached" in told.envelope["error"]["message"]
    assert "network" in told.envelope["error"]["hint"]
    nothing_happened(sandbox, run)


@pytest.mark.parametrize(
    "words",
    [
        EXPORT,
        ("list", "segments"),
        ("list", "destinations"),
        ("check", "config"),
        ("check", "all"),
        ("show", "audit"),
        ("demo",),
    ],
    ids=" ".join,
)
def test_a_folder_without_connector_yaml_is_said_to_be_none(words: tuple[str, ...], tmp_path: Path, run: Run):
    error = one_paragraph(run, (*words, "--workspace", str(tmp_path)), "config.missing", 2)
    assert error["file"] == str(tmp_path / "connector.yaml")
    assert "connector init" in error["hint"]
    assert list(tmp_path.iterdir()) == []


def test_all_mistakes_of_a_file_are_told_at_once(ready: Path, run: Run):
    config = ready / "connector.yaml"
    config.write_text(
        config.read_text(encoding="utf-8").replace("mode:", "mod:").replace("to:", "too:"), encoding="utf-8"
    )
    told = run("check", "config", "--json")
    assert told.exit_code == 2
    assert [(one["file"], one["line"]) for one in told.envelope["data"]["problems"]] == [
        ("connector.yaml", 5), ("connector.yaml", 6),
    ]  # fmt: skip


def test_init_never_writes_over_a_file(ready: Path, run: Run):
    before = (ready / "connector.yaml").read_text(encoding="utf-8")
    error = one_paragraph(run, ("init", "."), "init.exists", 2)
    assert "connector.yaml exists already" in error["message"]
    assert (ready / "connector.yaml").read_text(encoding="utf-8") == before


@pytest.mark.parametrize("name", ["no_terms", "disabled", "closed", "not_shared", "obo_declined", "analyze_only"])
def test_a_destination_that_may_not_be_filled_is_not_made(
    name: str, workspace: Path, sandbox: dict[str, Any], run: Run
):
    account = sandbox["ad_accounts"][name]
    to = ("--ad-account", account, "--business", sandbox["business"])
    words = ("add", "destination", "x", *to, "--new-audience", "X")
    error = one_paragraph(run, (*words, "--accept-data-terms"), error_of(run, words), 4)
    assert account in error["message"]
    assert error["hint"].startswith("Ask ")
    assert run("list", "destinations", "--json").envelope["data"]["destinations"] == []
    assert state_of(sandbox["base_url"])["audiences"] == []


def error_of(run: Run, words: tuple[str, ...]) -> str:
    code = run(*words, "--accept-data-terms", "--json").envelope["error"]["code"]
    assert re.fullmatch(r"access\.[a-z_]+", code)
    return str(code)
