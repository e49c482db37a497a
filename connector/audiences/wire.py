"""The wire under the Graph API: one connection pool, a request's bytes out, the answer's bytes in.

Owns the sockets and is the only module that imports an HTTP library. Must not know what travels. Addresses may hold
secrets; httpx's client would log them, so its transport is called directly.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import httpx

from connector.audiences import graph_errors as rules
from connector.audiences.address import Origin, proxy_for
from connector.audiences.failures import Failure, broken, is_about_certificate
from connector.audiences.lines import Lines
from connector.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connector.audiences.request import Body

Transport: TypeAlias = httpx.BaseTransport

# A full socket takes a part of what it is given and httpcore copies the rest, again and again: in pieces it copies less.
_PIECE: Final = 512 * 1024
_LARGEST_ANSWER: Final = 64 * 1024 * 1024
_CONNECT_SECONDS: Final = 10.0
_CLOSING_SECONDS: Final = 10.0


NOBODY: Final = broken(rules.NOBODY_HERE, received=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: bytes, HTTP status, headers; ``seconds`` from the first byte out to the last one in."""

    content: bytes
    status: int
    headers: Mapping[str, str]
    seconds: float


class Wire:
    """A pool of connections to one origin; thread-safe.

    Args:
        origin: Where to.
        connections: Sockets at most.
        read_timeout: Seconds without a byte of the answer.
        stop: Once set, requests under way are cut after a moment's grace.
        transport: Replaces the network, for tests.

    Raises:
        ConfigError: A proxy that the environment names is not usable.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        connections: int,
        read_timeout: float,
        stop: threading.Event | None,
        transport: Transport | None = None,
    ) -> None:
        self._here = origin.scheme == "http"  # which leads to this machine only
        self._timeout = httpx.Timeout(read_timeout, connect=_CONNECT_SECONDS).as_dict()
        self._transport = transport or _transport(origin, connections)
        self._lines = Lines(stop)
        self._idle = threading.Condition()
        self._busy = 0
        self._closed = False

    def close(self) -> None:
        """Let answers under way arrive, for ten seconds at most, then close the connections; later requests fail."""
        with self._idle:
            self._closed = True
            self._idle.wait_for(lambda: self._busy == 0, timeout=_CLOSING_SECONDS)
        self._lines.close()
        self._transport.close()

    @property
    def cut(self) -> bool:
        """Whether the connections were ended because somebody wants to stop."""
        return self._lines.cut

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: Pieces) -> Answer | Failure:
        """Send one request and read its answer, once."""
        with self._idle:
            if self._closed:
                raise RuntimeError("this Graph is closed")
            self._busy += 1
        try:
            extensions = {"timeout": self._timeout, "trace": self._lines.trace}
            return self._answer(
                httpx.Request(method, url, headers=dict(headers), stream=body, extensions=extensions), body
            )
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def _answer(self, request: httpx.Request, body: Pieces) -> Answer | Failure:
        started = time.perf_counter()
        try:
            response = self._transport.handle_request(request)
            try:
                content = _content(response)
            finally:
                response.close()
        except httpx.HTTPError as problem:
            failure = _network_failure(problem, body)
            return NOBODY if self._here and failure.rule is rules.NO_CONNECTION else failure
        return Answer(content, response.status_code, response.headers, time.perf_counter() - started)


class Pieces(httpx.SyncByteStream):
    """A body for the socket, in pieces, once; knows whether all of it was handed over, and keeps nothing of it then.

    Many requests wait for their answers at once, and a body may have eight megabytes.
    """

    def __init__(self, body: Body) -> None:
        parts = body if isinstance(body, tuple) else (body,)
        self._views = [memoryview(part).cast("B") for part in parts if len(part)]
        self.length = sum(len(view) for view in self._views)
        self.sent = False

    def __iter__(self) -> Iterator[bytes]:
        while self._views:
            view = self._views.pop(0)
            for at in range(0, len(view), _PIECE):
                yield bytes(view[at : at + _PIECE])
        self.sent = True


def _content(response: httpx.Response) -> bytes:
    content = bytearray()
    for part in response.iter_bytes():
        content += part
        if len(content) > _LARGEST_ANSWER:
            raise httpx.DecodingError("too long")
    return bytes(content)


def _network_failure(problem: httpx.HTTPError, body: Pieces) -> Failure:
    """Name what the network did. The library's exception is dropped: its text and request are not ours to show."""
    if is_about_certificate(problem):
        return broken(rules.CERTIFICATE, received=False)
    if isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
        return broken(rules.NO_CONNECTION, received=False)
    if isinstance(problem, httpx.TimeoutException):
        return broken(rules.TIMED_OUT, received=body.sent)
    if isinstance(problem, httpx.DecodingError):
        return broken(rules.TRUNCATED)
    # A server that hangs up in the middle of a body often means to say 413.
    return broken(rules.CUT, received=body.sent, smaller=not body.sent)


def _transport(origin: Origin, connections: int) -> httpx.HTTPTransport:
    """One pool, HTTP/1.1 (HTTP/2 costs 40 times the CPU), certificates verified, the environment's proxy if any."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=30.0)
    try:
        # Plain http leads to this machine only, and reading the certificate authorities takes 50 ms.
        return httpx.HTTPTransport(
            verify=origin.scheme == "https", trust_env=True, limits=limits, proxy=proxy_for(origin)
        )
    except (ValueError, ImportError, httpx.InvalidURL):
        raise ConfigError(
            "The proxy that the environment names cannot be used.",
            code="config.proxy",
            hint="HTTPS_PROXY looks like http://proxy.example:3128.",
        ) from None
