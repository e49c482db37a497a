"""What each column of a predicate is compared as: number, date, timestamp, boolean or text.

Owns the inference: a column takes the kind of what it is compared with, and has one kind throughout. Functions of text
(``lower``, ``like``, ``length`` …) always see the text and say nothing about a column. Must not know cells.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from connector.profiles.grammar import refused
from connector.profiles.kinds import Kind, date_literal, is_number, shaped_as_date

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.errors import ConfigError

ORDERINGS: Final = (exp.GT, exp.GTE, exp.LT, exp.LTE)
EQUALITIES: Final = (exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ)
TEXT_FUNCTIONS: Final = (exp.Lower, exp.Upper, exp.Trim, exp.Substring, exp.Left, exp.Right, exp.Concat, exp.DPipe)
ARITHMETIC: Final = (exp.Mul, exp.Div, exp.Mod, exp.Abs, exp.Round, exp.Floor, exp.Ceil, exp.Neg)
CONDITIONS: Final = (
    *(*ORDERINGS, *EQUALITIES, exp.And, exp.Or, exp.Not, exp.Between, exp.In, exp.Is),
    *(exp.Boolean, exp.Like, exp.ILike, exp.StartsWith),
)
DATES: Final = (Kind.DATE, Kind.TIMESTAMP)
_SIMPLE_KINDS: Final = (
    (CONDITIONS, Kind.BOOLEAN),
    ((*ARITHMETIC, exp.Length), Kind.NUMBER),
    (TEXT_FUNCTIONS, Kind.TEXT),
    ((exp.CurrentDate,), Kind.DATE),
)
_CASTS: Final = (
    (Kind.NUMBER, exp.DataType.NUMERIC_TYPES),
    (Kind.DATE, {exp.DataType.Type.DATE}),
    (Kind.TIMESTAMP, exp.DataType.TEMPORAL_TYPES),
    (Kind.BOOLEAN, {exp.DataType.Type.BOOLEAN}),
    (Kind.TEXT, exp.DataType.TEXT_TYPES),
)


def choices_of(node: exp.Expr) -> list[exp.Expr]:
    """Return the operands one of which becomes the value of COALESCE, NULLIF or CASE; none for any other node."""
    match node:
        case exp.Coalesce():
            return [node.this, *node.expressions]
        case exp.Nullif():
            return [node.this, node.expression]
        case exp.Case():
            default = node.args.get("default")
            return [*(each.args["true"] for each in node.args["ifs"]), *([default] if default else [])]
    return []


def cast_kind(node: exp.Cast) -> Kind:
    """Return what a CAST reads its operand as."""
    for kind, types in _CASTS:
        if node.to.this in types:
            return kind
    raise refused("`where` casts to numeric, date, timestamp, boolean or text only")


@dataclass(slots=True)
class Kinds:
    """The kinds of a condition's columns, found by `settle`; a column that stays without one is text."""

    columns: dict[str, Kind] = field(default_factory=dict)
    _groups: list[Sequence[exp.Expr]] = field(default_factory=list)
    _orderings: list[Sequence[exp.Expr]] = field(default_factory=list)

    def settle(self, condition: exp.Expr) -> None:
        """Find the kind of every column.

        Raises:
            ConfigError: ``config.where``: a column compared as two kinds, or ordered against one of unknown kind.
        """
        self._demand(condition, Kind.BOOLEAN)
        for node in condition.walk():
            self._note(node)
        self._spread()
        for group in self._groups:
            dates = [Kind.TIMESTAMP if len(each.name) > 10 else Kind.DATE for each in group if _written_date(each)]
            if dates and (group in self._orderings or self.of(group) is None):
                self._demand_all(group, max(dates))
        self._spread()
        for node in condition.find_all(exp.Add, exp.Sub):
            if self.of([node]) is None:
                self._demand(node, Kind.NUMBER)
        self._spread()
        for group in self._orderings:
            if any(_written_number(each) for each in group):
                raise refused(
                    "`where` orders by a number in quotes, which would be the order of a dictionary",
                    "Leave out the quotes.",
                )
            if self.of(group) is None:
                raise refused(
                    "`where` orders two columns without saying what they are",
                    "CAST(first AS date) > CAST(second AS date)",
                )

    def of(self, nodes: Sequence[exp.Expr]) -> Kind | None:
        """Return the kind that nodes compared with each other have, as far as it is known."""
        kinds = {kind for node in nodes if (kind := self._of(node))}
        if not kinds:
            return None
        if kinds == set(DATES):
            return Kind.TIMESTAMP
        if len(kinds) > 1:
            raise self._mixed(nodes, kinds)
        return kinds.pop()

    def _mixed(self, nodes: Sequence[exp.Expr], kinds: set[Kind]) -> ConfigError:
        names = [f'column "{node.name}"' for node in nodes if isinstance(node, exp.Column)]
        if not names:
            return refused(f"`where` compares {' with '.join(sorted(kinds))}", "Write both alike.")
        return refused(
            f"`where` compares {' and '.join(names)} as {' and as '.join(sorted(kinds))}",
            "Say which is meant: CAST(column AS text), AS numeric, AS date, AS boolean.",
        )

    def _of(self, node: exp.Expr) -> Kind | None:  # noqa: PLR0911  one return a kind of node
        for types, kind in _SIMPLE_KINDS:
            if isinstance(node, types):
                return kind
        match node:
            case exp.Paren():
                return self._of(node.this)
            case exp.Column():
                return self.columns.get(node.name)
            case exp.Literal():
                if not node.is_string:
                    return Kind.NUMBER
                return None if shaped_as_date(node.name) else Kind.TEXT
            case exp.Cast():
                return cast_kind(node)
            case exp.Add() | exp.Sub():
                return self._of_sum(node)
        return self.of(choices_of(node))

    def _of_sum(self, node: exp.Add | exp.Sub) -> Kind | None:
        left, right = self._of(node.this), self._of(node.expression)
        if isinstance(node.expression, exp.Interval):
            return left or Kind.DATE
        if left in DATES:
            # A day less a day is a number, less a number a day.
            return None if right is None else Kind.NUMBER if right in DATES else left
        return left and right and Kind.NUMBER

    def _note(self, node: exp.Expr) -> None:
        """Take what one node says about its operands."""
        operands = _operands(node)
        if isinstance(node, (exp.And, exp.Or, exp.Not)):
            self._demand_all(operands, Kind.BOOLEAN)
        elif isinstance(node, exp.Is) and isinstance(node.expression, exp.Boolean):
            self._demand(node.this, Kind.BOOLEAN)
        elif isinstance(node, ARITHMETIC):
            self._demand_all(operands, Kind.NUMBER)
        elif isinstance(node, (exp.Add, exp.Sub)) and isinstance(node.expression, exp.Interval):
            self._demand(node.this, self._of(node.this) or Kind.DATE)
        elif isinstance(node, exp.Case):
            self._note_case(node)
        if group := _compared(node):
            self._groups.append(group)
        if isinstance(node, (*ORDERINGS, exp.Between)):
            self._orderings.append(group)

    def _note_case(self, node: exp.Case) -> None:
        tests = [each.this for each in node.args["ifs"]]
        if node.this:
            self._groups.append([node.this, *tests])
        else:
            self._demand_all(tests, Kind.BOOLEAN)

    def _spread(self) -> None:
        """Pass kinds from operand to operand until nothing changes."""
        before: dict[str, Kind] | None = None
        while before != self.columns:
            before = dict(self.columns)
            for group in self._groups:
                kind = self.of(group)
                if kind in {Kind.NUMBER, Kind.BOOLEAN} and any(_written_date(each) for each in group):
                    raise self._mixed(group, {kind, Kind.DATE})
                if kind is not None:
                    self._demand_all(group, kind)

    def _demand_all(self, nodes: Sequence[exp.Expr], kind: Kind) -> None:
        for node in nodes:
            self._demand(node, kind)

    def _demand(self, node: exp.Expr, kind: Kind) -> None:  # noqa: PLR0911  one return a kind of node
        """Let a node be of a kind, or refuse."""
        match node:
            case exp.Paren():
                return self._demand(node.this, kind)
            case exp.Null():
                return None
            case exp.Column():
                return self._demand_column(node, kind)
            case exp.Literal() if node.is_string and kind in DATES:
                if date_literal(node.name) is None:
                    raise refused("`where` compares a date with a text that is none", "Write dates as '2024-12-31'.")
                return None
            case exp.Literal() if node.is_string and kind is Kind.TEXT:
                return None
            case exp.Add() | exp.Sub() if self._of(node) is None:
                return self._demand_sum(node, kind)
        if choices := choices_of(node):
            return self._demand_all(choices, kind)
        found = self._of(node)
        if found != kind and not {found, kind} <= set(DATES):
            raise refused(f"`where` compares {found or 'a text'} with {kind}", "Cast one of them, or write both alike.")
        return None

    def _demand_sum(self, node: exp.Add | exp.Sub, kind: Kind) -> None:
        if kind in DATES:
            self._demand(node.this, kind)
            self._demand(node.expression, Kind.NUMBER)
        else:
            kind = Kind.DATE if self._of(node.this) in DATES else kind
            self._demand_all([node.this, node.expression], kind)

    def _demand_column(self, node: exp.Column, kind: Kind) -> None:
        found = self.columns.get(node.name)
        if found is None or {found, kind} == set(DATES):
            self.columns[node.name] = kind if found is None else Kind.TIMESTAMP
        elif found != kind:
            raise self._mixed([node], {found, kind})


def _operands(node: exp.Expr) -> list[exp.Expr]:
    return [each for each in (node.this, node.args.get("expression")) if isinstance(each, exp.Expr)]


def _compared(node: exp.Expr) -> list[exp.Expr]:
    """Return the operands of a node that must be of one kind."""
    match node:
        case exp.Between():
            return [node.this, node.args["low"], node.args["high"]]
        case exp.In():
            return [node.this, *node.expressions]
    return _operands(node) if isinstance(node, ORDERINGS + EQUALITIES) else choices_of(node)


def _written_date(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and node.is_string and shaped_as_date(node.name)


def _written_number(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and bool(node.is_string) and is_number(node.name)
