"""Encodings, versions, nested fields, batches, gzip, ETags: how requests are read and answers written."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

NEW = {"name": "Loyal", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}


@pytest.mark.parametrize("prefix", ["/v25.0", "/v26.0", "/v24.0", ""])
def test_any_living_version_prefix_and_none_works(graph: Any, prefix: str) -> None:
    answer = graph.http.get(f"{prefix}/me", params={"access_token": graph.known["token"]})
    assert answer.status_code == 200
    assert answer.headers["facebook-api-version"] == (prefix.strip("/") or "v25.0")


def test_a_version_that_has_ended_is_refused(graph: Any) -> None:
    answer = graph.http.get("/v19.0/me", params={"access_token": graph.known["token"]})
    assert answer.json()["error"]["code"] == 2635


def test_the_three_body_encodings_mean_the_same(graph: Any, hashed: Any, expected_digest: Any) -> None:
    payload = {"schema": ["EMAIL", "FN"], "data": [[hashed(n), ""] for n in range(50)] + [[hashed("x"), hashed("y")]]}
    session = {"session_id": 3, "batch_seq": 1, "last_batch_flag": True}
    as_text = {"payload": json.dumps(payload), "session": json.dumps(session)}
    wanted = (51, expected_digest(payload["schema"], payload["data"]))
    for how in (
        {"json": {"payload": payload, "session": session}},
        {"data": as_text},
        {"files": {name: (None, text) for name, text in as_text.items()}},
        {"json": as_text},
        {"params": as_text},
        {
            "content": b"payload=" + json.dumps(payload).encode(),
            "headers": {"content-type": "application/x-www-form-urlencoded"},
        },
    ):
        audience = graph.new_audience()
        answer = graph.call("POST", f"{audience}/users", **how)
        assert answer.json()["num_received"] == 51, answer.text
        assert graph.held(audience) == wanted


def test_a_large_form_body_is_decoded_exactly(graph: Any, hashed: Any, expected_digest: Any) -> None:
    rows = [[hashed(n), f'100 % "{n}" +1 & =é'] for n in range(200)]
    audience = graph.new_audience()
    body = "payload=" + quote(json.dumps({"schema": ["EMAIL", "EXTERN_ID"], "data": rows}))
    answer = graph.call(
        "POST", f"{audience}/users", content=body, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert answer.json()["num_invalid_entries"] == 0
    assert graph.held(audience) == (200, expected_digest(["EMAIL", "EXTERN_ID"], rows))


def test_quoted_scalars_and_single_quoted_lists_are_understood(graph: Any) -> None:
    made = graph.call(
        "POST", f"{graph.account}/customaudiences", data={**NEW, "name": '"My new CA"', "fields": '"name"'}
    )
    assert made.json()["name"] == "My new CA"
    for labels in ("['CART_ABANDONERS','APP_USERS']", '["CART_ABANDONERS","APP_USERS"]', "CART_ABANDONERS,APP_USERS"):
        made = graph.call("POST", f"{graph.account}/customaudiences", data={**NEW, "audience_labels": labels})
        shown = graph.get(made.json()["id"], fields="audience_labels")["audience_labels"]
        assert shown == ["CART_ABANDONERS", "APP_USERS"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/json"),
        (b"[1]", "application/json"),
        (b'{"a":' + b"[" * 100_000, "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"x", "multipart/form-data"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(graph: Any, body: bytes, kind: str) -> None:
    answer = graph.call("POST", f"{graph.account}/customaudiences", content=body, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)


def test_fields_expand_nodes_and_edges(graph: Any) -> None:
    for _ in range(3):
        graph.new_audience()
    shown = graph.get(
        graph.account,
        fields="name,business{id,verification_status},customaudiences.limit(2){name,operation_status{code}}",
    )
    assert shown["business"] == {"id": graph.known["client_business"], "verification_status": "verified"}
    assert len(shown["customaudiences"]["data"]) == 2
    assert shown["customaudiences"]["data"][0]["operation_status"] == {"code": 410}
    mine = graph.get("me", fields="id,adaccounts.limit(5){id}")
    assert len(mine["adaccounts"]["data"]) == 5


def test_several_nodes_are_read_at_once(graph: Any) -> None:
    one, two = graph.new_audience(), graph.new_audience()
    shown = graph.get("", ids=f"{one},{two}", fields="name")
    assert set(shown) == {one, two}
    assert graph.refused("GET", "", ids=f"{one},120299999999999990") == (100, 33)
    assert graph.refused("GET", "") == (2500, None)


def test_a_batch_answers_each_request_by_itself(graph: Any, hashed: Any) -> None:
    audience = graph.new_audience(name="Loyal")
    payload = json.dumps({"schema": ["EMAIL"], "data": [[hashed("a")]]})
    items = [
        {"method": "GET", "relative_url": f"v25.0/{audience}?fields=name"},
        {"method": "GET", "relative_url": "120299999999999990"},
        {"method": "POST", "relative_url": f"{audience}/users", "body": f"payload={payload}"},
        {"method": "FETCH", "relative_url": "me"},
        7,
    ]
    answers = graph.post("", batch=items)
    assert [one["code"] for one in answers] == [200, 400, 200, 400, 400]
    assert json.loads(answers[0]["body"])["name"] == "Loyal"
    assert json.loads(answers[1]["body"])["error"]["error_subcode"] == 33
    assert graph.held(audience)[0] == 1
    assert "headers" not in graph.post("", batch=items[:1], include_headers=False)[0]
    assert graph.state()["calls"]["custom_audience"] >= 2


def test_a_batch_holds_at_most_50(graph: Any) -> None:
    assert graph.refused("POST", "", batch=[{"relative_url": "me"}] * 51) == (100, None)
    assert graph.refused("POST", "", batch=[]) == (100, None)
    assert graph.refused("POST", "", batch="x") == (100, None)


def test_long_answers_are_zipped_when_asked(graph: Any) -> None:
    answer = graph.call("GET", "me/adaccounts", params={"limit": 50, "fields": "name,account_status"})
    assert answer.headers["content-encoding"] == "gzip"
    plain = graph.call(
        "GET",
        "me/adaccounts",
        params={"limit": 50, "fields": "name,account_status"},
        headers={"Accept-Encoding": "identity"},
    )
    assert "content-encoding" not in plain.headers
    assert answer.json() == plain.json()


def test_an_unchanged_answer_is_304(graph: Any) -> None:
    first = graph.call("GET", "me")
    again = graph.call("GET", "me", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_other_methods_and_too_large_bodies_are_refused(graph: Any) -> None:
    assert graph.call("PUT", "me").status_code == 405
    graph.change(settings={"max_body_bytes": 1000, "max_url_bytes": 300})
    answer = graph.call("POST", "me", content=b"x" * 2000)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "text/html; charset=utf-8")
    assert graph.call("GET", "me", params={"fields": "x" * 400}).status_code == 414


def test_the_error_envelope_has_everything_meta_puts_there(graph: Any) -> None:
    error = graph.call("POST", graph.known["audiences"]["flagged"], json={"name": "x"}).json()["error"]
    assert set(error) == {
        "message",
        "type",
        "code",
        "error_subcode",
        "is_transient",
        "error_user_title",
        "error_user_msg",
        "fbtrace_id",
    }
    assert (error["type"], error["is_transient"]) == ("OAuthException", False)
