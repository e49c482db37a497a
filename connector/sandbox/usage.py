"""How much of Meta's quotas each ad account and app has used: the usage headers, and who is throttled until when.

Owns the buckets of the specification's §7. Times are seconds of the sandbox's clock. Knows neither tokens nor audiences.
"""

from __future__ import annotations

import json
import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connector.sandbox.refusals import Refusal

if TYPE_CHECKING:
    from connector.sandbox.world import Settings

HOUR = 3_600.0
DECAY = 300.0
TIER_WORDS = {"limited": "development_access", "full": "standard_access"}
BLOCKED_FOR = {"limited": 300.0, "full": 60.0}


@dataclass(slots=True)
class Window:
    """Calls in the last rolling hour, kept by the second."""

    bins: deque[list[float]] = field(default_factory=deque)
    total: float = 0.0

    def add(self, now: float, amount: float = 1.0) -> None:
        """Count ``amount`` calls now."""
        self.forget(now)
        if self.bins and int(self.bins[-1][0]) == int(now):
            self.bins[-1][1] += amount
        else:
            self.bins.append([now, amount])
        self.total += amount

    def forget(self, now: float) -> None:
        """Drop what is more than an hour old."""
        while self.bins and self.bins[0][0] <= now - HOUR:
            self.total -= self.bins.popleft()[1]

    def minutes_until(self, now: float, allowed: float) -> int:
        """Say in how many whole minutes the total will be below ``allowed``."""
        left = self.total
        for at, amount in self.bins:
            left -= amount
            if left < allowed:
                return max(1, math.ceil((at + HOUR - now) / 60))
        return max(1, math.ceil(HOUR / 60))


@dataclass(slots=True)
class Score:
    """Points that drain away over 300 seconds; over the limit the account is blocked for a while."""

    points: float = 0.0
    at: float = 0.0
    blocked_until: float = 0.0

    def drain(self, now: float, limit: float) -> None:
        """Let the points of the time since the last call run off."""
        self.points = max(0.0, self.points - max(0.0, now - self.at) * limit / DECAY)
        self.at = now


@dataclass(slots=True)
class Usage:
    """Every bucket of every ad account, and the one of each app."""

    windows: dict[tuple[str, str], Window] = field(default_factory=dict)
    scores: dict[str, Score] = field(default_factory=dict)

    def charge(
        self, now: float, account: str, bucket: str, tier: str, audiences: int, turn: Settings, *, write: bool
    ) -> None:
        """Count one call of an ad account (bare digits).

        Raises:
            Refusal: 80003 or 80004 with the wait in minutes, or 17/2446079 with it in seconds, once a quota is used up.
        """
        window = self.windows.setdefault((account, bucket), Window())
        window.forget(now)
        quota = quota_of(bucket, tier, audiences, turn)
        if window.total >= quota:
            code = 80003 if bucket == "custom_audience" else 80004
            raise Refusal(code, subcode=2446079, headers=self.headers(now, account, tier, audiences, turn))
        score = self.scores.setdefault(account, Score())
        limit = score_limit(tier, turn)
        score.drain(now, limit)
        if now < score.blocked_until:
            raise Refusal(17, subcode=2446079, headers=self.headers(now, account, tier, audiences, turn))
        points = 3 if write else 1
        if score.points + points > limit:
            score.blocked_until = now + BLOCKED_FOR[tier]
            raise Refusal(17, subcode=2446079, headers=self.headers(now, account, tier, audiences, turn))
        score.points += points
        window.add(now)

    def charge_app(self, now: float, app: str, turn: Settings) -> None:
        """Count one call of an app.

        Raises:
            Refusal: code 4 once the app's quota of the settings is used up; without one there is no limit.
        """
        window = self.windows.setdefault((app, "app"), Window())
        window.forget(now)
        if turn.quota_app is not None and window.total >= turn.quota_app:
            raise Refusal(4, headers=self.app_header(now, app, turn))
        window.add(now)

    def app_header(self, now: float, app: str, turn: Settings) -> dict[str, str]:
        """Build ``X-App-Usage``: percentages of the app's quota."""
        window = self.windows.get((app, "app"), Window())
        window.forget(now)
        used = percent(window.total, turn.quota_app or 200_000)
        return {"X-App-Usage": json.dumps({"call_count": used, "total_time": used // 2, "total_cputime": used // 2})}

    def headers(self, now: float, account: str, tier: str, audiences: int, turn: Settings) -> dict[str, str]:
        """Build ``X-Business-Use-Case-Usage`` (waits in minutes) and ``X-Ad-Account-Usage`` (waits in seconds)."""
        cases = []
        for bucket in ("custom_audience", "ads_management"):
            window = self.windows.get((account, bucket))
            if window is None:
                continue
            window.forget(now)
            quota = quota_of(bucket, tier, audiences, turn)
            used = percent(window.total, quota)
            wait = window.minutes_until(now, quota) if window.total >= quota else 0
            cases.append(
                {
                    "type": bucket,
                    "call_count": used,
                    "total_cputime": used // 4,
                    "total_time": used // 4,
                    "estimated_time_to_regain_access": wait,
                    "ads_api_access_tier": TIER_WORDS[tier],
                }
            )
        score = self.scores.get(account, Score())
        score.drain(now, score_limit(tier, turn))
        blocked = score.blocked_until > now
        share = {
            "acc_id_util_pct": 100.0 if blocked else round(100 * score.points / score_limit(tier, turn), 2),
            "reset_time_duration": math.ceil(score.blocked_until - now) if blocked else 0,
            "ads_api_access_tier": TIER_WORDS[tier],
        }
        return {
            "X-Business-Use-Case-Usage": json.dumps({account: cases}),
            "X-Ad-Account-Usage": json.dumps(share),
        }


def percent(used: float, quota: float) -> int:
    """Say how much of a quota is used, in whole per cent, at most 100."""
    return min(100, int(100 * used / quota)) if quota > 0 else 100


def score_limit(tier: str, turn: Settings) -> float:
    """Points an ad account may have at once: a read is 1, a write 3."""
    return float(turn.quota_score or (60 if tier == "limited" else 9_000))


def quota_of(bucket: str, tier: str, audiences: int, turn: Settings) -> float:
    """Calls per rolling hour in one bucket, by access tier."""
    if bucket == "custom_audience":
        if turn.quota_custom_audience is not None:
            return turn.quota_custom_audience
        return min(700_000, (5_000 if tier == "limited" else 190_000) + 40 * audiences)
    if turn.quota_ads_management is not None:
        return turn.quota_ads_management
    return 300 if tier == "limited" else 100_000
