"""Principles 1, 3 and 4 of the match-key rules: what is blank, what is cleaned first, what is a digest already.

Nothing here knows a single match key. Source: ``docs/reference/match-keys.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    Build = Callable[[pl.Expr], pl.Expr]

BLANK_WORDS: tuple[str, ...] = ("", "null", "none", "nan", "n/a", "-", "unknown")
"""What systems write where they have nothing to say. Compared with the whole cell, cleaned and in lower case."""

SHA256 = r"^[0-9a-f]{64}$"
WRONG_DIGEST = r"^(?:[0-9a-f]{32}|[0-9a-f]{40})$"
"""An MD5 or a SHA-1, which Meta cannot match."""

BEYOND_ASCII = r"[^\x20-\x7E]"
"""A character that asks for more than trimming and lower-casing: anything but printable ASCII."""


@dataclass(frozen=True, slots=True)
class Step:
    """One named step of a rule: text in, text out, null stays null.

    Attributes:
        name: What ``explain`` calls it.
        build: Makes the expression that takes the step.
        beyond_ascii: True when the step cannot change printable ASCII, so that such cells need not take it.
    """

    name: str
    build: Build
    beyond_ascii: bool = False


def compose(value: pl.Expr, steps: Sequence[Step]) -> pl.Expr:
    """Take the steps one after the other."""
    for step in steps:
        value = step.build(value)
    return value


def nfc(value: pl.Expr) -> pl.Expr:
    """Compose letters and their accents (Unicode NFC)."""
    return value.str.normalize("NFC")


# Dropping a character may bring a letter and an accent together, and lower-casing may make a letter that has a
# composed form where its capital had none (H̱ → ẖ): therefore NFC before, because the order of accents decides what
# stands after an i, and NFC again at the end. Default_Ignorable_Code_Point is Unicode's own list of what shows
# nothing: zero-width, bidi marks, variation selectors, soft hyphen, invisible fillers.
CLEAN: tuple[Step, ...] = (
    Step("spaces", lambda v: v.str.replace_all(r"\p{White_Space}", " "), beyond_ascii=True),
    Step(
        "drop invisible characters",
        lambda v: v.str.replace_all(r"[\p{Default_Ignorable_Code_Point}\p{Cc}]", ""),
        beyond_ascii=True,
    ),
    Step("Unicode NFC", nfc, beyond_ascii=True),
    Step("trim", lambda v: v.str.strip_chars(" ")),
    Step("lower-case", lambda v: v.str.to_lowercase()),
    Step("drop the dot above i", lambda v: v.str.replace_all("i\u0307+", "i"), beyond_ascii=True),
    Step("Unicode NFC again", nfc, beyond_ascii=True),
)
"""Principle 3, for every hashed key."""

TRIM: tuple[Step, ...] = (Step("trim", lambda v: v.str.strip_chars()),)
"""All that happens to keys that are not hashed: they leave byte for byte."""


def is_blank(cleaned: pl.Expr) -> pl.Expr:
    """Say whether a cleaned, lower-cased cell says nothing (principle 1); true for null."""
    return cleaned.is_null() | cleaned.is_in(BLANK_WORDS)


def is_sha256(cleaned: pl.Expr) -> pl.Expr:
    """Say whether a cleaned cell is a SHA-256 already (principle 4)."""
    return cleaned.str.contains(SHA256)


def is_wrong_digest(cleaned: pl.Expr) -> pl.Expr:
    """Say whether a cleaned cell is an MD5 or a SHA-1 (principle 4)."""
    return cleaned.str.contains(WRONG_DIGEST)
