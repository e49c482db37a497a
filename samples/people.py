"""Invented people, still clean: names, addresses, phones and e-mails put together from world.toml.

Owns who the sample people are. Must not know how their data is spoilt (mess.py) or written (make_samples.py).
"""

from __future__ import annotations

import random
import re
import tomllib
import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TODAY = date(2026, 6, 30)  # the day the samples pretend to be exported on
DOMAINS = ("example.com", "example.org", "example.net", "mail.example.com", "post.example.net", "web.example.org")
WORK_DOMAINS = ("work.example.com", "office.example.net", "firma.example.org", "corp.example.com")
HANDLES = (
    "bluefox",
    "sakura",
    "nightowl",
    "tiger",
    "coffee",
    "panda",
    "skyline",
    "mango",
    "river",
    "luna",
    "pixel",
    "kite",
)


class Dice:
    """Draws that are the same on every Python: only ``Random.random`` is promised to stay as it is."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def roll(self, share: float) -> bool:
        """Say yes to this share of all calls."""
        return self._random() < share

    def number(self, low: int, high: int) -> int:
        """Draw a whole number from low to high, both included."""
        return low + int(self._random() * (high - low + 1))

    def pick(self, items: Sequence[str]) -> str:
        """Draw one item."""
        return items[int(self._random() * len(items))]

    def weigh(self, weights: Sequence[float]) -> int:
        """Draw a place in ``weights`` as often as its weight says; -1 where the weights end before 1 does."""
        point = self._random()
        for place, weight in enumerate(weights):
            point -= weight
            if point < 0:
                return place
        return -1

    def fill(self, pattern: str) -> str:
        """Put a digit for every ``#`` and a letter for every ``@``."""
        pattern = re.sub("@", lambda _: self.pick("ABDEFGHJLNPQRSTUWXYZ"), pattern)
        return re.sub("#", lambda _: str(self.number(0, 9)), pattern)


@dataclass(frozen=True, slots=True)
class Country:
    """One table of world.toml."""

    code: str
    weight: float
    dial: str
    trunk: str
    double: float
    names: dict[str, tuple[str, ...]]
    spelled: tuple[str, ...]
    phones: tuple[str, ...]
    areas: tuple[str, ...]
    cities: tuple[str, ...]
    streets: tuple[str, ...]
    words: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Person:
    """One invented person as a careful clerk would have written them down."""

    country: Country
    customer_id: str
    email: str
    phone: str
    given: str
    family: str
    gender: str
    born: date
    street: str
    city: str
    state: str
    postal: str
    orders: int
    last_order: date
    value: float

    @property
    def digits(self) -> str:
        """The phone in E.164, without the plus."""
        national = re.sub(r"\D", "", self.phone)
        return self.country.dial + national.removeprefix(self.country.trunk)


def countries(only: Sequence[str] = ()) -> tuple[Country, ...]:
    """Read world.toml: all countries, or the named ones."""
    world = tomllib.loads(unicodedata.normalize("NFC", Path(__file__).with_name("world.toml").read_text("utf-8")))
    chosen = {code: table for code, table in world.items() if not only or code in only}
    total = sum(table["weight"] for table in chosen.values())
    return tuple(_country(code, table, total) for code, table in chosen.items())


def _country(code: str, table: dict, total: float) -> Country:
    names = {key: tuple(table[key].split(", ")) for key in ("female", "male", "last")}
    names["last_female"] = tuple(table["last_female"].split(", ")) if "last_female" in table else names["last"]
    return Country(
        code=code,
        weight=table["weight"] / total,
        dial=table["code"],
        trunk=table["trunk"],
        double=table.get("double", 0),
        names=names,
        spelled=tuple(table["spelled"]),
        phones=tuple(table["phones"]),
        areas=tuple(table.get("areas", "").split()),
        cities=tuple(table["cities"]),
        streets=tuple(table["streets"]),
        words={
            "f": tuple(table["woman"]),
            "m": tuple(table["man"]),
            "yes": (table.get("yes", "yes"),),
            "no": (table.get("no", "no"),),
        },
    )


def draw_person(number: int, dice: Dice, world: Sequence[Country], weights: Sequence[float]) -> Person:
    """Draw the person with this number."""
    country = world[dice.weigh(weights)]  # -1 on the last rounding error: the last country
    gender = "f" if dice.roll(0.52) else "m"
    given = dice.pick(country.names["female" if gender == "f" else "male"])
    surnames = country.names["last_female" if gender == "f" else "last"]
    family = dice.pick(surnames)
    if dice.roll(country.double):
        family = f"{family} {dice.pick(surnames)}"
    city, state, postal = dice.pick(country.cities).split("|")
    orders = 0 if dice.roll(0.05) else dice.number(1, 2) if dice.roll(0.055) else dice.number(3, 24)
    days_ago = dice.number(1, 364) if orders else dice.number(366, 1200)
    phone = dice.pick(country.phones)
    if country.areas:
        phone = phone.replace("{area}", dice.pick(country.areas))
    return Person(
        country=country,
        customer_id=f"C-{100000 + number}",
        email=f"{mailbox(given, family, dice)}{number}@{dice.pick(DOMAINS)}",
        phone=dice.fill(phone),
        given=given,
        family=family,
        gender=gender,
        born=TODAY - timedelta(days=dice.number(18 * 366, 84 * 365)),
        street=dice.fill(dice.pick(country.streets)),
        city=city,
        state=state,
        postal=dice.fill(postal),
        orders=orders,
        last_order=TODAY - timedelta(days=days_ago),
        value=round(max(orders, 1) * (8 + dice.number(0, 9000) / 100), 2),
    )


def mailbox(given: str, family: str, dice: Dice) -> str:
    """Make the part before the @ from a name, or from a word where the name has no Roman letters."""
    parts = [re.sub(r"[^a-z]", "", ascii_of(part)) for part in (given, family)]
    if not all(parts):
        return dice.pick(HANDLES)
    return dice.pick((".", "_", "", "-")).join(parts)


def ascii_of(text: str) -> str:
    """Lower-case and drop accents, as people do when they choose an address."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
