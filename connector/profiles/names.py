"""First names, last names, initials and e-mail addresses: what stays of a name, what an address must look like."""

from __future__ import annotations

import polars as pl

from connector.profiles.cleaning import BLANK_WORDS, Step, nfc

# Extended_Pictographic is Unicode's own list of what emoji are drawn from; it adds the emoji that are letters (ℹ) or
# not yet assigned to what \p{S} drops.
_NOT_IN_A_NAME = r"[\p{White_Space}\p{P}\p{S}\p{Cf}\p{Extended_Pictographic}\x{02B9}-\x{02BF}\x{20E3}]"

NAME: tuple[Step, ...] = (
    Step("drop spaces, punctuation and symbols", lambda v: v.str.replace_all(_NOT_IN_A_NAME, "")),
    Step("Unicode NFC again", nfc, beyond_ascii=True),
)
"""FN and LN: every script, accents, digits and ``ー`` stay."""

INITIAL: tuple[Step, ...] = (
    *NAME,
    Step("not a blank word", lambda v: pl.when(~v.is_in(BLANK_WORDS)).then(v)),
    Step("first letter", lambda v: v.str.extract(r"(\p{L}\p{M}*)", 1)),
)
"""FI: the first letter of the cleaned first name with the marks that follow it."""


def has_letter(value: pl.Expr) -> pl.Expr:
    """Say whether a name holds a letter of any script."""
    return value.str.contains(r"\p{L}")


# What RFC 5322 calls an atom, and beyond ASCII whatever RFC 6531 lets through except spaces and quotes. ``mailto:``,
# ``Name <a@b.c>``, quotes and lists of addresses fail on characters that stand in neither class.
_ATOM = r"a-z0-9!#$%&'*+/=?^_`{|}~\-"
_EDGE = "a-z0-9"  # of a domain's label


def _address(atom: str, edge: str) -> str:
    label = rf"[{edge}](?:[\-]*[{edge}])*"
    return rf"^[{atom}]+(?:\.[{atom}]+)*@(?:{label}\.)+{label}$"


ADDRESS = _address(_ATOM + r"[\P{ASCII}--\p{Z}\p{C}\p{Pi}\p{Ps}\p{Pe}]", _EDGE + r"[\P{ASCII}--\p{Z}\p{C}\p{P}]")
_ASCII_ADDRESS = _address(_ATOM, _EDGE)
_NUMBER_AT_END = r"\.[0-9]+$"


def is_address(value: pl.Expr) -> pl.Expr:
    """Say whether a cleaned cell is exactly one ``local@domain.tld``."""
    return value.str.contains(ADDRESS) & ~value.str.contains(_NUMBER_AT_END)


def is_ascii_address(value: pl.Expr) -> pl.Expr:
    """Say whether a trimmed, lower-cased cell is such an address, and printable ASCII: cleaning would leave it as it is.

    Only ``K`` (the Kelvin sign) becomes ASCII by lower-casing, and composing makes a K of it as well.
    """
    return value.str.contains(_ASCII_ADDRESS) & ~value.str.contains(_NUMBER_AT_END)
