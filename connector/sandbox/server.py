"""The sandbox on a socket: bind, say where, serve, stop cleanly. Connections can be cut from inside, as faults need.

Needs the extra ``sandbox`` (uvicorn).
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from connector.sandbox.app import create_app
from connector.sandbox.wire import ABORT, CLOSE

if TYPE_CHECKING:
    import asyncio
    from types import FrameType

    from fastapi import FastAPI

Ready = Callable[[dict[str, object]], None]
# The official client puts payloads into the query string: request lines may be long.
LONGEST_HEAD = 64_000_000
BACKLOG = 256
STOP_WITHIN = 1
START_WITHIN = 30


class CuttingProtocol(H11Protocol):
    """HTTP/1.1 that lets the application end its own connection, at once or after what was written."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Hand the connection's two ways to end it down with every request."""
        super().connection_made(transport)
        inner: Any = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope[ABORT], scope[CLOSE] = transport.abort, transport.close
            await inner(scope, receive, send)

        self.app = app


class _Server(uvicorn.Server):
    """A uvicorn server that says when it accepts connections and leaves signals to us."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        if self.started:
            self.on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as the wish to stop, and nothing more: the process goes on after a clean shutdown."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.should_exit = True


def describe(app: FastAPI, base_url: str) -> dict[str, object]:
    """Say what a client needs to know: address, app, tokens and accounts (contract §6)."""
    return {"base_url": base_url, **app.state.stage.world.description}


def _prepare(port: int, host: str, latency_ms: int, ready: Ready | None) -> tuple[_Server, socket.socket]:
    app = create_app(latency_ms=latency_ms)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's delay (40 ms an answer) off for sockets that say they are TCP.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    shown = f"[{host}]" if ":" in host else host
    base_url = f"http://{shown}:{bound.getsockname()[1]}"
    config = uvicorn.Config(
        app,
        http=CuttingProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=STOP_WITHIN,
        h11_max_incomplete_event_size=LONGEST_HEAD,
    )
    return _Server(config, lambda: ready(describe(app, base_url)) if ready else None), bound


def serve(port: int = 0, *, host: str = "127.0.0.1", latency_ms: int = 0, ready: Ready | None = None) -> None:
    """Serve a seeded sandbox until SIGINT or SIGTERM, then return.

    ``port`` 0 takes any free one. ``ready`` is called once, with the description, when connections are accepted.

    Raises:
        OSError: when the port cannot be bound.
    """
    server, bound = _prepare(port, host, latency_ms, ready)
    with bound:
        server.run(sockets=[bound])


@contextlib.contextmanager
def running(port: int = 0, *, host: str = "127.0.0.1", latency_ms: int = 0) -> Iterator[dict[str, Any]]:
    """Run a seeded sandbox in a background thread for as long as the block lasts; gives its description.

    Raises:
        OSError: when the port cannot be bound.
        TimeoutError: when it does not start.
    """
    described: dict[str, Any] = {}
    accepting = threading.Event()

    def ready(description: dict[str, object]) -> None:
        described.update(description)
        accepting.set()

    server, bound = _prepare(port, host, latency_ms, ready)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="sandbox", daemon=True)
    with bound:
        thread.start()
        try:
            if not accepting.wait(START_WITHIN):
                raise TimeoutError("the sandbox did not start")
            yield described
        finally:
            server.should_exit = True
            thread.join(START_WITHIN)
