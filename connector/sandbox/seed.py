"""The seeded world: one agency, its clients, and every way access can be broken, each in one way only.

Owns the invented names, ids and tokens. Everything is the same after each reset but the times.
"""

from __future__ import annotations

from typing import Any

from connector.sandbox.seed_assets import seed_assets, seed_audiences
from connector.sandbox.world import DAY, AdAccount, App, Business, Grant, OboRequest, Token, User, World

AGENCY, CLIENT, CLIENT_NO_TERMS, CLIENT_NO_2FA, CLIENT_REVIEW, STRANGERS = (
    "300000000000001",
    "310000000000001",
    "310000000000002",
    "310000000000003",
    "310000000000004",
    "390000000000001",
)
APP, APP_NO_B2B, APP_PROOF, APP_DEV = "200000000000001", "200000000000002", "200000000000003", "200000000000004"
SECRET = "sandbox-app-secret-0123456789abcdef"
EMMA, CLIENT_ADMIN, ANALYST, NEWCOMER, OUTSIDER, ROBOT = (
    "500000000000001",
    "500000000000002",
    "500000000000003",
    "500000000000004",
    "500000000000005",
    "500000000000009",
)
GOOD = "act_10000000000001"
ADVERTISER = ["ADVERTISE", "ANALYZE"]
GRANTED = dict.fromkeys(("public_profile", "ads_management", "ads_read", "business_management"), "granted")

# Name in the description: number, owner, status, what else. "agency" is the grant: None for none.
ACCOUNTS: dict[str, dict[str, Any]] = {
    "no_terms": {"business": CLIENT_NO_TERMS},
    "disabled": {"account_status": 2, "disable_reason": 1},
    "unsettled": {"account_status": 3},
    "closed": {"account_status": 101, "disable_reason": 7},
    "pending_risk_review": {"account_status": 7},
    "grace_period": {"account_status": 9},
    "not_shared": {"agency": None},
    "person_only": {"agency": None, "direct": True},
    "personal": {"business": None, "agency": None, "direct": True},
    "agency_pending": {"agency": "CLIENT_RESPONSE_PENDING", "direct": True},
    "agency_declined": {"agency": "DECLINED", "direct": True},
    "agency_expired": {"agency": "EXPIRED", "direct": True},
    "analyze_only": {"tasks": ["ANALYZE"]},
    "manage": {"tasks": ["MANAGE", "ADVERTISE", "ANALYZE"]},
    "not_assigned": {"assigned": None},
    "obo_in_progress": {"obo": "IN_PROGRESS"},
    "obo_declined": {"obo": "DECLINE"},
    "agency_owned": {"business": AGENCY, "agency": None},
    "no_two_factor": {"business": CLIENT_NO_2FA},
    "admin_review": {"business": CLIENT_REVIEW, "agency": "PENDING", "direct": True},
    "full": {},
    "limited_tier": {"tier": "limited"},
    "with_audiences": {},
}


def seeded_world() -> World:
    """Build a new seeded world."""
    world = World()
    now = int(world.started)
    _seed_businesses(world, now)
    _seed_people(world)
    _seed_account(world, "ad_account", GOOD, {"obo": "APPROVE"}, now)
    ids: dict[str, str] = {}
    for number, (name, how) in enumerate(ACCOUNTS.items(), start=2):
        ids[name] = f"act_100000000000{number:02}"
        _seed_account(world, name, ids[name], how, now)
    _seed_claim(world, ids["personal"])
    audiences = seed_audiences(world, ids["with_audiences"], ids["not_shared"], ids["full"])
    assets = seed_assets(world, CLIENT, AGENCY, GOOD)
    tokens = _seed_tokens(world, now, other_account=ids["manage"])
    page = Token(
        "EAAsandboxpage" + "0123456789abcdef" * 2, APP, CLIENT_ADMIN, "PAGE", page=assets["page"], issued_at=now
    )
    page.scopes = dict(GRANTED)
    world.tokens[page.value] = page
    tokens["page"] = page.value
    in_progress = next(r.id for r in world.requests.values() if r.status == "IN_PROGRESS")
    world.description = {
        "token": tokens.pop("good"),
        "app_id": APP,
        "app_secret": SECRET,
        "ad_account": GOOD,
        "business": AGENCY,
        "client_business": CLIENT,
        "user": EMMA,
        "tokens": tokens,
        "ad_accounts": ids,
        "obo_request": in_progress,
        "audiences": audiences,
        "assets": assets,
    }
    return world


def _seed_businesses(world: World, now: int) -> None:
    names = {
        AGENCY: "Lantern Media (agency)",
        CLIENT: "Orchard Goods",
        CLIENT_NO_TERMS: "Harbour Books",
        CLIENT_NO_2FA: "Meadow Bikes",
        CLIENT_REVIEW: "Quarry Coffee",
        STRANGERS: "Somewhere Else",
    }
    for identifier, name in names.items():
        world.businesses[identifier] = Business(identifier, name, created=now - 900 * DAY)
        world.businesses[identifier].terms = {CLIENT_ADMIN: now - 30 * DAY, EMMA: now - 30 * DAY}
    world.businesses[CLIENT_NO_TERMS].terms = {}
    world.businesses[CLIENT_NO_2FA].two_factor_type = "none"
    world.businesses[CLIENT_REVIEW].requires_admin_approval = True
    for identifier, name in ((APP, "connector sandbox app"), (APP_NO_B2B, "app without business-to-business access")):
        world.apps[identifier] = App(identifier, SECRET, name, b2b=identifier != APP_NO_B2B)
    world.apps[APP_PROOF] = App(APP_PROOF, SECRET, "app that insists on appsecret_proof", proof_required=True)
    world.apps[APP_DEV] = App(APP_DEV, SECRET, "app in development mode", development=True)


def _seed_people(world: World) -> None:
    clients = {CLIENT: "ADMIN", CLIENT_NO_TERMS: "ADMIN", CLIENT_NO_2FA: "ADMIN", CLIENT_REVIEW: "ADMIN"}
    people = (
        User(EMMA, "Emma Agency", roles={AGENCY: "ADMIN"}, email="emma@agency.example"),
        User(CLIENT_ADMIN, "Carl Client", roles=clients, email="carl@client.example"),
        User(ANALYST, "Anna Analyst", roles={AGENCY: "EMPLOYEE"}),
        User(NEWCOMER, "Nils Newcomer", roles={AGENCY: "ADMIN"}),
        User(OUTSIDER, "Olga Outsider", roles={STRANGERS: "EMPLOYEE"}),
        User(ROBOT, "Exporter", kind="SYSTEM_USER", roles={AGENCY: "EMPLOYEE"}),
    )
    for person in people:
        world.users[person.id] = person
    world.users[ANALYST].accounts[GOOD] = ["ANALYZE"]
    world.users[OUTSIDER].accounts[GOOD] = list(ADVERTISER)
    world.users[OUTSIDER].direct.add(GOOD)
    world.users[ROBOT].accounts[GOOD] = list(ADVERTISER)


def _seed_account(world: World, name: str, identifier: str, how: dict[str, Any], now: int) -> None:
    account = AdAccount(identifier, f"Sandbox {name.replace('_', ' ')}", how.get("business", CLIENT))
    account.created = now - 400 * DAY
    account.account_status = how.get("account_status", 1)
    account.disable_reason = how.get("disable_reason", 0)
    account.tier = how.get("tier")
    status = how.get("agency", "CONFIRMED")
    if status is not None:
        tasks = list(how.get("tasks", ADVERTISER))
        account.agencies[AGENCY] = Grant(world.new_id(), AGENCY, tasks, status, now - 60 * DAY, now - 59 * DAY)
    world.accounts[identifier] = account
    emma = world.users[EMMA]
    if how.get("assigned", True):
        emma.accounts[identifier] = list(ADVERTISER)
    if how.get("direct"):
        emma.direct.add(identifier)
    if "obo" in how:
        request = OboRequest(world.new_id(), identifier, CLIENT, AGENCY, how["obo"])
        world.requests[request.id] = request


def _seed_claim(world: World, personal: str) -> None:
    """Make the client's admin the one who can claim the personal ad account for a business."""
    admin = world.users[CLIENT_ADMIN]
    admin.accounts[personal] = ["MANAGE", *ADVERTISER]
    admin.direct.add(personal)


def _wanted_tokens(now: int, other_account: str) -> dict[str, dict[str, Any]]:
    """Say how each token differs from the good one."""
    other = [other_account.removeprefix("act_")]
    no_business = {scope: state for scope, state in GRANTED.items() if scope != "business_management"}
    return {
        "good": {},
        "no_permission": {"scopes": {**GRANTED, "ads_management": "declined", "ads_read": "declined"}},
        "ads_read_only": {"scopes": {**GRANTED, "ads_management": "declined"}},
        "expired": {"expires_at": now - 3600},
        "password_changed": {"broken": 460},
        "checkpointed": {"broken": 459},
        "revoked": {"broken": 467},
        "unauthorised": {"broken": 458},
        "unconfirmed": {"broken": 464},
        "no_page_role": {"broken": 492},
        "expiring_soon": {"expires_at": now + 3 * DAY},
        "granular_other": {"granular": {"ads_management": other, "ads_read": other}},
        "analyst": {"user": ANALYST},
        "not_assigned": {"user": NEWCOMER},
        "outsider": {"user": OUTSIDER},
        "system_user": {"user": ROBOT, "kind": "SYSTEM_USER", "expires_at": 0},
        "no_business_management": {"scopes": no_business},
        "client_admin": {"user": CLIENT_ADMIN},
        "no_b2b": {"app": APP_NO_B2B},
        "proof_required": {"app": APP_PROOF},
        "development_app": {"app": APP_DEV},
    }


def _seed_tokens(world: World, now: int, *, other_account: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, how in _wanted_tokens(now, other_account).items():
        value = f"EAAsandbox{name.replace('_', '')}" + "0123456789abcdef" * 2
        token = Token(value, how.get("app", APP), how.get("user", EMMA), how.get("kind", "USER"))
        token.scopes = dict(how.get("scopes", GRANTED))
        token.granular = dict(how.get("granular", {}))
        token.issued_at = now - 5 * DAY
        token.expires_at = how.get("expires_at", now + 55 * DAY)
        token.data_access_expires_at = now + 85 * DAY
        token.broken = how.get("broken")
        world.tokens[value] = token
        found[name] = value
    for app in world.apps.values():
        value = f"{app.id}|{app.secret}"
        world.tokens[value] = Token(value, app.id, None, "APP", issued_at=now)
    found["app"] = f"{APP}|{SECRET}"
    return found
