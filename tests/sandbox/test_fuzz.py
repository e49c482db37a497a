"""No request, however odd, ends in a 500 or takes the sandbox down."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.sandbox.kinds import KINDS, ROOTS

LOOK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EDGES = sorted(
    {edge for kind in KINDS.values() for _, edge in kind.edges} | set(ROOTS) | {"shoes", "a/b", "..", "%00", "é"}
)
PARAMETERS = sorted({name for kind in KINDS.values() for edge in kind.edges.values() for name in edge.parameters})
ANSWERS_OF_ERRORS = {400, 401, 403, 404, 405, 413, 414}

word = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "1",
            "-1",
            "true",
            "act_1",
            "a" * 64,
            "[1",
            "{",
            "['A']",
            "ADVERTISE",
            "CUSTOM",
            "USER_PROVIDED_ONLY",
            "name{id{id}}",
        ]
    ),
    st.integers(-(2**70), 2**70).map(str),
)
value = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), word),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(word, inner, max_size=4)),
    max_leaves=8,
)
payload = st.fixed_dictionaries(
    {},
    optional={
        "schema": st.one_of(
            st.lists(st.sampled_from(["EMAIL", "FN", "MADID", "LOOKALIKE_VALUE", "UID", "X"]), max_size=3), word
        ),
        "data": st.one_of(st.lists(st.lists(value, max_size=3), max_size=4), st.lists(value, max_size=3), value),
        "app_ids": value,
        "page_ids": value,
    },
)
session = st.fixed_dictionaries({}, optional={"session_id": value, "batch_seq": value, "last_batch_flag": value})
parameters = st.dictionaries(
    st.sampled_from([*PARAMETERS, "fields", "limit", "after", "summary", "ids", "method", "batch", "shoes"]),
    value,
    max_size=5,
)
filtering = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "field": st.sampled_from(["name", "operation_status.code", "x"]),
            "operator": st.sampled_from(["IN", "EQUAL", "GREATER_THAN", "CONTAIN", "X"]),
            "value": value,
        },
    ),
    max_size=2,
)


def nodes(known: dict[str, Any]) -> list[str]:
    some = [
        known["ad_account"],
        known["business"],
        known["client_business"],
        known["obo_request"],
        known["user"],
        known["app_id"],
    ]
    return [
        *some,
        *list(known["audiences"].values())[:4],
        *known["assets"].values(),
        "me",
        "",
        "0",
        "act_",
        "nobody",
        "ü",
    ]


def fine(answer: Any) -> None:
    assert answer.status_code in {200, *ANSWERS_OF_ERRORS}, (answer.status_code, answer.text[:500])
    if answer.status_code != 200 and answer.headers["content-type"].startswith("application/json"):
        assert answer.json()["error"]["code"]


@LOOK
@given(data=st.data())
def test_any_parameters_on_any_edge_are_answered_or_refused(graph: Any, data: st.DataObject) -> None:
    node = data.draw(st.sampled_from(nodes(graph.known)))
    edge = data.draw(st.sampled_from(EDGES))
    method = data.draw(st.sampled_from(["GET", "POST", "DELETE"]))
    token = data.draw(
        st.sampled_from(
            [
                graph.known["token"],
                graph.known["tokens"]["client_admin"],
                graph.known["tokens"]["app"],
                graph.known["tokens"]["page"],
            ]
        )
    )
    given_ = data.draw(parameters)
    path = f"/v25.0/{node}/{edge}" if edge not in ROOTS else f"/v25.0/{edge}"
    headers = {"Authorization": f"Bearer {token}"}
    if data.draw(st.booleans()):
        body = json.dumps(given_).encode()
        fine(graph.http.request(method, path, headers={**headers, "content-type": "application/json"}, content=body))
    else:
        flat = {name: one if isinstance(one, str) else json.dumps(one) for name, one in given_.items()}
        fine(graph.http.request(method, path, headers=headers, params=flat))


@LOOK
@given(data=st.data())
def test_any_payload_and_session_are_answered_or_refused(graph: Any, data: st.DataObject) -> None:
    audience = graph.known["audiences"][
        data.draw(st.sampled_from(["healthy", "value_based", "single_key", "too_large"]))
    ]
    edge = data.draw(st.sampled_from(["users", "usersreplace"]))
    body = {"payload": data.draw(payload), "session": data.draw(st.one_of(session, value))}
    if data.draw(st.booleans()):
        body["payload"] = json.dumps(body["payload"])
    content = json.dumps(body).encode()
    fine(
        graph.call(
            data.draw(st.sampled_from(["POST", "DELETE"])),
            f"{audience}/{edge}",
            content=content,
            headers={"content-type": "application/json"},
        )
    )


@LOOK
@given(rules=filtering, fields=word, batch=st.lists(value, max_size=3))
def test_any_filter_fields_and_batch_are_answered_or_refused(graph: Any, rules: Any, fields: str, batch: Any) -> None:
    path = f"{graph.known['ad_accounts']['with_audiences']}/customaudiences"
    fine(graph.call("GET", path, params={"filtering": json.dumps(rules), "fields": fields}))
    fine(
        graph.call(
            "POST",
            "",
            content=json.dumps({"batch": [{"relative_url": f"me?fields={fields}"}, *batch]}).encode(),
            headers={"content-type": "application/json"},
        )
    )


@LOOK
@given(
    kind=st.sampled_from(
        [
            "application/json",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded",
            "text/plain",
            "multipart/form-data",
            ";",
        ]
    ),
    body=st.one_of(
        st.binary(max_size=200),
        st.just(b'--x\r\nname="payload"\r\n\r\n{\r\n--x--'),
        st.just(b'{"payload":' + b"[" * 5000),
    ),
)
def test_any_bytes_of_any_type_are_answered_or_refused(graph: Any, kind: str, body: bytes) -> None:
    for path in (f"{graph.account}/customaudiences", graph.known["audiences"]["healthy"] + "/users", ""):
        fine(graph.call("POST", path, content=body, headers={"content-type": kind}))


@LOOK
@given(body=value, more=st.sampled_from(["faults", "world"]))
def test_any_control_body_is_taken_or_refused(graph: Any, body: Any, more: str) -> None:
    wrapped = (
        {"faults": [body]} if more == "faults" else {"settings": body, "change": [{"node": graph.account, "set": body}]}
    )
    for given_ in (body, wrapped):
        answer = graph.http.post(f"/_sandbox/{more}", content=json.dumps(given_).encode())
        assert answer.status_code in {200, 400}


@LOOK
@given(
    given_=st.dictionaries(
        st.sampled_from(["client_id", "redirect_uri", "state", "scope", "response_type", "answer", "granted"]), word
    ),
    good=st.booleans(),
)
def test_any_dialog_is_shown_or_refused(graph: Any, given_: dict[str, str], good: bool) -> None:
    if good:
        given_ = {
            **given_,
            "client_id": graph.known["app_id"],
            "redirect_uri": "http://127.0.0.1/",
            "scope": "ads_read",
        }
    assert graph.http.get("/dialog/oauth", params=given_).status_code in {200, 400}
    assert graph.http.post("/dialog/oauth", data=given_).status_code in {302, 400}


@pytest.mark.parametrize(
    "query",
    [
        "access_token=%ff%fe",
        "a" * 70_000,
        "&&&===",
        "fields[]=name&fields[]=id",
        "access_token=a&access_token=b",
        "&".join("abcdefgh" * 250),
    ],
)
def test_any_query_is_answered_or_refused(graph: Any, query: str) -> None:
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    line = HTTPConnection(urlsplit(graph.known["base_url"]).netloc, timeout=10)
    line.request("GET", f"/me?{query}")
    assert line.getresponse().status in ANSWERS_OF_ERRORS
    line.close()
