"""``connector`` in processes of their own, to stop, to kill, or to set against each other; none outlives its test."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 60.0  # seconds; what is waited for comes in one or two


@contextlib.contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``connector`` with these words; whatever becomes of the test, the process ends with the block."""
    command = [sys.executable, "-m", "connector", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()  # does nothing to one that has ended


def wait_until(happened: Callable[[], object], *, process: subprocess.Popen[str] | None = None) -> None:
    """Wait for something that comes; with ``process`` as long as that runs."""
    ends = time.monotonic() + PATIENCE
    while not happened():
        assert process is None or process.poll() is None, "it ended before it came so far"
        assert time.monotonic() < ends, "it did not come so far"
        time.sleep(0.02)
