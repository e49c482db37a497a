"""How much an export holds at once: worked out from ``--memory`` before it begins, so that it stays below, or says what it needs.

What takes memory is of three kinds. Some is there in any case: Python, polars, the tables of the rules, what is remembered to
find duplicates. Some goes with the ledger: so many bytes a member. The rest goes with the rows of a frame, of which a few are
under way at any time; so those are as many as still fit. All figures were measured; `make bench` holds exports
against them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from connector.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection

    import polars as pl

FRAME_ROWS: Final = 32_768  # of a frame, with a gigabyte: twice as many cost a tenth less CPU
LEAST_ROWS, MOST_ROWS = 4_096, 131_072  # fewer cost three times the CPU, more gain nothing
ROW_BYTES: Final = 512  # that a row may take on average while it is raw; usual ones take a quarter of that
NARROW: Final = 4  # columns at most, of which twice as many rows take no more memory
GIGABYTE: Final = 1_000_000_000
_MEGABYTE: Final = 1_000_000
_STEP: Final = 1_024  # frames of whole thousands
_SAMPLES, _SAMPLE_ROWS = 8, 512  # stretches of a frame that are looked at for the size of its rows
# Bytes. What every export has, for each match key (its rules, the values that come often), for the numbering plans of phones.
_WHOLE, _OF_KEY, _OF_PHONES = 260 * _MEGABYTE, 10 * _MEGABYTE, 40 * _MEGABYTE
# Of all frames under way, for each row of one of them, and for each match key of it.
_ROW, _CELL = 1_600, 500
_MEMBER: Final = 31  # of the ledger, for each row


@dataclass(frozen=True, slots=True)
class Room:
    """How many ``rows`` a frame has; all else that waits or is under way is in proportion."""

    rows: int = FRAME_ROWS

    def share(self, most: int) -> int:
        """Give so much of ``most`` as there is room for, where ``most`` is right for frames of ``FRAME_ROWS`` or more.

        >>> Room(16_384).share(100_000), Room(65_536).share(100_000)
        (50000, 100000)
        """
        return min(most, max(1, most * self.rows // FRAME_ROWS))


def room_for(memory: int, *, codes: Collection[str], columns: int, members: int = 0, more: int = 0) -> Room:
    """Say how many rows a frame may have.

    Args:
        memory: What to stay below, in bytes.
        codes: The match keys that are mapped.
        columns: How many columns they are read from.
        members: How many rows the ledger has.
        more: What else is held meanwhile, in bytes.

    Raises:
        ConfigError: ``memory.little``: not even the smallest frames fit; says what would do.
    """
    row = _ROW + _CELL * len(codes)
    fixed = _WHOLE + _OF_KEY * len(codes) + (_OF_PHONES if "PHONE" in codes else 0) + _MEMBER * members + more
    fitting = (memory - fixed) // row
    if fitting < LEAST_ROWS:
        raise _little(memory, fixed + LEAST_ROWS * row, members)
    wished = FRAME_ROWS * memory // GIGABYTE * (2 if columns <= NARROW else 1)
    rows = max(LEAST_ROWS, min(MOST_ROWS, wished, fitting))
    return Room(max(1, rows // _STEP * _STEP) if rows > _STEP else rows)


def row_bytes(frame: pl.DataFrame) -> int:
    """Say how many bytes a row of a raw frame takes, by some of them: looking at all takes a fifth of the time of reading."""
    step = max(_SAMPLE_ROWS, frame.height // _SAMPLES)
    some = [frame.slice(start, _SAMPLE_ROWS) for start in range(0, frame.height, step)]
    rows = sum(piece.height for piece in some)
    return -(-sum(int(piece.estimated_size()) for piece in some) // max(1, rows))


def _little(memory: int, needed: int, members: int) -> ConfigError:
    why = (
        f"{members:,} profiles that were sent before, and compares with them"
        if members
        else "the rules and the tables of its match keys"
    )
    least = -(-needed // (50 * _MEGABYTE)) * 50
    return ConfigError(
        f"--memory {memory // _MEGABYTE}MB is too little: this export holds {why}",
        code="memory.little",
        hint=f"Give it --memory {least}MB. Nothing was sent, and nobody taken out.",
    )
