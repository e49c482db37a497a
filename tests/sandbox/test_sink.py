"""The light sink, as a process of its own: it counts what arrives, keeps none of it, and is the sandbox for all else."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = ["EXTERN_ID", "EMAIL"]


@pytest.fixture(scope="module")
def sink() -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "connector", "start", "sandbox", "--sink", "--json", "--latency", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, "")


@pytest.fixture
def http(sink: dict[str, Any]) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {sink['token']}"}
    with httpx.Client(base_url=sink["base_url"], headers=headers, timeout=30, verify=False) as client:
        client.post("/_sandbox/reset").raise_for_status()
        yield client


@pytest.fixture
def audience(sink: dict[str, Any], http: httpx.Client) -> str:
    wanted = {"name": "Counted", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    return str(http.post(f"/v25.0/{sink['ad_account']}/customaudiences", json=wanted).raise_for_status().json()["id"])


def rows_of(count: int, name: str = "a") -> list[list[str]]:
    return [[f"{name}{number}", f"{number:064x}"] for number in range(count)]


def payload(rows: list[list[str]], **session: Any) -> bytes:
    more = {"session": session} if session else {}
    return json.dumps({**more, "payload": {"schema": KEYS, "data": rows}}, separators=(",", ":")).encode()


def upload(http: httpx.Client, audience: str, body: bytes, method: str = "POST", edge: str = "users") -> Any:
    headers = {"Content-Type": "application/json"}
    answer = http.request(method, f"/v25.0/{audience}/{edge}", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def counted(http: httpx.Client) -> dict[str, Any]:
    return dict(http.get("/_sandbox/state").json()["sink"])


def test_rows_and_bytes_are_counted_and_totals_of_the_session_answered(http: httpx.Client, audience: str) -> None:
    sizes = [2_000, 1, 777, 10_000]
    bodies = [
        payload(rows_of(size), session_id=5, batch_seq=at, last_batch_flag=at == 4) for at, size in enumerate(sizes, 1)
    ]
    answers = [upload(http, audience, body) for body in bodies]
    assert [answer["num_received"] for answer in answers] == [2_000, 2_001, 2_778, 12_778]
    assert {answer["session_id"] for answer in answers} == {"5"}
    state = http.get("/_sandbox/state").json()
    found = state["sink"]
    assert (found["requests"], found["rows"], found["bytes"]) == (4, sum(sizes), sum(map(len, bodies)))
    assert (found["removed"], found["invalid"], found["errors"]) == (0, 0, 0)
    assert [one["members"] for one in state["audiences"] if one["id"] == audience] == [0]  # nobody is kept
    assert [(s["num_received"], s["batches"], s["progress"]) for s in state["sessions"]] == [("12778", 4, "100")]
    assert state["calls"]["users"] == 4


def test_one_body_in_fifty_is_read_in_full(http: httpx.Client, audience: str) -> None:
    for number in range(1, 102):
        upload(http, audience, payload(rows_of(3), session_id=5, batch_seq=number, last_batch_flag=False))
    assert [counted(http)[name] for name in ("requests", "rows", "parsed", "errors")] == [101, 303, 3, 0]


def test_removals_and_replaces_are_counted_apart_and_together(http: httpx.Client, audience: str) -> None:
    upload(http, audience, payload(rows_of(5)))
    upload(http, audience, payload(rows_of(4)), method="DELETE")
    upload(http, audience, payload(rows_of(3), session_id=9, batch_seq=1, last_batch_flag=True), edge="usersreplace")
    assert [counted(http)[name] for name in ("rows", "removed")] == [8, 4]


def test_cells_that_look_like_the_border_of_two_rows_are_not_counted(http: httpx.Client, audience: str) -> None:
    for _ in range(2):  # read in full, then scanned
        upload(http, audience, payload(rows_of(3, name='],[ "],[" \\"],[" ]]}')))
    assert [counted(http)[name] for name in ("rows", "errors")] == [6, 0]


def test_other_ways_of_writing_a_body_are_read_in_full(http: httpx.Client, audience: str) -> None:
    whole = {"schema": KEYS, "data": rows_of(4)}
    upload(http, audience, json.dumps({"payload": whole}).encode())
    upload(http, audience, json.dumps({"payload": whole}).encode())
    answer = http.post(f"/v25.0/{audience}/users", data={"payload": json.dumps(whole)})
    assert answer.json()["num_received"] == 4
    value = {"schema": ["DATA_PROCESSING_OPTIONS", "EMAIL"], "data": [[["LDU"], "a" * 64], [[], "b" * 64]]}
    assert http.post(f"/v25.0/{audience}/users", json={"payload": value}).json()["num_received"] == 2
    assert [counted(http)[name] for name in ("rows", "errors")] == [14, 0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"not json",
        payload(rows_of(3))[:-2],
        b'{"payload":{"schema":["NO_KEY"],"data":[["a"],["b"]]}}',
        b'{"payload":{"schema":["EMAIL"],"data":[]}}',
    ],
)
def test_a_malformed_body_is_refused_and_counted_as_an_error(http: httpx.Client, audience: str, body: bytes) -> None:
    upload(http, audience, payload(rows_of(2)))  # so that the next body is one of the scanned ones
    answer = http.post(f"/v25.0/{audience}/users", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)
    assert [counted(http)[name] for name in ("requests", "rows", "errors")] == [2, 2, 1]


@pytest.mark.parametrize("row", [["a"], ["a", "b", "c"]])
def test_rows_that_do_not_match_the_schema_are_an_error_in_bodies_read_in_full(
    http: httpx.Client, audience: str, row: list[str]
) -> None:
    answer = http.post(f"/v25.0/{audience}/users", json={"payload": {"schema": KEYS, "data": [row]}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)
    assert [counted(http)[name] for name in ("rows", "errors")] == [0, 1]


def test_cells_that_are_no_digest_are_counted_in_bodies_read_in_full(http: httpx.Client, audience: str) -> None:
    answer = upload(http, audience, payload([["1", "anna@example.com"], ["2", "f" * 64]]))
    assert (answer["num_received"], answer["num_invalid_entries"]) == (2, 1)
    assert counted(http)["invalid"] == 1


def test_an_upload_needs_a_token_and_a_permission_and_an_audience(
    sink: dict[str, Any], http: httpx.Client, audience: str
) -> None:
    def refused(path: str, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return int(http.post(f"/v25.0/{path}", content=payload(rows_of(1)), headers=headers).json()["error"]["code"])

    assert refused(f"{audience}/users", "made up") == 190
    assert refused(f"{audience}/users", sink["tokens"]["expired"]) == 190
    assert refused(f"{audience}/users", sink["tokens"]["no_permission"]) == 200
    assert refused("1/users", sink["token"]) == 100
    assert counted(http)["rows"] == 0


def test_a_session_that_ended_takes_no_more(http: httpx.Client, audience: str) -> None:
    upload(http, audience, payload(rows_of(1), session_id=3, batch_seq=1, last_batch_flag=True))
    body = payload(rows_of(1), session_id=3, batch_seq=2, last_batch_flag=True)
    answer = http.post(f"/v25.0/{audience}/users", content=body, headers={"Content-Type": "application/json"})
    assert answer.json()["error"]["code"] == 100
    assert counted(http)["rows"] == 1


def test_everything_else_is_the_sandbox(sink: dict[str, Any], http: httpx.Client, audience: str) -> None:
    assert http.get("/me").json()["id"] == sink["user"]
    assert http.get(f"/v25.0/{audience}", params={"fields": "name"}).json()["name"] == "Counted"
    assert http.get(f"/{audience}/users").json()["error"]["code"] == 100  # an edge that can only be written
    assert "connector sandbox" in http.get("/_sandbox/").text
    assert http.get("/_sandbox/nothing").status_code == 405
    assert counted(http)["requests"] == 0


def test_faults_of_other_edges_cut_the_connection_as_in_the_sandbox(http: httpx.Client) -> None:
    http.post("/_sandbox/faults", json={"faults": [{"do": "drop_before"}, {"do": "truncate"}]})
    for _ in range(2):
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            http.get("/me")
    assert http.get("/me").status_code == 200


def test_an_upload_waits_the_latency_and_no_longer(http: httpx.Client, audience: str) -> None:
    took = [http.post(f"/v25.0/{audience}/users", content=b"{}").elapsed.total_seconds() for _ in range(10)]
    assert min(took) >= 0.02
    assert min(took) < 0.055  # Nagle's algorithm and delayed acknowledgements would add 40 ms


def test_requests_that_follow_each_other_closely_are_answered_in_order(sink: dict[str, Any]) -> None:
    at = urlsplit(sink["base_url"])
    asked = b"".join(
        b"GET /_sandbox/%s HTTP/1.1\r\nHost: sink\r\n%s\r\n" % (path, end)
        for path, end in ((b"state", b""), (b"nothing", b""), (b"faults", b"Connection: close\r\n"))
    )
    with socket.create_connection((at.hostname, at.port)) as line:
        line.sendall(asked)
        answered = b"".join(iter(lambda: line.recv(65_536), b""))
    assert [answered[at : at + 3] for at in range(len(answered)) if answered[:at].endswith(b"HTTP/1.1 ")] == [
        b"200", b"405", b"200",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"501"),
        (b"GET / HTTP/1.0\r\n\r\n", b"501"),
        (b"POST /x HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", b"413"),
        (b"GET /" + b"x" * 70_000, b"431"),
    ],
)
def test_http_that_it_does_not_speak_is_refused_and_the_connection_closed(
    sink: dict[str, Any], asked: bytes, status: bytes
) -> None:
    at = urlsplit(sink["base_url"])
    with socket.create_connection((at.hostname, at.port)) as line:
        line.sendall(asked)
        answered = line.recv(65_536)
    assert answered.startswith(b"HTTP/1.1 " + status)


def test_a_taken_port_is_said_with_a_hint(sink: dict[str, Any]) -> None:
    port = str(urlsplit(sink["base_url"]).port)
    command = [sys.executable, "-m", "connector", "start", "sandbox", "--sink", "--port", port, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "sandbox.port"
