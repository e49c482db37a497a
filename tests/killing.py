"""Exports in processes of their own that are killed at a chosen step: just before any file, database or socket operation.

A kill at a moment of the clock meets mostly the same few places; a kill at a step meets every one, and the same again tomorrow.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

SYSTEM = {"open", "fsync", "replace", "unlink", "link", "mkdir", "close"}
METHODS = {"Cursor.execute", "Connection.commit", "Connection.rollback", "socket.send", "socket.recv", "socket.connect"}
OURS = ("CONNECTOR_", "WAREHOUSE_")
WITHIN = 120.0  # seconds; an export of these tests takes one


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (-9: killed), how many steps it took, and its report or error code."""

    code: int
    steps: int
    said: dict[str, Any]


@dataclass(frozen=True)
class Narrow:
    """How narrow it is: rows in a part of the ledger and in a batch (few, so that few people make many), bytes in a file."""

    part_rows: int = 4
    batch_rows: int = 3
    file_size: int | None = None


def export_in_process(
    folder: Path, name: str, *, kill_at: int | None = None, narrow: Narrow = Narrow(), **options: Any
) -> Ended:
    """Run one export, whole or up to its step number ``kill_at``."""
    context = multiprocessing.get_context("forkserver")
    assert isinstance(context, ForkServerContext)
    context.set_forkserver_preload(["connector.export"])
    environment = {key: text for key, text in os.environ.items() if key.startswith(OURS)}
    said = folder / "said.json"
    said.unlink(missing_ok=True)
    steps = context.Value("q", 0, lock=False)
    process = context.Process(target=_export, args=(str(folder), environment, name, kill_at, steps, narrow, options))
    process.start()
    process.join(WITHIN)
    if process.is_alive():
        process.kill()
        process.join()
        raise AssertionError(f"an export hung at step {steps.value}")
    code = process.exitcode
    process.close()
    assert code is not None
    return Ended(code, int(steps.value), json.loads(said.read_text()) if said.exists() else {})


def _export(
    folder: str, environment: dict[str, str], name: str, kill_at: int | None, steps: Any, narrow: Narrow,
    options: dict[str, Any],
) -> None:  # fmt: skip
    from connector import Config, export_segment, sending
    from connector.audiences.batch import batches
    from connector.audiences.pace import Pace
    from connector.errors import ConnectorError
    from connector.job import Options

    sending.PART_ROWS = narrow.part_rows
    if narrow.file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (narrow.file_size, narrow.file_size))
    for function, defaults in ((batches, {"size": narrow.batch_rows}), (Pace.__init__, {"base": 0.01})):
        (function.__kwdefaults__ or {}).update(defaults)

    os.chdir(folder)
    # The server that forks us was started by an earlier test, and has the settings of that one.
    for left in [key for key in os.environ if key.startswith(OURS)]:
        del os.environ[left]
    os.environ.update(environment)

    def step(_frame: object, event: str, called: Any) -> None:
        if event != "c_call":
            return
        known = called.__module__ == "posix" and called.__name__ in SYSTEM
        if known or getattr(called, "__qualname__", "") in METHODS:
            steps.value += 1
            if steps.value == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(step)
    sys.setprofile(step)
    code, said = 0, {}
    try:
        said = export_segment(Config.load(folder), name, options=Options(workers=1, **options)).to_json()
    except ConnectorError as error:
        code, said = error.exit_code, {"code": error.code, "message": error.message}
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    Path("said.json").write_text(json.dumps(said), encoding="utf-8")
    sys.exit(code)
