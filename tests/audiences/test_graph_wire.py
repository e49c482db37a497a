"""The Graph client against a real server on loopback: what connections do that no mock does."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from connector.audiences.graph import Call, Graph
from connector.audiences.pace import Pace
from connector.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Script = Callable[["Server", socket.socket, bytes, bytes], bool]

TOKEN = "EAAtokenofarealisticlength0123456789"
SECRET = "app_secret_example"


def answer(
    body: bytes, *, status: str = "200 OK", kind: str = "application/json", more: str = "", length: int = -1
) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(body) if length < 0 else length}\r\n\r\n"
    return head.encode() + body


GOOD = answer(b'{"num_received": 1}')


@dataclass
class Server:
    """Reads whole requests and lets the script of that request answer; past the scripts every answer is good."""

    scripts: list[Script] = field(default_factory=list)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    connections: int = 0
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with connection:
            stream = connection.makefile("rb")
            while head := b"".join(iter(stream.readline, b"\r\n") if stream.peek(1) else []):
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
                )
                with self.lock:
                    script = self.scripts.pop(0) if self.scripts else None
                if script is hang_up_in_the_body:
                    stream.read(1)
                    self.heads.append(head)
                    return
                body = stream.read(length)
                with self.lock:
                    self.heads.append(head)
                    self.bodies.append(body)
                if script is None:
                    connection.sendall(GOOD)
                elif not script(self, connection, head, body):
                    return


def hang_up(server: Server, connection: socket.socket, head: bytes, body: bytes) -> bool:
    return False


def hang_up_in_the_body(server: Server, connection: socket.socket, head: bytes, body: bytes) -> bool:
    return False


def truncate(server: Server, connection: socket.socket, head: bytes, body: bytes) -> bool:
    connection.sendall(answer(b'{"num_received"', length=400))
    return False


def html(server: Server, connection: socket.socket, head: bytes, body: bytes) -> bool:
    connection.sendall(answer(b"<html><h1>502</h1></html>", status="502 Bad Gateway", kind="text/html"))
    return True


def too_large(server: Server, connection: socket.socket, head: bytes, body: bytes) -> bool:
    connection.sendall(
        answer(b"<html>", status="413 Payload Too Large", kind="text/html", more="Connection: close\r\n")
    )
    return False


def slow(server: Server, connection: socket.socket, head: bytes, body: bytes) -> bool:
    server.released.wait(10)
    return False


def zipped(server: Server, connection: socket.socket, head: bytes, body: bytes) -> bool:
    connection.sendall(answer(gzip.compress(b'{"id": "zipped"}'), more="Content-Encoding: gzip\r\n"))
    return True


def unzippable(server: Server, connection: socket.socket, head: bytes, body: bytes) -> bool:
    connection.sendall(answer(b"this was never zipped", more="Content-Encoding: gzip\r\n"))
    return True


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    yield made
    made.released.set()
    made.listener.shutdown(socket.SHUT_RDWR)
    made.listener.close()
    thread.join(5)


@pytest.fixture
def graph(server: Server) -> Iterator[Graph]:
    with graph_to(server) as made:
        yield made


def graph_to(server: Server, **settings: float) -> Graph:
    pace = Pace(rng=lambda: 0.0)
    return Graph(server.url, "v25.0", SecretStr(TOKEN), app_secret=SecretStr(SECRET), pace=pace, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("script", [hang_up, truncate, html, unzippable])
def test_an_upload_survives_a_lost_answer_and_knows_of_it(script: Script, server: Server, graph: Graph) -> None:
    server.scripts = [script]
    call = Call()
    assert graph.post("1/users", body=b'{"a": 1}', idempotent=True, call=call) == {"num_received": 1}
    assert (call.attempts, call.uncertain) == (2, True)
    assert server.bodies == [b'{"a": 1}', b'{"a": 1}']


@pytest.mark.parametrize(
    ("script", "word"), [(hang_up, "graph.cut"), (truncate, "graph.cut"), (html, "graph.html"), (slow, "graph.timeout")]
)
def test_a_create_whose_answer_is_lost_is_not_sent_again(script: Script, word: str, server: Server) -> None:
    server.scripts = [script]
    with graph_to(server, read_timeout=0.3) as graph, pytest.raises(TransientError) as caught:
        graph.post("act_1/customaudiences", name="x")
    assert caught.value.code == word
    assert caught.value.fault is not None
    assert caught.value.fault.received
    assert len(server.heads) == 1


def test_a_connection_cut_in_the_middle_of_a_body_was_not_received_and_may_pass_smaller(server: Server) -> None:
    server.scripts = [hang_up_in_the_body] * 2
    call = Call()
    with graph_to(server, retries=1) as graph, pytest.raises(TransientError) as caught:
        graph.post("act_1/customaudiences", body=bytes(64 * 1024 * 1024), call=call)
    assert (caught.value.code, call.attempts, call.uncertain) == ("graph.cut", 2, False)
    assert caught.value.fault is not None
    assert (caught.value.fault.received, caught.value.fault.smaller) == (False, True)


def test_a_server_that_is_not_there_has_received_nothing(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with Graph(url, "v25.0", SecretStr(TOKEN), retries=0) as graph, pytest.raises(TransientError) as caught:
        graph.post("act_1/customaudiences", name="x")
    assert caught.value.code == "graph.no_connection"
    assert caught.value.fault is not None
    assert not caught.value.fault.received


def test_a_413_says_smaller_and_the_next_call_still_works(server: Server, graph: Graph) -> None:
    server.scripts = [too_large]
    with pytest.raises(TransientError) as caught:
        graph.post("1/users", body=b"[]", idempotent=True)
    assert caught.value.fault is not None
    assert (caught.value.code, caught.value.fault.smaller) == ("graph.too_large", True)
    assert graph.get("me") == {"num_received": 1}


def test_a_zipped_answer_is_read(server: Server, graph: Graph) -> None:
    server.scripts = [zipped]
    assert graph.get("me") == {"id": "zipped"}
    assert b"accept-encoding: gzip" in server.heads[0].lower()


def test_calls_one_after_another_share_one_connection(server: Server, graph: Graph) -> None:
    server.scripts = [html]  # a refusal does not cost the connection either
    for _ in range(5):
        graph.post("1/users", body=b"[]", idempotent=True)
    assert (len(server.heads), server.connections) == (6, 1)


def test_a_large_body_in_several_pieces_arrives_whole(server: Server, graph: Graph) -> None:
    rows = bytes(range(256)) * 8192
    graph.post(
        "1/users", body=(b"head", memoryview(rows), b"", memoryview(rows)[1:-1], bytearray(b"tail")), idempotent=True
    )
    assert server.bodies == [b"head" + rows + rows[1:-1] + b"tail"]


def test_many_threads_send_each_body_once_over_sixteen_connections_at_most(server: Server, graph: Graph) -> None:
    def upload(number: int) -> object:
        return graph.post("1/users", body=json.dumps(number).encode(), account="act_1", idempotent=True)["num_received"]

    with ThreadPoolExecutor(24) as pool:
        assert list(pool.map(upload, range(400))) == [1] * 400
    assert Counter(server.bodies) == Counter(str(number).encode() for number in range(400))
    assert server.connections <= 16


def test_closing_lets_an_answer_under_way_arrive(server: Server) -> None:
    def late(server: Server, connection: socket.socket, head: bytes, body: bytes) -> bool:
        server.released.wait(5)
        connection.sendall(GOOD)
        return True

    server.scripts = [late]
    graph = graph_to(server)
    with ThreadPoolExecutor(2) as pool:
        answered = pool.submit(graph.get, "me")
        while not server.heads:
            time.sleep(0.005)
        closed = pool.submit(graph.close)
        time.sleep(0.05)
        assert not closed.done()
        server.released.set()
        assert answered.result(5) == {"num_received": 1}
        closed.result(5)
    with pytest.raises(RuntimeError, match="closed"):
        graph.get("me")


def test_no_log_line_of_any_library_holds_an_address_or_a_token(
    server: Server, graph: Graph, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.scripts = [html]
    graph.get("debug_token", input_token="EAAanother0123456789")
    graph.post("1/users", body=b'["digest-in-a-body"]', idempotent=True)
    proof = str(graph._credentials.params["appsecret_proof"])
    assert proof in server.heads[0].decode()
    for secret in (TOKEN, SECRET, proof, "EAAanother", "digest-in-a-body", "debug_token"):
        assert secret not in caplog.text
