"""A sample of invented, mutated phones: columns against the rule one by one, and the rule against bare libphonenumber."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import phonenumbers
import polars as pl
import pytest
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationResult

from connector.profiles.phone_numbers import Rule, read_phone
from connector.profiles.phones import read_phones

if TYPE_CHECKING:
    from collections.abc import Callable

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
FORMATS = (
    PhoneNumberFormat.NATIONAL,
    PhoneNumberFormat.NATIONAL,
    PhoneNumberFormat.INTERNATIONAL,
    PhoneNumberFormat.RFC3966,
)
ABROAD = (
    "00",
    "00 ",
    "011",
    "0011 ",
    "00 0",
    "810",
    "8~10 ",
    "009",
    "119",
    "001",
    "000",
    "010",
    "0",
    "990",
    "+00",
    "+0",
)
BEFORE = (
    "0",
    "1",
    "8",
    "06",
    "01",
    "044",
    "015",
    "9",
    "80",
    "90",
    "0xx",
    "021",
    "+",
    "++",
    "(0)",
    "0 0",
    "52 1 ",
    "+52 1",
    "1831",
    "15",
)
BEHIND = (
    " ext 5", "x123", " ext. 77", "#4", ", 12", " extension 12345", "x12345678", " x", "int 5", ";ext=5", ";0612345678", "~5",
    " / 06 12 34 56 78", " or +33612345678", " or", ".", ",", ")", "'", "+", "_", "…", " доб. 5", ",,7", "-12#", "/x+4", ";isub=1",
    ";phone-context=+44", ";phone-context=example.com",
)  # fmt: skip
AHEAD = ("tel: ", "tel:", "m ", "☎ ", "phone: +", "a+", "(+", "'", "x", "+", "٠", "no 1: ")
INSIDE = (
    " ",
    ".",
    "-",
    "(",
    ")",
    "/",
    "[",
    "]",
    "–",
    "\u00a0",
    " / ",
    "*",
    "#",
    "+",
    ",",
    ";",
    "~",
    "x",
    "ab",
    "é",
    "²",
    "½",
    "ー",
    "－",
    "\u00ad",
)
SCRIPTS = ("٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９", "०१२३४५६७८९")
GARBAGE = " +-().0123456789xt#,;~*/aé٣３–＋"


def invented(rng: random.Random) -> tuple[str, str | None]:
    """Write a number of some region in some way, damage it perhaps, and give it a country, mostly its own."""
    region = rng.choice(REGIONS)
    text = written(rng, region)
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 3))):
        text = damaged(rng, text)
    draw = rng.random()
    country = (
        region
        if draw < 0.75
        else rng.choice(REGIONS)
        if draw < 0.85
        else rng.choice(("AQ", "ZZ"))
        if draw < 0.88
        else None
    )
    return text.lower().strip(), country and country.lower()


def written(rng: random.Random, region: str) -> str:
    """Write a number near one of the library's examples, or near none."""
    kind = rng.choice(PhoneNumberType.values())
    number = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
    national = phonenumbers.national_significant_number(number)
    for _ in range(rng.choice((0, 0, 1, 2, 4))):
        place = rng.randrange(len(national))
        national = national[:place] + rng.choice("0123456789") + national[place + 1 :]
    code = str(number.country_code)
    ways: list[tuple[int, Callable[[], str]]] = [
        (35, lambda: formatted(rng, number.country_code, national)),
        (10, lambda: f"{code}{national}"),
        (15, lambda: f"{rng.choice(ABROAD)}{code}{national}"),
        (6, lambda: f"+{code}(0){national}"),
        (12, lambda: f"{rng.choice(BEFORE)}{national}"),
        (6, lambda: "".join(rng.choices("0123456789", k=rng.randrange(1, 20)))),
        (6, lambda: national),
        (3, lambda: f"{code[: rng.randrange(3)]}{code}{national}"),
        (7, lambda: "".join(rng.choices(GARBAGE, k=rng.randrange(22)))),
    ]
    return one_of(rng, ways)


def formatted(rng: random.Random, code: int, national: str) -> str:
    zeros = len(national) - len(national.lstrip("0"))
    number = PhoneNumber(code, int(national), italian_leading_zero=zeros > 0, number_of_leading_zeros=zeros or None)
    return phonenumbers.format_number(number, rng.choice(FORMATS))


def damaged(rng: random.Random, text: str) -> str:
    place = rng.randrange(len(text) + 1)
    script = str.maketrans("0123456789", rng.choice(SCRIPTS))
    ways: list[tuple[int, Callable[[], str]]] = [
        (35, lambda: text[:place] + rng.choice(INSIDE[:11]) + text[place:]),
        (20, lambda: text[:place] + rng.choice("0123456789") + text[place:]),
        (15, lambda: text[:place] + text[place + 1 :]),
        (10, lambda: text + rng.choice(BEHIND)),
        (5, lambda: rng.choice(AHEAD) + text),
        (7, lambda: text.translate(script).replace("+", rng.choice("+＋"))),
        (8, lambda: text[:place] + rng.choice(INSIDE) + text[place:]),
    ]
    return one_of(rng, ways)


def one_of(rng: random.Random, ways: list[tuple[int, Callable[[], str]]]) -> str:
    return rng.choices([way for _, way in ways], weights=[weight for weight, _ in ways])[0]()


def disagreements(rows: list[tuple[str, str | None]]) -> list[tuple[object, ...]]:
    """Where the columns and the rule one by one differ."""
    frame = pl.DataFrame(rows, schema={"phone": pl.String, "country": pl.String}, orient="row")
    read = frame.with_columns(read_phones(frame["phone"], frame["country"])).unique().sort("country", "phone")
    wrong = []
    for phone, country, digits, reason in read.iter_rows():
        reading = read_phone.__wrapped__(phone, country)
        if (reading.digits, reading.reason) != (digits, reason):
            wrong.append((phone, country, reading, digits, reason))
    return wrong


def bare(phone: str, country: str | None) -> str | None:
    try:
        number = phonenumbers.parse(phone, country and country.upper())
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164).removeprefix("+")


def test_columns_agree_with_the_rule_one_by_one_on_a_sample():
    rng = random.Random(20250731)
    assert disagreements([invented(rng) for _ in range(60_000)]) == []


@pytest.mark.stress
def test_columns_agree_with_the_rule_one_by_one_on_a_million():
    rng = random.Random(20250732)
    for _ in range(20):
        assert disagreements([invented(rng) for _ in range(50_000)]) == []


def test_only_the_decided_differences_part_the_rule_from_the_library():
    rng = random.Random(20250733)
    differences = Counter[Rule]()
    for phone, country in sorted({invented(rng) for _ in range(40_000)}, key=lambda row: (row[1] or "", row[0])):
        reading = read_phone(phone, country)
        if reading.digits != bare(phone, country):
            differences[reading.rule] += 1
    assert differences[Rule.LIBRARY] == 0
    assert set(differences) == set(Rule) - {Rule.LIBRARY}, differences


def fed_back(rows: list[tuple[str, str | None]]) -> pl.DataFrame:
    """Read rows, and their answers again behind a plus, without a country."""
    frame = pl.DataFrame(rows, schema={"phone": pl.String, "country": pl.String}, orient="row")
    first = read_phones(frame["phone"], frame["country"])["digits"].drop_nulls().unique()
    nowhere = pl.Series([None] * len(first), dtype=pl.String)
    return pl.DataFrame(
        {
            "first": first,
            "plus": read_phones("+" + first, nowhere)["digits"],
            "bare": read_phones(first, nowhere)["digits"],
        }
    )


def test_an_answer_fed_back_gives_itself_unless_the_library_takes_another_prefix_off():
    rng = random.Random(20250734)
    again = fed_back([invented(rng) for _ in range(40_000)])
    assert again.height > 10_000
    assert again.filter(pl.col("plus").ne_missing(pl.col("bare"))).is_empty()
    changed = again.filter(pl.col("plus").ne_missing(pl.col("first")))
    assert changed.height < again.height / 200
    for first, plus in changed.select("first", "plus").iter_rows():
        number = phonenumbers.parse(f"+{first}")
        assert first != phonenumbers.format_number(number, PhoneNumberFormat.E164).removeprefix("+")
        assert plus == bare(f"+{first}", None)
