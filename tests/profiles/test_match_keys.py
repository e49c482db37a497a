from __future__ import annotations

import pytest

from connector.profiles.match_keys import MATCH_KEYS, PLAIN, WIRE_ORDER, MatchKey, find_match_key


def test_the_wire_order_is_the_order_of_the_rules_page():
    assert WIRE_ORDER == (
        "EXTERN_ID",
        "EMAIL",
        "PHONE",
        "FN",
        "LN",
        "FI",
        "GEN",
        "DOBY",
        "DOBM",
        "DOBD",
        "CT",
        "ST",
        "ZIP",
        "COUNTRY",
        "MADID",
        "LOOKALIKE_VALUE",
        "DATA_PROCESSING_OPTIONS",
    )


def test_ids_values_and_flags_are_plain_and_nothing_else_is():
    assert {"EXTERN_ID", "MADID", "LOOKALIKE_VALUE", "DATA_PROCESSING_OPTIONS"} == PLAIN


@pytest.mark.parametrize("key", MATCH_KEYS, ids=lambda key: key.name)
def test_a_key_is_found_by_its_name_and_by_metas_code_in_any_case(key: MatchKey):
    for spelling in (key.name, key.name.upper(), key.meta, key.meta.lower(), f" {key.meta} "):
        assert find_match_key(spelling) is key


def test_an_unknown_name_is_no_key():
    assert find_match_key("surname") is None
    assert find_match_key("EMAIL_SHA256") is None


def test_a_birth_date_fills_three_columns_that_are_keys_of_their_own():
    date = find_match_key("birth_date")
    assert date is not None
    assert date.wire == ("DOBY", "DOBM", "DOBD")
    assert set(date.wire) < set(WIRE_ORDER)
    assert date.meta not in WIRE_ORDER
