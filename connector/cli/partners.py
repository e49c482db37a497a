"""``connector request access``, ``grant access``, ``revoke access``, ``list agencies``, ``list clients``."""

from __future__ import annotations

import sys
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.markup import escape

from connector.access.access_change import AccessWish, Attempt, Change, Manner, Waiting
from connector.access.capability import UNAVAILABLE, unavailable
from connector.access.desk import Speaker
from connector.access.findings import Language
from connector.access.manual_path import ManualPath, manual_path
from connector.access.partner_changes import grant_access, request_access, revoke_access
from connector.access.partner_lists import Shown
from connector.access.partner_lists import list_agencies as agencies_of
from connector.access.partner_lists import list_clients as clients_of
from connector.cli import render
from connector.cli.answer import Answer, respond
from connector.cli.listing import list_
from connector.cli.options import HERE, Json, Workspace, Yes, read_span
from connector.config import Config
from connector.errors import AccessError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from connector.access.partnerships import AssetKind, Partnership

request = typer.Typer(help="Ask a client for access.", no_args_is_help=True)
grant = typer.Typer(help="Give another business access to what is ours.", no_args_is_help=True)
revoke = typer.Typer(help="Take access back.", no_args_is_help=True)

TOKEN_ENV = "CONNECTOR_TOKEN"  # noqa: S105  the name of a variable
Account = Annotated[str | None, typer.Option("--ad-account", metavar="ID", help="act_ and digits.")]
Page = Annotated[str | None, typer.Option("--page", metavar="ID", help="A Page's id.")]
Pixel = Annotated[str | None, typer.Option("--pixel", metavar="ID", help="A pixel's (dataset's) id.")]
Catalog = Annotated[str | None, typer.Option("--catalog", metavar="ID", help="A product catalogue's id.")]
Tasks = Annotated[str, typer.Option("--tasks", help="What they may do, with commas: ADVERTISE,ANALYZE runs ads.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the audit chain.")]
Expires = Annotated[
    datetime | None,
    typer.Option("--expires", formats=["%Y-%m-%d"], help="The agreed end.", show_default="in twelve months"),
]
OfDestination = Annotated[
    str | None, typer.Option("--destination", help="Speak with this destination's token, for its business.")
]
TokenEnv = Annotated[str, typer.Option("--token-env", help="The environment variable that holds the token.")]
Ours = Annotated[
    str | None,
    typer.Option("--business", metavar="ID", help="Our own portfolio.", show_default="the only one the token is in"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")]
Wait = Annotated[
    str | None, typer.Option("--wait", metavar="SPAN", help="Look until Meta shows it, this long at most: 30m.")
]
Every = Annotated[str, typer.Option("--every", metavar="SPAN", help="How often to look.")]
InLanguage = Annotated[Language, typer.Option("--language", help="Of the steps by hand, for whom you paste them to.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Ask Meta again what the app may, instead of once a day.")]
COLUMNS = ("BUSINESS", "ID", "ASSET", "TASKS", "STATUS", "REQUESTED", "UPDATED")


@request.command(
    "access",
    epilog="Example: connector request access --ad-account act_123 --tasks ADVERTISE,ANALYZE --reason 'campaigns 2027'",
)
def request_it(
    tasks: Tasks,
    reason: Reason,
    ad_account: Account = None,
    page: Page = None,
    expires: Expires = None,
    business: Ours = None,
    destination: OfDestination = None,
    token_env: TokenEnv = TOKEN_ENV,
    wait: Wait = None,
    every: Every = "30s",
    language: InLanguage = "en",
    fresh: Fresh = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Ask the owner of an ad account or Page to let our business use it. Only of a client who knows us and means to approve.

    Where Meta does not let the app do this, it shows the client's steps by hand, in the client's language.
    """

    def work() -> Answer:
        kind, asset = _one_asset(ad_account=ad_account, page=page)
        wish = AccessWish(kind, asset, reason, (tasks,), expires=_day(expires))
        manner = _manner(dry_run, wait, every, fresh, language, yes=yes, as_json=as_json)
        return _done(request_access(Config.load(workspace), wish, Speaker(destination, token_env, business), manner))

    respond("request access", work, as_json=as_json)


@grant.command(
    "access",
    epilog="Example: connector grant access --ad-account act_123 --to 300000000000001 --tasks ADVERTISE --reason 'contract 7'",
)
def grant_it(
    to: Annotated[str, typer.Option("--to", metavar="BUSINESS", help="The id of the business that gets access.")],
    tasks: Tasks,
    reason: Reason,
    ad_account: Account = None,
    page: Page = None,
    pixel: Pixel = None,
    catalog: Catalog = None,
    expires: Expires = None,
    destination: OfDestination = None,
    token_env: TokenEnv = TOKEN_ENV,
    wait: Wait = None,
    every: Every = "30s",
    language: InLanguage = "en",
    fresh: Fresh = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Let another business use an asset that ours owns: approve its request, or give unasked.

    Only the owner can, and a Page's own token for a Page. A second admin may have to confirm.
    """

    def work() -> Answer:
        kind, asset = _one_asset(ad_account=ad_account, page=page, pixel=pixel, catalog=catalog)
        wish = AccessWish(kind, asset, reason, (tasks,), to, _day(expires))
        manner = _manner(dry_run, wait, every, fresh, language, yes=yes, as_json=as_json)
        return _done(grant_access(Config.load(workspace), wish, Speaker(destination, token_env), manner))

    respond("grant access", work, as_json=as_json)


@revoke.command(
    "access",
    epilog="Example: connector revoke access --ad-account act_123 --from 300000000000001 --reason 'contract ended'",
)
def revoke_it(
    from_: Annotated[str, typer.Option("--from", metavar="BUSINESS", help="The id of the business that loses access.")],
    reason: Reason,
    ad_account: Account = None,
    page: Page = None,
    pixel: Pixel = None,
    catalog: Catalog = None,
    destination: OfDestination = None,
    token_env: TokenEnv = TOKEN_ENV,
    language: InLanguage = "en",
    fresh: Fresh = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """End a business's access to an asset, as its owner or as that business itself; names the exports that will stop."""

    def work() -> Answer:
        kind, asset = _one_asset(ad_account=ad_account, page=page, pixel=pixel, catalog=catalog)
        wish = AccessWish(kind, asset, reason, business=from_)
        manner = _manner(dry_run, None, "30s", fresh, language, yes=yes, as_json=as_json)
        return _done(revoke_access(Config.load(workspace), wish, Speaker(destination, token_env), manner))

    respond("revoke access", work, as_json=as_json)


@list_.command("agencies", epilog="Example: connector list agencies --ad-account act_123")
def list_agencies(
    ad_account: Account = None,
    page: Page = None,
    business: Annotated[
        str | None, typer.Option("--business", metavar="ID", help="A business: who may use any of its assets.")
    ] = None,
    destination: OfDestination = None,
    token_env: TokenEnv = TOKEN_ENV,
    language: InLanguage = "en",
    fresh: Fresh = False,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """List who may use an ad account, a Page, or any asset of a business, and who has asked to."""

    def work() -> Answer:
        kind, identifier = _one_of({"ad_account": ad_account, "page": page, "business": business})
        config, speaker = Config.load(workspace), Speaker(destination, token_env)
        rows = agencies_of(config, kind, identifier, speaker, fresh=fresh)  # type: ignore[arg-type]  # one of the three above
        return _listed("agencies", rows, "Nobody else may use this.")

    respond("list agencies", lambda: or_by_hand(work, lambda: manual_path("look", language=language)), as_json=as_json)


@list_.command("clients", epilog="Example: connector list clients --status pending")
def list_clients(
    status: Annotated[Shown, typer.Option("--status", help="Which.")] = "all",
    business: Ours = None,
    destination: OfDestination = None,
    token_env: TokenEnv = TOKEN_ENV,
    language: InLanguage = "en",
    fresh: Fresh = False,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """List whose assets our business may use, and which it has asked for."""

    def work() -> Answer:
        speaker = Speaker(destination, token_env, business)
        rows = clients_of(Config.load(workspace), speaker, status=status, fresh=fresh)
        return _listed("clients", rows, "No client has given us access.")

    respond("list clients", lambda: or_by_hand(work, lambda: manual_path("look", language=language)), as_json=as_json)


def or_by_hand(work: Callable[[], Answer], path: Callable[[], ManualPath]) -> Answer:
    """Answer, or show the way by hand where Meta does not let the app."""
    try:
        return work()
    except AccessError as error:
        if error.code != UNAVAILABLE:
            raise
        manual = path()
        return Answer({"manual": manual.to_json()}, Group(escape(manual.text), ""), error.exit_code, error)


def _one_asset(**named: str | None) -> tuple[AssetKind, str]:
    kind, identifier = _one_of(named)
    return kind, identifier  # type: ignore[return-value]  # the flags are the kinds


def _one_of(named: dict[str, str | None]) -> tuple[str, str]:
    given = [(kind, value) for kind, value in named.items() if value is not None]
    if len(given) != 1:
        flags = ", ".join(f"--{kind.replace('_', '-')}" for kind in named)
        raise ConfigError(f"name one of {flags}", code="usage", hint="One ID, for example --ad-account act_123.")
    return given[0]


def _day(at: datetime | None) -> date | None:
    return at.date() if at else None


def _manner(
    dry_run: bool, wait: str | None, every: str, fresh: bool, language: Language, *, yes: bool, as_json: bool
) -> Manner:
    waiting = Waiting(read_span(wait, "--wait"), read_span(every, "--every")) if wait else None

    def show(path: ManualPath) -> None:
        if waiting is not None and not as_json:  # somebody has to do it while we look
            render.note(path.text)

    confirm = (lambda _: True) if yes else typed_confirmation(describe)
    return Manner(confirm, dry_run=dry_run, wait=waiting, fresh=fresh, language=language, on_manual=show)


def typed_confirmation(say: Callable[[Change], str]) -> Callable[[Change], bool]:
    """Say what is about to be done, and want the other business's id typed; without a terminal that is a no."""

    def confirm(change: Change) -> bool:
        render.note(say(change))
        if not sys.stdin.isatty():
            return False
        return bool(typer.prompt(f"Type {change.confirm_id} to do it", err=True) == change.confirm_id)

    return confirm


def describe(change: Change) -> str:
    """Say who gets or loses what, in a few lines."""
    asset = f"{change.asset.id} “{change.asset_name}”" if change.asset_name else str(change.asset.id)
    owner = f" of {change.owner.name or change.owner.id}" if change.owner else ""
    agency = f"{change.agency.name} ({change.agency.id})" if change.agency.name else change.agency.id
    tasks = ", ".join(change.tasks) or "all tasks"
    end = f" until {change.expires.isoformat()}" if change.expires else ""
    said = {
        "request access": f"{agency} asks for {tasks} on {asset}{owner}{end}.",
        "grant access": f"{agency} gets {tasks} on {asset}{owner}{end}.",
        "revoke access": f"{agency} loses {tasks} on {asset}{owner}.",
    }[change.action]
    stops = [f"Export of {segment} to {name} will stop." for segment, name in change.stops]
    return "\n".join([said, *stops])


RESULTS = {
    "planned": "Nothing was changed: this was a dry run.",
    "pending": "[yellow]Asked.[/] The client answers in Ads Manager, or in Business Settings → Requests.",
    "confirmed": "[green]Done:[/] Meta shows the access as confirmed.",
    "admin_review": (
        "[yellow]Given, and waiting for another admin:[/]\nhttps://business.facebook.com/settings/requests/admin_reviews"
    ),
    "revoked": "[green]Done:[/] the access has ended.",
}


def _done(attempt: Attempt) -> Answer:
    said = escape(describe(attempt.change))
    if attempt.outcome == "by_hand" and attempt.manual is not None:
        text = Group(said, "", escape(attempt.manual.text), "")
        return Answer(attempt.to_json(), text, 4, unavailable(attempt.fbtrace_id))
    return Answer(attempt.to_json(), f"{said}\n{RESULTS[attempt.outcome]}")


def _listed(what: str, rows: Sequence[Partnership], empty: str) -> Answer:
    lines = [
        (
            row.business.name, row.business.id, row.asset.id, " ".join(row.tasks), row.status,
            (row.requested or "")[:10], (row.updated or "")[:10],
        )
        for row in rows
    ]  # fmt: skip
    return Answer({what: [row.to_json() for row in rows]}, render.table(COLUMNS, lines, empty=empty))
