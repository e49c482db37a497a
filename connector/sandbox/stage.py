"""The stage a sandbox runs on: the present world, how to make it anew, and the latency of its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.sandbox.world import World


@dataclass(slots=True)
class Stage:
    """What the app, the control paths and the pages share. ``make`` builds the world that ``reset`` returns to."""

    world: World
    make: Callable[[], World]
    latency_ms: int = 0

    def reset(self) -> None:
        """Go back to the seeded world: no audience, session, fault, count or used quota of before is left."""
        self.world = self.make()
