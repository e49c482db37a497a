"""The connection that commands open: as many requests at once as it says."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from connector import Config
from connector.access.connection import connected
from connector.audiences.pace import Pace
from connector.state import Destination

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANY = 24


@pytest.fixture
def crowd() -> Iterator[str]:
    """A server that answers when so many requests are under way at once, and not before."""
    together = threading.Barrier(MANY, timeout=20)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                together.wait()
                status = 200
            except threading.BrokenBarrierError:
                status = 400
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 2 * MANY

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_as_many_requests_are_under_way_as_it_says(
    crowd: str, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTOR_GRAPH_URL", crowd)
    monkeypatch.setenv("CONNECTOR_TOKEN", "EAA0123456789abcdef")
    destination = Destination("demo", "act_1")
    pace = Pace(start=MANY, most=MANY)
    opened = connected(Config.load(workspace), destination, most=MANY, pace=pace)
    with opened as graph, ThreadPoolExecutor(MANY) as pool:
        answers = list(pool.map(lambda number: graph.get(f"{number}"), range(1, MANY + 1)))
    assert answers == [{}] * MANY
