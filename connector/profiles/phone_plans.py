"""Numbering plans, built from libphonenumber's metadata for the regions and calling codes a frame holds.

Owns what the library's parser does to digits, for many plans at once: country codes, international and national
prefixes, lengths. The patterns are the library's own, run by polars on whole columns. Text, rows and the
decided differences are no business of this module.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import phonenumbers
import polars as pl
from phonenumbers import PhoneMetadata

from connector.profiles.phone_digits import Digits, Flags, Ints
from connector.profiles.phone_numbers import LONGEST, SHORTEST
from connector.profiles.phone_patterns import bits, first_digits, literal_and_rest, rust, without_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray
    from phonenumbers import PhoneNumberDesc

_TEXT = pl.col("text")


@dataclass(frozen=True, slots=True)
class NumberingPlan:
    """How one region writes its numbers, in patterns of Rust's dialect.

    ``general`` is the shape of every number of the region. ``prefix`` is what the library takes off a national number
    and ``transform`` what it puts there instead where the last group of the prefix took part. ``abroad`` is what one
    dials before a country code.
    """

    region: str
    code: int
    general: str
    lengths: tuple[int, ...]
    local_lengths: tuple[int, ...]
    trunk: str
    prefix: str
    transform: str
    abroad: str

    @property
    def tag(self) -> str:
        """Name the plan; those of no region (universal freephone, satellites) all go by 001."""
        return f"{self.region}{self.code}:"

    def transformed(self, numbers: pl.Series) -> pl.Series:
        """Put in what the region's rule says; null where the prefix is only to be taken off."""
        pattern = f"^(?:{self.prefix})"
        changed = _TEXT.str.extract(pattern, re.compile(pattern).groups).is_not_null()
        replaced = pl.when(changed).then(_TEXT.str.replace(pattern, self.transform))
        return numbers.alias("text").to_frame().select(replaced).to_series()


class Plans:
    """The plans of one frame, at the index that ``Digits.plan`` holds: home plans first, then main plans by code.

    Patterns of several plans run as one: every number is written behind the tag of its plan, and one pattern holds
    what each plan has behind its tag. Only rows whose first digit some match begins with are asked.
    """

    def __init__(self, regions: Sequence[str], codes: Iterable[int] = ()) -> None:
        home = [plan_of_region(region) for region in regions]
        all_codes = sorted({*(int(code) for code in codes), *(plan.code for plan in home)} - {0})
        self.all = [*home, *(plan_of_code(code) for code in all_codes)]
        self._tags = pl.Series([plan.tag for plan in self.all], dtype=pl.String)
        self._tag_length = self._each(lambda plan: len(plan.tag))
        self._index_of_code = np.zeros(1000, np.int64)
        self._index_of_code[all_codes] = np.arange(len(home), len(self.all))
        self.code = self._each(lambda plan: plan.code)
        self.code_length = self._each(lambda plan: len(str(plan.code)))
        self.main = self._index_of_code[self.code]
        self._trunk_length = self._each(lambda plan: len(plan.trunk))
        self.has_trunk = self._trunk_length > 0
        self._transforms = self._each(lambda plan: bool(plan.transform)).astype(bool)
        self._longest = self._each(lambda plan: plan.lengths[-1])
        self._local = self._each(lambda plan: bits(plan.local_lengths))
        self._possible = self._each(lambda plan: bits(plan.lengths))

    def _each(self, what: Callable[[NumberingPlan], int]) -> Ints:
        return np.array([what(plan) for plan in self.all], np.int64)

    def of_code(self, code: Ints) -> Ints:
        """Give the index of the main plan of each calling code."""
        return self._index_of_code[code]

    def begins_with_code(self, numbers: Digits) -> Flags:
        """Say which numbers begin with their plan's country code."""
        begins: Flags = numbers.leading(self.code_length[numbers.plan]) == self.code[numbers.plan]
        return begins

    def without_code(self, numbers: Digits) -> Digits:
        """Take as many digits off as the country code has, and read what is left by the code's main plan."""
        return numbers.without(self.code_length[numbers.plan]).by_plan(self.main[numbers.plan])

    def are_too_long(self, numbers: Digits) -> Flags:
        """Say which national numbers are longer than any of their plan."""
        plan = numbers.plan
        return (numbers.count > self._longest[plan]) & ~_has(self._local[plan], numbers.count)

    def dialled_abroad(self, numbers: Digits) -> Ints:
        """Count the digits of the international prefix in front; 0 if there is none, or if a 0 follows: no code does."""
        length = self._prefix_length(numbers, lambda plan: plan.abroad)
        return np.where(numbers.without(length).leading(1) == 0, 0, length)

    def matching(self, numbers: Digits) -> Flags:
        """Say which national numbers have the shape of their plan's."""
        answer = np.zeros(len(numbers), bool)
        rows, found = self._matched(numbers, [f"(?:{plan.general})$" for plan in self.all], _is_match)
        answer[rows] = found
        return answer

    def stripped(self, numbers: Digits) -> Digits:
        """Take prefixes off national numbers, or transform them, unless that breaks a number of the plan's shape."""
        length = self._prefix_length(numbers, lambda plan: plan.prefix)
        bare = numbers.without(length)
        # A rule to put something in is about more than the trunk prefix: a carrier, a 15, a number without area code.
        more = self._transforms[numbers.plan] & (length > self._trunk_length[numbers.plan])
        for index in np.unique(numbers.plan[more]):
            rows = np.flatnonzero(more & (numbers.plan == index))
            text = self.all[index].transformed(numbers[rows].text())
            rows = rows[text.is_not_null().to_numpy()]
            transformed = Digits.of(text.drop_nulls(), numbers.plan[rows])
            bare.value[rows], bare.count[rows] = transformed.value, transformed.count
        touched = np.flatnonzero((bare.count != numbers.count) | (bare.value != numbers.value))
        whole = touched[self.matching(numbers[touched])]
        broken = whole[~self.matching(bare[whole])]
        bare.value[broken], bare.count[broken] = numbers.value[broken], numbers.count[broken]
        return bare

    def significant(self, numbers: Digits) -> Digits:
        """Give national significant numbers: stripped, where what is left has the length of a number of its own."""
        bare = self.stripped(numbers)
        plan = numbers.plan
        fits = _has(self._possible[plan], bare.count) | (bare.count > self._longest[plan])
        return bare.where(fits & ~_has(self._local[plan], bare.count), numbers)

    def e164(self, significant: Digits) -> Ints:
        """Put country codes before national significant numbers; 0 where that is no possible number.

        The main plan of the code decides, as it does in the library. Difference 5 is here: zeros only, and fewer than
        7 or more than 15 digits, are no number.
        """
        plan = self.main[significant.plan]
        length = self.code_length[plan] + significant.count
        possible = _has(self._possible[plan] & ~self._local[plan], significant.count) & (significant.value > 0)
        possible &= (length >= SHORTEST) & (length <= LONGEST)
        code = np.where(possible, self.code[plan], 0)
        return np.where(possible, significant.behind(code), 0)

    def _prefix_length(self, numbers: Digits, prefix: Callable[[NumberingPlan], str]) -> Ints:
        """Count the digits in front that are a prefix: by arithmetic where it is a literal, else by its pattern."""
        parts = [literal_and_rest(prefix(plan)) for plan in self.all]
        value = np.array([int(literal or "-2") for literal, _ in parts], np.int64)
        length = np.array([len(literal) for literal, _ in parts], np.int64)[numbers.plan]
        length = np.where(numbers.leading(length) == value[numbers.plan], length, 0)
        left = np.flatnonzero(length == 0)
        rows, found = self._matched(numbers[left], [without_groups(rest) for _, rest in parts], _length_of_match)
        length[left[rows]] = np.maximum(found - self._tag_length[numbers.plan[left[rows]]], 0)
        return length

    def _matched(
        self, numbers: Digits, patterns: Sequence[str], question: Callable[[pl.Expr, str], pl.Expr]
    ) -> tuple[Ints, NDArray[Any]]:
        """Put a question to the rows that may match their plan's pattern, and give these rows and the answers."""
        begins = np.array([first_digits(pattern) for pattern in patterns], np.int64)
        rows = np.flatnonzero((begins[numbers.plan] > 0) & (numbers.count > 0))
        rows = rows[_has(begins[numbers.plan[rows]], numbers[rows].leading(1))]
        if not len(rows):
            return rows, rows
        tagged = {f"{plan.tag}(?:{pattern})" for plan, pattern in zip(self.all, patterns, strict=True) if pattern}
        frame = pl.DataFrame({"plan": numbers.plan[rows], "number": numbers[rows].marked()})
        text = pl.concat_str(pl.lit(self._tags).gather(pl.col("plan")), pl.col("number").cast(pl.String).str.slice(1))
        return rows, frame.select(question(text, f"^(?:{'|'.join(sorted(tagged))})")).to_series().to_numpy()


def _is_match(text: pl.Expr, pattern: str) -> pl.Expr:
    return text.str.contains(pattern)


def _length_of_match(text: pl.Expr, pattern: str) -> pl.Expr:
    return text.str.extract(pattern, 0).str.len_bytes().cast(pl.Int64).fill_null(0)


@cache
def plan_of_region(region: str) -> NumberingPlan:
    """Give the plan of one region, an upper-case code the library supports; loads that region's metadata only."""
    return _plan(metadata_of(phonenumbers.country_code_for_valid_region(region), region))


@cache
def plan_of_code(code: int) -> NumberingPlan:
    """Give the main plan of a calling code, the one the library judges by."""
    return _plan(metadata_of(code, phonenumbers.region_code_for_country_code(code)))


@cache
def calling_codes() -> Ints:
    """Give, for every three leading digits of an international number, its calling code, or 0 where there is none."""
    table = np.zeros(1000, np.int64)
    for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        shorter = 10 ** (3 - len(str(code)))
        table[code * shorter : (code + 1) * shorter] = code
    table.setflags(write=False)
    return table


def metadata_of(code: int, region: str) -> PhoneMetadata:
    """Give the library's metadata of a region, or of a calling code that belongs to none (region 001)."""
    return cast("PhoneMetadata", PhoneMetadata.metadata_for_region_or_calling_code(code, region))


def shape_of(metadata: PhoneMetadata) -> str:
    """Give the pattern that every number of a region matches."""
    return rust(_general(metadata).national_number_pattern or "")


def _general(metadata: PhoneMetadata) -> PhoneNumberDesc:
    return cast("PhoneNumberDesc", metadata.general_desc)  # every region has one


def _plan(metadata: PhoneMetadata) -> NumberingPlan:
    general = _general(metadata)
    return NumberingPlan(
        region=metadata.id,
        code=metadata.country_code or 0,
        general=shape_of(metadata),
        lengths=tuple(general.possible_length),
        local_lengths=tuple(general.possible_length_local_only),
        prefix=rust(metadata.national_prefix_for_parsing or ""),
        transform=re.sub(r"\\(\d)", r"${\1}", metadata.national_prefix_transform_rule or ""),
        abroad=rust(metadata.international_prefix or ""),
        trunk=metadata.national_prefix or "",
    )


def _has(bits: Ints, length: Ints) -> Flags:
    return (bits >> length & 1).astype(bool)
