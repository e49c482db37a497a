"""Are the digests right? python -m bench.correct FILE: 20,000 random rows against plain Python and hashlib.

The names, towns, postal codes and e-mails are restated by the tests (``tests/profiles/test_normalise_restated.py``); here
stand the rest, for the values that ``bench.profiles`` writes. Prints one JSON object: rows, cells compared, cells that differ.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import random
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

import phonenumbers
import polars as pl

from bench.profiles import COUNTRIES
from bench.workspace import KEYS, SEGMENT, Target, Workspace
from connector.config import Config
from connector.hashing import hash_columns
from connector.profiles.segments import open_segment
from connector.transform import UNHASHED

if TYPE_CHECKING:
    from types import ModuleType

ROWS = 20_000
DEFAULT = "us"
CODES = "US GB DE FR BR IN IT ES MX JP CA AU NL PL SE".lower().split()
SPELLED = {
    spelled.lower(): code
    for code, country in zip(CODES, COUNTRIES, strict=True)
    for spelled in country.spelled.split("|")
}
GENDERS = {"m": "m", "male": "m", "herr": "m", "homme": "m", "f": "f", "female": "f", "frau": "f", "femme": "f"}
STATES = {
    "us": {
        "ny": "ny",
        "newyork": "ny",
        "ca": "ca",
        "california": "ca",
        "tx": "tx",
        "fl": "fl",
        "il": "il",
        "wa": "wa",
        "mi": "mi",
    },
    "ca": {"britishcolumbia": "bc", "quebec": "qc"},
}


def restated_rules() -> ModuleType:
    """Load the tests' restatement."""
    file = Path(__file__).parent.parent / "tests" / "profiles" / "test_normalise_restated.py"
    spec = spec_from_file_location("restated", file)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{file} is not there")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def phone(text: str, country: str | None) -> str | None:
    """Read by libphonenumber alone, with the departures of match-keys.md that these phones meet.

    Digits of an unknown country are read as if a plus stood before them; so is a leading ``00`` unless the number is valid
    as the country writes it; what has only zeros, fewer than seven digits or more than fifteen is none.
    """
    digits = "".join(c for c in text if c.isdecimal())
    if not digits.strip("0"):
        return None
    if digits.startswith("00") and text.lstrip().startswith("00"):
        number = read(text, country)
        if country is None or number is None or not phonenumbers.is_valid_number(number):
            number = read(f"+{text.strip()[2:]}", None) or number
    elif country is None and not text.lstrip().startswith("+"):
        number = None if digits.startswith("0") else read(f"+{text}", None)
    else:
        number = read(text, country)
    if number is None:
        return None
    found = f"{number.country_code}{phonenumbers.national_significant_number(number)}"
    return found if 7 <= len(found) <= 15 else None


def read(text: str, country: str | None) -> phonenumbers.PhoneNumber | None:
    """Ask libphonenumber; a number that is not possible is none."""
    try:
        number = phonenumbers.parse(text, country.upper() if country else None)
    except phonenumbers.NumberParseException:
        return None
    possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    return number if possible else None


def birth_parts(text: str) -> tuple[str, str, str] | None:
    """Read an ISO date from 1900 on that is not to come."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return None
    return (
        (f"{day:%Y}", f"{day:%m}", f"{day:%d}") if day.year >= 1900 and day <= dt.datetime.now(dt.UTC).date() else None
    )


def expected(row: dict[str, str | None], rules: ModuleType) -> dict[str, str | None]:
    """Give the digest of every key of one profile, with nothing but plain Python."""

    def plain(column: str) -> str:
        text = rules.clean(row[column] or "")
        return "" if text in rules.BLANK else str(text)

    def digest(value: str | None) -> str | None:
        return hashlib.sha256(value.encode()).hexdigest() if value else None

    own = SPELLED.get(plain("country"))
    country = own if plain("country") else DEFAULT  # one that is there and unknown is not the default
    birth = birth_parts(plain("birth_date")) or (None, None, None)
    word = rules.roman(plain("state"), None) if plain("state") else None
    state = STATES["us"].get(word or "") if country == "us" else STATES.get(country or "us", {}).get(word or "", word)
    tested = {"EMAIL": "email", "FN": "first_name", "LN": "last_name", "CT": "city", "ZIP": "postal_code"}
    return {
        "EXTERN_ID": row["customer_id"],
        **{code: rules.restated(code, row[column], country) for code, column in tested.items()},
        "PHONE": digest(phone(plain("phone"), country)),
        "GEN": digest(GENDERS.get(plain("gender"))),
        "DOBY": digest(birth[0]), "DOBM": digest(birth[1]), "DOBD": digest(birth[2]),
        "ST": digest(state),
        "COUNTRY": digest(own),
    }  # fmt: skip


def random_rows(path: Path, folder: Path) -> Path:
    """Write 20,000 random profiles of a file to a file of their own."""
    height = pl.scan_parquet(path).select(pl.len()).collect().item()
    chosen = pl.Series(sorted(random.Random(height).sample(range(height), min(ROWS, height))), dtype=pl.UInt32)
    some = (
        pl.scan_parquet(path)
        .select(*KEYS["13 keys"].values())
        .with_row_index("at")
        .filter(pl.col("at").is_in(chosen.implode()))
    )
    to = folder / "random.parquet"
    some.drop("at").collect(engine="streaming").write_parquet(to)
    return to


def main(path: str, folder: str) -> None:
    some = random_rows(Path(path), Path(folder))
    made = Workspace(Path(folder), "13 keys", Target({}))
    made.point_at(some)
    segment, rules = open_segment(Config.load(Path(folder)), SEGMENT), restated_rules()
    differing: dict[str, int] = {}
    rows = cells = 0
    for chunk in segment.chunks():
        ours = hash_columns(segment.mapping.keys_of(chunk.frame).values, plain=UNHASHED)
        for mine, profile in zip(ours.iter_rows(named=True), chunk.frame.iter_rows(named=True), strict=True):
            rows += 1
            for code, digest in expected(profile, rules).items():
                cells += 1
                if mine[code] != digest:
                    differing[code] = differing.get(code, 0) + 1
                    if "-v" in sys.argv:
                        print(code, profile, file=sys.stderr)
    print(json.dumps({"rows": rows, "cells": cells, "differing": differing}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
