"""On-behalf-of requests on the sandbox: listed, shown, cancelled, in both shapes and with statuses nobody knows yet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx

from connector.access.desk import Speaker
from connector.access.onbehalf_requests import cancel_request, open_requests, requests_on, show_request
from connector.config import Config
from connector.errors import AccessError, ConfigError, GuardError, RejectedError
from connector.state import State

if TYPE_CHECKING:
    from pathlib import Path

AGENCY, CLIENT = "300000000000001", "310000000000001"
CLIENT_SPEAKS = Speaker(token_env="CLIENT_TOKEN")


@pytest.fixture
def config(world: Any, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("CLIENT_TOKEN", world.token("client_admin"))
    monkeypatch.setenv("NO_B2B", world.token("no_b2b"))
    return Config.load(workspace)


def audit(config: Config) -> list[dict[str, Any]]:
    with State.open(config.state_url) as state:
        return state.audit_lines()


def test_an_account_is_asked_once_a_status(world: Any, config: Config):
    found = requests_on(config, world.account("obo_in_progress"), Speaker())
    assert [(one.id, one.status) for one in found] == [(world.seed["obo_request"], "IN_PROGRESS")]
    assert world.calls()["onbehalf_requests"] == 3


def test_one_status_is_one_call(world: Any, config: Config):
    (found,) = requests_on(config, world.account("obo_declined"), Speaker(), statuses=("DECLINE",))
    assert found.status == "DECLINE"
    assert requests_on(config, world.account("obo_declined"), Speaker(), statuses=("APPROVE",)) == []
    assert world.calls()["onbehalf_requests"] == 2


def test_open_ones_are_listed_by_whoever_sent_or_received_them_and_each_is_read(world: Any, config: Config):
    (sent,) = open_requests(config, "sent", Speaker())
    (received,) = open_requests(config, "received", Speaker(token_env="CLIENT_TOKEN", business=CLIENT))
    assert sent == received
    assert (sent.sender and sent.sender.id, sent.receiver and sent.receiver.id) == (AGENCY, CLIENT)
    assert sent.asset == world.account("obo_in_progress")
    assert open_requests(config, "received", Speaker()) == []


def test_a_status_that_nobody_knows_yet_is_shown_as_it_is(world: Any, config: Config):
    world.change(world.seed["obo_request"], status="PENDING_INTEGRITY_REVIEW")
    assert show_request(config, world.seed["obo_request"], Speaker()).status == "PENDING_INTEGRITY_REVIEW"


@pytest.mark.parametrize("wrapped", [False, True])
@respx.mock(assert_all_called=False)
def test_both_shapes_of_a_request_are_read(
    respx_mock: respx.Router, workspace: Path, monkeypatch: pytest.MonkeyPatch, wrapped: bool
):
    monkeypatch.setenv("CONNECTOR_GRAPH_URL", "https://graph.facebook.com")
    monkeypatch.setenv("CONNECTOR_TOKEN", "EAAinvented0123456789")
    bare = {
        "id": "77", "status": "IN_PROGRESS", "business_owned_object": "12",
        "requesting_business": {"id": "3", "name": "Agency"}, "receiving_business": {"id": "2", "name": "Client"},
    }  # fmt: skip
    respx_mock.get("https://graph.facebook.com/v25.0/debug_token").respond(json={"data": {"app_id": "1"}})
    respx_mock.get("https://graph.facebook.com/v25.0/77").respond(json={"data": [bare]} if wrapped else bare)
    found = show_request(Config.load(workspace), "77", Speaker())
    assert found.to_json() == {**bare, "business_owned_object": "act_12"}


@pytest.mark.parametrize(("success", "cancelled"), [(True, True), ("true", True), (False, False), ("false", False)])
@respx.mock(assert_all_called=False)
def test_success_is_a_boolean_or_a_word(
    respx_mock: respx.Router, workspace: Path, monkeypatch: pytest.MonkeyPatch, success: object, cancelled: bool
):
    monkeypatch.setenv("CONNECTOR_GRAPH_URL", "https://graph.facebook.com")
    monkeypatch.setenv("CONNECTOR_TOKEN", "EAAinvented0123456789")
    respx_mock.get("https://graph.facebook.com/v25.0/debug_token").respond(json={"data": {"app_id": "1"}})
    respx_mock.get("https://graph.facebook.com/v25.0/77").mock(
        httpx.Response(200, content=json.dumps({"id": "77", "status": "IN_PROGRESS"}))
    )
    respx_mock.delete("https://graph.facebook.com/v25.0/77").respond(json={"success": success})
    config = Config.load(workspace)
    if cancelled:
        cancel_request(config, "77", Speaker(), confirm=lambda _: True)
    else:
        with pytest.raises(RejectedError, match="did not cancel"):
            cancel_request(config, "77", Speaker(), confirm=lambda _: True)
    assert [line["outcome"] for line in audit(config)] == ["ok" if cancelled else "refused"]


def test_a_cancelled_request_is_no_longer_open_and_on_record(world: Any, config: Config):
    cancel_request(config, world.seed["obo_request"], Speaker(), confirm=lambda _: True, reason="sent in error")
    assert open_requests(config, "sent", Speaker()) == []
    assert show_request(config, world.seed["obo_request"], Speaker()).status == "CANCELED"
    (line,) = audit(config)
    assert (line["action"], line["outcome"], line["reason"]) == ("cancel obo-request", "ok", "sent in error")
    assert line["asset"] == world.account("obo_in_progress")


def test_the_gate_is_green_once_the_open_request_is_cancelled(world: Any, config: Config):
    before = {one.id: one.status for one in world.gate("obo_in_progress").checks}["obo"]
    cancel_request(config, world.seed["obo_request"], Speaker(), confirm=lambda _: True)
    after = {one.id: one.status for one in world.gate("obo_in_progress").checks}["obo"]
    assert (before, after) == ("fail", "pass")


def test_only_who_asked_can_cancel(world: Any, config: Config):
    with pytest.raises(AccessError):
        cancel_request(config, world.seed["obo_request"], CLIENT_SPEAKS, confirm=lambda _: True)
    assert [line["outcome"] for line in audit(config)] == ["refused"]


def test_nothing_is_cancelled_unasked(world: Any, config: Config):
    cancel_request(config, world.seed["obo_request"], Speaker(), confirm=lambda _: False, dry_run=True)
    with pytest.raises(GuardError):
        cancel_request(config, world.seed["obo_request"], Speaker(), confirm=lambda _: False)
    assert len(open_requests(config, "sent", Speaker())) == 1
    assert [line["outcome"] for line in audit(config)] == ["not_confirmed"]


def test_an_app_without_the_right_is_told_from_a_request_that_is_not_there(world: Any, config: Config):
    with pytest.raises(AccessError) as closed:
        show_request(config, world.seed["obo_request"], Speaker(token_env="NO_B2B"))
    assert closed.value.code == "b2b.unavailable"
    with pytest.raises(AccessError) as absent:
        show_request(config, "4711", Speaker())
    assert absent.value.code == "graph.not_visible"


@pytest.mark.parametrize("number", ["", "act_1", "1/2", "me"])
def test_what_is_no_id_is_refused(world: Any, config: Config, number: str):
    with pytest.raises(ConfigError):
        show_request(config, number, Speaker())
