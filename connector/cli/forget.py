"""``connector forget``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Group
from rich.markup import escape

from connector.cli import render
from connector.cli.answer import Answer, respond, stop_on_signals
from connector.cli.options import HERE, Json, Workspace, Yes
from connector.config import Config
from connector.errors import ConfigError, GuardError
from connector.forgetting import Certificate, Place, forget_person

KINDS = {"email": "email", "phone": "phone", "external_id": "external-id"}
_NOBODY = (
    "There is no audience.",
    "The one audience there is does not hold them.",
    "None of the {} audiences holds them.",
)
WORDS = {"removed": "removed", "open": "open", "out_of_reach": "out of reach"}


def forget(
    email: Annotated[list[str] | None, typer.Option("--email", help="An e-mail address, or its SHA-256.")] = None,
    phone: Annotated[list[str] | None, typer.Option("--phone", help="A phone number, or its SHA-256.")] = None,
    external_id: Annotated[list[str] | None, typer.Option("--external-id", help="An id of your own.")] = None,
    country: Annotated[
        str | None, typer.Option("--country", help="The country of a phone without a country code, as two letters.")
    ] = None,
    stdin: Annotated[
        bool,
        typer.Option("--stdin", help="Read lines such as `email ada@example.com`: nothing in the shell's history."),
    ] = False,
    new_list: Annotated[
        bool,
        typer.Option("--new-list", help="The key is lost: begin the list anew with all who were ever forgotten."),
    ] = False,
    yes: Yes = False,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Take people out of every audience and never let them in again; prints a certificate.

    Every option may be given several times. What stands in the certificate are counts, audiences, times and run ids, no value.
    """

    def work() -> Answer:
        given = {"email": list(email or ()), "phone": list(phone or ()), "external_id": list(external_id or ())}
        if stdin:
            _read_lines(given)
        config = Config.load(workspace)
        if not yes:
            _confirm(sum(map(len, given.values())), stdin=stdin, new_list=new_list)
        with stop_on_signals() as stop:
            done = forget_person(
                config, emails=given["email"], phones=given["phone"], external_ids=given["external_id"],
                country=country, new_list=new_list, stop=stop,
            )  # fmt: skip
        return Answer({"certificate": done.to_json()}, _shown(done), done.exit_code)

    respond("forget", work, as_json=as_json)


def _read_lines(given: dict[str, list[str]]) -> None:
    """Take ``kind value`` lines; a wrong one is named by its number, never repeated."""
    for number, line in enumerate(sys.stdin, start=1):
        kind, _, value = line.strip().partition(" ")
        name = kind.lower().rstrip(":").replace("-", "_")
        if not line.strip():
            continue
        if name not in given or not value.strip():
            raise ConfigError(
                "this is not a kind and a value",
                code="forget.line",
                file="stdin",
                line=number,
                hint=f"A line begins with one of {', '.join(KINDS.values())}, then a blank, then the value.",
            )
        given[name].append(value.strip())


def _confirm(people: int, *, stdin: bool, new_list: bool) -> None:
    whole = " Whoever else was forgotten before may be sent again." if new_list else ""
    asked = (
        f"{people} identifiers leave every audience and can never be sent again.{whole} There is no way back. Go on?"
    )
    terminal = sys.stdin.isatty() and not stdin
    if people and not (terminal and typer.confirm(asked, err=True)):
        raise GuardError(
            "not confirmed: nobody was forgotten", code="forget.not_confirmed", hint="In a script say --yes."
        )


def _shown(done: Certificate) -> Group:
    asked = ", ".join(f"{count} {KINDS[kind]}" for kind, count in done.asked.items())
    rows = [_row(place) for place in done.places]
    columns = ("AUDIENCE", "TITLE", "DESTINATION", "OUTCOME", "PROFILES", "IDENTIFIERS", "AT (UTC)", "RUN")
    parts = [
        f"[bold]Certificate[/]  [dim]{done.at[:19]} UTC · {escape(done.by)}[/]",
        f"Asked for: {asked}. They are never sent again, in any mode.",
        "",
        render.table(columns, rows, empty=_NOBODY[min(done.audiences_searched, 2)].format(done.audiences_searched)),
    ]
    for place in done.places:
        if place.outcome != "removed":
            hint = f" {escape(place.hint)}" if place.hint else ""
            parts.append(
                f"[yellow]{WORDS[place.outcome]}[/] {place.audience_id}: {escape((place.message or '').rstrip('.'))}.{hint}"
            )
    if done.exit_code:
        parts.append("What is open is finished by typing this again, or by the next export to that audience.")
    return Group(*parts)


def _row(place: Place) -> tuple[object, ...]:
    return (
        place.audience_id, place.audience_name, place.destination, WORDS[place.outcome], place.profiles,
        place.identifiers, place.at[:19].replace("T", " "), place.run,
    )  # fmt: skip
