"""The options that many commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON envelope instead of text.")]
Workspace = Annotated[
    Path, typer.Option("--workspace", "-w", help="The folder of connector.yaml.", show_default="this folder")
]
HERE = Path()
To = Annotated[str | None, typer.Option("--to", help="The destination; all that the segment names without it.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
