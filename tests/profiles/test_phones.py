"""Phones: the reviewed cases, the five decided differences by name, and what holds for any text at all."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import phonenumbers
import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import ValidationResult

from connector.profiles.phones import normalise_phones, phone_reasons, phone_steps, read_phones

CASES = Path(__file__).parents[1] / "cases" / "phone.yaml"
REGIONS = sorted(region.lower() for region in phonenumbers.SUPPORTED_REGIONS)

PHONES = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="0123456789 +-().", max_size=25),
    st.text(alphabet="00112233445566778899+()/x#;,~*٠٣９＋–. ", max_size=25),
)
COUNTRIES = st.one_of(st.none(), st.sampled_from(REGIONS), st.sampled_from(["aq", "zz", "", "xx"]))


def digits_of(phone: str | None, country: str | None) -> str | None:
    return normalise_phones(pl.Series([phone], dtype=pl.String), pl.Series([country], dtype=pl.String))[0]


def reason_of(phone: str | None, country: str | None) -> str | None:
    return phone_reasons(pl.Series([phone], dtype=pl.String), pl.Series([country], dtype=pl.String))[0]


def library(phone: str, country: str | None) -> str | None:
    """What libphonenumber alone makes of a phone."""
    try:
        number = phonenumbers.parse(phone, country and country.upper())
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")


def columns(rows: list[tuple[str | None, str | None]]) -> tuple[pl.Series, pl.Series]:
    phones, countries = zip(*rows, strict=True) if rows else ((), ())
    return pl.Series("PHONE", phones, dtype=pl.String), pl.Series("country", countries, dtype=pl.String)


def cases() -> list[dict[str, Any]]:
    return [case for group in yaml.safe_load(CASES.read_text(encoding="utf-8")) for case in group["cases"]]


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case['input']} {case.get('country', '')}")
def test_every_reviewed_case_gives_its_digits_or_its_reason(case: dict[str, Any]):
    phone, country = case["input"].strip().lower(), case.get("country")
    country = None if country == "Atlantis" else country and country.lower()
    assert (digits_of(phone, country), reason_of(phone, country)) == (case.get("expected"), case.get("reason"))


def test_the_own_country_code_counts_without_a_plus_where_the_library_would_double_it():
    assert library("4915123456789", "de") == "494915123456789"
    assert digits_of("4915123456789", "de") == "4915123456789"
    assert digits_of("49 (0)151 23456789", "de") == "4915123456789"


def test_the_own_country_code_needs_a_valid_number():
    # +49 10 is no German number; as a national one 491 012 345 67 is possible.
    assert not phonenumbers.is_valid_number(phonenumbers.parse("+491012345"))
    assert digits_of("491012345", "de") == library("491012345", "de") == "49491012345"


def test_regions_without_a_trunk_prefix_keep_numbers_that_begin_with_their_code():
    assert digits_of("390612345", "it") == library("390612345", "it") == "39390612345"
    assert digits_of("486123456", "pl") == library("486123456", "pl") == "48486123456"


def test_mobiles_that_begin_with_their_country_code_by_nature_are_left_to_the_library():
    for phone, country in (("53489081", "cu"), ("55900151748", "br"), ("841992000", "vn")):
        assert phonenumbers.is_valid_number(phonenumbers.parse(f"+{phone}"))
        assert digits_of(phone, country) == library(phone, country) != phone


def test_a_landline_of_another_area_does_not_shield_the_own_code():
    # Brazil's area 55 is no mobile: what is valid behind its code counts.
    assert library("5540041234", "br") == "555540041234"
    assert digits_of("5540041234", "br") == "5540041234"


def test_double_zero_is_the_own_international_prefix_first_if_the_result_is_valid():
    assert digits_of("0011442079460958", "au") == library("0011442079460958", "au") == "442079460958"
    # 00 55 is a Brazilian carrier's prefix; +11 96123-4567 would be possible, but is not valid.
    assert library("0055 11 96123-4567", "br") == "11961234567"
    assert digits_of("0055 11 96123-4567", "br") == "5511961234567"


def test_double_zero_is_a_plus_where_another_prefix_is_dialled():
    assert library("0044 20 7946 0958", "us") is None
    assert digits_of("0044 20 7946 0958", "us") == digits_of("(0) 0 44 20 7946 0958", "us") == "442079460958"
    assert digits_of("٠٠٤٤ 20 7946 0958", "us") == "442079460958"


def test_double_zero_is_left_to_the_library_where_a_plus_gives_nothing_possible():
    assert digits_of("0077 123 456", "jp") == library("0077 123 456", "jp") == "810077123456"
    assert digits_of("0013101234", "ca") == library("0013101234", "ca") == "10013101234"


def test_plus_and_double_zero_are_one():
    assert library("+0033612345678", "us") is None
    assert {digits_of("+0033612345678", country) for country in ("us", "fr", None)} == {"33612345678"}


def test_digits_without_a_country_stand_as_if_behind_a_plus():
    assert library("1-234-567-8910", None) is None
    assert digits_of("1-234-567-8910", None) == "12345678910"
    assert digits_of("1-234-567-8910", "aq") == "12345678910"


def test_a_leading_zero_without_a_country_needs_one():
    assert (digits_of("0612345678", None), reason_of("0612345678", None)) == (None, "no_country")
    assert (digits_of("tel 06 12 34 x5", None), reason_of("tel 06 12 34 x5", None)) == (None, "no_country")
    assert reason_of("0033612345678", None) is None
    assert (
        reason_of("+0612345678", None) == reason_of("000", None) == reason_of("0 is no number", None) == "not_possible"
    )


def test_the_1_of_an_old_mexican_mobile_goes_where_the_code_is_written():
    assert library("+5212221234567", None) is None
    assert digits_of("+52 1 222 123 4567", None) == digits_of("5212221234567", "mx") == "522221234567"
    # A plus-less 1 and ten digits in Mexico is as good a number of the United States.
    assert digits_of("12221234567", "mx") is None


def test_zeros_only_and_too_few_or_too_many_digits_are_blank():
    assert library("0000000000", "us") == "10000000000"
    assert library("+989601", None) == "989601"
    assert library("+621234567890123456", None) == "621234567890123456"
    for phone, country in (
        ("0000000000", "us"),
        ("+1 000 000 0000", None),
        ("+989601", None),
        ("+621234567890123456", None),
    ):
        assert (digits_of(phone, country), reason_of(phone, country)) == (None, "not_possible")


def test_a_phone_of_zeros_is_blank_in_every_region():
    rows = [("0" * count, region) for region in [*REGIONS, None] for count in (1, 2, 7, 9, 10, 12)]
    assert read_phones(*columns(rows)).unique().rows() == [(None, "not_possible")]


def test_nulls_and_empty_cells_are_blank():
    answer = read_phones(*columns([(None, "fr"), ("", "fr"), ("  ", None), (None, None), ("0612345678", "fr")]))
    assert answer.rows() == [(None, "blank")] * 4 + [("33612345678", None)]


def test_columns_without_rows_or_without_values_are_read():
    assert normalise_phones(*columns([])).to_list() == []
    nulls = pl.Series([None, None])
    assert normalise_phones(nulls, nulls).to_list() == [None, None]
    assert normalise_phones(pl.Series(["+33612345678", "x"]), nulls).to_list() == ["33612345678", None]


def test_numbers_of_eighteen_digits_keep_every_digit_beside_a_blank_cell():
    # A column with nulls must not pass through floating point numbers.
    rows = [("0014400112442079460958"[2:], "au"), (None, "au"), ("+234 80212345678901", None)]
    assert normalise_phones(*columns(rows)).to_list() == [digits_of(*row) for row in rows]
    assert normalise_phones(*columns(rows)).to_list()[2] is None


def test_a_result_keeps_the_name_of_its_column():
    assert normalise_phones(*columns([("0612345678", "fr")])).name == "PHONE"
    assert phone_reasons(*columns([("0612345678", "fr")])).name == "PHONE"


@given(st.lists(st.tuples(st.one_of(st.none(), PHONES), COUNTRIES), max_size=30))
def test_any_unicode_goes_in_and_digits_or_a_reason_come_out(rows: list[tuple[str | None, str | None]]):
    for (phone, _), (digits, reason) in zip(rows, read_phones(*columns(rows)).rows(), strict=True):
        assert (digits is None) == (reason is not None)
        assert reason in {None, "blank", "not_possible", "no_country"}
        assert digits is None or (digits.isascii() and digits.isdigit() and 7 <= len(digits) <= 15 and digits[0] != "0")
        assert (reason == "blank") == (phone is None or not phone.strip())


@given(PHONES, COUNTRIES)
def test_the_last_step_of_an_explanation_is_the_answer_of_the_column(phone: str, country: str | None):
    steps = phone_steps(phone, country)
    assert steps[-1][1] == (digits_of(phone, country) or "")
    assert all(name for name, _ in steps)


@given(st.lists(st.tuples(PHONES, COUNTRIES), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_row_order_and_frame_size_do_not_matter(rows: list[tuple[str, str | None]], rng: random.Random):
    together = read_phones(*columns(rows)).rows()
    order = rng.sample(range(len(rows)), len(rows))
    assert read_phones(*columns([rows[i] for i in order])).rows() == [together[i] for i in order]
    assert [read_phones(*columns([row])).row(0) for row in rows] == together


def test_several_threads_read_the_same():
    rng = random.Random(3)
    rows = [(f"{rng.choice(['0', '+', '00', ''])}{rng.randrange(10**12)}", rng.choice(REGIONS)) for _ in range(4000)]
    expected = read_phones(*columns(rows)).rows()
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda part: read_phones(*columns(part)).rows(), [rows[i::4] for i in range(4)] * 3)
        assert [list(answer) for answer in answers] == [expected[i::4] for i in range(4)] * 3


def test_steps_say_what_was_taken_from_where():
    assert phone_steps("06 12 34 56 78 ext. 5", "fr") == [
        ("drop extension", "06 12 34 56 78"),
        ("digits only", "0612345678"),
        ("national prefix 0 of FR", "612345678"),
        ("country code +33 from country FR", "33612345678"),
    ]
    assert phone_steps("＋４４ (0)20 7946 0958", "us") == [
        ("digits of any script", "+44 (0)20 7946 0958"),
        ("digits only", "4402079460958"),
        ("national prefix 0 of GB", "442079460958"),
        ("country code +44 as written", "442079460958"),
    ]


def test_steps_name_every_decided_difference():
    def names(phone: str, country: str | None) -> list[str]:
        return [name for name, _ in phone_steps(phone, country)]

    assert names("4915123456789", "de") == ["country code +49 of DE written without plus"]
    assert names("0044 20 7946 0958", "us")[1] == "00 for a plus"
    assert names("011 44 20 7946 0958", "us")[1] == "international prefix 011 of US"
    assert names("1-234-567-8910", None)[-1] == "country code +1 from the digits: no country known"
    assert names("0612345678", None) == ["a leading zero and no country"]
    assert names("+5212221234567", None)[1] == "the 1 of an old Mexican mobile"
    assert names("0000000000", "us")[-1] == "zeros only, or not 7 to 15 digits"
    assert names("ask his wife", "us") == ["no possible number"]
    assert names("", "us") == ["nothing written"]
    assert names("1800-flowers", "us")[0] == "letters on the keypad, digits only"
    assert names("011 15-2345-6789", "ar")[1] == "national rule of AR"
