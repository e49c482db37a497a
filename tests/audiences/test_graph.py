"""The Graph client against respx: every row of the error table, what may be shown, what is sent again."""

from __future__ import annotations

import json
import logging
import ssl
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connector.audiences import graph_errors
from connector.audiences.address import proxy_for, read_origin
from connector.audiences.answers import read_flag, read_int, read_object, read_objects, read_text
from connector.audiences.credentials import proof_of
from connector.audiences.graph import Call, Graph
from connector.audiences.pace import Pace, Wait
from connector.audiences.redaction import redact
from connector.errors import (
    AccessError,
    ConfigError,
    ConnectorError,
    InterruptedRunError,
    RejectedError,
    TransientError,
)
from tests.fake_time import FakeTime, pace_on

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "graph_errors.yaml").read_text("utf-8"))
URL = "https://graph.facebook.com"
TOKEN = "EAAtokenofarealisticlength0123456789"
SECRET = "app_secret_example"


def graph_on(router: respx.Router, *, clock: FakeTime | None = None, **settings: Any) -> Graph:
    settings.setdefault("pace", pace_on(clock or FakeTime()))
    settings.setdefault("app_secret", SecretStr(SECRET))
    return Graph(URL, "v25.0", SecretStr(TOKEN), transport=httpx.MockTransport(router.handler), **settings)


def refusal(code: int, subcode: int | None = None, *, status: int = 400, **more: Any) -> httpx.Response:
    error = {"message": "(#1) never shown", "type": "OAuthException", "code": code, "fbtrace_id": "AbCd_12-x", **more}
    return httpx.Response(status, json={"error": error | ({"error_subcode": subcode} if subcode else {})})


@pytest.fixture
def router() -> respx.Router:
    return respx.Router(assert_all_called=False)


def name_of(case: dict[str, Any]) -> str:
    return f"{case['code']}-{case.get('subcode', '')}-{case['status']}-{case.get('is_transient', '')}"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_every_refusal_gets_its_class_its_word_and_its_retries(case: dict[str, Any], router: respx.Router) -> None:
    clock = FakeTime()
    more = {"is_transient": case.get("is_transient", False), "error_user_title": "A title", "error_user_msg": "A text."}
    route = router.get(url__startswith=URL).mock(
        return_value=refusal(case["code"], case.get("subcode"), status=case["status"], **more)
    )
    graph = graph_on(router, pace=pace_on(clock, max_wait=3600))
    with pytest.raises(ConnectorError) as caught:
        graph.get("act_12/customaudiences", fields="id")
    error = caught.value
    assert (error.code, type(error).exit_code, error.fbtrace_id) == (case["word"], case["exit"], "AbCd_12-x")
    assert error.hint
    assert "{" not in error.hint
    assert error.fault is not None
    assert (error.fault.code, error.fault.subcode) == (case["code"], case.get("subcode"))
    if case["retry"] == "delayed":
        assert route.call_count > 1
        assert sum(clock.slept) <= 3600 < sum(clock.slept) + 900
    else:
        assert route.call_count == case["sends"]
        assert "Meta says: A title – A text." in error.message
        assert "never shown" not in error.message


def test_every_row_of_the_table_has_a_case() -> None:
    assert {rule.word for rule in graph_errors.RULES} <= {case["word"] for case in CASES}


def test_a_word_means_one_class() -> None:
    rows = (*graph_errors.RULES, *graph_errors.TRANSPORT)
    classes: dict[str, set[type]] = {}
    for rule in rows:
        classes.setdefault(rule.word, set()).add(rule.error)
    assert all(len(found) == 1 for found in classes.values())


@pytest.mark.parametrize(("code", "subcode"), [(200, 1870034), (200, 1870090), (2663, None), (2664, None)])
def test_the_terms_link_is_built_from_the_account(code: int, subcode: int | None, router: respx.Router) -> None:
    router.post(url__startswith=URL).mock(return_value=refusal(code, subcode))
    with pytest.raises(AccessError) as caught:
        graph_on(router).post("120211/users", body=b"{}", account="act_987", idempotent=True)
    assert "https://business.facebook.com/ads/manage/customaudiences/tos/?act=987," in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("answer", "word", "sends", "smaller"),
    [
        (httpx.Response(502, html="<html>Bad gateway</html>"), "graph.html", 6, True),
        (httpx.Response(200, html="<!DOCTYPE html>"), "graph.html", 6, True),
        (httpx.Response(503, text="upstream connect error"), "graph.html", 6, True),
        (httpx.Response(413, html="<html>Too large</html>"), "graph.too_large", 1, True),
        (httpx.Response(413, json={"error": {"message": "x"}}), "graph.too_large", 1, True),
        (httpx.Response(414, html="<html>"), "graph.url_too_long", 1, False),
        (httpx.Response(200, content=b""), "graph.empty", 6, False),
        (httpx.Response(502, content=b""), "graph.empty", 6, False),
        (httpx.Response(200, content=b'{"data": [{"id": "1'), "graph.truncated", 6, False),
        (httpx.Response(200, content=b"null"), "graph.truncated", 6, False),
        (httpx.Response(500, json={"title": "no envelope"}), "graph.server_error", 6, False),
    ],
)
def test_an_answer_that_is_no_envelope_is_a_fault_of_the_way(
    answer: httpx.Response, word: str, sends: int, smaller: bool, router: respx.Router
) -> None:
    route = router.get(url__startswith=URL).mock(return_value=answer)
    with pytest.raises((TransientError, RejectedError)) as caught:
        graph_on(router).get("me")
    assert (caught.value.code, route.call_count) == (word, sends)
    assert caught.value.fault is not None
    assert caught.value.fault.smaller is smaller
    assert caught.value.fault.code is None


@pytest.mark.parametrize("answer", [httpx.Response(502, html="<html>"), refusal(1, status=500)])
def test_a_large_body_that_fails_twice_goes_back_to_be_made_smaller(
    answer: httpx.Response, router: respx.Router
) -> None:
    route = router.post(url__startswith=URL).mock(return_value=answer)
    with pytest.raises(TransientError) as caught:
        graph_on(router).post("1/users", body=b"{}", idempotent=True)
    assert route.call_count == 2
    assert caught.value.fault is not None
    assert caught.value.fault.smaller


def test_a_single_code_1_says_nothing_about_size(router: respx.Router) -> None:
    router.post(url__startswith=URL).mock(return_value=refusal(1, status=500))
    with pytest.raises(TransientError) as caught:
        graph_on(router).post("act_1/customaudiences", name="x")
    assert caught.value.fault is not None
    assert not caught.value.fault.smaller


@pytest.mark.parametrize(
    ("problem", "word", "received", "sends"),
    [
        (httpx.ConnectError, "graph.no_connection", False, 6),
        (httpx.ConnectTimeout, "graph.no_connection", False, 6),
        (httpx.PoolTimeout, "graph.no_connection", False, 6),
        (httpx.ProxyError, "graph.no_connection", False, 6),
        (httpx.ReadTimeout, "graph.timeout", True, 1),
        (httpx.ReadError, "graph.cut", True, 1),
        (httpx.RemoteProtocolError, "graph.cut", True, 1),
    ],
)
def test_a_create_is_sent_again_only_if_meta_cannot_have_seen_it(
    problem: type[httpx.TransportError], word: str, received: bool, sends: int, router: respx.Router
) -> None:
    route = router.post(url__startswith=URL).mock(side_effect=problem)
    call = Call()
    with pytest.raises(TransientError) as caught:
        graph_on(router).post("act_1/customaudiences", call=call, name="x")
    assert (caught.value.code, route.call_count, call.attempts) == (word, sends, sends)
    assert caught.value.fault is not None
    assert caught.value.fault.received is received
    assert not call.uncertain
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_throttled_create_is_sent_again_because_it_was_certainly_not_carried_out(router: respx.Router) -> None:
    clock, call = FakeTime(), Call()
    route = router.post(url__startswith=URL).mock(
        side_effect=[refusal(80003, 2446079), httpx.Response(200, json={"id": "7"})]
    )
    assert graph_on(router, clock=clock).post("act_1/customaudiences", call=call, name="x") == {"id": "7"}
    assert (route.call_count, call.retried, call.throttled, call.uncertain) == (2, 1, 1, False)
    assert clock.slept == [2.5]


def test_the_receipt_can_tell_that_an_answer_followed_a_lost_one(router: respx.Router) -> None:
    router.post(url__startswith=URL).mock(side_effect=[httpx.ReadError, httpx.Response(200, json={"num_received": 2})])
    call, graph = Call(), graph_on(router)
    assert graph.post("1/users", body=b"{}", idempotent=True, call=call) == {"num_received": 2}
    assert (call.attempts, call.retried, call.uncertain) == (2, 1, True)


def test_an_upload_that_may_have_been_carried_out_stays_received_though_the_last_try_never_left(
    router: respx.Router,
) -> None:
    router.post(url__startswith=URL).mock(side_effect=[httpx.ReadError, *[httpx.ConnectError] * 5])
    with pytest.raises(TransientError) as caught:
        graph_on(router).post("1/users", body=b"{}", idempotent=True)
    assert caught.value.code == "graph.no_connection"
    assert caught.value.fault is not None
    assert caught.value.fault.received


def test_a_retry_whose_wait_would_go_beyond_what_the_run_may_wait_is_not_made(router: respx.Router) -> None:
    clock = FakeTime()
    route = router.get(url__startswith=URL).mock(side_effect=httpx.ConnectError)
    with pytest.raises(TransientError) as caught:  # waits of 5, 10, 20 seconds
        graph_on(router, pace=pace_on(clock, max_wait=15, rng=lambda: 1.0)).get("me")
    assert caught.value.code == "graph.no_connection"
    assert (route.call_count, sum(clock.slept)) == (3, 15)


def test_the_wait_that_meta_names_replaces_ours_and_minutes_are_minutes(router: respx.Router) -> None:
    clock, told = FakeTime(), []
    usage = {"12": [{"type": "custom_audience", "call_count": 100, "estimated_time_to_regain_access": 19}]}
    named = refusal(80003, 2446079)
    named.headers["X-Business-Use-Case-Usage"] = json.dumps(usage)
    router.get(url__startswith=URL).mock(side_effect=[named, httpx.Response(200, json={"id": "12"})])
    assert graph_on(router, clock=clock, on_wait=told.append).get("act_12")["id"] == "12"
    assert clock.slept == [19 * 60]
    assert [(wait.reason, wait.seconds, wait.until.timestamp()) for wait in told] == [("throttled", 1140.0, 1140.0)]


def test_retry_after_replaces_our_back_off(router: respx.Router) -> None:
    clock = FakeTime()
    busy = httpx.Response(503, html="<html>", headers={"Retry-After": "77"})
    route = router.get(url__startswith=URL).mock(side_effect=[busy, httpx.Response(200, json={})])
    assert graph_on(router, clock=clock).get("me") == {}
    assert (clock.slept, route.call_count) == ([77.0], 2)


def test_beyond_the_longest_wait_the_error_says_when_to_come_back(router: respx.Router) -> None:
    named = refusal(80003, 2446079)
    named.headers["X-Ad-Account-Usage"] = '{"acc_id_util_pct": 100, "reset_time_duration": 5400}'
    route = router.get(url__startswith=URL).mock(return_value=named)
    with pytest.raises(TransientError) as caught:
        graph_on(router, pace=pace_on(FakeTime(), max_wait=3600)).get("act_12")
    assert caught.value.exit_code == 6
    assert "1970-01-01 01:30 UTC" in caught.value.message
    assert caught.value.fbtrace_id == "AbCd_12-x"
    assert caught.value.fault is not None
    assert caught.value.fault.code == 80003
    assert route.call_count == 1


def test_a_throttle_of_the_app_stops_every_account(router: respx.Router) -> None:
    clock = FakeTime()
    pace = pace_on(clock)
    router.get(url__startswith=URL).mock(side_effect=[refusal(4), httpx.Response(200, json={})])
    graph_on(router, pace=pace).get("act_1")
    pace.throttled({}, "act_1")
    assert pace.delay("act_2") == 0
    pace.throttled({}, None)
    assert pace.delay("act_2") > 0


def test_a_stop_event_ends_waiting_calls(router: respx.Router) -> None:
    stop = threading.Event()
    router.get(url__startswith=URL).mock(return_value=refusal(2))

    def interrupt(wait: Wait) -> None:
        assert wait.reason == "retry"
        stop.set()

    graph = graph_on(router, stop=stop, on_wait=interrupt, pace=Pace(base=3600.0, rng=lambda: 0.9))
    with pytest.raises(InterruptedRunError):
        graph.get("me")
    with pytest.raises(InterruptedRunError):
        graph.get("me")


# What is sent


def test_the_proof_is_metas_vector() -> None:
    assert (
        proof_of(SecretStr("token_example"), SecretStr("app_secret_example"))
        == "b1c41d86fd7c129f844337c7d1308197e023b7d3f1ae4d1816ee7dcea0037cba"
    )


def test_every_call_carries_token_and_proof_in_their_places(router: respx.Router) -> None:
    route = router.route(url__startswith=URL).mock(return_value=httpx.Response(200, json={"success": "true"}))
    graph = graph_on(router)
    graph.get("act_1", fields="id,name", filtering=[{"field": "name"}], limit=20, summary=True, nothing=None)
    graph.post("act_1/customaudiences", name="É", is_value_based=True, labels=["A"], nothing=None)
    graph.post("1/users", body=(b'{"payload":', memoryview(b'{"data":[]}'), bytearray(b"}")), fields="id")
    graph.post("1/users", body=lambda: b'{"made": "late"}')
    graph.delete("1/users", body=b'{"payload": {}}')
    graph.delete("act_1/agencies", business="9")
    requests = [call.request for call in route.calls]
    proof = proof_of(SecretStr(TOKEN), SecretStr(SECRET))
    for request in requests:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        assert request.url.params["appsecret_proof"] == proof
        assert TOKEN not in str(request.url)
        assert request.headers["Host"] == "graph.facebook.com"
        assert request.headers["Accept-Encoding"] == "gzip"
    get = dict(requests[0].url.params)
    assert get.pop("appsecret_proof")
    assert get == {"fields": "id,name", "filtering": '[{"field":"name"}]', "limit": "20", "summary": "true"}
    assert requests[0].url.path == "/v25.0/act_1"
    assert json.loads(requests[1].content) == {"name": "É", "is_value_based": True, "labels": ["A"]}
    assert requests[2].content == b'{"payload":{"data":[]}}'
    assert requests[2].headers["Content-Length"] == str(len(requests[2].content))
    assert requests[2].url.params["fields"] == "id"
    assert requests[3].content == b'{"made": "late"}'
    assert (requests[4].method, requests[4].content) == ("DELETE", b'{"payload": {}}')
    assert all(request.headers["Content-Type"] == "application/json" for request in requests[1:5])
    assert requests[5].url.params["business"] == "9"


def test_a_body_that_is_made_late_is_made_anew_for_each_attempt(router: respx.Router) -> None:
    route = router.post(url__startswith=URL).mock(side_effect=[refusal(2), httpx.Response(200, json={})])
    bodies = iter((b"[1]", b"[2]"))
    graph_on(router).post("1/users", body=lambda: next(bodies), idempotent=True)
    assert [call.request.content for call in route.calls] == [b"[1]", b"[2]"]


def test_a_bare_true_and_a_bare_list_become_objects(router: respx.Router) -> None:
    router.post(url__startswith=URL).mock(
        side_effect=[httpx.Response(200, json=True), httpx.Response(200, json=[None])]
    )
    graph = graph_on(router)
    assert graph.post("1/applications") == {"success": True}
    assert graph.post("", batch=[]) == {"data": [None]}


@pytest.mark.parametrize(
    "path", ["/users", "//users", "1//users", "1/", "a b", "1/../2", "1?x=1", "1#x", "é", "1/users\n"]
)
def test_an_empty_or_odd_id_never_leaves(path: str, router: respx.Router) -> None:
    route = router.get(url__startswith=URL).mock(return_value=httpx.Response(200, json={}))
    with pytest.raises(ConfigError):
        graph_on(router).get(path)
    assert route.call_count == 0


# Pages


def test_pages_follow_the_cursor_and_end_with_the_last_link(router: respx.Router) -> None:
    pages = [
        {
            "data": [{"id": "1"}, "odd"],
            "paging": {"cursors": {"after": "A"}, "next": "https://evil.example/?access_token=x"},
        },
        {"data": [], "paging": {"cursors": {"after": "B"}, "next": f"{URL}/x"}},
        {"data": [{"id": "3"}], "paging": {"cursors": {"after": "C"}}},
    ]
    route = router.get(url__startswith=URL).mock(side_effect=[httpx.Response(200, json=page) for page in pages])
    assert [item["id"] for item in graph_on(router).pages("me/adaccounts", limit=2)] == ["1", "3"]
    assert [call.request.url.params.get("after") for call in route.calls] == [None, "A", "B"]
    assert {call.request.url.params["limit"] for call in route.calls} == {"2"}


def test_a_link_without_cursor_is_followed_at_home_and_without_its_token(router: respx.Router) -> None:
    link = f"{URL}/v24.0/act_1/activities?offset=25&access_token={TOKEN}&appsecret_proof=old"
    pages = [{"data": [{"id": "1"}], "paging": {"next": link}}, {"data": [{"id": "2"}]}]
    route = router.get(url__startswith=URL).mock(side_effect=[httpx.Response(200, json=page) for page in pages])
    assert [item["id"] for item in graph_on(router).pages("act_1/activities")] == ["1", "2"]
    second = route.calls[1].request.url
    assert (second.path, second.params["offset"]) == ("/v25.0/act_1/activities", "25")
    assert "access_token" not in second.params
    assert second.params["appsecret_proof"] != "old"


@pytest.mark.parametrize(
    "link",
    ["https://evil.example/v25.0/x?offset=1", "http://graph.facebook.com/v25.0/x", "https://graph.facebook.com:444/x",
     "https://graph.facebook.com@evil.example/x", "//evil.example/x", "not a link", "https://[::1/x"],
)  # fmt: skip
def test_a_link_to_another_host_is_never_followed(link: str, router: respx.Router) -> None:
    route = router.route().mock(return_value=httpx.Response(200, json={"data": [], "paging": {"next": link}}))
    with pytest.raises(RejectedError) as caught:
        list(graph_on(router).pages("act_1/activities"))
    assert (caught.value.code, route.call_count) == ("graph.foreign_link", 1)


def test_the_same_page_twice_ends_in_an_error_not_in_a_loop(router: respx.Router) -> None:
    page = {"data": [], "paging": {"cursors": {"after": "A"}, "next": f"{URL}/x"}}
    route = router.get(url__startswith=URL).mock(return_value=httpx.Response(200, json=page))
    with pytest.raises(RejectedError, match="same page"):
        list(graph_on(router).pages("me/adaccounts"))
    assert route.call_count == 2


def test_a_page_that_is_too_large_is_asked_for_at_half_the_size(router: respx.Router) -> None:
    good = httpx.Response(200, json={"data": [{"id": "1"}]})
    route = router.get(url__startswith=URL).mock(side_effect=[refusal(1), refusal(1), good])
    assert [item["id"] for item in graph_on(router).pages("act_1/customaudiences", limit=100)] == ["1"]
    assert [call.request.url.params["limit"] for call in route.calls] == ["100", "100", "50"]


# What is never shown


@pytest.mark.parametrize(
    "url", ["https://graph.facebook.com", "http://127.0.0.1:8000", "http://[::1]:8000/base/", "http://localhost"]
)
def test_https_anywhere_and_http_to_this_machine_are_accepted(url: str) -> None:
    assert str(read_origin(url)) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    ["http://graph.facebook.com", "http://10.0.0.1", "http://localhost.evil.example", "http://127.0.0.1.evil.example",
     "ftp://graph.facebook.com", "graph.facebook.com", "", "https://", "https://u:p@graph.facebook.com",
     "https://graph.facebook.com?x=1", "https://graph.facebook.com#x", "https://graph.facebook.com:port", "http://0.0.0.0"],
)  # fmt: skip
def test_any_other_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        Graph(url, "v25.0", SecretStr(TOKEN))


@pytest.mark.parametrize("version", ["25.0", "v25", "v25.0/..", "", "v25.0\n"])
def test_a_version_that_is_none_is_refused(version: str) -> None:
    with pytest.raises(ConfigError):
        Graph(URL, version, SecretStr(TOKEN))


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "é"])
def test_a_token_that_cannot_stand_in_a_header_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Graph(URL, "v25.0", SecretStr(token))
    assert not token or token not in f"{caught.value.message} {caught.value.hint}"


def test_the_environments_proxy_is_taken_but_never_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    assert proxy_for(read_origin(URL)) is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    assert proxy_for(read_origin(URL)) == "http://proxy.example:3128"
    for address in ("http://127.0.0.1:8000", "https://127.0.0.1:8000", "http://localhost:1", "http://[::1]:1"):
        assert proxy_for(read_origin(address)) is None
    monkeypatch.setenv("NO_PROXY", "facebook.com")
    assert proxy_for(read_origin(URL)) is None
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTPS_PROXY", "gopher://user:hidden@proxy.example")
    with pytest.raises(ConfigError) as caught:
        Graph(URL, "v25.0", SecretStr(TOKEN))
    assert "hidden" not in str(caught.value)


def test_neither_repr_nor_log_nor_error_holds_token_secret_or_proof(
    router: respx.Router, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    proof = proof_of(SecretStr(TOKEN), SecretStr(SECRET))
    said = f"Bad {TOKEN} and {SECRET}, appsecret_proof={proof}, {'a1' * 32}, mary@example.com, +33 6 12 34 56 78"
    router.get(url__startswith=URL).mock(return_value=refusal(100, error_user_title=said, error_user_msg=said))
    graph = graph_on(router)
    with pytest.raises(RejectedError) as caught:
        graph.get("debug_token", input_token="EAAanother0123456789")
    shown = " ".join([repr(graph), repr(graph._credentials), str(caught.value), repr(caught.value), caplog.text])
    for secret in (TOKEN, SECRET, proof, "a1a1a1", "mary", "12 34 56", "EAAanother"):
        assert secret not in shown
    assert "Bad […] and […]" in caught.value.message


@given(st.text(max_size=400), st.integers(0, 400))
def test_no_secret_survives_redaction_wherever_it_stands(text: str, at: int) -> None:
    digest = "0123456789abcdef" * 4
    shown = redact(f"{text[:at]} {TOKEN} {digest} {text[at:]}", (TOKEN,))
    assert TOKEN not in shown
    assert digest not in shown
    assert len(shown) <= 300
    assert shown.isprintable()


def test_an_unverifiable_certificate_is_a_setting_to_fix_not_a_thing_to_retry() -> None:
    requests = []

    def unverifiable(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        raise httpx.ConnectError("text of the library") from ssl.SSLCertVerificationError(1, "self-signed")

    graph = Graph(URL, "v25.0", SecretStr(TOKEN), transport=httpx.MockTransport(unverifiable))
    with pytest.raises(ConfigError) as caught:
        graph.get("me")
    assert (caught.value.code, len(requests)) == ("graph.certificate", 1)
    assert "text of the library" not in str(caught.value)


def test_a_circle_of_causes_is_walked_once() -> None:
    first, second = httpx.ConnectError("a"), OSError("b")
    first.__cause__, second.__cause__ = second, first

    def broken(_: httpx.Request) -> httpx.Response:
        raise first

    with pytest.raises(TransientError, match="cannot be reached"):
        Graph(URL, "v25.0", SecretStr(TOKEN), retries=0, transport=httpx.MockTransport(broken)).get("me")


def test_certificates_are_verified() -> None:
    with Graph(URL, "v25.0", SecretStr(TOKEN)) as graph:
        context = graph._wire._transport._pool._ssl_context  # type: ignore[attr-defined]
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_readers_take_what_meta_writes_and_nothing_else() -> None:
    odd = {"text": "12", "number": 12, "flag": True, "said": "true", "list": [{"id": 1}, "x", None], "object": {"a": 1}}
    assert [read_text(odd, name) for name in odd] == ["12", "12", None, "true", None, None]
    assert [read_int(odd, name) for name in odd] == [12, 12, None, None, None, None]
    assert [read_flag(odd, name) for name in odd] == [False, False, True, True, False, False]
    assert (read_objects(odd, "list"), read_objects(odd, "text")) == ([{"id": 1}], [])
    assert (read_object(odd, "object"), read_object(odd, "list"), read_objects(odd, "none")) == ({"a": 1}, {}, [])


def test_a_login_call_carries_no_token(router: respx.Router) -> None:
    route = router.get(url__startswith=URL).mock(return_value=httpx.Response(200, json={}))
    Graph(URL, "v25.0", None, transport=httpx.MockTransport(router.handler)).get("oauth/access_token", code="x")
    request = route.calls[0].request
    assert "Authorization" not in request.headers
    assert dict(request.url.params) == {"code": "x"}


def test_a_web_page_for_an_over_long_address_is_no_reason_to_try_again(router: respx.Router) -> None:
    route = router.get(url__startswith=URL).mock(return_value=httpx.Response(500, html="<html>"))
    with pytest.raises(RejectedError) as caught:
        graph_on(router).get("me", fields="x" * 9000)
    assert (caught.value.code, route.call_count) == ("graph.url_too_long", 1)


def test_a_page_of_one_item_that_is_too_large_ends_in_the_error(router: respx.Router) -> None:
    router.get(url__startswith=URL).mock(return_value=refusal(1))
    with pytest.raises(TransientError):
        list(graph_on(router).pages("act_1/customaudiences", limit=1))
