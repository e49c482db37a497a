"""``connector remove destination``, ``connector pause destination``, ``connector resume destination``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from connector.cli.answer import Answer, respond
from connector.cli.options import HERE, Json, Workspace, Yes
from connector.config import Config
from connector.destinations import pause_destination, remove_destination
from connector.errors import GuardError
from connector.state import State

remove = typer.Typer(help="Remove an export destination.", no_args_is_help=True)
pause = typer.Typer(help="Stop exports to a destination for a while.", no_args_is_help=True)
resume = typer.Typer(help="Let exports to a destination go on.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The destination's name.")]


@remove.command("destination", epilog="Example: connector remove destination loyalty")
def remove_it(
    name: Name,
    delete_audience: Annotated[
        bool, typer.Option("--delete-audience", help="Also delete the audience at Meta.")
    ] = False,
    yes: Yes = False,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Forget a destination. A run under way stops between two batches; the audience at Meta stays unless you say so."""

    def work() -> Answer:
        config = Config.load(workspace)
        if delete_audience and not yes:
            _confirm(config, name)
        gone = remove_destination(config, name, delete_at_meta=delete_audience)
        what = (
            "and its audience is deleted at Meta"
            if delete_audience
            else f"the audience {gone.audience_id} stays at Meta"
        )
        return Answer({"destination": asdict(gone), "audience_deleted": delete_audience}, f"{name} is removed, {what}.")

    respond("remove destination", work, as_json=as_json)


def _confirm(config: Config, name: str) -> None:
    """Deleting an audience cannot be undone: want its id typed."""
    with State.open(config.state_url) as state:
        destination = state.destination(name)
    asked = f"Ads that use “{destination.audience_name}” stop for good. Type {destination.audience_id} to delete it"
    if not sys.stdin.isatty() or typer.prompt(asked, err=True) != destination.audience_id:
        raise GuardError(
            "not confirmed: nothing was removed", code="remove.not_confirmed", hint="In a script say --yes."
        )


@pause.command("destination", epilog="Example: connector pause destination loyalty")
def pause_it(name: Name, workspace: Workspace = HERE, as_json: Json = False) -> None:
    """Stop every export to a destination, those under way between two batches."""

    def work() -> Answer:
        paused = pause_destination(Config.load(workspace), name, paused=True)
        return Answer(
            {"destination": asdict(paused)}, f"{name} is paused. Go on with: connector resume destination {name}"
        )

    respond("pause destination", work, as_json=as_json)


@resume.command("destination", epilog="Example: connector resume destination loyalty")
def resume_it(name: Name, workspace: Workspace = HERE, as_json: Json = False) -> None:
    """Let exports to a paused destination go on."""

    def work() -> Answer:
        resumed = pause_destination(Config.load(workspace), name, paused=False)
        return Answer({"destination": asdict(resumed)}, f"{name} takes exports again.")

    respond("resume destination", work, as_json=as_json)
