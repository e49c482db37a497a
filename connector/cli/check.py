"""``connector preview segment``: being written."""

import typer

app = typer.Typer()
