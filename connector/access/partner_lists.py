"""The lists of partners as somebody asks for them: who may use an asset or our assets, and whose assets we may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from connector.access.desk import Desk, Speaker, open_desk
from connector.access.grants import recorded_grant
from connector.access.partnerships import (
    agencies_of_asset,
    agencies_of_business,
    asset_of,
    business_of,
    clients_of,
)
from connector.errors import AccessError

if TYPE_CHECKING:
    from connector.access.findings import Asset
    from connector.access.partnerships import AssetKind, Partnership
    from connector.config import Config

Shown = Literal["pending", "confirmed", "all"]


def list_agencies(
    config: Config, kind: AssetKind | Literal["business"], identifier: str, speaker: Speaker, *, fresh: bool = False
) -> list[Partnership]:
    """List the businesses that may use an asset, or any asset of a business, and those that asked to.

    Raises:
        ConfigError: no such id.
        AccessError: with code ``b2b.unavailable`` when the app was not let in; else what Meta said.
    """
    with open_desk(config, speaker, fresh=fresh) as desk:
        if kind == "business":
            owner = business_of(identifier)
            _insist_on_membership(desk, owner)
            return desk.ask(lambda: agencies_of_business(desk.graph, owner), about=owner)
        asset = asset_of(kind, identifier)
        return desk.ask(lambda: _agencies(desk, asset), about=str(asset.id))


def list_clients(config: Config, speaker: Speaker, *, status: Shown = "all", fresh: bool = False) -> list[Partnership]:
    """List whose assets our business may use (``confirmed``), has asked for (``pending``), or ever had to do with."""
    with open_desk(config, speaker, fresh=fresh) as desk:
        ours = desk.ours()
        _insist_on_membership(desk, ours.id)
        rows = desk.ask(lambda: clients_of(desk.graph, ours.id), about=ours.id)
    return [row for row in rows if status in {"all", row.status}]


def _agencies(desk: Desk, asset: Asset) -> list[Partnership]:
    grant = recorded_grant(desk.state, str(asset.id))
    waiting = frozenset({grant.business} if grant and grant.needs_review and grant.business else ())
    return agencies_of_asset(desk.graph_for(asset) or desk.graph, asset, waiting=waiting)


def _insist_on_membership(desk: Desk, business: str) -> None:
    """Tell a stranger from an app without rights: Meta's refusal is the same."""
    if business not in desk.businesses:
        raise AccessError(
            f"the token's person is not in business {business}",
            code="partner.not_member",
            hint="Use the token of somebody who is: --token-env NAME; see who you are with: connector list ad-accounts",
        )
