"""Siblings of a Graph: other callers on the same sockets and pace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import SecretStr

from connector.audiences.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Recorder(httpx.BaseTransport):
    """Answers every request, and keeps what it was sent."""

    def __init__(self) -> None:
        self.seen: list[httpx.Request] = []
        self.closed = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        return httpx.Response(200, json={"id": "1"}, headers={"X-App-Usage": "{}"})

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def network() -> Recorder:
    return Recorder()


@pytest.fixture
def graph(network: Recorder) -> Iterator[Graph]:
    with Graph("https://graph.facebook.com", "v25.0", SecretStr("first"), transport=network) as made:
        yield made


def test_a_sibling_calls_as_somebody_else_and_the_first_goes_on_as_before(graph: Graph, network: Recorder):
    sibling = graph.sibling(token=SecretStr("second"), app_secret=SecretStr("secret"))
    sibling.get("me")
    graph.get("me")
    assert [one.headers["Authorization"] for one in network.seen] == ["Bearer second", "Bearer first"]
    assert ["appsecret_proof" in str(one.url) for one in network.seen] == [True, False]
    assert [one.token and one.token.get_secret_value() for one in (graph, sibling)] == ["first", "second"]


def test_a_sibling_without_a_token_of_its_own_calls_as_the_first_and_hears_headers(graph: Graph, network: Recorder):
    heard: list[Mapping[str, str]] = []
    graph.sibling(on_headers=heard.append).get("me")
    graph.get("me")
    assert [one.headers["Authorization"] for one in network.seen] == ["Bearer first", "Bearer first"]
    assert [one["x-app-usage"] for one in heard] == ["{}"]


def test_a_sibling_shares_the_pace_and_closing_one_closes_both(graph: Graph, network: Recorder):
    sibling = graph.sibling(token=SecretStr("second"))
    assert sibling.pace is graph.pace
    sibling.close()
    assert network.closed == 1
    for one in (graph, sibling):
        with pytest.raises(RuntimeError, match="closed"):
            one.get("me")
    assert network.seen == []


def test_a_login_has_no_token_and_its_sibling_may_have_one(network: Recorder):
    with Graph("https://graph.facebook.com", "v25.0", None, transport=network) as graph:
        graph.get("oauth/access_token")
        graph.sibling(token=SecretStr("second")).get("me")
        assert graph.token is None
    assert ["Authorization" in one.headers for one in network.seen] == [False, True]
