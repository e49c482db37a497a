"""Phones as libphonenumber parses them, at column speed.

Owns how a column of phones becomes E.164: which rows are read as whole columns by ``phone_plans.py``, and which few go
one by one through ``phone_numbers.py``, whose answer is the rule for both. It knows nothing of hashing, mappings or
Meta.
"""

from __future__ import annotations

import gc

import numpy as np
import polars as pl

from connector.profiles.phone_columns import Columns, read_columns
from connector.profiles.phone_digits import Digits, Flags
from connector.profiles.phone_numbers import Reason, read_phone, region_of
from connector.profiles.phone_steps import phone_steps
from connector.profiles.phone_text import dialled

__all__ = ["normalise_phones", "phone_reasons", "phone_steps", "read_phones"]


def normalise_phones(phones: pl.Series, countries: pl.Series) -> pl.Series:
    """Give the E.164 digits, without plus, of a column of phones.

    Args:
        phones: Text, cleaned (principle 3 of match-keys.md) and lower-cased, or null; digests are taken out before.
        countries: The country of each row, lower-case ISO alpha-2; null where none is known.

    Returns:
        A string column as long: ``33612345678``, or null where ``phone_reasons`` gives a reason.

    Source: match-keys.md, "Phones".
    """
    return read_phones(phones, countries)["digits"].alias(phones.name)


def phone_reasons(phones: pl.Series, countries: pl.Series) -> pl.Series:
    """Say why a phone is blank: ``blank``, ``not_possible`` or ``no_country``; null where there is a number."""
    return read_phones(phones, countries)["reason"].alias(phones.name)


def read_phones(phones: pl.Series, countries: pl.Series) -> pl.DataFrame:
    """Give ``digits`` and ``reason`` of a column of phones in one pass; see ``normalise_phones``."""
    if phones.is_empty():
        return pl.DataFrame(schema={"digits": pl.String, "reason": pl.String})
    phones, countries = phones.cast(pl.String), countries.cast(pl.String)
    written = dialled(phones)
    is_read = written["value"].is_not_null().to_numpy()
    read = _read(written, is_read, countries)
    number = np.zeros(len(phones), np.int64)
    number[is_read] = read.number
    digits = pl.Series(number).cast(pl.String).zip_with(pl.Series(number > 0), pl.Series([None], dtype=pl.String))
    reason = _reasons(phones, digits).scatter(np.flatnonzero(is_read)[read.needs_country], Reason.NO_COUNTRY.value)
    undecided = phones.is_not_null().to_numpy() & ~is_read & ~written["refused"].to_numpy()
    undecided[is_read] = read.undecided
    asked = np.flatnonzero(undecided)
    if len(asked):
        told = _ask_library(phones.gather(asked), countries.gather(asked))
        digits, reason = (digits.scatter(asked, told["digits"]), reason.scatter(asked, told["reason"]))
    return pl.DataFrame({"digits": digits, "reason": reason})


def _read(written: pl.DataFrame, is_read: Flags, countries: pl.Series) -> Columns:
    """Read the rows whose digits are known, each by the plan of its country."""
    names = countries.unique()
    region_of_name = [region_of(name) for name in names]
    regions = sorted({region for region in region_of_name if region})
    index = pl.Series([regions.index(region) if region else -1 for region in region_of_name], dtype=pl.Int64)
    plan = countries.replace_strict(names, index, return_dtype=pl.Int64).to_numpy()[is_read]
    read = written.with_columns(pl.col("value").fill_null(0))  # numpy makes a column with nulls one of floats
    value, count, plus = (read[name].to_numpy()[is_read] for name in ("value", "count", "plus"))
    numbers = Digits(value, count, np.maximum(plan, 0))
    return read_columns(numbers, plus, plan >= 0, regions)


def _reasons(phones: pl.Series, digits: pl.Series) -> pl.Series:
    """Give the reason of every row without digits, as far as the text says."""
    phone, number = pl.lit(phones), pl.lit(digits)
    blank = pl.when(phone.is_null()).then(pl.lit(Reason.BLANK.value)).otherwise(pl.lit(Reason.NOT_POSSIBLE.value))
    return pl.select(pl.when(number.is_null()).then(blank)).to_series()


def _ask_library(phones: pl.Series, countries: pl.Series) -> pl.DataFrame:
    """Read what no column can, one distinct value at a time."""
    rows = pl.DataFrame({"country": countries, "phone": phones})
    distinct = rows.unique().sort("country", "phone")  # country by country: the library's regex cache is small
    readings = [read_phone(phone, country) for country, phone in distinct.iter_rows()]
    # The library leaves errors behind that hold each other, and with them all that its callers hold: frames of megabytes.
    gc.collect(0)
    told = distinct.with_columns(
        pl.Series("digits", [r.digits for r in readings], pl.String),
        pl.Series("reason", [r.reason and r.reason.value for r in readings], pl.String),
    )
    return rows.join(told, on=["country", "phone"], how="left", nulls_equal=True, maintain_order="left")
