"""The seeded audiences in every state, and the client's Page, pixel, catalogue and Instagram account.

Filled into the world that ``seed`` has begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connector.sandbox.world import DAY, Asset, AssetKind, Audience, Grant

if TYPE_CHECKING:
    from connector.sandbox.world import World

# Name in the description: what sets the audience apart from a healthy, empty customer list.
AUDIENCES: dict[str, dict[str, Any]] = {
    "healthy": {},
    "not_available": {"status": 0},
    "expiring": {"status": 100, "delete_time": 90 * DAY},
    "warning": {"status": 400},
    "low_match": {"status": 411},
    "many_invalid": {"status": 412},
    "replacing": {"status": 414},
    "replace_failed": {"status": 415},
    "populating": {"status": 441},
    "out_of_date": {"status": 450},
    "creator_gone": {"status": 470},
    "flagged": {"status": 471, "flagged_fields": ["name"]},
    "error": {"status": 500},
    "not_editable": {"can_edit": False},
    "value_based": {"is_value_based": True},
    "lookalike_seed": {"lookalikes": ["120299999999999999"]},
    "website": {"subtype": "WEBSITE", "customer_file_source": None},
    "lookalike": {"subtype": "LOOKALIKE", "customer_file_source": None},
    "too_large": {"pretend": 100_000_000},
    "single_key": {"sub_type": "HASHES_OR_USER_IDS", "computed": 200},
}
FULL = 500


def seed_audiences(world: World, account: str, owner_elsewhere: str, full: str) -> dict[str, str]:
    """Make the audiences of every state on one account, one shared with it, and 500 on another; give their ids by name."""
    now = int(world.started)
    ids: dict[str, str] = {}
    for name, how in AUDIENCES.items():
        audience = _new(world, account, f"Sandbox {name.replace('_', ' ')}", now)
        for field, value in how.items():
            setattr(audience, field, now + value if field == "delete_time" else value)
        ids[name] = audience.id
    shared = _new(world, owner_elsewhere, "Sandbox shared by another account", now)
    shared.shared_with[account] = "targeting_and_insights"
    ids["shared"] = shared.id
    for number in range(FULL):
        _new(world, full, f"Sandbox audience {number + 1} of {FULL}", now)
    return ids


def _new(world: World, account: str, name: str, now: int) -> Audience:
    audience = Audience(world.new_id(), account, name, created=now - 20 * DAY, updated=now - 20 * DAY)
    audience.seeded = True
    world.audiences[audience.id] = audience
    return audience


def seed_assets(world: World, client: str, agency: str, account: str) -> dict[str, str]:
    """Make the client's other assets: one of each lent to the agency, one Page and one pixel that are not."""
    wanted: tuple[tuple[str, AssetKind, bool], ...] = (
        ("page", "page", True),
        ("pixel", "pixel", True),
        ("product_catalog", "product_catalog", True),
        ("instagram_account", "instagram_account", True),
        ("page_not_shared", "page", False),
        ("pixel_not_shared", "pixel", False),
    )
    now = int(world.started)
    ids: dict[str, str] = {}
    for number, (name, kind, lent) in enumerate(wanted, start=1):
        asset = Asset(f"90000000000000{number}", kind, f"Orchard Goods {name.replace('_', ' ')}", client)
        if lent:
            tasks = ["ADVERTISE", "ANALYZE"]
            grant = Grant(world.new_id(), agency, tasks, "CONFIRMED", now - 60 * DAY, now - 59 * DAY)
            asset.agencies[agency] = grant
            asset.accounts.add(account)
        world.assets[asset.id] = asset
        ids[name] = asset.id
    return ids
