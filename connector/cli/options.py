"""The options that many commands share, declared once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from connector.config import read_duration

Json = Annotated[bool, typer.Option("--json", help="Print one JSON envelope instead of text.")]
Workspace = Annotated[
    Path, typer.Option("--workspace", "-w", help="The folder of connector.yaml.", show_default="this folder")
]
HERE = Path()
To = Annotated[str | None, typer.Option("--to", help="The destination; all that the segment names without it.")]


def _span(text: str) -> timedelta:
    try:
        return read_duration(text)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from None


MaxWait = Annotated[
    timedelta,
    typer.Option("--max-wait", parser=_span, metavar="SPAN", help="How long to wait for Meta in all: 90s, 30m, 2h."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
