"""Birth dates: which day a cell means, and when it means several.

A date is read by shape, with one regular expression per shape, never guessed: where day and month could be swapped
both readings are tried, and the cell is blank unless they agree. Source: match-keys.md, DOB.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import polars as pl

from connector.errors import ConfigError
from connector.profiles.cleaning import Step

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

_FIRST_DAY = "19000101"
_LANGUAGES = ("en", "fr", "de", "es", "pt", "it", "nl", "ru", "ja", "zh")

_TIME = r"(?:[t ]+\d{1,2}:?\d{2}(?::?\d{2}(?:[.,]\d+)?)?(?: ?[ap]\.?m\.?)?(?: ?(?:z|utc|gmt|[+\-]\d{2}(?::?\d{2})?))?)?"
"""A time of day after the date, which is read over: the day is the one that is written, in its own time zone."""
_ORDINAL = r"(?:st|nd|rd|th|er|\.)?"
_OF = r"(?:[ \-/.,]|of |de |del )*"
_WORD = r"(\p{L}+)"

# Each shape names its groups in the order they stand: y year, d day, m month, n name of a month, a b two numbers
# that may be day and month either way round. Y is a year of two digits, which no shape may guess.
_FULL_YEAR: tuple[tuple[str, str], ...] = (
    ("ymd", r"(\d{4})-(\d{1,2})-(\d{1,2})"),
    ("ymd", r"(\d{4})[/ ](\d{1,2})[/ ](\d{1,2})"),
    ("ymd", r"(\d{4})\. ?(\d{1,2})\. ?(\d{1,2})\.?"),
    ("ymd", r"(\d{4}) ?[年년] ?(\d{1,2}) ?[月월] ?(\d{1,2}) ?[日일]"),
    ("dmy", r"(\d{1,2})\. ?(\d{1,2})\. ?(\d{4})\.?"),
    ("aby", r"(\d{1,2})[/ ](\d{1,2})[/ ](\d{4})"),
    ("aby", r"(\d{1,2})-(\d{1,2})-(\d{4})"),
    ("dny", rf"(\d{{1,2}}){_ORDINAL}{_OF}{_WORD}{_OF}(\d{{4}})"),
    ("ndy", rf"{_WORD}{_OF}(\d{{1,2}}){_ORDINAL}[ ,\-/.]+(\d{{4}})"),
    ("ynd", rf"(\d{{4}})[ \-/.]+{_WORD}[ \-/.]+(\d{{1,2}})"),
    ("ymd", r"(\d{4})(\d{2})(\d{2})"),
    ("aby", r"(\d{2})(\d{2})((?:19|20)\d{2})"),
)
_SHORT_YEAR: tuple[tuple[str, str], ...] = (
    ("abY", r"(\d{1,2})[\-/. ](\d{1,2})[\-/. ](\d{2})"),
    ("Ymd", r"(\d{2})[\-/. ](\d{1,2})[\-/. ](\d{1,2})"),
    ("abY", r"(\d{2})(\d{2})(\d{2})"),
    ("Ymd", r"(\d{2})(\d{2})(\d{2})"),
    ("dnY", rf"(\d{{1,2}}){_ORDINAL}{_OF}{_WORD}{_OF}(\d{{2}})"),
    ("ndY", rf"{_WORD}{_OF}(\d{{1,2}}){_ORDINAL}[ ,\-/.]+(\d{{2}})"),
)

_DIRECTIVES = {
    "d": ("d", r"(\d{1,2})"),
    "e": ("d", r" ?(\d{1,2})"),
    "m": ("m", r"(\d{1,2})"),
    "b": ("n", r"(\p{L}+)\.?"),
    "B": ("n", r"(\p{L}+)\.?"),
    "h": ("n", r"(\p{L}+)\.?"),
    "Y": ("y", r"(\d{4})"),
    "y": ("Y", r"(\d{2})"),
    "H": ("", r"\d{1,2}"),
    "I": ("", r"\d{1,2}"),
    "M": ("", r"\d{1,2}"),
    "S": ("", r"\d{1,2}"),
    "f": ("", r"\d+"),
    "p": ("", r"[ap]\.?m\.?"),
    "z": ("", r"(?:z|[+\-]\d{2}:?\d{2})"),
    "Z": ("", r"[a-z]*"),
    "a": ("", r"\p{L}+\.?"),
    "A": ("", r"\p{L}+"),
    "%": ("", "%"),
}
_SHORTHANDS = {"F": "%Y-%m-%d", "D": "%m/%d/%y", "T": "%H:%M:%S", "R": "%H:%M", "x": "%m/%d/%y"}


def parse_format(written: str) -> tuple[str, str]:
    """Turn a date format of a mapping (``%d/%m/%Y``) into a shape.

    Returns:
        The names of its groups in order and the regular expression, for lower-cased text.

    Raises:
        ConfigError: An unknown directive, or a format that does not say day, month and year once each.
    """
    expanded = re.sub(r"%([FDTRx])", lambda match: _SHORTHANDS[match[1]], written.strip())
    groups, parts = "", [""]
    for flagged, letter, literal in re.findall(r"(%[-_0^#]?)(.?)|([^%]+)", expanded, re.DOTALL):
        if not flagged:
            parts.append(re.sub(r"\s+", " ", re.escape(literal.lower()).replace("\\ ", " ")))
            continue
        if letter not in _DIRECTIVES:
            raise _wrong_format(f'unknown directive "%{letter}" in a date format')
        group, part = _DIRECTIVES[letter]
        groups += group
        # Without anything between two numbers only their width tells them apart: %d%m%Y reads 02031997, not 2031997.
        if r"\d" in parts[-1] and r"\d" in part:
            parts[-1], part = (width.replace("{1,2}", "{2}") for width in (parts[-1], part))
        parts.append(part)
    if sorted(groups.lower().replace("n", "m")) != ["d", "m", "y"]:
        raise _wrong_format("a date format must say day, month and year, once each")
    return groups, "".join(parts)


def _wrong_format(message: str) -> ConfigError:
    hint = "Use %d, %m, %Y, %y, %b and %B, for example %d/%m/%Y."
    return ConfigError(message, code="config.date_format", hint=hint)


@cache
def month_names() -> dict[str, str]:
    """Map the names of months in ten languages, lower-case and without dots, to two digits (source: CLDR, by Babel)."""
    from babel import Locale  # noqa: PLC0415 - loaded only where a date names its month

    names: dict[str, str] = {}
    for language in _LANGUAGES:
        for by_width in Locale(language).months.values():
            for width in ("wide", "abbreviated"):
                names |= {name.lower().rstrip("."): f"{number:02}" for number, name in by_width[width].items()}
    return {name: number for name, number in names.items() if name.isalpha()} | {"sept": "09"}


def read_dates(cleaned: pl.Series, written: str | None, today: dt.date) -> pl.DataFrame:
    """Read a column of cleaned text as days.

    Args:
        cleaned: Lower-case text; null stays null.
        written: The mapping's format; with one, only that is read.
        today: The last day that is not in the future.

    Returns:
        ``value`` (``YYYYMMDD`` or null) and ``reason`` (null beside a value).
    """
    text = pl.col("text")
    frame = pl.DataFrame({"text": cleaned}).unique().filter(text.is_not_null())
    shapes = [parse_format(written)] if written else _with_time(_FULL_YEAR)
    days = _days(frame, shapes, today)
    unread = frame.join(days, on="text", how="anti")
    unclear = _days(unread, [] if written else _with_time(_SHORT_YEAR), today)["text"]
    reason = (
        pl.when(pl.col("in range") == 0)
        .then(pl.lit("out_of_range"))
        .when((pl.col("days") > 1) | (pl.col("days").is_null() & text.is_in(unclear.implode())))
        .then(pl.lit("ambiguous_date"))
        .when(pl.col("days").is_null())
        .then(pl.lit("not_a_date"))
    )
    judged = frame.join(days, on="text", how="left").with_columns(reason.alias("reason"))
    judged = judged.with_columns(pl.when(pl.col("reason").is_null()).then(pl.col("value")).alias("value"))
    whole = pl.DataFrame({"text": cleaned}).join(judged, on="text", how="left", maintain_order="left")
    return whole.select("value", "reason")


def _with_time(shapes: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(groups, pattern + _TIME) for groups, pattern in shapes]


def _days(frame: pl.DataFrame, shapes: Sequence[tuple[str, str]], today: dt.date) -> pl.DataFrame:
    """Collect what cells may mean: ``days`` different ones, how many ``in range``, and the ``value`` if there is one."""
    found = pl.DataFrame(schema={"text": pl.String, "day": pl.String})
    for groups, pattern in shapes:
        # No text has a real day in two shapes, and most columns are written in one: the rest need not look at them.
        days = _readings(frame, groups, f"^{pattern}$", today)
        found, frame = pl.concat([found, days]), frame.join(days, on="text", how="anti")
    day = pl.col("day")
    in_range = day.is_between(pl.lit(_FIRST_DAY), pl.lit(f"{today:%Y%m%d}"))
    return found.group_by("text").agg(
        day.n_unique().alias("days"),
        day.filter(in_range).n_unique().alias("in range"),
        day.filter(in_range).first().alias("value"),
    )


def _readings(frame: pl.DataFrame, groups: str, pattern: str, today: dt.date) -> pl.DataFrame:
    """Read the cells that have one shape: a row of ``text`` and ``day`` for every real calendar day they may mean."""
    # \d would match the digits of every script, which no calendar here reads.
    pattern = pattern.replace(r"\d", "[0-9]")
    parts = frame.select("text", pl.col("text").str.extract_groups(pattern).alias("parts"))
    parts = parts.filter(pl.col("parts").struct.field("1").is_not_null())
    if parts.is_empty():
        return pl.DataFrame(schema={"text": pl.String, "day": pl.String})
    parts = parts.select("text", *(pl.col("parts").struct.field(str(i + 1)).alias(g) for i, g in enumerate(groups)))
    if "n" in groups:
        names = month_names()
        parts = parts.with_columns(
            m=pl.col("n").replace_strict(list(names), list(names.values()), default=None, return_dtype=pl.String)
        )
    if "Y" in groups:
        parts = parts.with_columns(y="20" + pl.col("Y"))
    orders = [("a", "b"), ("b", "a")] if "a" in groups else [("d", "m")]
    days = pl.concat([parts.select("text", _day("y", month, day)) for day, month in orders]).drop_nulls().unique()
    if "Y" not in groups:
        return days
    a_century_ago = (pl.col("day").str.slice(0, 4).cast(pl.Int32) - 100).cast(pl.String) + pl.col("day").str.slice(4)
    return days.with_columns(
        pl.when(pl.col("day") > f"{today:%Y%m%d}").then(a_century_ago).otherwise(pl.col("day")).alias("day")
    )


def _day(year: str, month: str, day: str) -> pl.Expr:
    written = pl.col(year) + pl.col(month).str.zfill(2) + pl.col(day).str.zfill(2)
    return pl.when(written.str.to_date("%Y%m%d", strict=False).is_not_null()).then(written).alias("day")


def birth_date_steps(written: str | None, today: dt.date) -> tuple[Step, ...]:
    """Make the steps of DOB: a day as ``YYYYMMDD``, or null."""

    def value_of(column: pl.Series) -> pl.Series:
        return read_dates(column, written, today)["value"]

    name = f"read as {written}" if written else "read as a date"
    return (
        Step("drop .0", lambda v: v.str.replace(r"^(\d{8})\.0+$", "$1")),
        Step(name, lambda v: v.map_batches(value_of, return_dtype=pl.String)),
    )


def birth_date_reason(written: str | None, today: dt.date, cleaned: pl.Expr) -> pl.Expr:
    """Say why a cleaned cell is no birth date."""

    def reason_of(column: pl.Series) -> pl.Series:
        return read_dates(column, written, today)["reason"]

    return cleaned.map_batches(reason_of, return_dtype=pl.String)


def number_steps(width: int) -> tuple[Step, ...]:
    """Make the steps of DOBY, DOBM, DOBD: a whole number of ``width`` digits, zeros in front."""
    return (
        Step("drop .0", lambda v: v.str.replace(r"^(\d+)\.0+$", "$1")),
        Step("zeros in front", lambda v: v.str.replace(r"^(\d)$", "0$1") if width == 2 else v),
    )


def is_number_between(value: pl.Expr, first: int, last: int, width: int) -> pl.Expr:
    """Say whether a cell is a number of ``width`` digits in a range, ends included."""
    number = value.str.to_integer(strict=False)
    return value.str.contains(rf"^[0-9]{{{width}}}$") & number.is_between(first, last)
