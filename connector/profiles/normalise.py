"""Run the rules over a frame: raw attributes in, clean match keys out.

The rules themselves are data in ``rules.py``. Nothing here hashes; :func:`connector.hashing.hash_columns` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from connector.memo import Memo
from connector.profiles.cleaning import (
    BEYOND_ASCII,
    BLANK_WORDS,
    Step,
    is_sha256,
    is_wrong_digest,
)
from connector.profiles.match_keys import WIRE_ORDER
from connector.profiles.places import COUNTRY, check_country, countries_in_force
from connector.profiles.rules import Rule, Settings, rule_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from connector.profiles.rules import Accepts

__all__ = ["Normaliser", "Settings", "normalise", "reasons"]

_CELL, _CLEANED, _VALUE = "cell", "cleaned", "value"
READ_IN_A_COUNTRY = frozenset({"PHONE", "ST", "ZIP"})
"""Keys whose rule asks for the row's country (principle 2)."""
SHORTEST_DIGEST = 32
"""Hex digits of an MD5."""
_PARTS = {"DOBY": (0, 4), "DOBM": (4, 2), "DOBD": (6, 2)}


class Normaliser:
    """The rules under one mapping's settings. Values that come often are worked out once in its life, by any thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._memos: dict[str, Memo] = {}
        self._default = check_country(settings.default_country)

    def of(self, raw: pl.DataFrame) -> pl.DataFrame:
        """Turn raw attributes into match keys, ready to be hashed; as :func:`normalise` does."""
        countries = self.countries(raw)
        values = {code: self._values_of(code, raw[code], countries) for code in raw.columns}
        for code, (start, length) in _PARTS.items() if "DOB" in values else ():
            part = values["DOB"].str.slice(start, length)
            values[code] = values[code].fill_null(part) if code in values else part
        return pl.DataFrame({code: values[code] for code in WIRE_ORDER if code in values})

    def countries(self, raw: pl.DataFrame) -> pl.Series:
        """Say in which country each row is read, beside the columns of a raw frame."""
        if "COUNTRY" not in raw.columns or READ_IN_A_COUNTRY.isdisjoint(raw.columns):
            return pl.repeat(self._default, raw.height, dtype=pl.String, eager=True).alias(COUNTRY)
        memo = self._memo("in force", lambda cells: countries_in_force(cells[_CELL], self._default))
        named = memo.of(pl.DataFrame({_CELL: raw["COUNTRY"]}))
        return named.zip_with(raw["COUNTRY"].is_not_null(), pl.Series([self._default], dtype=pl.String)).alias(COUNTRY)

    def _values_of(self, code: str, raw: pl.Series, countries: pl.Series) -> pl.Series:
        rule = rule_of(code, self.settings)
        cells = pl.DataFrame({_CELL: raw, COUNTRY: countries})
        if rule.few:
            key = [_CELL, COUNTRY] if code in READ_IN_A_COUNTRY else [_CELL]
            return self._memo(code, lambda different: _worked_out(different, rule)).of(cells.select(key))
        values = _worked_out(cells, rule) if rule.settles is None else _settled(cells, rule, rule.settles)
        if code == "LOOKALIKE_VALUE" and self.settings.blank_value_is_zero:
            blank = prepare(cells, rule).select(is_silent(pl.col(_CLEANED), rule)).to_series()
            return values.zip_with(~blank, pl.Series(["0"]))
        return values

    def _memo(self, code: str, work: Callable[[pl.DataFrame], pl.Series]) -> Memo:
        return self._memos.get(code) or self._memos.setdefault(code, Memo(work))


def normalise(raw: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Turn raw attributes into match keys, ready to be hashed.

    Args:
        raw: String columns named by Meta's codes; ``DOB`` stands for a whole birth date, FI holds a first name or an
            initial.
        settings: What the mapping says.

    Returns:
        The same height; String columns in wire order; null where a cell is blank. ``DOB`` gives ``DOBY``, ``DOBM``
        and ``DOBD``; where such a column is there too, its own cells come first.

    Raises:
        ConfigError: The settings hold a date format or a country that does not exist.
    """
    return Normaliser(settings).of(raw)


def reasons(raw: pl.DataFrame, values: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Say why cells are blank.

    Args:
        raw: What :func:`normalise` was given.
        values: What it returned.
        settings: The same settings.

    Returns:
        The columns and height of ``values``: null beside a value, else one of the closed list of reasons.
    """
    countries = Normaliser(settings).countries(raw)
    return values.select(
        _reasons_of(code if code in raw.columns else "DOB", raw, values[code], countries, settings).alias(code)
        for code in values.columns
    )


def _once_each(cells: pl.DataFrame, key: list[str], work: Callable[[pl.DataFrame], pl.Series]) -> pl.Series:
    """Work out every different cell once."""
    distinct = cells.unique(key)
    worked = distinct.select(*key, work(distinct).alias(_VALUE))
    return cells.join(worked, on=key, how="left", nulls_equal=True, maintain_order="left")[_VALUE]


def _settled(cells: pl.DataFrame, rule: Rule, settles: Accepts) -> pl.Series:
    """Work out those cells that the plain steps do not settle."""
    values = _one_by_one(cells, _plain(rule.first))
    left = ~values.to_frame(_VALUE).select(settles(pl.col(_VALUE)).fill_null(value=False)).to_series()
    return values.scatter(left.arg_true(), _worked_out(cells.filter(left), rule)) if left.any() else values


def _worked_out(cells: pl.DataFrame, rule: Rule) -> pl.Series:
    prepared = prepare(cells, rule)
    worked = prepared.with_columns(take(prepared, rule.then).alias(_VALUE))
    value, cleaned = pl.col(_VALUE), pl.col(_CLEANED)
    passes = pl.lit(None, pl.String)
    if rule.digests == "pass" and _some_are_long(worked[_CLEANED]):
        passes = pl.when(is_sha256(cleaned)).then(cleaned)
    refused = _left_over(value, rule, digests=_some_are_long(worked[_VALUE]))
    final = pl.when(rule.accepts(value) & ~refused).then(value).otherwise(passes)
    return worked.select(final).to_series()


def prepare(cells: pl.DataFrame, rule: Rule) -> pl.DataFrame:
    """Clean a column and keep, for the rule's own steps, the cells that are neither blank nor a digest.

    Args:
        cells: The columns ``cell`` (raw text) and :data:`COUNTRY`.
        rule: The rule of the column's key.

    Returns:
        ``cells`` with ``cleaned`` added and ``cell`` emptied where there is nothing left to do.
    """
    cleaned = pl.col(_CLEANED)
    done = is_silent(cleaned, rule)
    with_cleaned = cells.with_columns(take(cells, rule.first).alias(_CLEANED))
    if rule.digests != "ignore" and _some_are_long(with_cleaned[_CLEANED]):
        done |= is_sha256(cleaned) | is_wrong_digest(cleaned)
    return with_cleaned.with_columns(pl.when(~done).then(cleaned).alias(_CELL))


def is_silent(cleaned: pl.Expr, rule: Rule) -> pl.Expr:
    """Say whether a cell is blank in the sense of principle 1."""
    blanks = [word for word in BLANK_WORDS if word not in rule.not_blank]
    # What is not hashed is not lower-cased either, but NULL means as little as null.
    word = cleaned.str.to_lowercase() if rule.digests == "ignore" else cleaned
    return cleaned.is_null() | word.is_in(blanks)


def _some_are_long(cells: pl.Series) -> bool:
    """Say whether any cell is long enough for a digest: in most columns none is, and four patterns need not be tried."""
    return int(cells.str.len_bytes().max() or 0) >= SHORTEST_DIGEST  # type: ignore[arg-type]  # a number or null


def _left_over(value: pl.Expr, rule: Rule, *, digests: bool = True) -> pl.Expr:
    """Say whether a rule leaves what it would not have begun with: ``(null)``, or a UUID that lost its hyphens."""
    if rule.digests == "ignore":
        return pl.lit(value=False)
    blank = value.is_in(BLANK_WORDS[1:])
    return blank | is_wrong_digest(value) if digests else blank


def take(cells: pl.DataFrame, steps: Sequence[Step]) -> pl.Series:
    """Take steps on the column ``cell``; printable ASCII skips those that cannot change it, most of the work."""
    plain_steps = _plain(steps)
    taken = _one_by_one(cells, plain_steps)
    if len(plain_steps) == len(steps):
        return taken
    beyond = cells[_CELL].str.contains(BEYOND_ASCII).fill_null(value=False)
    if not beyond.any():
        return taken
    return taken.scatter(beyond.arg_true(), _one_by_one(cells.filter(beyond), steps))


def _plain(steps: Sequence[Step]) -> list[Step]:
    return [step for step in steps if not step.beyond_ascii]


def _one_by_one(cells: pl.DataFrame, steps: Sequence[Step]) -> pl.Series:
    # Not one composed expression: a step may name its input several times, and nested that would double at every step.
    for step in steps:
        cells = cells.with_columns(step.build(pl.col(_CELL)).alias(_CELL))
    return cells[_CELL]


def _reasons_of(code: str, raw: pl.DataFrame, values: pl.Series, countries: pl.Series, settings: Settings) -> pl.Series:
    nothing = pl.Series(values.name, [None], dtype=pl.String).new_from_index(0, values.len())
    blank = values.is_null()
    if not blank.any():
        return nothing
    rule = rule_of(code, settings)
    cells = pl.DataFrame({_CELL: raw[code], COUNTRY: countries}).filter(blank)
    return nothing.scatter(blank.arg_true(), _once_each(cells, [_CELL, COUNTRY], lambda distinct: _why(distinct, rule)))


def _why(cells: pl.DataFrame, rule: Rule) -> pl.Series:
    cleaned = pl.col(_CLEANED)
    prepared = prepare(cells, rule)
    value = pl.col(_VALUE)
    why = rule.reason(pl.col(_CELL))
    if rule.digests != "ignore":
        left = pl.when(is_wrong_digest(value)).then(pl.lit("wrong_digest")).otherwise(pl.lit("blank"))
        why = pl.when(_left_over(value, rule)).then(left).otherwise(why)
        digest = is_wrong_digest(cleaned) | is_sha256(cleaned)
        why = pl.when(digest).then(pl.lit("wrong_digest")).otherwise(why)
    why = pl.when(is_silent(cleaned, rule)).then(pl.lit("blank")).otherwise(why)
    return prepared.with_columns(take(prepared, rule.then).alias(_VALUE)).select(why).to_series()
