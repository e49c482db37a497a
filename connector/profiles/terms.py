"""The terms of a predicate as polars expressions, with SQL's three-valued logic.

Owns which SQL is allowed and what it means. Must not know which columns exist nor why one has its kind.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from sqlglot import exp

from connector.profiles.comparisons import DATES, Kinds, cast_kind, choices_of
from connector.profiles.grammar import KNOWN, refused
from connector.profiles.kinds import Kind, date_literal

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

_COMPARE: Final[dict[type[exp.Expr], Callable[[Any, Any], pl.Expr]]] = {
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.NullSafeEQ: pl.Expr.eq_missing,
    exp.NullSafeNEQ: pl.Expr.ne_missing,
}
_CALCULATE: Final[dict[type[exp.Expr], Callable[[Any, Any], pl.Expr]]] = {
    exp.Add: operator.add,
    exp.Sub: operator.sub,
    exp.Mul: operator.mul,
    exp.Div: operator.truediv,
    exp.Mod: lambda left, right: left - right * (left / right).truncate(),
}
_UNITS: Final = {"DAY": "d", "WEEK": "w", "MONTH": "mo", "YEAR": "y"}
# A float holds every number of 15 digits.
_DIGITS: Final = 15


@dataclass(slots=True)
class Terms:
    """Translates the terms of one condition, and notes in ``readings`` which column it reads as which kind."""

    kinds: Kinds
    today: dt.date
    readings: dict[tuple[str, Kind], None] = field(default_factory=dict)

    def term(self, node: exp.Expr, kind: Kind | None = None) -> pl.Expr:
        """Return a term; ``kind`` is what its surroundings take it for.

        Raises:
            ConfigError: ``config.where``: SQL that is not allowed.
        """
        if isinstance(node, exp.Paren):
            return self.term(node.this, kind)
        for translate in (self._logic, self._test, self._value, self._choice, self._number, self._date, self._text):
            found = translate(node, kind)
            if found is not None:
                return found
        raise refused(f"`where` does not take {node.key} here", KNOWN)

    def _alike(self, nodes: Sequence[exp.Expr], kind: Kind | None = None) -> list[pl.Expr]:
        """Return terms that are compared with each other; a day and a timestamp meet as timestamps."""
        kind = self.kinds.of(nodes) or kind
        terms = [self.term(node, kind) for node in nodes]
        return [term.cast(pl.Datetime("us")) for term in terms] if kind is Kind.TIMESTAMP else terms

    def _logic(self, node: exp.Expr, _kind: Kind | None) -> pl.Expr | None:
        match node:
            case exp.And():
                return self.term(node.this, Kind.BOOLEAN) & self.term(node.expression, Kind.BOOLEAN)
            case exp.Or():
                return self.term(node.this, Kind.BOOLEAN) | self.term(node.expression, Kind.BOOLEAN)
            case exp.Not():
                return ~self.term(node.this, Kind.BOOLEAN)
        return None

    def _test(self, node: exp.Expr, _kind: Kind | None) -> pl.Expr | None:  # noqa: PLR0911  one return a kind of node
        match node:
            case exp.Is() if isinstance(node.expression, exp.Null):
                return self.term(node.this).is_null()
            case exp.Is() if isinstance(node.expression, exp.Boolean):
                return self.term(node.this, Kind.BOOLEAN).eq_missing(pl.lit(node.expression.this))
            case exp.Between():
                value, low, high = self._alike([node.this, node.args["low"], node.args["high"]])
                return (value >= low) & (value <= high)
            case exp.In() if node.expressions:
                value, *members = self._alike([node.this, *node.expressions])
                return reduce(operator.or_, (value == member for member in members))
            case exp.Like() | exp.ILike():
                pattern = _pattern(node.expression, insensitive=isinstance(node, exp.ILike))
                found = self._raw(node.this).str.contains(pattern)
                return ~found if node.args.get("negate") else found
            case exp.StartsWith():
                return self._raw(node.this).str.starts_with(self._raw(node.expression))
        if compare := _COMPARE.get(type(node)):
            return compare(*self._alike([node.this, node.expression]))
        return None

    def _value(self, node: exp.Expr, kind: Kind | None) -> pl.Expr | None:  # noqa: PLR0911  one return a kind of node
        match node:
            case exp.Column():
                return self._read(node.name, self.kinds.columns.get(node.name, Kind.TEXT))
            case exp.Literal() if not node.is_string:
                return _number(node.name)
            case exp.Literal():
                return pl.lit(date_literal(node.name) if kind in DATES else node.name)
            case exp.Null():
                return pl.lit(None)
            case exp.Boolean():
                return pl.lit(bool(node.this))
            case exp.Cast():
                return self._cast(node)
        return None

    def _choice(self, node: exp.Expr, kind: Kind | None) -> pl.Expr | None:
        choices = choices_of(node)
        if not choices:
            return None
        terms = self._alike(choices, kind)
        if isinstance(node, exp.Coalesce):
            return pl.coalesce(terms)
        if isinstance(node, exp.Nullif):
            return pl.when(~terms[0].eq_missing(terms[1])).then(terms[0])
        result = terms.pop() if node.args.get("default") else pl.lit(None)
        for branch, term in zip(reversed(node.args["ifs"]), reversed(terms), strict=True):
            result = pl.when(self._case_test(node, branch.this)).then(term).otherwise(result)
        return result

    def _case_test(self, node: exp.Expr, test: exp.Expr) -> pl.Expr:
        if node.this is None:
            return self.term(test, Kind.BOOLEAN)
        value, wanted = self._alike([node.this, test])
        return value == wanted

    def _number(self, node: exp.Expr, _kind: Kind | None) -> pl.Expr | None:  # noqa: PLR0911  one return a kind of node
        match node:
            case exp.Neg():
                return -self.term(node.this, Kind.NUMBER)
            case exp.Abs():
                return self.term(node.this, Kind.NUMBER).abs()
            case exp.Floor():
                return self.term(node.this, Kind.NUMBER).floor()
            case exp.Ceil():
                return self.term(node.this, Kind.NUMBER).ceil()
            case exp.Round():
                decimals = _whole(node.args.get("decimals"), default=0)
                return self.term(node.this, Kind.NUMBER).round(decimals, mode="half_away_from_zero")
            case exp.Length():
                return self._raw(node.this).str.len_chars().cast(pl.Float64)
        calculate = _CALCULATE.get(type(node))
        if calculate is None or self.kinds.of([node]) in DATES or isinstance(node.expression, exp.Interval):
            return None
        left, right = self.term(node.this), self.term(node.expression)
        if self.kinds.of([node.this]) in DATES:
            return (left - right).dt.total_days().cast(pl.Float64)
        if isinstance(node, (exp.Div, exp.Mod)):
            right = pl.when(right != 0).then(right)
        return calculate(left, right)

    def _date(self, node: exp.Expr, _kind: Kind | None) -> pl.Expr | None:
        if isinstance(node, exp.CurrentDate):
            return pl.lit(self.today)
        if not isinstance(node, (exp.Add, exp.Sub)):
            return None
        sign = "-" if isinstance(node, exp.Sub) else ""
        span = node.expression
        if isinstance(span, exp.Interval):
            unit = _UNITS.get(span.text("unit").upper().removesuffix("S"))
            if unit is None:
                raise refused(
                    "`where` counts intervals in days, weeks, months or years", "For example: interval '90 days'."
                )
        else:
            unit = "d"
        return self.term(node.this, Kind.DATE).dt.offset_by(
            f"{sign}{_whole(span.this if isinstance(span, exp.Interval) else span)}{unit}"
        )

    def _text(self, node: exp.Expr, _kind: Kind | None) -> pl.Expr | None:  # noqa: PLR0911  one return a kind of node
        match node:
            case exp.Lower():
                return self._raw(node.this).str.to_lowercase()
            case exp.Upper():
                return self._raw(node.this).str.to_uppercase()
            case exp.Trim() if not node.expression:
                strip = {"LEADING": "strip_chars_start", "TRAILING": "strip_chars_end"}.get(
                    node.text("position"), "strip_chars"
                )
                return getattr(self._raw(node.this).str, strip)()  # type: ignore[no-any-return]
            case exp.Substring():
                start, length = _whole(node.args.get("start"), default=1), node.args.get("length")
                return self._raw(node.this).str.slice(max(start - 1, 0), None if length is None else _whole(length))
            case exp.Left():
                return self._raw(node.this).str.head(_whole(node.expression))
            case exp.Right():
                return self._raw(node.this).str.tail(_whole(node.expression))
            case exp.Concat():
                return pl.concat_str([self._raw(each) for each in node.expressions])
            case exp.DPipe():
                return pl.concat_str([self._raw(node.this), self._raw(node.expression)])
        return None

    def _cast(self, node: exp.Cast) -> pl.Expr:
        kind = cast_kind(node)
        if isinstance(node.this, exp.Column):
            return self._read(node.this.name, kind)
        if isinstance(node.this, exp.Literal) and node.this.is_string and kind in DATES:
            day = date_literal(node.this.name)
            if day is None:
                raise refused("`where` names a date that is none", "Write dates as DATE '2024-12-31'.")
            return pl.lit(day).cast(pl.Date if kind is Kind.DATE else pl.Datetime("us"))
        raise refused("`where` casts columns only", "For example: CAST(orders AS numeric).")

    def _raw(self, node: exp.Expr) -> pl.Expr:
        """Return a term of text; of a column always its text, whatever it is compared as elsewhere."""
        if isinstance(node, exp.Column):
            return self._read(node.name, Kind.TEXT)
        if self.kinds.of([node]) not in {None, Kind.TEXT}:
            raise refused("`where` takes something that is no text for a text", "Cast columns only: CAST(a AS text).")
        return self.term(node, Kind.TEXT)

    def _read(self, column: str, kind: Kind) -> pl.Expr:
        self.readings[column, kind] = None
        return pl.col(reading_name(column, kind))


def reading_name(column: str, kind: Kind) -> str:
    """Name the column of a frame that holds a column's cells as they are read; the text keeps its name."""
    return column if kind is Kind.TEXT else f"\0{kind}\0{column}"


def _number(written: str) -> pl.Expr:
    mantissa = re.split("[eE]", written)[0]
    if len(mantissa.replace(".", "").strip("0")) > _DIGITS or abs(float(written)) == float("inf"):
        raise refused(
            "`where` compares with a number of more than 15 digits", "An identifier is text: write it in single quotes."
        )
    return pl.lit(float(written))


def _whole(node: exp.Expr | None, *, default: int | None = None) -> int:
    """Read a whole number that the query writes out."""
    if node is None and default is not None:
        return default
    if isinstance(node, exp.Literal) and node.name.isdecimal() and len(node.name) < 6:
        return int(node.name)
    raise refused("`where` wants a whole number written out here")


def _pattern(node: exp.Expr, *, insensitive: bool) -> str:
    """Turn a LIKE pattern into a regular expression."""
    if not (isinstance(node, exp.Literal) and node.is_string):
        raise refused("`where` takes LIKE with a text in single quotes")
    if "\\" in node.name:
        raise refused("`where` knows no escapes in LIKE", "starts_with(column, 'a_') takes every character as it is.")
    parts = {"%": ".*", "_": "."}
    body = "".join(parts.get(character) or re.escape(character) for character in node.name)
    return f"(?s{'i' if insensitive else ''})^{body}$"
