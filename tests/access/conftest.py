"""The gate's tests stand on a fresh sandbox world that can be broken and mended through its own API."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring
from pydantic import SecretStr

from connector.access.data_terms import DATA_TERMS_VERSION
from connector.access.gate import check_access
from connector.audiences.graph import Graph
from connector.state import Destination

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.access.gate import GateReport


class World:
    """One sandbox: run the gate against it, break it, mend it as the people there would."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.seed = description
        self.control = httpx.Client(base_url=description["base_url"])

    def account(self, name: str | None = None) -> str:
        return str(self.seed["ad_accounts"][name] if name else self.seed["ad_account"])

    def token(self, name: str | None = None) -> str:
        return str(self.seed["tokens"][name] if name else self.seed["token"])

    def audience(self, name: str) -> str:
        return str(self.seed["audiences"][name])

    def graph(self, token: str | None = None, secret: str | None = None) -> Graph:
        app_secret = SecretStr(secret or self.seed["app_secret"])
        # Certificates take longer to load than a gate run takes, and loopback has none.
        plain = httpx.HTTPTransport(verify=False)
        return Graph(
            self.seed["base_url"], "v25.0", SecretStr(self.token(token)), app_secret=app_secret, transport=plain
        )

    def destination(self, account: str | None = None, **changes: Any) -> Destination:
        plain = Destination(
            "demo",
            self.account(account),
            business=self.seed["business"],
            audience_id=None if account else self.audience("healthy"),
            data_terms_version=DATA_TERMS_VERSION,
            data_terms_by="Ada",
            data_terms_at="2026-11-20T09:00:00Z",
        )
        if not account:
            plain = replace(plain, ad_account=self.account("with_audiences"))
        return replace(plain, **changes)

    def gate(
        self,
        account: str | None = None,
        *,
        token: str | None = None,
        secret: str | None = None,
        to: Destination | None = None,
        **options: Any,
    ) -> GateReport:
        """Run the gate; by default on a sound account with a sound audience."""
        destination = to or self.destination(account)
        app = {"app_id": self.seed["app_id"], "app_secret": SecretStr(secret or self.seed["app_secret"])}
        with self.graph(token, secret) as graph:
            return check_access(graph, destination, **{**app, **options})

    def change(self, node: str, *, agencies: dict[str, Any] | None = None, **fields: Any) -> None:
        """Change a node of the world as no API call can."""
        change = {"node": node, "set": fields, **({"agencies": agencies} if agencies else {})}
        answer = self.control.post("/_sandbox/world", json={"change": [change]})
        assert answer.is_success, answer.text

    def settings(self, **settings: Any) -> None:
        assert self.control.post("/_sandbox/world", json={"settings": settings}).is_success

    def fault(self, **fault: Any) -> None:
        assert self.control.post("/_sandbox/faults", json={"faults": [fault]}).is_success

    def rows(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Read an edge, all pages."""
        with self.graph() as graph:
            return list(graph.pages(path, **params))

    def rows_as(self, token: str, path: str, **params: Any) -> list[dict[str, Any]]:
        """Read an edge as the holder of a token."""
        with self.graph(token) as graph:
            return list(graph.pages(path, **params))

    def post(self, path: str, *, token: str | None = None, **params: Any) -> dict[str, Any]:
        """Do something at Meta as the holder of a token."""
        with self.graph(token) as graph:
            return graph.post(path, **params)

    def delete(self, path: str, *, token: str | None = None, **params: Any) -> dict[str, Any]:
        with self.graph(token) as graph:
            return graph.delete(path, **params)

    def calls(self) -> dict[str, int]:
        """How often each edge was called since the reset."""
        return dict(self.control.get("/_sandbox/state").json()["calls"])


@pytest.fixture
def no_keyring() -> Iterator[None]:
    """A system that keeps no keys, whatever the one that runs the tests does."""
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def world(sandbox: dict[str, Any]) -> Iterator[World]:
    world = World(sandbox)
    yield world
    world.control.close()
