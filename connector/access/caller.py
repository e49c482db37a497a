"""Who calls: the gate's own view of a :class:`Graph`, with the token's mark, the app's side door and the access tier.

The one place that looks behind ``Graph``'s public face. It keeps tokens to itself: nothing it gives back holds one.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from connector.audiences.credentials import credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.audiences.credentials import Credentials
    from connector.audiences.graph import Graph

_TIER: Final = re.compile(r'"ads_api_access_tier"\s*:\s*"(\w{1,40})"')
_USAGE_HEADERS: Final = ("x-business-use-case-usage", "x-ad-account-usage")
_MARK_LENGTH: Final = 16


class _Listener:
    """A transport that hands everything on and remembers the access tier that usage headers name."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.tier: str | None = None

    def handle_request(self, request: Any) -> Any:
        response = self._transport.handle_request(request)
        for name in _USAGE_HEADERS:
            named = _TIER.search(response.headers.get(name, "")[:65_536])
            self.tier = named[1] if named else self.tier
        return response

    def close(self) -> None:
        """Nothing: the transport belongs to the Graph that was given."""


class Caller:
    """Reads through a Graph's connection, credentials and pace; closing stays with whoever opened the Graph."""

    def __init__(self, graph: Graph, *, app_id: str | None, app_secret: SecretStr | None) -> None:
        own = graph._credentials  # noqa: SLF001  Graph offers no name for its token yet
        self._token = own.headers["Authorization"].removeprefix("Bearer ")
        self._listener = _Listener(graph._transport)  # noqa: SLF001  nor for hearing headers
        self._of_user = self._sibling(graph, own)
        self._of_app: Graph | None = None
        if app_id and app_secret:
            app_token = SecretStr(f"{app_id}|{app_secret.get_secret_value()}")
            self._of_app = self._sibling(graph, credentials(app_token, app_secret))

    def _sibling(self, graph: Graph, own: Credentials) -> Graph:
        """Make a Graph with the same pace, patience and sockets that calls as ``own`` and is heard."""
        sibling = copy.copy(graph)
        transport: Any = self._listener
        sibling._transport, sibling._credentials = transport, own  # noqa: SLF001  nor for calling as somebody else
        return sibling

    @property
    def tier(self) -> str | None:
        """The app's Marketing API tier in Meta's word, once an answer named it."""
        return self._listener.tier

    @property
    def knows_the_app(self) -> bool:
        """Whether ``inspect_token`` can be asked: that needs the app's id and secret."""
        return self._of_app is not None

    def get(self, path: str, **params: str) -> dict[str, Any]:
        """Read a node; errors as for :meth:`Graph.get`."""
        query: dict[str, Any] = dict(params)
        return self._of_user.get(path, **query)

    def pages(self, path: str, **params: str) -> Iterator[dict[str, Any]]:
        """Read an edge; errors as for :meth:`Graph.pages`."""
        query: dict[str, Any] = dict(params)
        return self._of_user.pages(path, **query)

    def inspect_token(self) -> dict[str, Any]:
        """Ask ``debug_token`` with the app's own token; it needs no right of the token it looks at."""
        if self._of_app is None:
            raise RuntimeError("inspect_token needs the app's id and secret")
        return self._of_app.get("debug_token", input_token=self._token)

    def mark(self, *parts: str) -> str:
        """Give 16 hex digits that change with the token or any part, and tell nothing about the token.

        HMAC-SHA256 with the token as the key: a token has far more entropy than anyone can try, so its mark cannot be
        turned back, and with the destination's name in the message two destinations that share a token do not show it.
        64 bits are plenty to notice a change, and too few to be of use as a credential.
        """
        message = "\0".join(parts).encode()
        return hmac.new(self._token.encode(), message, hashlib.sha256).hexdigest()[:_MARK_LENGTH]
