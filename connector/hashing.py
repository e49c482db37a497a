"""SHA-256 of every column not declared plain: the line between people and Meta.

Left of this module stand raw attributes and match keys, right of it digests and plain ids. It knows nothing of
either side: a frame of text goes in, a frame of digests comes out.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NewType, cast

import polars as pl
import polars_hash as plh

from connector.memo import Memo

if TYPE_CHECKING:
    from collections.abc import Collection


Hashed = NewType("Hashed", pl.DataFrame)
"""A frame of digests and plain ids. Only a :class:`Hasher` makes one of text."""

DIGEST_BYTES = 64
SAMPLE = 4096
FEW = 0.8  # share of different cells in the sample, at most, for a column to be looked up
DIGEST = r"^[0-9a-f]{64}$"
"""What a SHA-256 looks like here: rules lower-case it before it arrives."""


class Hasher:
    """Hashes frame after frame. Values that come often are hashed once in its life, by any thread."""

    def __init__(self, plain: Collection[str]) -> None:
        self._plain = plain
        self._memos: dict[str, Memo] = {}

    def of(self, keys: pl.DataFrame) -> Hashed:
        """Replace every text column that is not plain by its SHA-256; as :func:`hash_columns` does."""
        texts = [name for name, dtype in keys.schema.items() if dtype == pl.String and name not in self._plain]
        few = [name for name in texts if name in self._memos or _holds_few(keys[name])]
        many = [name for name in texts if name not in few]
        once = [self._memo(name).of(keys.select(name)).alias(name) for name in few]
        return Hashed(keys.with_columns(*_digests(keys, many), *once))

    def _memo(self, name: str) -> Memo:
        work = partial(_hashed, name=name)
        return self._memos.get(name) or self._memos.setdefault(name, Memo(work))


def hash_columns(keys: pl.DataFrame, *, plain: Collection[str]) -> Hashed:
    """Replace every text column not named in ``plain`` by its SHA-256, 64 lower-case hex digits.

    Args:
        keys: One column per match key, normalised. A blank is null.
        plain: Names of columns that leave as they are (ids, numbers, flags).

    Returns:
        The same height and column order. Null stays null; an empty cell becomes null, so that the digest of nothing
        can never leave. A cell that holds a SHA-256 already passes as it is (match-keys.md, principle 4).
    """
    return Hasher(plain).of(keys)


def _holds_few(column: pl.Series) -> bool:
    """Tell by the beginning of a column whether it holds far fewer different cells than rows, as countries do."""
    return column.len() > SAMPLE and column.head(SAMPLE).n_unique() < SAMPLE * FEW


def _digests(keys: pl.DataFrame, texts: list[str]) -> list[pl.Expr]:
    odd = _hold_a_digest_or_nothing(keys, texts)
    return [_careful(name) if name in odd else plh.col(name).chash.sha2_256() for name in texts]


def _hashed(keys: pl.DataFrame, *, name: str) -> pl.Series:
    return keys.select(_digests(keys, [name])).to_series()


def _hold_a_digest_or_nothing(keys: pl.DataFrame, texts: list[str]) -> set[str]:
    """Name the columns with a cell of 64 bytes or of none: the others need no second look, which is most of them."""
    length = pl.col(texts).str.len_bytes()
    found = keys.select(((length == DIGEST_BYTES) | (length == 0)).any()) if texts else pl.DataFrame()
    return {name for name in texts if found[name].item()}


def _careful(name: str) -> pl.Expr:
    cell = pl.col(name)
    raw = pl.when((cell != "") & ~cell.str.contains(DIGEST)).then(cell).alias(name)
    return pl.when(cell.str.contains(DIGEST)).then(cell).otherwise(_sha256(raw)).alias(name)


def _sha256(cell: pl.Expr) -> pl.Expr:
    return cast("plh.HExpr", cell).chash.sha2_256()
