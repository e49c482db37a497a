"""Custom Audiences as objects."""

from __future__ import annotations

from typing import Any

import pytest

NEW = {"name": "Loyal", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}


def test_a_new_audience_can_be_read_with_just_the_fields_asked_for(graph: Any) -> None:
    audience = graph.new_audience(name="Loyal", description="CRM", retention_days=30)
    assert graph.get(audience) == {"id": audience}
    shown = graph.get(
        audience, fields="name,description,subtype,retention_days,account_id,operation_status,time_created"
    )
    assert shown.pop("time_created") > 0
    assert shown == {
        "id": audience,
        "name": "Loyal",
        "description": "CRM",
        "subtype": "CUSTOM",
        "retention_days": 30,
        "account_id": graph.account.removeprefix("act_"),
        "operation_status": {"code": 410, "description": "No file uploaded yet"},
    }


def test_a_write_can_read_back_the_node_at_once(graph: Any) -> None:
    made = graph.post(f"{graph.account}/customaudiences", **NEW, fields="name,subtype")
    assert (made["name"], made["subtype"]) == ("Loyal", "CUSTOM")
    changed = graph.post(made["id"], name="Lapsed", fields="name")
    assert changed["success"] is True
    assert changed["name"] == "Lapsed"


@pytest.mark.parametrize("absent", ["name", "subtype", "customer_file_source"])
def test_what_a_new_audience_needs_is_named_when_missing(graph: Any, absent: str) -> None:
    given = {name: value for name, value in NEW.items() if name != absent}
    answer = graph.call("POST", f"{graph.account}/customaudiences", json=given)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == f"(#100) Missing parameter(s): {absent}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"subtype": "PEOPLE"},
        {"subtype": "WEBSITE"},
        {"customer_file_source": "FOUND"},
        {"retention_days": 0},
        {"retention_days": 181},
        {"audience_labels": ["NOBODY"]},
        {"usage_restriction": "SOME"},
        {"surprise": "x"},
    ],
)
def test_a_value_meta_does_not_know_is_refused(graph: Any, wrong: dict[str, Any]) -> None:
    assert graph.refused("POST", f"{graph.account}/customaudiences", **{**NEW, **wrong}) == (100, None)


def test_fetch_or_create_gives_back_the_same_audience_for_the_same_definition(graph: Any) -> None:
    first = graph.post(f"{graph.account}/customaudiences", **NEW, enable_fetch_or_create=True)["id"]
    assert graph.post(f"{graph.account}/customaudiences", **NEW, enable_fetch_or_create=True)["id"] == first
    other = graph.post(f"{graph.account}/customaudiences", **{**NEW, "description": "d"}, enable_fetch_or_create=True)
    assert other["id"] != first
    assert graph.post(f"{graph.account}/customaudiences", **NEW)["id"] != first


def test_lists_are_paged_by_cursors_until_there_is_no_next(graph: Any) -> None:
    made = {graph.new_audience() for _ in range(7)}
    seen: list[str] = []
    answer = graph.get(f"{graph.account}/customaudiences", limit=3, fields="name")
    while True:
        seen += [one["id"] for one in answer["data"]]
        if "next" not in answer["paging"]:
            break
        answer = graph.http.get(
            answer["paging"]["next"], headers={"Authorization": f"Bearer {graph.known['token']}"}
        ).json()
    assert len(seen) == 7
    assert set(seen) == made
    back = graph.get(f"{graph.account}/customaudiences", limit=3, before=answer["paging"]["cursors"]["before"])
    assert [one["id"] for one in back["data"]] == seen[3:6]


def test_a_cursor_of_somebody_else_is_refused(graph: Any) -> None:
    assert graph.refused("GET", f"{graph.account}/customaudiences", after="nonsense") == (100, None)


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ({"field": "name", "operator": "CONTAIN", "value": "red"}, ["red one", "red two"]),
        ({"field": "name", "operator": "NOT_CONTAIN", "value": "red"}, ["blue"]),
        ({"field": "name", "operator": "EQUAL", "value": "blue"}, ["blue"]),
        ({"field": "name", "operator": "IN", "value": ["blue", "red one"]}, ["blue", "red one"]),
        ({"field": "name", "operator": "STARTS_WITH", "value": "red t"}, ["red two"]),
        ({"field": "operation_status.code", "operator": "IN", "value": [410]}, ["blue", "red one", "red two"]),
        ({"field": "delete_time", "operator": "GREATER_THAN", "value": 0}, []),
        ({"field": "subtype", "operator": "NOT_EQUAL", "value": "CUSTOM"}, []),
    ],
)
def test_lists_can_be_filtered(graph: Any, rule: dict[str, Any], names: list[str]) -> None:
    for name in ("red one", "red two", "blue"):
        graph.new_audience(name=name)
    import json

    found = graph.get(f"{graph.account}/customaudiences", filtering=json.dumps([rule]), fields="name")["data"]
    assert sorted(one["name"] for one in found) == names


@pytest.mark.parametrize(
    "rules", ["[1]", "{}", '[{"field":"shoe","operator":"EQUAL"}]', '[{"field":"name","operator":"LIKE"}]', "["]
)
def test_a_filter_that_is_none_is_refused(graph: Any, rules: str) -> None:
    assert graph.refused("GET", f"{graph.account}/customaudiences", filtering=rules) == (100, None)


def test_a_deleted_audience_is_gone_for_good(graph: Any) -> None:
    audience = graph.new_audience()
    assert graph.delete(audience) == {"success": True}
    assert graph.refused("GET", audience) == (100, 33)
    assert graph.get(f"{graph.account}/customaudiences")["data"] == []


def test_an_audience_with_lookalikes_cannot_be_deleted(graph: Any) -> None:
    assert graph.refused("DELETE", graph.known["audiences"]["lookalike_seed"]) == (2656, None)


def test_the_501st_audience_is_refused(graph: Any) -> None:
    assert graph.refused("POST", f"{graph.known['ad_accounts']['full']}/customaudiences", **NEW) == (2654, None)


def test_a_flagged_audience_takes_neither_edits_nor_people(graph: Any, hashed: Any) -> None:
    flagged = graph.known["audiences"]["flagged"]
    assert graph.get(flagged, fields="fields_violating_integrity_policy")["fields_violating_integrity_policy"] == [
        "name"
    ]
    assert graph.refused("POST", flagged, name="x") == (100, 1713228)
    payload = {"schema": ["EMAIL"], "data": [[hashed("a")]]}
    assert graph.refused("POST", f"{flagged}/users", payload=payload) == (100, 1713230)


def test_a_name_with_a_flagged_word_is_flagged_when_the_settings_say_so(graph: Any) -> None:
    graph.change(settings={"flagged_words": ["diabetes"]})
    audience = graph.new_audience(name="Diabetes patients")
    assert graph.get(audience, fields="operation_status")["operation_status"]["code"] == 471


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("expiring", 100),
        ("replacing", 414),
        ("replace_failed", 415),
        ("populating", 441),
        ("creator_gone", 470),
        ("error", 500),
    ],
)
def test_every_state_is_there_to_be_read(graph: Any, name: str, code: int) -> None:
    shown = graph.get(graph.known["audiences"][name], fields="operation_status,delivery_status,permission_for_actions")
    assert shown["operation_status"]["code"] == code
    assert shown["permission_for_actions"]["can_edit"] is True


def test_sizes_are_minus_one_before_and_rounded_after_the_first_upload(graph: Any, hashed: Any) -> None:
    audience = graph.new_audience()
    bounds = "approximate_count_lower_bound,approximate_count_upper_bound,delivery_status,operation_status"
    before = graph.get(audience, fields=bounds)
    assert (before["approximate_count_lower_bound"], before["delivery_status"]["code"]) == (-1, 300)
    graph.add(audience, ["EMAIL"], [[hashed(n)] for n in range(5000)])
    after = graph.get(audience, fields=bounds)
    assert (after["approximate_count_lower_bound"], after["approximate_count_upper_bound"]) == (4900, 5100)
    assert (after["delivery_status"]["code"], after["operation_status"]["code"]) == (200, 200)
    graph.change(settings={"matched_share": 0.01})
    small = graph.get(audience, fields=bounds)
    assert (small["approximate_count_lower_bound"], small["delivery_status"]["code"]) == (1000, 300)


@pytest.mark.parametrize("edge", ["adaccounts", "ad_accounts"])
def test_an_audience_is_shared_and_taken_back(graph: Any, edge: str) -> None:
    audience, other = graph.new_audience(), graph.known["ad_accounts"]["manage"]
    assert graph.post(f"{audience}/{edge}", adaccounts=[other.removeprefix("act_")])["success"] is True
    assert graph.get(f"{audience}/{edge}")["data"] == [{"id": other}]
    assert audience in [one["id"] for one in graph.get(f"{other}/customaudiences")["data"]]
    info = graph.get(f"{audience}/shared_account_info")["data"][0]
    assert (info["business_id"], info["sharing_status"]) == (graph.known["client_business"], "ACTIVE")
    graph.delete(f"{audience}/{edge}", adaccounts=[other])
    assert graph.get(f"{audience}/{edge}")["data"] == []


def test_an_audience_cannot_be_shared_with_a_personal_account(graph: Any) -> None:
    personal = graph.known["ad_accounts"]["personal"]
    assert graph.refused("POST", f"{graph.new_audience()}/adaccounts", adaccounts=[personal]) == (100, None)


def test_a_shared_audience_can_be_seen_but_not_changed(graph: Any, hashed: Any) -> None:
    shared = graph.known["audiences"]["shared"]
    assert graph.get(shared, fields="permission_for_actions")["permission_for_actions"]["can_edit"] is False
    payload = {"schema": ["EMAIL"], "data": [[hashed("a")]]}
    assert graph.refused("POST", f"{shared}/users", payload=payload)[0] in {100, 200}


def test_unknown_fields_edges_and_nodes_are_refused_as_meta_does(graph: Any) -> None:
    audience = graph.new_audience()
    assert graph.refused("GET", audience, fields="shoe_size") == (100, None)
    assert graph.refused("GET", f"{audience}/shoes") == (100, None)
    assert graph.refused("POST", f"{audience}/shoes") == (100, 33)
    assert graph.refused("GET", f"{audience}/users/more") == (2500, None)
    assert graph.refused("GET", "120299999999999990") == (100, 33)
    assert graph.refused("POST", "users") == (803, None)
    assert graph.refused("GET", audience, fields="name{") == (2500, None)
    assert graph.refused("GET", audience, shoe_size="44") == (100, None)
