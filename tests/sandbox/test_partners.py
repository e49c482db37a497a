"""Ad accounts, agencies, clients, requests, on-behalf-of: what the gate reads and what remedies do."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def admin(graph: Any) -> str:
    """The token of the client's admin."""
    return str(graph.known["tokens"]["client_admin"])


def partners(graph: Any, account: str, token: str | None = None) -> dict[str, tuple[str, list[str]]]:
    rows = graph.get(f"{account}/agencies", token=token)["data"]
    return {row["id"]: (row["access_status"], row["permitted_tasks"]) for row in rows}


def test_the_happy_account_is_as_healthy_as_can_be(graph: Any) -> None:
    fields = (
        "account_status,disable_reason,business{id,name},user_tasks,tos_accepted,user_tos_accepted,is_personal,currency"
    )
    shown = graph.get(graph.account, fields=fields)
    assert shown == {
        "id": graph.account,
        "account_status": 1,
        "disable_reason": 0,
        "business": {"id": graph.known["client_business"], "name": "Orchard Goods"},
        "user_tasks": ["ADVERTISE", "ANALYZE"],
        "tos_accepted": {"custom_audience_tos": 1},
        "user_tos_accepted": {"custom_audience_tos": 1},
        "is_personal": 0,
        "currency": "EUR",
    }
    assert partners(graph, graph.account) == {graph.known["business"]: ("CONFIRMED", ["ADVERTISE", "ANALYZE"])}
    requests = graph.get(f"{graph.account}/onbehalf_requests", status="APPROVE", fields="status,requesting_business")[
        "data"
    ]
    assert [one["status"] for one in requests] == ["APPROVE"]
    business = graph.get(graph.known["client_business"], fields="two_factor_type,verification_status")
    assert (business["two_factor_type"], business["verification_status"]) == ("all_required", "verified")


def test_terms_are_accepted_by_a_person_for_a_business(graph: Any, admin: str) -> None:
    account = graph.known["ad_accounts"]["no_terms"]
    assert graph.get(account, fields="tos_accepted")["tos_accepted"] == {}
    new = {"name": "x", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    assert graph.refused("POST", f"{account}/customaudiences", **new) == (200, 1870090)
    for code, wanted in ((1870034, (200, 1870034)), (2663, (2663, None)), (2664, (2664, None))):
        graph.change(settings={"terms_error": code})
        assert graph.refused("POST", f"{account}/customaudiences", **new) == wanted
    terms = graph.get(f"{account}/customaudiencestos", token=admin)["data"]
    graph.post(f"{account}/customaudiencestos", token=admin, tos_id=terms[0]["id"])
    assert graph.get(account, fields="tos_accepted")["tos_accepted"] == {"custom_audience_tos": 1}
    graph.post(f"{account}/customaudiences", **new)


def test_a_system_user_cannot_accept_terms(graph: Any) -> None:
    robot = graph.known["tokens"]["system_user"]
    assert graph.refused("POST", f"{graph.account}/customaudiencestos", token=robot, tos_id="1") == (200, None)
    assert graph.refused("GET", graph.account, token=robot, fields="user_tos_accepted") == (100, None)


def test_an_account_that_is_not_shared_is_hidden_until_the_client_grants(graph: Any, admin: str) -> None:
    account = graph.known["ad_accounts"]["not_shared"]
    assert graph.refused("GET", account) == (100, 33)
    given = {"business": graph.known["business"], "permitted_tasks": ["ADVERTISE", "ANALYZE"]}
    assert graph.post(f"{account}/agencies", token=admin, **given) == {"success": True}
    assert graph.get(account, fields="user_tasks")["user_tasks"] == ["ADVERTISE", "ANALYZE"]
    graph.delete(f"{account}/agencies", token=admin, business=graph.known["business"])
    assert graph.refused("GET", account) == (100, 33)


def test_an_agency_asks_and_the_client_approves(graph: Any, admin: str) -> None:
    account, agency = graph.known["ad_accounts"]["not_shared"], graph.known["business"]
    asked = graph.post(f"{agency}/client_ad_accounts", adaccount_id=account, permitted_tasks="['ADVERTISE','ANALYZE']")
    assert asked == {"access_status": "PENDING"}
    pending = graph.get(f"{agency}/pending_client_ad_accounts", fields="ad_account{id},permitted_tasks", limit=100)[
        "data"
    ]
    assert account in [one["ad_account"]["id"] for one in pending]
    assert partners(graph, account, admin)[agency][0] == "CLIENT_RESPONSE_PENDING"
    graph.post(f"{account}/agencies", token=admin, business=agency, permitted_tasks=["ADVERTISE", "ANALYZE"])
    assert partners(graph, account)[agency][0] == "CONFIRMED"
    lent = graph.get(f"{agency}/client_ad_accounts", fields="permitted_tasks", limit=100)["data"]
    assert {"id": account, "permitted_tasks": ["ADVERTISE", "ANALYZE"]} in lent


def test_only_the_owner_grants(graph: Any) -> None:
    given = {"business": "390000000000001", "permitted_tasks": ["ANALYZE"]}
    assert graph.refused("POST", f"{graph.account}/agencies", **given) == (200, None)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"permitted_tasks": ["ANALYZE"]}, (100, None)),
        ({"business": "390000000000001"}, (100, None)),
        ({"business": "390000000000001", "permitted_tasks": ["EVERYTHING"]}, (100, None)),
        ({"business": "390000000000001", "permitted_tasks": ["MANAGE"]}, (100, 1752129)),
        ({"business": "1", "permitted_tasks": ["ANALYZE"]}, (100, None)),
        ({"business": "310000000000001", "permitted_tasks": ["ANALYZE"]}, (100, None)),
    ],
)
def test_a_grant_must_make_sense(graph: Any, admin: str, given: dict[str, Any], wanted: tuple[int, int | None]) -> None:
    assert graph.refused("POST", f"{graph.account}/agencies", token=admin, **given) == wanted


def test_some_businesses_want_a_second_admin(graph: Any, admin: str) -> None:
    account, agency = graph.known["ad_accounts"]["admin_review"], graph.known["business"]
    given = {"business": agency, "permitted_tasks": ["ADVERTISE", "ANALYZE"]}
    answer = graph.post(f"{account}/agencies", token=admin, **given)
    assert answer == {"success": True, "requires_admin_approval": True}
    assert partners(graph, account)[agency][0] == "PENDING"
    graph.change(change=[{"node": account, "agencies": {agency: {"access_status": "CONFIRMED"}}}])
    assert partners(graph, account)[agency][0] == "CONFIRMED"


def test_a_personal_account_has_no_business_until_claimed(graph: Any, admin: str) -> None:
    account = graph.known["ad_accounts"]["personal"]
    assert graph.get(account, fields="business,is_personal") == {"id": account, "is_personal": 1}
    new = {"name": "x", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    assert graph.refused("POST", f"{account}/customaudiences", **new) == (200, 1870050)
    client = graph.known["client_business"]
    assert graph.post(f"{client}/owned_ad_accounts", token=admin, adaccount_id=account) == {
        "access_status": "CONFIRMED"
    }
    assert graph.get(account, fields="business")["business"]["id"] == client
    graph.delete(f"{client}/ad_accounts", token=admin, adaccount_id=account)
    assert "business" not in graph.get(account, fields="business")


def test_somebody_elses_account_can_only_be_asked_for(graph: Any) -> None:
    agency = graph.known["business"]
    assert graph.post(f"{agency}/owned_ad_accounts", adaccount_id=graph.account) == {"access_status": "PENDING"}
    waiting = graph.get(f"{agency}/pending_owned_ad_accounts", fields="ad_account{id}")["data"]
    assert [one["ad_account"]["id"] for one in waiting] == [graph.account]


def test_people_are_assigned_and_lose_it_again(graph: Any) -> None:
    account, agency = graph.known["ad_accounts"]["not_assigned"], graph.known["business"]
    assert graph.get(account, fields="user_tasks")["user_tasks"] == []
    graph.post(f"{account}/assigned_users", user=graph.known["user"], tasks=["ADVERTISE", "ANALYZE"])
    assert graph.get(account, fields="user_tasks")["user_tasks"] == ["ADVERTISE", "ANALYZE"]
    people = graph.get(f"{account}/assigned_users", business=agency, summary="total_count")
    assert graph.known["user"] in [one["id"] for one in people["data"]]
    assert people["summary"]["total_count"] == len(people["data"])
    graph.delete(f"{account}/assigned_users", user=graph.known["user"])
    assert graph.get(account, fields="user_tasks")["user_tasks"] == []
    assert graph.refused("POST", f"{account}/assigned_users", user=graph.known["user"], tasks=["MANAGE"]) == (
        100,
        1752129,
    )
    assert graph.refused("GET", f"{account}/assigned_users") == (100, None)


def test_clients_and_agencies_are_the_two_sides_of_the_same_grants(graph: Any, admin: str) -> None:
    agency, client = graph.known["business"], graph.known["client_business"]
    clients = {one["id"]: one for one in graph.get(f"{agency}/clients", limit=100)["data"]}
    mine = {one["id"]: one["access_status"] for one in clients[client]["ad_account_permissions"]}
    assert mine[graph.account] == "CONFIRMED"
    assert mine[graph.known["ad_accounts"]["agency_pending"]] == "CLIENT_RESPONSE_PENDING"
    assert clients[client]["page_permissions"][0]["id"] == graph.known["assets"]["page"]
    theirs = graph.get(f"{client}/agencies", token=admin)["data"]
    assert [one["id"] for one in theirs] == [agency]
    assert graph.account in [one["id"] for one in theirs[0]["adaccount_permissions"]]
    only = graph.get(f"{agency}/clients", fields="name", limit=1)["data"]
    assert set(only[0]) == {"id", "name"}
    assert graph.delete(f"{agency}/clients", business=client) == {"success": True}
    assert client not in [one["id"] for one in graph.get(f"{agency}/clients")["data"]]
    assert graph.refused("DELETE", f"{client}/agencies", token=admin, business=agency) == (100, None)


def test_a_page_is_granted_with_its_own_token_only(graph: Any, admin: str) -> None:
    page, agency = graph.known["assets"]["page"], graph.known["business"]
    given = {"business": "390000000000001", "permitted_tasks": ["ANALYZE"]}
    assert graph.refused("POST", f"{page}/agencies", token=admin, **given) == (210, None)
    token = graph.get(page, token=admin, fields="access_token")["access_token"]
    assert token == graph.known["tokens"]["page"]
    assert "access_token" not in graph.get(page, fields="access_token,name")
    graph.post(f"{page}/agencies", token=token, **given)
    assert set(partners(graph, page, token)) == {agency, "390000000000001"}
    graph.delete(f"{page}/agencies", token=token, business="390000000000001")
    assert set(partners(graph, page, token)) == {agency}


def test_pages_pixels_and_catalogues_are_listed_by_owner_and_by_agency(graph: Any, admin: str) -> None:
    agency, client, assets = graph.known["business"], graph.known["client_business"], graph.known["assets"]
    for kind in ("pages", "pixels", "product_catalogs"):
        owned = [one["id"] for one in graph.get(f"{client}/owned_{kind}", token=admin)["data"]]
        lent = [one["id"] for one in graph.get(f"{agency}/client_{kind}")["data"]]
        assert len(lent) == 1
        assert lent[0] in owned
    graph.post(f"{agency}/client_pages", page_id=assets["page_not_shared"], permitted_tasks=["ADVERTISE"])
    waiting = graph.get(f"{agency}/pending_client_pages")["data"]
    assert [one["page"]["id"] for one in waiting] == [assets["page_not_shared"]]
    assert [one["id"] for one in graph.get(f"{graph.account}/adspixels")["data"]] == [assets["pixel"]]
    graph.post(
        f"{assets['product_catalog']}/agencies", token=admin, business="390000000000001", permitted_roles=["ADMIN"]
    )


def test_a_pixel_is_shared_with_an_account_the_business_can_use(graph: Any) -> None:
    pixel, agency = graph.known["assets"]["pixel"], graph.known["business"]
    account = graph.known["ad_accounts"]["manage"]
    graph.post(f"{pixel}/shared_accounts", business=agency, account_id=account.removeprefix("act_"))
    assert [one["id"] for one in graph.get(f"{pixel}/shared_accounts", business=agency)["data"]] == [account]
    graph.delete(f"{pixel}/shared_accounts", business=agency, account_id=account)
    assert graph.get(f"{pixel}/shared_accounts", business=agency)["data"] == []
    hidden = graph.known["ad_accounts"]["not_shared"]
    assert graph.refused("POST", f"{pixel}/shared_accounts", business=agency, account_id=hidden) == (200, None)


def test_people_and_system_users_of_a_business_show_role_and_second_factor(graph: Any) -> None:
    agency = graph.known["business"]
    people = graph.get(f"{agency}/business_users", fields="name,role,two_fac_status")["data"]
    assert {one["role"] for one in people} == {"ADMIN", "EMPLOYEE"}
    assert {one["two_fac_status"] for one in people} == {"enabled"}
    assert [one["name"] for one in graph.get(f"{agency}/system_users")["data"]] == ["Exporter"]
    assert graph.refused("GET", f"{graph.known['client_business']}/business_users") == (200, None)


# --- on behalf of ----------------------------------------------------------------------------------------------------------


def test_an_obo_request_is_shown_as_a_bare_node(graph: Any) -> None:
    request = graph.known["obo_request"]
    fields = "id,receiving_business,requesting_business,status,business_owned_object"
    assert graph.get(request, fields=fields) == {
        "id": request,
        "receiving_business": {"id": graph.known["client_business"], "name": "Orchard Goods"},
        "requesting_business": {"id": graph.known["business"], "name": "Lantern Media (agency)"},
        "status": "IN_PROGRESS",
        "business_owned_object": graph.known["ad_accounts"]["obo_in_progress"].removeprefix("act_"),
    }


def test_requests_are_listed_by_account_and_status_and_by_side(graph: Any, admin: str) -> None:
    request, account = graph.known["obo_request"], graph.known["ad_accounts"]["obo_in_progress"]
    assert graph.get(f"{account}/onbehalf_requests", status="IN_PROGRESS")["data"] == [{"id": request}]
    assert graph.get(f"{account}/onbehalf_requests", status="DECLINE")["data"] == []
    assert graph.refused("GET", f"{account}/onbehalf_requests") == (100, None)
    assert graph.refused("GET", f"{account}/onbehalf_requests", status="PENDING") == (100, None)
    sent = f"{graph.known['business']}/sent_inprogress_onbehalf_requests"
    received = f"{graph.known['client_business']}/received_inprogress_onbehalf_requests"
    assert graph.get(sent)["data"] == graph.get(received, token=admin)["data"] == [{"id": request}]


def test_the_sender_may_cancel_and_success_is_a_text(graph: Any, admin: str) -> None:
    request = graph.known["obo_request"]
    assert graph.refused("DELETE", request, token=admin) == (200, None)
    assert graph.delete(request) == {"success": "true"}
    assert graph.get(request, fields="status")["status"] == "CANCELED"
    assert graph.refused("DELETE", request) == (100, None)


def test_an_answer_is_given_through_the_control_path(graph: Any) -> None:
    request = graph.known["obo_request"]
    graph.change(change=[{"node": request, "set": {"status": "APPROVE"}}])
    assert graph.get(request, fields="status")["status"] == "APPROVE"


# --- writing needs all of it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "wanted"),
    [
        ("disabled", (200, None)),
        ("closed", (200, None)),
        ("agency_pending", (2654, 1713092)),
        ("agency_declined", (2654, 1713092)),
        ("agency_expired", (2654, 1713092)),
        ("analyze_only", (2654, 1713092)),
        ("not_assigned", (2654, 1713092)),
        ("not_shared", (100, 33)),
        ("no_terms", (200, 1870090)),
        ("personal", (200, 1870050)),
    ],
)
def test_an_audience_cannot_be_made_where_access_is_broken(
    graph: Any, account: str, wanted: tuple[int, int | None]
) -> None:
    new = {"name": "x", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    assert graph.refused("POST", f"{graph.known['ad_accounts'][account]}/customaudiences", **new) == wanted


@pytest.mark.parametrize(
    "account", ["unsettled", "person_only", "agency_owned", "manage", "no_two_factor", "grace_period"]
)
def test_an_audience_can_be_made_where_access_is_merely_odd(graph: Any, account: str) -> None:
    assert graph.new_audience(graph.known["ad_accounts"][account])


def test_an_analyst_reads_and_does_not_write(graph: Any) -> None:
    analyst = graph.known["tokens"]["analyst"]
    assert graph.get(graph.account, token=analyst, fields="user_tasks")["user_tasks"] == ["ANALYZE"]
    new = {"name": "x", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    assert graph.refused("POST", f"{graph.account}/customaudiences", token=analyst, **new) == (2654, 1713092)


def test_access_lost_in_the_middle_is_noticed_at_the_next_call(graph: Any, hashed: Any) -> None:
    audience = graph.new_audience()
    graph.change(
        change=[{"node": graph.account, "agencies": {graph.known["business"]: {"permitted_tasks": ["ANALYZE"]}}}]
    )
    payload = {"schema": ["EMAIL"], "data": [[hashed("a")]]}
    assert graph.refused("POST", f"{audience}/users", payload=payload) == (200, None)
    graph.change(change=[{"node": graph.account, "agencies": {graph.known["business"]: None}}])
    assert graph.refused("POST", f"{audience}/users", payload=payload) == (100, 33)
