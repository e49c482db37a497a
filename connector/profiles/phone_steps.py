"""How one phone becomes E.164, step by step, for ``connector explain``.

Owns the words for the decisions of ``phone_numbers.py`` and takes none itself: the last value is always that module's
answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import phonenumbers
import polars as pl
from phonenumbers import CountryCodeSource

from connector.profiles.phone_numbers import Reason, Rule, read_phone, region_of
from connector.profiles.phone_plans import plan_of_region
from connector.profiles.phone_text import in_ascii

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

    from connector.profiles.phone_numbers import Reading

_WHY_NOT = {
    Reason.BLANK: "nothing written",
    Reason.NOT_POSSIBLE: "no possible number",
    Reason.NO_COUNTRY: "a leading zero and no country",
}
# Three letters make a vanity number, as in the library; what stands before the first digit or plus counts for nothing.
_VANITY = re.compile(r"(?:.*?[a-z]){3}", re.DOTALL)
_START = re.compile(r"[+\d]")


def phone_steps(phone: str, country: str | None) -> list[tuple[str, str]]:
    """Name every step from a cleaned phone to its E.164 digits, each with the value after it.

    The last value is what ``normalise_phones`` gives, or the empty string where that gives null.

    >>> phone_steps("06 12 34 56 78", "fr")[1:]
    [('national prefix 0 of FR', '612345678'), ('country code +33 from country FR', '33612345678')]
    """
    reading = read_phone(phone, country)
    text = in_ascii(pl.Series([phone]))[0]
    steps = [("digits of any script", text)]
    if reading.number is not None:
        if reading.number.extension:
            text = _without_extension(text, country, reading.number)
            steps.append(("drop extension", text))
        steps.append(_dialled(text))
        steps += _prefixes(steps[-1][1], reading.number, reading.rule, region_of(country))
    before = [phone, *(value for _, value in steps)]
    changed = [step for step, value in zip(steps, before, strict=False) if step[1] != value]
    return [*changed, _last(reading, region_of(country))]


def _without_extension(text: str, country: str | None, number: PhoneNumber) -> str:
    """Give the shortest beginning of a text that is the same number."""
    beginnings = (text[:end] for end in range(1, len(text)))
    numbers = ((beginning, read_phone(beginning, country).number) for beginning in beginnings)
    return next((part for part, read in numbers if read and read.national_number == number.national_number), text)


def _dialled(text: str) -> tuple[str, str]:
    """Keep what is dialled: digits, and letters where three of them make a vanity number."""
    start = _START.search(text)
    text = text[start.start() :] if start else text
    if _VANITY.match(text):
        keyed = phonenumbers.convert_alpha_characters_in_number(text)
        return "letters on the keypad, digits only", phonenumbers.normalize_digits_only(keyed)
    return "digits only", phonenumbers.normalize_digits_only(text)


def _prefixes(dialled: str, number: PhoneNumber, rule: Rule, region: str | None) -> list[tuple[str, str]]:
    """Name what stands before the national significant number, outside in."""
    steps, code = [], str(number.country_code)
    national = phonenumbers.national_significant_number(number)
    if dialled.startswith("00") and number.country_code_source == CountryCodeSource.FROM_NUMBER_WITH_PLUS_SIGN:
        dialled = dialled[2:]
        steps.append(("00 for a plus", dialled))
    elif region and (prefix := re.match(plan_of_region(region).abroad, dialled)) and _is_dialled_abroad(number):
        dialled = dialled[prefix.end() :]
        steps.append((f"international prefix {prefix[0]} of {region}", dialled))
    if number.country_code_source == CountryCodeSource.FROM_DEFAULT_COUNTRY:
        code, owner = "", region
    else:
        owner = phonenumbers.region_code_for_country_code(number.country_code or 0)
    if dialled.startswith(code) and dialled != code + national:
        extra = dialled.removeprefix(code).removesuffix(national)
        is_prefix = dialled == code + extra + national
        what = f"national prefix {extra} of {owner}" if is_prefix else f"national rule of {owner}"
        if rule == Rule.OLD_MEXICAN_MOBILE:
            what = "the 1 of an old Mexican mobile"
        steps.append((what, code + national))
    return steps


def _is_dialled_abroad(number: PhoneNumber) -> bool:
    return number.country_code_source == CountryCodeSource.FROM_NUMBER_WITH_IDD


def _last(reading: Reading, region: str | None) -> tuple[str, str]:
    """Name what the country code was taken from, or why there is no number."""
    number = reading.number
    if reading.digits is None or number is None:
        rule = reading.rule == Rule.TOO_FEW_DIGITS
        return (Rule.TOO_FEW_DIGITS.value if rule else _WHY_NOT[reading.reason or Reason.NOT_POSSIBLE]), ""
    code = f"country code +{number.country_code}"
    if number.country_code_source == CountryCodeSource.FROM_DEFAULT_COUNTRY:
        return f"{code} from country {region}", reading.digits
    if reading.rule == Rule.NO_COUNTRY:
        return f"{code} from the digits: no country known", reading.digits
    without_plus = number.country_code_source == CountryCodeSource.FROM_NUMBER_WITHOUT_PLUS_SIGN
    if reading.rule == Rule.OWN_CODE or without_plus:
        return f"{code} of {region} written without plus", reading.digits
    return f"{code} as written", reading.digits
