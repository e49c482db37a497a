"""What a column of text looks like, whatever it is mapped to: e-mail addresses, dates, digests, sentences.

Owns the shapes and which of them are wrong for which match key. Must not know mappings or segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl


MOST: Final = 0.5
"""The share of its cells from which on a column looks like something."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of text: ``name`` for scripts, ``pattern`` for a trimmed cell, ``words`` for people.

    ``advice`` says what to do when a column of it feeds a key it is wrong for; ``home`` is the match key it would be
    right for, as mapping files call it.
    """

    name: str
    pattern: str
    words: str
    advice: str = ""
    home: str = ""


SHAPES: Final[tuple[Shape, ...]] = (
    Shape("email", r"^[^\s@]+@[^\s@]+\.[^\s@]+$", "e-mail addresses", home="email"),
    Shape(
        "wrong_digest",
        r"^(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40})$",
        "MD5 or SHA-1 digests",
        "Meta matches SHA-256 only, and nothing turns one into the other: map the plain text, which is hashed here,"
        " or a column of SHA-256.",
    ),
    Shape("digest", r"^[0-9a-fA-F]{64}$", "SHA-256 digests", "It needs the plain text: map that column instead."),
    Shape("uuid", r"^\{?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?$", "UUIDs", home="external_id"),
    Shape(
        "rounded",
        r"^[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]+$",
        "numbers that a spreadsheet rounded (3.36E+10)",
        "Their last digits are lost: export the column again, formatted as text.",
    ),
    Shape(
        "date",
        r"^(?:[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{2}|[0-9]{4}))(?:[T ].*)?$",
        "dates",
        home="birth_date",
    ),
    Shape(
        "seconds",
        r"^-?[0-9]{9,13}$",
        "seconds since 1970",
        "Turn them into dates in SQL, for example to_timestamp(…)::date.",
    ),
    Shape(
        "day_number", r"^[0-9]{5}(?:\.0+)?$", "a spreadsheet's day numbers", "Export the column formatted as a date."
    ),
    Shape("year", r"^(?:19|20)[0-9]{2}(?:\.0+)?$", "years", home="birth_year"),
    Shape("phone", r"^\+?(?:[ ()./\-]*[0-9]){7,15}$", "phone numbers", home="phone"),
    Shape(
        "decimal",
        r"^[0-9]+[.,][0-9]+$",
        "decimal numbers",
        "The source holds numbers where text is needed, and leading zeros are lost: keep the column as text there.",
    ),
    Shape("answer", r"(?i)^(?:true|false|yes|no|y|n)$", "yes and no"),
    Shape("number", r"^[0-9]+$", "numbers"),
    Shape("sentence", r"^\S*\p{L}\S*(?:\s+\S*\p{L}\S*){4,}$", "sentences"),
)

_PERSONS: Final = ("email", "uuid", "rounded", "date", "decimal", "sentence", "answer")
_PLACES: Final = (
    "email",
    "wrong_digest",
    "uuid",
    "rounded",
    "date",
    "phone",
    "decimal",
    "number",
    "sentence",
    "answer",
)

WRONG_FOR: Final[dict[str, tuple[str, ...]]] = {
    "EMAIL": ("wrong_digest", *_PERSONS[1:], "phone", "number"),
    "PHONE": ("wrong_digest", *(name for name in _PERSONS if name != "decimal")),
    "FN": ("wrong_digest", *_PERSONS, "phone", "number"),
    "LN": ("wrong_digest", *_PERSONS, "phone", "number"),
    "FI": ("wrong_digest", *_PERSONS[:-1], "phone", "number"),
    "GEN": ("email", "wrong_digest", "uuid", "date", "phone", "sentence"),
    "DOB": (
        "email", "wrong_digest", "digest", "uuid", "rounded", "seconds", "day_number", "year", "sentence", "answer",
    ),
    "DOBY": ("email", "wrong_digest", "date", "sentence"),
    "DOBM": ("email", "wrong_digest", "date", "sentence"),
    "DOBD": ("email", "wrong_digest", "date", "sentence"),
    "CT": _PLACES,
    "ST": _PLACES,
    "ZIP": ("email", "wrong_digest", "uuid", "rounded", "date", "decimal", "sentence", "answer"),
    "COUNTRY": _PLACES,
    "EXTERN_ID": ("rounded", "date", "sentence", "answer"),
    "MADID": ("email", "wrong_digest", "digest", "date", "phone", "sentence"),
    "LOOKALIKE_VALUE": ("email", "wrong_digest", "digest", "uuid", "date", "sentence"),
    "DATA_PROCESSING_OPTIONS": ("email", "date", "phone", "sentence"),
}  # fmt: skip
"""The shapes that are wrong for each of Meta's codes; the most telling ones first, as in :data:`SHAPES`."""


def share_of(cells: pl.Series, pattern: str) -> float:
    """Say which share of the cells has a shape once trimmed; 0.0 of no cells."""
    if cells.is_empty():
        return 0.0
    return float(cells.str.strip_chars().str.contains(pattern).fill_null(value=False).sum()) / cells.len()


def wrong_shape(code: str, cells: pl.Series) -> tuple[Shape, float] | None:
    """Find the shape that most of ``cells`` have and that is wrong for the key ``code``, with its share."""
    wrong = WRONG_FOR[code]
    for shape in SHAPES:
        if shape.name in wrong and (share := share_of(cells, shape.pattern)) > MOST:
            return shape, share
    return None
