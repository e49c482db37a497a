"""Scripted faults, over a real socket: each goes wrong as it says, as often as it says, and not once more."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest


@pytest.fixture
def audience(graph: Any) -> str:
    return str(graph.new_audience())


def upload(graph: Any, audience: str, cell: str) -> httpx.Response:
    answer: httpx.Response = graph.call(
        "POST", f"{audience}/users", json={"payload": {"schema": ["EMAIL"], "data": [[cell]]}}
    )
    return answer


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 4}, 403),
        ({"code": 17, "error_subcode": 2446079}, 400),
        ({"code": 613}, 400),
        ({"code": 80003, "error_subcode": 2446079}, 400),
        ({"code": 80004, "error_subcode": 2446079}, 400),
        ({"code": 1}, 500),
        ({"code": 1, "error_subcode": 99}, 500),
        ({"code": 2, "is_transient": True}, 503),
        *[({"code": 190, "error_subcode": sub}, 401) for sub in (458, 459, 460, 463, 464, 467, 492)],
        ({"code": 200, "error_subcode": 1870034}, 403),
        ({"code": 368}, 400),
        ({"code": 471}, 400),
        *[
            ({"code": 2650, "error_subcode": sub}, 400)
            for sub in (1870144, 1870145, 1870147, 1870148, 1870158, 1870159)
        ],
        ({"code": 803}, 400),
        ({"code": -3, "message": "internal"}, 400),
        ({"code": 100, "error_data": {"blame_field_specs": [["payload"]]}}, 400),
    ],
)
def test_an_error_comes_once_with_its_code_and_leaves_nothing_behind(
    graph: Any, hashed: Any, audience: str, error: dict[str, Any], status: int
) -> None:
    graph.faults({"edge": "users", "method": "POST", "do": "error", "error": error})
    answer = upload(graph, audience, hashed("a"))
    assert answer.status_code == status
    shown = answer.json()["error"]
    assert {name: shown[name] for name in error} == error
    assert shown["message"]
    assert shown["fbtrace_id"]
    assert graph.held(audience)[0] == 0
    assert upload(graph, audience, hashed("a")).status_code == 200


def test_an_error_carries_the_headers_and_status_it_is_told_to(graph: Any, hashed: Any, audience: str) -> None:
    usage = '{"1":[{"type":"custom_audience","call_count":100,"estimated_time_to_regain_access":19}]}'
    graph.faults(
        {
            "edge": "users",
            "do": "error",
            "error": {"code": 80003},
            "status": 429,
            "headers": {"X-Business-Use-Case-Usage": usage, "Retry-After": "3"},
        }
    )
    answer = upload(graph, audience, hashed("a"))
    assert (answer.status_code, answer.headers["x-business-use-case-usage"], answer.headers["retry-after"]) == (
        429,
        usage,
        "3",
    )


def test_a_fault_waits_its_turn_and_counts_its_times(graph: Any, hashed: Any, audience: str) -> None:
    graph.faults({"edge": "users", "after": 2, "times": 2, "do": "error"})
    got = [upload(graph, audience, hashed(n)).status_code for n in range(6)]
    assert got == [200, 200, 503, 503, 200, 200]
    seen = graph.http.get("/_sandbox/faults").json()["faults"]
    assert [(one["seen"], one["fired"]) for one in seen] == [(6, 2)]


def test_faults_follow_one_another_and_can_be_endless_or_taken_away(graph: Any, hashed: Any, audience: str) -> None:
    graph.faults({"edge": "users", "do": "html"}, {"do": "error", "times": None, "error": {"code": 4}})
    assert [upload(graph, audience, hashed("a")).status_code for _ in range(4)] == [502, 403, 403, 403]
    graph.http.request("DELETE", "/_sandbox/faults").raise_for_status()
    assert upload(graph, audience, hashed("a")).status_code == 200


def test_other_edges_and_methods_go_on_as_before(graph: Any, hashed: Any, audience: str) -> None:
    graph.faults({"edge": "users", "method": "DELETE", "do": "error"})
    assert upload(graph, audience, hashed("a")).status_code == 200
    override = {"payload": {"schema": ["EMAIL"], "data": [[hashed("a")]]}, "method": "DELETE"}
    assert graph.call("POST", f"{audience}/users", json=override).status_code == 503
    graph.faults({"edge": "custom_audience", "do": "error"})
    assert graph.call("GET", graph.account).status_code == 200
    assert graph.call("GET", audience).status_code == 503


@pytest.mark.parametrize("status", [502, 413, 200])
def test_html_comes_instead_of_json(graph: Any, hashed: Any, audience: str, status: int) -> None:
    graph.faults({"edge": "users", "do": "html", "status": status})
    answer = upload(graph, audience, hashed("a"))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert answer.text.startswith("<!DOCTYPE html>")
    assert graph.held(audience)[0] == 0


@pytest.mark.parametrize(("way", "kept"), [("drop_before", 0), ("drop_after", 1)])
def test_the_connection_is_cut_before_or_after_the_commit(
    graph: Any, hashed: Any, audience: str, way: str, kept: int
) -> None:
    graph.faults({"edge": "users", "do": way})
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        upload(graph, audience, hashed("a"))
    assert graph.held(audience)[0] == kept
    assert upload(graph, audience, hashed("a")).status_code == 200
    assert graph.held(audience)[0] == 1


def test_a_cut_connection_is_reset_without_a_byte(graph: Any) -> None:
    import socket
    from urllib.parse import urlsplit

    graph.faults({"do": "drop_after"})
    where = urlsplit(graph.known["base_url"])
    with socket.create_connection((where.hostname, where.port), timeout=10) as line:
        line.sendall(b"GET /me HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            got = line.recv(100)
        except ConnectionResetError:
            got = b""
    assert got == b""


def test_a_truncated_body_promises_more_than_it_brings(graph: Any, hashed: Any, audience: str) -> None:
    graph.faults({"edge": "users", "do": "truncate"})
    with pytest.raises(httpx.RemoteProtocolError, match=r"without sending complete"):
        upload(graph, audience, hashed("a"))
    assert graph.held(audience)[0] == 1


def test_a_hang_lasts_until_the_client_gives_up(graph: Any, hashed: Any, audience: str) -> None:
    graph.faults({"edge": "users", "do": "hang"})
    payload = {"payload": {"schema": ["EMAIL"], "data": [[hashed("a")]]}}
    with pytest.raises(httpx.ReadTimeout):
        graph.call("POST", f"{audience}/users", json=payload, timeout=0.3)
    assert graph.held(audience)[0] == 0
    assert graph.call("GET", "me").status_code == 200


def test_a_hang_with_seconds_ends_in_a_cut(graph: Any) -> None:
    graph.faults({"do": "hang", "seconds": 0.05})
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        graph.call("GET", "me")


def test_a_slow_answer_comes_whole_and_late(graph: Any, hashed: Any, audience: str) -> None:
    graph.faults({"edge": "users", "do": "slow", "seconds": 0.2})
    begun = time.monotonic()
    assert upload(graph, audience, hashed("a")).json()["num_received"] == 1
    assert time.monotonic() - begun >= 0.2
    assert graph.held(audience)[0] == 1


def test_others_are_served_while_one_hangs(graph: Any) -> None:
    import threading

    graph.faults({"edge": "debug_token", "do": "slow", "seconds": 0.5})
    done: list[float] = []
    slow = threading.Thread(target=lambda: (graph.call("GET", "debug_token"), done.append(time.monotonic())))
    slow.start()
    while not graph.http.get("/_sandbox/faults").json()["faults"][0]["fired"]:
        time.sleep(0.005)
    graph.get("me")
    quick = time.monotonic()
    slow.join()
    assert quick < done[0]


def test_an_alias_may_lag_behind_after_create(graph: Any, hashed: Any, audience: str) -> None:
    graph.faults({"edge": "users", "do": "error", "error": {"code": 803}, "status": 404})
    first = upload(graph, audience, hashed("a"))
    assert (first.status_code, first.json()["error"]["code"]) == (404, 803)
    assert "aliases you requested do not exist: users" in first.json()["error"]["message"]
    assert upload(graph, audience, hashed("a")).status_code == 200


def test_a_batched_request_meets_the_faults_of_its_edge(graph: Any, audience: str) -> None:
    graph.faults({"edge": "custom_audience", "do": "error", "error": {"code": 1}})
    answers = graph.post("", batch=[{"relative_url": audience}, {"relative_url": audience}])
    assert [one["code"] for one in answers] == [500, 200]


@pytest.mark.parametrize(
    "body",
    [
        {"faults": [{"do": "explode"}]},
        {"faults": [{"do": "error", "colour": "red"}]},
        {"faults": [{"do": "error", "error": {"reason": "x"}}]},
        {"faults": [{"do": "error", "error": {"code": "x"}}]},
        {"faults": [{"do": "error", "after": -1}]},
        {"faults": [{"do": "error", "times": 1.5}]},
        {"faults": [{"do": "slow", "seconds": "long"}]},
        {"faults": [{"do": "html", "status": 42}]},
        {"faults": [{"do": "html", "headers": {"a\r\nb": "c"}}]},
        {"faults": [{"do": "html", "headers": ["a"]}]},
        {"faults": [{"do": "html", "method": "PUT"}]},
        {"faults": [{"do": "html", "edge": 3}]},
        {"faults": ["html"]},
        {"faults": {}},
        [],
        "x",
    ],
)
def test_a_fault_that_cannot_be_acted_out_is_refused_with_a_reason(graph: Any, body: Any) -> None:
    answer = graph.http.post("/_sandbox/faults", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert graph.http.get("/_sandbox/faults").json() == {"faults": []}
