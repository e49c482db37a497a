"""The SQL that a predicate may use.

Owns the closed list of nodes, each with the arguments it may carry: what a later parser version or a dialect adds is
refused, never silently left out of the meaning. Must not know columns or cells.
"""

from __future__ import annotations

from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from connector.errors import ConfigError

EXAMPLE: Final = (
    "`where` is one SQL condition over the source's columns, for example: orders_12m >= 3 and country = 'FR'"
)
KNOWN: Final = (
    "It knows and, or, not, comparisons, in, between, like, ilike, is null, case, + - * / %, cast, coalesce, nullif, lower, upper, "
    "trim, length, substring, left, right, concat, starts_with, abs, round, floor, ceil, current_date, interval."
)
_SUBQUERIES: Final = (exp.Query, exp.Subquery, exp.Exists)
_PAIR: Final = frozenset({"this", "expression"})
_PAIRS: Final = (
    *(exp.And, exp.Or, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Is),
    *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Left, exp.Right, exp.StartsWith, exp.Nullif),
)
_SINGLE: Final = (
    exp.Not,
    exp.Paren,
    exp.Neg,
    exp.Abs,
    exp.Floor,
    exp.Ceil,
    exp.Length,
    exp.Lower,
    exp.Upper,
    exp.Boolean,
)
_ARGUMENTS: Final[dict[type[exp.Expr], frozenset[str] | set[str]]] = {
    **dict.fromkeys(_PAIRS, _PAIR),
    **dict.fromkeys(_SINGLE, frozenset({"this"})),
    exp.Like: {*_PAIR, "negate"},
    exp.ILike: {*_PAIR, "negate"},
    exp.DPipe: {*_PAIR, "safe"},
    exp.Div: {*_PAIR, "typed", "safe"},
    exp.Between: {"this", "low", "high"},
    exp.In: {"this", "expressions"},
    exp.Case: {"this", "ifs", "default"},
    exp.If: {"this", "true"},
    exp.Coalesce: {"this", "expressions"},
    exp.Concat: {"expressions", "safe", "coalesce"},
    exp.Trim: {"this", "position"},
    exp.Substring: {"this", "start", "length"},
    exp.Round: {"this", "decimals"},
    exp.Cast: {"this", "to"},
    exp.Interval: {"this", "unit"},
    exp.Column: {"this", "table", "db", "catalog"},
    exp.Literal: {"this", "is_string"},
    exp.Null: set(),
    exp.CurrentDate: set(),
}
_LEAVES: Final = (exp.Column, exp.DataType, exp.Interval)


def refused(message: str, hint: str | None = None) -> ConfigError:
    """Make the error of every predicate that connector does not take."""
    return ConfigError(message, code="config.where", hint=hint)


def parsed(sql: str) -> exp.Expr:
    """Parse one condition that uses nothing but the SQL that connector knows.

    Raises:
        ConfigError: ``config.where``.
    """
    try:
        statements = sqlglot.parse(sql)
    except (SqlglotError, RecursionError):
        # The parser's message quotes the condition, which may name a person.
        statements = []
    if len(statements) != 1 or statements[0] is None:
        raise refused("`where` is no SQL condition", EXAMPLE)
    condition = statements[0]
    if condition.find(*_SUBQUERIES):
        raise refused(
            "`where` holds a subquery", "A query of its own has room for one: source and sql in place of from."
        )
    for node in condition.walk(prune=lambda node: isinstance(node, _LEAVES)):
        if not isinstance(node, exp.DataType):
            _check(node)
    return condition


def _check(node: exp.Expr) -> None:
    if isinstance(node, (exp.Alias, exp.Placeholder, exp.Parameter, exp.Star)):
        raise refused("`where` is no SQL condition", EXAMPLE)
    known = _ARGUMENTS.get(type(node))
    given = {name for name, value in node.args.items() if value}
    if known is None or given - known:
        word = node.name.lower() if isinstance(node, exp.Anonymous) else node.key
        raise refused(
            f"`where` does not know {word}" + (f" with {min(given - known)}" if known is not None else ""), KNOWN
        )
