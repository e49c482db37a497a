"""Tokens, scopes, secret proofs, logging in, and what ``me`` says."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

BACK = "http://127.0.0.1:9/back?kept=1"


def proof(secret: str, message: str) -> str:
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def test_the_token_may_come_as_parameter_field_or_header(graph: Any) -> None:
    token = graph.known["token"]
    for answer in (
        graph.http.get("/me", params={"access_token": token}),
        graph.http.get("/me", headers={"Authorization": f"Bearer {token}"}),
        graph.http.get("/me", headers={"Authorization": f"OAuth {token}"}),
    ):
        assert answer.json()["name"] == "Emma Agency"
    made = graph.http.post(
        f"/{graph.account}/customaudiences",
        data={"access_token": token, "name": "x", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"},
    )
    assert made.status_code == 200


@pytest.mark.parametrize(
    ("name", "subcode"),
    [
        ("expired", 463),
        ("password_changed", 460),
        ("checkpointed", 459),
        ("revoked", 467),
        ("unauthorised", 458),
        ("unconfirmed", 464),
        ("no_page_role", 492),
    ],
)
def test_a_broken_token_gets_190_and_debug_token_says_the_same(graph: Any, name: str, subcode: int) -> None:
    token = graph.known["tokens"][name]
    answer = graph.call("GET", graph.account, token=token)
    assert (answer.status_code, answer.json()["error"]["error_subcode"]) == (401, subcode)
    assert answer.headers["www-authenticate"].startswith('OAuth "Facebook Platform" "invalid_token"')
    seen = graph.get("debug_token", token=graph.known["tokens"]["app"], input_token=token)["data"]
    assert seen["is_valid"] is False
    assert (seen["error"]["code"], seen["error"]["subcode"]) == (190, subcode)


def test_no_token_and_a_made_up_one_are_refused(graph: Any) -> None:
    assert graph.http.get(f"/{graph.account}").json()["error"]["code"] == 104
    assert graph.http.get("/me").json()["error"]["code"] == 2500
    assert graph.refused("GET", "me", token="EAAmadeup") == (190, None)


def test_debug_token_describes_a_good_token(graph: Any) -> None:
    seen = graph.get("debug_token", token=graph.known["tokens"]["app"], input_token=graph.known["token"])["data"]
    assert seen["is_valid"] is True
    assert (seen["app_id"], seen["type"], seen["user_id"]) == (graph.known["app_id"], "USER", graph.known["user"])
    assert "ads_management" in seen["scopes"]
    assert seen["granular_scopes"][0] == {"scope": "ads_management"}
    assert seen["expires_at"] > seen["issued_at"] > 0
    other = graph.get(
        "debug_token", token=graph.known["tokens"]["app"], input_token=graph.known["tokens"]["granular_other"]
    )
    assert "target_ids" in other["data"]["granular_scopes"][0]
    unknown = graph.get("debug_token", token=graph.known["tokens"]["app"], input_token="nothing")["data"]
    assert unknown["is_valid"] is False


def test_a_token_of_another_app_may_not_be_inspected(graph: Any) -> None:
    foreign = graph.known["tokens"]["no_b2b"]
    assert graph.refused("GET", "debug_token", token=graph.known["tokens"]["app"], input_token=foreign) == (100, None)


def test_a_token_expires_as_time_passes(graph: Any) -> None:
    soon = graph.known["tokens"]["expiring_soon"]
    graph.get("me", token=soon)
    graph.change(advance_seconds=4 * 86_400)
    assert graph.refused("GET", "me", token=soon) == (190, 463)


def test_a_right_secret_proof_passes_a_wrong_one_never(graph: Any) -> None:
    token, secret = graph.known["token"], graph.known["app_secret"]
    graph.get("me", appsecret_proof=proof(secret, token))
    assert graph.refused("GET", "me", appsecret_proof=proof("other", token)) == (100, None)
    now = str(graph.change()["now"])
    graph.get("me", appsecret_proof=proof(secret, f"{token}|{now}"), appsecret_time=now)
    old = str(int(now) - 400)
    assert graph.refused("GET", "me", appsecret_proof=proof(secret, f"{token}|{old}"), appsecret_time=old) == (
        100,
        None,
    )


def test_an_app_may_insist_on_the_secret_proof(graph: Any) -> None:
    token = graph.known["tokens"]["proof_required"]
    assert graph.refused("GET", "me", token=token) == (100, None)
    graph.get("me", token=token, appsecret_proof=proof(graph.known["app_secret"], token))


def test_permissions_are_listed_and_can_be_taken_back(graph: Any) -> None:
    def held() -> dict[str, str]:
        return {one["permission"]: one["status"] for one in graph.get("me/permissions")["data"]}

    assert held()["ads_management"] == "granted"
    assert graph.call("DELETE", "me/permissions/ads_read").json() == {"success": True}
    assert held()["ads_read"] == "declined"
    assert graph.delete("me/permissions") == {"success": True}
    assert graph.refused("GET", "me") == (190, 458)


@pytest.mark.parametrize(
    ("token", "method", "path", "code"),
    [
        ("no_permission", "GET", "{account}/customaudiences", 200),
        ("no_permission", "GET", "me/adaccounts", 200),
        ("ads_read_only", "POST", "{account}/customaudiences", 200),
        ("granular_other", "GET", "{account}", 200),
        ("granular_other", "POST", "{account}/customaudiences", 200),
        ("no_business_management", "GET", "{business}/clients", 200),
        ("no_business_management", "GET", "me/businesses", 200),
        ("no_business_management", "GET", "{account}/agencies", 200),
        ("no_b2b", "GET", "{account}/agencies", 10),
        ("no_b2b", "GET", "{business}/clients", 10),
        ("no_b2b", "GET", "{account}/onbehalf_requests", 10),
        ("development_app", "GET", "{account}", 270),
        ("development_app", "POST", "{account}/customaudiences", 270),
        ("app", "GET", "{account}", 100),
    ],
)
def test_what_a_token_lacks_is_refused_with_its_code(graph: Any, token: str, method: str, path: str, code: int) -> None:
    where = path.format(account=graph.account, business=graph.known["business"])
    given = {} if method == "GET" else {"name": "x", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    assert graph.refused(method, where, token=graph.known["tokens"][token], **given)[0] == code


def test_reading_is_allowed_with_ads_read_alone(graph: Any) -> None:
    assert graph.get(f"{graph.account}/customaudiences", token=graph.known["tokens"]["ads_read_only"])["data"] == []


def test_consent_limited_to_other_assets_hides_accounts_from_the_list(graph: Any) -> None:
    shown = graph.get("me/adaccounts", token=graph.known["tokens"]["granular_other"])["data"]
    assert [one["id"] for one in shown] == [graph.known["ad_accounts"]["manage"]]
    assert graph.known["ad_account"] in [one["id"] for one in graph.get("me/adaccounts", limit=100)["data"]]


# --- the dialog ----------------------------------------------------------------------------------------------------------


def login(graph: Any, answer: str, granted: list[str], **more: str) -> dict[str, list[str]]:
    wanted = {
        "client_id": graph.known["app_id"],
        "redirect_uri": BACK,
        "state": "s-1",
        "response_type": "code",
        "scope": "ads_management,business_management",
        **more,
    }
    page = graph.http.get("/v25.0/dialog/oauth", params=wanted)
    assert page.status_code == 200, page.text
    form = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
    assert {"ads_management", "business_management"} <= set(re.findall(r'name="granted" value="([^"]+)"', page.text))
    done = graph.http.post("/v25.0/dialog/oauth", data={**form, "granted": granted, "answer": answer})
    assert done.status_code == 302
    target = urlsplit(done.headers["location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == "http://127.0.0.1:9/back"
    return parse_qs(target.query)


def exchange(graph: Any, **params: str) -> Any:
    known = graph.known
    wanted = {"client_id": known["app_id"], "client_secret": known["app_secret"], "redirect_uri": BACK, **params}
    return graph.http.get("/v25.0/oauth/access_token", params=wanted)


def test_accepting_the_dialog_leads_to_a_token_and_a_long_lived_one(graph: Any) -> None:
    back = login(graph, "accept", ["ads_management", "business_management"])
    assert back["state"] == ["s-1"]
    assert back["kept"] == ["1"]
    code = back["code"][0]
    token = exchange(graph, code=code).json()
    assert token["token_type"] == "bearer"
    assert token["expires_in"] == 7200
    assert graph.get("me", token=token["access_token"])["id"] == graph.known["user"]
    again = exchange(graph, code=code)
    assert (again.status_code, again.json()["error"]["message"]) == (400, "This authorization code has been used.")
    long = exchange(graph, grant_type="fb_exchange_token", fb_exchange_token=token["access_token"]).json()
    assert long["expires_in"] == 60 * 86_400
    graph.get(f"{graph.account}/customaudiences", token=long["access_token"])


def test_a_box_left_empty_is_a_declined_permission(graph: Any) -> None:
    back = login(graph, "accept", ["business_management"], response_type="code,granted_scopes")
    assert back["denied_scopes"] == ["ads_management"]
    token = exchange(graph, code=back["code"][0]).json()["access_token"]
    shown = {one["permission"]: one["status"] for one in graph.get("me/permissions", token=token)["data"]}
    assert shown == {"public_profile": "granted", "ads_management": "declined", "business_management": "granted"}


def test_declining_the_dialog_comes_back_with_the_error(graph: Any) -> None:
    back = login(graph, "decline", [])
    assert (back["error"], back["error_reason"], back["state"]) == (["access_denied"], ["user_denied"], ["s-1"])
    assert "code" not in back


def test_a_code_is_bound_to_address_app_and_time(graph: Any) -> None:
    code = login(graph, "accept", [])["code"][0]
    assert exchange(graph, code=code, redirect_uri=BACK + "2").status_code == 400
    code = login(graph, "accept", [])["code"][0]
    assert exchange(graph, code=code, client_secret="wrong").status_code == 400
    code = login(graph, "accept", [])["code"][0]
    graph.change(advance_seconds=601)
    assert exchange(graph, code=code).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [{"client_id": "1"}, {"redirect_uri": "javascript:alert(1)"}, {"scope": "everything"}, {"response_type": "token"}],
)
def test_a_dialog_that_makes_no_sense_is_an_error_page(graph: Any, wrong: dict[str, str]) -> None:
    wanted = {"client_id": graph.known["app_id"], "redirect_uri": BACK, "scope": "ads_management", **wrong}
    answer = graph.http.get("/dialog/oauth", params=wanted)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")


def test_what_a_page_shows_is_escaped(graph: Any) -> None:
    wanted = {"client_id": graph.known["app_id"], "redirect_uri": BACK, "state": '"><script>x</script>'}
    assert "<script>" not in graph.http.get("/dialog/oauth", params=wanted).text


def test_client_credentials_give_the_app_token(graph: Any) -> None:
    token = exchange(graph, grant_type="client_credentials").json()["access_token"]
    assert token == graph.known["tokens"]["app"]


def test_an_expired_token_cannot_be_exchanged(graph: Any) -> None:
    answer = exchange(graph, grant_type="fb_exchange_token", fb_exchange_token=graph.known["tokens"]["expired"])
    assert answer.json()["error"]["error_subcode"] == 463


def test_a_system_user_gets_a_token_once_the_app_is_installed(graph: Any) -> None:
    robot = graph.get(f"{graph.known['business']}/system_users")["data"][0]["id"]
    app, secret = graph.known["app_id"], graph.known["app_secret"]
    wanted = {"business_app": app, "scope": "ads_management", "appsecret_proof": proof(secret, graph.known["token"])}
    assert graph.refused("POST", f"{robot}/access_tokens", **wanted) == (100, None)
    graph.post(f"{robot}/applications", business_app=app)
    token = graph.post(f"{robot}/access_tokens", **wanted)["access_token"]
    seen = graph.get("debug_token", token=graph.known["tokens"]["app"], input_token=token)["data"]
    assert (seen["type"], seen["expires_at"]) == ("SYSTEM_USER", 0)
    del wanted["appsecret_proof"]
    assert graph.refused("POST", f"{robot}/access_tokens", **wanted) == (100, None)
