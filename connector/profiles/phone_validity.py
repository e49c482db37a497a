"""Whether phone numbers are valid, and whether mobile, as libphonenumber says, for whole columns.

Owns the types of numbers each region has. Only the decided differences ask for validity: *possible* is enough for all
other phones.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import phonenumbers
import polars as pl

from connector.profiles.phone_patterns import first_digits, rust
from connector.profiles.phone_plans import metadata_of, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from phonenumbers import PhoneMetadata, PhoneNumberDesc

    from connector.profiles.phone_digits import Flags

_SPECIAL = ("premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail")
_TEXT = pl.col("text")


def are_valid(code: int, numbers: pl.Series) -> Flags:
    """Say which national significant numbers are valid in the region, of those that share a calling code, they are in."""
    return _in_their_region(code, numbers, _is_of_a_type)


def are_mobile(code: int, numbers: pl.Series) -> Flags:
    """Say which national significant numbers are valid mobile numbers under a calling code."""
    answer = np.zeros(len(numbers), bool)
    rows = _flags(numbers.str.contains(_any_mobile(code)).to_frame())
    if rows.any():
        answer[rows] = _in_their_region(code, numbers.filter(rows), _is_mobile)
    return answer


def _in_their_region(code: int, numbers: pl.Series, says: Callable[[int, str], pl.Expr]) -> Flags:
    """Ask, for each number, the first region that claims it: by its leading digits, else by a type that fits."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
    frame = numbers.alias("text").to_frame()
    if len(regions) == 1:
        return _flags(frame.select(says(code, regions[0])))
    answer = np.zeros(len(numbers), bool)
    left = np.flatnonzero(_flags(frame.select(_TEXT.str.contains(_any_claim(code)))))
    for region in regions:
        if not len(left):
            break
        claimed = _flags(frame[left].select(_claims(code, region)))
        if claimed.any():
            answer[left[claimed]] = _flags(frame[left[claimed]].select(says(code, region)))
        left = left[~claimed]
    return answer


def _flags(frame: pl.DataFrame) -> Flags:
    answer: Flags = frame.to_series().to_numpy()
    return answer


@cache
def _any_claim(code: int) -> str:
    """Give a pattern of all numbers that one of the regions of a calling code may claim."""
    plans = [metadata_of(code, region) for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]]
    general = (f"(?:{shape_of(plan)})$" for plan in plans if not plan.leading_digits)
    leading = (plan.leading_digits for plan in plans if plan.leading_digits)
    return f"^(?:{rust('|'.join((*general, *leading)))})"


@cache
def _any_mobile(code: int) -> str:
    """Give a pattern of the first digits of all mobile numbers under a calling code."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
    kinds = (_mobile(metadata_of(code, region)) for region in regions)
    begins = [
        first_digits(rust(kind.national_number_pattern)) for kind in kinds if kind and kind.national_number_pattern
    ]
    digits = (str(digit) for digit in range(10) if any(some >> digit & 1 for some in begins))
    return f"^[x{''.join(digits)}]"


@cache
def _claims(code: int, region: str) -> pl.Expr:
    leading = metadata_of(code, region).leading_digits
    return _TEXT.str.contains(f"^(?:{rust(leading)})") if leading else _is_of_a_type(code, region)


@cache
def _is_of_a_type(code: int, region: str) -> pl.Expr:
    """Say whether a number fits a region's general description and one of its types."""
    metadata = metadata_of(code, region)
    kinds = [*_SPECIAL, "fixed_line", *([] if metadata.same_mobile_and_fixed_line_pattern else ["mobile"])]
    return _fits(metadata.general_desc) & _fits(*(getattr(metadata, kind) for kind in kinds))


@cache
def _is_mobile(code: int, region: str) -> pl.Expr:
    """Say whether a number is mobile, or either: the library asks the special types first."""
    metadata = metadata_of(code, region)
    special = _fits(*(getattr(metadata, kind) for kind in _SPECIAL))
    return _fits(metadata.general_desc) & _fits(_mobile(metadata)) & ~special


def _mobile(metadata: PhoneMetadata) -> PhoneNumberDesc | None:
    return metadata.fixed_line if metadata.same_mobile_and_fixed_line_pattern else metadata.mobile


def _fits(*kinds: PhoneNumberDesc | None) -> pl.Expr:
    """Say whether a number has the shape and the length of one of these kinds; types of one length share a pattern."""
    shapes: dict[tuple[int, ...], list[str]] = {}
    for kind in kinds:
        if kind is not None and kind.national_number_pattern:
            shapes.setdefault(tuple(kind.possible_length), []).append(rust(kind.national_number_pattern))
    fits: pl.Expr = pl.lit(value=False)
    for lengths, patterns in shapes.items():
        shape = _TEXT.str.contains(f"^(?:{'|'.join(patterns)})$")
        fits |= shape & _TEXT.str.len_bytes().is_in(lengths) if lengths else shape
    return fits
