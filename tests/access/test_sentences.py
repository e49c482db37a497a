"""Words for every outcome in three languages: none missing, none left over, the same gaps to fill in each."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from connector.access.account import DISABLE_REASONS
from connector.access.checklist import CHECKS
from connector.access.data_terms import DATA_TERMS, DATA_TERMS_VERSION
from connector.access.findings import STATUSES, Who
from connector.access.outcomes import OUTCOMES, outcome_of
from connector.access.remedies import COMMANDS, LINKS, TEXTS

LANGUAGES = ("en", "fr", "ja")
IDS = {row.id for row in CHECKS}


def gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_three_languages_have_the_same_sentences() -> None:
    assert set(TEXTS["fr"]) == set(TEXTS["en"])
    assert set(TEXTS["ja"]) == set(TEXTS["en"])


@pytest.mark.parametrize("language", ["fr", "ja"])
def test_a_translation_fills_in_the_same_facts(language: str) -> None:
    different = [key for key, text in TEXTS["en"].items() if gaps(text) != gaps(TEXTS[language][key])]
    assert different == []


def test_no_sentence_was_left_untranslated() -> None:
    same = {key for key, text in TEXTS["en"].items() if text in {TEXTS["fr"][key], TEXTS["ja"][key]}}
    assert same == {"who.meta"}


def test_every_outcome_has_a_sentence_and_every_sentence_an_outcome() -> None:
    keys = {f"{outcome.check}.{outcome.word}" for outcome in OUTCOMES}
    used = {f"step.{step}" for outcome in OUTCOMES for step in outcome.steps} | {f"who.{who}" for who in get_args(Who)}
    used |= {f"disable.{code}" for code in DISABLE_REASONS if code} | {"disable.other"}
    used |= {"request", "name.client", "name.agency", "name.nothing"}
    assert keys | used == set(TEXTS["en"])


def test_every_check_can_pass_and_fail_or_at_least_ask() -> None:
    for check in IDS:
        found = {outcome.status for outcome in OUTCOMES if outcome.check == check}
        assert "pass" in found
        assert "fail" in found
    assert {outcome.status for outcome in OUTCOMES} == set(STATUSES)
    assert {outcome.check for outcome in OUTCOMES} - {"any"} == IDS


def test_whatever_fails_or_is_a_question_has_somebody_to_ask_and_something_to_do() -> None:
    for outcome in OUTCOMES:
        acts = outcome.status in {"warn", "fail", "unknown"}
        assert (outcome.who is not None) is acts, outcome
        assert bool(outcome.steps) is acts, outcome
        assert outcome.link is None or outcome.link in LINKS
        assert outcome.command in COMMANDS


def test_links_lead_to_meta_over_https() -> None:
    for link in LINKS.values():
        assert re.match(r"https://(?:business|www|developers)\.facebook\.com/", link)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("account", ["analyze_only", "disabled", "obo_declined", "no_terms", "not_shared", "personal"])
def test_every_message_and_request_is_whole_in_every_language(world: Any, account: str, language: Any) -> None:
    report = world.gate(account, language=language, now=lambda: datetime.now(UTC))
    for check in report.checks:
        said = check.message + (check.remedy.request if check.remedy else "")
        assert said
        assert not re.search(r"[{}]|None|\bact_act_", said), said


def test_an_unpaid_account_is_asked_for_in_words_a_client_can_read(world: Any) -> None:
    said = {}
    for language in LANGUAGES:
        [check] = [c for c in world.gate("disabled", language=language).checks if c.id == "account_status"]
        said[language] = check.remedy.request.split(" Account")[0].split(" Qualité")[0].split("アカウントの品質")[0]
    assert said == {
        "en": "Ask an admin of Orchard Goods:",
        "fr": "À demander à un administrateur de Orchard Goods :",
        "ja": "Orchard Goodsの管理者にご依頼ください:",
    }


def test_an_outcome_nobody_wrote_down_is_a_bug() -> None:
    with pytest.raises(StopIteration):
        outcome_of("token", "sleepy")


def test_our_data_terms_carry_their_version_and_the_three_points() -> None:
    assert DATA_TERMS_VERSION in DATA_TERMS
    for point in ("personal data", "sensitive", "compliance", "privacy", "security"):
        assert point in DATA_TERMS
