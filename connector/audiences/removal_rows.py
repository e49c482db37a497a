"""Rows that take people out of an audience, each schema for itself: Meta takes one schema a session.

Knows rows, not who they are of: that is worked out in ``removals.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from connector.audiences.ledger_rows import MASK_ORDER
from connector.hashing import Hashed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

STRONG: Final = ("EMAIL", "PHONE")
ID: Final = "EXTERN_ID"
NAME_NOBODY: Final = frozenset({*STRONG, ID, "MADID", "LOOKALIKE_VALUE", "DATA_PROCESSING_OPTIONS"})
_CELL: Final = 100  # bytes of a digest as text


@dataclass(frozen=True, slots=True)
class Removal:
    """So many rows (``height``) of one schema to take out; ``frames`` gives them, from the start each time."""

    schema: tuple[str, ...]
    height: int
    frames: Callable[[], Iterator[Hashed]]

    @classmethod
    def of(cls, rows: Hashed) -> Removal:
        """Take out these rows, by all of their columns."""
        return cls(tuple(rows.columns), rows.height, lambda: iter([rows]))

    def head(self, rows: int) -> Removal:
        """Keep at most so many rows."""
        return self if self.height <= rows else Removal(self.schema, rows, lambda: _heads(self.frames(), rows))


def removal_rows(hashed: Hashed) -> list[Removal]:
    """Take out people as they stand in ``hashed`` (mode ``remove``): by e-mail, else phone, else the full row."""
    found = []
    left: pl.DataFrame = hashed
    for code in STRONG:
        if code in left.columns:
            there = left.filter(pl.col(code).is_not_null())
            found.append(Removal.of(Hashed(there.select(code))))
            left = left.filter(pl.col(code).is_null())
    rest = [code for code in MASK_ORDER if code in left.columns and code not in NAME_NOBODY]
    if rest:
        found.append(Removal.of(Hashed(left.select(rest))))
    return concat_removals(found)


def concat_removals(parts: Iterable[Removal]) -> list[Removal]:
    """Put removals of the same schema together, each identifier once; those without any are left out."""
    found: dict[tuple[str, ...], list[pl.DataFrame]] = {}
    for part in parts:
        if part.height:
            found.setdefault(part.schema, []).extend(part.frames())
    return [Removal.of(Hashed(pl.concat(frames).unique(maintain_order=True))) for _, frames in sorted(found.items())]


def first_rows(removals: Iterable[Removal], limit: int | None) -> list[Removal]:
    """Keep at most ``limit`` rows in all."""
    kept, left = [], limit
    for removal in removals:
        mine = removal if left is None else removal.head(left)
        left = None if left is None else left - mine.height
        kept += [mine] if mine.height else []
    return kept


def size_of(removals: Iterable[Removal]) -> int:
    """Say about how many bytes these rows take while they wait."""
    return sum(_CELL * len(removal.schema) * removal.height for removal in removals)


def _heads(frames: Iterator[Hashed], rows: int) -> Iterator[Hashed]:
    for frame in frames:
        if rows > 0:
            yield Hashed(frame.head(rows))
        rows -= frame.height
