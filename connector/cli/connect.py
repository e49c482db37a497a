"""``connector connect``, ``connector disconnect``."""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from connector.access.connecting import Connection, connect_by_login, connect_by_variable, disconnect_destination
from connector.access.login import PORT
from connector.cli import render
from connector.cli.answer import Answer, respond
from connector.cli.options import HERE, Json, Workspace
from connector.config import Config

if TYPE_CHECKING:
    from connector.access.login import Invitation

Name = Annotated[str, typer.Argument(metavar="DESTINATION", help="The destination's name; it may be added later.")]


def connect(
    name: Name,
    token_env: Annotated[
        str | None, typer.Option("--token-env", help="Use the token in this environment variable: a system user's.")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address instead of opening it.")] = False,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Of this machine, for the way back; 0 takes any free one.")
    ] = PORT,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Continue with Facebook: log in at Meta in a browser, and keep the token, encrypted, for a destination.

    Or let a destination use the token of a system user, which stays in the environment: --token-env NAME.
    """

    def show(invitation: Invitation) -> None:
        if invitation.declined:
            render.note(f"Not granted: {', '.join(invitation.declined)}. Asking once more …")
        opened = not no_browser and webbrowser.open(invitation.address)
        render.note("If no browser opens, open this address:" if opened else "Open this address in a browser:")
        render.address(invitation.address)
        render.note("Waiting for five minutes. Ctrl-C stops.")

    def work() -> Answer:
        config = Config.load(workspace)
        if token_env is not None:
            return _connected(connect_by_variable(config, name, token_env))
        return _connected(connect_by_login(config, name, open_dialog=show, port=port))

    respond("connect", work, as_json=as_json)


def disconnect(name: Name, workspace: Workspace = HERE, as_json: Json = False) -> None:
    """Forget the token that was stored for a destination. What the person granted at Meta is withdrawn there."""

    def work() -> Answer:
        disconnect_destination(Config.load(workspace), name)
        return Answer(
            {"destination": name},
            f"{escape(name)} is disconnected. To withdraw the consent as well: Facebook → Settings → Business integrations.",
        )

    respond("disconnect", work, as_json=as_json)


def _connected(made: Connection) -> Answer:
    who = made.consent
    person = escape(f"{who.user_name} ({who.user_id})" if who.user_name else str(who.user_id))
    lines = [f"[bold green]{escape(made.destination)}[/] speaks as {person}; granted: {', '.join(who.granted)}."]
    if who.declined:
        lines.append(f"[yellow]Not granted: {', '.join(who.declined)}.[/] Partners cannot be seen without it.")
    if who.expires_at is None:
        lines.append("The token does not end.")
    else:
        colour = "yellow" if made.ends_soon else "dim"
        lines.append(f"[{colour}]The token ends on {who.expires_at:%Y-%m-%d}: connect again before.[/]")
    if made.known:
        lines.append(f"Next: connector check access {escape(made.destination)}")
    else:
        lines.append(f"Next: connector list ad-accounts, then connector add destination {escape(made.destination)} …")
    return Answer(made.to_json(), "\n".join(lines))
