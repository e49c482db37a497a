"""What real life does to clean cells: one table of defects and habits, with their shares.

Owns every way a sample cell can look. Must not know how a file is written.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from people import DOMAINS

if TYPE_CHECKING:
    from collections.abc import Callable

    from people import Dice, Person

    Cell = Callable[[str, Person, Dice], str | None]

BLANKS = ("", "", "", "null", "NULL", "n/a", "N/A", "-", " ", "none", "unknown")
READ = "read right"
FULLWIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
HOMES = tuple(f"home@{domain}" for domain in DOMAINS)


@dataclass(frozen=True, slots=True)
class Mess:
    """One way to write a cell. ``make`` answers ``None`` where it does not fit the person; ``then`` is what to expect."""

    column: str
    what: str
    share: float
    make: Cell
    then: str = READ


def sha256(text: str) -> str:
    """SHA-256 of the UTF-8 bytes, as lower-case hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _abroad(person: Person, between: str = " ") -> str:
    rest = re.sub(r"[()]", "", person.phone).removeprefix(person.country.trunk).strip(" -/")
    return f"+{person.country.dial}{between}{rest}"


def _home(person: Person) -> str:
    return re.sub(r"\D", "", person.phone)


def _trunk_zero(_: str, person: Person, __: Dice) -> str | None:
    return _abroad(person, " (0)") if person.country.trunk == "0" else None


def _own_code(_: str, person: Person, __: Dice) -> str | None:
    # only where the plan tells the two readings apart: a trunk prefix at home, a valid number abroad
    return person.digits if person.country.code in {"DE", "FR", "AU", "SE", "US", "CA"} else None


def _native_digits(_: str, person: Person, __: Dice) -> str | None:
    table = {"JP": FULLWIDTH, "CN": FULLWIDTH, "EG": ARABIC}.get(person.country.code)
    return person.phone.translate(table) if table else None


def _old_mexico(_: str, person: Person, __: Dice) -> str | None:
    return f"+52 1 {person.phone}" if person.country.code == "MX" else None


def _no_letter(_: str, __: Person, dice: Dice) -> str:
    return dice.pick(("...", "12", "🙂", "???", "(1)"))


def _curly(cell: str, _: Person, __: Dice) -> str | None:
    return cell.replace("'", "’") if "'" in cell else None


def _decomposed(cell: str, _: Person, __: Dice) -> str | None:
    other = unicodedata.normalize("NFD", cell)
    return other if other != cell else None


def _us(make: Callable[[str, Dice], str | None]) -> Cell:
    return lambda cell, person, dice: make(cell, dice) if person.country.code == "US" else None


def _lost_zero(cell: str, _: Dice) -> str | None:
    return cell.lstrip("0") if cell.startswith("0") else None


def _tight(cell: str, person: Person, _: Dice) -> str | None:
    return cell.replace(" ", "").lower() if person.country.code in {"GB", "CA", "NL", "IE"} else None


def _blank(_: str, __: Person, dice: Dice) -> str:
    return dice.pick(BLANKS)


def _padded(cell: str, _: Person, dice: Dice) -> str:
    return dice.pick((f" {cell}", f"{cell} ", f"  {cell}  ", f"{cell}\t"))


def _upper(cell: str, _: Person, __: Dice) -> str:
    return cell.upper()


def _lower(cell: str, _: Person, __: Dice) -> str:
    return cell.lower()


def _invisible(cell: str, _: Person, dice: Dice) -> str:
    mark = dice.pick(("\u200b", "\ufeff", "\u200e", "\u2060"))
    return cell[:2] + mark + cell[2:]


def _date(form: str) -> Cell:
    return lambda _, person, __: person.born.strftime(form)


def _fixed(*cells: str) -> Cell:
    return lambda _, __, dice: dice.pick(cells)


def _names(column: str, emoji: bool) -> tuple[Mess, ...]:  # noqa: FBT001 - one of two columns has them
    marks = (
        Mess(
            column, "emoji around the name", 0.006, lambda c, _, d: d.pick((f"{c} 🌸", f"👑 {c}", f"{c}✨", f"{c} 🇧🇷"))
        ),
        Mess(column, "nickname in quotes", 0.004, lambda c, _, __: f'"{c}"'),
    )
    return (
        Mess(column, "ALL CAPITALS", 0.04, _upper),
        Mess(column, "no capital", 0.05, _lower),
        Mess(column, "blanks or a tab around", 0.02, _padded),
        Mess(column, "accents as separate characters (NFD)", 0.03, _decomposed),
        Mess(column, "curly apostrophe", 0.3, _curly),
        Mess(column, "invisible character", 0.005, _invisible),
        Mess(column, "already SHA-256", 0.004, lambda c, _, __: sha256(re.sub(r"[\W_]", "", c.lower()))),
        Mess(column, "no letter in it", 0.003, _no_letter, "blank: no_letter or blank"),
        Mess(column, "blank", 0.015, _blank, "blank: blank"),
        *(marks if emoji else ()),
    )


MESS: tuple[Mess, ...] = (
    Mess("email", "upper case", 0.05, _upper),
    Mess("email", "Mixed Case", 0.05, lambda c, _, __: c.title()),
    Mess("email", "blanks or a tab around", 0.015, _padded),
    Mess("email", "no-break space around", 0.005, lambda c, _, __: f"\u00a0{c}\u00a0"),
    Mess("email", "invisible character", 0.004, _invisible),
    Mess("email", "+tag", 0.02, lambda c, _, __: c.replace("@", "+shop@")),
    Mess("email", "Unicode domain", 0.004, lambda c, _, __: c.split("@")[0] + "@bücher.example.com"),
    Mess("email", "already SHA-256", 0.02, lambda c, _, __: sha256(c)),
    Mess("email", "already SHA-256, upper-case hex", 0.006, lambda c, _, __: sha256(c).upper()),
    Mess("email", "already SHA-256, blanks around", 0.002, lambda c, _, __: f" {sha256(c)} "),
    Mess("email", "MD5", 0.003, lambda c, _, __: hashlib.md5(c.encode()).hexdigest(), "blank: wrong_digest"),  # noqa: S324
    Mess("email", "SHA-1", 0.001, lambda c, _, __: hashlib.sha1(c.encode()).hexdigest(), "blank: wrong_digest"),  # noqa: S324
    Mess("email", "no @", 0.003, lambda c, _, __: c.replace("@", "."), "blank: not_an_email"),
    Mess("email", "@ twice", 0.001, lambda c, _, __: c.replace("@", "@@"), "blank: not_an_email"),
    Mess("email", "doubled dot", 0.002, lambda c, _, __: c.replace("example.", "example..", 1), "blank: not_an_email"),
    Mess("email", "dot at the end", 0.001, lambda c, _, __: f"{c}.", "blank: not_an_email"),
    Mess("email", "no top-level domain", 0.002, lambda c, _, __: c.split("@")[0] + "@example", "blank: not_an_email"),
    Mess("email", "two addresses in a cell", 0.003, lambda c, _, d: f"{c}; {d.pick(HOMES)}", "blank: not_an_email"),
    Mess("email", "mailto:", 0.002, lambda c, _, __: f"mailto:{c}", "blank: not_an_email"),
    Mess("email", "Name <address>", 0.003, lambda c, p, _: f"{p.given} <{c}>", "blank: not_an_email"),
    Mess("email", "space inside", 0.002, lambda c, _, __: c.replace("@", " @"), "blank: not_an_email"),
    Mess("email", "blank", 0.035, _blank, "blank: blank"),
    Mess("mobile", "+49 30 …", 0.3, lambda _, p, __: _abroad(p)),
    Mess("mobile", "+4930… (E.164)", 0.14, lambda _, p, __: f"+{p.digits}"),
    Mess("mobile", "0049 …", 0.06, lambda _, p, __: f"00{_abroad(p)[1:]}"),
    Mess("mobile", "+49 (0)30 …", 0.04, _trunk_zero),
    Mess("mobile", "own country code without plus", 0.04, _own_code),
    Mess("mobile", "dots", 0.02, lambda _, p, __: re.sub(r"[ /-]+", ".", re.sub(r"[()]", "", p.phone))),
    Mess("mobile", "digits only, as at home", 0.06, lambda _, p, __: _home(p)),
    Mess("mobile", "extension", 0.01, lambda _, p, d: _abroad(p) + d.pick((" ext. 12", " x7", " ext 204"))),
    Mess("mobile", "no-break spaces", 0.01, lambda _, p, __: _abroad(p).replace(" ", "\u00a0")),
    Mess("mobile", "a label before it", 0.008, lambda _, p, d: d.pick(("Tel. ", "Tel: ", "m: ")) + _abroad(p)),
    Mess(
        "mobile",
        "invisible marks around, from a phone's address book",
        0.006,
        lambda _, p, __: f"\u202a{_abroad(p)}\u202c",
    ),
    Mess("mobile", "full-width or Arabic digits", 0.08, _native_digits),
    Mess("mobile", "+52 1 …, the old Mexican mobile", 0.08, _old_mexico),
    Mess("mobile", "already SHA-256", 0.01, lambda _, p, __: sha256(p.digits)),
    Mess("mobile", "already SHA-256, upper-case hex", 0.002, lambda _, p, __: sha256(p.digits).upper()),
    Mess("mobile", "MD5", 0.001, lambda _, p, __: hashlib.md5(p.digits.encode()).hexdigest(), "blank: wrong_digest"),  # noqa: S324
    Mess("mobile", "zeros", 0.003, _fixed("0000000000", "+0000000000", "000"), "blank: not_possible"),
    Mess("mobile", "too short", 0.003, _fixed("1234", "110", "99-1"), "blank: not_possible"),
    Mess("mobile", "words", 0.002, _fixed("call after six", "no phone", "ask mum"), "blank: not_possible"),
    Mess("mobile", "two numbers", 0.002, lambda _, p, __: f"{p.phone} / {p.phone}", "blank: not_possible"),
    Mess("mobile", "blank", 0.04, _blank, "blank: blank"),
    *_names("first_name", emoji=True),
    *_names("last_name", emoji=False),
    Mess(
        "gender",
        "a word that says neither",
        0.015,
        _fixed("x", "other", "9", "divers", "?!", "mf"),
        "blank: unknown_word",
    ),
    Mess("gender", "already SHA-256", 0.003, lambda _, p, __: sha256(p.gender)),
    Mess("gender", "blank", 0.08, _blank, "blank: blank"),
    Mess("birth_date", "1984-12-31", 0.03, _date("%Y-%m-%d"), "blank: not_a_date (the mapping says d/m/Y)"),
    Mess("birth_date", "31.12.1984", 0.012, _date("%d.%m.%Y"), "blank: not_a_date (the mapping says d/m/Y)"),
    Mess("birth_date", "31/12/84", 0.004, _date("%d/%m/%y"), "blank: not_a_date or out_of_range"),
    Mess(
        "birth_date",
        "no such day",
        0.006,
        _fixed("31/02/1985", "29/02/1990", "00/00/0000", "31/11/1971"),
        "blank: not_a_date",
    ),
    Mess("birth_date", "in the future", 0.002, _fixed("01/01/2050", "12/07/2199"), "blank: out_of_range"),
    Mess("birth_date", "before 1900", 0.002, _fixed("01/01/1800", "31/12/1899"), "blank: out_of_range"),
    Mess("birth_date", "blank", 0.04, _blank, "blank: blank"),
    Mess("city", "ALL CAPITALS", 0.06, _upper),
    Mess("city", "no capital", 0.06, _lower),
    Mess("city", "blanks or a tab around", 0.01, _padded),
    Mess("city", "accents as separate characters (NFD)", 0.02, _decomposed),
    Mess("city", "blank", 0.012, _blank, "blank: blank"),
    Mess("state", "ALL CAPITALS", 0.05, _upper),
    Mess("state", "blanks or a tab around", 0.01, _padded),
    Mess("state", "blank", 0.02, _blank, "blank: blank"),
    Mess("postal_code", "leading zero lost in a spreadsheet", 0.35, _us(_lost_zero)),
    Mess("postal_code", "ZIP+4", 0.08, _us(lambda c, d: d.fill(f"{c}-####"))),
    Mess("postal_code", "ZIP+4 without dash", 0.02, _us(lambda c, d: d.fill(f"{c}####"))),
    Mess("postal_code", "lower case, no space", 0.2, _tight),
    Mess("postal_code", "blank", 0.02, _blank, "blank: blank"),
    Mess("country", "written in another way (name, alpha-3, alias)", 0.36, lambda _, p, d: d.pick(p.country.spelled)),
    Mess("country", "already SHA-256", 0.004, lambda _, p, __: sha256(p.country.code.lower())),
    Mess(
        "country",
        "no such country",
        0.005,
        _fixed("Atlantis", "Europe", "EU", "Worldwide", "QQ"),
        "blank: unknown_country",
    ),
    Mess("country", "blank", 0.035, _blank, "blank: blank (US rules for phone, state, ZIP)"),
    Mess("customer_id", "blank", 0.003, _fixed("", "", "null", "-"), "blank: blank"),
    Mess("orders_12m", "blank or a word", 0.004, _fixed("", "n/a", "many"), "null in where"),
    Mess("last_order", "blank", 0.01, _fixed("", "", "n/a"), "null in where"),
    Mess("lifetime_value", "blank", 0.01, _fixed("", "n/a"), "null in where"),
    Mess("lifetime_value", "negative", 0.003, lambda c, _, __: f"-{c}"),
)


def spoil(column: str, clean: str, person: Person, dice: Dice) -> tuple[str, Mess | None]:
    """Write one cell as people do, and say how; ``None`` is as it should be."""
    ways = [mess for mess in MESS if mess.column == column]
    chosen = dice.weigh([mess.share for mess in ways])
    cell = ways[chosen].make(clean, person, dice) if clean and chosen >= 0 else None
    return (clean, None) if cell is None else (cell, ways[chosen])


def spoil_consent(agreed: bool, person: Person, dice: Dice) -> str:  # noqa: FBT001 - it is the value itself
    """Write yes or no as people do, sometimes in their own language."""
    words = person.country.words["yes" if agreed else "no"]
    if dice.roll(0.05):
        return dice.pick(words)
    if agreed:
        return dice.pick(("true", "true", "true", "true", "TRUE", "yes", "Yes", "Y", "1", "t"))
    return dice.pick(("false", "false", "no", "0", "N", "", "n/a", "unknown", "withdrawn"))
