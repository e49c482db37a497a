"""``connector explain``: one value or many, through the very code that exports run."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.markup import escape

from connector.cli import render
from connector.cli.answer import Answer, fail, respond
from connector.cli.options import Json
from connector.errors import ConfigError
from connector.profiles.steps import Explanation, explain, explain_many

AT_ONCE = 4096


def explain_value(
    key: Annotated[str | None, typer.Argument(help="A match key: email, PHONE, first_name, …")] = None,
    value: Annotated[str | None, typer.Argument(help="One value, as it stands in your data.")] = None,
    country: Annotated[
        str | None, typer.Option("--country", help="The row's country, for phone, state and postal code.")
    ] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read JSON lines, write JSON lines.")] = False,
    as_json: Json = False,
) -> None:
    """Show every rule applied to a value, step by step, to the digest. Nothing is stored or sent.

    --stdin takes lines like {"id": 1, "key": "PHONE", "value": "06 12 34 56 78", "country": "FR"}.
    """
    if stdin:
        try:
            _explain_lines()
        except ConfigError as error:
            fail("explain", error, as_json=as_json)
        return

    def work() -> Answer:
        if key is None or value is None:
            raise ConfigError(
                "explain takes a match key and a value",
                code="usage",
                hint='connector explain email " Mary@Example.com "',
            )
        found = explain(key, value, country=country)
        return Answer(found.to_json(), _shown(found, value))

    respond("explain", work, as_json=as_json)


def _shown(found: Explanation, value: str) -> str:
    lines = [f"[bold]{found.key}[/]  {escape(value)}"]
    width = max((len(step.name) for step in found.steps), default=0)
    lines += [f"  {step.name:<{width}}  [dim]→[/] {escape(step.value)}" for step in found.steps]
    if found.parts:
        for code, part in found.parts.items():
            lines.append(f"  [bold]{code}[/]  {part['normalised'] or 'blank'}  [dim]{part['sha256'] or ''}[/]")
    if found.normalised is None:
        lines.append(f"[yellow]blank[/]: {found.reason}. Nothing is sent for it, and no hash of nothing either.")
    else:
        lines.append(f"[green]{escape(found.normalised)}[/]")
        lines.append(found.sha256 or "[dim]sent as it is, not hashed[/]")
    return "\n".join(lines)


def _explain_lines() -> None:
    waiting: list[tuple[int, str]] = []
    for number, line in enumerate(sys.stdin, start=1):
        if line.strip():
            waiting.append((number, line))
        if len(waiting) == AT_ONCE:
            render.lines(_explained(waiting))
            waiting = []
    render.lines(_explained(waiting))


def _explained(numbered: list[tuple[int, str]]) -> list[str]:
    asked = [_asked(number, line) for number, line in numbered]
    found = explain_many([(item["key"], item.get("value"), item.get("country")) for item in asked])
    return [
        json.dumps({**({"id": item["id"]} if "id" in item else {}), **result.to_json()}, ensure_ascii=False)
        for item, result in zip(asked, found, strict=True)
    ]


def _asked(number: int, line: str) -> dict[str, Any]:
    try:
        item = json.loads(line)
    except ValueError:
        item = None
    if not isinstance(item, dict) or not isinstance(item.get("key"), str):
        raise ConfigError(
            'this is not a JSON object with a "key"',
            code="explain.line",
            file="stdin",
            line=number,
            hint='For example {"key": "EMAIL", "value": " Mary@Example.com "}',
        )
    return item
