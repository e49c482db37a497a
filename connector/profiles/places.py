"""Rules of places: country, state, city, postal code, and the country a row's other keys are read in.

The tables stand in ``place_names.py``.
"""

from __future__ import annotations

import polars as pl

from connector.errors import ConfigError, did_you_mean
from connector.profiles.cleaning import CLEAN, Step, compose, is_blank, is_sha256, nfc
from connector.profiles.place_names import (
    alpha_2_codes,
    bare_latin,
    canadian_provinces,
    country_codes,
    english_country_names,
    hashed_country_codes,
    native_country_names,
    place_key,
    us_states,
)

COUNTRY = "country in force"
"""The column every rule finds beside its value: the row's country as alpha-2, null when unknown (principle 2)."""

US_POSTAL_AREA = ("us", "pr", "gu", "vi", "as", "mp", "um")
"""The United States and its territories: one system of five-digit ZIP codes."""


def _look_up(keys: pl.Expr, table: dict[str, str]) -> pl.Expr:
    return keys.replace_strict(list(table), list(table.values()), default=None, return_dtype=pl.String)


def recognise_countries(cleaned: pl.Series) -> pl.Series:
    """Turn cleaned names and codes of countries into alpha-2; null where a country is not recognised.

    Codes first, then English names and aliases, then native names: the tables are only built when a cell needs them.
    """
    text, code = pl.col("text"), pl.col("code")
    frame = pl.DataFrame({"text": cleaned}).unique().with_columns(code=_look_up(text, country_codes()))
    for names in (english_country_names, native_country_names):
        if frame.filter(text.is_not_null() & code.is_null()).is_empty():
            break
        frame = frame.with_columns(code=code.fill_null(_look_up(place_key(text), names())))
    return pl.DataFrame({"text": cleaned}).join(frame, on="text", how="left", maintain_order="left")["code"]


def countries_in_force(countries: pl.Series, default: str | None) -> pl.Series:
    """Say in which country each row's phone, postal code and state are read (principle 2).

    Args:
        countries: The raw COUNTRY cells: names, codes or digests.
        default: Alpha-2, for rows whose country is blank.

    Returns:
        Lower-case alpha-2; null where the cell is not recognised, or is blank and there is no default.
    """
    text = pl.col("text")
    frame = pl.DataFrame({"raw": countries}).unique().with_columns(text=compose(pl.col("raw"), CLEAN))
    names = pl.when(~is_blank(text) & ~is_sha256(text)).then(text)
    frame = frame.with_columns(
        pl.when(is_blank(text))
        .then(pl.lit(default, dtype=pl.String))
        .when(is_sha256(text))
        .then(_look_up(text, hashed_country_codes()))
        .otherwise(names.map_batches(recognise_countries, return_dtype=pl.String))
        .alias("code")
    )
    joined = pl.DataFrame({"raw": countries}).join(frame, on="raw", how="left", nulls_equal=True, maintain_order="left")
    return joined["code"].alias(COUNTRY)


def check_country(code: str | None) -> str | None:
    """Return a mapping's ``default_country`` as lower-case alpha-2.

    Raises:
        ConfigError: It is no ISO alpha-2 code.
    """
    if code is None or code.strip().lower() in alpha_2_codes():
        return None if code is None else code.strip().lower()
    raise ConfigError(
        f'no country "{code}"',
        code="config.unknown_country",
        hint=did_you_mean(code.lower(), alpha_2_codes()) or "Use two letters of ISO 3166-1, for example US.",
    )


COUNTRY_CODE: tuple[Step, ...] = (
    Step("alpha-2 code of the country", lambda v: v.map_batches(recognise_countries, return_dtype=pl.String)),
)
"""COUNTRY: alpha-2; null when not recognised."""

CITY: tuple[Step, ...] = (
    Step("Latin letters without accents", bare_latin, beyond_ascii=True),
    Step("only a to z", lambda v: v.str.replace_all("[^a-z]", "")),
)
"""CT: a to z; empty when no Roman letter is left."""


def _state_code(word: pl.Expr) -> pl.Expr:
    country = pl.col(COUNTRY)
    us, canada = _look_up(word, us_states()), _look_up(word, canadian_provinces())
    return (
        pl.when(country == "us")
        .then(pl.when(word.is_not_null()).then(us.fill_null("")))
        .when(country == "ca")
        .then(canada.fill_null(word))
        .when(country.is_null())
        .then(us.fill_null(word))
        .otherwise(word)
    )


STATE: tuple[Step, ...] = (*CITY, Step("two-letter code of the state", _state_code))
"""ST: a two-letter code in the US and Canada, the whole word elsewhere; empty when the US has no such state."""


def state_reason() -> pl.Expr:
    """Say why a state is blank: not found in the US, or not written in Roman letters elsewhere."""
    return pl.when(pl.col(COUNTRY) == "us").then(pl.lit("unknown_state")).otherwise(pl.lit("not_roman"))


def _in_us() -> pl.Expr:
    return pl.col(COUNTRY).is_in(list(US_POSTAL_AREA)).fill_null(value=False)


def _us_only(change: pl.Expr, value: pl.Expr) -> pl.Expr:
    return pl.when(_in_us()).then(change).otherwise(value)


def _padded(value: pl.Expr) -> pl.Expr:
    return (
        pl.when(value.str.contains("^[0-9]{3,4}$"))
        .then(value.str.zfill(5))
        .when(value.str.contains("^[0-9]{8}$"))
        .then("0" + value)
        .otherwise(value)
    )


POSTAL_CODE: tuple[Step, ...] = (
    Step(
        "drop the state before the digits (US)",
        lambda v: _us_only(v.str.replace(r"^[a-z]{2}[ \-]*([0-9]{5})", "$1"), v),
    ),
    Step(
        "five digits before the dash (US)",
        lambda v: _us_only(v.str.replace(r"^([0-9]{3,5})[\p{Pd}\x{2212} ]+[0-9]{4}$", "$1"), v),
    ),
    Step("drop spaces and dashes", lambda v: v.str.replace_all(r"[\p{White_Space}\p{Pd}\x{2212}]", "")),
    Step("Unicode NFC again", nfc, beyond_ascii=True),
    Step("drop .0", lambda v: v.str.replace(r"^([0-9]+)\.0+$", "$1")),
    Step("zeros in front (US)", lambda v: _us_only(_padded(v), v)),
    Step("first five digits (US)", lambda v: _us_only(v.str.extract(r"^([0-9]{5})[0-9]*$", 1), v)),
)
"""ZIP: five digits in the US and its territories, everything without spaces and dashes elsewhere."""
