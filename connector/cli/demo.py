"""``connector demo``: one real export, start to end, against a sandbox of its own."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group

from connector.cli import render
from connector.cli.answer import Answer, respond, stop_on_signals
from connector.cli.options import HERE, Json, Workspace
from connector.cli.start import load_server
from connector.config import Config
from connector.destinations import DestinationWish, add_destination
from connector.errors import ConfigError, TransientError
from connector.export import export_segment
from connector.job import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

SEGMENT = "loyal_customers"


def demo(workspace: Workspace = HERE, as_json: Json = False) -> None:
    """Start a sandbox, add a destination, pass the gate, export a sample segment, show the report.

    Needs no account and leaves nothing behind: the sandbox, and the demo's state and ledger, go when it ends.
    """

    def work() -> Answer:
        load_server()
        _check_segment(Config.load(workspace))
        with _own_sandbox() as sandbox, tempfile.TemporaryDirectory(prefix="connector-demo-") as folder:
            os.environ["CONNECTOR_STATE"] = f"sqlite:///{folder}/state.db"
            os.environ["CONNECTOR_GRAPH_URL"] = sandbox["base_url"]
            os.environ["CONNECTOR_TOKEN"] = sandbox["token"]
            os.environ["CONNECTOR_KEY"] = secrets.token_hex(32)
            config = replace(Config.load(workspace), ledger=f"{folder}/ledger")
            return _export(config, sandbox, quiet=as_json)

    respond("demo", work, as_json=as_json)


def _check_segment(config: Config) -> None:
    if SEGMENT not in config.workspace.segments:
        raise ConfigError(
            f'the demo exports the segment "{SEGMENT}", and this workspace has none',
            code="demo.segment",
            hint="Run it in a clone of the repository, or in a folder made with: connector init DIR",
        )


def _export(config: Config, sandbox: dict[str, Any], *, quiet: bool) -> Answer:
    if not quiet:
        render.note(f"A sandbox Graph API runs at {sandbox['base_url']} for this demo.")
    made = add_destination(
        config,
        DestinationWish(
            name="demo", ad_account=sandbox["ad_account"], business=sandbox["business"],
            new_audience="Loyal customers (demo)", accept_data_terms=True,
        ),
    )  # fmt: skip
    if not quiet:
        render.note(f"Access to {made.ad_account} is proved; audience {made.audience_id} is made.")
    with stop_on_signals() as stop, render.ProgressLine(quiet=quiet) as progress:
        report = export_segment(config, SEGMENT, to="demo", options=Options(stop=stop, on_progress=progress))
    following = Group(
        render.report(report), "",
        "[bold]Next:[/] see what is sent and why, value by value:",
        f"  {_typed('connector')} preview segment {SEGMENT}",
        f"  {_typed('connector')} explain phone \"06 12 34 56 78\" --country FR",
    )  # fmt: skip
    return Answer(report.to_json(), following, report.exit_code)


def _typed(program: str) -> str:
    """Say how this very program is called from here: a fresh clone has it in .venv/bin only."""
    here = Path(sys.argv[0]).absolute()
    beside = here.parent.name == "bin" and here.parent.parent.parent == Path.cwd()
    return f".venv/bin/{program}" if beside else program


@contextmanager
def _own_sandbox() -> Iterator[dict[str, Any]]:
    """Run ``connector start sandbox --json`` beside us, over a real socket; stopped when done."""
    command = [sys.executable, "-m", "connector", "start", "sandbox", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603  our own program
        try:
            first = server.stdout.readline() if server.stdout else ""
            if not first.startswith("{"):
                raise TransientError(
                    "the sandbox did not start", code="sandbox.start", hint="Try: connector start sandbox"
                )
            yield json.loads(first)
        finally:
            server.terminate()
            server.wait(timeout=10)
