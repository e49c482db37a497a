"""What was dialled: from the text of a phone to its digits and its plus, for whole columns.

Owns the shapes of text that are read at column speed, and leaves every other shape alone: whoever calls asks
``phone_numbers.py`` for those. It knows no country.
"""

from __future__ import annotations

import unicodedata

import polars as pl

from connector.profiles.phone_digits import MOST

# Digits between brackets, dots, dashes, slashes and spaces, pluses only in front: nothing in it means an extension,
# a letter or a second number to libphonenumber, so the digits are all there is.
_PLAIN = r"^[ ().\-/\[\]]*\+*[0-9 ().\-/\[\]]*$"
_PUNCTUATION = [" ", "-", ".", "(", ")", "/", "[", "]", "+"]
# The library skips to the first plus or digit ("tel: ", "m. ") and drops trailing signs. A semicolon may be RFC 3966.
_HEAD = r"^[\x00-\x7F&&[^0-9+;]]+"
_TAIL = r"[\x00-\x7F&&[^0-9A-Za-z#+;]]+$"
# The unmistakable part of the library's extensions, after a number that ends in a digit or a bracket.
_EXTENSION = r"^(\+*[0-9][0-9 ().\-/\[\]]*[0-9)])[ ,]*(?:extension|extn|ext|x|#)[.:]? ?[0-9]{1,7}$"
# Signs the library takes as punctuation inside a number, and its other plus.
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d\uff0e\uff0f\u3000\u00a0\uff08\uff09\uff3b\uff3d"
_SIGNS = dict.fromkeys(_DASHES, "-") | {"\uff0b": "+"}
# Longer texts come near the library's limit of 250 characters.
_LONGEST_TEXT = 100


def dialled(phones: pl.Series) -> pl.DataFrame:
    """Read the digits of a column of cleaned phones.

    Returns:
        A frame as high as the column: ``number`` (ASCII digits, 3 to 18, or null where the text needs the library) and ``plus`` (whether a plus stands before them).
    """
    text = pl.col("text")
    frame = phones.alias("text").to_frame()
    plain = frame.select(_plain_digits(text).alias("number"), text.str.contains("+", literal=True).alias("plus"))
    odd = (frame["text"].is_not_null() & plain["number"].is_null()).arg_true()
    if odd.is_empty():
        return plain
    folded = fold(frame["text"].gather(odd)).alias("text").to_frame()
    found = folded.select(
        _plain_digits(text.str.replace(_EXTENSION, "${1}")).alias("number"), text.str.starts_with("+").alias("plus")
    )
    return pl.DataFrame([plain[name].scatter(odd, found[name]) for name in plain.columns])


def fold(phones: pl.Series) -> pl.Series:
    """Write digits, pluses and dashes of any script in ASCII; drop what stands before and after a number."""
    signs = phones.str.replace_all(r"[\x00-\x7F]+", "").str.split("").explode().unique().drop_nulls()
    ascii_of = {sign: written for sign in signs if sign and (written := _ascii(sign)) is not None}
    if ascii_of:
        phones = phones.str.replace_many(ascii_of)
    return phones.str.replace(_HEAD, "").str.replace(_TAIL, "")


def _ascii(sign: str) -> str | None:
    digit = unicodedata.decimal(sign, None)
    return _SIGNS.get(sign) if digit is None else str(digit)


def _plain_digits(text: pl.Expr) -> pl.Expr:
    digits = text.str.replace_many(_PUNCTUATION, [""])
    is_plain = text.str.contains(_PLAIN) & (text.str.len_bytes() <= _LONGEST_TEXT)
    return pl.when(is_plain & digits.str.len_bytes().is_between(3, MOST)).then(digits)
