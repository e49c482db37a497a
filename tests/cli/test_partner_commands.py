"""The commands of partners, on-behalf-of requests, login and audit, as somebody types them."""

from __future__ import annotations

import io
import sys
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from connector.schema import AUDIT
from connector.state import AuditEntry, State
from tests.dialog import answer_dialog
from tests.processes import PATIENCE, started

if TYPE_CHECKING:
    from collections.abc import Callable

AGENCY, CLIENT = "300000000000001", "310000000000001"

pytestmark = pytest.mark.usefixtures("workspace")


@pytest.fixture(autouse=True)
def tokens(sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIENT_TOKEN", sandbox["tokens"]["client_admin"])
    monkeypatch.setenv("NO_B2B", sandbox["tokens"]["no_b2b"])


GIVE = (
    "grant", "access", "--to", AGENCY, "--tasks", "ADVERTISE,ANALYZE", "--reason", "spring", "--token-env", "CLIENT_TOKEN",
)  # fmt: skip


def test_a_request_a_grant_and_a_revocation_from_the_command_line(sandbox: dict[str, Any], run: Callable[..., Any]):
    account = sandbox["ad_accounts"]["not_shared"]
    asked = run(
        "request", "access", "--ad-account", account, "--tasks", "ADVERTISE", "--reason", "spring", "--yes", "--json"
    )
    assert (asked.exit_code, asked.envelope["data"]["status"]) == (0, "pending")
    given = run(*GIVE, "--ad-account", account, "--yes", "--json")
    assert (given.exit_code, given.envelope["data"]["status"]) == (0, "confirmed")
    listed = run("list", "agencies", "--ad-account", account)
    for said in ("BUSINESS", "REQUESTED", "Lantern Media (agency)", AGENCY, "ADVERTISE ANALYZE", "confirmed"):
        assert said in listed.out
    taken = run("revoke", "access", "--ad-account", account, "--from", AGENCY, "--reason", "over", "--yes", "--json")
    assert (taken.exit_code, taken.envelope["data"]["status"]) == (0, "revoked")


def test_without_a_terminal_and_without_yes_nothing_is_done(sandbox: dict[str, Any], run: Callable[..., Any]):
    done = run(*GIVE, "--ad-account", sandbox["ad_accounts"]["not_shared"], "--json")
    assert (done.exit_code, done.envelope["status"], done.envelope["error"]["code"]) == (
        8, "refused", "partner.not_confirmed",
    )  # fmt: skip
    assert "gets ADVERTISE, ANALYZE" in done.err


@pytest.mark.parametrize(("typed", "exit_code"), [(AGENCY, 0), (CLIENT, 8), ("yes", 8)])
def test_on_a_terminal_the_other_business_has_to_be_typed(
    sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch, typed: str, exit_code: int
):
    from connector.cli.main import main

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(f"{typed}\n"))
    monkeypatch.setattr(sys, "argv", ["connector", *GIVE, "--ad-account", sandbox["ad_accounts"]["not_shared"]])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == exit_code


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        ((*GIVE, "--ad-account", "123x"), 2, "partner.asset"),
        ((*GIVE,), 2, "usage"),
        ((*GIVE, "--page", "1", "--pixel", "2"), 2, "usage"),
        ((*GIVE, "--ad-account", "act_1", "--expires", "2020-01-01"), 2, "partner.expires"),
        ((*GIVE, "--ad-account", "act_1"), 4, "partner.not_owner"),
        ((*GIVE, "--ad-account", "act_1", "--expires", "soon"), 2, "usage"),
        ((*GIVE, "--ad-account", "act_1", "--wait", "long"), 2, "usage"),
        (("list", "obo-requests"), 2, "usage"),
        (("list", "obo-requests", "--sent", "--received"), 2, "usage"),
        (("list", "clients", "--token-env", "CLIENT_TOKEN"), 2, "partner.business"),
        (("list", "agencies", "--business", CLIENT), 4, "partner.not_member"),
        (("disconnect", "demo"), 2, "login.not_connected"),
        (("connect", "demo"), 2, "login.app"),
        (("connect", "demo", "--token-env", "CLIENT_TOKEN"), 2, "destination.unknown"),
    ],
)
def test_mistakes_have_their_exit_and_their_code(
    run: Callable[..., Any], words: tuple[str, ...], exit_code: int, code: str
):
    done = run(*words, "--json")
    assert (done.exit_code, done.envelope["error"]["code"]) == (exit_code, code)


@pytest.mark.parametrize(
    "words",
    [
        ("list", "agencies", "--ad-account", "{account}"),
        ("list", "agencies", "--page", "{page}"),
        ("list", "clients"),
        ("list", "obo-requests", "--sent"),
        ("list", "obo-requests", "--ad-account", "{account}"),
        ("show", "obo-request", "{obo}"),
        ("cancel", "obo-request", "{obo}", "--yes"),
        ("request", "access", "--ad-account", "{account}", "--tasks", "ADVERTISE", "--reason", "x", "--yes"),
        ("revoke", "access", "--ad-account", "{account}", "--from", AGENCY, "--reason", "x", "--yes"),
    ],
)
def test_where_the_app_may_not_every_command_gives_the_way_by_hand(
    sandbox: dict[str, Any], run: Callable[..., Any], words: tuple[str, ...]
):
    known = {"account": sandbox["ad_account"], "page": sandbox["assets"]["page"], "obo": sandbox["obo_request"]}
    words = tuple(word.format(**known) for word in words)
    done = run(*words, "--token-env", "NO_B2B", "--language", "ja", "--json")
    assert (done.exit_code, done.envelope["status"]) == (4, "refused")
    assert done.envelope["error"]["code"] == "b2b.unavailable"
    manual = done.envelope["data"]["manual"]
    assert manual["language"] == "ja"
    assert "ビジネス設定" in manual["text"]
    shown = run(*words, "--token-env", "NO_B2B")
    assert shown.exit_code == 4
    assert "Business Settings" in shown.out


def test_waiting_is_told_what_to_do_first_and_sees_it_done(sandbox: dict[str, Any], run: Callable[..., Any]):
    account = sandbox["ad_accounts"]["not_shared"]
    grant = {"access_status": "CONFIRMED", "permitted_tasks": ["ADVERTISE"]}
    change = {"change": [{"node": account, "agencies": {AGENCY: grant}}]}
    client = threading.Timer(1, lambda: httpx.post(f"{sandbox['base_url']}/_sandbox/world", json=change))
    client.start()
    done = run(
        "request", "access", "--ad-account", account, "--tasks", "ADVERTISE", "--reason", "x", "--yes",
        "--token-env", "NO_B2B", "--wait", "1m", "--every", "1s",
    )  # fmt: skip
    client.join()
    assert done.exit_code == 0
    assert "enter business id 300000000000001" in done.err
    assert "Done" in done.out


def test_on_behalf_of_requests_from_the_command_line(sandbox: dict[str, Any], run: Callable[..., Any]):
    number = sandbox["obo_request"]
    for words in (
        ("list", "obo-requests", "--sent"),
        ("list", "obo-requests", "--received", "--token-env", "CLIENT_TOKEN", "--business", CLIENT),
        ("list", "obo-requests", "--ad-account", sandbox["ad_accounts"]["obo_in_progress"], "--status", "in_progress"),
        ("show", "obo-request", number),
    ):
        done = run(*words)
        assert done.exit_code == 0
        assert "IN_PROGRESS" in done.out
        assert number in done.out
    assert run("cancel", "obo-request", number).exit_code == 8
    assert run("cancel", "obo-request", number, "--dry-run").exit_code == 0
    assert run("cancel", "obo-request", number, "--yes").exit_code == 0
    assert run("cancel", "obo-request", number, "--yes").exit_code == 5


# login


def accept(address: str) -> None:
    """As whoever sits before the browser does."""
    httpx.get(answer_dialog(address))


@pytest.fixture
def app(sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a login needs to know of the app, and a key to store the token with."""
    monkeypatch.setenv("CONNECTOR_APP_ID", sandbox["app_id"])
    monkeypatch.setenv("CONNECTOR_APP_SECRET", sandbox["app_secret"])
    monkeypatch.setenv("CONNECTOR_TOKEN_KEY", Fernet.generate_key().decode())


def test_from_login_to_export_to_goodbye(
    app: None, add_demo: Callable[..., None], run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("CONNECTOR_TOKEN")
    at_browser: list[threading.Thread] = []

    def open_browser(address: str, *_: Any) -> bool:
        at_browser.append(threading.Thread(target=accept, args=(address,)))
        at_browser[-1].start()
        return True

    # The one stand-in: a real browser would open a window on whatever machine runs this.
    monkeypatch.setattr("webbrowser.open", open_browser)
    connected = run("connect", "demo", "--port", "0")
    (thread,) = at_browser
    thread.join()
    assert connected.exit_code == 0, connected.err
    assert "Emma Agency" in connected.out
    assert "The token ends on" in connected.out
    add_demo()
    shown = run("show", "destination", "demo", "--json").envelope["data"]
    assert shown["stored_token"]["scopes"] == ["ads_management", "business_management", "public_profile"]
    exported = run("export", "segment", "people")
    assert exported.exit_code == 0, exported.err
    assert run("disconnect", "demo").exit_code == 0
    assert run("export", "segment", "people", "--json").envelope["error"]["code"] == "token.missing"
    audit = run("show", "audit", "--destination", "demo", "--json")
    assert [(line["action"], line["outcome"]) for line in audit.envelope["data"]["audit"]] == [
        ("connect destination", "ok"), ("check access", "allowed"), ("add destination", "ok"),
        ("check access", "allowed"), ("export", "ok"), ("disconnect destination", "ok"),
    ]  # fmt: skip
    assert "EAAsandbox" not in connected.out + connected.err + audit.out + exported.out + exported.err


def test_without_a_browser_the_address_is_printed_whole_beside_the_result(
    app: None,
):
    with started("connect", "demo", "--no-browser", "--port", "0", "--json") as process:
        assert process.stderr is not None
        address = next(line for line in process.stderr if line.startswith("http")).strip()
        accept(address)
        out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert '"source": "login"' in out
    assert "EAAsandbox" not in out


# the audit chain


def write(lines: int) -> str:
    with State.open("sqlite:///.connector/state.db") as state:
        for number in range(lines):
            head = state.audit(AuditEntry("export", "ok", source="demo" if number % 2 else "other"))
    return head


def damage(statement: Any) -> None:
    with State.open("sqlite:///.connector/state.db") as state, state.session() as connection:
        connection.execute(statement)


def test_an_intact_chain_is_said_to_be_so(run: Callable[..., Any]):
    head = write(5)
    checked = run("check", "audit", "--head", head, "--json")
    assert (checked.exit_code, checked.envelope["data"]["head"]) == (0, head)


@pytest.mark.parametrize(
    ("statement", "at"),
    [
        (AUDIT.update().where(AUDIT.c.seq == 3).values(outcome="refused"), 3),
        (AUDIT.update().where(AUDIT.c.seq == 3).values(actor="somebody else"), 3),
        (AUDIT.delete().where(AUDIT.c.seq == 3), 3),
        (AUDIT.delete().where(AUDIT.c.seq == 1), 1),
        (AUDIT.update().where(AUDIT.c.seq == 5).values(seq=6), 5),
    ],
)
def test_a_changed_or_missing_line_is_found_with_its_number(run: Callable[..., Any], statement: Any, at: int):
    write(5)
    damage(statement)
    checked = run("check", "audit", "--json")
    assert (checked.exit_code, checked.envelope["error"]["code"]) == (8, "audit.broken")
    assert checked.envelope["data"]["broken_at"] == at


def test_lines_cut_off_the_end_are_found_by_a_head_noted_before(run: Callable[..., Any]):
    head = write(5)
    damage(AUDIT.delete().where(AUDIT.c.seq >= 4))
    assert run("check", "audit").exit_code == 0
    checked = run("check", "audit", "--head", head, "--json")
    assert (checked.exit_code, checked.envelope["data"]["broken_at"]) == (8, 4)


def test_audit_lines_are_shown_by_destination_and_time(run: Callable[..., Any]):
    write(4)
    damage(sa.update(AUDIT).where(AUDIT.c.seq <= 2).values(at="2020-01-01T00:00:00.000000Z"))

    def shown(*words: str) -> list[int]:
        return [line["seq"] for line in run("show", "audit", *words, "--json").envelope["data"]["audit"]]

    assert shown() == [1, 2, 3, 4]
    assert shown("--destination", "demo") == [2, 4]
    assert shown("--since", "2d") == [3, 4]
    assert shown("--since", "2020-01-01", "--destination", "other") == [1, 3]
    assert shown("--since", "2019-12-31T23:00:00-05:00") == [3, 4]
    assert run("show", "audit", "--since", "yesterday").exit_code == 2


def test_a_refused_destination_is_on_record_with_what_stood_in_the_way(
    sandbox: dict[str, Any], run: Callable[..., Any]
):
    account = sandbox["ad_accounts"]["analyze_only"]
    add = ("add", "destination", "demo", "--ad-account", account, "--business", AGENCY)
    assert run(*add, "--new-audience", "People", "--accept-data-terms").exit_code == 4
    (line,) = run("show", "audit", "--json").envelope["data"]["audit"]
    assert (line["action"], line["outcome"], line["reason"]) == ("check access", "refused", "partner_tasks")
    assert line["after"]["failed"] == ["partner_tasks"]
    assert (line["client"], line["asset"], line["source"]) == (CLIENT, account, "demo")


def test_a_plan_leaves_no_line(add_demo: Callable[..., None], run: Callable[..., Any]):
    add_demo()
    before = len(run("show", "audit", "--json").envelope["data"]["audit"])
    assert run("plan", "segment", "people").exit_code == 0
    assert len(run("show", "audit", "--json").envelope["data"]["audit"]) == before
