"""The patterns of libphonenumber's metadata: in Rust's dialect, and what can be known of them without a match.

Owns the grammar of these patterns (digits, classes, groups, alternatives, counts) and nothing else.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def bits(positions: Iterable[int]) -> int:
    """Set one bit for each of some small numbers.

    >>> bits([0, 3])
    9
    """
    return sum(1 << position for position in positions)


def rust(pattern: str) -> str:
    r"""Let ``\d`` mean ASCII digits: Rust's is every script's, slower to build, and needed nowhere here.

    >>> rust(r"[2\d]\d{3}")
    '[20-9][0-9]{3}'
    """
    pattern = re.sub(r"\[[^]]*\]", lambda match: match[0].replace(r"\d", "0-9"), pattern)
    return pattern.replace(r"\d", "[0-9]")


def without_groups(pattern: str) -> str:
    """Let no group of a pattern capture: Rust then finds where a match ends twice as fast.

    >>> without_groups("0(1)(?:2)")
    '0(?:1)(?:2)'
    """
    return re.sub(r"\((?!\?)", "(?:", pattern)


@cache
def literal_and_rest(pattern: str) -> tuple[str, str]:
    """Part a prefix pattern into digits that are one of its alternatives, and the pattern for what begins otherwise.

    An alternative before it that begins with the same digit would win: then there is no literal.

    >>> literal_and_rest("0|180020"), literal_and_rest("00(1)?"), literal_and_rest("0")
    (('0', '0|180020'), ('', '00(1)?'), ('0', ''))
    """
    depth, alternatives = 0, [""]
    for sign in pattern:
        depth += (sign == "(") - (sign == ")")
        if sign == "|" and not depth:
            alternatives.append("")
        else:
            alternatives[-1] += sign
    before = 0
    for alternative in alternatives:
        if alternative.isdigit() and not before >> int(alternative[0]) & 1:
            return alternative, "" if alternative == pattern else pattern
        before |= first_digits(alternative)
    return "", pattern


@cache
def first_digits(pattern: str) -> int:
    """Give one bit per digit that a match of a pattern can begin with; none for no pattern, all ten where unsure.

    The grammar is that of the metadata: digits, classes, groups, alternatives and counts.
    """
    begins, groups, is_first, was_first = 0, [True], True, False
    for part in re.findall(r"\(\?:|\[[^]]*\]|\{[^}]*\}|.", pattern):
        if part in ("(", "(?:"):
            groups.append(is_first)
        elif part == "|":
            is_first = groups[-1]
        elif part == ")":
            is_first, was_first = False, groups.pop()
        elif (part == "?" or part.startswith("{0")) and was_first:
            return 0b11_1111_1111
        elif part[0] == "[" or part.isdigit():
            begins |= bits([digit for digit in range(10) if is_first and re.fullmatch(part, str(digit))])
            is_first, was_first = False, is_first
    return begins
