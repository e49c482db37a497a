"""Tables of places: countries, states and provinces by every name a library or a reviewed alias knows.

Sources: ISO 3166-1 and -2 with their French names (pycountry), English and native names (CLDR, by Babel), letters
(anyascii) and ``data/place_aliases.yaml``. Built at first use and kept; nothing here is typed by hand but that file.
"""

from __future__ import annotations

import gettext
import hashlib
import json
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import polars as pl
import pycountry
import yaml
from anyascii import anyascii

if TYPE_CHECKING:
    from collections.abc import Iterable

KOSOVO = "xk"
"""In use everywhere, in ISO's user-assigned range, and therefore in no ISO table."""


@cache
def latin_letters() -> tuple[list[str], list[str]]:
    """Pair every lower-case Latin letter beyond ASCII that has no base letter of its own with its ASCII letters.

    >>> letters = dict(zip(*latin_letters()))
    >>> letters["ø"], letters["ß"], letters["þ"], "é" in letters
    ('o', 'ss', 'th', False)
    """
    every = pl.Series([chr(code) for code in range(0x80, 0x20000) if not 0xD800 <= code < 0xE000])
    latin = every.filter(every.str.contains(r"^[\p{Latin}&&\p{L}]$")).str.to_lowercase().str.normalize("NFD")
    bare = latin.str.replace_all(r"\p{M}", "").unique(maintain_order=True)
    letters = bare.filter(bare.str.contains(r"^\P{ASCII}$")).to_list()
    return letters, [re.sub("[^a-z]", "", anyascii(letter).lower()) for letter in letters]


def bare_latin(value: pl.Expr) -> pl.Expr:
    """Turn every Latin letter into its ASCII letters; other scripts keep their letters and lose nothing else."""
    letters, ascii_letters = latin_letters()
    decomposed = value.str.normalize("NFD").str.replace_all(r"(\p{Latin})\p{M}+", "$1")
    return decomposed.str.replace_many(letters, ascii_letters).str.normalize("NFC")


def place_key(value: pl.Expr) -> pl.Expr:
    """Bring a cleaned name to the form tables are kept in: bare Latin letters, no spaces, punctuation, symbols."""
    return bare_latin(value).str.replace_all(r"[\p{White_Space}\p{P}\p{S}\x{02B9}-\x{02BF}]", "")


def _keys(names: Iterable[str]) -> list[str]:
    column = pl.Series(list(names), dtype=pl.String).str.to_lowercase()
    return pl.select(place_key(pl.lit(column))).to_series().to_list()


@cache
def country_codes() -> dict[str, str]:
    """Map alpha-2 and alpha-3 codes, lower-case, to alpha-2."""
    codes = {country.alpha_2.lower(): country.alpha_2.lower() for country in pycountry.countries}
    codes |= {country.alpha_3.lower(): country.alpha_2.lower() for country in pycountry.countries}
    return codes | {KOSOVO: KOSOVO}


@cache
def alpha_2_codes() -> tuple[str, ...]:
    """Name every alpha-2 code, lower-case, Kosovo's too."""
    return tuple(sorted(set(country_codes().values())))


@cache
def hashed_country_codes() -> dict[str, str]:
    """Map the SHA-256 of every alpha-2 code to the code: how a country that came hashed is recognised."""
    return {hashlib.sha256(code.encode()).hexdigest(): code for code in alpha_2_codes()}


@cache
def english_country_names() -> dict[str, str]:
    """Map keys of English names (ISO's and CLDR's) and of aliases to alpha-2."""
    from babel import Locale  # noqa: PLC0415 - its data is read only when a country is not written as a code

    english = Locale("en").territories
    rows = [(english[code.upper()], code) for code in alpha_2_codes() if code.upper() in english]
    for country in pycountry.countries:
        rows += [(spelling, country.alpha_2.lower()) for name in names_of(country) for spelling in _turned(name)]
    rows = [(re.sub("^the ", "", name, flags=re.IGNORECASE), code) for name, code in rows]
    rows += [(f"the {name}", code) for name, code in rows]
    return name_table(rows) | _aliases("countries")


def names_of(country: object) -> set[str]:
    """Give the English names ISO has for a country: short, common, official."""
    return {getattr(country, kind) for kind in ("name", "common_name", "official_name") if hasattr(country, kind)}


def _turned(name: str) -> set[str]:
    """Spell ISO's inverted names both ways round (``Bolivia, Plurinational State of``)."""
    first, _, rest = name.partition(", ")
    return {name, f"{rest} {first}"} if rest else {name}


@cache
def native_country_names() -> dict[str, str]:
    """Map keys of every country's names in its own official languages to alpha-2.

    Worked out by ``docs/native_countries.py`` from CLDR and the translations of ISO 3166-1 that pycountry ships, and shipped:
    reading a few hundred languages takes half a second and 140 MB. A test works it out again and compares.
    """
    return dict(json.loads(_shipped("native_countries.json")))


def _shipped(name: str) -> str:
    return (files("connector.profiles") / "data" / name).read_text(encoding="utf-8")


def name_table(rows: list[tuple[str, str]]) -> dict[str, str]:
    """Key names; a name that means two places means none."""
    meanings: dict[str, set[str]] = {}
    for key, (_, code) in zip(_keys(name for name, _ in rows), rows, strict=True):
        meanings.setdefault(key, set()).add(code)
    return {key: codes.pop() for key, codes in meanings.items() if len(codes) == 1 and key}


@cache
def _alias_file() -> dict[str, dict[str, list[str]]]:
    aliases: dict[str, dict[str, list[str]]] = yaml.safe_load(_shipped("place_aliases.yaml"))
    return aliases


def _aliases(section: str) -> dict[str, str]:
    return name_table([(name, code) for code, names in _alias_file()[section].items() for name in names])


@cache
def us_states() -> dict[str, str]:
    """Map keys of codes, names and abbreviations of US states, DC and territories to their ANSI codes."""
    return _subdivisions("US") | _aliases("us_states")


@cache
def canadian_provinces() -> dict[str, str]:
    """Map keys of codes, English and French names and abbreviations of provinces to Canada's two-letter codes."""
    french = gettext.translation("iso3166-2", pycountry.LOCALES_DIR, languages=["fr"])
    names = [(french.gettext(s.name), s.code[3:].lower()) for s in pycountry.subdivisions if s.country_code == "CA"]
    return _subdivisions("CA") | name_table(names) | _aliases("ca_provinces")


def _subdivisions(country: str) -> dict[str, str]:
    rows = [(s, s.code[3:].lower()) for s in pycountry.subdivisions if s.country_code == country]
    spellings = [(name, code) for s, code in rows for name in {*_turned(s.name), s.code, code}]
    return name_table(spellings)
