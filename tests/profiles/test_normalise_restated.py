"""The rules once more, in plain Python: hashlib, unicodedata and re, no polars and nothing of connector's own tables."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
import re
import unicodedata

import polars as pl
import pytest
from anyascii import anyascii

from connector.hashing import hash_columns
from connector.profiles.match_keys import PLAIN
from connector.profiles.normalise import normalise
from connector.profiles.rules import Settings

TODAY = dt.date(2025, 11, 21)
ROWS = 3000
BLANK = {"", "null", "none", "nan", "n/a", "-", "unknown"}
SPACES = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
INVISIBLE = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
LETTERS = {
    "us": {"new york": "ny", "ny": "ny", "texas": "tx", "d.c.": "dc", "puerto rico": "pr"},
    "ca": {"québec": "qc", "ontario": "on", "bc": "bc"},
}
US_POST = {"us", "pr", "gu", "vi", "as", "mp", "um"}


def clean(text: str):
    text = "".join(" " if c in SPACES else c for c in text)
    text = "".join(c for c in text if unicodedata.category(c) != "Cc")
    text = unicodedata.normalize("NFC", INVISIBLE.sub("", text)).strip(" ").lower()
    return unicodedata.normalize("NFC", re.sub("i\u0307+", "i", text))


def email(text: str, _: str | None):
    if any(c.isspace() for c in text) or text.count("@") != 1:
        return None
    local, domain = text.split("@")
    good_local = re.fullmatch(r"[a-z0-9!#$%&'*+/=?^_`{|}~\-.]+", "".join(c if ord(c) < 128 else "x" for c in local))
    labels = domain.split(".")
    good = good_local and all(local.split(".")) and len(labels) > 1 and not labels[-1].isdecimal()
    for label in labels:
        good = good and label.strip("-") == label != "" and all(c == "-" or in_domain(c) for c in label)
    return text if good else None


def in_domain(c: str):
    return c in "abcdefghijklmnopqrstuvwxyz0123456789" if c.isascii() else unicodedata.category(c)[0] not in "ZCP"


def name(text: str, _: str | None):
    kept = [c for c in text if unicodedata.category(c)[0] not in "PSZ" and unicodedata.category(c) != "Cf"]
    left = unicodedata.normalize(
        "NFC", "".join(c for c in kept if not "\u02b9" <= c <= "\u02bf" and c not in "\u20e3ℹ")
    )
    return left if any(unicodedata.category(c)[0] == "L" for c in left) else None


def initial(text: str, country: str | None):
    letters = name(text, country) or ""
    start = next((i for i, c in enumerate(letters) if unicodedata.category(c)[0] == "L"), None)
    if start is None or letters in BLANK:
        return None
    end = start + 1
    while end < len(letters) and unicodedata.category(letters[end])[0] == "M":
        end += 1
    return letters[start:end]


def roman(text: str, _: str | None):
    bare = (c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c)[0] == "L")
    latin = "".join(
        anyascii(c) for c in bare if re.match("(FULLWIDTH )?LATIN |(FEMININE|MASCULINE) ORD", unicodedata.name(c, ""))
    )
    return re.sub("[^a-z]", "", latin.lower()) or None


def state(text: str, country: str | None):
    known = LETTERS["us"] | {roman(k, None): v for k, v in LETTERS["us"].items()}
    provinces = {roman(k, None): v for k, v in LETTERS["ca"].items()}
    word = roman(text, None)
    if country == "us":
        return known.get(word)
    return {"ca": provinces, None: known}.get(country, {}).get(word, word)


def postal_code(text: str, country: str | None):
    if country in US_POST:
        text = re.sub(r"^([0-9]{3,5})[\- ]+[0-9]{4}$", r"\1", re.sub(r"^[a-z]{2}[ \-]*([0-9]{5})", r"\1", text))
    text = unicodedata.normalize("NFC", re.sub(r"[ \-\u2010-\u2015\u2212]", "", text))
    text = re.sub(r"^([0-9]+)\.0+$", r"\1", text)
    if country in US_POST:
        digits = text.zfill(5) if re.fullmatch("[0-9]{3,4}", text) else text
        digits = digits.zfill(9) if re.fullmatch("[0-9]{8}", digits) else digits
        return digits[:5] if re.fullmatch("[0-9]{5,}", digits) else None
    return text if len(text) >= 3 else None


def month(text: str, _: str | None):
    text = re.sub(r"\.0+$", "", text)
    return text.zfill(2) if re.fullmatch("[0-9]{1,2}", text) and 1 <= int(text) <= 12 else None


def year(text: str, _: str | None):
    text = re.sub(r"\.0+$", "", text)
    return text if re.fullmatch("[0-9]{4}", text) and 1900 <= int(text) <= TODAY.year else None


RULES = {
    "EMAIL": email, "FN": name, "LN": name, "FI": initial, "CT": roman, "ST": state, "ZIP": postal_code,
    "DOBM": month, "DOBY": year,
}  # fmt: skip


def restated(key: str, cell: str | None, country: str | None):
    """Give the digest that must be sent, or nothing."""
    text = clean(cell or "")
    if text in BLANK or re.fullmatch("[0-9a-f]{32}|[0-9a-f]{40}", text):
        return None
    if re.fullmatch("[0-9a-f]{64}", text):
        return text
    value = RULES[key](text, country)
    if not value or value in BLANK or re.fullmatch("[0-9a-f]{32}|[0-9a-f]{40}", value):
        return None
    return value if re.fullmatch("[0-9a-f]{64}", value) else hashlib.sha256(value.encode()).hexdigest()


PIECES = {
    "EMAIL": [
        "anna",
        "anna@example.com",
        "B@müller.de",
        "O'Brien",
        "@",
        "@example.com",
        "@münchen.de",
        ".",
        "..",
        "+tag",
        "_x",
        "-",
        ",",
        ";",
        "<",
        "@1.2",
        ".co.uk",
        "İ",
    ],
    "ST": ["new york", "NY", "Texas", "D.C.", "Puerto Rico", "Québec", "Ontario", "BC", "Bayern", "東京", "Île", " "],
    "ZIP": [
        "94107",
        "-1234",
        "7030",
        "501",
        ".0",
        "SW1A",
        " 1AA",
        "00",
        "-",
        "CA ",
        "−",
        "12",
        "\u2013",
        "é",
        "e\u0301",
    ],
    "DOBM": ["0", "1", "12", "13", "7", ".0", "July"],
    "DOBY": ["1900", "1968", "2025", "2026", "68", ".0", "x"],
}
ANYTHING = [
    "Anna", "O’Brien", "Mary-Ann", "José", "Jose\u0301", "Łódź", "Århus", "İPEK", "ẞ", "ΣΑΣ", "Ёлка", "שרה", "محمد", "नमिता", "정", "ᄌ\u1165ᆼ", "ﾔﾏﾀﾞ",
    "ー", "山", "😀", "1️⃣", "ℹ", "™", "ʻ", "\u20e3", "\u200b", "\u202e", "\ufeff", "\xad", "\u00a0", "\u3000", "\t", "\x07", "null", "N/A", "-", "unknown",
    "3", "٣", "\u0301", "\u0307", "i", "I", "a" * 32, "B" * 40, "c" * 64, "æøþđı", "ﬁ", "Ａ", "x\u0331", "_", "$", "",
]  # fmt: skip


@pytest.mark.parametrize("key", RULES)
def test_plain_python_says_the_same(key: str):
    rng = random.Random(f"restated {key}")
    pieces = PIECES.get(key, []) * 4 + ANYTHING
    cells = ["".join(rng.choices(pieces, k=rng.choice((1, 1, 2, 2, 3)))) for _ in range(ROWS)]
    countries = rng.choices([None, "us", "ca", "de", "pr"], k=ROWS)
    raw = pl.DataFrame({key: cells, "COUNTRY": countries}, schema={key: pl.String, "COUNTRY": pl.String})
    sent = hash_columns(normalise(raw, Settings(today=TODAY)), plain=PLAIN)[key].to_list()
    due = [restated(key, cell, country) for cell, country in zip(cells, countries, strict=True)]
    wrong = [(c, n, d, s) for c, n, d, s in zip(cells, countries, due, sent, strict=True) if d != s]
    assert wrong == []
    assert sum(cell is not None for cell in sent) > ROWS / 25


def test_every_day_since_1900_is_read_in_every_clear_way_of_writing_it():
    days = [dt.date(1900, 1, 1) + dt.timedelta(days=n) for n in range(0, 45_000, 7)]
    writings = ["%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%d.%m.%Y", "%Y-%m-%dT00:00:00Z", "%d %B %Y"]
    cells = [day.strftime(writing) for writing in writings for day in days]
    values = normalise(pl.DataFrame({"DOB": cells}), Settings(today=TODAY))
    assert list(values.iter_rows()) == [
        (f"{day.year}", f"{day.month:02}", f"{day.day:02}") for _ in writings for day in days
    ]


def test_slashed_dates_are_read_only_where_day_and_month_cannot_be_swapped():
    days = [dt.date(1990, 1, 1) + dt.timedelta(days=n) for n in range(365)]
    for order in ("%d/%m/%Y", "%m/%d/%Y"):
        values = normalise(pl.DataFrame({"DOB": [day.strftime(order) for day in days]}), Settings(today=TODAY))
        for day, (year_, month_, day_) in zip(days, values.iter_rows(), strict=True):
            clear = day.day > 12 or day.day == day.month
            assert (year_, month_, day_) == (
                (f"{day.year}", f"{day.month:02}", f"{day.day:02}") if clear else (None,) * 3
            )
