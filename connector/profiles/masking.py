"""Masks: enough of a cell to see what is wrong with it, never enough to recover a person.

What stays visible, per match key (``***`` stands for any number of characters, so that it tells no length)::

    EMAIL                    first letter of the mailbox and of the domain, a short ending   j***@g***.com
    PHONE                    plus, first two digits, how many there are                      +33*** (11 digits)
    DOB                      the year and the shape                                          **/**/1984
    DOBY, DOBM, DOBD         a year's century; nothing                                       19**, **
    ZIP, EXTERN_ID, MADID    the first two of five or more characters                        94***
    LOOKALIKE_VALUE          sign and first digit of three or more                           1***
    all others               the first letter of two or more                                 m***
    a digest of any key      (a digest)

A note in brackets names what is odd about the shape (``no @``, ``3 digits``, ``5 words``): counts and fixed words only.
At most four letters or digits of a cell ever stand in a row, and never all of them. Knows no rule of a match key.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DIGEST = re.compile(r"(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64})")
HIDDEN = "***"
Masked = tuple[str, str]
"""What is shown, and a note on the shape, empty where there is nothing to note."""

_SHOWN_DATE = 24  # a date with a time is shorter; what is longer is no date and its shape says nothing
_ODD = re.compile(r"[\s,;:()\[\]<>\"\\]")
_SEPARATORS = " -/.:,"
_ENDING = re.compile(r"\.([A-Za-z]{2,4})$")
_YEAR = re.compile(
    r"(?<![0-9])((?:19|20)[0-9]{2})(?=[0-9]{4}(?![0-9])|(?![0-9]))|(?<=(?<![0-9])[0-9]{4})((?:19|20)[0-9]{2})(?![0-9])"
)


def mask(text: str, code: str, *, note: bool = True) -> str:
    """Hide a cell of the match key ``code`` (one of Meta's codes, or ``DOB``); a cell of blanks gives ``(blank)``.

    Without ``note`` the words in brackets about its shape are left out.

    >>> mask("jane.doe@gmail.com", "EMAIL"), mask("+33 6 12 34 56 78", "PHONE"), mask("Mary", "FN")
    ('j***@g***.com', '+33*** (11 digits)', 'M***')
    >>> mask("Al", "FN"), mask("X", "FN"), mask("12/03/1984", "DOB"), mask("unbekannt@", "EMAIL")
    ('A***', '***', '**/**/1984', 'u***@ (nothing after @)')
    """
    cell = unicodedata.normalize("NFC", text).strip()
    if not cell:
        return "(blank)"
    if DIGEST.fullmatch(cell):
        return "(a digest)"
    shown, odd = _MASKS.get(code, _word)(cell)
    return f"{shown} ({odd})" if note and odd else shown


def _address(cell: str) -> Masked:
    count = cell.count("@")
    if count != 1:
        return f"{_first(cell)}{HIDDEN}", "no @" if count == 0 else f"{count} @"
    mailbox, domain = cell.split("@")
    ending = _ENDING.search(domain) if domain[0:1].isalnum() else None
    hidden = domain[: ending.start()] if ending else domain
    shown = f"{_first(mailbox)}{HIDDEN if mailbox else ''}@{_first(hidden)}{HIDDEN if hidden else ''}"
    return shown + (ending.group() if ending else ""), _oddity(mailbox, domain)


def _oddity(mailbox: str, domain: str) -> str:
    """Say why an address with one @ may be none."""
    found = {
        "nothing before @": not mailbox.strip(),
        "nothing after @": not domain.strip(),
        "in brackets": "<" in mailbox or ">" in domain,
        "mailto:": mailbox.lower().startswith("mailto:"),
        "with a space": any(c.isspace() for c in mailbox.strip() + domain.strip()),
        "two dots": ".." in mailbox or ".." in domain,
        "a dot at an end": any(part.startswith(".") or part.endswith(".") for part in (mailbox, domain)),
        "no dot after @": "." not in domain,
        "an odd character": _ODD.search(mailbox + domain) is not None,
    }
    return _true_one(found)


def _phone(cell: str) -> Masked:
    digits = [c for c in cell if c.isdigit()]
    if not digits:
        return HIDDEN, "no digits"
    plus = "+" if cell.startswith(("+", "＋")) else ""
    first = "".join(digits[:2]) if len(digits) >= 6 else ""
    letters = ", with letters" if any(c.isalpha() for c in cell) else ""
    return f"{plus}{first}{HIDDEN}", _counted(len(digits), "digit") + letters


def _date(cell: str) -> Masked:
    """Keep a year and single separators; a year alone, or all but alone, loses its end."""
    if len(cell) > _SHOWN_DATE:
        return _word(cell)
    year = _YEAR.search(cell)
    kept = range(*year.span()) if year else range(0)
    others = sum(c.isalnum() for i, c in enumerate(cell) if i not in kept)
    if others < 2:
        kept = kept[:2]
    shown = ""
    for i, char in enumerate(cell):
        if i not in kept and char not in _SEPARATORS:
            shown += "*"
        elif i in kept or not shown.endswith(tuple(_SEPARATORS)):
            shown += char
    return shown, ""


def _year(cell: str) -> Masked:
    return (f"{cell[:2]}**", "") if re.fullmatch(r"[0-9]{4}", cell) else _word(cell)


def _short_number(cell: str) -> Masked:
    return ("**", "") if re.fullmatch(r"[0-9]{1,2}", cell) else _word(cell)


def _identifier(cell: str) -> Masked:
    visible = "".join(c for c in cell if c.isalnum())
    notes = {
        "an e-mail address": "@" in cell,
        "a decimal": re.fullmatch(r"[0-9]+\.[0-9]+", cell) is not None,
        "a rounded number": re.fullmatch(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]+", cell) is not None,
    }
    return (visible[:2] if len(visible) >= 5 else "") + HIDDEN, _true_one(notes)


def _counted_identifier(cell: str) -> Masked:
    shown, odd = _identifier(cell)
    visible = "".join(c for c in cell if c.isalnum())
    return shown, odd or _counted(len(visible), "digit" if visible.isdigit() else "character")


def _amount(cell: str) -> Masked:
    digits = [c for c in cell if c.isdigit()]
    if not digits or len(digits) < sum(c.isalpha() for c in cell):
        return _word(cell)
    sign = cell[0] if cell[0] in "+-" else ""
    return f"{sign}{digits[0] if len(digits) >= 3 else ''}{HIDDEN}", ""


def _word(cell: str) -> Masked:
    """Keep the first letter of two or more, and say what a word would not hold."""
    letters, digits = sum(c.isalpha() for c in cell), sum(c.isdigit() for c in cell)
    notes = {
        "with @": "@" in cell,
        _counted(digits, "digit"): digits > 0 and letters == 0,
        "no letter": letters == 0,
        "with digits": digits > 0,
        f"{len(cell.split())} words": len(cell.split()) > 3,
    }
    return f"{_first(cell)}{HIDDEN}", _true_one(notes)


def _counted_word(cell: str) -> Masked:
    """A word of a small vocabulary: with its length it can be found in the source."""
    shown, odd = _word(cell)
    return shown, odd or _counted(sum(c.isalpha() for c in cell), "letter")


def _first(part: str) -> str:
    """Give the first letter of a part that has at least two letters or digits; a digit is never shown alone."""
    visible = [c for c in part if c.isalnum()]
    return visible[0] if len(visible) >= 2 and visible[0].isalpha() else ""


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _true_one(notes: dict[str, bool]) -> str:
    return next((note for note, holds in notes.items() if holds), "")


_MASKS: dict[str, Callable[[str], Masked]] = {
    "EMAIL": _address,
    "PHONE": _phone,
    "GEN": _counted_word,
    "DOB": _date,
    "DOBY": _year,
    "DOBM": _short_number,
    "DOBD": _short_number,
    "ZIP": _counted_identifier,
    "COUNTRY": _counted_word,
    "ST": _counted_word,
    "EXTERN_ID": _identifier,
    "MADID": _counted_identifier,
    "LOOKALIKE_VALUE": _amount,
}
