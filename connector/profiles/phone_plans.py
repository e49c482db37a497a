"""Numbering plans, built from libphonenumber's metadata for the regions and calling codes a frame holds.

Owns what the library's parser does to digits, for many plans at once: country codes, international and national
prefixes, lengths, validity. The patterns are the library's own, run by polars on whole columns. Text, rows and the
decided differences are no business of this module.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import phonenumbers
import polars as pl
from phonenumbers import PhoneMetadata

from connector.profiles.phone_digits import Digits, Flags, Ints
from connector.profiles.phone_numbers import LONGEST, SHORTEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_SPECIAL = ("premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail")
_TEXT = pl.col("text")


@dataclass(frozen=True, slots=True)
class NumberingPlan:
    """How one region writes its numbers; patterns are anchored in front and in Rust's dialect.

    ``general`` is the shape of every number of the region. ``prefix`` is what the library takes off a national number
    and ``transform`` what it puts there instead where the last group of the prefix took part. ``abroad`` is what one
    dials before a country code.
    """

    region: str
    code: int
    general: str
    lengths: tuple[int, ...]
    local_lengths: tuple[int, ...]
    prefix: str
    transform: str
    abroad: str
    has_trunk: bool

    def matches(self, numbers: pl.Series) -> pl.Series:
        """Say which numbers have the shape of the region's."""
        return numbers.str.contains(f"{self.general}$")

    def bare(self, numbers: pl.Series) -> pl.Series:
        """Take prefix and carrier code off, or put in what the region's rule says."""
        bare = _TEXT.str.slice(_TEXT.str.extract(self.prefix, 0).str.len_bytes().fill_null(0))
        if self.transform:
            changed = _TEXT.str.extract(self.prefix, re.compile(self.prefix).groups).is_not_null()
            bare = pl.when(changed).then(_TEXT.str.replace(self.prefix, self.transform)).otherwise(bare)
        return numbers.alias("text").to_frame().select(bare).to_series()

    def dialled_abroad(self, numbers: pl.Series) -> Ints:
        """Count the digits of the international prefix each number begins with."""
        found = _TEXT.str.extract(self.abroad, 0).str.len_bytes().fill_null(0).cast(pl.Int64)
        return numbers.alias("text").to_frame().select(found).to_series().to_numpy()


class Plans:
    """The plans of one frame, at the index that ``Digits.plan`` holds: home plans first, then main plans by code."""

    def __init__(self, regions: Sequence[str], codes: Iterable[int] = ()) -> None:
        home = [plan_of_region(region) for region in regions]
        codes = sorted({*(int(code) for code in codes), *(plan.code for plan in home)} - {0})
        self.all = [*home, *(plan_of_code(code) for code in codes)]
        self._index_of_code = np.zeros(1000, np.int64)
        self._index_of_code[codes] = np.arange(len(home), len(self.all))
        self.code = self._each(lambda plan: plan.code)
        self.code_length = self._each(lambda plan: len(str(plan.code)))
        self.main = self._index_of_code[self.code]
        self.has_trunk = self._each(lambda plan: plan.has_trunk).astype(bool)
        self._longest = self._each(lambda plan: plan.lengths[-1])
        self._local = self._each(lambda plan: _bits(plan.local_lengths))
        self._possible = self._each(lambda plan: _bits(plan.lengths))
        self._prefix = self._each(lambda plan: _literal(plan.prefix))
        self._prefix_length = self._each(lambda plan: _literal_length(plan.prefix))
        self._abroad = self._each(lambda plan: _literal(plan.abroad))
        self._abroad_length = self._each(lambda plan: _literal_length(plan.abroad))

    def _each(self, what: Callable[[NumberingPlan], int]) -> Ints:
        return np.array([what(plan) for plan in self.all], np.int64)

    def of_code(self, code: Ints) -> Ints:
        """Give the index of the main plan of each calling code."""
        return self._index_of_code[code]

    def begins_with_code(self, numbers: Digits) -> Flags:
        """Say which numbers begin with their plan's country code."""
        return numbers.leading(self.code_length[numbers.plan]) == self.code[numbers.plan]

    def without_code(self, numbers: Digits) -> Digits:
        """Take as many digits off as the country code has, and read what is left by the code's main plan."""
        return numbers.without(self.code_length[numbers.plan]).by_plan(self.main[numbers.plan])

    def are_too_long(self, numbers: Digits) -> Flags:
        """Say which national numbers are longer than any of their plan."""
        plan = numbers.plan
        return (numbers.count > self._longest[plan]) & ~_has(self._local[plan], numbers.count)

    def dialled_abroad(self, numbers: Digits) -> Ints:
        """Count the digits of the international prefix in front; 0 if there is none, or if a 0 follows: no code does."""
        length = np.maximum(self._abroad_length[numbers.plan], 0)
        length = np.where(numbers.leading(length) == self._abroad[numbers.plan], length, 0)
        for plan, rows, text in self._grouped(numbers, self._abroad_length < 0):
            length[rows] = plan.dialled_abroad(text)
        return np.where(numbers.without(length).leading(1) == 0, 0, length)

    def matching(self, numbers: Digits) -> Flags:
        """Say which national numbers have the shape of their plan's."""
        answer = np.zeros(len(numbers), bool)
        for plan, rows, text in self._grouped(numbers):
            answer[rows] = plan.matches(text).to_numpy()
        return answer

    def stripped(self, numbers: Digits) -> Digits:
        """Take prefixes off national numbers, unless that breaks a number of the plan's shape."""
        length = np.maximum(self._prefix_length[numbers.plan], 0)
        has_prefix = (length > 0) & (numbers.leading(length) == self._prefix[numbers.plan])
        bare = numbers.without(np.where(has_prefix, length, 0))
        for plan, rows, text in self._grouped(numbers, self._prefix_length < 0):
            changed = Digits.of(plan.bare(text), numbers.plan[rows])
            bare.value[rows], bare.count[rows] = changed.value, changed.count
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

    def _grouped(
        self, numbers: Digits, wanted: Flags | None = None
    ) -> Iterator[tuple[NumberingPlan, Ints, pl.Series]]:
        """Give every plan in use, or those wanted, with its rows and their digits as text."""
        rows = np.arange(len(numbers)) if wanted is None else np.flatnonzero(wanted[numbers.plan])
        if not len(rows):
            return
        rows = rows[np.argsort(numbers.plan[rows], kind="stable")]
        text = numbers[rows].text()
        present, starts = np.unique(numbers.plan[rows], return_index=True)
        for index, start, end in zip(present, starts, [*starts[1:], len(rows)], strict=True):
            yield self.all[index], rows[start:end], text[int(start) : int(end)]


def are_valid(code: int, numbers: pl.Series) -> Flags:
    """Say which national significant numbers are valid in the region, of those that share a calling code, they are in."""
    return _in_their_region(code, numbers, _is_of_a_type)


def are_mobile(code: int, numbers: pl.Series) -> Flags:
    """Say which national significant numbers are valid mobile numbers under a calling code."""
    return _in_their_region(code, numbers, _is_mobile)


def _in_their_region(code: int, numbers: pl.Series, says: Callable[[int, str], pl.Expr]) -> Flags:
    """Ask, for each number, the first region that claims it: by its leading digits, else by a type that fits."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
    answer = np.zeros(len(numbers), bool)
    left = np.arange(len(numbers))
    for region in regions:
        text = numbers.gather(left).alias("text").to_frame()
        claims = _claims(code, region) if len(regions) > 1 else pl.lit(value=True)
        claimed, yes = text.select(claims=claims & _TEXT.is_not_null(), yes=says(code, region)).get_columns()
        answer[left] = (claimed & yes).to_numpy()
        left = left[~claimed.to_numpy()]
        if not len(left):
            break
    return answer


@cache
def _claims(code: int, region: str) -> pl.Expr:
    leading = _metadata(code, region).leading_digits
    return _is_of_a_type(code, region) if leading is None else _TEXT.str.contains(f"^(?:{_rust(leading)})")


@cache
def _is_of_a_type(code: int, region: str) -> pl.Expr:
    """Say whether a number fits a region's general description and one of its types."""
    metadata = _metadata(code, region)
    kinds = [*_SPECIAL, "fixed_line", *([] if metadata.same_mobile_and_fixed_line_pattern else ["mobile"])]
    return _fits(metadata.general_desc) & _fits(*(getattr(metadata, kind) for kind in kinds))


@cache
def _is_mobile(code: int, region: str) -> pl.Expr:
    """Say whether a number is mobile, or either: the library asks the special types first."""
    metadata = _metadata(code, region)
    kind = metadata.fixed_line if metadata.same_mobile_and_fixed_line_pattern else metadata.mobile
    special = _fits(*(getattr(metadata, kind) for kind in _SPECIAL))
    return _fits(metadata.general_desc) & _fits(kind) & ~special


def _fits(*kinds: phonenumbers.PhoneNumberDesc | None) -> pl.Expr:
    """Say whether a number has the shape and the length of one of these kinds; types of one length share a pattern."""
    shapes: dict[tuple[int, ...], list[str]] = {}
    for kind in kinds:
        if kind is not None and kind.national_number_pattern:
            shapes.setdefault(tuple(kind.possible_length), []).append(_rust(kind.national_number_pattern))
    fits: pl.Expr = pl.lit(value=False)
    for lengths, patterns in shapes.items():
        shape = _TEXT.str.contains(f"^(?:{'|'.join(patterns)})$")
        fits |= shape & _TEXT.str.len_bytes().is_in(lengths) if lengths else shape
    return fits


@cache
def plan_of_region(region: str) -> NumberingPlan:
    """Give the plan of one region, an upper-case code the library supports; loads that region's metadata only."""
    return _plan(PhoneMetadata.metadata_for_region(region, None))


@cache
def plan_of_code(code: int) -> NumberingPlan:
    """Give the main plan of a calling code, the one the library judges by."""
    return _plan(_metadata(code, phonenumbers.region_code_for_country_code(code)))


@cache
def calling_codes() -> Ints:
    """Give, for every three leading digits of an international number, its calling code, or 0 where there is none."""
    table = np.zeros(1000, np.int64)
    for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        shorter = 10 ** (3 - len(str(code)))
        table[code * shorter : (code + 1) * shorter] = code
    table.setflags(write=False)
    return table


def _metadata(code: int, region: str) -> PhoneMetadata:
    return PhoneMetadata.metadata_for_region_or_calling_code(code, region)


def _plan(metadata: PhoneMetadata) -> NumberingPlan:
    general = metadata.general_desc
    prefix, abroad = metadata.national_prefix_for_parsing, metadata.international_prefix
    return NumberingPlan(
        region=metadata.id,
        code=metadata.country_code,
        general=_anchored(general.national_number_pattern),
        lengths=tuple(general.possible_length),
        local_lengths=tuple(general.possible_length_local_only),
        prefix=_anchored(prefix),
        transform=re.sub(r"\\(\d)", r"${\1}", metadata.national_prefix_transform_rule or ""),
        abroad=_anchored(abroad),
        has_trunk=bool(metadata.national_prefix),
    )


def _anchored(pattern: str | None) -> str:
    """Anchor a pattern in front; a literal stays as it is."""
    return pattern or "" if not pattern or pattern.isdigit() else f"^(?:{_rust(pattern)})"


def _rust(pattern: str) -> str:
    """Let ``\\d`` mean ASCII digits: Rust's is every script's, slower to build, and needed nowhere here."""
    return pattern.replace(r"\d", "[0-9]")


def _literal(pattern: str) -> int:
    return int(pattern) if pattern.isdigit() else -1


def _literal_length(pattern: str) -> int:
    """Count the digits of a literal prefix: 0 if there is none, -1 if it is a pattern."""
    return len(pattern) if pattern.isdigit() or not pattern else -1


def _bits(lengths: Sequence[int]) -> int:
    return sum(1 << length for length in lengths)


def _has(bits: Ints, length: Ints) -> Flags:
    return (bits >> length & 1).astype(bool)
