"""``POST /_sandbox/world``: change the seeded world from a test, field by field, and let time pass.

Owns what may be changed. Everything else is refused with one sentence.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from connector.sandbox.faults import ControlError
from connector.sandbox.world import AdAccount, App, Audience, Business, Grant, OboRequest, Settings, Token, User

if TYPE_CHECKING:
    from connector.sandbox.call import Json
    from connector.sandbox.world import World

CHANGEABLE: dict[type, frozenset[str]] = {
    AdAccount: frozenset({"name", "business", "account_status", "disable_reason", "tier", "currency", "spend_cap"}),
    Audience: frozenset(
        {"name", "status", "can_edit", "flagged_fields", "lookalikes", "pretend", "computed", "delete_time"}
    ),
    Business: frozenset({"name", "verification_status", "two_factor_type", "requires_admin_approval", "terms"}),
    User: frozenset({"name", "roles", "accounts", "two_fac_status", "direct"}),
    Token: frozenset({"scopes", "granular", "expires_at", "data_access_expires_at", "broken"}),
    App: frozenset({"b2b", "proof_required", "development"}),
    OboRequest: frozenset({"status"}),
}
GRANT_FIELDS = frozenset({"access_status", "permitted_tasks"})


def change_world(world: World, body: Any) -> Json:
    """Apply ``{"settings": {…}, "advance_seconds": n, "change": [{"node": id, "set": {…}, "agencies": {…}}]}``.

    All of it is checked before any of it is done.

    Raises:
        ControlError: with one sentence that says what is wrong.
    """
    if not isinstance(body, dict) or set(body) - {"settings", "advance_seconds", "change"}:
        raise ControlError("the body may hold settings, advance_seconds and change")
    todo: list[tuple[Any, str, Any]] = []
    for name, value in _object(body.get("settings", {}), "settings").items():
        todo.append((world.settings, name, _fit(Settings, name, value)))
    seconds = body.get("advance_seconds", 0)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 10 * 365 * 86_400:
        raise ControlError("advance_seconds must be a number of 0 or more")
    changes = body.get("change", [])
    if not isinstance(changes, list):
        raise ControlError("change must be a list")
    grants: list[tuple[AdAccount, str, Json | None]] = []
    for item in changes:
        node = _node(world, item)
        for name, value in _object(item.get("set", {}), "set").items():
            if name not in CHANGEABLE[type(node)]:
                raise ControlError(f"{type(node).__name__} has no changeable field {name}")
            todo.append((node, name, _fit(type(node), name, value)))
        grants += _grants(world, node, item.get("agencies"))
    for owner, name, value in todo:
        setattr(owner, name, value)
    for account, business, grant in grants:
        _grant(world, account, business, grant)
    world.skipped += seconds
    return {"success": True, "changed": len(todo) + len(grants), "now": int(world.now())}


def _object(value: Any, name: str) -> Json:
    if not isinstance(value, dict):
        raise ControlError(f"{name} must be an object")
    return value


def _node(world: World, item: Any) -> Any:
    if not isinstance(item, dict) or set(item) - {"node", "set", "agencies"} or not isinstance(item.get("node"), str):
        raise ControlError("every change needs a node, and may hold set and agencies")
    name = item["node"]
    shelves: tuple[dict[str, Any], ...] = (
        world.accounts,
        world.audiences,
        world.businesses,
        world.users,
        world.tokens,
        world.apps,
        world.requests,
    )
    for shelf in shelves:
        if name in shelf:
            return shelf[name]
    raise ControlError("a node to be changed does not exist")


def _fit(owner: type, name: str, value: Any) -> Any:
    """Check a new value against the field's annotation."""
    kind = next((str(f.type) for f in fields(owner) if f.name == name), None)
    if kind is None:
        raise ControlError(f"{owner.__name__} has no field {name}")
    if value is None:
        if "None" not in kind:
            raise ControlError(f"{name} cannot be null")
        return None
    head = kind.replace(" | None", "")
    if head.startswith("set"):
        head, value = "list", value if not isinstance(value, list) else {str(one) for one in value}
        if isinstance(value, set):
            return value
    wanted: Any = {"str": str, "int": int, "bool": bool, "float": int | float, "list": list, "dict": dict}.get(
        head.split("[")[0], str
    )
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise ControlError(f"{name} must be {head}")
    if name == "tier" and value not in {"limited", "full"}:
        raise ControlError("tier must be limited or full")
    if name == "terms_error" and value not in {1870034, 1870090, 2663, 2664}:
        raise ControlError("terms_error must be 1870034, 1870090, 2663 or 2664")
    return value


def _grants(world: World, node: Any, given: Any) -> list[tuple[AdAccount, str, Json | None]]:
    if given is None:
        return []
    if not isinstance(node, AdAccount):
        raise ControlError("only ad accounts have agencies here")
    found: list[tuple[AdAccount, str, Json | None]] = []
    for business, grant in _object(given, "agencies").items():
        if business not in world.businesses:
            raise ControlError("an agency must be a business of this world")
        if grant is not None and set(_object(grant, "a grant")) - GRANT_FIELDS:
            raise ControlError("a grant may hold access_status and permitted_tasks")
        tasks = (grant or {}).get("permitted_tasks", [])
        if not isinstance(tasks, list) or not isinstance((grant or {}).get("access_status", ""), str):
            raise ControlError("a grant needs a text as access_status and a list as permitted_tasks")
        found.append((node, business, grant))
    return found


def _grant(world: World, account: AdAccount, business: str, given: Json | None) -> None:
    if given is None:
        account.agencies.pop(business, None)
        return
    now = int(world.now())
    grant = account.agencies.get(business)
    if grant is None:
        grant = Grant(world.new_id(), business, ["ADVERTISE", "ANALYZE"], "CONFIRMED", now, now)
        account.agencies[business] = grant
    grant.access_status = given.get("access_status", grant.access_status)
    grant.permitted_tasks = given.get("permitted_tasks", grant.permitted_tasks)
    grant.updated = now
