"""From a destination to a Graph client: which token, which app, which address.

Tokens come from the environment variable that the destination names and are never stored or shown.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypedDict

from connector.audiences.graph import Graph
from connector.audiences.pace import Pace
from connector.config import environment_secret
from connector.errors import ConfigError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from pydantic import SecretStr

    from connector.audiences.pace import Wait
    from connector.config import Config
    from connector.state import Destination


YOUNG = timedelta(minutes=10)  # an audience we made so recently may not be known to all of Meta's servers


class OwnApp(TypedDict):
    """Our Meta app, as far as the environment tells."""

    app_id: str | None
    app_secret: SecretStr | None


def own_app() -> OwnApp:
    """Read CONNECTOR_APP_ID and CONNECTOR_APP_SECRET."""
    app_id = environment_secret("CONNECTOR_APP_ID")
    return {
        "app_id": app_id.get_secret_value() if app_id else None,
        "app_secret": environment_secret("CONNECTOR_APP_SECRET"),
    }


def token_of(destination: Destination) -> SecretStr:
    """Find the destination's token.

    Raises:
        ConfigError: its environment variable is unset.
    """
    token = environment_secret(destination.token_env)
    if token is None:
        raise ConfigError(
            f"destination {destination.name}: the environment variable {destination.token_env} holds no token",
            code="token.missing",
            hint=f"Set it to the access token of a user or system user: export {destination.token_env}=…",
        )
    return token


def connected(
    config: Config,
    destination: Destination,
    *,
    stop: threading.Event | None = None,
    max_wait: timedelta = timedelta(hours=2),
    on_wait: Callable[[Wait], None] | None = None,
    most: int = 16,
    pace: Pace | None = None,
    read_timeout: float = 120.0,
) -> Graph:
    """Open a Graph client for the destination; use it as a context manager.

    Args:
        config: The workspace.
        destination: Whose token and audience.
        stop: Set it to end waiting at once and requests under way after a moment.
        max_wait: Bounds all its waiting together.
        on_wait: Told of each wait.
        most: Requests of the ad account under way at most; the pace begins with fewer and adapts.
        pace: Replaces the pace that ``max_wait``, ``on_wait`` and ``most`` describe.
        read_timeout: Seconds without a byte of an answer.
    """
    return Graph(
        config.graph_url,
        config.workspace.graph_version,
        token_of(destination),
        app_secret=own_app()["app_secret"],
        pace=pace or Pace(max_wait=max_wait.total_seconds(), on_wait=on_wait, stop=stop, most=most),
        read_timeout=read_timeout,
        stop=stop,
        fresh=_fresh(destination),
    )


def _fresh(destination: Destination) -> frozenset[str]:
    """Name the destination's audience if we made it a moment ago."""
    if not destination.made_by_us or destination.audience_id is None or not destination.created_at:
        return frozenset()
    age = datetime.now(UTC) - datetime.fromisoformat(destination.created_at)
    return frozenset({destination.audience_id} if age < YOUNG else ())
