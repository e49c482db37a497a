"""The rule for phones on whole columns of digits: libphonenumber's parser and the five decided differences.

Owns the order of decisions (match-keys.md, "Phones"), as ``phone_numbers.py`` takes them one by one; the two must never
differ. It knows no text; what plans look like is known in ``phone_plans.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from connector.profiles.phone_digits import Digits, Flags, Ints, joined
from connector.profiles.phone_numbers import MEXICO
from connector.profiles.phone_plans import Plans, calling_codes
from connector.profiles.phone_validity import are_mobile, are_valid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Columns:
    """What a column of digits means, row by row.

    ``number`` is E.164 as a whole number, or 0; ``needs_country`` marks a 0 that a country might have helped;
    ``undecided`` marks rows that only the library can read.
    """

    number: Ints
    needs_country: Flags
    undecided: Flags


def read_columns(numbers: Digits, plus: Flags, has_region: Flags, regions: Sequence[str]) -> Columns:
    """Read a column of dialled digits.

    Args:
        numbers: The digits of each row; ``plan`` is the row's index in ``regions``, any number where it has none.
        plus: Whether a plus stands before the digits.
        has_region: Whether the row's numbering plan is known.
        regions: Upper-case codes of regions the library supports.
    """
    zero, double_zero = numbers.leading(1) == 0, numbers.leading(2) == 0
    at_home = has_region & ~plus
    needs_country = ~plus & ~has_region & zero & ~double_zero
    own_prefix = np.zeros(len(numbers), np.int64)
    own_prefix[at_home] = Plans(regions).dialled_abroad(numbers[at_home])

    # Three readings: a plus, 00 or nothing before a country code; the region's own prefix before it; a national number.
    as_plus = np.flatnonzero(~needs_country & (double_zero | ~at_home))
    by_own = np.flatnonzero(own_prefix > 2 * double_zero)
    national = np.flatnonzero(at_home & ~double_zero & (own_prefix == 0))
    skipped = np.concatenate([2 * double_zero[as_plus], own_prefix[by_own]])
    foreign = numbers[np.concatenate([as_plus, by_own])].without(skipped)
    code = calling_codes()[np.maximum(foreign.leading(3), 0)]
    plans = Plans(regions, np.unique(code))
    home, abroad = _e164(plans, numbers[national], foreign.by_plan(code))

    number = np.zeros(len(numbers), np.int64)
    number[national] = home
    number[as_plus], own = np.split(abroad, [len(as_plus)])
    # Difference 2: after 00 the region's own longer prefix wins where the result is valid (0011 in Australia).
    tried = double_zero[by_own] & (own != number[by_own])
    tried[tried] = ~_are(are_valid, own[tried], code[len(as_plus) :][tried])
    number[by_own[~tried]] = own[~tried]

    undecided = at_home & double_zero & (own_prefix != 2) & (number == 0)
    undecided[as_plus] |= plus[as_plus] & (double_zero[as_plus] | (code[: len(as_plus)] == 0))
    return Columns(number, needs_country, undecided)


def _e164(plans: Plans, home: Digits, foreign: Digits) -> tuple[Ints, Ints]:
    """Give E.164 for numbers written at home, and for such that begin with the code that is their plan; else 0."""
    coded = plans.begins_with_code(home)
    own = home[coded]
    after = own.without(plans.code_length[own.plan])
    bare = plans.stripped(after)
    own_fits, bare_fits = np.split(plans.matching(joined(own, bare)), 2)
    # The library's two grounds to take a country code off a number without a plus.
    taken = (~own_fits & bare_fits) | plans.are_too_long(own)
    main = plans.main[own.plan]
    is_code = foreign.plan > 0
    parts = (
        home[~coded],
        bare.by_plan(main).where(taken, own),
        after.by_plan(main),
        plans.without_code(foreign.by_plan(plans.of_code(foreign.plan))[is_code]),
    )
    has_code = np.concatenate([np.zeros(len(parts[0]), bool), taken, np.ones(len(own) + is_code.sum(), bool)])
    significant = _modern(plans, plans.significant(joined(*parts)), has_code)
    cuts = np.cumsum([len(part) for part in parts])[:-1]
    plain, library, international, abroad = np.split(plans.e164(significant), cuts)
    # Difference 1: the own code counts where the number is then valid, and no mobile number as it stands.
    code = plans.code[main]
    disputed = np.flatnonzero(plans.has_trunk[own.plan] & (international != library))
    disputed = disputed[_are(are_valid, international[disputed], code[disputed])]
    by_nature = ~taken[disputed] & _are(are_mobile, library[disputed], code[disputed])
    library[disputed] = np.where(by_nature, library[disputed], international[disputed])

    result = np.zeros(len(home), np.int64)
    result[~coded], result[coded] = plain, library
    result_abroad = np.zeros(len(foreign), np.int64)
    result_abroad[is_code] = abroad
    return result, result_abroad


def _modern(plans: Plans, significant: Digits, has_code: Flags) -> Digits:
    """Difference 4: the 1 of an old Mexican mobile goes where the country code was written."""
    old = (significant.count == 11) & (significant.leading(1) == 1)
    return significant.without(np.where(old & has_code & (plans.code[significant.plan] == MEXICO), 1, 0))


def _are(what: Callable[[int, pl.Series], Flags], numbers: Ints, codes: Ints) -> Flags:
    """Ask something about E.164 numbers, calling code by calling code; 0 is nothing."""
    answer = np.zeros(len(numbers), bool)
    for code in np.unique(codes[numbers > 0]):
        rows = np.flatnonzero((codes == code) & (numbers > 0))
        national = pl.Series(numbers[rows]).cast(pl.String).str.slice(len(str(code)))
        answer[rows] = what(int(code), national)
    return answer
