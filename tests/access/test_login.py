"""Continue with Facebook, followed page by page against the sandbox's dialog: accepted, declined, forged, replayed, late."""

from __future__ import annotations

import http.client
import socket
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from cryptography.fernet import Fernet

from connector.access.callback import Callback
from connector.access.connecting import connect_by_login, connect_by_variable, disconnect_destination
from connector.access.connection import token_of
from connector.access.login import Invitation, dialog_address, our_app
from connector.access.token_store import stored_token
from connector.config import Config
from connector.destinations import remove_destination
from connector.errors import AccessError, ConfigError, TransientError
from connector.state import Destination, State
from tests.dialog import SCOPES, answer_dialog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def config(world: Any, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("CONNECTOR_APP_ID", world.seed["app_id"])
    monkeypatch.setenv("CONNECTOR_APP_SECRET", world.seed["app_secret"])
    monkeypatch.setenv("CONNECTOR_TOKEN_KEY", Fernet.generate_key().decode())
    return Config.load(workspace)


class Browser:
    """Somebody at a browser: opens the dialog, ticks boxes, presses a button, and is sent back."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers) or [SCOPES]
        self.invitations: list[Invitation] = []
        self.pages: list[httpx.Response] = []
        self.returns: list[str] = []
        self._threads: list[threading.Thread] = []

    def __call__(self, invitation: Invitation) -> None:
        self.invitations.append(invitation)
        answer = self._answers.pop(0)
        thread = threading.Thread(target=self._go, args=(invitation.address, answer))
        thread.start()
        self._threads.append(thread)

    def _go(self, address: str, answer: Any) -> None:
        back = answer_dialog(address, answer)
        self.returns.append(back)
        self.pages.append(httpx.get(back))

    def close(self) -> None:
        for thread in self._threads:
            thread.join()


@pytest.fixture
def browsers() -> Iterator[Callable[..., Browser]]:
    made: list[Browser] = []

    def make(*answers: Any) -> Browser:
        made.append(Browser(*answers))
        return made[-1]

    yield make
    for browser in made:
        browser.close()


def log_in(config: Config, browser: Any, **options: Any) -> Any:
    return connect_by_login(config, "demo", open_dialog=browser, port=0, **options)


def audit(config: Config) -> list[dict[str, Any]]:
    with State.open(config.state_url) as state:
        return state.audit_lines()


def test_whoever_accepts_is_connected_with_a_long_lived_token(world: Any, config: Config, browsers: Any):
    browser = browsers()
    made = log_in(config, browser)
    browser.close()
    assert made.consent.user_name == "Emma Agency"
    assert set(made.consent.granted) == {*SCOPES, "public_profile"}
    left = made.consent.expires_at - datetime.now(UTC)
    assert timedelta(days=59) < left <= timedelta(days=60)
    assert made.consent.data_access_expires_at is not None
    assert [page.status_code for page in browser.pages] == [200]
    with State.open(config.state_url) as state:
        token = token_of(Destination("demo", "act_1"), state)
        kept = stored_token(state, "demo")
    assert kept is not None
    assert kept.user_id == made.consent.user_id
    asked = httpx.get(f"{world.seed['base_url']}/me", headers={"Authorization": f"Bearer {token.get_secret_value()}"})
    assert asked.json()["name"] == "Emma Agency"


def test_whoever_cancels_is_told_so_and_nothing_is_stored(config: Config, browsers: Any):
    with pytest.raises(AccessError, match="cancelled") as refused:
        log_in(config, browsers(None))
    assert refused.value.code == "login.declined"
    with State.open(config.state_url) as state:
        assert stored_token(state, "demo") is None
    assert [(line["action"], line["outcome"]) for line in audit(config)] == [("connect destination", "refused")]


def test_what_was_declined_is_named_and_asked_for_once_more(config: Config, browsers: Any):
    browser = browsers(["business_management"], SCOPES)
    made = log_in(config, browser)
    assert [one.declined for one in browser.invitations] == [(), ("ads_management",)]
    assert "auth_type=rerequest" in browser.invitations[1].address
    assert "auth_type" not in browser.invitations[0].address
    assert made.consent.declined == ()


def test_a_login_that_never_grants_ads_management_stores_nothing(config: Config, browsers: Any):
    with pytest.raises(AccessError, match="ads_management") as refused:
        log_in(config, browsers([], []))
    assert refused.value.code == "login.scopes"
    with State.open(config.state_url) as state:
        assert stored_token(state, "demo") is None


def test_without_business_management_one_is_connected_and_told(config: Config, browsers: Any):
    made = log_in(config, browsers(["ads_management"], ["ads_management"]))
    assert made.consent.declined == ("business_management",)


def test_whoever_cancels_the_second_time_keeps_what_was_granted_the_first(config: Config, browsers: Any):
    made = log_in(config, browsers(["ads_management"], None))
    assert made.consent.declined == ("business_management",)
    with State.open(config.state_url) as state:
        assert stored_token(state, "demo") is not None


def test_nobody_answering_ends_the_login_in_time(config: Config):
    with pytest.raises(TransientError) as late:
        log_in(config, lambda _: None, patience=timedelta(seconds=0.2))
    assert late.value.code == "login.timeout"
    assert audit(config)[-1]["outcome"] == "failed"


def test_a_code_that_was_used_already_is_refused(world: Any, config: Config):
    codes: list[str] = []

    def thief(invitation: Invitation) -> None:
        back = answer_dialog(invitation.address, SCOPES)
        query = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
        codes.append(query["code"])
        asked = parse_qs(urlsplit(invitation.address).query)
        app = {"client_id": world.seed["app_id"], "client_secret": world.seed["app_secret"]}
        stolen = httpx.get(
            f"{world.seed['base_url']}/oauth/access_token",
            params={**app, "redirect_uri": asked["redirect_uri"][0], "code": query["code"]},
        )
        assert stolen.status_code == 200
        httpx.get(back)

    with pytest.raises(AccessError) as refused:
        log_in(config, thief)
    assert refused.value.code == "login.code"
    assert codes[0] not in str(refused.value)


def test_a_forged_state_changes_nothing_and_the_real_answer_still_counts(config: Config):
    refused: list[int] = []

    def forger(invitation: Invitation) -> None:
        back = answer_dialog(invitation.address, SCOPES)
        address = back.partition("?")[0]
        forged = [{"code": "AQforged", "state": state} for state in ("", "0" * 43, "é")]
        for query in (*forged, {"code": "AQforged"}, None):
            refused.append(httpx.get(address if query else back, params=query).status_code)  # noqa: PERF401 - in this order

    made = log_in(config, forger)
    assert made.consent.user_name == "Emma Agency"
    assert refused == [400, 400, 400, 400, 200]


# the way back


def ask(callback: Callback, query: dict[str, str], *, host: str | None = None, path: str = "/connected") -> int:
    port = urlsplit(callback.address).port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Host": host} if host else {}
    connection.request("GET", f"{path}?{urlencode(query)}", headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_one_answer_is_taken_and_every_further_one_refused():
    with Callback("secret", port=0) as callback:
        assert ask(callback, {"state": "secret", "code": "one"}) == 200
        assert ask(callback, {"state": "secret", "code": "two"}) == 410
        returned = callback.wait(1)
        assert returned is not None
        assert returned.code == "one"
        assert callback.wait(0.01) is None


@pytest.mark.parametrize(
    ("query", "options", "status"),
    [
        ({"state": "secret"}, {}, 400),
        ({"state": "other", "code": "1"}, {}, 400),
        ({"state": "secret", "code": "1"}, {"host": "attacker.example"}, 404),
        ({"state": "secret", "code": "1"}, {"path": "/"}, 404),
        ({"state": "secret", "code": "x" * 9000}, {}, 404),
    ],
)
def test_what_is_not_the_answer_is_refused_and_not_taken(query: dict[str, str], options: Any, status: int):
    with Callback("secret", port=0) as callback:
        assert ask(callback, query, **options) == status
        assert callback.wait(0.01) is None


def test_only_this_machine_can_reach_it():
    with Callback("secret", port=0) as callback:
        assert callback._server.server_address[0] == "127.0.0.1"


def test_a_connection_that_says_nothing_holds_nobody_up():
    with Callback("secret", port=0) as callback:
        port = urlsplit(callback.address).port
        with socket.create_connection(("127.0.0.1", port)):
            assert ask(callback, {"state": "secret", "error": "access_denied"}) == 200
        returned = callback.wait(1)
        assert returned is not None
        assert returned.refused == "access_denied"


def test_nothing_is_printed_and_no_page_or_repr_holds_the_code(capfd: pytest.CaptureFixture[str]):
    with Callback("secret", port=0) as callback:
        page = httpx.get(callback.address, params={"state": "secret", "code": "AQcanary"})
        assert "AQcanary" not in page.text
        assert "AQcanary" not in repr(callback.wait(1))
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


def test_a_taken_port_is_a_mistake_with_a_way_out():
    with Callback("secret", port=0) as callback:
        port = urlsplit(callback.address).port
        assert port is not None
        with pytest.raises(ConfigError) as taken:
            Callback("secret", port=port)
    assert taken.value.code == "login.port"


def test_the_dialog_is_metas_own_unless_the_graph_api_is_on_this_machine(
    config: Config, workspace: Path, monkeypatch: pytest.MonkeyPatch
):
    here = dialog_address(config, our_app(), "http://localhost:1/connected", "s")
    assert here.startswith(f"{config.graph_url}/v25.0/dialog/oauth?")
    monkeypatch.delenv("CONNECTOR_GRAPH_URL")
    there = urlsplit(dialog_address(Config.load(workspace), our_app(), "http://localhost:1/connected", "s"))
    assert (there.scheme, there.netloc, there.path) == ("https", "www.facebook.com", "/v25.0/dialog/oauth")
    assert parse_qs(there.query)["scope"] == ["ads_management,business_management"]


# before and after


@pytest.mark.parametrize(
    ("variable", "code"),
    [("CONNECTOR_APP_ID", "login.app"), ("CONNECTOR_APP_SECRET", "login.app"), ("CONNECTOR_TOKEN_KEY", "token.no_key")],
)
def test_whatever_is_missing_is_said_before_anybody_is_sent_anywhere(
    config: Config, no_keyring: None, monkeypatch: pytest.MonkeyPatch, variable: str, code: str
):
    monkeypatch.delenv(variable)
    opened: list[Invitation] = []
    with pytest.raises(ConfigError) as refused:
        log_in(config, opened.append)
    assert refused.value.code == code
    assert opened == []


def test_a_destination_turns_to_where_its_token_was_put_last(
    world: Any, config: Config, browsers: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ROBOT", world.token("system_user"))
    with State.open(config.state_url) as state:
        state.add_destination(Destination("demo", world.seed["ad_account"], token_env="SOMETHING"))
    log_in(config, browsers())
    with State.open(config.state_url) as state:
        assert token_of(state.destination("demo"), state).get_secret_value().startswith("EAAsandbox")
    made = connect_by_variable(config, "demo", "ROBOT")
    assert (made.consent.user_name, made.consent.expires_at) == ("Exporter", None)
    with State.open(config.state_url) as state:
        assert stored_token(state, "demo") is None
        assert token_of(state.destination("demo"), state).get_secret_value() == world.token("system_user")


@pytest.mark.parametrize(("token", "code"), [("expired", "graph.token_expired"), ("no_permission", "login.scopes")])
def test_a_token_of_the_environment_is_looked_at_before_it_is_taken(
    world: Any, config: Config, monkeypatch: pytest.MonkeyPatch, token: str, code: str
):
    monkeypatch.setenv("OTHER", world.token(token))
    with State.open(config.state_url) as state:
        state.add_destination(Destination("demo", world.seed["ad_account"]))
    with pytest.raises(AccessError) as refused:
        connect_by_variable(config, "demo", "OTHER")
    assert refused.value.code == code
    with State.open(config.state_url) as state:
        assert state.destination("demo").token_env == "CONNECTOR_TOKEN"


def test_a_disconnected_destination_has_no_token_left(config: Config, browsers: Any):
    log_in(config, browsers())
    disconnect_destination(config, "demo")
    with State.open(config.state_url) as state:
        assert stored_token(state, "demo") is None
    with pytest.raises(ConfigError) as nothing:
        disconnect_destination(config, "demo")
    assert nothing.value.code == "login.not_connected"


def test_a_removed_destination_takes_its_token_along(world: Any, config: Config, browsers: Any):
    with State.open(config.state_url) as state:
        state.add_destination(Destination("demo", world.seed["ad_account"]))
    log_in(config, browsers())
    remove_destination(config, "demo")
    with State.open(config.state_url) as state:
        assert stored_token(state, "demo") is None


def test_no_record_of_a_login_holds_a_token_a_code_or_a_secret(world: Any, config: Config, browsers: Any):
    made = log_in(config, browsers())
    shown = f"{audit(config)} {made!r} {made.to_json()}"
    assert made.consent.token.get_secret_value() not in shown
    assert world.seed["app_secret"] not in shown
    assert "EAAsandbox" not in shown
