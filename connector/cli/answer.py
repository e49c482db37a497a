"""What a command answers, and the one place where an error becomes an exit code.

Every command builds an :class:`Answer`; :func:`respond` prints it as text or as one JSON envelope (contract.md §3).
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from connector.cli import render
from connector.errors import ConnectorError, InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from rich.console import RenderableType

STATUS = {0: "ok", 7: "partial", 4: "refused", 5: "refused", 8: "refused"}
ORDER = (1, 2, 3, 4, 5, 8, 6, 7, 0)


@dataclass(frozen=True, slots=True)
class Answer:
    """``data`` for machines, ``text`` for people. ``error`` goes with an exit code that is no exception (exit 4 of a check)."""

    data: dict[str, Any]
    text: RenderableType
    exit_code: int = 0
    error: ConnectorError | None = None


def respond(command: str, work: Callable[[], Answer], *, as_json: bool) -> None:
    """Do the work of ``command``, print its answer or its error, and leave with the right exit code."""
    try:
        answer = work()
    except ConnectorError as error:
        fail(command, error, as_json=as_json)
    except KeyboardInterrupt:
        fail(command, InterruptedRunError("stopped", hint="Run the same command again to go on."), as_json=as_json)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  a bug: its message may hold a cell, so only its kind and place are shown
        fail(command, as_bug(error), as_json=as_json)
    else:
        if as_json:
            render.envelope(command, status_of(answer.exit_code), answer.exit_code, answer.data, answer.error)
        else:
            render.text(answer.text)
            if answer.error is not None:
                render.error(answer.error)
        raise typer.Exit(answer.exit_code)


def fail(command: str, error: ConnectorError, *, as_json: bool) -> None:
    """Print an error and leave with its exit code."""
    if as_json:
        render.envelope(command, status_of(error.exit_code), error.exit_code, getattr(error, "data", {}), error)
    else:
        render.error(error)
    raise typer.Exit(error.exit_code)


def status_of(exit_code: int) -> str:
    """Give the envelope's ``status`` for an exit code."""
    return STATUS.get(exit_code, "failed")


def first_exit(codes: list[int]) -> int:
    """Choose the exit code of several exports: the first of contract.md's order that occurred."""
    return next(code for code in ORDER if code in codes) if set(codes) <= set(ORDER) else max(codes)


def as_bug(error: Exception) -> ConnectorError:
    """Describe an unexpected exception by kind and place; its text may hold a cell and is never shown."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f"connector{os.sep}" in f.filename] or frames
    at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "an unknown place"
    return ConnectorError(
        f"connector has a bug: {type(error).__name__} in {at}",
        hint="Please report this line with what you typed. No data was printed on purpose.",
    )


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C or SIGTERM sets; a second Ctrl-C stops at once."""
    stop = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        render.note("Stopping after the requests under way … (Ctrl-C again to stop at once)")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
