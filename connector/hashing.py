"""SHA-256 of every column not declared plain: the line between people and Meta.

Left of this module stand raw attributes and match keys, right of it digests and plain ids. It knows nothing of
either side: a frame of text goes in, a frame of digests comes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NewType

import polars as pl
import polars_hash as plh

if TYPE_CHECKING:
    from collections.abc import Collection

Hashed = NewType("Hashed", pl.DataFrame)
"""A frame of digests and plain ids. Only :func:`hash_columns` makes one."""

DIGEST = r"^[0-9a-f]{64}$"
"""What a SHA-256 looks like here: rules lower-case it before it arrives."""


def hash_columns(keys: pl.DataFrame, *, plain: Collection[str]) -> Hashed:
    """Replace every text column not named in ``plain`` by its SHA-256, 64 lower-case hex digits.

    Args:
        keys: One column per match key, normalised. A blank is null.
        plain: Names of columns that leave as they are (ids, numbers, flags).

    Returns:
        The same height and column order. Null stays null; an empty cell becomes null, so that the digest of nothing
        can never leave. A cell that holds a SHA-256 already passes as it is (match-keys.md, principle 4).
    """
    hashed = [
        _digest_of(name) if dtype == pl.String and name not in plain else pl.col(name)
        for name, dtype in keys.schema.items()
    ]
    return Hashed(keys.select(hashed))


def _digest_of(name: str) -> pl.Expr:
    cell = pl.col(name)
    return (
        pl.when(cell == "")
        .then(None)
        .when(cell.str.contains(DIGEST))
        .then(cell)
        .otherwise(plh.col(name).chash.sha2_256())
        .alias(name)
    )
