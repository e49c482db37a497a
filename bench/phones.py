"""Phones per second, and how many times faster than libphonenumber row by row.

Run ``python bench/phones.py [rows] [runs]``. Both sides read the same rows in the same run, and CPU time is
counted on one core: the machine may be shared. The mix is invented: 60 % national writings of 15 countries, 30 %
international ones, 8 % digits only, 2 % odd.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import time

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import phonenumbers
import polars as pl
from phonenumbers import PhoneNumberFormat

from connector.profiles.phones import normalise_phones

COUNTRIES = ("us", "gb", "de", "fr", "it", "es", "br", "mx", "in", "jp", "au", "nl", "se", "pl", "ar")
FRAME = 100_000
"""Rows at a time, as an export reads them."""


def invented_number(rng: random.Random, region: str) -> phonenumbers.PhoneNumber:
    """Change the last six digits of an example number: most remain valid."""
    kind = rng.choice((phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE))
    example = phonenumbers.example_number_for_type(region, kind)
    if example is None or example.national_number is None:
        raise LookupError(f"phonenumbers has no example of {kind} in {region}")
    example.national_number += rng.randrange(10**6) - example.national_number % 10**6
    return example


def invented_row(rng: random.Random) -> tuple[str, str]:
    """Write one phone and its country as customers and shops do."""
    country = rng.choice(COUNTRIES)
    number = invented_number(rng, country.upper())
    draw = rng.random()
    if draw < 0.60:
        text = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        return rng.choice((text, text, text.replace("-", " "), text.replace(" ", "."), text.replace(" ", ""))), country
    if draw < 0.90:
        text = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
        return rng.choice((text, text, text.replace(" ", ""), "00" + text[1:], text.replace(" ", " (0)", 1))), country
    if draw < 0.98:
        return phonenumbers.format_number(number, PhoneNumberFormat.E164)[1:], country
    national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    text = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    odd = (
        f"{national} ext. 12",
        f"{text} x345",
        f"tel: {text}",
        f"{text},",
        text.replace(" ", "\u2013"),
        "0000000000",
        "12345",
    )
    worse = (f"{national} / {national}", f"{text} or {text}", f"{national};{national}", "1-800-flowers", "ask his wife")
    return rng.choice((*odd, *worse)), country


def row_by_row(rows: list[tuple[str, str]]) -> int:
    """Read rows with libphonenumber alone, as one would without this package; count the possible ones."""
    possible = 0
    for text, country in rows:
        try:
            number = phonenumbers.parse(text, country.upper())
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE:
            phonenumbers.format_number(number, PhoneNumberFormat.E164)
            possible += 1
    return possible


def main(count: int = 200_000, runs: int = 5) -> None:
    ours, theirs, blank = [], [], 0
    for run in range(runs):
        rng = random.Random(run)  # other values in every run: no cache may remember the run before
        rows = [invented_row(rng) for _ in range(count)]
        frame = pl.DataFrame(rows, schema=["phone", "country"], orient="row")
        start = time.process_time()
        for part in frame.iter_slices(FRAME):
            blank += normalise_phones(part["phone"], part["country"]).null_count()
        ours.append(count / (time.process_time() - start))
        slow_rows = rows[: max(count // 20, 1)]
        start = time.process_time()
        row_by_row(slow_rows)
        theirs.append(len(slow_rows) / (time.process_time() - start))
    ratio = statistics.median(us / them for us, them in zip(ours, theirs, strict=True))
    print(f"phones: {statistics.median(ours):,.0f} rows/s of CPU time, median of {runs} runs of {count:,} rows")
    print(f"phonenumbers row by row: {statistics.median(theirs):,.0f} rows/s; ratio {ratio:.0f} x")
    print(f"blank: {blank / count / runs:.1%}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
