"""The whole table: every field of every kind can be read, every list answers, every write says what it needs."""

from __future__ import annotations

from typing import Any

import pytest

from connector.sandbox.kinds import KINDS, ROOTS
from connector.sandbox.world import AdAccount, App, Asset, Audience, Business, OboRequest, User

NODES = {
    AdAccount: "ad_account",
    App: "app_id",
    Asset: "page",
    Audience: "healthy",
    Business: "business",
    OboRequest: "obo_request",
    User: "user",
}
NEEDED = {"onbehalf_requests": {"status": "APPROVE"}, "assigned_users": {"business": "300000000000001"}}
NEEDED["shared_accounts"] = NEEDED["assigned_users"]


def node(graph: Any, kind: type) -> str:
    known = {**graph.known, **graph.known["assets"], **graph.known["audiences"]}
    return str(known[NODES[kind]])


@pytest.mark.parametrize("kind", NODES, ids=lambda kind: kind.__name__)
def test_all_fields_of_a_node_can_be_read_at_once(graph: Any, kind: type) -> None:
    shown = graph.get(node(graph, kind), fields=",".join(KINDS[kind].fields))
    assert shown["id"] == node(graph, kind)
    assert set(shown) <= set(KINDS[kind].fields)


@pytest.mark.parametrize(
    ("kind", "edge"), [(kind, edge) for kind in NODES for method, edge in KINDS[kind].edges if method == "GET" and edge]
)
def test_every_list_answers_with_data(graph: Any, kind: type, edge: str) -> None:
    answer = graph.get(f"{node(graph, kind)}/{edge}", **NEEDED.get(edge, {}))
    assert isinstance(answer["data"], list)


@pytest.mark.parametrize(
    ("edge", "fields"),
    [
        ("clients", "name,verification_status,ad_account_permissions{id,access_status},page_permissions"),
        ("client_ad_accounts", "name,permitted_tasks,business{name},account_status"),
        ("client_pages", "name,permitted_tasks,owner_business"),
        ("client_pixels", "last_fired_time,is_unavailable"),
        ("pending_client_ad_accounts", "ad_account{name,account_status},permitted_tasks"),
        ("business_users", "name,role,two_fac_status,email,business{name}"),
    ],
)
def test_rows_of_lists_have_fields_too(graph: Any, edge: str, fields: str) -> None:
    rows = graph.get(f"{graph.known['business']}/{edge}", fields=fields, limit=3)["data"]
    assert rows
    assert all(row["id"] for row in rows)
    assert graph.refused("GET", f"{graph.known['business']}/{edge}", fields="shoe_size") == (100, None)


@pytest.mark.parametrize(
    ("kind", "method", "edge"),
    [(kind, method, edge) for kind in NODES for method, edge in KINDS[kind].edges if method != "GET" and edge],
)
def test_every_write_refuses_an_unknown_parameter_and_needs_something(
    graph: Any, kind: type, method: str, edge: str
) -> None:
    path = f"{node(graph, kind)}/{edge}"
    assert graph.refused(method, path, shoe_size=44) == (100, None)
    if edge != "permissions":
        assert graph.refused(method, path)[0] in {100, 200, 210}


@pytest.mark.parametrize("root", ROOTS)
def test_the_roots_need_something_too(graph: Any, root: str) -> None:
    assert graph.refused("GET", root)[0] == 100
    assert graph.refused("DELETE", root) == (100, 33)


def test_a_system_users_accounts_are_listed_for_its_admin(graph: Any) -> None:
    robot = graph.get(f"{graph.known['business']}/system_users")["data"][0]["id"]
    assert [one["id"] for one in graph.get(f"{robot}/assigned_ad_accounts")["data"]] == [graph.account]
    assert graph.refused("GET", f"{robot}/permissions") == (100, 33)


def test_a_business_makes_a_token_for_its_installed_system_user(graph: Any) -> None:
    agency = graph.known["business"]
    robot = graph.get(f"{agency}/system_users")["data"][0]["id"]
    wanted = {"system_user_id": robot, "scope": "ads_management", "set_token_expires_in_60_days": True}
    assert graph.refused("POST", f"{agency}/system_user_access_tokens", **wanted) == (200, None)
    graph.post(f"{robot}/applications", business_app=graph.known["app_id"])
    token = graph.post(f"{agency}/system_user_access_tokens", **wanted)["access_token"]
    seen = graph.get("debug_token", token=token, input_token=token)["data"]
    assert (seen["type"], seen["scopes"]) == ("SYSTEM_USER", ["public_profile", "ads_management"])
    assert seen["expires_at"] - seen["issued_at"] == 60 * 86_400


def test_assets_are_let_go_by_owner_and_agency(graph: Any) -> None:
    agency, admin = graph.known["business"], graph.known["tokens"]["client_admin"]
    page = graph.known["assets"]["page"]
    graph.delete(f"{agency}/pages", page_id=page)
    assert graph.get(f"{agency}/client_pages")["data"] == []
    assert graph.refused("DELETE", f"{agency}/pages", page_id=page) == (100, None)
    graph.delete(f"{graph.known['client_business']}/pages", token=admin, page_id=page)
    assert page not in [
        one["id"] for one in graph.get(f"{graph.known['client_business']}/owned_pages", token=admin)["data"]
    ]
    assert graph.delete(f"{graph.known['client_business']}/agencies", token=admin, business=agency) == {"success": True}
    assert graph.refused("GET", graph.account) == (100, 33)
