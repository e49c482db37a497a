"""The table of match keys: what mapping files call them, what Meta calls them, which of them are hashed.

Readable names (``first_name``) become Meta's codes (``FN``) here and nowhere else. The rules stand in ``normalise.py``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MatchKey:
    """One key a profile may be matched by.

    Attributes:
        name: What mapping files say.
        meta: Meta's code, the column of a raw frame. ``DOB`` is an attribute of ours that becomes three of Meta's.
        wire: The columns it fills on the wire, in wire order.
        hashed: Whether its cells leave as SHA-256.
    """

    name: str
    meta: str
    wire: tuple[str, ...]
    hashed: bool = True


def _key(name: str, meta: str, *, hashed: bool = True) -> MatchKey:
    return MatchKey(name, meta, (meta,), hashed)


MATCH_KEYS: tuple[MatchKey, ...] = (
    _key("external_id", "EXTERN_ID", hashed=False),
    _key("email", "EMAIL"),
    _key("phone", "PHONE"),
    _key("first_name", "FN"),
    _key("last_name", "LN"),
    _key("first_initial", "FI"),
    _key("gender", "GEN"),
    MatchKey("birth_date", "DOB", ("DOBY", "DOBM", "DOBD")),
    _key("birth_year", "DOBY"),
    _key("birth_month", "DOBM"),
    _key("birth_day", "DOBD"),
    _key("city", "CT"),
    _key("state", "ST"),
    _key("postal_code", "ZIP"),
    _key("country", "COUNTRY"),
    _key("mobile_advertiser_id", "MADID", hashed=False),
    _key("lookalike_value", "LOOKALIKE_VALUE", hashed=False),
    _key("limited_data_use", "DATA_PROCESSING_OPTIONS", hashed=False),
)
"""Every match key in wire order."""

WIRE_ORDER: tuple[str, ...] = tuple(key.meta for key in MATCH_KEYS if key.wire == (key.meta,))
"""Meta's codes in the order they stand in a payload's ``schema``."""

PLAIN: frozenset[str] = frozenset(code for key in MATCH_KEYS if not key.hashed for code in key.wire)
"""Columns that leave without being hashed."""

_BY_NAME = {spelling: key for key in MATCH_KEYS for spelling in (key.name, key.meta.lower())}


def find_match_key(name: str) -> MatchKey | None:
    """Find a match key by its YAML name or Meta's code, in any case.

    >>> find_match_key("fn").name, find_match_key("postal_code").meta
    ('first_name', 'ZIP')
    >>> find_match_key("surname") is None
    True
    """
    return _BY_NAME.get(name.strip().lower())


def known_names() -> tuple[str, ...]:
    """Name every spelling a mapping may use, readable names first: what a wrong one is compared with."""
    return (*(key.name for key in MATCH_KEYS), *(key.meta for key in MATCH_KEYS))
