"""A relay between connector and the sandbox that keeps every request as it went over the wire, and may change it."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True)
class Request:
    """One request, as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def is_upload(self) -> bool:
        """It carries members, to add or to take out."""
        return self.path.partition("?")[0].endswith("/users")


@dataclass
class Relay:
    """Where it listens, and what it has heard."""

    base_url: str = ""
    heard: list[Request] = field(default_factory=list)

    def uploads(self) -> list[Request]:
        """The requests that carried members."""
        return [request for request in self.heard if request.is_upload]


@dataclass
class Hold:
    """Keeps one upload back until it is let go, as a slow network would; ``after`` so many others."""

    after: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)
    _seen: itertools.count[int] = field(default_factory=itertools.count)

    def __call__(self, request: Request) -> bytes:
        if request.is_upload and next(self._seen) == self.after:
            self.reached.set()
            self.let_go.wait(60)
        return request.body


@contextlib.contextmanager
def relay_to(base_url: str, *, change: Callable[[Request], bytes] = lambda request: request.body) -> Iterator[Relay]:
    """Listen on a loopback port and hand every request on to ``base_url``, its body as ``change`` gives it back."""
    relay, there = Relay(), urlsplit(base_url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, self.path, dict(self.headers), body)
            relay.heard.append(request)
            kept = {name: text for name, text in request.headers.items() if name.lower() not in HOP_BY_HOP}
            onward = http.client.HTTPConnection(str(there.hostname), there.port, timeout=30)
            try:
                onward.request(self.command, self.path, body=change(request), headers=kept)
                answer = onward.getresponse()
                content = answer.read()
            finally:
                onward.close()
            self.send_response(answer.status)
            for name, text in answer.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, text)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = pass_on  # noqa: N815  the names the library looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name the library gives it
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        relay.base_url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield relay
        finally:
            server.shutdown()
            thread.join()
