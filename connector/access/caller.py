"""Who calls: the gate's own view of a :class:`Graph`, with the token's mark, the app's side door and the access tier.

It keeps tokens to itself: nothing it gives back holds one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connector.audiences.graph import Graph

_TIER: Final = re.compile(r'"ads_api_access_tier"\s*:\s*"(\w{1,40})"')
_USAGE_HEADERS: Final = ("x-business-use-case-usage", "x-ad-account-usage")
_MARK_LENGTH: Final = 16


class Caller:
    """Reads through a Graph's connection, credentials and pace; closing stays with whoever opened the Graph."""

    def __init__(self, graph: Graph, *, app_id: str | None, app_secret: SecretStr | None) -> None:
        if graph.token is None:
            raise RuntimeError("the gate asks about a token, and this Graph has none")
        self._token = graph.token.get_secret_value()
        self._tier: str | None = None
        self._of_user = graph.sibling(on_headers=self._hear)
        self._of_app: Graph | None = None
        if app_id and app_secret:
            app_token = SecretStr(f"{app_id}|{app_secret.get_secret_value()}")
            self._of_app = graph.sibling(token=app_token, app_secret=app_secret, on_headers=self._hear)

    def _hear(self, headers: Mapping[str, str]) -> None:
        """Remember the access tier that usage headers name."""
        for name in _USAGE_HEADERS:
            named = _TIER.search(headers.get(name, "")[:65_536])
            self._tier = named[1] if named else self._tier

    @property
    def tier(self) -> str | None:
        """The app's Marketing API tier in Meta's word, once an answer named it."""
        return self._tier

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
