"""One phone at a time, by libphonenumber's public functions and the five decided differences: slow and obviously right.

Owns the rule for phones (match-keys.md, "Phones"). The columns of ``phones.py`` must agree with it always and ask it
for whatever they do not do themselves; ``explain`` shows its decisions. It knows no frames and no columns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import phonenumbers
from phonenumbers import (
    CountryCodeSource,
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
)

SHORTEST, LONGEST = 7, 15
"""Digits in E.164, country code included: fewer reach no person, more are no E.164 (ITU-T E.164, 6.1)."""

MEXICO = 52

# Where libphonenumber starts to read: a plus or a digit of any script.
_START = re.compile(r"[+\uff0b\d]")
# Two leading digits with nothing but punctuation between them: "00", "0 0", "(0)0".
_TWO_DIGITS = re.compile(r"(\d)[^\w+\uff0b]*(\d)")


_MOBILE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)


class Rule(StrEnum):
    """Who decided about a value: the library, or one of the decided differences of match-keys.md."""

    LIBRARY = "libphonenumber"
    OWN_CODE = "own code without plus"
    DOUBLE_ZERO = "00"
    NO_COUNTRY = "no country known"
    OLD_MEXICAN_MOBILE = "old Mexican mobile"
    TOO_FEW_DIGITS = "zeros only, or not 7 to 15 digits"


class Reason(StrEnum):
    """Why a phone has no match key; from the closed list of match-keys.md."""

    BLANK = "blank"
    NOT_POSSIBLE = "not_possible"
    NO_COUNTRY = "no_country"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one phone means.

    ``digits`` is E.164 without the plus, or ``None`` with its ``reason``. ``rule`` names who decided; ``number`` is what
    the library made of the phone, for ``explain``.
    """

    digits: str | None
    reason: Reason | None
    rule: Rule = Rule.LIBRARY
    number: PhoneNumber | None = None

    @property
    def source(self) -> int | None:
        """Say where the library took the country code from."""
        return self.number.country_code_source if self.number else None


def region_of(country: str | None) -> str | None:
    """Name the numbering plan of a country, or ``None`` where the library has none.

    Nine ISO codes have no plan of their own (Antarctica, Pitcairn, …): there a phone counts as one without a country.

    >>> region_of("fr"), region_of("aq"), region_of(None)
    ('FR', None, None)
    """
    region = country.upper() if country else None
    return region if region in phonenumbers.SUPPORTED_REGIONS else None


@lru_cache(maxsize=1 << 16)
def read_phone(phone: str, country: str | None) -> Reading:
    """Read one cleaned phone as somebody in ``country`` (ISO alpha-2, lower case) wrote it; never raises.

    Source: match-keys.md, "Phones"; libphonenumber for everything that page does not decide.

    >>> read_phone("06 12 34 56 78", "fr").digits
    '33612345678'
    >>> read_phone("0612345678", None).reason
    <Reason.NO_COUNTRY: 'no_country'>
    """
    start = _START.search(phone)
    if start is None:
        return Reading(None, Reason.NOT_POSSIBLE if phone.strip() else Reason.BLANK)
    text = phone[start.start() :]
    region = region_of(country)
    if text[0] in "+\uff0b" or ";phone-context=+" in phone:
        return _with_plus(phone, text, region)
    if (rest := _after_double_zero(text)) is not None:
        return _with_double_zero(phone, rest, region)
    if region is None:
        return _without_country(phone, text)
    return _with_country(phone, text, region)


def _with_plus(phone: str, text: str, region: str | None) -> Reading:
    """A plus wins over the country. What cannot be read after it (``+00 33``) the library reads without it; so do we."""
    reading = _read(phone, region)
    rest = _after_double_zero(text.lstrip("+\uff0b"))
    if reading.number is None and rest is not None:
        return _with_double_zero(phone, rest, region)
    return reading


def _with_double_zero(phone: str, rest: str, region: str | None) -> Reading:
    """Difference 2: the region's own international prefix if the result is valid, else 00 is a plus, else the library."""
    own = _read(phone, region) if region else None
    if own and own.source == CountryCodeSource.FROM_NUMBER_WITH_IDD and _is_valid(own):
        return own
    plus = _read("+" + rest, None, Rule.DOUBLE_ZERO)
    return own if own and plus.digits in (None, own.digits) else plus


def _without_country(phone: str, text: str) -> Reading:
    """Difference 3: the digits stand as if a plus stood before them; a trunk zero needs a country."""
    try:
        phonenumbers.parse(phone, None)  # always fails: the library tells no number from no country
    except NumberParseException as error:
        if error.error_type in (NumberParseException.NOT_A_NUMBER, NumberParseException.TOO_LONG):
            return Reading(None, Reason.NOT_POSSIBLE)
    if phonenumbers.normalize_digits_only(text[0]) == "0":
        zeros_only = not phonenumbers.normalize_digits_only(text).strip("0")
        return Reading(None, Reason.NOT_POSSIBLE if zeros_only else Reason.NO_COUNTRY, Rule.NO_COUNTRY)
    return _read("+" + text, None, Rule.NO_COUNTRY)


def _with_country(phone: str, text: str, region: str) -> Reading:
    """Difference 1: the country's own code counts without a plus, if the number is then valid; else the library.

    What is a valid mobile number as it stands stays one: people write those without a trunk prefix, and some begin
    with the own code by nature (Cuba's with 53). Regions without trunk prefix (Italy, Poland) are the library's.
    """
    library = _read(phone, region)
    own_code = str(phonenumbers.country_code_for_region(region))
    if (
        library.source == CountryCodeSource.FROM_NUMBER_WITH_IDD
        or not phonenumbers.ndd_prefix_for_region(region, strip_non_digits=True)
        or not phonenumbers.normalize_digits_only(text).startswith(own_code)
    ):
        return library
    international = _read("+" + text, None, Rule.OWN_CODE)
    if international.digits in (None, library.digits) or not _is_valid(international):
        return library
    by_nature = library.source == CountryCodeSource.FROM_DEFAULT_COUNTRY and _is_mobile(library)
    return library if by_nature else international


def _read(text: str, region: str | None, rule: Rule = Rule.LIBRARY) -> Reading:
    """Parse as the library does, then apply differences 4 (old Mexican mobiles) and 5 (too few digits)."""
    try:
        number = phonenumbers.parse(text, region, keep_raw_input=True)
    except NumberParseException:
        return Reading(None, Reason.NOT_POSSIBLE, rule)
    if _is_old_mexican_mobile(number):
        modern = phonenumbers.national_significant_number(number)[1:]
        number = phonenumbers.parse(f"+52{modern}", None, keep_raw_input=True)
        rule = Rule.OLD_MEXICAN_MOBILE
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return Reading(None, Reason.NOT_POSSIBLE, rule, number)
    digits = phonenumbers.format_number(number, PhoneNumberFormat.E164).removeprefix("+")
    if number.national_number == 0 or not SHORTEST <= len(digits) <= LONGEST:
        return Reading(None, Reason.NOT_POSSIBLE, Rule.TOO_FEW_DIGITS, number)
    return Reading(digits, None, rule, number)


def _is_old_mexican_mobile(number: PhoneNumber) -> bool:
    """Say whether a number has Mexico's code and, until 2019, the 1 of a mobile before its ten digits.

    Eleven digits without the code are no such number: they are as good a North American one.
    """
    national = phonenumbers.national_significant_number(number)
    has_code = number.country_code_source != CountryCodeSource.FROM_DEFAULT_COUNTRY
    return number.country_code == MEXICO and has_code and len(national) == len("1") + 10 and national[0] == "1"


def _is_valid(reading: Reading) -> bool:
    return reading.digits is not None and reading.number is not None and phonenumbers.is_valid_number(reading.number)


def _is_mobile(reading: Reading) -> bool:
    if reading.digits is None or reading.number is None:
        return False
    return phonenumbers.number_type(reading.number) in _MOBILE


def _after_double_zero(text: str) -> str | None:
    """Give what follows a leading ``00`` in any script, or ``None``."""
    match = _TWO_DIGITS.match(text)
    if match is None or phonenumbers.normalize_digits_only(match[1] + match[2]) != "00":
        return None
    return text[match.end() :]
