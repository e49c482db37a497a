"""Meta's usage headers: how much of a quota is used, and how long Meta says to wait.

Must not know what is done about it. Format and units: meta-graph-api.md, 7.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# Types that concern us; an account's insights quota says nothing about its audiences.
_TYPES: Final = ("custom_audience", "ads_management")


@dataclass(frozen=True, slots=True)
class Usage:
    """What the headers of one answer say: percent used, the wait Meta names, in seconds (0: none), and the access tier."""

    percent: float = 0.0
    named: float = 0.0
    limited: bool | None = None  # None: the headers do not say


def read_usage(headers: Mapping[str, str]) -> dict[str | None, Usage]:
    """Read Meta's three usage headers: usage by ad account number, ``None`` for the app; malformed parts are left out.

    ``estimated_time_to_regain_access`` is in minutes, ``reset_time_duration`` in seconds. ``X-Ad-Account-Usage`` names no
    account: it stands under ``""``, the account of the call.

    >>> read_usage({"x-business-use-case-usage": '{"12": [{"type": "custom_audience", "call_count": 95,'
    ...             ' "estimated_time_to_regain_access": 19}]}'})
    {'12': Usage(percent=95.0, named=1140.0, limited=None)}
    """
    found: dict[str | None, Usage] = {}
    for key, entries in _json_object(headers.get("x-business-use-case-usage")).items():
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and entry.get("type", _TYPES[0]) in _TYPES:
                named = 60.0 * _amount(entry.get("estimated_time_to_regain_access"))
                merge_usage(found, key.removeprefix("act_"), Usage(_percent(entry), named, _limited(entry)))
    app = _json_object(headers.get("x-app-usage"))
    if app:
        merge_usage(found, None, Usage(_percent(app)))
    own = _json_object(headers.get("x-ad-account-usage"))
    if own:
        used, named = _amount(own.get("acc_id_util_pct")), _amount(own.get("reset_time_duration"))
        merge_usage(found, "", Usage(used, named, _limited(own)))
    return found


def retry_after(headers: Mapping[str, str], now: float) -> float:
    """Read ``Retry-After``, seconds or a date, as seconds from ``now``; 0 when there is none that makes sense.

    >>> retry_after({"retry-after": "120"}, now=0)
    120.0
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return _amount(int(text[:12]))
    try:
        return _amount(parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


def merge_usage(found: dict[str | None, Usage], key: str | None, usage: Usage) -> None:
    """Keep the worse of two reports on one account."""
    before = found.get(key, Usage())
    limited = before.limited if usage.limited is None else usage.limited or bool(before.limited)
    found[key] = Usage(max(before.percent, usage.percent), max(before.named, usage.named), limited)


def _limited(entry: dict[str, object]) -> bool | None:
    """Read the tier: its words are still the ones from before the renaming of 2026 (meta-graph-api.md, 7)."""
    return {"development_access": True, "standard_access": False}.get(str(entry.get("ads_api_access_tier")))


def _percent(entry: dict[str, object]) -> float:
    return max(_amount(entry.get(name)) for name in ("call_count", "total_cputime", "total_time"))


def _amount(value: object) -> float:
    number = (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12 else 0.0
    )
    return number if math.isfinite(number) and number > 0 else 0.0


def _json_object(text: str | None) -> dict[str, object]:
    if not text or len(text) > 65536:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return dict(value) if isinstance(value, dict) else {}
