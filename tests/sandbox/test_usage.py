"""Quotas: headers rise with use, tiers differ, a used-up quota throttles until its time has come."""

from __future__ import annotations

import json
from typing import Any

import pytest


def usage(answer: Any, account: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    cases = json.loads(answer.headers["x-business-use-case-usage"])[account.removeprefix("act_")]
    by_type = {one["type"]: one for one in cases}
    return by_type, json.loads(answer.headers["x-ad-account-usage"]), json.loads(answer.headers["x-app-usage"])


def test_headers_rise_with_every_call(graph: Any) -> None:
    graph.change(settings={"quota_custom_audience": 20, "quota_score": 100, "quota_app": 50})
    seen = []
    for _ in range(10):
        answer = graph.call("GET", f"{graph.account}/customaudiences")
        cases, share, app = usage(answer, graph.account)
        seen.append((cases["custom_audience"]["call_count"], round(share["acc_id_util_pct"]), app["call_count"]))
    assert seen[0] == (5, 1, 2)
    assert seen[-1][0] == 50
    assert seen[-1][2] == 20
    assert seen == sorted(seen)


def test_a_used_up_audience_quota_is_80003_with_the_wait_in_minutes(graph: Any) -> None:
    graph.change(settings={"quota_custom_audience": 3})
    for _ in range(3):
        graph.get(f"{graph.account}/customaudiences")
    answer = graph.call("GET", f"{graph.account}/customaudiences")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["error_subcode"]) == (400, 80003, 2446079)
    case = usage(answer, graph.account)[0]["custom_audience"]
    assert case["call_count"] == 100
    assert 59 <= case["estimated_time_to_regain_access"] <= 60
    graph.get(graph.account)
    graph.change(advance_seconds=60 * case["estimated_time_to_regain_access"])
    graph.get(f"{graph.account}/customaudiences")


def test_other_account_calls_have_a_quota_of_their_own(graph: Any) -> None:
    graph.change(settings={"quota_ads_management": 2})
    graph.get(graph.account)
    graph.get(graph.account)
    assert graph.refused("GET", graph.account) == (80004, 2446079)
    graph.get(f"{graph.account}/customaudiences")
    graph.get(graph.known["ad_accounts"]["manage"])


def test_a_limited_app_has_twenty_writes_and_waits_five_minutes(graph: Any) -> None:
    account = graph.known["ad_accounts"]["limited_tier"]
    new = {"name": "x", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    codes = [graph.call("POST", f"{account}/customaudiences", json=new).status_code for _ in range(20)]
    assert codes == [200] * 20
    answer = graph.call("POST", f"{account}/customaudiences", json=new)
    assert (answer.json()["error"]["code"], answer.json()["error"]["error_subcode"]) == (17, 2446079)
    cases, share, _ = usage(answer, account)
    assert cases["custom_audience"]["ads_api_access_tier"] == "development_access"
    assert share["acc_id_util_pct"] == 100
    assert 295 <= share["reset_time_duration"] <= 300
    graph.change(advance_seconds=share["reset_time_duration"] - 20)
    assert graph.refused("POST", f"{account}/customaudiences", **new) == (17, 2446079)
    graph.change(advance_seconds=21)
    graph.post(f"{account}/customaudiences", **new)


def test_a_full_app_is_told_so_and_has_room(graph: Any) -> None:
    answer = graph.call("GET", graph.account)
    assert usage(answer, graph.account)[1]["ads_api_access_tier"] == "standard_access"
    graph.change(settings={"tier": "limited"})
    assert usage(graph.call("GET", graph.account), graph.account)[1]["ads_api_access_tier"] == "development_access"


def test_the_app_has_a_limit_too_when_the_settings_say_so(graph: Any) -> None:
    graph.change(settings={"quota_app": 2})
    graph.get("me")
    graph.get("me")
    answer = graph.call("GET", "me")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, 4)
    assert json.loads(answer.headers["x-app-usage"])["call_count"] == 100


def test_headers_can_be_switched_off(graph: Any) -> None:
    graph.change(settings={"usage_headers": False})
    assert "x-app-usage" not in graph.call("GET", graph.account).headers


@pytest.mark.parametrize("tier", ["limited", "full"])
def test_each_id_of_a_multi_get_counts(graph: Any, tier: str) -> None:
    graph.change(settings={"tier": tier, "quota_custom_audience": 3})
    one = graph.new_audience()
    graph.get("", ids=f"{one},{one}x"[: len(one)], fields="name")
    graph.get(one)
    assert graph.refused("GET", one) == (80003, 2446079)
