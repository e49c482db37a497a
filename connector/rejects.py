"""Which profiles of a run were left out, and why: kept for ``show run --rejects`` as row numbers and masked ids only.

A profile is named by its row in the source as it was read (from 1, after ``where``) and its masked external id. One file of
mode 0600 per run. Must not know attributes: an id is masked when it is noted, never later.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from connector.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MOST_KEPT = 100_000  # of each reason; more are counted only
REJECTED = "rejected"  # the reason of those that Meta refuses; the others are the report's
_SCHEMA = {"row": pl.UInt32, "reason": pl.String, "external_id": pl.String}
_PLAIN = r"^[A-Za-z0-9]{5,31}$"  # the most common ids: shorter than a digest, and nothing to leave out
_DIGEST = r"^(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64})$"


@dataclass(slots=True)
class Rejects:
    """What a run notes while it goes on."""

    counted: Counter[str] = field(default_factory=Counter)
    _parts: list[pl.DataFrame] = field(default_factory=list)

    def note(self, reason: str, rows: pl.Series, ids: pl.Series | None) -> None:
        """Note profiles by row number and, where it is mapped, external id."""
        room = MOST_KEPT - self.counted[reason]
        self.counted[reason] += rows.len()
        if room <= 0 or not rows.len():
            return
        masked = None if ids is None else mask_ids(ids.head(room))
        cells = pl.DataFrame({"row": rows.head(room).cast(pl.UInt32)}).with_columns(reason=pl.lit(reason))
        known = pl.lit(None, dtype=pl.String) if masked is None else masked
        self._parts.append(cells.with_columns(known.alias("external_id")))

    def write(self, folder: Path, run_id: str, *, older: Iterable[str] = ()) -> None:
        """Write the run's file and drop those of ``older`` runs.

        Raises:
            OSError: the file cannot be written.
        """
        for run in older:
            (folder / f"{run}.parquet").unlink(missing_ok=True)
        if not self._parts:
            return
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{run_id}.parquet"
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123  a mode at creation
            pl.concat(self._parts).sort("row", maintain_order=True).write_parquet(file)
        beside.replace(path)


def rejects_folder(root: Path) -> Path:
    """Name the folder of a workspace's reject files."""
    return root / ".connector" / "rejects"


def read_rejects(folder: Path, run_id: str) -> pl.DataFrame:
    """Read what is kept of a run: ``row``, ``reason``, ``external_id`` (masked, null where none is mapped), by row.

    Empty when nobody was left out, or when the run is too old to be kept.

    Raises:
        SourceError: the file cannot be read.
    """
    path = folder / f"{run_id}.parquet"
    if not path.exists():
        return pl.DataFrame(schema=_SCHEMA)
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError):
        raise SourceError(f"{path} cannot be read", code="rejects.unreadable") from None


def mask_ids(ids: pl.Series) -> pl.Series:
    """Hide ids: the first two letters or digits of five or more stay; a digest shows nothing. As ``profiles.masking`` does.

    >>> mask_ids(pl.Series(["C-10482", "4711", " ", "0" * 64, None])).to_list()
    ['C1***', '***', '(blank)', '(a digest)', None]
    """
    plain = ids.str.contains(_PLAIN).fill_null(value=False)
    masked = ids.alias("id").to_frame().select(pl.col("id").str.slice(0, 2) + "***").to_series()
    others = (~plain).arg_true()
    return masked.scatter(others, _masked(ids.gather(others))) if len(others) else masked


def _masked(ids: pl.Series) -> pl.Series:
    cell = pl.col("id").str.normalize("NFC").str.strip_chars()
    visible = cell.str.replace_all(r"[^\p{Alphabetic}\p{N}]", "")
    shown = (
        pl.when(cell == "")
        .then(pl.lit("(blank)"))
        .when(cell.str.contains(_DIGEST))
        .then(pl.lit("(a digest)"))
        .when(visible.str.len_chars() >= 5)
        .then(visible.str.slice(0, 2) + "***")
        .when(cell.is_not_null())
        .then(pl.lit("***"))
    )
    return ids.alias("id").to_frame().select(shown).to_series()
