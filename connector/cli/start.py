"""``connector start sandbox``."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from connector.cli import render
from connector.cli.answer import fail
from connector.cli.options import Json
from connector.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable


app = typer.Typer(help="Start something that runs until you stop it.", no_args_is_help=True)


@app.command("sandbox", epilog="Example: connector start sandbox --port 8123")
def sandbox(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any free one.")] = 0,
    latency: Annotated[int, typer.Option("--latency", min=0, help="Milliseconds before each answer.")] = 0,
    sink: Annotated[
        bool, typer.Option("--sink", help="Count uploads and keep none of them: light, to measure speed against.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Serve a faithful local Graph API with an invented agency, client and ad accounts; all of it in memory.

    With --json the first line on stdout is one JSON object that says where it is and which tokens it knows.
    """
    try:
        serve = load_server(sink=sink)
        serve(port, latency_ms=latency, ready=_say_json if as_json else _say)
    except ConfigError as error:
        fail("start sandbox", error, as_json=as_json)
    except OSError as error:
        reason = f"port {port} cannot be used: {error.strerror}"
        fail(
            "start sandbox",
            ConfigError(reason, code="sandbox.port", hint="Choose another with --port, or 0."),
            as_json=as_json,
        )
    except KeyboardInterrupt:
        raise typer.Exit from None


def load_server(*, sink: bool = False) -> Callable[..., None]:
    """Import the sandbox's server, or its light ``sink``; without the extra that is a `ConfigError` with the install line."""
    try:
        # An extra that not everyone installs.
        serve: Callable[..., None] = import_module(f"connector.sandbox.{'sink' if sink else 'server'}").serve
    except ModuleNotFoundError:
        raise ConfigError(
            "the sandbox is not installed", code="sandbox.extra", hint="pip install 'audience-connector[sandbox]'"
        ) from None
    return serve


def _say_json(description: dict[str, object]) -> None:
    render.lines([json.dumps(description)])


def _say(description: dict[str, object]) -> None:
    render.lines(
        [
            f"The sandbox answers at {description['base_url']} (its page: {description['base_url']}/_sandbox/). Ctrl-C stops it.",
            "In another terminal:",
            f"  export CONNECTOR_GRAPH_URL={description['base_url']}",
            f"  export CONNECTOR_TOKEN={description['token']}",
            (
                f"  connector add destination demo --ad-account {description['ad_account']}"
                f" --business {description['business']} --new-audience 'My first audience' --accept-data-terms"
            ),
        ]
    )
