"""The seven rules of an atomic replace."""

from __future__ import annotations

from typing import Any

import pytest

PROGRESS, NO_FIRST, TIMED_OUT, FINISHED, TOO_LARGE = 1870145, 1870147, 1870158, 1870159, 1870144


@pytest.fixture
def audience(graph: Any, hashed: Any) -> str:
    made = str(graph.new_audience())
    graph.add(made, ["EMAIL"], [[hashed(f"old{n}")] for n in range(10)])
    return made


def batch(
    hashed: Any, name: str, sequence: int, *, last: bool = False, session: int = 5, key: str = "EMAIL"
) -> dict[str, Any]:
    return {
        "payload": {"schema": [key], "data": [[hashed(name)]]},
        "session": {"session_id": session, "batch_seq": sequence, "last_batch_flag": last},
    }


def status(graph: Any, audience: str) -> int:
    return int(graph.get(audience, fields="operation_status")["operation_status"]["code"])


def test_the_old_members_stay_until_the_last_batch_and_then_all_change_at_once(
    graph: Any, hashed: Any, expected_digest: Any, audience: str
) -> None:
    first = graph.post(f"{audience}/usersreplace", **batch(hashed, "a", 1))
    assert (first["num_received"], first["session_id"]) == (1, "5")
    graph.post(f"{audience}/usersreplace", **batch(hashed, "b", 3))
    assert (status(graph, audience), graph.held(audience)[0]) == (414, 10)
    graph.post(f"{audience}/usersreplace", **batch(hashed, "b", 3))
    last = graph.post(f"{audience}/usersreplace", **batch(hashed, "c", 4, last=True))
    assert last["num_received"] == 4
    assert status(graph, audience) == 200
    assert graph.held(audience) == (3, expected_digest(["EMAIL"], [[hashed(n)] for n in "abc"]))


def test_a_replace_begins_with_batch_one(graph: Any, hashed: Any, audience: str) -> None:
    assert graph.refused("POST", f"{audience}/usersreplace", **batch(hashed, "a", 2)) == (2650, NO_FIRST)
    assert status(graph, audience) == 200


def test_batch_one_comes_once(graph: Any, hashed: Any, audience: str) -> None:
    graph.post(f"{audience}/usersreplace", **batch(hashed, "a", 1))
    assert graph.refused("POST", f"{audience}/usersreplace", **batch(hashed, "a", 1)) == (2650, PROGRESS)


def test_nothing_else_may_touch_the_audience_meanwhile(graph: Any, hashed: Any, audience: str) -> None:
    graph.post(f"{audience}/usersreplace", **batch(hashed, "a", 1))
    payload = {"schema": ["EMAIL"], "data": [[hashed("x")]]}
    assert graph.refused("POST", f"{audience}/users", payload=payload) == (2650, PROGRESS)
    assert graph.refused("DELETE", f"{audience}/users", payload=payload) == (2650, PROGRESS)
    assert graph.refused("POST", f"{audience}/usersreplace", **batch(hashed, "z", 1, session=6)) == (2650, PROGRESS)


def test_after_the_last_batch_the_session_is_finished(graph: Any, hashed: Any, audience: str) -> None:
    graph.post(f"{audience}/usersreplace", **batch(hashed, "a", 1, last=True))
    assert graph.refused("POST", f"{audience}/usersreplace", **batch(hashed, "b", 2)) == (2650, FINISHED)
    assert graph.held(audience)[0] == 1


def test_after_90_minutes_the_audience_is_what_arrived(
    graph: Any, hashed: Any, audience: str, expected_digest: Any
) -> None:
    graph.post(f"{audience}/usersreplace", **batch(hashed, "a", 1))
    graph.change(advance_seconds=91 * 60)
    assert graph.held(audience) == (1, expected_digest(["EMAIL"], [[hashed("a")]]))
    assert graph.refused("POST", f"{audience}/usersreplace", **batch(hashed, "b", 2)) == (2650, TIMED_OUT)
    graph.add(audience, ["EMAIL"], [[hashed("b")]])
    assert graph.held(audience)[0] == 2


def test_every_batch_has_the_same_schema(graph: Any, hashed: Any, audience: str) -> None:
    graph.post(f"{audience}/usersreplace", **batch(hashed, "a", 1))
    assert graph.refused("POST", f"{audience}/usersreplace", **batch(hashed, "b", 2, key="PHONE")) == (100, None)


def test_a_replace_needs_a_session_and_rows(graph: Any, hashed: Any, audience: str) -> None:
    whole = batch(hashed, "a", 1)
    assert graph.refused("POST", f"{audience}/usersreplace", payload=whole["payload"]) == (100, None)
    whole["payload"]["data"] = []
    assert graph.refused("POST", f"{audience}/usersreplace", **whole) == (100, None)
    assert status(graph, audience) == 200


def test_it_may_take_a_while_to_settle(graph: Any, hashed: Any, audience: str) -> None:
    graph.change(settings={"replace_settle_seconds": 60})
    graph.post(f"{audience}/usersreplace", **batch(hashed, "a", 1, last=True))
    assert status(graph, audience) == 414
    assert graph.refused("POST", f"{audience}/usersreplace", **batch(hashed, "b", 1, session=8)) == (2650, PROGRESS)
    graph.change(advance_seconds=61)
    assert status(graph, audience) == 200


def test_an_audience_of_100_million_is_too_large(graph: Any, hashed: Any) -> None:
    large = graph.known["audiences"]["too_large"]
    assert graph.refused("POST", f"{large}/usersreplace", **batch(hashed, "a", 1)) == (2650, TOO_LARGE)


@pytest.mark.parametrize(
    ("name", "may"), [("replacing", False), ("expiring", False), ("replace_failed", True), ("populating", True)]
)
def test_the_status_decides_whether_a_replace_may_start(graph: Any, hashed: Any, name: str, may: bool) -> None:
    answer = graph.call("POST", f"{graph.known['audiences'][name]}/usersreplace", json=batch(hashed, "a", 1))
    assert (answer.status_code == 200) is may
    if not may:
        assert answer.json()["error"]["error_subcode"] == PROGRESS


def test_value_based_is_replaced_by_value_based_only(graph: Any, hashed: Any) -> None:
    valued = graph.known["audiences"]["value_based"]
    assert graph.refused("POST", f"{valued}/usersreplace", **batch(hashed, "a", 1)) == (100, None)


def test_a_users_session_is_no_replace_session(graph: Any, hashed: Any, audience: str) -> None:
    graph.add(audience, ["EMAIL"], [[hashed("q")]], session_id=5, batch_seq=1)
    assert graph.refused("POST", f"{audience}/usersreplace", **batch(hashed, "a", 1)) == (2650, FINISHED)
