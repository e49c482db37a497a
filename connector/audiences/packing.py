"""Digests as numbers: 64 hex digits in four 64-bit words, the 32 bytes the ledger keeps of each.

Works on whole columns; null stays null in every word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from connector.audiences.digest_set import Keys

WORDS: Final = 4
_AT_ONCE: Final = 1 << 16  # bytes to read at a time: what numpy makes of their places, 64 bits each, stays in the cache
_DIGITS: Final = np.frombuffer(b"0123456789abcdef", np.uint8)


def word_names(code: str) -> list[str]:
    """Name the four columns that hold the digest of ``code``."""
    return [f"{code}_{word}" for word in range(WORDS)]


def pack(digests: pl.Series, code: str) -> list[pl.Series]:
    """Turn a column of hex digests into four UInt64 columns, named by :func:`word_names`.

    >>> [word[0] for word in pack(pl.Series(["00" * 31 + "ff"]), "EMAIL")]
    [0, 0, 0, 255]
    """
    words = _read_words(digests)
    frame = pl.DataFrame({name: words[:, place] for place, name in enumerate(word_names(code))})
    if digests.null_count():
        frame = frame.select(pl.when(digests.is_not_null()).then(pl.all()))
    return frame.get_columns()


def unpack(frame: pl.DataFrame, code: str) -> pl.Series:
    """Turn the four columns of ``code`` back into hex digests, named ``code``."""
    words = [frame[name] for name in word_names(code)]
    there = words[0].is_not_null()
    block = np.stack([word.fill_null(0).to_numpy() for word in words], axis=1).astype(">u8").view(np.uint8)
    digits = np.empty((frame.height, 2 * block.shape[1]), np.uint8)
    digits[:, 0::2], digits[:, 1::2] = _DIGITS[block >> 4], _DIGITS[block & 15]
    digests = pl.Series(code, digits.reshape(-1).view("S64"), dtype=pl.Binary).cast(pl.String)
    return pl.select(pl.when(there).then(digests).alias(code)).to_series()


def keys_of_words(frame: pl.DataFrame, code: str) -> Keys:
    """Give a kept digest as a :class:`~connector.audiences.digest_set.DigestSet` looks it up: by its first 96 bits."""
    first, second = (frame[name] for name in word_names(code)[:2])
    present = first.is_not_null().to_numpy()
    return first.fill_null(0).to_numpy(), second.fill_null(0).to_numpy().astype(np.uint32), present


def keys_of_digests(digests: pl.Series) -> Keys:
    """Do the same for a column of hex digests."""
    return keys_of_words(pl.DataFrame(pack(digests, "cell")), "cell")


def _read_words(digests: pl.Series) -> NDArray[np.uint64]:
    """Read hex digests as numbers: a row of four words for each, zeros for a null."""
    text = digests.fill_null("0" * 16 * WORDS).str.join("").item() or ""
    pairs = np.frombuffer(text.encode(), "<u2")
    read = np.empty(len(pairs), np.uint8)
    for start in range(0, len(pairs), _AT_ONCE):
        here = slice(start, start + _AT_ONCE)
        _BYTES.take(pairs[here], out=read[here], mode="clip")  # no place is beyond the table: it needs no second look
    return read.view(">u8").reshape(-1, WORDS).astype(np.uint64)


def _byte_of_two_digits() -> NDArray[np.uint8]:
    """Make the table from two hex digits, as they lie in memory, to their byte."""
    table = np.zeros(65536, np.uint8)
    for value in range(256):
        first, second = f"{value:02x}".encode()
        table[first | second << 8] = value
    return table


_BYTES: Final = _byte_of_two_digits()
