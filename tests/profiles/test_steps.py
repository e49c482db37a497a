from __future__ import annotations

import pytest

from connector.errors import ConfigError
from connector.profiles.match_keys import MATCH_KEYS, MatchKey
from connector.profiles.rules import Settings
from connector.profiles.steps import explain, explain_many, text_of


def names(key: str, value: object, country: str | None = None) -> list[str]:
    return [step.name for step in explain(key, value, country=country).steps]


def test_every_step_that_changed_the_value_is_named_in_order():
    explanation = explain("FN", " Mary-Ann ")
    assert [(step.name, step.value) for step in explanation.steps] == [
        ("trim", "Mary-Ann"),
        ("lower-case", "mary-ann"),
        ("drop spaces, punctuation and symbols", "maryann"),
    ]


def test_steps_that_change_nothing_are_not_named():
    assert names("EMAIL", "anna@example.com") == []


def test_a_digest_is_named_as_such():
    assert names("EMAIL", "A" * 64) == ["lower-case", "a SHA-256 already, sent as it is"]


def test_the_country_given_is_the_row_s_own():
    assert explain("ZIP", "7030", country="United States").normalised == "07030"
    assert explain("ZIP", "7030", country="DE").normalised == "7030"
    assert explain("ZIP", "7030", settings=Settings(default_country="US")).normalised == "07030"
    assert explain("ZIP", "7030", country="Atlantis", settings=Settings(default_country="US")).normalised == "7030"


def test_a_phone_is_explained_by_its_own_steps():
    explanation = explain("phone", "06 12 34 56 78", country="FR")
    assert explanation.normalised == "33612345678"
    assert explanation.steps[-1].value == "33612345678"


def test_a_key_is_named_as_in_a_mapping_or_as_meta_does():
    assert explain("first_name", "Anna") == explain("FN", "Anna") == explain("fn", "Anna")


def test_an_unknown_key_is_a_mistake_with_a_suggestion():
    with pytest.raises(ConfigError) as error:
        explain("emial", "anna@example.com")
    assert error.value.message == 'no match key "emial"'
    assert error.value.hint == 'Did you mean "email"?'


def test_a_list_or_an_object_is_no_value_and_is_not_repeated():
    with pytest.raises(ConfigError) as error:
        explain("email", ["anna@example.com"])
    assert "anna" not in str(error.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, None), ("7030.0", "7030.0"), (7030, "7030"), (7030.0, "7030"), (44.5, "44.5"), (True, "true"), (1e22, "1" + "0" * 22),
     (float("nan"), "nan"), (float("-inf"), "-inf")],
)  # fmt: skip
def test_numbers_are_read_as_text_without_point_zero(value: object, text: str | None):
    assert text_of(value) == text


def test_json_is_what_the_contract_says():
    assert explain("EMAIL", " A@b.co").to_json() == {
        "key": "EMAIL",
        "normalised": "a@b.co",
        "sha256": "80305c9bb1bb2480e03894350e0a8a366dcbdeb302e69e0817aa0743abd77054",
        "reason": None,
        "steps": ["trim", "lower-case"],
    }


def test_json_of_a_birth_date_has_its_three_parts():
    line = explain("DOB", "1968-01-12").to_json()
    assert line["normalised"] == "19680112"
    assert line["parts"] == {
        "DOBY": {"normalised": "1968", "sha256": "a48622b535728587fd351763d1296c7ec9cb5bc6743d5f22b011d5b5c3ef688f"},
        "DOBM": {"normalised": "01", "sha256": "938db8c9f82c8cb58d3f3ef4fd250036a48d26a712753d2fde5abd03a85cabf4"},
        "DOBD": {"normalised": "12", "sha256": "6b51d431df5d7f141cbececcf79edf3dd861c3b4069f0b11661a3eefacbba918"},
    }


def test_json_of_a_blank_has_a_reason_and_no_digest():
    line = explain("DOB", "3/4/1997").to_json()
    assert (line["normalised"], line["sha256"], line["reason"]) == (None, None, "ambiguous_date")
    assert line["parts"] == {code: {"normalised": None, "sha256": None} for code in ("DOBY", "DOBM", "DOBD")}


def test_json_of_a_plain_key_has_no_digest():
    assert explain("EXTERN_ID", 7.0).to_json() == {
        "key": "EXTERN_ID", "normalised": "7", "sha256": None, "reason": None, "steps": [],
    }  # fmt: skip


def test_many_keep_their_order_across_keys_and_countries():
    items = [("ZIP", "7030", "US"), ("FN", "Anna", None), ("ZIP", "7030", "DE"), ("FN", "", None)] * 50
    found = [(e.key, e.normalised) for e in explain_many(items)]
    assert found == [("ZIP", "07030"), ("FN", "anna"), ("ZIP", "7030"), ("FN", None)] * 50


def test_nothing_to_explain_is_nothing():
    assert explain_many([]) == []


@pytest.mark.parametrize("key", MATCH_KEYS, ids=lambda key: key.name)
def test_every_key_explains_a_blank(key: MatchKey):
    explanation = explain(key.meta, None)
    assert (explanation.normalised, explanation.reason, explanation.steps) == (None, "blank", ())


def test_half_a_surrogate_pair_is_no_character_and_no_crash():
    assert explain("FN", "Anna\ud800").normalised == "anna"
    assert explain("ZIP", "94107", country="U\udc00S").normalised == "94107"
    assert text_of("\ud83d\ude00") == "😀"
