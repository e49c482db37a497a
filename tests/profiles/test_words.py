from __future__ import annotations

import polars as pl
import pytest
import yaml

from connector.profiles.words import answer_words, consent_given, gender_words

LANGUAGES = {
    "english",
    "french",
    "german",
    "spanish",
    "portuguese",
    "italian",
    "dutch",
    "russian",
    "japanese",
    "chinese",
}


def consents(*cells: str | None) -> list[bool]:
    frame = pl.DataFrame({"consent": cells}, schema={"consent": pl.String})
    return frame.select(consent_given(pl.col("consent")))["consent"].to_list()


@pytest.mark.parametrize(
    "word",
    [
        "true",
        "TRUE",
        "1",
        "1.0",
        "yes",
        "Y",
        "t",
        "oui",
        "vrai",
        "ja",
        "WAHR",
        "sí",
        "si",
        "verdadero",
        "sim",
        "sì",
        "vero",
        "waar",
        "да",
        "истина",
        "はい",
        "真",
        "是",
    ],
)
def test_a_word_that_means_yes_is_consent(word: str):
    assert consents(word, f" {word} ", f"\u00a0{word}\t") == [True, True, True]


@pytest.mark.parametrize(
    "word",
    [None, "", " ", "null", "unknown", "false", "0", "no", "n", "f", "non", "nein", "нет", "いいえ", "否",
     "maybe", "2", "10", "-1", "yes please", "ok", "on", "x", "o", "j", "s", "true!", "d41d8cd98f00b204"],
)  # fmt: skip
def test_everything_else_is_no_consent_and_never_null(word: str | None):
    assert consents(word) == [False]


def test_yes_and_no_share_no_word():
    assert set(answer_words("yes")).isdisjoint(answer_words("no"))


def test_every_language_has_words_for_both_genders_and_no_word_means_both():
    from importlib.resources import files

    text = (files("connector.profiles") / "data" / "gender_words.yaml").read_text(encoding="utf-8")
    listed = yaml.safe_load(text)
    assert listed.keys() == LANGUAGES
    meanings: dict[str, set[str]] = {}
    for by_gender in listed.values():
        assert by_gender.keys() == {"m", "f"}
        for gender, words in by_gender.items():
            assert all(isinstance(word, str) for word in words)
            for word in words:
                meanings.setdefault(word.lower(), set()).add(gender)
    assert {word: genders for word, genders in meanings.items() if len(genders) > 1} == {}


def test_of_single_letters_only_six_mean_a_gender():
    assert {word for word in gender_words() if len(word) == 1} == set("mfмж男女")


def test_an_accent_may_be_left_out_only_where_no_other_word_is_in_the_way():
    words = gender_words()
    assert words["senor"] == words["señor"] == "m"
    assert (words["avô"], words["avó"], words.get("avo")) == ("m", "f", None)
