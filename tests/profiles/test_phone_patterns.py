"""What the columns assume of libphonenumber's patterns holds for the metadata that is installed."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import phonenumbers
import pytest
from phonenumbers import PhoneMetadata

from connector.profiles.phone_patterns import first_digits, literal_and_rest, rust
from connector.profiles.phone_plans import plan_of_region

if TYPE_CHECKING:
    from collections.abc import Iterator

DIGITS = "0123456789"


def metadata() -> Iterator[PhoneMetadata]:
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        yield PhoneMetadata.metadata_for_region(region)


def prefixes() -> list[str]:
    found = {plan.national_prefix_for_parsing for plan in metadata()} | {
        plan.international_prefix for plan in metadata()
    }
    return sorted(rust(pattern) for pattern in found - {None})


def patterns() -> list[str]:
    return sorted({rust(plan.general_desc.national_number_pattern) for plan in metadata()} | set(prefixes()))


def test_patterns_keep_to_the_grammar_their_reader_knows():
    for pattern in patterns():
        assert re.fullmatch(r"(?:[0-9|)?$]|\((?:\?:)?|\[[0-9-]+\]|\{[0-9]+(?:,[0-9]+)?\})*", pattern), pattern
        # An empty alternative could begin with anything.
        assert not re.search(r"\(\||\|\||\|\)|\(\?:\||\(\)|^\||\|$", pattern), pattern


def test_no_match_begins_with_a_digit_that_was_ruled_out():
    rng = random.Random(5)
    for pattern in patterns():
        compiled, begins = re.compile(pattern), first_digits(pattern)
        for digit in DIGITS:
            if not begins >> int(digit) & 1:
                for length in range(1, 17):
                    for _ in range(20):
                        assert not compiled.fullmatch(digit + "".join(rng.choices(DIGITS, k=length)))


@pytest.mark.parametrize(
    ("pattern", "digits"),
    [
        ("", ""),
        ("0", "0"),
        ("[2-4]\\d{8}|0?1", DIGITS),
        ("(?:1|[89]0)5", "189"),
        ("0(?:1|2)|(3)", "03"),
        ("(?:00)?1", DIGITS),
        ("5[0-9]?|6{0,1}", DIGITS),
        ("[2\\d]", DIGITS),
    ],
)
def test_first_digits_of_a_pattern(pattern: str, digits: str):
    assert [digit for digit in DIGITS if first_digits(rust(pattern)) >> int(digit) & 1] == list(digits)


def test_a_literal_prefix_is_what_the_pattern_would_match():
    rng = random.Random(6)
    literals = 0
    for pattern in prefixes():
        literal, rest = literal_and_rest(pattern)
        literals += bool(literal)
        assert rest in ("", pattern)
        for _ in range(300 if literal else 0):
            number = literal + "".join(rng.choices(DIGITS, k=rng.randrange(12)))
            assert re.match(pattern, number)[0] == literal
        for _ in range(300 if not rest else 0):
            number = "".join(rng.choices(DIGITS, k=rng.randrange(12)))
            assert bool(re.match(pattern, number)) == number.startswith(literal)
    assert literals > 20


def test_a_rule_that_puts_something_in_matches_more_than_the_trunk_prefix():
    rng = random.Random(7)
    rules = 0
    for region in phonenumbers.SUPPORTED_REGIONS:
        plan = plan_of_region(region)
        if plan.transform:
            prefix = re.compile(plan.prefix)
            for _ in range(3000):
                begin = rng.choice(["", plan.trunk, "0", "90", "00", "01115", "0911", "1"])
                match = prefix.match(begin + "".join(rng.choices(DIGITS, k=rng.randrange(14))))
                if match and match[prefix.groups] is not None:
                    rules += 1
                    assert match.end() > len(plan.trunk)
    assert rules > 1000
