"""A column of digits as whole numbers: what makes phones fast.

Owns the arithmetic: up to 18 digits are held as their value and their count, so that taking a prefix off or putting a
country code before is a division and no text operation. It knows no plan and no rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

Flags: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.int64]

MOST = 18
"""Digits that fit beside a leading 1 into 64 bits."""

_POWERS: Ints = 10 ** np.arange(MOST + 1, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Digits:
    """A column of strings of digits, each with a plan to be read by: three arrays of equal length.

    ``value`` is the string as a number, ``count`` how many digits it has (so that leading zeros are not lost), ``plan``
    an index that means something to the caller.
    """

    value: Ints
    count: Ints
    plan: Ints

    @classmethod
    def of(cls, text: pl.Series, plan: Ints) -> Digits:
        """Take a column of ASCII digits, at most 18 each, possibly none, no nulls."""
        value = text.cast(pl.Int64, strict=False).fill_null(0)
        return cls(value.to_numpy(), text.str.len_bytes().cast(pl.Int64).to_numpy(), plan)

    def __len__(self) -> int:
        return len(self.value)

    def text(self) -> pl.Series:
        """Write the digits as text again."""
        return pl.Series(self.marked()).cast(pl.String).str.slice(1)

    def marked(self) -> Ints:
        """Put a 1 before the digits, which keeps their leading zeros."""
        return self.value + _POWERS[self.count]

    def __getitem__(self, rows: Ints | Flags) -> Digits:
        return Digits(self.value[rows], self.count[rows], self.plan[rows])

    def leading(self, count: Ints | int) -> Ints:
        """Give the first ``count`` digits as a number; -1 where there are fewer."""
        rest = self.count - count
        return np.where(rest >= 0, self.value // _POWERS[np.maximum(rest, 0)], -1)

    def without(self, count: Ints | int) -> Digits:
        """Take the first ``count`` digits off; nothing is left where there are fewer."""
        rest = np.maximum(self.count - count, 0)
        return Digits(self.value % _POWERS[rest], rest, self.plan)

    def behind(self, prefix: Ints) -> Ints:
        """Put a number before each; the result must stay within 18 digits, so put 0 before what is longer."""
        return prefix * _POWERS[self.count] + self.value

    def where(self, condition: Flags, other: Digits) -> Digits:
        """Give these digits where the condition holds and the other ones elsewhere; plans as well."""
        pairs = ((self.value, other.value), (self.count, other.count), (self.plan, other.plan))
        return Digits(*(np.where(condition, ours, theirs) for ours, theirs in pairs))

    def by_plan(self, plan: Ints) -> Digits:
        """Give the same digits, to be read by another plan."""
        return Digits(self.value, self.count, plan)


def joined(*columns: Digits) -> Digits:
    """Put columns below one another."""
    return Digits(*(np.concatenate([getattr(c, name) for c in columns]) for name in ("value", "count", "plan")))
