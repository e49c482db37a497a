"""Where the browser comes back to after Meta's login dialog: a small server on 127.0.0.1 that takes one answer.

It lives as long as one login. Whatever does not carry the login's own ``state`` is refused and changes nothing, and after
the first answer that does, every further one is. Nothing it hears is printed or logged.
"""

from __future__ import annotations

import hmac
import queue
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self
from urllib.parse import parse_qs, urlsplit

from connector.errors import ConfigError

if TYPE_CHECKING:
    from types import TracebackType

HOST: Final = "127.0.0.1"
PATH: Final = "/connected"
_LONGEST_LINE: Final = 8192  # a code has a few hundred characters
_SILENT_SECONDS: Final = 10.0  # browsers open spare connections and say nothing on them


@dataclass(frozen=True, slots=True)
class Returned:
    """What the dialog answered: a code, or Meta's word for why not."""

    code: str | None = field(default=None, repr=False)
    refused: str | None = None


class Callback:
    """Listens for the answer to one login; use it as a context manager.

    Args:
        state: The login's own secret, which the dialog hands back.
        port: 0 takes any free one.

    Raises:
        ConfigError: the port is taken or not ours to use.
    """

    def __init__(self, state: str, *, port: int) -> None:
        self._answers: queue.SimpleQueue[Returned] = queue.SimpleQueue()
        try:
            self._server = _Server((HOST, port), _Handler)
        except (OSError, OverflowError):
            raise ConfigError(
                f"port {port} of this machine cannot be used for the way back from the login",
                code="login.port",
                hint="Choose another with --port, and register it with the app.",
            ) from None
        self._server.expect(state, self._answers)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def address(self) -> str:
        """The ``redirect_uri``: ``localhost`` is the one host that Meta lets apps return to over plain http."""
        return f"http://localhost:{self._server.server_port}{PATH}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, seconds: float) -> Returned | None:
        """Wait for the answer; nothing when none came in time."""
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            return None


class _Server(ThreadingHTTPServer):
    """Knows the state it waits for, and whether it has its answer."""

    daemon_threads = True
    block_on_close = False

    def expect(self, state: str, answers: queue.SimpleQueue[Returned]) -> None:
        self._state, self._answers = state.encode(), answers
        self._lock, self._done = threading.Lock(), False
        self.hosts = {f"localhost:{self.server_port}", f"{HOST}:{self.server_port}"}

    def take(self, query: dict[str, list[str]]) -> tuple[int, str]:
        """Judge one request and hand the answer on if it is the one: a status and words for the person."""
        given = query.get("state", [""])
        if len(given) != 1 or not hmac.compare_digest(given[0].encode(), self._state):
            return 400, "This does not belong to the login that is under way. Nothing was changed."
        code, refused = query.get("code", [""])[0], query.get("error", [""])[0]
        if not code and not refused:
            return 400, "Meta sent no answer along. Nothing was changed."
        with self._lock:
            if self._done:
                return 410, "This login is finished already. You can close this window."
            self._done = True
        self._answers.put(Returned(code=code) if code else Returned(refused=refused))
        if code:
            return 200, "Thank you. You can close this window and go back to the terminal."
        return 200, "Nothing was granted. You can close this window and go back to the terminal."

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that hangs up is no news, and what it sent is secret."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "connector", ""
    timeout: ClassVar[float] = _SILENT_SECONDS

    def do_GET(self) -> None:
        """Take the browser's return."""
        parts = urlsplit(self.path)
        # A page elsewhere could reach this port under a name of its own; the address bar must say this machine.
        if (
            self.headers.get("Host", "") not in self.server.hosts
            or parts.path != PATH
            or len(self.path) > _LONGEST_LINE
        ):
            self._say(404, "There is nothing here.")
            return
        self._say(*self.server.take(parse_qs(parts.query, keep_blank_values=True)))

    def _say(self, status: int, words: str) -> None:
        page = (
            '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>connector</title><body><main><h1>connector</h1><p>{words}</p></main></body></html>"
        ).encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(page))), ("Connection", "close"),
            ("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer"), ("X-Content-Type-Options", "nosniff"),
            ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
        ):  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Log nothing: the address holds the code."""
