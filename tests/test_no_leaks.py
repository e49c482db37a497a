"""The canary: one invented person passes through every command, good ways and bad, and nothing written anywhere tells of her.

Searched are standard output and error, JSON, logs, the state database, the workspace, temporary files, the sandbox's pages and
what exceptions say: for each attribute in several spellings, for what it becomes, for its digest, and for tokens and secrets.
Allowed are: `explain`, which answers whoever typed the value; the upload itself; the ledger, which holds digests and
external ids by design (mode 0600) and is searched for attributes all the same.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import sqlite3
import subprocess
import sys
import tempfile
import traceback
import unicodedata
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from connector import Config, ConnectorError, export_segment, plan_segment
from connector.cli.answer import Answer, respond
from docs import generate
from tests.processes import PATIENCE, started, wait_until
from tests.relay import relay_to
from tests.sandbox_control import fired, script_upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[..., Any]

# Attribute by attribute: as the file holds it, and as match-keys.md says it leaves.
CANARY = {
    "id": ("Kanarienvogel-7731", "Kanarienvogel-7731"),
    "email": (" Quetzalina.Zwiebelfisch+Abo@Kanarienpost.Example ", "quetzalina.zwiebelfisch+abo@kanarienpost.example"),
    "phone": ("0171/ 392-00-77", "491713920077"),
    "first_name": ("Quetzalina", "quetzalina"),
    "last_name": ("Zwiebelfisch-Ößterreicher", "zwiebelfischößterreicher"),
    "born": ("29.11.1973", "19731129"),
    "city": ("Papageienhausen", "papageienhausen"),
    "zip": ("K7Q 9Z3", "k7q9z3"),
    "country": ("Deutschland", "de"),
    "note": ("Wellensittich 4711", "wellensittich 4711"),  # mapped to nothing: `where` looks at it
}
SHORT = 6  # characters; what is shorter stands everywhere, so only its digest is looked for
APP_SECRET = "app-secret-of-the-canary-0815"
SEPARATOR = ";"
HEADER = SEPARATOR.join([*CANARY, "consent", "orders"])
MAPPING = """\
key_identifier: email
default_country: DE
keys:
  external_id: id
  email: email
  phone: phone
  first_name: first_name
  last_name: last_name
  birth_date: {from: born, format: "%d.%m.%Y"}
  city: city
  postal_code: zip
  country: country
consent: consent
"""
CONFIG = """\
sources: {shop: {url_env: SHOP_URL}}
segments:
  people: {from: people.csv, where: "note like 'Wellen%' and orders >= 1", mapping: crm, to: [demo]}
  query: {source: shop, sql: "select * from people", mapping: crm, to: [demo], mode: add}
  ndjson: {from: people.ndjson, mapping: crm, to: [demo], mode: add}
  nobody: {from: people.csv, where: "orders >= 1000", mapping: crm, to: [demo]}
  everyone_else: {from: others.csv, mapping: crm, to: [demo], mode: remove}
guards: {min_profiles: 0, max_shrink: 1}
"""


def canary_record() -> dict[str, str]:
    return {name: raw for name, (raw, _) in CANARY.items()} | {"consent": "ja", "orders": "3"}


def canary_row() -> str:
    return SEPARATOR.join(canary_record().values())


def spellings(text: str) -> Iterator[str]:
    """Ways in which a text may stand in a log, an address, a JSON or a repr."""
    for form in dict.fromkeys([text, text.strip(), text.lower().strip(), text.upper().strip()]):
        yield form
        yield urllib.parse.quote(form)
        yield urllib.parse.quote_plus(form)
        yield json.dumps(form)[1:-1]
        yield repr(form)[1:-1]
        yield unicodedata.normalize("NFD", form)


def attributes() -> dict[str, str]:
    """What to look for: attributes raw and clean, and their parts."""
    found: dict[str, str] = {}
    for name, forms in CANARY.items():
        parts = [*forms, *forms[0].replace("@", " ").split()]
        for part in parts:
            found |= {spelt: f"{name}, as {spelt!r}" for spelt in spellings(part) if len(spelt) >= SHORT}
    return found


def digests() -> dict[str, str]:
    """What to look for besides: the beginning of each digest, in hex and as a database or a log might hold it."""
    found: dict[str, str] = {}
    cells = {name: clean for name, (_, clean) in CANARY.items()} | {"year": "1973", "month": "11", "day": "29"}
    for name, clean in cells.items():
        digest = hashlib.sha256(clean.encode()).digest()
        for form in (digest.hex(), digest.hex().upper(), base64.b64encode(digest).decode()):
            found[form[:20]] = f"the digest of {name}"
    return found


def secrets(sandbox: dict[str, Any]) -> dict[str, str]:
    names = {name: token for name, token in sandbox["tokens"].items() if name in {"expired", "no_permission"}}
    return {
        sandbox["token"]: "the token",
        APP_SECRET: "the app's secret",
        **{v: f"the token {k}" for k, v in names.items()},
    }


class Search:
    """Everything that was written, and a look through all of it."""

    def __init__(self, sandbox: dict[str, Any], workspace: Path, temporary: Path) -> None:
        self._sandbox, self._workspace, self._temporary = sandbox, workspace, temporary
        self._inputs = {"people.csv", "people.ndjson", "others.csv", "shop.db"}
        self._heard: list[tuple[str, bytes]] = []

    def heard(self, what: str, text: str) -> None:
        """Remember what was printed, logged or said."""
        self._heard.append((what, text.encode("utf-8", "surrogatepass")))

    def places(self) -> Iterator[tuple[str, bytes]]:
        yield from self._heard
        for folder in (self._workspace, self._temporary):
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path.name not in self._inputs:
                    yield str(path.relative_to(folder)), path.read_bytes()
        for page in ("_sandbox/", "_sandbox/state"):
            yield page, httpx.get(f"{self._sandbox['base_url']}/{page}").content

    def found(self) -> list[str]:
        """What tells of the canary, and where."""
        everywhere, elsewhere = attributes() | secrets(self._sandbox), digests()
        leaks = []
        for place, content in self.places():
            in_ledger = "ledger/" in place
            for wanted, name in (everywhere | ({} if in_ledger else elsewhere)).items():
                if in_ledger and name.startswith("id,"):
                    continue
                if any(wanted.encode(coding) in content for coding in ("utf-8", "utf-16-le")):
                    leaks.append(f"{place}: {name}")
        return sorted(set(leaks))


@pytest.fixture
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of our own, to look through."""
    folder = tmp_path_factory.mktemp("temporary")
    for name in ("TMPDIR", "TEMP", "TMP", "POLARS_TEMP_DIR"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture
def search(
    tmp_path: Path,
    temporary: Path,
    sandbox: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Search]:
    """A workspace whose every source holds the canary; whatever is logged anywhere is heard."""
    folder = tmp_path / "workspace"
    (folder / "mappings").mkdir(parents=True)
    (folder / "connector.yaml").write_text(CONFIG, encoding="utf-8")
    (folder / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    write_people(folder)
    (folder / "others.csv").write_text(f"{HEADER}\n9{';' * HEADER.count(';')}\n", encoding="utf-8")
    cells = list(canary_record().values())
    (folder / "people.ndjson").write_text(json.dumps(canary_record()) + "\n", encoding="utf-8")
    with sqlite3.connect(folder / "shop.db") as shop:
        shop.execute(f"create table people ({HEADER.replace(SEPARATOR, ', ')})")
        shop.execute(f"insert into people values ({', '.join('?' * len(cells))})", cells)
    shop.close()
    monkeypatch.setenv("SHOP_URL", f"sqlite:///{folder}/shop.db")
    monkeypatch.setenv("CONNECTOR_ACTOR", "tester")
    monkeypatch.chdir(folder)
    caplog.set_level(logging.INFO)
    looking = Search(sandbox, folder, temporary)
    yield looking
    looking.heard("logs", caplog.text)
    assert looking.found() == []


def write_people(folder: Path, *more: str, encoding: str = "utf-8") -> None:
    (folder / "people.csv").write_text("\n".join([HEADER, canary_row(), *more, ""]), encoding=encoding)


@pytest.fixture
def say(run: Run, search: Search) -> Callable[..., Any]:
    """Run a command as a person and as a machine, and hear what it says."""

    def say(*words: str, exits: int | set[int] = 0, stdin: str = "") -> None:
        for more in ((), ("--json",)):
            ran = run(*words, *more, stdin=stdin)
            allowed = exits if isinstance(exits, set) else {exits}
            assert ran.exit_code in allowed, (words, ran.exit_code, ran.err or ran.out)
            search.heard(" ".join(words), ran.out + ran.err)

    return say


@pytest.fixture
def demo(search: Search, add_demo: Callable[..., None]) -> None:
    add_demo()


def test_the_search_finds_what_is_there(search: Search, sandbox: dict[str, Any], tmp_path: Path):
    """A search that finds nothing anywhere proves nothing: everything it looks for is found where it is put."""
    everything = attributes() | digests() | secrets(sandbox)
    place = tmp_path / "workspace" / "leak.log"
    place.write_text("\n".join(everything), encoding="utf-8")
    assert len(search.found()) >= len(set(everything.values()))
    place.write_text(f"state: {CANARY['phone'][1]}", encoding="utf-16")
    assert search.found() == ["leak.log: phone, as '491713920077'"]
    place.unlink()


EVERY_COMMAND: dict[str, tuple[tuple[str, ...], ...]] = {
    "check config": ((),),
    "check mapping": (("crm",), ("crm", "--segment", "query"), ("crm", "--segment", "ndjson")),
    "check segment": (("people",), ("query",), ("ndjson",)),
    "check access": (("demo",), ("demo", "--fresh", "--language", "fr")),
    "preview segment": (("people",), ("query",), ("ndjson",), ("nobody",)),
    "plan segment": (("people",), ("query",)),
    "export segment": (
        ("people", "--dry-run"), ("people",), ("people", "--full"), ("people", "--mode", "replace"), ("query",), ("ndjson",),
        ("people", "--mode", "remove"), ("everyone_else",), ("people", "--limit", "1"), ("nobody",),
    ),
    "check all": ((),),
    "check audit": ((),),
    "list segments": ((),),
    "list mappings": ((),),
    "list destinations": ((),),
    "list runs": ((),),
    "list ad-accounts": ((),),
    "list audiences": (("--ad-account", "{ad_account}"),),
    "show segment": (("people",), ("query",)),
    "show mapping": (("crm",),),
    "show destination": (("demo",),),
    "show run": (("{run}",),),
    "show audit": ((),),
    "pause destination": (("demo",),),
    "resume destination": (("demo",),),
    "forget": (
        ("--email", CANARY["email"][0]), ("--phone", CANARY["phone"][0]), ("--external-id", CANARY["id"][0]),
        ("--email", CANARY["email"][0], "--phone", CANARY["phone"][0], "--yes"),
    ),
    "list agencies": (("--ad-account", "{ad_account}"),),
    "list clients": ((),),
    "list obo-requests": (("--ad-account", "{ad_account}"),),
    "show obo-request": (("{obo_request}",),),
    "cancel obo-request": (("{obo_request}", "--dry-run"),),
    "request access": (("--ad-account", "{ad_account}", "--tasks", "ADVERTISE", "--reason", "test", "--dry-run"),),
    "grant access": (("--ad-account", "{ad_account}", "--to", "1", "--tasks", "ADVERTISE", "--reason", "test", "--dry-run"),),
    "revoke access": (("--ad-account", "{ad_account}", "--from", "1", "--reason", "test", "--dry-run"),),
    "connect": (("demo", "--token-env", "CONNECTOR_TOKEN"),),
    "disconnect": (("demo",),),
    "remove destination": (("demo", "--delete-audience", "--yes"),),
}  # fmt: skip
# Each is run twice, for people and as JSON: what is removed is gone by then. Not confirmed is 8, not ours to give 4.
ENDS = {"forget": {0, 8}, "remove destination": {0, 2}, "disconnect": 2, "grant access": 4, "revoke access": 4}
ELSEWHERE = {"add destination", "init", "demo", "explain", "start sandbox"}  # the fixture, the next tests, no profile


def test_every_command_has_its_place_here():
    known = {path.removeprefix("connector ") for path, _, _ in generate.commands()}
    assert known == set(EVERY_COMMAND) | ELSEWHERE


def test_no_command_tells_of_the_canary(demo: None, say: Callable[..., Any], run: Run, sandbox: dict[str, Any]):
    for command, variants in EVERY_COMMAND.items():
        for words in variants:
            filled = []
            for word in words:
                newest = run("list", "runs", "--json").envelope["data"]["runs"] if word == "{run}" else []
                filled.append(newest[-1]["id"] if newest else _filled(word, sandbox))
            say(*command.split(), *filled, exits=ENDS.get(command, 0))


def _filled(word: str, sandbox: dict[str, Any]) -> str:
    for name in ("ad_account", "obo_request"):
        word = word.replace(f"{{{name}}}", sandbox[name])
    return word


def test_the_canary_did_arrive(
    demo: None, run: Run, search: Search, sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    """What is not sent cannot leak: her digests are in the upload, and nothing else of her but the external id."""
    with relay_to(sandbox["base_url"]) as relay:
        monkeypatch.setenv("CONNECTOR_GRAPH_URL", relay.base_url)
        assert run("export", "segment", "people").exit_code == 0
    (upload,) = relay.uploads()
    sent = upload.body.decode()
    for name, (_, clean) in CANARY.items():
        if name not in {"id", "note", "born"}:
            assert hashlib.sha256(clean.encode()).hexdigest() in sent, name
    assert CANARY["id"][0] in sent
    for request in relay.heard:
        whole = f"{request.path}\n{request.headers}\n{request.body!r}".replace(CANARY["id"][0], "")
        assert [name for text, name in attributes().items() if text in whole and not name.startswith("id,")] == []
        assert sandbox["token"] not in request.path + request.body.decode()


BROKEN = {
    "a field too many": "{row};more",
    "a field too few": "Quetzalina;Zwiebelfisch",
    "a quote without its end": '"{row}',
    "more after a quote": '"x"{row}',
    "a NUL": "{row}\0",
    "a lone carriage return": "{row}\rmore",
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
def test_a_broken_line_is_refused_without_a_word_of_it(line: str, demo: None, say: Callable[..., Any]):
    write_people(Path(), line.format(row=canary_row()))
    for words in (("export", "segment", "people"), ("preview", "segment", "people"), ("check", "segment", "people")):
        say(*words, exits=3)


@pytest.mark.parametrize("words", [("export", "segment"), ("preview", "segment"), ("check", "segment")], ids=" ".join)
def test_a_source_that_is_wrong_in_another_way_tells_nothing_either(
    words: tuple[str, ...], demo: None, say: Callable[..., Any]
):
    folder = Path()
    row = canary_row().encode()
    (folder / "people.csv").write_bytes(
        HEADER.encode() + b"\n" + row.replace(b"Deutschland", b"Deutschl\x81\xffnd") + b"\n"
    )
    say(*words, "people", exits=3)
    (folder / "people.csv").write_bytes(row + b"\n" + row + b"\n")  # no header: her cells are the column names
    (folder / "connector.yaml").write_text(
        CONFIG.replace("from: people.csv, where: ", "from: people.csv, description: ")
    )
    say(*words, "people", exits=3)
    (folder / "people.ndjson").write_text('{"email": ' + CANARY["email"][0], encoding="utf-8")
    say(*words, "ndjson", exits=3)
    (folder / "people.ndjson").write_text(json.dumps({"email": CANARY["email"][0]}), encoding="utf-8")
    say(*words, "ndjson", exits=2)
    nested = {**canary_record(), "email": {"of": CANARY["email"][0]}}
    (folder / "people.ndjson").write_text(json.dumps(nested), encoding="utf-8")
    say(*words, "ndjson", exits=3)
    with sqlite3.connect("shop.db") as shop:
        shop.execute("alter table people rename to persons")
    shop.close()
    config = (folder / "connector.yaml").read_text(encoding="utf-8")
    (folder / "connector.yaml").write_text(
        config.replace("select * from people", f"select * from people where email = '{CANARY['email'][0]}'"),
        encoding="utf-8",
    )
    say(*words, "query", exits=3)
    Path("secret.sql").write_text("select * from people", encoding="utf-8")
    (folder / "connector.yaml").write_text(CONFIG.replace("select * from people", "secret.sql"), encoding="utf-8")
    say(*words, "query", exits=3)


@pytest.mark.parametrize(
    ("file", "old", "new", "exits"),
    [
        ("mappings/crm.yaml", "email: email", "email: emial", 2),
        ("mappings/crm.yaml", "birth_date: {from: born", "birth_date: {from: note", 0),
        ("connector.yaml", "note like", "notes like", 2),
        ("connector.yaml", 'orders >= 1"', 'email >= 1"', 0),
    ],
)
def test_a_wrong_configuration_tells_nothing(
    file: str, old: str, new: str, exits: int, demo: None, say: Callable[..., Any]
):
    path = Path(file)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    for verb in ("export", "check", "preview"):
        say(verb, "segment", "people", exits=exits)


def test_a_refusal_that_quotes_what_was_sent_is_not_passed_on(
    demo: None, say: Callable[..., Any], sandbox: dict[str, Any]
):
    email = CANARY["email"]
    digest = hashlib.sha256(email[1].encode()).hexdigest()
    for quoted in (email[0], email[1], digest, digest.upper(), f"access_token={sandbox['token']}", "+49 171 3920077"):
        script_upload(
            sandbox["base_url"], times=2, do="error", status=400,
            error={"code": 100, "message": quoted, "error_user_title": quoted, "error_user_msg": f"Wrong: {quoted}."},
        )  # fmt: skip
        say("export", "segment", "people", "--full", exits=5)


def test_a_web_page_that_quotes_what_was_sent_is_not_passed_on(
    demo: None, say: Callable[..., Any], sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    from connector.audiences.pace import Pace

    monkeypatch.setitem(Pace.__init__.__kwdefaults__, "base", 0.01)
    page = f"<html>{CANARY['email'][0]} {sandbox['token']} {hashlib.sha256(CANARY['email'][1].encode()).hexdigest()}</html>"
    script_upload(sandbox["base_url"], times=None, do="html", status=502, body=page)
    say("export", "segment", "people", exits=6)


def test_rows_that_meta_calls_invalid_are_counted_and_not_named(
    demo: None, say: Callable[..., Any], sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    """The sandbox answers with samples of the invalid cells, as Meta does."""
    digest = hashlib.sha256(CANARY["email"][1].encode()).hexdigest()

    def spoil(request: Any) -> bytes:
        return bytes(request.body.replace(digest.encode(), digest.upper().encode()))

    with relay_to(sandbox["base_url"], change=spoil) as relay:
        monkeypatch.setenv("CONNECTOR_GRAPH_URL", relay.base_url)
        say("export", "segment", "people", "--full", exits=7)


def test_an_unexpected_exception_is_named_by_kind_and_place_only(search: Search, capfd: pytest.CaptureFixture[str]):
    def broken() -> Answer:
        try:
            return {}[canary_row()]
        except KeyError as error:
            raise RuntimeError(f"cannot handle {canary_row()}") from error

    for as_json in (False, True):
        with pytest.raises(BaseException, match="1"):
            respond("export segment", broken, as_json=as_json)
        said = capfd.readouterr()
        assert "RuntimeError in " in said.out + said.err
        search.heard("a bug", said.out + said.err)


def test_what_a_library_call_raises_tells_nothing(demo: None, search: Search, sandbox: dict[str, Any]):
    def raised(call: Callable[[], object]) -> None:
        with pytest.raises(ConnectorError) as caught:
            call()
        error = caught.value
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None
        shown = "".join(traceback.format_exception(error, chain=True)).partition("\nTraceback")[0]
        search.heard(f"exception {error.code}", f"{error!r} {error} {error.args} {error.__dict__} {shown}")

    config = Config.load()
    search.heard("config", repr(config))
    for line in BROKEN.values():
        write_people(Path(), line.format(row=canary_row()))
        raised(lambda: export_segment(config, "people"))
    write_people(Path())
    report = plan_segment(config, "people")
    search.heard("report", f"{report!r} {report.to_json()}")
    script_upload(
        sandbox["base_url"], times=1, do="error", status=400, error={"code": 100, "error_user_msg": CANARY["email"][0]}
    )
    raised(lambda: export_segment(config, "people"))


# in a process of its own

LOUD = {
    "PYTHONDEVMODE": "1", "PYTHONFAULTHANDLER": "1", "RUST_BACKTRACE": "full", "RUST_LOG": "trace", "POLARS_VERBOSE": "1",
    "HTTPX_LOG_LEVEL": "trace", "DEBUG": "1", "CONNECTOR_DEBUG": "1", "_TYPER_STANDARD_TRACEBACK": "1",
}  # fmt: skip


@pytest.fixture
def process(search: Search) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command as a scheduler does, with every switch on that makes libraries talk."""

    def run(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "connector", *words]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **LOUD}
        )
        search.heard(f"{' '.join(words)}, loud", done.stdout + done.stderr)
        return done

    return run


def test_a_loud_environment_tells_nothing_either(
    demo: None, process: Callable[..., Any], sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    assert process("export", "segment", "query").returncode == 0
    write_people(Path(), f"{canary_row()};more")
    assert process("export", "segment", "people").returncode == 3


def test_secrets_of_the_app_are_not_told(
    demo: None, say: Callable[..., Any], sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CONNECTOR_APP_ID", sandbox["app_id"])
    monkeypatch.setenv("CONNECTOR_APP_SECRET", APP_SECRET)  # not the app's: every call is refused
    say("check", "access", "demo", "--fresh", exits=4)
    say("export", "segment", "people", exits=4)
    monkeypatch.delenv("CONNECTOR_APP_SECRET")
    monkeypatch.setenv("CONNECTOR_TOKEN", sandbox["tokens"]["expired"])
    say("export", "segment", "people", exits=4)
    monkeypatch.setenv("CONNECTOR_TOKEN", sandbox["tokens"]["no_permission"] + "\n")
    say("export", "segment", "people", exits=4)


def test_a_killed_run_leaves_nothing_to_read(demo: None, search: Search, sandbox: dict[str, Any]):
    script_upload(sandbox["base_url"], times=1, do="hang")
    with started("export", "segment", "people") as running:
        wait_until(lambda: fired(sandbox["base_url"]), process=running)
        running.kill()
        out, err = running.communicate(timeout=PATIENCE)
    search.heard("a killed run", out + err)


def test_explain_tells_whoever_typed_the_value_and_keeps_nothing(run: Run, search: Search):
    raw, clean = CANARY["phone"]
    told = run("explain", "phone", raw, "--country", "DE")
    assert clean in told.out
    assert hashlib.sha256(clean.encode()).hexdigest() in told.out
    wrong = run("explain", "phne", raw, "--json")
    assert wrong.exit_code == 2
    search.heard("explain with a wrong key", wrong.out + wrong.err)
    lines = run("explain", "--stdin", stdin=f'{{"value": "{raw}"}}\n')
    assert lines.exit_code == 2
    search.heard("explain with a wrong line", lines.out + lines.err)
