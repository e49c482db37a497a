"""The open connections of a pool, so that they can be cut from another thread when somebody wants to stop.

A thread that waits for an answer sits in the system and sees no event; only its socket can wake it. Knows sockets, and
neither HTTP nor what travels.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# Whoever stops by hand waits so long for answers under way; what is cut then is sent again by the next run.
GRACE_SECONDS: Final = 1.2
_GLANCE: Final = 0.1


class Lines:
    """Connections as they are made, and an end to all of them once ``stop`` is set and its grace is over.

    Args:
        stop: The event to watch, in a thread of its own that ends with :meth:`close`; ``None`` watches nothing.
    """

    def __init__(self, stop: threading.Event | None) -> None:
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._cut = False
        self._watcher: threading.Thread | None = None
        if stop is not None:
            self._watcher = threading.Thread(target=self._watch, args=(stop,), name="lines", daemon=True)
            self._watcher.start()

    @property
    def cut(self) -> bool:
        """Whether all connections were ended."""
        return self._cut

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of a new connection; the shape of httpcore's ``trace`` extension."""
        if not event.endswith(("connect_tcp.complete", "start_tls.complete")):
            return
        line = info["return_value"].get_extra_info("socket")
        if not isinstance(line, socket.socket):
            return
        with self._lock:
            self._sockets.add(line)
        if self._cut:
            _end(line)

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        if self._watcher is not None:
            self._watcher.join()

    def _watch(self, stop: threading.Event) -> None:
        while not self._closed.wait(_GLANCE):
            if stop.is_set():
                if not self._closed.wait(GRACE_SECONDS):
                    self._end_all()
                return

    def _end_all(self) -> None:
        self._cut = True
        with self._lock:
            lines = list(self._sockets)
        for line in lines:
            _end(line)


def _end(line: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has ended by itself
        line.shutdown(socket.SHUT_RDWR)
