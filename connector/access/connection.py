"""From a destination to a Graph client: which token, which app, which address.

A token comes from where it was put last for that destination: ``connector connect`` stores it, encrypted (``token_store``);
a destination that names a variable of its own reads that and nothing else. Without either it is CONNECTOR_TOKEN.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypedDict

from connector.access.token_store import find_token
from connector.audiences.graph import Graph
from connector.audiences.pace import Pace
from connector.config import environment_secret
from connector.errors import ConfigError
from connector.state import State

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from pydantic import SecretStr

    from connector.audiences.pace import Wait
    from connector.config import Config
    from connector.state import Destination


DEFAULT_TOKEN_ENV = "CONNECTOR_TOKEN"  # noqa: S105  the name of a variable
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


def token_of(destination: Destination, state: State | None = None) -> SecretStr:
    """Find the destination's token: the stored one, unless the destination names a variable of its own.

    Raises:
        ConfigError: none is stored and the environment variable is unset, or the stored one cannot be decrypted.
    """
    may_be_stored = state is not None and destination.token_env == DEFAULT_TOKEN_ENV
    token = find_token(state, destination.name) if state is not None and may_be_stored else None
    token = token or environment_secret(destination.token_env)
    if token is None:
        raise ConfigError(
            f"destination {destination.name}: the environment variable {destination.token_env} holds no token",
            code="token.missing",
            hint=f"Log in with: connector connect {destination.name}; or: export {destination.token_env}=…",
        )
    return token


def connected(  # noqa: PLR0913 - settings with defaults, all by name
    config: Config,
    destination: Destination,
    *,
    state: State | None = None,
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
        state: Where a stored token is looked up; opened for that moment when it is not given.
        stop: Set it to end waiting at once and requests under way after a moment.
        max_wait: Bounds all its waiting together.
        on_wait: Told of each wait.
        most: Requests under way at most, each on a connection of its own; the pace begins with fewer and adapts.
        pace: Replaces the pace that ``max_wait``, ``on_wait`` and ``most`` describe.
        read_timeout: Seconds without a byte of an answer.
    """
    return Graph(
        config.graph_url,
        config.workspace.graph_version,
        _token(config, destination, state),
        app_secret=own_app()["app_secret"],
        connections=most,
        pace=pace or Pace(max_wait=max_wait.total_seconds(), on_wait=on_wait, stop=stop, most=most),
        read_timeout=read_timeout,
        stop=stop,
        fresh=_fresh(destination),
    )


def _token(config: Config, destination: Destination, state: State | None) -> SecretStr:
    if state is not None or destination.token_env != DEFAULT_TOKEN_ENV:
        return token_of(destination, state)
    with State.open(config.state_url) as opened:
        return token_of(destination, opened)


def _fresh(destination: Destination) -> frozenset[str]:
    """Name the destination's audience if we made it a moment ago."""
    if not destination.made_by_us or destination.audience_id is None or not destination.created_at:
        return frozenset()
    age = datetime.now(UTC) - datetime.fromisoformat(destination.created_at)
    return frozenset({destination.audience_id} if age < YOUNG else ())
