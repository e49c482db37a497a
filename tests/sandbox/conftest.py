"""A client for the sandbox's tests: plain HTTP over the real socket, and members computed without the sandbox's code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def sha(text: object) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()


def digest_of(keys: list[str], rows: list[list[Any]]) -> str:
    """The contract's digest, computed with nothing but the standard library."""
    members = {
        json.dumps(
            sorted([key, cell] for key, cell in zip(keys, row, strict=True) if cell not in ("", None, [])),
            separators=(",", ":"),
            ensure_ascii=False,
        )
        for row in rows
    }
    total = sum(int.from_bytes(hashlib.sha256(member.encode()).digest(), "big") for member in members)
    return f"{total % 2**256:064x}"


@dataclass
class Graph:
    """What a test does with the sandbox; every call is HTTP."""

    known: dict[str, Any]
    http: httpx.Client
    made: int = field(default=0)

    @property
    def account(self) -> str:
        return str(self.known["ad_account"])

    def call(self, method: str, path: str, *, token: str | None = None, **how: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or self.known['token']}", **how.pop("headers", {})}
        return self.http.request(method, f"/v25.0/{path}", headers=headers, **how)

    def get(self, path: str, *, token: str | None = None, **params: Any) -> Any:
        answer = self.call("GET", path, token=token, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, *, token: str | None = None, **params: Any) -> Any:
        answer = self.call("POST", path, token=token, json=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def delete(self, path: str, *, token: str | None = None, **params: Any) -> Any:
        answer = self.call("DELETE", path, token=token, json=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, method: str, path: str, *, token: str | None = None, **params: Any) -> tuple[int, int | None]:
        """The code and subcode of a call that must be refused."""
        how: dict[str, Any] = {"params": params} if method == "GET" else {"json": params}
        answer = self.call(method, path, token=token, **how)
        assert answer.status_code >= 400, answer.text
        error = answer.json()["error"]
        assert error["fbtrace_id"]
        return error["code"], error.get("error_subcode")

    def new_audience(self, account: str | None = None, **more: Any) -> str:
        self.made += 1
        wanted = {"name": f"Audience {self.made}", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
        return str(self.post(f"{account or self.account}/customaudiences", **{**wanted, **more})["id"])

    def add(self, audience: str, keys: list[str], rows: list[list[Any]], **session: Any) -> Any:
        more = {"session": session} if session else {}
        return self.post(f"{audience}/users", payload={"schema": keys, "data": rows}, **more)

    def remove(self, audience: str, keys: list[str], rows: list[list[Any]]) -> Any:
        return self.delete(f"{audience}/users", payload={"schema": keys, "data": rows})

    def state(self) -> Any:
        return self.http.get("/_sandbox/state").json()

    def held(self, audience: str) -> tuple[int, str]:
        """Member count and digest of one audience, as the state tells."""
        found = next(one for one in self.state()["audiences"] if one["id"] == audience)
        return found["members"], found["digest"]

    def faults(self, *faults: dict[str, Any]) -> None:
        self.http.post("/_sandbox/faults", json={"faults": list(faults)}).raise_for_status()

    def change(self, **body: Any) -> Any:
        answer = self.http.post("/_sandbox/world", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="session")
def socket_client(sandbox_server: dict[str, Any]) -> Iterator[httpx.Client]:
    """One HTTP client for all tests: making one takes longer than a test."""
    with httpx.Client(base_url=sandbox_server["base_url"], timeout=30, verify=False) as http:
        yield http


@pytest.fixture
def graph(sandbox_server: dict[str, Any], socket_client: httpx.Client) -> Graph:
    """A client on a freshly reset sandbox."""
    socket_client.post("/_sandbox/reset").raise_for_status()
    return Graph(sandbox_server, socket_client)


@pytest.fixture
def hashed() -> Any:
    return sha


@pytest.fixture
def expected_digest() -> Any:
    return digest_of
