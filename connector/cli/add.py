"""``connector add destination``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from connector.access.data_terms import DATA_TERMS, DATA_TERMS_VERSION
from connector.cli import render
from connector.cli.answer import Answer, respond
from connector.cli.options import HERE, Json, Workspace
from connector.config import Config
from connector.destinations import DestinationWish, add_destination
from connector.errors import ConfigError
from connector.yaml_file import StrictModel, read_yaml

TERMS = DATA_TERMS.replace("\n   ", " ")  # help pages break lines where the terminal ends
app = typer.Typer(help="Connect an export destination.", no_args_is_help=True)


class DestinationModel(StrictModel):
    """``--file destination.yaml``: the flags, in a file for git."""

    name: str | None = None
    ad_account: str | None = None
    audience: str | None = None
    new_audience: str | None = None
    business: str | None = None
    token_env: str | None = None
    value_based: bool = False
    accept_data_terms: bool = False


@app.command(
    "destination",
    help=f"Prove access to an ad account, take or create an audience, and store both under NAME.\n\n{TERMS}",
    epilog="Example: connector add destination loyalty --ad-account act_123 --new-audience 'Loyal customers' --accept-data-terms",
)
def destination(
    name: Annotated[str, typer.Argument(help="Your name for it, as segments say in `to:`.")],
    ad_account: Annotated[str | None, typer.Option("--ad-account", help="act_ and digits.")] = None,
    audience: Annotated[str | None, typer.Option("--audience", help="The id of an existing audience.")] = None,
    new_audience: Annotated[
        str | None, typer.Option("--new-audience", help="The title of an audience to create.")
    ] = None,
    business: Annotated[str | None, typer.Option("--business", help="Your own business (portfolio) id.")] = None,
    token_env: Annotated[
        str | None,
        typer.Option(
            "--token-env", help="The environment variable that holds the token.", show_default="CONNECTOR_TOKEN"
        ),
    ] = None,
    value_based: Annotated[bool, typer.Option("--value-based", help="The audience takes lookalike_value.")] = False,
    accept_data_terms: Annotated[
        bool, typer.Option("--accept-data-terms", help="Accept connector's data terms.")
    ] = False,
    file: Annotated[Path | None, typer.Option("--file", help="Read the above from a YAML file.")] = None,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Prove access to an ad account, take or create an audience, and store both under NAME."""

    def work() -> Answer:
        config = Config.load(workspace)
        given = DestinationModel(
            ad_account=ad_account, audience=audience, new_audience=new_audience, business=business,
            token_env=token_env, value_based=value_based, accept_data_terms=accept_data_terms,
        )  # fmt: skip
        wish = _wish(name, given, file, ask=sys.stdin.isatty() and not as_json)
        made = add_destination(config, wish)
        title = escape(made.audience_name or "")
        shown = f"[bold green]{made.name}[/] sends to audience “{title}” ({made.audience_id}) of {made.ad_account}."
        return Answer({"destination": asdict(made)}, f"{shown}\nNext: connector export segment NAME --to {made.name}")

    respond("add destination", work, as_json=as_json)


def _wish(name: str, given: DestinationModel, file: Path | None, *, ask: bool) -> DestinationWish:
    """Put flags, file and answers together; flags win over the file."""
    stored = read_yaml(file, DestinationModel)[0] if file is not None else DestinationModel()
    values = {field: getattr(given, field) or getattr(stored, field) for field in DestinationModel.model_fields}
    values["name"] = name
    values["token_env"] = values["token_env"] or "CONNECTOR_TOKEN"
    if ask:
        _ask_what_is_missing(values)
    if not values["ad_account"]:
        raise ConfigError("no ad account is named", code="destination.ad_account", hint="Say --ad-account act_…")
    return DestinationWish(**values)


def _ask_what_is_missing(values: dict[str, str | bool | None]) -> None:
    if not values["ad_account"]:
        values["ad_account"] = typer.prompt("Ad account (act_…)", err=True)
    if not values["audience"] and not values["new_audience"]:
        values["new_audience"] = typer.prompt("Title of the new audience", err=True)
    if not values["accept_data_terms"]:
        render.note(DATA_TERMS)
        values["accept_data_terms"] = typer.confirm(f"Accept these data terms ({DATA_TERMS_VERSION})?", err=True)
