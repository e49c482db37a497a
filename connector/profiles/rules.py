"""One rule per match key: its steps in order, what it accepts, why it refuses.

A rule is data. ``normalise.py`` runs it over a column, ``steps.py`` over one value with every step shown; both take
these very tuples. Source of every rule: ``docs/reference/match-keys.md``.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl

from connector.profiles import dates, names, places, words
from connector.profiles.cleaning import CLEAN, TRIM, Step
from connector.profiles.match_keys import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Accepts = Callable[[pl.Expr], pl.Expr]
    Reason = Callable[[pl.Expr], pl.Expr]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a mapping says about its values.

    Attributes:
        default_country: ISO alpha-2 in any case: the country of rows that have none. Never fills the COUNTRY cell.
        birth_date_format: The only way birth dates are read, for example ``%d/%m/%Y``.
        blank_value_is_zero: Whether a blank LOOKALIKE_VALUE is sent as 0.
        today: The last day that is not in the future; the current day in UTC when none is given.
    """

    default_country: str | None = None
    birth_date_format: str | None = None
    blank_value_is_zero: bool = False
    today: dt.date | None = None

    def day(self) -> dt.date:
        """The last day that is not in the future."""
        return self.today or dt.datetime.now(dt.UTC).date()


@dataclass(frozen=True, slots=True)
class Rule:
    """How one attribute becomes a cell.

    Attributes:
        first: Steps before blanks and digests are looked for: principle 3, or a trim for keys that are not hashed.
        then: Steps of the key itself.
        accepts: A boolean expression over the finished value. Null counts as refused.
        reason: An expression over the cleaned value that says why a refused one is refused.
        digests: What becomes of a SHA-256: it passes as it is (principle 4; an MD5 or SHA-1 is refused), is refused
            too (a birth date cannot be split any more), or is text like any other (keys that are not hashed).
        not_blank: Blank words that mean something to this key.
        few: Whether a column often holds few distinct values, so that each is worked out once.
        settles: A boolean expression over a cell after those of the ``first`` steps that change printable ASCII: true where
            the others, ``then`` and all checks would leave it as it is. It saves most of the work where most cells are so.
    """

    first: tuple[Step, ...]
    then: tuple[Step, ...]
    accepts: Accepts
    reason: Reason
    digests: Literal["pass", "refuse", "ignore"] = "pass"
    not_blank: tuple[str, ...] = ()
    few: bool = False
    settles: Accepts | None = None


def _always(reason: str) -> Reason:
    return lambda _: pl.lit(reason)


def _not_empty(value: pl.Expr) -> pl.Expr:
    return value != ""


def _phone_steps() -> tuple[Step, ...]:
    from connector.profiles.phones import normalise_phones  # noqa: PLC0415 - loads libphonenumber's metadata

    def in_e164(value: pl.Expr) -> pl.Expr:
        return _of_phone_and_country(value, normalise_phones)

    return (
        Step("drop .0", lambda v: v.str.replace(r"^(\+?[0-9]+)\.0+$", "$1")),
        Step("international form", in_e164),
    )


def _phone_reason(value: pl.Expr) -> pl.Expr:
    from connector.profiles.phones import phone_reasons  # noqa: PLC0415 - see above

    return _of_phone_and_country(value, phone_reasons)


def _of_phone_and_country(value: pl.Expr, work: Callable[[pl.Series, pl.Series], pl.Series]) -> pl.Expr:
    # polars tries a function with a dtype first: one that refused it would leave an error behind, which holds the frame.
    def of_columns(columns: Sequence[pl.Series], **_: object) -> pl.Series:
        return work(columns[0], columns[1])

    return pl.map_batches([value, pl.col(places.COUNTRY)], of_columns, return_dtype=pl.String)


_MADID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_DECIMAL = r"^[+\-]?(?:[0-9]*\.?[0-9]+|[0-9]+\.)$"
_SCIENTIFIC = r"(?i)^[+\-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)e[+\-]?[0-9]+$"


def _amount(value: pl.Expr) -> pl.Expr:
    """Write a finite number ≥ 0 in one way, whichever type a source holds it in: ``12.50`` and ``12.5`` are one."""
    digits = pl.when(value.str.contains(_DECIMAL)).then(value.str.strip_chars_start("+-0"))
    shortest = digits.str.strip_chars_end("0").str.strip_chars_end(".")
    whole = pl.when(digits.str.contains_any(["."])).then(shortest).otherwise(digits)
    decimal = pl.when(whole.str.contains("^[0-9]")).then(whole).otherwise("0" + whole)
    number = pl.when(value.str.contains(_SCIENTIFIC)).then(value.str.to_lowercase()).cast(pl.Float64, strict=False)
    scientific = pl.when(number.is_finite()).then(number.cast(pl.String).str.replace(r"\.0$", ""))
    text = decimal.fill_null(scientific)
    return pl.when(~value.str.starts_with("-") | value.str.contains(r"^-[0.]*$")).then(text)


def rule_of(code: str, settings: Settings) -> Rule:
    """Give the rule of one of Meta's codes, or of ``DOB``.

    Raises:
        ConfigError: The settings hold a date format or a country that does not exist.
    """
    return _PLAIN_RULES[code] if code in PLAIN else _hashed_rule(code, settings)


def _hashed_rule(code: str, settings: Settings) -> Rule:
    match code:
        case "PHONE":
            return Rule(CLEAN, _phone_steps(), _not_empty, _phone_reason)
        case "DOB":
            written, today = settings.birth_date_format, settings.day()
            return Rule(
                CLEAN,
                dates.birth_date_steps(written, today),
                lambda v: v.is_not_null(),
                lambda cleaned: dates.birth_date_reason(written, today, cleaned),
                digests="refuse",
                few=True,
            )
        case "DOBY":
            return _number_rule(1900, settings.day().year, 4)
        case "DOBM":
            return _number_rule(1, 12, 2)
        case "DOBD":
            return _number_rule(1, 31, 2)
        case _:
            return _FIXED_RULES[code]


def _number_rule(first: int, last: int, width: int) -> Rule:
    return Rule(
        CLEAN,
        dates.number_steps(width),
        lambda v: dates.is_number_between(v, first, last, width),
        _always("out_of_range"),
        few=True,
    )


_FIXED_RULES = {
    "EMAIL": Rule(CLEAN, (), names.is_address, _always("not_an_email"), settles=names.is_ascii_address),
    "FN": Rule(CLEAN, names.NAME, names.has_letter, _always("no_letter"), few=True),
    "LN": Rule(CLEAN, names.NAME, names.has_letter, _always("no_letter"), few=True),
    "FI": Rule(CLEAN, names.INITIAL, lambda v: v.is_not_null(), _always("no_letter"), few=True),
    "GEN": Rule(CLEAN, words.GENDER, lambda v: v.is_not_null(), _always("unknown_word"), few=True),
    "CT": Rule(CLEAN, places.CITY, _not_empty, _always("not_roman"), few=True),
    "ST": Rule(CLEAN, places.STATE, _not_empty, lambda _: places.state_reason(), few=True),
    "ZIP": Rule(CLEAN, places.POSTAL_CODE, lambda v: v.str.len_chars() >= 3, _always("too_short"), few=True),
    "COUNTRY": Rule(CLEAN, places.COUNTRY_CODE, lambda v: v.is_not_null(), _always("unknown_country"), few=True),
}

_PLAIN_RULES = {
    "EXTERN_ID": Rule(TRIM, (), _not_empty, _always("blank"), digests="ignore"),
    "MADID": Rule(
        TRIM,
        (
            Step("lower-case", lambda v: v.str.to_lowercase()),
            Step("drop braces", lambda v: v.str.replace(r"^\{(.*)\}$", "$1")),
        ),
        lambda v: v.str.contains(_MADID) & v.str.contains("[1-9a-f]"),
        _always("not_a_uuid"),
        digests="ignore",
    ),
    "LOOKALIKE_VALUE": Rule(
        TRIM,
        (Step("number", _amount),),
        lambda v: v.is_not_null(),
        _always("bad_value"),
        digests="ignore",
        not_blank=("nan",),
    ),
    "DATA_PROCESSING_OPTIONS": Rule(
        TRIM, words.OPTIONS, lambda v: v.is_not_null(), _always("unknown_word"), digests="ignore", few=True
    ),
}
