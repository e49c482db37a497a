"""The desk at which partner access is arranged: whose token speaks, for which business of ours, and what the app may do.

Opened once a command; shared by partner access and on-behalf-of requests. Source: access.md §3.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from pydantic import SecretStr

from connector.access.capability import (
    blames_the_app,
    learn_capability,
    may_blame_the_app,
    recall_capability,
    unavailable,
)
from connector.access.connection import connected, own_app
from connector.access.findings import Party
from connector.access.partnerships import business_of, page_token
from connector.audiences.answers import read_object, read_text
from connector.errors import AccessError, ConfigError, ConnectorError, RejectedError
from connector.state import Destination, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connector.access.capability import Capability
    from connector.access.findings import Asset
    from connector.audiences.graph import Graph
    from connector.config import Config

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Speaker:
    """Whose token is used: a destination's, else that of an environment variable. ``business`` is our own portfolio."""

    destination: str | None = None
    token_env: str = "CONNECTOR_TOKEN"  # noqa: S105  the name of a variable
    business: str | None = None


class Desk:
    """One open conversation with Meta about partners."""

    def __init__(
        self, *, config: Config, state: State, graph: Graph, speaker: Speaker, business: str | None, fresh: bool
    ) -> None:
        self.config = config
        self.state = state
        self.graph = graph
        self.speaker = speaker
        self._named = business
        self._fresh = fresh
        self._businesses: dict[str, Party] | None = None
        self._app: tuple[str | None] | None = None

    @property
    def businesses(self) -> dict[str, Party]:
        """The business portfolios that the token's person is in, by id."""
        if self._businesses is None:
            rows = self.graph.pages("me/businesses", fields="id,name", limit=100)
            found = [Party(str(row.get("id")), read_text(row, "name")) for row in rows]
            self._businesses = {one.id: one for one in found}
        return self._businesses

    @property
    def app(self) -> str | None:
        """The id of the app that made the token, as far as anybody tells."""
        if self._app is None:
            self._app = (self._app_of_token() or own_app()["app_id"],)
        return self._app[0]

    def _app_of_token(self) -> str | None:
        token = self.graph.token
        if token is None:
            return None
        try:
            told = self.graph.get("debug_token", input_token=token.get_secret_value())
        except (AccessError, RejectedError):
            return None  # not every token may ask about itself
        return read_text(read_object(told, "data"), "app_id")

    def ours(self) -> Party:
        """Name our own business: as told, else the only one the person is in.

        Raises:
            ConfigError: there are several, or none; say which.
        """
        if self._named is not None:
            return self.businesses.get(self._named, Party(self._named)) if self._businesses else Party(self._named)
        if len(self.businesses) == 1:
            return next(iter(self.businesses.values()))
        several = ", ".join(f"{one.id} ({one.name})" for one in self.businesses.values())
        raise ConfigError(
            "the token's person is in several businesses" if several else "the token's person is in no business",
            code="partner.business",
            hint=f"Say --business with one of {several}" if several else "Say --business with our own portfolio's id.",
        )

    def graph_for(self, asset: Asset) -> Graph | None:
        """Give the connection that may change an asset: a Page wants its own token; nothing when Meta does not give it."""
        if asset.kind != "page":
            return self.graph
        token = page_token(self.graph, asset)
        if token is None:
            return None
        return self.graph.sibling(token=SecretStr(token), app_secret=own_app()["app_secret"])

    def may(self, what: Capability) -> bool | None:
        """Say what is remembered of the app's rights; nothing when it is unknown or was asked to be looked up anew."""
        return None if self._fresh else recall_capability(self.state, self.app, what, datetime.now(UTC))

    def ask(self, read: Callable[[], T], *, about: str) -> T:
        """Make a harmless read between businesses, and learn from it whether the app may.

        ``about`` is a node that the token can read if anything else than the app is in order.

        Raises:
            AccessError: with code ``b2b.unavailable`` when the app was not let in; else what Meta said.
        """
        if self.may("b2b_read") is False:
            raise unavailable()
        try:
            answer = read()
        except (AccessError, RejectedError) as error:
            if not self._is_the_app(error, about):
                raise
            if blames_the_app(error) or (error.fault is not None and error.fault.code == 10):
                self.learn("b2b_read", may=False)  # a bare 200 may have reasons that we cannot see: not remembered
            raise unavailable(error.fbtrace_id) from None
        self.learn("b2b_read", may=True)
        return answer

    def write(self, call: Callable[[], T]) -> T:
        """Make a write between businesses after a read was allowed, and learn from it; errors as for ``ask``."""
        if self.may("b2b_write") is False:
            raise unavailable()
        try:
            answer = call()
        except (AccessError, RejectedError) as error:
            if not (blames_the_app(error) or (error.fault is not None and error.fault.code == 10)):
                raise  # reads work, so a plain 200 is about roles, not about the app
            self.learn("b2b_write", may=False)
            raise unavailable(error.fbtrace_id) from None
        self.learn("b2b_write", may=True)
        return answer

    def learn(self, what: Capability, *, may: bool) -> None:
        """Remember for a day whether the app may."""
        learn_capability(self.state, self.app, what, datetime.now(UTC), may=may)

    def _is_the_app(self, error: ConnectorError, about: str) -> bool:
        """Whether the app is to blame: nothing else explains the refusal, for the token reads the node itself."""
        if not may_blame_the_app(error):
            return False
        if blames_the_app(error):
            return True
        return self._reads(about) and self._has_scope("business_management")

    def _reads(self, node: str) -> bool:
        try:
            self.graph.get(node, fields="id")
        except (AccessError, RejectedError):
            return False
        return True

    def _has_scope(self, scope: str) -> bool:
        rows = self.graph.pages("me/permissions", limit=100)
        return any(row.get("permission") == scope and row.get("status") == "granted" for row in rows)


@contextmanager
def open_desk(config: Config, speaker: Speaker, *, fresh: bool = False) -> Iterator[Desk]:
    """Open a conversation; ``fresh`` trusts nothing that was learned of the app before.

    Raises:
        ConfigError: no such destination, no token, or no id of a business.
    """
    with State.open(config.state_url) as state:
        known = Destination("-", "act_0", token_env=speaker.token_env)
        if speaker.destination is not None:
            known = state.destination(speaker.destination)
        business = speaker.business or known.business
        named = business_of(business) if business is not None else None
        with connected(config, known, state=state) as graph:
            yield Desk(config=config, state=state, graph=graph, speaker=speaker, business=named, fresh=fresh)
