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

from connector.errors import SourceError
from connector.profiles.cells import as_text
from connector.room import ROW_BYTES, row_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from connector.profiles.files import File

T = TypeVar("T")

SLICE_ROWS: Final = 262_144
FIRST_ROWS: Final = 2_048  # of a file: enough to see how long its cells are
SLICES: Final = 4  # frames of a slice: each slice costs a look at the file


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
        return tuple(self._asked(self._names))

    def frames(self, columns: Sequence[str], *, rows: int) -> Iterator[pl.DataFrame]:
        """Yield the named columns as text, at most ``rows`` at a time.

        Raises:
            SourceError: ``source.damaged``, ``source.type``.
        """
        pieces = self._remote(list(columns), rows) if self.file.remote else self._slices(list(columns), rows)
        for frame in pieces:
            yield from as_text(frame, null=self.null, file=self.name).iter_slices(rows)

    def height(self) -> int:
        """Count the rows, from what the file says of itself.

        Raises:
            SourceError: ``source.damaged``.
        """
        return self._asked(self._counted)

    def _slices(self, columns: list[str], rows: int) -> Iterator[pl.DataFrame]:
        total = self.height()
        most = max(rows, min(SLICE_ROWS, SLICES * rows) // rows * rows)
        start, step = 0, min(most, FIRST_ROWS)
        while start < total:
            frame = self._asked(partial(self._slice, columns, start, step))
            start += step
            # Long cells: as many rows as take what usual rows do, by the ones before.
            step = min(most, max(1, 2 * ROW_BYTES * rows // max(1, row_bytes(frame))))
            yield frame

    def _remote(self, columns: list[str], rows: int) -> Iterator[pl.DataFrame]:
        """Read an object front to back: every slice would fetch its whole row group again."""
        batches = self._asked(
            lambda: iter(self._scan().select(columns).collect_batches(chunk_size=rows, maintain_order=True))
        )
        while (frame := self._asked(lambda: next(batches, None))) is not None:
            yield frame

    def _scan(self) -> pl.LazyFrame:
        if self.parquet:
            return pl.scan_parquet(self.file.location, glob=False, hive_partitioning=False)
        return pl.scan_ipc(self.file.location, glob=False, hive_partitioning=False)

    def _names(self) -> list[str]:
        return self._scan().collect_schema().names()

    def _counted(self) -> int:
        return int(self._scan().select(pl.len()).collect().item())

    def _slice(self, columns: list[str], start: int, rows: int) -> pl.DataFrame:
        return self._scan().select(columns).slice(start, rows).collect(engine="streaming")

    def _asked(self, ask: Callable[[], T]) -> T:
        """Ask polars; its messages may hold cells, so that only their class is told."""
        try:
            return ask()
        except FileNotFoundError:
            problem, code = "is not there", "source.missing"
        except Exception as exc:  # noqa: BLE001  polars raises many kinds, its own and the system's
            kind = "Parquet" if self.parquet else "an Arrow IPC file (the stream format is another)"
            problem, code = f"cannot be read as {kind}: {type(exc).__name__}", "source.damaged"
        raise SourceError(problem, code=code, file=self.name)
