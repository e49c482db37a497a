"""One call of the Graph API on its way through the sandbox: who asks, for what, with which parameters.

Also what handlers give back. Knows the world's records but no endpoint.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from connector.sandbox.world import AdAccount, App, Asset, Audience, Business, OboRequest, Session, Token, User, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from connector.sandbox.parameters import Parameters

Json: TypeAlias = dict[str, Any]
Node: TypeAlias = AdAccount | Audience | Business | User | OboRequest | Asset | App | Session


@dataclass(slots=True)
class Call:
    """A call in progress. ``charged`` is the ad account whose quota it uses, once that is known."""

    world: World
    method: str
    parameters: Parameters
    token: Token | None
    base_url: str
    path: str = ""
    charged: AdAccount | None = None
    kinds: Mapping[type, Kind] = field(default_factory=dict)

    @property
    def user(self) -> User | None:
        """The person or system user behind the token."""
        if self.token is None or self.token.user is None:
            return None
        return self.world.users.get(self.token.user)

    @property
    def app(self) -> App | None:
        """The app of the token."""
        return None if self.token is None else self.world.apps.get(self.token.app)


@dataclass(frozen=True, slots=True)
class Listing:
    """What an edge gives back when it is a list: nodes or finished objects, cut into pages by the caller."""

    items: Iterable[Any]
    total: int | None = None
    fields: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What a write gives back: its answer, and the node that ``fields=`` may read at once."""

    answer: Json
    node: Node


@dataclass(frozen=True, slots=True)
class Edge:
    """One method of one edge or node: who answers, and which parameters it knows beside the common ones.

    ``b2b`` edges answer only to apps that Meta let in.
    """

    answer: Callable[[Call, Any], Any]
    parameters: frozenset[str] = frozenset()
    b2b: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of node: its name, how its fields are read, which come by default, and its edges.

    ``edges`` maps ``(method, edge)``, with the empty edge for the node itself.
    """

    name: str
    title: str
    fields: Mapping[str, Callable[[Call, Any], Any]]
    default: tuple[str, ...]
    edges: Mapping[tuple[str, str], Edge]
    see: Callable[[Call, Any], bool] = lambda _call, _node: True
    bucket: str = "ads_management"
    nested: tuple[str, ...] = ("id", "name")


def edge(answer: Callable[[Call, Any], Any], *parameters: str, b2b: bool = False) -> Edge:
    """Write an ``Edge`` in one line."""
    return Edge(answer, frozenset(parameters), b2b)
