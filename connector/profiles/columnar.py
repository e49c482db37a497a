"""Parquet and Arrow files, read in slices.

Owns how a columnar file is read in flat memory: polars decodes whole row groups ahead when it is asked for batches
(1.2 GB for three million rows in row groups of one million), but only the pages it needs for a slice (0.3 GB, the same
speed). Must not know what a column means.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import polars as pl

from connector.errors import ConnectorError, SourceError
from connector.profiles.cells import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from connector.profiles.files import File

T = TypeVar("T")

SLICE_ROWS: Final = 131_072


@dataclass(frozen=True, slots=True)
class ColumnarFile:
    """One Parquet or Arrow IPC file."""

    file: File
    parquet: bool
    null: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What messages call the file."""
        return self.file.name

    def columns(self) -> tuple[str, ...]:
        """Return the column names in file order.

        Raises:
            SourceError: ``source.damaged``.
        """
        return tuple(self._asked(lambda: self._scan().collect_schema().names()))

    def frames(self, columns: Sequence[str], *, rows: int) -> Iterator[pl.DataFrame]:
        """Yield the named columns as text, at most ``rows`` at a time.

        Raises:
            SourceError: ``source.damaged``, ``source.type``.
        """
        lazy = self._scan().select(columns)
        total = self._asked(lambda: int(self._scan().select(pl.len()).collect().item()))
        step = max(rows, SLICE_ROWS // rows * rows)
        for start in range(0, total, step):
            frame = self._asked(partial(lazy.slice(start, step).collect, engine="streaming"))
            yield from as_text(frame, null=self.null, file=self.name).iter_slices(rows)

    def _scan(self) -> pl.LazyFrame:
        scan = pl.scan_parquet if self.parquet else pl.scan_ipc
        return self._asked(lambda: scan(self.file.location, glob=False, hive_partitioning=False))

    def _asked(self, ask: Callable[[], T]) -> T:
        """Ask polars; its messages may hold cells, so that only their class is told."""
        try:
            return ask()
        except ConnectorError:
            raise
        except Exception as exc:  # noqa: BLE001  polars raises many kinds, its own and the system's
            problem = type(exc).__name__
        raise SourceError(
            f"cannot be read as {'Parquet' if self.parquet else 'Arrow IPC'} ({problem})",
            code="source.damaged",
            file=self.name,
        )
