"""libphonenumber's own example numbers of every region, in every writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import phonenumbers
import polars as pl
import pytest
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from connector.profiles.phone_numbers import read_phone
from connector.profiles.phones import normalise_phones

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMATS = {
    "national": PhoneNumberFormat.NATIONAL,
    "international": PhoneNumberFormat.INTERNATIONAL,
    "E.164": PhoneNumberFormat.E164,
    "RFC 3966": PhoneNumberFormat.RFC3966,
}
# Numbers whose own writings do not give them back, and why.
LOCAL_ONLY = "13101234"  # Canada's 310 numbers have no area code: possible only locally, says the library
SIX_DIGITS = "989601"  # an Iranian voice mail: difference 5, fewer than seven digits
BY_NATURE = "841992000"  # digits only in Vietnam: as it stands a mobile without its zero, 084 199 2000


def examples() -> Iterator[tuple[str | None, PhoneNumber]]:
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in PhoneNumberType.values():
            number = phonenumbers.example_number_for_type(region, kind)
            if number is not None:
                yield region.lower(), number
    for code in sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS):
        yield None, phonenumbers.example_number_for_non_geo_entity(code)


def e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164).removeprefix("+")


def unexpected(rows: list[tuple[str, str | None, str]]) -> set[str]:
    """Read rows of phone, country and E.164 digits; give the digits of those that gave something else."""
    frame = pl.DataFrame(rows, schema=["phone", "country", "expected"], orient="row", infer_schema_length=None)
    read = normalise_phones(frame["phone"], frame["country"])
    assert read.to_list() == [read_phone(phone, country).digits for phone, country, _ in rows]
    return set(frame.filter(read.ne_missing(frame["expected"]))["expected"])


@pytest.mark.parametrize("name", FORMATS)
def test_every_example_in_a_writing_of_the_library_is_read_back(name: str):
    rows = [
        (phonenumbers.format_number(number, FORMATS[name]).lower(), region, e164(number))
        for region, number in examples()
        if region
    ]
    assert len(rows) > 1300
    assert unexpected(rows) == {LOCAL_ONLY, SIX_DIGITS}


def test_every_example_in_digits_only_is_read_back_in_its_country():
    rows = [(e164(number), region, e164(number)) for region, number in examples() if region]
    assert unexpected(rows) == {LOCAL_ONLY, SIX_DIGITS, BY_NATURE}


@pytest.mark.parametrize("before", ["", "+", "00", "+00", "tel:+"])
def test_every_example_behind_its_code_is_read_back_without_a_country(before: str):
    rows = [(f"{before}{e164(number)}", None, e164(number)) for _, number in examples()]
    assert unexpected(rows) == {LOCAL_ONLY, SIX_DIGITS}


@pytest.mark.parametrize("country", ["us", "gb", "au", "br", "jp", "ru", "it", "sg", "fi", "ws"])
def test_every_example_behind_a_plus_is_read_back_in_any_country(country: str):
    rows = [(f"+{e164(number)}", country, e164(number)) for _, number in examples()]
    assert unexpected(rows) == {LOCAL_ONLY, SIX_DIGITS}


def test_every_example_is_read_back_with_the_script_of_its_digits_changed():
    eastern = str.maketrans("0123456789+", "٠١٢٣٤٥٦٧٨٩＋")
    rows = [
        (phonenumbers.format_number(number, FORMATS["international"]).translate(eastern), region, e164(number))
        for region, number in examples()
    ]
    assert unexpected(rows) == {LOCAL_ONLY, SIX_DIGITS}
