"""``connector``: verbs and nouns, put together."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from connector.cli import (
    add,
    check,
    connect,
    demo,
    explain,
    export,
    forget,
    init,
    listing,
    onbehalf,
    partners,
    preview,
    remove,
    render,
    start,
)
from connector.cli.answer import fail
from connector.errors import ConfigError

NOUNS = (["export"], ["plan"], ["preview"])  # verbs whose only noun is easily left out
VALUES = (["forget"], ["explain"])  # commands whose words may be somebody's data

app = typer.Typer(
    name="connector",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Segments of customer profiles as Meta Custom Audiences: normalised and hashed here, proved, accounted for.",
)
app.command("demo", epilog="Example: connector demo")(demo.demo)
app.command("init", epilog="Example: connector init ~/audiences")(init.init)
app.command("explain", epilog='Example: connector explain phone "06 12 34 56 78" --country FR')(explain.explain_value)
app.command("forget", epilog="Example: connector forget --external-id 4711 --yes")(forget.forget)
app.command("connect", epilog="Example: connector connect loyalty")(connect.connect)
app.command("disconnect", epilog="Example: connector disconnect loyalty")(connect.disconnect)
app.add_typer(add.app, name="add")
app.add_typer(check.app, name="check")
app.add_typer(preview.app, name="preview")
app.add_typer(export.plan, name="plan")
app.add_typer(export.export, name="export")
app.add_typer(listing.list_, name="list")
app.add_typer(listing.show, name="show")
app.add_typer(remove.pause, name="pause")
app.add_typer(remove.resume, name="resume")
app.add_typer(remove.remove, name="remove")
app.add_typer(partners.request, name="request")
app.add_typer(partners.grant, name="grant")
app.add_typer(partners.revoke, name="revoke")
app.add_typer(onbehalf.cancel, name="cancel")
app.add_typer(start.app, name="start")


def _say_version(wanted: bool) -> None:
    if wanted:
        render.lines([f"connector {version('audience-connector')}"])
        raise typer.Exit


@app.callback()
def options(
    version_: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and stop.")
    ] = False,
) -> None:
    """Every command takes --help, with an example, and --json."""
    del version_


def main() -> None:
    """Run the command line; leaves with the exit codes of contract.md §3."""
    try:
        code = app(prog_name="connector", standalone_mode=False)
    except typer.Exit as leaving:
        code = leaving.exit_code
    except typer.Abort:
        code = 130
    except typer.TyperException as wrong:
        code = _usage(wrong)
    sys.exit(code if isinstance(code, int) else 0)


def _usage(wrong: typer.TyperException) -> int:
    """Say a usage error as every other error is said: exit 2, in the envelope when --json was asked for."""
    words = _known_words(sys.argv[1:3])
    if type(wrong).__name__ == "NoArgsIsHelpError":
        render.lines([wrong.format_message()])
        return 2
    hint = f"See: {' '.join(['connector', *words])} --help"
    message = wrong.format_message()
    if words[:1] in VALUES and message.startswith("Got unexpected extra argument"):
        message = "Got a word too many; it is not repeated here, for it may be somebody's data"
    if words[-1:] in NOUNS and message.startswith("No such command"):
        hint = f"Name what: connector {words[-1]} segment NAME. {hint}"
    error = ConfigError(message, code="usage", hint=hint)
    try:
        fail(" ".join(words), error, as_json="--json" in sys.argv)
    except typer.Exit as leaving:
        return leaving.exit_code
    return 2


def _known_words(typed: list[str]) -> list[str]:
    """Give the verb and noun that were typed, as far as there are such: a hint must name a command that exists."""
    known: list[str] = []
    command: object = typer.main.get_command(app)
    for word in typed:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            break
        known.append(word)
    return known
