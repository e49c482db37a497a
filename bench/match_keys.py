"""Rows per second, normalise + hash, for every match key.

Frames of 100,000 invented rows, two worker threads as in an export, best of three rounds. Run: ``make bench``, or
``python bench/match_keys.py [ROWS]``.
"""

from __future__ import annotations

import random
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import polars as pl

from connector.hashing import hash_columns
from connector.profiles.match_keys import MATCH_KEYS, PLAIN
from connector.profiles.normalise import READ_IN_A_COUNTRY, normalise
from connector.profiles.rules import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

FRAME = 100_000
WORKERS = 2

FIRST = [
    "Mary",
    "James",
    "Linda",
    "Robert",
    "José",
    "Zoë",
    "Björn",
    "Chloé",
    "Anna-Maria",
    "Olivier",
    "İpek",
    "Łukasz",
    "Анна",
    "Иван",
    "정",
    "美咲",
    "Ahmed",
    "Fatima",
    "Noah",
    "Mia",
]
LAST = [
    "Smith",
    "O'Brien",
    "García",
    "Müller",
    "Nowak",
    "Dubois",
    "Rossi",
    "van-den-Berg",
    "Jensen",
    "Иванов",
    "김",
    "山田",
    "Nguyễn",
    "Silva",
    "Costa",
    "Khan",
    "Lee",
]
CITIES = [
    "New York",
    "São Paulo",
    "London",
    "St. Louis",
    "München",
    "Łódź",
    "Paris",
    "Århus",
    "Los Angeles",
    "Chicago",
    "東京",
    "Madrid",
]
STATES = [
    "NY",
    "new york",
    "California",
    "CA",
    "Texas",
    "D.C.",
    "Bayern",
    "Ontario",
    "Québec",
    "Florida",
    "Île-de-France",
]
COUNTRIES = ["US", "us", "United States", "DE", "Germany", "FR", "France", "GB", "UK", "Canada", "BR", "日本"]
GENDERS = ["M", "F", "male", "Female", "Herr", "Frau", "Mme", "x"]


def attributes(rows: int, seed: int) -> pl.DataFrame:
    """Invent profiles: mostly plain, some padded, in capitals, beyond ASCII, blank or hashed already."""
    rng = random.Random(seed)

    def column(make: Callable[[], str], blanks: float = 0.05) -> pl.Series:
        return pl.Series([None if rng.random() < blanks else make() for _ in range(rows)], dtype=pl.String)

    def syllables(count: int) -> str:
        return "".join(rng.choice("bdfgklmnprst") + rng.choice("aeiou") for _ in range(count))

    def name(known: list[str]) -> str:
        return rng.choice(known) if rng.random() < 0.6 else rng.choice(("", " ")) + syllables(rng.randint(2, 4)).title()

    def email() -> str:
        local = f"{syllables(3)}{rng.choice('._-+')}{syllables(2)}{rng.randint(1, 9999)}"
        hosts = ("gmail.com", "Yahoo.com", "example.org", "web.de", "münchen.example")
        host = rng.choices(hosts, weights=(50, 20, 15, 14, 1))[0]
        return rng.choice(("", "", "", " ")) + f"{local}@{host}"

    def birth() -> str:
        return f"{rng.randint(1930, 2008)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"

    return pl.DataFrame(
        {
            "EXTERN_ID": column(lambda: str(rng.randint(10**6, 10**8)), 0),
            "EMAIL": column(email),
            "PHONE": column(
                lambda: f"({rng.randint(201, 989)}) {rng.randint(200, 999)}-{rng.randint(0, 9999):04}", 0.2
            ),
            "FN": column(lambda: name(FIRST)),
            "LN": column(lambda: name(LAST)),
            "FI": column(lambda: name(FIRST)),
            "GEN": column(lambda: rng.choice(GENDERS), 0.3),
            "DOB": column(birth, 0.3),
            "DOBY": column(lambda: str(rng.randint(1930, 2008))),
            "DOBM": column(lambda: str(rng.randint(1, 12))),
            "DOBD": column(lambda: str(rng.randint(1, 31))),
            "CT": column(lambda: rng.choice(CITIES) if rng.random() < 0.5 else syllables(4).title()),
            "ST": column(lambda: rng.choice(STATES)),
            "ZIP": column(lambda: rng.choice(("{:05}", "{:05}-1234", "{}")).format(rng.randint(500, 99999))),
            "COUNTRY": column(lambda: rng.choice(COUNTRIES)),
            "MADID": column(lambda: str(uuid.UUID(int=rng.getrandbits(128))).upper(), 0.5),
            "LOOKALIKE_VALUE": column(lambda: f"{rng.random() * 500:.2f}"),
            "DATA_PROCESSING_OPTIONS": column(lambda: rng.choice(("true", "false")), 0),
        }
    )


def measured(frames: list[pl.DataFrame], settings: Settings, rounds: int = 3) -> tuple[float, float]:
    """Normalise and hash every frame, two at a time.

    Returns:
        Rows a second in the best round, and nanoseconds of CPU a row, which other programs disturb less.
    """
    rows = sum(frame.height for frame in frames)
    wall = cpu = float("inf")
    with ThreadPoolExecutor(WORKERS) as workers:
        for _ in range(rounds):
            start, busy = time.perf_counter(), time.process_time()
            list(workers.map(lambda frame: hash_columns(normalise(frame, settings), plain=PLAIN), frames))
            wall, cpu = min(wall, time.perf_counter() - start), min(cpu, time.process_time() - busy)
    return rows / wall, cpu / rows * 1e9


def main(rows: int) -> None:
    """Print one line per key, then all keys of a row together."""
    settings = Settings(default_country="US")
    frames = [attributes(FRAME, seed) for seed in range(max(2, rows // FRAME))]
    hash_columns(normalise(frames[0].head(1000), settings), plain=PLAIN)  # build the tables once
    print(f"normalise + hash, {WORKERS} workers, frames of {FRAME:,}")
    print(f"{'key':24} {'rows/s':>12} {'CPU ns/row':>11}")
    columns = {key.meta: [key.meta] for key in MATCH_KEYS}
    columns |= {code: [code, "COUNTRY"] for code in sorted(READ_IN_A_COUNTRY)}
    columns["all keys of a row"] = [key.meta for key in MATCH_KEYS if key.meta not in {"DOBY", "DOBM", "DOBD"}]
    for name, wanted in columns.items():
        speed, cpu = measured([frame.select(wanted) for frame in frames], settings)
        print(f"{name:24} {speed:12,.0f} {cpu:11,.0f}" + ("   with COUNTRY" if wanted[1:] == ["COUNTRY"] else ""))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400_000)
