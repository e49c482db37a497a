"""What was dialled: from the text of a phone to its digits and its plus, for whole columns.

Owns the shapes of text that are read at column speed, and leaves every other shape alone: whoever calls asks
``phone_numbers.py`` for those. It knows no country.
"""

from __future__ import annotations

import unicodedata

import polars as pl

from connector.profiles.phone_digits import MOST

# What may stand between digits and means nothing. What is left must be digits, with one plus in front at most: then
# nothing in the text is an extension, a letter or a second number to libphonenumber.
_PUNCTUATION = [" ", "-", ".", "(", ")", "/", "[", "]"]
# The library skips to the first plus or digit ("tel: ", "m. ") and drops trailing signs. A semicolon may be RFC 3966.
_HEAD = r"^[\x00-\x7F&&[^0-9+;]]+"
_TAIL = r"[\x00-\x7F&&[^0-9A-Za-z#+;]]+$"
# The unmistakable part of the library's extensions, after a number that ends in a digit or a bracket. What follows a
# semicolon is one as well, be it another number. Five digits: behind a 00 that is a plus, three make a number.
_NUMBER = r"\+*(?:[0-9][ ().\-/\[\]]*){4,}[0-9]\)?"
_EXTENSION = rf"^({_NUMBER})(?:[ ,]*(?:extension|extn|ext|x|#)[.:]? ?[0-9]{{1,7}}| ?; ?[0-9]{{1,15}})$"
# A plus after digits begins a second number: the library reads neither, whatever the country. (Behind "/ x" it would.)
_SECOND_PLUS = r"^[^;x\\]*[1-9][^;x\\]*\+[^;x\\]*[0-9]$"
# Signs the library takes as punctuation inside a number, and its other plus.
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d\uff0e\uff0f\u3000\u00a0\uff08\uff09\uff3b\uff3d"
_SIGNS = dict.fromkeys(_DASHES, "-") | {"\uff0b": "+"}
# Longer texts come near the library's limit of 250 characters.
_LONGEST_TEXT = 100
_TEXT = pl.col("text")


def dialled(phones: pl.Series) -> pl.DataFrame:
    """Read the digits of a column of cleaned phones.

    Returns:
        A frame as high as the column: ``value`` and ``count`` of the digits, 3 to 18, as ``Digits`` has them (null where
        the text needs the library), ``plus`` (whether a plus stands before them), and ``refused`` where the library
        sees no number.
    """
    plain = _plain(phones.alias("text").to_frame(), _TEXT)
    odd = (phones.is_not_null() & plain["value"].is_null()).arg_true()
    if odd.is_empty():
        return plain
    core = in_ascii(phones.gather(odd)).alias("text").to_frame()
    core = core.select(_TEXT.str.replace(_HEAD, "").str.replace(_TAIL, ""))
    found = _plain(core, _TEXT.str.replace(_EXTENSION, "${1}"), _TEXT.str.contains(_SECOND_PLUS))
    return pl.DataFrame([plain[name].scatter(odd, found[name]) for name in plain.columns])


def in_ascii(phones: pl.Series) -> pl.Series:
    """Write digits, pluses and dashes of any script in ASCII."""
    foreign = phones.filter(phones.str.contains(r"[^\x00-\x7F]"))
    signs = set("".join(foreign.unique().to_list()))
    ascii_of = {sign: written for sign in signs if not sign.isascii() and (written := _ascii(sign)) is not None}
    return phones.str.replace_many(ascii_of) if ascii_of else phones


def _ascii(sign: str) -> str | None:
    digit = unicodedata.decimal(sign, None)
    return _SIGNS.get(sign) if digit is None else str(digit)


def _plain(frame: pl.DataFrame, number: pl.Expr, refused: pl.Expr | None = None) -> pl.DataFrame:
    """Read the numbers that are nothing but digits, punctuation and perhaps a plus."""
    frame = frame.select(
        written=number.str.replace_many(_PUNCTUATION, [""]),
        is_short=_TEXT.str.len_bytes() <= _LONGEST_TEXT,
        refused=pl.lit(value=False) if refused is None else refused,
    )
    written = pl.col("written")
    plus = written.str.starts_with("+").fill_null(value=False)
    count = written.str.len_bytes().cast(pl.Int64).fill_null(0) - plus
    value = pl.when(pl.col("is_short") & count.is_between(3, MOST)).then(written.cast(pl.Int64, strict=False))
    return frame.select(
        value=value, count=count, plus=plus, refused=pl.col("is_short").fill_null(value=False) & pl.col("refused")
    )
