"""Make millions of realistic profiles: python -m bench.profiles ROWS PATH [--seed N], Parquet or CSV by the path's ending.

Owns the shape of the bench's people: 13 match-key attributes, as many distinct values as people have, about 3 % blanks and 0.5 % odd
cells in each column. Must not know what is measured on them. The files are not kept in git, so a phone is any number right for its country.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHUNK = 250_000  # rows made at a time, and rows in a Parquet row group
BLANK, ODD = 30, 5  # of 1,000 cells
WORKERS = 2

SCHEMA = {
    "customer_id": pl.String,
    "email": pl.String,
    "phone": pl.String,
    "first_name": pl.String,
    "last_name": pl.String,
    "gender": pl.String,
    "birth_date": pl.String,
    "city": pl.String,
    "state": pl.String,
    "postal_code": pl.String,
    "country": pl.String,
    "orders_12m": pl.Int32,
    "consent_ads": pl.Boolean,
}


@dataclass(frozen=True, slots=True)
class Country:
    """One country: its share in per cent, and patterns apart by ``|``; ``#`` is a digit.

    ``phones`` are national numbers without trunk prefix and without their last four digits.
    """

    share: int
    spelled: str
    dial: str
    trunk: str
    phones: str
    postal: str
    states: str


COUNTRIES = (
    Country(30, "US|US|US|USA|United States", "1", "", "2122##|4155##|3126##|3057##|2063##|7134##", "9####|1####|0####|6####-####", "NY|CA|TX|FL|IL|WA|California|New York"),
    Country(9, "GB|GB|UK|United Kingdom", "44", "0", "7400##|7911##|7412##|2079##", "SW1A #AA|M1 #AE|LS## #QX|ec1a#bb", "Kent|Greater London|Scotland"),
    Country(9, "DE|DE|Deutschland|Germany|DEU", "49", "0", "1512###|170###|160###|3023##|8943##", "1####|8####|0####|5####", "Bayern|Hessen|NRW|Baden-Württemberg"),
    Country(8, "FR|FR|France|FRA", "33", "0", "612##|698##|755##|142##", "750##|690##|130##|010##", "Île-de-France|Bretagne|Loire"),
    Country(6, "BR|Brasil|Brazil", "55", "0", "11912##|21987##|31998##", "01###-###|22###-###", "SP|RJ|MG|São Paulo|Paraná"),
    Country(6, "IN|India", "91", "0", "9812##|9123##|7012##", "1100##|4000##|5600##", "Delhi|Kerala|Tamil Nadu"),
    Country(5, "IT|Italia|Italy", "39", "", "3331##|3478##|3204##|0612##", "001##|201##|801##", "MI|RM|TO|Emilia-Romagna"),
    Country(5, "ES|España|Spain", "34", "", "612##|655##|687##|914##", "280##|080##|410##", "Madrid|Cataluña|País Vasco"),
    Country(4, "MX|México|Mexico", "52", "", "5512##|3318##|8112##", "06###|44###|64###", "CDMX|Jalisco|Nuevo León"),
    Country(4, "JP|Japan|日本", "81", "0", "9012##|8034##|7056##", "100-00##|530-00##", "東京都|大阪府|Tokyo"),
    Country(4, "CA|Canada", "1", "", "4162##|5143##|6045##", "M5V #B#|H2X #Y#|v6b#c#", "ON|QC|British Columbia|Québec"),
    Country(3, "AU|Australia", "61", "0", "412##|423##|291##", "20##|30##|08##", "NSW|VIC|Queensland"),
    Country(3, "NL|Nederland|Holland", "31", "0", "612##|641##|201##", "101# AB|351#XK", "Noord-Holland|Utrecht"),
    Country(2, "PL|Polska|Poland", "48", "", "601##|512##|221##", "00-###|31-###", "mazowieckie|małopolskie"),
    Country(2, "SE|Sverige|Sweden", "46", "0", "701##|731##", "111 ##|41###", "Skåne|Stockholms län"),
)  # fmt: skip
SYLLABLES = "ma|ri|lu|sa|jo|ka|el|an|to|be|ne|da|vi|ro|li|mé|çe|jö|ña|ül|ać|ør|sto|wen|bra|hol|gru|pek"
ENDINGS = "son|mann|ez|ov|ski|sen|ini|eau|dóttir|wala|a|ić|er|ton"
ODD_CELLS = ("n/a", "-", "unknown", "???", "  ", "NULL", "🙂", "12")


@dataclass(frozen=True, slots=True)
class Pool:
    """Values to draw from: a stretch of good ones for each country (or one for all), then the odd ones, then null."""

    values: pl.Series
    start: np.ndarray
    size: np.ndarray
    odd: int

    @classmethod
    def of(cls, *groups: Sequence[str], odd: Sequence[str] = ODD_CELLS) -> Pool:
        """Lay the groups one after the other."""
        size = np.array([len(group) for group in groups], dtype=np.float32)
        values = [value for group in groups for value in group]
        return cls(pl.Series([*values, *odd, None], dtype=pl.String), np.cumsum(size) - size, size, len(odd))

    def take(
        self,
        rng: np.random.Generator,
        rows: int,
        group: np.ndarray | int = 0,
        *,
        few_are_common: bool = False,
        blank: int = BLANK,
    ) -> pl.Series:
        """Draw one value a row, now and then a blank (``blank`` in 1,000) or an odd one.

        With ``few_are_common`` the first values come most often, as names do: about one in its place (Zipf).
        """
        chance = rng.random(rows, dtype=np.float32)
        size = self.size[group]
        place = np.exp(chance * np.log(size)) - 1 if few_are_common else chance * size
        place = (np.minimum(np.floor(place), size - 1) + self.start[group]).astype(np.uint32)
        fate = rng.integers(0, 1000, rows, dtype=np.int16)
        bad = np.flatnonzero(fate < blank + ODD)
        null = len(self.values) - 1
        place[bad] = np.where(fate[bad] < blank, null, null - 1 - fate[bad].astype(np.uint32) % self.odd)
        return self.values.gather(pl.Series(place))


@dataclass(frozen=True, slots=True)
class People:
    """Everything that profiles are put together from."""

    first: Pool
    last: Pool
    mailbox: Pool
    domain: Pool
    gender: Pool
    birthday: Pool
    city: Pool
    country: Pool
    phone: Pool
    tail: Pool
    state: Pool
    postal: Pool

    @classmethod
    def invent(cls, seed: int) -> People:
        """Make up names, towns and numbers: the same for the same seed."""
        rng = np.random.default_rng(seed)
        words = ["".join(parts) for parts in product(SYLLABLES.split("|"), repeat=3)]
        rng.shuffle(words)
        endings = ENDINGS.split("|")
        plain = [word.encode("ascii", "ignore").decode() for word in words]
        days = [(date(1940, 1, 1) + timedelta(days=n)).isoformat() for n in range(25_000)]
        return cls(
            first=Pool.of(names(words[:8_000])),
            last=Pool.of(names("".join(parts) for parts in islice(product(words[8_000:], endings), 150_000))),
            mailbox=Pool.of(
                [f"{a}{dot}{b}" for a, b in zip(plain, reversed(plain), strict=True) for dot in ".-_"],
                odd=(" x.", "a b", "x..y"),
            ),
            domain=Pool.of(
                [f"@mail{n}.example.{end}" for n in range(400) for end in ("com", "net", "org")],
                odd=("@", "@@a.example.com", ".", ">"),
            ),
            gender=Pool.of(
                ["m", "f", "m", "f", "M", "F", "male", "female", "Male", "Female", "Herr", "Frau", "homme", "femme"]
            ),
            birthday=Pool.of(days, odd=("31.02.1984", "0000-00-00", "2084-01-01", "12/31/80")),
            city=Pool.of(names(f"{word}{end}" for word, end in product(words[:4_000], endings[:5]))),
            country=Pool.of(*(country.spelled.split("|") for country in COUNTRIES)),
            phone=Pool.of(*(phone_heads(country, rng) for country in COUNTRIES), odd=("0", "tel ", "+", "99 ")),
            tail=Pool.of([f"{n:04d}" for n in range(10_000)], odd=("12 ext. 7", "0000000000", "xx", "1")),
            state=Pool.of(*(country.states.split("|") for country in COUNTRIES)),
            postal=Pool.of(
                *([fill(p, rng) for p in country.postal.split("|") for _ in range(2_000)] for country in COUNTRIES)
            ),
        )


def names(words: Iterator[str] | Sequence[str]) -> list[str]:
    """Write names as people do: mostly with a capital, now and then in capitals, without, or with a blank behind."""
    return [
        {7: word.upper(), 13: word, 17: f"{word.title()} "}.get(n % 20, word.title()) for n, word in enumerate(words)
    ]


def fill(pattern: str, rng: np.random.Generator) -> str:
    """Put a digit for every ``#``."""
    return "".join(str(rng.integers(10)) if sign == "#" else sign for sign in pattern)


def phone_heads(country: Country, rng: np.random.Generator) -> list[str]:
    """Write the beginnings of a country's phones, in the ways people write them."""
    heads = [fill(pattern, rng) for pattern in country.phones.split("|") for _ in range(300)]
    ways = (
        "+{c}{h}",
        "+{c}{h}",
        "+{c} {a} {b} ",
        "+{c} {a} {b} ",
        "{t}{a} {b} ",
        "{t}{a} {b} ",
        "{t}{h}",
        "{t}{a}-{b}-",
        "00{c} {h} ",
        "+{c} (0){a} {b} ",
    )
    fitting = [way for way in ways if country.trunk or "(0)" not in way]
    return [
        way.format(c=country.dial, t=country.trunk, h=head, a=head[:3], b=head[3:]) for head in heads for way in fitting
    ]


def make_chunk(people: People, seed: int, start: int, rows: int) -> pl.DataFrame:
    """Make the profiles from number ``start`` on; which thread does it makes no difference."""
    rng = np.random.default_rng((seed, start))
    shares = np.repeat(np.arange(len(COUNTRIES)), [country.share for country in COUNTRIES])
    country = shares[rng.integers(0, len(shares), rows)]
    number = np.arange(start, start + rows, dtype=np.int64)
    number -= rng.integers(0, 1000, rows, dtype=np.uint16) < 1  # one in a thousand: the customer before, once more
    ids = pl.Series(number + 100_000_000).cast(pl.String)
    return pl.DataFrame(
        {
            "customer_id": ids,
            "email": joined(people.mailbox.take(rng, rows), ids.str.slice(2), people.domain.take(rng, rows, blank=0)),
            "phone": joined(people.phone.take(rng, rows, country), people.tail.take(rng, rows, blank=0)),
            "first_name": people.first.take(rng, rows, few_are_common=True),
            "last_name": people.last.take(rng, rows, few_are_common=True),
            "gender": people.gender.take(rng, rows),
            "birth_date": people.birthday.take(rng, rows),
            "city": people.city.take(rng, rows, few_are_common=True),
            "state": people.state.take(rng, rows, country),
            "postal_code": people.postal.take(rng, rows, country),
            "country": people.country.take(rng, rows, country),
            "orders_12m": pl.Series(rng.integers(0, 25, rows, dtype=np.int32)),
            "consent_ads": pl.Series(rng.integers(0, 100, rows, dtype=np.uint8) >= 4),
        },
        schema=SCHEMA,
    )


def joined(*parts: pl.Series) -> pl.Series:
    """Put strings together; one null makes a null."""
    return pl.select(pl.concat_str(parts)).to_series()


def make_chunks(rows: int, seed: int) -> Iterator[pl.DataFrame]:
    """Make all profiles, chunk by chunk in order, at most ``WORKERS`` ahead of whoever takes them."""
    people = People.invent(seed)
    with ThreadPoolExecutor(WORKERS) as pool:
        ahead: deque[Future[pl.DataFrame]] = deque()
        for start in range(0, rows, CHUNK):
            ahead.append(pool.submit(make_chunk, people, seed, start, min(CHUNK, rows - start)))
            if len(ahead) > WORKERS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def write_profiles(path: Path, rows: int, *, seed: int = 7) -> None:
    """Write ``rows`` profiles to a Parquet file (row groups of 250,000), or to a CSV file if ``path`` ends in ``.csv``.

    The same rows for the same seed, whatever the format; the first rows of a longer file are those of a shorter one up to its last chunk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        with path.open("wb") as file:
            for number, frame in enumerate(make_chunks(rows, seed)):
                frame.write_csv(file, include_header=number == 0)
        return
    source = register_io_source(lambda *_: make_chunks(rows, seed), schema=SCHEMA)
    source.sink_parquet(path, compression="lz4", row_group_size=CHUNK, statistics=False)


def main() -> None:
    """Write a file and say how fast."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", type=int)
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    began = time.perf_counter()
    write_profiles(asked.path, asked.rows, seed=asked.seed)
    seconds = time.perf_counter() - began
    size = asked.path.stat().st_size / 1e6
    print(f"{asked.rows:,} profiles, {size:,.0f} MB, {seconds:.1f} s, {asked.rows / seconds:,.0f} rows/s")


if __name__ == "__main__":
    main()
