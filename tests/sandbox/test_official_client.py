"""Meta's own Python client against the sandbox, unchanged but for its host."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.business import Business
from facebook_business.adobjects.businessownedobjectonbehalfofrequest import BusinessOwnedObjectOnBehalfOfRequest
from facebook_business.adobjects.customaudience import CustomAudience
from facebook_business.adobjects.user import User
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

# The client warns, through `warnings`, of fields and enum values that its generated tables do not know.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:facebook_business.*")
NEW = {"name": "Loyal", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY", "description": "CRM"}
Schema = CustomAudience.Schema.MultiKeySchema


def api_for(known: dict[str, Any], token: str | None = None, *, proved: bool = True) -> FacebookAdsApi:
    """Open a session by hand: FacebookAdsApi.init would install a crash reporter."""
    secret = known["app_secret"] if proved else None
    session = FacebookSession(known["app_id"], secret, token or known["token"])
    session.GRAPH = known["base_url"]
    return FacebookAdsApi(session)


@pytest.fixture
def api(graph: Any) -> FacebookAdsApi:
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    return api_for(graph.known)


@pytest.fixture
def account(graph: Any, api: FacebookAdsApi) -> AdAccount:
    return AdAccount(graph.account, api=api)


def error_of(call: Any) -> tuple[int, int | None]:
    with pytest.raises(FacebookRequestError) as caught:
        call()
    return caught.value.api_error_code(), caught.value.api_error_subcode()


def test_create_read_update_list_delete(account: AdAccount) -> None:
    audience = account.create_custom_audience(params=NEW)
    audience = audience.api_get(fields=["name", "description", "subtype", "operation_status", "permission_for_actions"])
    assert (audience["name"], audience["description"], audience["subtype"]) == ("Loyal", "CRM", "CUSTOM")
    assert audience["operation_status"]["code"] == 410
    audience.api_update(params={"name": "Lapsed", "description": "Ünïcode & more"})
    assert audience.api_get(fields=["name", "description"])["description"] == "Ünïcode & more"
    for number in range(6):
        account.create_custom_audience(params={**NEW, "name": f"n{number}"})
    names = [one["name"] for one in account.get_custom_audiences(fields=["name"], params={"limit": 2})]
    assert names == ["n5", "n4", "n3", "n2", "n1", "n0", "Lapsed"]
    filtering = [{"field": "name", "operator": "CONTAIN", "value": "n"}]
    found = list(account.get_custom_audiences(fields=["name"], params={"filtering": filtering}))
    assert len(found) == 6
    audience.api_delete()
    assert error_of(audience.api_get) == (100, 33)


def test_25_000_people_in_three_batches_then_out_again(
    graph: Any, account: AdAccount, hashed: Any, expected_digest: Any
) -> None:
    audience = account.create_custom_audience(params=NEW)
    rows = [[hashed(f"mail{n}"), hashed(f"name{n % 50}")] for n in range(25_000)]
    for number, start in enumerate((0, 10_000, 20_000), start=1):
        answer = audience.add_users(
            schema=[Schema.email, Schema.fn],
            users=rows[start : start + 10_000],
            is_raw=True,
            pre_hashed=True,
            session={
                "session_id": 77,
                "batch_seq": number,
                "last_batch_flag": number == 3,
                "estimated_num_total": 25_000,
            },
        ).json()
    assert (answer["num_received"], answer["num_invalid_entries"], answer["session_id"]) == (25_000, 0, "77")
    assert graph.held(audience["id"]) == (25_000, expected_digest(["EMAIL", "FN"], rows))
    sessions = list(audience.get_sessions())
    assert [(one["session_id"], one["num_received"]) for one in sessions] == [("77", "25000")]
    # This client puts the payload of a removal into the query string.
    audience.remove_users(schema=[Schema.email], users=[row[:1] for row in rows[:1_000]], is_raw=True, pre_hashed=True)
    assert graph.held(audience["id"])[0] == 24_000


def test_the_clients_own_hashing_and_single_keys(
    graph: Any, account: AdAccount, hashed: Any, expected_digest: Any
) -> None:
    audience = account.create_custom_audience(params=NEW)
    audience.add_users(schema=CustomAudience.Schema.email_hash, users=[" Mary@Example.com ", "joe@example.com"])
    wanted = [[hashed("mary@example.com")], [hashed("joe@example.com")]]
    assert graph.held(audience["id"]) == (2, expected_digest(["EMAIL"], wanted))
    audience.remove_users(schema=CustomAudience.Schema.email_hash, users=["mary@example.com"])
    assert graph.held(audience["id"])[0] == 1


def test_replace_in_one_session(graph: Any, account: AdAccount, hashed: Any, expected_digest: Any) -> None:
    audience = account.create_custom_audience(params=NEW)
    audience.add_users(schema=[Schema.email], users=[[hashed("old")]], is_raw=True, pre_hashed=True)
    for number in (1, 2):
        audience.create_users_replace(
            params={
                "payload": {"schema": ["EMAIL"], "data": [[hashed(number)]]},
                "session": {"session_id": 5, "batch_seq": number, "last_batch_flag": number == 2},
            }
        )
        status = audience.api_get(fields=["operation_status"])["operation_status"]["code"]
        assert status == (414, 200)[number - 1]
    assert graph.held(audience["id"]) == (2, expected_digest(["EMAIL"], [[hashed(1)], [hashed(2)]]))
    again = {"payload": {"schema": ["EMAIL"], "data": [[hashed(3)]]}, "session": {"session_id": 5, "batch_seq": 3}}
    assert error_of(lambda: audience.create_users_replace(params=again)) == (2650, 1870159)


def test_generated_edges_take_the_same_payload(graph: Any, account: AdAccount, hashed: Any) -> None:
    audience = account.create_custom_audience(params=NEW)
    payload = {"schema": ["EMAIL"], "data": [[hashed("a")], [hashed("b")]]}
    audience.create_user(
        params={"payload": payload, "session": {"session_id": 1, "batch_seq": 1, "last_batch_flag": True}}
    )
    audience.delete_users(params={"payload": {"schema": ["EMAIL"], "data": [[hashed("a")]]}})
    assert graph.held(audience["id"])[0] == 1
    account.delete_users_of_any_audience(params={"payload": {"schema": ["EMAIL"], "data": [[hashed("b")]]}})
    assert graph.held(audience["id"])[0] == 0


def test_sharing(graph: Any, account: AdAccount) -> None:
    audience = account.create_custom_audience(params=NEW)
    other = graph.known["ad_accounts"]["manage"]
    audience.share_audience([other.removeprefix("act_")])
    assert [one["id"] for one in audience.get_ad_accounts()] == [other]
    assert audience.get_shared_account_info()[0]["sharing_status"] == "ACTIVE"
    audience.unshare_audience([other.removeprefix("act_")])
    assert list(audience.get_ad_accounts()) == []


def test_the_ad_account_its_terms_and_its_agencies(graph: Any, account: AdAccount) -> None:
    shown = account.api_get(fields=["account_status", "business", "user_tasks", "tos_accepted", "capabilities"])
    assert (shown["account_status"], shown["business"]["id"]) == (1, graph.known["client_business"])
    assert [one["id"] for one in account.get_agencies()] == [graph.known["business"]]
    people = account.get_assigned_users(params={"business": graph.known["business"]})
    assert graph.known["user"] in [one["id"] for one in people]
    admin = api_for(graph.known, graph.known["tokens"]["client_admin"])
    fresh = AdAccount(graph.known["ad_accounts"]["no_terms"], api=admin)
    terms = fresh.get_custom_audiences_tos()
    fresh.create_custom_audiences_to(params={"tos_id": terms[0]["id"]})
    assert fresh.api_get(fields=["tos_accepted"])["tos_accepted"] == {"custom_audience_tos": 1}
    lent = AdAccount(graph.known["ad_accounts"]["not_shared"], api=admin)
    lent.create_agency(params={"business": graph.known["business"], "permitted_tasks": ["ADVERTISE", "ANALYZE"]})
    assert [one["id"] for one in lent.get_agencies()] == [graph.known["business"]]
    lent.delete_agencies(params={"business": graph.known["business"]})
    assert list(lent.get_agencies()) == []


def test_businesses_clients_and_obo_requests(graph: Any, api: FacebookAdsApi, account: AdAccount) -> None:
    agency = Business(graph.known["business"], api=api)
    assert agency.api_get(fields=["name", "two_factor_type"])["two_factor_type"] == "all_required"
    assert graph.known["client_business"] in [one["id"] for one in agency.get_clients()]
    lent = agency.get_client_ad_accounts(fields=["name"], params={"limit": 5})
    assert lent.total() == len(list(lent))
    assert [one["name"] for one in agency.get_system_users()] == ["Exporter"]
    request = BusinessOwnedObjectOnBehalfOfRequest(graph.known["obo_request"], api=api)
    shown = request.api_get(fields=["status", "receiving_business", "requesting_business", "business_owned_object"])
    assert (shown["status"], shown["receiving_business"]["id"]) == ("IN_PROGRESS", graph.known["client_business"])
    api.call("DELETE", (graph.known["obo_request"],))
    assert request.api_get(fields=["status"])["status"] == "CANCELED"
    me = User("me", api=api)
    assert graph.account in [one["id"] for one in me.get_ad_accounts(fields=["name"])]
    assert [one["id"] for one in me.get_businesses()] == [graph.known["business"]]


def test_a_batch_of_calls(graph: Any, api: FacebookAdsApi, account: AdAccount, hashed: Any) -> None:
    audience = account.create_custom_audience(params=NEW)
    batch = api.new_batch()
    seen: list[Any] = []
    audience.api_get(fields=["name"], batch=batch, success=lambda r: seen.append(r.json()["name"]))
    CustomAudience("120299999999999990", api=api).api_get(batch=batch, failure=lambda r: seen.append(r.status()))
    payload = {"schema": ["EMAIL"], "data": [[hashed("a")]]}
    audience.create_user(
        params={"payload": payload}, batch=batch, success=lambda r: seen.append(r.json()["num_received"])
    )
    assert batch.execute() is None
    assert seen == ["Loyal", 400, 1]
    assert graph.held(audience["id"])[0] == 1


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        ({"code": 80003, "error_subcode": 2446079}, False),
        ({"code": 2, "is_transient": True}, True),
        ({"code": 190, "error_subcode": 463}, False),
        ({"code": 2650, "error_subcode": 1870145}, False),
        ({"code": 368}, False),
    ],
)
def test_errors_arrive_as_the_client_reads_them(
    graph: Any, account: AdAccount, error: dict[str, Any], transient: bool
) -> None:
    graph.faults({"edge": "customaudiences", "do": "error", "error": error})
    with pytest.raises(FacebookRequestError) as caught:
        account.create_custom_audience(params=NEW)
    assert caught.value.api_error_code() == error["code"]
    assert caught.value.api_error_subcode() == error.get("error_subcode")
    assert caught.value.api_transient_error() is transient
    assert caught.value.body()["error"]["fbtrace_id"]


def test_what_is_wrong_is_refused_to_this_client_too(graph: Any, account: AdAccount, hashed: Any) -> None:
    assert error_of(lambda: account.create_custom_audience(params={**NEW, "customer_file_source": None})) == (100, None)
    audience = account.create_custom_audience(params=NEW)
    too_many = {"schema": ["EMAIL"], "data": [[hashed("a")]] * 10_001}
    assert error_of(lambda: audience.create_user(params={"payload": too_many})) == (100, None)
    uneven = {"schema": ["EMAIL", "FN"], "data": [[hashed("a")]]}
    assert error_of(lambda: audience.create_user(params={"payload": uneven})) == (100, None)
    expired = AdAccount(graph.account, api=api_for(graph.known, graph.known["tokens"]["expired"]))
    assert error_of(lambda: expired.api_get(fields=["name"])) == (190, 463)
    wrong = api_for({**graph.known, "app_secret": "other"})
    assert error_of(lambda: AdAccount(graph.account, api=wrong).api_get()) == (100, None)
