"""``connector list obo-requests``, ``show obo-request``, ``cancel obo-request``."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer
from rich.console import RenderableType
from rich.markup import escape

from connector.access.desk import Speaker
from connector.access.manual_path import ManualPath, manual_path
from connector.access.onbehalf_requests import (
    STATUSES,
    OnBehalfRequest,
    cancel_request,
    open_requests,
    requests_on,
    show_request,
)
from connector.cli import render
from connector.cli.answer import Answer, respond
from connector.cli.listing import list_, show
from connector.cli.options import HERE, Json, Workspace, Yes
from connector.cli.partners import TOKEN_ENV, DryRun, Fresh, InLanguage, OfDestination, Ours, TokenEnv, or_by_hand
from connector.config import Config
from connector.errors import ConfigError

cancel = typer.Typer(help="Take a request back.", no_args_is_help=True)

Wanted = Literal["in_progress", "approve", "decline", "all"]
Number = Annotated[str, typer.Argument(metavar="ID", help="The request's id.")]
COLUMNS = ("ID", "OBJECT", "FROM", "TO", "STATUS")


@list_.command("obo-requests", epilog="Example: connector list obo-requests --ad-account act_123 --status in_progress")
def list_requests(
    ad_account: Annotated[
        str | None, typer.Option("--ad-account", metavar="ID", help="Those on this ad account.")
    ] = None,
    status: Annotated[Wanted, typer.Option("--status", help="With --ad-account: which; one call each.")] = "all",
    received: Annotated[bool, typer.Option("--received", help="Open ones that our business received.")] = False,
    sent: Annotated[bool, typer.Option("--sent", help="Open ones that our business sent.")] = False,
    business: Ours = None,
    destination: OfDestination = None,
    token_env: TokenEnv = TOKEN_ENV,
    language: InLanguage = "en",
    fresh: Fresh = False,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """List on-behalf-of requests: on an ad account, or the open ones that our business received or sent."""

    def work() -> Answer:
        if sum((ad_account is not None, received, sent)) != 1:
            raise ConfigError("say one of --ad-account ID, --received, --sent", code="usage")
        config, speaker = Config.load(workspace), Speaker(destination, token_env, business)
        if ad_account is not None:
            wanted = STATUSES if status == "all" else (status.upper(),)
            rows = requests_on(config, ad_account, speaker, statuses=wanted, fresh=fresh)
        else:
            rows = open_requests(config, "received" if received else "sent", speaker, fresh=fresh)
        return Answer({"obo_requests": [row.to_json() for row in rows]}, _table(rows))

    def path() -> ManualPath:
        return manual_path("look_requests", language=language)

    respond("list obo-requests", lambda: or_by_hand(work, path), as_json=as_json)


@show.command("obo-request", epilog="Example: connector show obo-request 120000000000001")
def show_it(
    number: Number,
    destination: OfDestination = None,
    token_env: TokenEnv = TOKEN_ENV,
    language: InLanguage = "en",
    fresh: Fresh = False,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Show an on-behalf-of request: who wants to act for whom, on what, and how it stands."""

    def work() -> Answer:
        found = show_request(Config.load(workspace), number, Speaker(destination, token_env), fresh=fresh)
        return Answer({"obo_request": found.to_json()}, _table([found]))

    def path() -> ManualPath:
        return manual_path("look_requests", language=language)

    respond("show obo-request", lambda: or_by_hand(work, path), as_json=as_json)


@cancel.command("obo-request", epilog="Example: connector cancel obo-request 120000000000001 --yes")
def cancel_it(
    number: Number,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; it stands in the audit chain.")] = None,
    destination: OfDestination = None,
    token_env: TokenEnv = TOKEN_ENV,
    language: InLanguage = "en",
    dry_run: DryRun = False,
    yes: Yes = False,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Take back an on-behalf-of request that our business sent and nobody has answered."""

    def work() -> Answer:
        speaker = Speaker(destination, token_env)
        confirm = (lambda _: True) if yes else _confirm
        found = cancel_request(Config.load(workspace), number, speaker, confirm=confirm, reason=reason, dry_run=dry_run)
        data = {"obo_request": found.to_json(), "cancelled": not dry_run}
        said = "Nothing was changed: this was a dry run." if dry_run else "[green]Done:[/] the request is cancelled."
        return Answer(data, f"{escape(_sentence(found))}\n{said}")

    def path() -> ManualPath:
        return manual_path("cancel_request", request=number, language=language)

    respond("cancel obo-request", lambda: or_by_hand(work, path), as_json=as_json)


def _confirm(found: OnBehalfRequest) -> bool:
    render.note(_sentence(found))
    wanted = found.receiver.id if found.receiver else found.id
    if not sys.stdin.isatty():
        return False
    return bool(typer.prompt(f"Type {wanted} to cancel it", err=True) == wanted)


def _sentence(found: OnBehalfRequest) -> str:
    sender = (found.sender.name or found.sender.id) if found.sender else "?"
    receiver = f"{found.receiver.name or ''} ({found.receiver.id})".strip() if found.receiver else "?"
    return f"Request {found.id}: {sender} asks {receiver} to act on its behalf on {found.asset}; {found.status}."


def _table(rows: list[OnBehalfRequest]) -> RenderableType:
    lines = [
        (
            row.id,
            row.asset,
            (row.sender.name or row.sender.id) if row.sender else "",
            (row.receiver.name or row.receiver.id) if row.receiver else "",
            row.status,
        )
        for row in rows
    ]
    return render.table(COLUMNS, lines, empty="No such request.")
