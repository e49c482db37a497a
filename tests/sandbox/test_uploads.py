"""Adding and removing members, sessions, opting out."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

HOURS = 3600


def test_members_and_digest_are_what_plain_python_makes_of_the_rows(
    graph: Any, hashed: Any, expected_digest: Any
) -> None:
    audience = graph.new_audience()
    keys = ["EMAIL", "EXTERN_ID", "FN", "MADID", "COUNTRY"]
    rows = [
        [hashed(n), f"c-{n}é", hashed(n % 3) if n % 4 else "", "", hashed("fr") if n % 5 else ""] for n in range(300)
    ] + [["", "só", "", "0f0f0f0f-1111-2222-3333-444444444444", ""]]
    graph.add(audience, keys, rows)
    assert graph.held(audience) == (301, expected_digest(keys, rows))


def test_adding_the_same_people_again_changes_nothing(graph: Any, hashed: Any, expected_digest: Any) -> None:
    audience = graph.new_audience()
    rows = [[hashed(n)] for n in range(100)]
    for chunk in (rows, rows[50:], rows[:10] * 3):
        graph.add(audience, ["EMAIL"], chunk)
    assert graph.held(audience) == (100, expected_digest(["EMAIL"], rows))


def test_blank_cells_and_the_order_of_keys_do_not_make_another_member(graph: Any, hashed: Any) -> None:
    audience = graph.new_audience()
    graph.add(audience, ["EMAIL"], [[hashed("a")]])
    graph.add(audience, ["FN", "EMAIL", "LN"], [["", hashed("a"), ""]])
    graph.add(audience, ["LN", "EMAIL"], [[None, hashed("a")]])
    assert graph.held(audience)[0] == 1


def test_a_removal_takes_everybody_who_has_all_the_cells_of_a_row(
    graph: Any, hashed: Any, expected_digest: Any
) -> None:
    audience, keys = graph.new_audience(), ["EMAIL", "PHONE", "FN"]
    ann_home = [hashed("ann"), hashed("home"), hashed("Ann")]
    ann_work = [hashed("ann"), hashed("work"), ""]
    bob_home = [hashed("bob"), hashed("home"), hashed("Bob")]
    graph.add(audience, keys, [ann_home, ann_work, bob_home])
    graph.remove(audience, ["EMAIL", "PHONE"], [[hashed("ann"), hashed("nowhere")]])
    assert graph.held(audience)[0] == 3
    graph.remove(audience, ["PHONE", "FN"], [[hashed("home"), hashed("Bob")]])
    assert graph.held(audience) == (2, expected_digest(keys, [ann_home, ann_work]))
    graph.remove(audience, ["EMAIL"], [[hashed("ann")]])
    assert graph.held(audience) == (0, "0" * 64)


def test_removing_people_who_are_not_there_is_no_error(graph: Any, hashed: Any) -> None:
    audience = graph.new_audience()
    answer = graph.remove(audience, ["EMAIL"], [[hashed("nobody")]])
    assert (answer["num_received"], answer["num_invalid_entries"]) == (1, 0)


def test_a_removal_may_come_in_the_body_by_override_or_in_the_query(graph: Any, hashed: Any) -> None:
    audience = graph.new_audience()
    graph.add(audience, ["EMAIL"], [[hashed(n)] for n in range(2000)])
    payload = {"schema": ["EMAIL"], "data": [[hashed(n)] for n in range(500)]}
    graph.delete(f"{audience}/users", payload=payload)
    payload["data"] = [[hashed(n)] for n in range(500, 1000)]
    graph.post(f"{audience}/users", payload=payload, method="DELETE")
    # httpx refuses long addresses, Meta's own client (requests) does not: go down to the standard library.
    payload["data"] = [[hashed(n)] for n in range(1000, 2000)]
    query = urlencode({"payload": json.dumps(payload), "access_token": graph.known["token"]})
    wanted = Request(f"{graph.known['base_url']}/v25.0/{audience}/users?{query}", method="DELETE")
    with urlopen(wanted) as answer:
        assert json.load(answer)["num_received"] == 1000
    assert graph.held(audience)[0] == 0


def test_a_row_with_any_invalid_cell_is_counted_and_not_added(graph: Any, hashed: Any) -> None:
    audience = graph.new_audience()
    good = hashed("a")
    rows = [
        [good, ""],
        [good.upper(), ""],
        [good, "12"],
        ["mary@example.com", ""],
        ["", ""],
        [good[:63], ""],
        ["", good],
    ]
    answer = graph.add(audience, ["EMAIL", "PHONE"], rows)
    assert (answer["num_received"], answer["num_invalid_entries"]) == (7, 5)
    assert set(answer["invalid_entry_samples"]) == {"1", "2", "3", "4", "5"}
    assert graph.held(audience)[0] == 2
    assert graph.get(audience, fields="operation_status")["operation_status"]["code"] == 412


def test_upper_case_hashes_can_be_let_in_by_the_settings(graph: Any, hashed: Any, expected_digest: Any) -> None:
    graph.change(settings={"uppercase_is_invalid": False})
    audience = graph.new_audience()
    assert graph.add(audience, ["EMAIL"], [[hashed("a").upper()]])["num_invalid_entries"] == 0
    assert graph.held(audience) == (1, expected_digest(["EMAIL"], [[hashed("a")]]))


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("EXTERN_ID", ["a", 7, "é"], [True, {"a": 1}]),
        ("MADID", ["0f0f0f0f-1111-2222-3333-444444444444"], ["0f0f0f0f", 3]),
        ("GEN", ["62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a"], ["m", 1, 2.5]),
    ],
)
def test_each_key_has_its_form(graph: Any, key: str, good: list[Any], bad: list[Any]) -> None:
    audience = graph.new_audience()
    assert graph.add(audience, [key], [[cell] for cell in good])["num_invalid_entries"] == 0
    assert graph.add(audience, [key], [[cell] for cell in bad])["num_invalid_entries"] == len(bad)
    assert graph.held(audience)[0] == len(good)


def test_limited_data_use_options_come_with_a_row(graph: Any, hashed: Any, expected_digest: Any) -> None:
    audience = graph.new_audience()
    keys = ["EMAIL", "DATA_PROCESSING_OPTIONS", "DATA_PROCESSING_OPTIONS_COUNTRY", "DATA_PROCESSING_OPTIONS_STATE"]
    rows = [[hashed(1), ["LDU"], 1, 1000], [hashed(2), [], 0, 0], [hashed(3), ["ALL"], 1, 1000]]
    assert graph.add(audience, keys, rows)["num_invalid_entries"] == 1
    assert graph.held(audience) == (2, expected_digest(keys, rows[:2]))


@pytest.mark.parametrize(
    "payload",
    [
        {"schema": ["EMAIL"], "data": [["a" * 64, "b" * 64]]},
        {"schema": ["EMAIL", "PHONE"], "data": [["a" * 64]]},
        {"schema": ["EMAIL", "PHONE"], "data": ["a" * 64]},
        {"schema": ["EMAIL"], "data": []},
        {"schema": ["EMAIL"]},
        {"schema": ["EMAIL"], "data": "x"},
        {"schema": ["SHOES"], "data": [["a" * 64]]},
        {"schema": ["EMAIL", "EMAIL"], "data": [["a" * 64, "a" * 64]]},
        {"schema": [], "data": [["a" * 64]]},
        {"schema": "SHOES", "data": ["a" * 64]},
        {"data": [["a" * 64]]},
        {"schema": ["EMAIL"], "data": [["a" * 64]], "shoes": 1},
        {"schema": ["EMAIL"], "data": [["a" * 64]] * 10_001},
        {"schema": ["UID"], "data": [["1"]]},
        {"schema": ["PAGEUID"], "data": [["1"]], "page_ids": ["1", "2"]},
        [1],
        "text",
        "",
    ],
)
def test_a_payload_that_does_not_fit_is_refused_as_a_whole(graph: Any, payload: Any) -> None:
    audience = graph.new_audience()
    assert graph.refused("POST", f"{audience}/users", payload=payload) == (100, None)
    assert graph.held(audience)[0] == 0


def test_the_words_for_a_mismatch_are_metas(graph: Any) -> None:
    answer = graph.call(
        "POST", f"{graph.new_audience()}/users", json={"payload": {"schema": ["EMAIL"], "data": [["a", "b"]]}}
    )
    assert answer.json()["error"]["message"] == "(#100) Data is missing or does not match schema"


def test_a_single_key_schema_takes_plain_lists_and_lists_of_lists(
    graph: Any, hashed: Any, expected_digest: Any
) -> None:
    audience = graph.new_audience()
    graph.post(f"{audience}/users", payload={"schema": "EMAIL_SHA256", "data": [hashed(1), hashed(2)]})
    graph.post(f"{audience}/users", payload={"schema": "EMAIL_SHA256", "data": [[hashed(2)], [hashed(3)]]})
    assert graph.held(audience) == (3, expected_digest(["EMAIL"], [[hashed(n)] for n in (1, 2, 3)]))


def test_the_first_upload_fixes_the_data_source(graph: Any, hashed: Any) -> None:
    audience = graph.new_audience()
    graph.add(audience, ["EMAIL"], [[hashed(1)]])
    assert graph.get(audience, fields="data_source")["data_source"] == {
        "type": "FILE_IMPORTED",
        "sub_type": "MULTI_HASHES",
    }
    payload = {"schema": "EMAIL_SHA256", "data": [hashed(1)]}
    answer = graph.call("POST", f"{audience}/users", json={"payload": payload}).json()["error"]
    assert answer["code"] == 2650
    assert (
        "FILE_IMPORTED.MULTI_HASHES, which does not support data source FILE_IMPORTED.HASHES_OR_USER_IDS"
        in answer["message"]
    )
    single = graph.known["audiences"]["single_key"]
    assert graph.refused("POST", f"{single}/users", payload={"schema": ["EMAIL"], "data": [[hashed(1)]]}) == (
        2650,
        None,
    )


def test_value_based_audiences_need_a_value_and_others_take_none(graph: Any, hashed: Any, expected_digest: Any) -> None:
    valued = graph.known["audiences"]["value_based"]
    error = graph.call(
        "POST", f"{valued}/users", json={"payload": {"schema": ["EMAIL"], "data": [[hashed(1)]]}}
    ).json()["error"]
    assert error["message"] == "(#100) Value-Based Custom Audience requires LOOKALIKE_VALUE attribute."
    keys, rows = ["EMAIL", "LOOKALIKE_VALUE"], [[hashed(1), 44.5], [hashed(2), "12"], [hashed(3), -1], [hashed(4), "x"]]
    assert graph.add(valued, keys, rows)["num_invalid_entries"] == 2
    assert graph.held(valued) == (2, expected_digest(keys, rows[:2]))
    payload = {"schema": keys, "data": rows}
    assert graph.refused("POST", f"{graph.new_audience()}/users", payload=payload) == (100, None)


def test_a_session_counts_over_its_batches_and_closes_with_the_last(graph: Any, hashed: Any) -> None:
    audience = graph.new_audience()
    first = graph.add(audience, ["EMAIL"], [[hashed(1)], ["x"]], session_id=7, batch_seq=1, last_batch_flag=False)
    assert (first["session_id"], first["num_received"], first["num_invalid_entries"]) == ("7", 2, 1)
    second = graph.add(audience, ["EMAIL"], [[hashed(2)]], session_id=7, batch_seq=2, last_batch_flag=True)
    assert (second["num_received"], second["num_invalid_entries"]) == (3, 1)
    more = {"payload": {"schema": ["EMAIL"], "data": [[hashed(3)]]}, "session": {"session_id": 7, "batch_seq": 3}}
    assert graph.refused("POST", f"{audience}/users", **more) == (100, None)
    sessions = graph.get(f"{audience}/sessions", session_id="7")["data"]
    assert [(one["session_id"], one["num_received"], one["num_matched"], one["stage"]) for one in sessions] == [
        ("7", "3", "-1", "completed")
    ]


def test_what_comes_after_90_minutes_is_discarded_in_silence(graph: Any, hashed: Any) -> None:
    audience = graph.new_audience()
    graph.add(audience, ["EMAIL"], [[hashed(1)]], session_id=7, batch_seq=1)
    graph.change(advance_seconds=1.4 * HOURS)
    assert graph.add(audience, ["EMAIL"], [[hashed(2)]], session_id=7, batch_seq=2)["num_received"] == 2
    graph.change(advance_seconds=0.2 * HOURS)
    assert graph.add(audience, ["EMAIL"], [[hashed(3)]], session_id=7, batch_seq=3)["num_received"] == 2
    assert graph.held(audience)[0] == 2


@pytest.mark.parametrize(
    "session",
    [
        {"session_id": 0, "batch_seq": 1},
        {"session_id": -4, "batch_seq": 1},
        {"session_id": 2**63, "batch_seq": 1},
        {"session_id": 1.5, "batch_seq": 1},
        {"session_id": "abc", "batch_seq": 1},
        {"session_id": 1, "batch_seq": 0},
        {"session_id": 1},
        {"batch_seq": 1},
        {"session_id": 1, "batch_seq": 1, "last_batch_flag": "maybe"},
        {"session_id": 1, "batch_seq": 1, "colour": "red"},
        [1],
        "7",
    ],
)
def test_a_session_that_is_none_is_refused(graph: Any, hashed: Any, session: Any) -> None:
    payload = {"schema": ["EMAIL"], "data": [[hashed(1)]]}
    assert graph.refused("POST", f"{graph.new_audience()}/users", payload=payload, session=session) == (100, None)


def test_an_upload_without_a_session_gets_one_from_the_server(graph: Any, hashed: Any) -> None:
    audience = graph.new_audience()
    one = graph.add(audience, ["EMAIL"], [[hashed(1)]])
    two = graph.add(audience, ["EMAIL"], [[hashed(1)]])
    assert int(one["session_id"]) > 0
    assert one["session_id"] != two["session_id"]
    assert two["num_received"] == 1


def test_opting_out_empties_every_list_audience_of_the_account(graph: Any, hashed: Any) -> None:
    one, two = graph.new_audience(), graph.new_audience()
    for audience in (one, two):
        graph.add(audience, ["EMAIL"], [[hashed("a")], [hashed("b")]])
    answer = graph.delete(f"{graph.account}/usersofanyaudience", payload={"schema": ["EMAIL"], "data": [[hashed("a")]]})
    assert answer["num_received"] == 1
    assert [graph.held(audience)[0] for audience in (one, two)] == [1, 1]


def test_removing_too_many_is_refused_when_the_settings_say_so(graph: Any, hashed: Any) -> None:
    graph.change(settings={"minimum_after_removal": 2})
    audience = graph.new_audience()
    graph.add(audience, ["EMAIL"], [[hashed(n)] for n in range(3)])
    payload = {"schema": ["EMAIL"], "data": [[hashed(0)], [hashed(1)]]}
    assert graph.refused("DELETE", f"{audience}/users", payload=payload) == (200, 1870047)
    assert graph.held(audience)[0] == 3


@pytest.mark.parametrize("name", ["not_editable", "website", "lookalike"])
def test_audiences_that_cannot_be_edited_take_nobody(graph: Any, hashed: Any, name: str) -> None:
    payload = {"schema": ["EMAIL"], "data": [[hashed(0)]]}
    audience = graph.known["audiences"][name]
    answer = graph.call("POST", f"{audience}/users", json={"payload": payload}).json()["error"]
    assert (answer["code"], answer["message"]) == (200, f"(#200) The current user can not update audience {audience}")
