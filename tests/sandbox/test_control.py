"""The sandbox's own paths: state, reset, changes, the page. And what it must never hold or show."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest


def test_the_state_counts_calls_by_edge_and_shows_sessions(graph: Any, hashed: Any) -> None:
    assert graph.state() == {"audiences": [], "sessions": [], "calls": {}}
    audience = graph.new_audience(name="Loyal")
    graph.add(audience, ["EMAIL"], [[hashed("a")], ["x"]], session_id=9, batch_seq=1)
    graph.call("GET", "nonsense")
    state = graph.state()
    assert state["calls"] == {"customaudiences": 1, "users": 1, "unknown": 1}
    assert [one["name"] for one in state["audiences"]] == ["Loyal"]
    shown = state["audiences"][0]
    assert set(shown) == {"id", "name", "account_id", "members", "digest", "operation_status"}
    assert (shown["members"], shown["account_id"]) == (1, graph.account.removeprefix("act_"))
    session = state["sessions"][0]
    assert (session["audience_id"], session["session_id"], session["num_received"], session["num_invalid_entries"]) == (
        audience,
        "9",
        "2",
        "1",
    )


def test_a_reset_forgets_everything(graph: Any, hashed: Any) -> None:
    audience = graph.new_audience()
    graph.add(audience, ["EMAIL"], [[hashed("a")]])
    graph.faults({"do": "error", "times": None})
    graph.change(settings={"tier": "limited"}, advance_seconds=100)
    assert graph.http.post("/_sandbox/reset").json() == {"success": True}
    assert graph.state() == {"audiences": [], "sessions": [], "calls": {}}
    assert graph.refused("GET", audience) == (100, 33)
    assert graph.get("me")["id"] == graph.known["user"]


def test_seeded_audiences_are_shown_once_they_have_received_something(graph: Any, hashed: Any) -> None:
    graph.add(graph.known["audiences"]["healthy"], ["EMAIL"], [[hashed("a")]])
    assert [one["id"] for one in graph.state()["audiences"]] == [graph.known["audiences"]["healthy"]]


@pytest.mark.parametrize(
    "body",
    [
        {"colour": "red"},
        {"settings": {"colour": "red"}},
        {"settings": {"tier": "gold"}},
        {"settings": {"tier": None}},
        {"settings": {"matched_share": "much"}},
        {"settings": {"audience_limit": True}},
        {"settings": {"terms_error": 7}},
        {"settings": []},
        {"advance_seconds": -1},
        {"advance_seconds": "long"},
        {"change": {}},
        {"change": [{"node": "nobody"}]},
        {"change": [{"node": "act_10000000000001", "set": {"id": "x"}}]},
        {"change": [{"node": "act_10000000000001", "set": {"account_status": "open"}}]},
        {"change": [{"node": "act_10000000000001", "agencies": {"7": None}}]},
        {"change": [{"node": "act_10000000000001", "agencies": {"300000000000001": {"colour": 1}}}]},
        {"change": [{"node": "act_10000000000001", "agencies": {"300000000000001": {"permitted_tasks": "ANALYZE"}}}]},
        {"change": [{"node": "300000000000001", "agencies": {}}]},
        {"change": [{"set": {}}]},
        [],
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(graph: Any, body: Any) -> None:
    both = {"settings": {"usage_headers": False}, **body} if isinstance(body, dict) and "settings" not in body else body
    answer = graph.http.post("/_sandbox/world", json=both)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert "x-app-usage" in graph.call("GET", "me").headers


@pytest.mark.parametrize(
    ("node", "values", "look", "wanted"),
    [
        (
            "ad_account",
            {"account_status": 2, "disable_reason": 1},
            "account_status,disable_reason",
            {"account_status": 2, "disable_reason": 1},
        ),
        ("client_business", {"two_factor_type": "none"}, "two_factor_type", {"two_factor_type": "none"}),
    ],
)
def test_what_is_changed_is_what_is_read(graph: Any, node: str, values: Any, look: str, wanted: Any) -> None:
    graph.change(change=[{"node": graph.known[node], "set": values}])
    shown = graph.get(graph.known[node], fields=look)
    assert {name: shown[name] for name in wanted} == wanted


def test_a_token_can_be_broken_and_an_app_lose_b2b(graph: Any) -> None:
    graph.change(change=[{"node": graph.known["app_id"], "set": {"b2b": False}}])
    assert graph.refused("GET", f"{graph.account}/agencies") == (10, None)
    graph.change(change=[{"node": graph.known["token"], "set": {"broken": 460}}])
    assert graph.refused("GET", "me") == (190, 460)


def test_the_page_shows_counts_and_digests_and_escapes_names(graph: Any, hashed: Any) -> None:
    audience = graph.new_audience(name="<b>Loyal</b>")
    graph.add(audience, ["EMAIL"], [[hashed("a")]], session_id=5, batch_seq=1)
    graph.faults({"do": "slow", "edge": "none"})
    for path in ("/_sandbox/", "/_sandbox"):
        page = graph.http.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert graph.held(audience)[1] in page.text
        assert "&lt;b&gt;Loyal" in page.text
        assert "<b>Loyal" not in page.text
        assert "<script" not in page.text
    assert graph.http.post("/_sandbox/").status_code == 405


def test_no_cell_no_hash_and_no_token_is_shown_or_kept(graph: Any, hashed: Any) -> None:
    secret = "canary.person@example.com"
    audience = graph.new_audience()
    graph.add(audience, ["EMAIL", "EXTERN_ID"], [[secret, ""], [hashed(secret), "canary-4711"], ["", secret]])
    shown = json.dumps(graph.state()) + graph.http.get("/_sandbox/").text + graph.http.get("/_sandbox/faults").text
    for word in (secret, hashed(secret), "canary-4711", graph.known["token"]):
        assert word not in shown
    # The sandbox runs in this process: look through every object that is still alive for the bytes of a cell.
    from connector.sandbox.world import World

    worlds = [one for one in gc.get_objects() if isinstance(one, World) and audience in one.audiences]
    held = worlds[0].audiences[audience].members
    kept = b"".join(column.tobytes() for column in held.columns.values()) + held.digests.tobytes()
    assert secret.encode() not in kept
    assert bytes.fromhex(hashed(secret)) not in kept
    assert hashed(secret).encode() not in kept
