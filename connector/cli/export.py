"""``connector export segment``, ``connector plan segment``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.markup import escape

from connector.cli import render
from connector.cli.answer import Answer, first_exit, respond, stop_on_signals
from connector.cli.options import HERE, Json, MaxWait, Memory, To, Workspace, Yes, read_size, read_span
from connector.config import Config, Mode
from connector.errors import ConfigError, ConnectorError
from connector.export import export_segment
from connector.guards import PlannedStopError
from connector.job import IN_FLIGHT, Options

if TYPE_CHECKING:
    from rich.console import RenderableType

    from connector.report import Report

export = typer.Typer(help="Send a segment to its destinations.", no_args_is_help=True)
plan = typer.Typer(help="Say what an export would do.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The segment's name in connector.yaml.")]
AnyMode = Annotated[Mode | None, typer.Option("--mode", help="Instead of the segment's own mode.")]
Full = Annotated[bool, typer.Option("--full", help="Forget what is unchanged and send all.")]
AllowShrink = Annotated[bool, typer.Option("--allow-shrink", help="Go on although a guard would stop.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Send at most this many rows.")]


@export.command("segment", epilog="Example: connector export segment loyal_customers --to demo")
def export_it(
    name: Name,
    to: To = None,
    mode: AnyMode = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Stop before anything is sent.")] = False,
    limit: Limit = None,
    full: Full = False,
    allow_shrink: AllowShrink = False,
    in_flight: Annotated[
        int, typer.Option("--in-flight", min=1, max=64, help="Requests under way at most; fewer when slow.")
    ] = IN_FLIGHT,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Frames normalised and hashed at once.", show_default="the cores"),
    ] = None,
    memory: Memory = "1GB",
    max_wait: MaxWait = "2h",
    yes: Yes = False,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Prove access, then normalise, hash and send a segment, and account for every profile."""

    def work() -> Answer:
        options = Options(
            mode=mode, dry_run=dry_run, limit=limit, full=full, allow_shrink=allow_shrink, replace_confirmed=yes,
            in_flight=in_flight, memory=read_size(memory, "--memory"),
            max_wait=read_span(max_wait, "--max-wait"),
        )  # fmt: skip
        options.workers = workers or options.workers
        return run_exports(workspace, name, to, options, quiet=as_json)

    respond("export segment", work, as_json=as_json)


@plan.command("segment", epilog="Example: connector plan segment loyal_customers")
def plan_it(
    name: Name,
    to: To = None,
    mode: AnyMode = None,
    limit: Limit = None,
    full: Full = False,
    allow_shrink: AllowShrink = False,
    memory: Memory = "1GB",
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Prove access, read and count everything, and send nothing."""

    def work() -> Answer:
        options = Options(
            dry_run=True, mode=mode, limit=limit, full=full, allow_shrink=allow_shrink,
            memory=read_size(memory, "--memory"),
        )  # fmt: skip
        return run_exports(workspace, name, to, options, quiet=as_json)

    respond("plan segment", work, as_json=as_json)


def run_exports(workspace: Path, name: str, to: str | None, options: Options, *, quiet: bool) -> Answer:
    """Export a segment to one destination or to all it names; several give ``data.reports`` and contract.md's exit order."""
    config = Config.load(workspace)
    targets = (to,) if to is not None else config.segment(name).to
    if not targets:
        raise ConfigError(
            f"segment {name} names no destination",
            code="segment.to",
            hint="Choose one with --to, or name it under `to:`.",
        )
    with stop_on_signals() as options.stop, render.ProgressLine(quiet=quiet) as progress:
        options.on_progress, options.on_wait = progress, progress.wait
        if len(targets) == 1:
            return _only(config, name, targets[0], options)
        return _several([_one(config, name, target, options) for target in targets])


def _only(config: Config, name: str, target: str, options: Options) -> Answer:
    """Export to one destination; a plan that a guard would stop is shown with what the guard says."""
    try:
        done = export_segment(config, name, to=target, options=options)
    except PlannedStopError as stop:
        return Answer(stop.report.to_json(), render.report(stop.report), stop.exit_code, stop)
    return Answer(done.to_json(), render.report(done), done.exit_code)


def _one(config: Config, name: str, target: str, options: Options) -> tuple[str, Report | ConnectorError]:
    try:
        return target, export_segment(config, name, to=target, options=options)
    except ConnectorError as error:
        return target, error


def _several(outcomes: list[tuple[str, Report | ConnectorError]]) -> Answer:
    data: list[dict[str, Any]] = []
    shown: list[RenderableType] = []
    first_error: ConnectorError | None = None
    for target, outcome in outcomes:
        if isinstance(outcome, ConnectorError):
            first_error = first_error or outcome
            data.append(
                {
                    "destination": target,
                    "error": {"code": outcome.code, "message": outcome.message, "hint": outcome.hint},
                }
            )
            shown.append(f"[bold red]{escape(target)}[/] {escape(str(outcome))}")
        else:
            data.append(outcome.to_json())
            shown.append(render.report(outcome))
    code = first_exit([outcome.exit_code for _, outcome in outcomes])
    return Answer({"reports": data}, Group(*shown), code, first_error)
