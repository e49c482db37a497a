"""The options that many commands share, declared once."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from connector.config import read_duration
from connector.errors import ConfigError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON envelope instead of text.")]
Workspace = Annotated[
    Path, typer.Option("--workspace", "-w", help="The folder of connector.yaml.", show_default="this folder")
]
HERE = Path()
To = Annotated[str | None, typer.Option("--to", help="The destination; all that the segment names without it.")]

MaxWait = Annotated[
    str, typer.Option("--max-wait", metavar="SPAN", help="How long to wait for Meta in all: 90s, 30m, 2h.")
]
Memory = Annotated[
    str, typer.Option("--memory", metavar="SIZE", help="Memory to stay below: 500MB, 2GB. More is faster.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def read_span(text: str, flag: str) -> timedelta:
    """Read the value of a flag that takes a time span."""
    try:
        return read_duration(text)
    except ValueError as wrong:
        raise ConfigError(f"{flag}: {wrong}", code="usage", hint=f"For example {flag} 30m") from None


def read_size(text: str, flag: str) -> int:
    """Read the value of a flag that takes an amount of memory: ``500MB``, ``2GB``, ``1.5G``."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([MG])B?\s*", text, re.IGNORECASE)
    if found is None:
        raise ConfigError(f"{flag}: a size is a number and MB or GB", code="usage", hint=f"For example {flag} 500MB")
    return int(float(found[1]) * {"M": 1_000_000, "G": 1_000_000_000}[found[2].upper()])
