"""A clock that only sleeping moves, and a pace that goes by it."""

from __future__ import annotations

from typing import Any

from connector.audiences.pace import Pace


class FakeTime:
    """Seconds since it was made; every sleep is kept."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def pace_on(clock: FakeTime, **settings: Any) -> Pace:
    """Chance is in the middle, unless told otherwise."""
    settings.setdefault("rng", lambda: 0.5)
    return Pace(clock=clock, now=clock, sleep=clock.sleep, **settings)
