"""Whom a ledger slice holds, in memory: sorted fingerprints, 22 bytes each, and who of them was met in the source.

Works on numbers only. Sees fingerprints, never attributes or digests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNKNOWN = -1


@dataclass(slots=True)
class Members:
    """The live rows of a slice, sorted by ``high``.

    ``place`` is a row's place in the slice's live parts, put behind each other; ``held`` says that Meta acknowledged it;
    ``rows`` how many rows it sent; ``sent`` the day (since 1970); ``met`` that the source still has it.
    """

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    place: NDArray[np.uint32]
    rows: NDArray[np.uint8]
    sent: NDArray[np.int32]
    held: NDArray[np.bool_]
    met: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.high)

    @property
    def gone(self) -> NDArray[np.int64]:
        """Who was not met."""
        return np.flatnonzero(~self.met)

    def find(self, prints: pl.DataFrame) -> NDArray[np.int64]:
        """Give for each fingerprint its member's number, or ``UNKNOWN``."""
        high, low = prints["high"].to_numpy(), prints["low"].to_numpy()
        if not len(self.high):
            return np.full(len(high), UNKNOWN, dtype=np.int64)
        order = np.argsort(high)
        at = np.empty(len(high), dtype=np.int64)
        at[order] = np.searchsorted(self.high, high[order])
        np.minimum(at, len(self.high) - 1, out=at)
        # Two fingerprints that share their upper half lie beside each other: look at the next one too.
        following = np.minimum(at + 1, len(self.high) - 1)
        second = (self.high[following] == high) & (self.low[following] == low)
        first = (self.high[at] == high) & (self.low[at] == low)
        return np.where(first, at, np.where(second, following, UNKNOWN))

    def meet(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mark the members as met; true for those that were met before, in an earlier frame or earlier in this one."""
        known = numbers != UNKNOWN
        again = np.zeros(len(numbers), dtype=bool)
        again[known] = self.met[numbers[known]]
        first = np.zeros(len(numbers), dtype=bool)
        where = np.flatnonzero(known)
        first[where[np.unique(numbers[where], return_index=True)[1]]] = True
        again |= known & ~first
        self.met[numbers[known]] = True
        return again


def members_of(prints: pl.DataFrame) -> Members:
    """Make members of bare fingerprints, to look others up among them."""
    table = (
        prints.select("high", "low")
        .unique()
        .with_columns(
            pl.lit(1, dtype=pl.UInt8).alias("rows"),
            pl.lit(0, dtype=pl.Int32).alias("sent"),
            pl.lit(2, dtype=pl.UInt8).alias("state"),
            pl.lit(0, dtype=pl.UInt32).alias("place"),
        )
    )
    return _members(table.sort("high", "low"))


def read_members(parts: list[pl.DataFrame], kinds: list[str], held: list[int]) -> tuple[Members, list[int]]:
    """Put parts together, in the order they were written: later parts overrule earlier ones.

    Args:
        parts: ``high``, ``low``, ``rows``, ``sent`` of each part; a ``gone`` part has ``high`` and ``low`` only.
        kinds: ``rows`` or ``gone``, for each part.
        held: How many of its first rows are acknowledged, for each part.

    Returns:
        The members, and for each part the place of its first row (parts that are ``gone`` take no place).
    """
    starts, frames, place = [], [], 0
    for number, (part, kind, first) in enumerate(zip(parts, kinds, held, strict=True)):
        starts.append(place)
        frames.append(_gone(part, number) if kind == "gone" else _written(part, number, first, place))
        place += 0 if kind == "gone" else part.height
    if not frames:
        return _members(pl.DataFrame(schema=_SCHEMA)), starts
    table = pl.concat(frames, rechunk=True)
    if "gone" in kinds or any(p.height > h for p, k, h in zip(parts, kinds, held, strict=True) if k != "gone"):
        table = _settled(table)
    return _members(table.sort("high", "low")), starts


def _written(part: pl.DataFrame, number: int, held: int, place: int) -> pl.DataFrame:
    at = pl.int_range(0, part.height, dtype=pl.UInt32, eager=True)
    return part.select(
        "high", "low", "rows", "sent",
        pl.select(pl.when(at < held).then(2).otherwise(1).cast(pl.UInt8).alias("state")).to_series(),
        pl.lit(number, dtype=pl.UInt32).alias("number"),
        (at + place).alias("place"),
    )  # fmt: skip


def _gone(part: pl.DataFrame, number: int) -> pl.DataFrame:
    return part.select(
        "high", "low",
        pl.lit(0, dtype=pl.UInt8).alias("rows"),
        pl.lit(0, dtype=pl.Int32).alias("sent"),
        pl.lit(0, dtype=pl.UInt8).alias("state"),
        pl.lit(number, dtype=pl.UInt32).alias("number"),
        pl.lit(0, dtype=pl.UInt32).alias("place"),
    )  # fmt: skip


_SCHEMA = {
    "high": pl.UInt64, "low": pl.UInt64, "rows": pl.UInt8, "sent": pl.Int32, "state": pl.UInt8, "number": pl.UInt32,
    "place": pl.UInt32,
}  # fmt: skip


def _settled(table: pl.DataFrame) -> pl.DataFrame:
    """Keep, of rows with one fingerprint, the last that counts: ``gone`` ends what was before it, ``held`` beats ``intended``."""
    twice = table.select(pl.struct("high", "low").is_duplicated().alias("twice"))["twice"] | (table["state"] == 0)
    alone, met = table.filter(~twice), table.filter(twice)
    ended = met.filter(pl.col("state") == 0).group_by("high", "low").agg(pl.col("number").max().alias("ended"))
    alive = (
        met.join(ended, on=["high", "low"], how="left")
        .filter((pl.col("state") > 0) & (pl.col("number") > pl.col("ended").fill_null(-1)))
        .drop("ended")
        .sort("state", "number")
        .unique(["high", "low"], keep="last", maintain_order=True)
    )
    return pl.concat([alone, alive])


def _members(table: pl.DataFrame) -> Members:
    return Members(
        high=table["high"].to_numpy(),
        low=table["low"].to_numpy(),
        place=table["place"].to_numpy(),
        rows=table["rows"].to_numpy(),
        sent=table["sent"].to_numpy(),
        held=(table["state"] == 2).to_numpy(),
        met=np.zeros(table.height, dtype=bool),
    )
