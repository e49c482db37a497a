"""One file per verb; render.py holds every print."""

from connector.cli.allocators import settle

settle()  # before any of them loads polars
