"""Bytes and sockets: read a request, act out a scripted fault, write the answer, or cut the connection.

Owns the ASGI side of Graph paths. Keeps no request body. What is answered stands in ``graph``.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from connector.sandbox.graph import Answer, Request, edge_of, etag_of, method_of, refused, respond, split_path
from connector.sandbox.parameters import Parameters, read_parameters
from connector.sandbox.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from connector.sandbox.faults import Fault
    from connector.sandbox.stage import Stage

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

ABORT, CLOSE = "connector.abort", "connector.close"
JSON_TYPE = "application/json; charset=UTF-8"
HTML_TYPE = "text/html; charset=utf-8"
WORTH_ZIPPING = 500
METHODS = frozenset({"GET", "POST", "DELETE", "HEAD"})
OUTAGE = (
    "<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Sorry, something went wrong.</h1></body></html>"
)


def _nothing() -> None:
    """Do nothing."""


class CutError(Exception):
    """The connection is to end without an answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished answer: status, headers, body."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GraphApp:
    """The ASGI application behind every path that is not under ``/_sandbox``."""

    stage: Stage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        try:
            reply, fault = await self._reply(scope, receive)
        except CutError:
            await cut(scope, receive)
            return
        except asyncio.CancelledError:
            # The sandbox stops: whoever still waits is cut off, not answered.
            scope.get(ABORT, _nothing)()
            raise
        if self.stage.latency_ms:
            await asyncio.sleep(self.stage.latency_ms / 1000)
        if fault is not None and fault.do == "slow":
            await asyncio.sleep(fault.seconds)
        zipped = _accepts_gzip(scope) and len(reply.body) > WORTH_ZIPPING
        if fault is not None and fault.do == "truncate":
            await _truncate(scope, receive, send, reply)
            return
        await send_reply(send, reply, zipped=zipped, head=scope["method"] == "HEAD")

    async def _reply(self, scope: Scope, receive: Receive) -> tuple[Reply, Fault | None]:
        world = self.stage.world
        if scope["path"].startswith("/_sandbox"):
            return Reply(405, b'{"error":{"message":"There is no such control path or method"}}'), None
        too_long = len(scope["query_string"]) > world.settings.max_url_bytes
        if too_long:
            return Reply(414, OUTAGE.encode(), HTML_TYPE), None
        body = await read_body(receive, world.settings.max_body_bytes)
        if body is None:
            return Reply(413, OUTAGE.encode(), HTML_TYPE, {"Connection": "close"}), None
        if scope["method"] not in METHODS:
            return _written(refused(Refusal(100, "(#100) Unsupported method", status=405)), "v25.0"), None
        request, wrong = read_request(scope, body)
        edge = edge_of(world, request.segments)
        world.count(edge)
        fault = world.faults.take(edge, request.method, body=body)
        if fault is not None:
            early = await _act_out(fault, receive)
            if early is not None:
                return early, fault
        answer = refused(wrong) if wrong is not None else respond(world, request)
        if fault is not None and fault.do == "drop_after":
            raise CutError
        return _finished(scope, request, answer), fault


def read_request(scope: Scope, body: bytes) -> tuple[Request, Refusal | None]:
    """Read a request; with a body that cannot be read comes the refusal for it."""
    headers = _headers(scope)
    version, segments = split_path(scope["path"])
    wrong = None
    try:
        parameters = read_parameters(scope["query_string"], headers.get("content-type", ""), body)
    except Refusal as refusal:
        parameters, wrong = Parameters(), refusal
    kind, _, bearer = headers.get("authorization", "").partition(" ")
    host = headers.get("host", "127.0.0.1")
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    request = Request(
        version=version,
        segments=segments,
        method=method_of(method, parameters),
        parameters=parameters,
        bearer=bearer.strip() if kind.lower() in {"bearer", "oauth"} else "",
        base_url=f"{scope.get('scheme', 'http')}://{host}",
    )
    return request, wrong


async def read_body(receive: Receive, limit: int) -> bytes | None:
    """Read the whole body; ``None`` when it is larger than allowed.

    Raises:
        CutError: when the client went away in the middle.
    """
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CutError
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            return None
        pieces.append(piece)
        if not message.get("more_body"):
            return b"".join(pieces)


async def _act_out(fault: Fault, receive: Receive) -> Reply | None:
    """Do what a fault does before anything is committed; give its answer, or nothing when the call goes on.

    Raises:
        CutError: for ``drop_before``, and for ``hang`` once its seconds are over or the client has gone.
    """
    if fault.do == "error":
        answer = refused(fault.refusal())
        return Reply(answer.status, json.dumps(answer.value).encode(), JSON_TYPE, answer.headers)
    if fault.do == "html":
        if fault.seconds:
            await asyncio.sleep(fault.seconds)
        return Reply(fault.status or 502, (fault.body or OUTAGE).encode(), HTML_TYPE, dict(fault.headers))
    if fault.do == "drop_before":
        raise CutError
    if fault.do == "hang":
        await _wait_until_gone(receive, fault.seconds or None)
        raise CutError
    return None


async def _wait_until_gone(receive: Receive, seconds: float | None) -> None:
    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        await asyncio.wait_for(gone(), seconds)
    except TimeoutError:
        return


async def cut(scope: Scope, receive: Receive) -> None:
    """End the TCP connection at once (RST), without a byte of an answer, and wait until it has ended."""
    abort = scope.get(ABORT)
    if abort is None:
        raise ConnectionAbortedError("this server cannot cut connections: use connector.sandbox.server")
    abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _truncate(scope: Scope, receive: Receive, send: Send, reply: Reply) -> None:
    """Promise the whole body, send half of it, and end the connection."""
    await send({"type": "http.response.start", "status": reply.status, "headers": _raw_headers(reply, len(reply.body))})
    half = reply.body[: max(1, len(reply.body) // 2)]
    await send({"type": "http.response.body", "body": half, "more_body": True})
    close = scope.get(CLOSE)
    if close is None:
        raise ConnectionAbortedError("this server cannot cut connections: use connector.sandbox.server")
    close()
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_reply(send: Send, reply: Reply, *, zipped: bool, head: bool = False) -> None:
    """Write an answer, gzipped when asked."""
    body = gzip.compress(reply.body, 1) if zipped else reply.body
    headers = _raw_headers(reply, len(body))
    if zipped:
        headers += [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})


def _raw_headers(reply: Reply, length: int) -> list[tuple[bytes, bytes]]:
    headers = {"content-type": reply.content_type, "cache-control": "private, no-store", **reply.headers}
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]
    if reply.status == HTTPStatus.NOT_MODIFIED:
        return pairs
    return [*pairs, (b"content-length", str(length).encode())]


def _finished(scope: Scope, request: Request, answer: Answer) -> Reply:
    reply = _written(answer, request.version)
    if request.method != "GET" or answer.status != HTTPStatus.OK:
        return reply
    etag = etag_of(reply.body)
    headers = {**reply.headers, "ETag": etag}
    if _headers(scope).get("if-none-match") == etag:
        return Reply(304, b"", JSON_TYPE, headers)
    return Reply(reply.status, reply.body, reply.content_type, headers)


def _written(answer: Answer, version: str) -> Reply:
    body = json.dumps(answer.value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return Reply(answer.status, body, JSON_TYPE, {"facebook-api-version": version, **answer.headers})


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _accepts_gzip(scope: Scope) -> bool:
    return "gzip" in _headers(scope).get("accept-encoding", "")
