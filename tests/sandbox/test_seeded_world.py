"""Every broken account and token of the seeded world is broken in exactly one way."""

from __future__ import annotations

from typing import Any

import pytest

HEALTHY = {
    "status": 1,
    "in_business": True,
    "partner": "CONFIRMED",
    "partner_tasks": {"ADVERTISE", "ANALYZE"},
    "user_tasks": {"ADVERTISE", "ANALYZE"},
    "obo": set(),
    "terms": True,
    "two_factor": "all_required",
    "tier": "standard_access",
    "full": False,
}
BROKEN: dict[str, dict[str, Any]] = {
    "no_terms": {"terms": False},
    "disabled": {"status": 2},
    "unsettled": {"status": 3},
    "closed": {"status": 101},
    "pending_risk_review": {"status": 7},
    "grace_period": {"status": 9},
    "person_only": {"partner": None, "partner_tasks": set()},
    # Without a business there is nobody to accept terms, to be a partner of, or to demand a second factor.
    "personal": {"in_business": False, "partner": None, "partner_tasks": set(), "terms": False, "two_factor": None},
    "agency_pending": {"partner": "CLIENT_RESPONSE_PENDING"},
    "agency_declined": {"partner": "DECLINED"},
    "agency_expired": {"partner": "EXPIRED"},
    "analyze_only": {"partner_tasks": {"ANALYZE"}},
    "manage": {"partner_tasks": {"MANAGE", "ADVERTISE", "ANALYZE"}},
    "not_assigned": {"user_tasks": set()},
    "obo_in_progress": {"obo": {"IN_PROGRESS"}},
    "obo_declined": {"obo": {"DECLINE"}},
    "agency_owned": {"partner": None, "partner_tasks": set(), "user_tasks": {"MANAGE", "ADVERTISE", "ANALYZE"}},
    "no_two_factor": {"two_factor": "none"},
    "admin_review": {"partner": "PENDING"},
    "full": {"full": True},
    "limited_tier": {"tier": "development_access"},
    "with_audiences": {},
}


def look(graph: Any, account: str) -> dict[str, Any]:
    answer = graph.call("GET", account, params={"fields": "account_status,business,user_tasks,tos_accepted"})
    node = answer.json()
    agencies = {one["id"]: one for one in graph.get(f"{account}/agencies")["data"]}
    mine = agencies.get(graph.known["business"], {})
    business = node.get("business", {}).get("id")
    open_ones = {
        status
        for status in ("IN_PROGRESS", "DECLINE")
        if graph.get(f"{account}/onbehalf_requests", status=status)["data"]
    }
    return {
        "status": node["account_status"],
        "in_business": business is not None,
        "partner": mine.get("access_status"),
        "partner_tasks": set(mine.get("permitted_tasks", [])),
        "user_tasks": set(node["user_tasks"]),
        "obo": open_ones,
        "terms": node["tos_accepted"].get("custom_audience_tos") == 1,
        "two_factor": graph.get(business, fields="two_factor_type")["two_factor_type"] if business else None,
        "tier": "development_access"
        if "development_access" in answer.headers["x-ad-account-usage"]
        else "standard_access",
        "full": len(graph.get(f"{account}/customaudiences", limit=1000)["data"]) >= 500,
    }


def test_the_happy_account_is_healthy(graph: Any) -> None:
    assert look(graph, graph.account) == HEALTHY


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_account_differs_in_what_it_is_named_for_and_nothing_else(graph: Any, name: str) -> None:
    assert look(graph, graph.known["ad_accounts"][name]) == {**HEALTHY, **BROKEN[name]}


def test_every_account_is_accounted_for(graph: Any) -> None:
    assert set(graph.known["ad_accounts"]) == {*BROKEN, "not_shared"}


def test_no_account_but_one_is_hidden(graph: Any) -> None:
    assert graph.refused("GET", graph.known["ad_accounts"]["not_shared"]) == (100, 33)
    seen = graph.get(
        graph.known["ad_accounts"]["not_shared"], token=graph.known["tokens"]["client_admin"], fields="account_status"
    )
    assert seen["account_status"] == 1


@pytest.mark.parametrize(
    ("name", "differs"),
    [
        ("no_permission", {"scopes"}),
        ("ads_read_only", {"scopes"}),
        ("no_business_management", {"scopes"}),
        ("expired", {"is_valid", "expires_at", "error"}),
        ("password_changed", {"is_valid", "error"}),
        ("checkpointed", {"is_valid", "error"}),
        ("revoked", {"is_valid", "error"}),
        ("expiring_soon", {"expires_at"}),
        ("granular_other", {"targets"}),
        ("analyst", {"user_id"}),
        ("outsider", {"user_id"}),
        ("not_assigned", {"user_id"}),
        ("client_admin", {"user_id"}),
        ("system_user", {"user_id", "type", "expires_at"}),
    ],
)
def test_a_broken_token_differs_in_what_it_is_named_for_and_nothing_else(
    graph: Any, name: str, differs: set[str]
) -> None:
    def seen(token: str) -> dict[str, Any]:
        shown = dict(graph.get("debug_token", token=graph.known["tokens"]["app"], input_token=token)["data"])
        shown["targets"] = [one.get("target_ids") for one in shown.pop("granular_scopes") if "target_ids" in one]
        return shown

    good, bad = seen(graph.known["token"]), seen(graph.known["tokens"][name])
    assert {field for field in {*good, *bad} if good.get(field) != bad.get(field)} == differs


def test_every_audience_of_the_description_exists(graph: Any) -> None:
    for audience in graph.known["audiences"].values():
        assert graph.get(audience, fields="operation_status,name")["name"].startswith("Sandbox")
