"""Prove access to a destination, without exporting anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.access import gate
from connector.access.connection import connected, own_app
from connector.state import State

if TYPE_CHECKING:
    from connector.access.gate import GateReport
    from connector.config import Config


def check_access(config: Config, destination: str, *, fresh: bool = False) -> GateReport:
    """Run the gate of an export for one destination: every check, no profile read, nothing written at Meta.

    Args:
        config: The workspace.
        destination: Its name.
        fresh: Ask Meta again instead of trusting answers of a few minutes ago.

    Raises:
        ConfigError: no such destination, or no token.
        TransientError: Meta or the network does not answer.
    """
    with State.open(config.state_url) as state:
        known = state.destination(destination)
        with connected(config, known, state=state) as graph:
            return gate.check_access(graph, known, state=state, fresh=fresh, **own_app())
