"""Words people and systems write for yes, for no and for a gender, in ten languages.

The lists are data (``data/gender_words.yaml``, ``data/answer_words.yaml``), reviewed by hand, because no library
keeps them. A word that is not in a list means nothing: there is no default.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

import polars as pl
import yaml

from connector.profiles.cleaning import CLEAN, Step, compose

LIMITED_DATA_USE = '["LDU"]'
"""Meta's processing option, as JSON: this row's people are handled under limited data use."""
NO_OPTIONS = "[]"

_SPACERS = r"[\p{White_Space}.'’ʼ\-‐‑]"


@cache
def gender_words() -> dict[str, str]:
    """Map every gender word, without dots, hyphens, apostrophes and spaces, to ``m`` or ``f``.

    A word is listed with its accents and, where no other word is in the way, without (``señor``, ``senor``).
    """
    listed: dict[str, dict[str, list[str]]] = yaml.safe_load(_read("gender_words.yaml"))
    rows = [(word, gender) for by_gender in listed.values() for gender, words in by_gender.items() for word in words]
    words = pl.DataFrame(rows, schema=["word", "gender"], orient="row").with_columns(
        _without_spacers(compose(pl.col("word"), CLEAN))
    )
    accented = words.unique()
    bare = words.select(_without_accents(pl.col("word")), "gender").unique()
    clear = bare.filter(pl.len().over("word") == 1).join(accented, on="word", how="anti")
    return dict(pl.concat([accented, clear]).sort("word").iter_rows())


@cache
def answer_words(answer: Literal["yes", "no"]) -> list[str]:
    """Name every word that means yes, or every word that means no, in lower case."""
    listed: dict[str, dict[str, list[str]]] = yaml.safe_load(_read("answer_words.yaml"))
    return sorted({word for words in listed[answer].values() for word in words})


def consent_given(column: pl.Expr) -> pl.Expr:
    """Say whether a cell of text means yes (principle 8).

    Returns:
        A boolean that is never null: a blank, a no and an unknown word are no consent.
    """
    return _says("yes", compose(column, CLEAN)).fill_null(value=False)


def _says(answer: Literal["yes", "no"], cleaned: pl.Expr) -> pl.Expr:
    return cleaned.str.replace(r"^([01])\.0+$", "$1").is_in(answer_words(answer))


def _without_spacers(value: pl.Expr) -> pl.Expr:
    return value.str.replace_all(_SPACERS, "")


def _without_accents(value: pl.Expr) -> pl.Expr:
    return value.str.normalize("NFD").str.replace_all(r"(\p{Latin})\p{M}+", "$1").str.normalize("NFC")


def _gender_of(word: pl.Expr) -> pl.Expr:
    words = gender_words()
    return word.replace_strict(list(words), list(words.values()), default=None, return_dtype=pl.String)


def _options_of(value: pl.Expr) -> pl.Expr:
    cleaned = compose(value, CLEAN)
    return (
        pl.when(_says("yes", cleaned) | cleaned.is_in(["ldu", LIMITED_DATA_USE.lower()]))
        .then(pl.lit(LIMITED_DATA_USE))
        .when(_says("no", cleaned) | (cleaned == NO_OPTIONS))
        .then(pl.lit(NO_OPTIONS))
    )


def _read(name: str) -> str:
    return (files("connector.profiles") / "data" / name).read_text(encoding="utf-8")


GENDER: tuple[Step, ...] = (
    Step("drop dots, hyphens and apostrophes", _without_spacers),
    Step("gender from the word list", _gender_of),
)
"""GEN: ``m`` or ``f``; null for every other word."""

OPTIONS: tuple[Step, ...] = (Step("processing options of yes or no", _options_of),)
"""DATA_PROCESSING_OPTIONS from a boolean attribute."""
