"""A light sandbox for measuring: uploads are counted, not kept; every other path is the sandbox's own application.

Owns raw HTTP/1.1 for ``users`` and ``usersreplace``. Tokens, permissions and sessions are checked as ever; the rows of every
body are counted by a scan, one body in fifty is read in full and its cells checked, and the two counts must agree. Imitates
no faults, usage limits and replace rules on uploads. Needs the extra ``sandbox``.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from connector.sandbox.app import create_app
from connector.sandbox.call import Call
from connector.sandbox.control import show_state
from connector.sandbox.graph import Answer, refused, split_path
from connector.sandbox.parameters import Parameters, read_parameters
from connector.sandbox.refusals import Refusal, invalid, unseen
from connector.sandbox.rows import OPENING, PLACE_JSON
from connector.sandbox.server import BACKLOG, describe
from connector.sandbox.tokens import authenticate
from connector.sandbox.uploads import answer_upload, may_upload, open_session, read_payload, read_session
from connector.sandbox.wire import ABORT, CLOSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from connector.sandbox.server import Ready
    from connector.sandbox.stage import Stage

ONE_IN = 50
LONGEST_HEAD = 65_536
LONGEST_BODY = 256_000_000
HEAD_OF_BODY = 4_096  # "data" begins in it, or the body is read in full
ENDING = b'"]]}}'
UPLOAD = re.compile(r"(?:POST|DELETE) /[^? ]*/users(?:replace)?(?:\?|\Z)")
# The last cell of these is no text in quotes, so a scan for quotes cannot count its rows.
BARE = frozenset({"LOOKALIKE_VALUE", "DATA_PROCESSING_OPTIONS"})


@dataclass(slots=True)
class Received:
    """What arrived since the start or the last reset; ``errors`` counts bodies that were refused or counted wrongly."""

    requests: int = 0
    rows: int = 0
    removed: int = 0
    bytes: int = 0
    parsed: int = 0
    invalid: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Its body is a stretch of a buffer that is written over after the answer."""

    method: str
    target: str
    headers: dict[str, str]
    buffer: bytearray
    start: int
    end: int

    @property
    def path(self) -> str:
        """What stands before the question mark."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> bytes:
        """What stands behind the question mark."""
        return self.target.partition("?")[2].encode("latin-1")

    @property
    def body(self) -> bytes:
        """A copy of the body."""
        return bytes(memoryview(self.buffer)[self.start : self.end])

    def opening(self) -> re.Match[bytes] | None:
        """Find where the rows begin, if that is near the body's beginning."""
        return OPENING.search(self.buffer, self.start, min(self.end, self.start + HEAD_OF_BODY))

    def count_rows(self, opening: re.Match[bytes]) -> int:
        """Count the rows by what stands between two of them, written with or without a space."""
        between = b'"], ["' if b" " in opening.group() else b'"],["'
        return self.buffer.count(between, opening.end(), self.end) + 1


@dataclass(slots=True)
class Sink:
    """Takes uploads for one sandbox world."""

    stage: Stage
    received: Received = field(default_factory=Received)
    known: set[str] = field(default_factory=set)
    since: float = field(default_factory=time.process_time)

    def state(self) -> dict[str, Any]:
        """Give ``GET /_sandbox/state`` with one more part: what the sink counted, and its CPU seconds."""
        cpu = round(time.process_time() - self.since, 4)
        return {**show_state(self.stage.world), "sink": {**asdict(self.received), "cpu_seconds": cpu}}

    def reset(self) -> None:
        """Count from nothing again."""
        self.received, self.since = Received(), time.process_time()

    def take(self, request: Request) -> Answer:
        """Count one upload and answer it, or say why not."""
        self.received.requests += 1
        self.received.bytes += request.end - request.start
        try:
            return Answer(200, self._take(request))
        except Refusal as refusal:
            self.received.errors += 1
            return refused(refusal)

    def _take(self, request: Request) -> Any:
        world = self.stage.world
        parameters, rows = self._light(request) or (None, 0)
        if parameters is None:
            content_type = request.headers.get("content-type", "")
            parameters = read_parameters(request.query, content_type, request.body)
        _, segments = split_path(request.path)
        world.count(segments[-1])
        value = parameters.text("access_token") or request.headers.get("authorization", " ").partition(" ")[2].strip()
        proof, at = parameters.text("appsecret_proof"), parameters.text("appsecret_time")
        token = authenticate(world, value, proof, at)
        removing = request.method == "DELETE" or parameters.text("method").upper() == "DELETE"
        call = Call(world, "DELETE" if removing else "POST", parameters, token, "")
        audience = world.audiences.get(segments[0])
        if audience is None or len(segments) != 2:
            raise unseen(segments[0], request.method)
        may_upload(call, audience)
        replacing = segments[1] == "usersreplace"
        batch = read_session(call, required=replacing)
        checked = None
        if not rows:
            rows, checked = self._parsed(call, request)
        session = open_session(world, audience, batch, "usersreplace" if replacing else "users")
        if session.ended is not None:
            raise invalid("The session has received its last batch")
        session.batches += 1
        session.num_received += rows
        session.num_invalid += checked.invalid if checked else 0
        session.ended = world.now() if batch is None or batch.last else None
        self.received.removed += rows * removing
        self.received.rows += rows * (not removing)
        return answer_upload(audience, session, checked)

    def _light(self, request: Request) -> tuple[Parameters, int] | None:
        """Read all but the rows, and count those; nothing when this body has to be read in full."""
        opening = request.opening()
        if (
            self.received.requests % ONE_IN == 1
            or opening is None
            or not request.buffer.endswith(ENDING, 0, request.end)
        ):
            return None
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return None
        rest = request.buffer[request.start : opening.end() - 2] + PLACE_JSON + b"}}"
        parameters = read_parameters(request.query, "application/json", bytes(rest))
        payload = parameters.values.get("payload")
        if not isinstance(payload, dict) or json.dumps(payload) not in self.known:
            return None
        return parameters, request.count_rows(opening)

    def _parsed(self, call: Call, request: Request) -> tuple[int, Any]:
        """Read and check every cell of a body; the scan must count as many rows."""
        _, _, checked = read_payload(call, digests=False)
        self.received.parsed += 1
        self.received.invalid += checked.invalid
        opening = request.opening()
        payload = call.parameters.values.get("payload")
        if opening is not None and isinstance(payload, dict) and not BARE & set(payload.get("schema", ())):
            self.received.errors += request.count_rows(opening) != checked.received
            if call.parameters.cells is not None:
                self.known.add(json.dumps(payload))
        return checked.received, checked


class Connection(asyncio.BufferedProtocol):
    """One connection, one request at a time; bytes are received into one buffer that is used again and again."""

    def __init__(self, app: FastAPI, sink: Sink, tasks: set[asyncio.Task[None]]) -> None:
        self._app = app
        self._sink = sink
        self._tasks = tasks
        self._buffer = bytearray(LONGEST_HEAD)
        self._filled = 0
        self._needed = 0
        self._busy = False
        self._gone = asyncio.Event()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  a TCP server makes no other
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the signature is asyncio's
        """Tell whoever waits."""
        self._gone.set()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  the signature is asyncio's
        """Give the free end of the buffer, made larger when there is none."""
        if self._filled == len(self._buffer):
            self._buffer = self._buffer + bytearray(len(self._buffer))
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Go on when a whole request is there."""
        self._filled += nbytes
        if not self._busy and self._filled >= self._needed:
            self._read()

    def _read(self) -> None:
        end = self._buffer.find(b"\r\n\r\n", 0, min(self._filled, LONGEST_HEAD)) + 4
        if end < 4:
            if self._filled >= LONGEST_HEAD:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
        line, *lines = self._buffer[: end - 4].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        method, _, target = line.partition(" ")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or "transfer-encoding" in headers or not target.endswith(" HTTP/1.1"):
            self._refuse(HTTPStatus.NOT_IMPLEMENTED)
            return
        if int(length) > LONGEST_BODY:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        self._needed = end + int(length)
        if self._filled < self._needed:
            if headers.get("expect"):
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if len(self._buffer) < self._needed:  # once for a connection: uploads are of one size
                self._buffer = self._buffer[: self._filled] + bytearray(self._needed - self._filled)
            return
        self._busy = True
        self._answer(Request(method, target.removesuffix(" HTTP/1.1"), headers, self._buffer, end, self._needed))

    def _answer(self, request: Request) -> None:
        if UPLOAD.match(f"{request.method} {request.target}"):
            answer = self._sink.take(request)
            asyncio.get_running_loop().call_later(self._sink.stage.latency_ms / 1000, self._write, answer, request)
        elif (request.method, request.path) == ("GET", "/_sandbox/state"):
            self._write(Answer(200, self._sink.state()), request)
        else:
            if (request.method, request.path) == ("POST", "/_sandbox/reset"):
                self._sink.reset()
            task = asyncio.get_running_loop().create_task(self._through_app(request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _write(self, answer: Answer, request: Request) -> None:
        body = json.dumps(answer.value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        headers = {"content-type": "application/json; charset=UTF-8", "content-length": len(body), **answer.headers}
        self._transport.write(_head(answer.status, [f"{name}: {value}" for name, value in headers.items()]) + body)
        self._next(request)

    def _next(self, request: Request) -> None:
        """Make room for the next request, whose first bytes may be here already."""
        if request.headers.get("connection", "").lower() == "close":
            self._transport.close()
            return
        left = self._filled - self._needed
        self._buffer[:left] = self._buffer[self._needed : self._filled]
        self._filled, self._needed, self._busy = left, 0, False
        if left:
            self._read()

    def _refuse(self, status: HTTPStatus) -> None:
        self._sink.received.errors += 1
        self._transport.write(_head(status, ["content-length: 0", "connection: close"]))
        self._transport.close()

    async def _through_app(self, request: Request) -> None:
        """Let the sandbox's application answer."""
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "",
            "method": request.method, "path": unquote(request.path), "raw_path": request.path.encode("latin-1"),
            "query_string": request.query, "headers": headers,
            ABORT: self._transport.abort, CLOSE: self._transport.close,
        }  # fmt: skip
        body = [request.body]

        async def receive() -> dict[str, Any]:
            if body:
                return {"type": "http.request", "body": body.pop(), "more_body": False}
            await self._gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                lines = [f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in message["headers"]]
                self._transport.write(_head(message["status"], lines))
            else:
                self._transport.write(message["body"])

        await self._app(scope, receive, send)
        if not self._transport.is_closing():
            self._next(request)


def _head(status: int, lines: list[str]) -> bytes:
    first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    return "\r\n".join([first, *lines, "", ""]).encode("latin-1", "replace")


def serve(port: int = 0, *, host: str = "127.0.0.1", latency_ms: int = 0, ready: Ready | None = None) -> None:
    """Serve a sink until SIGINT or SIGTERM, then return; as ``server.serve``.

    Raises:
        OSError: when the port cannot be bound.
    """
    # The protocol is named because asyncio switches Nagle's delay (40 ms an answer) off for sockets that say they are TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        asyncio.run(_serve(bound, latency_ms, ready))


async def _serve(bound: socket.socket, latency_ms: int, ready: Ready | None) -> None:
    app = create_app(latency_ms=latency_ms)
    sink, tasks = Sink(app.state.stage), set[asyncio.Task[None]]()
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
    server = await loop.create_server(_factory(app, sink, tasks), sock=bound, backlog=BACKLOG)
    base_url = "http://{}:{}".format(*bound.getsockname())
    if ready is not None:
        ready(describe(app, base_url))
    await stopped.wait()
    server.close()
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)


def _factory(app: FastAPI, sink: Sink, tasks: set[asyncio.Task[None]]) -> Callable[[], Connection]:
    return lambda: Connection(app, sink, tasks)
