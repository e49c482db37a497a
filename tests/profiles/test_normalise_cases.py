"""The reviewed cases of tests/cases, and the published vectors made from them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml

from connector.profiles.match_keys import PLAIN
from connector.profiles.rules import Settings
from connector.profiles.steps import explain, explain_many

CASES = Path(__file__).parents[1] / "cases"
VECTORS = Path(__file__).parents[2] / "docs" / "reference" / "match-key-vectors.json"
FILES = ("meta_examples", "blanks_and_digests", "email", "names", "gender", "dates", "places", "phone", "plain_keys")
TODAY = dt.date(2025, 11, 21)
"""The day on which the cases about dates are true."""

REASONS = {
    "blank", "no_country", "not_possible", "wrong_digest", "not_an_email", "not_a_date", "ambiguous_date", "out_of_range",
    "no_letter", "unknown_word", "unknown_country", "unknown_state", "not_roman", "too_short", "not_a_uuid", "bad_value",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One input and what must become of it."""

    key: str
    input: Any
    country: str | None
    settings: Settings
    expected: str | None
    digest: str | None
    reason: str | None
    why: str


def cases_of(file: str) -> list[Case]:
    groups = yaml.safe_load((CASES / f"{file}.yaml").read_text(encoding="utf-8"))
    return [_case(group, entry) for group in groups for entry in group["cases"]]


def _case(group: dict[str, Any], entry: dict[str, Any]) -> Case:
    assert entry.keys() <= {"input", "country", "expected", "digest", "reason", "sha256", "why"}, entry
    assert len(entry.keys() & {"expected", "digest", "reason"}) == 1, entry
    value = entry.get("expected", entry.get("digest"))
    assert value is None or isinstance(value, str), f"quote {value!r}"
    digest = entry.get("digest", value and hashlib.sha256(value.encode()).hexdigest())
    assert entry.get("sha256", digest) == digest, entry
    return Case(
        key=group["key"],
        input=entry["input"],
        country=entry.get("country", group.get("country")),
        settings=Settings(**group.get("settings", {}), today=TODAY),
        expected=value,
        digest=None if group["key"] in PLAIN else digest,
        reason=entry.get("reason"),
        why=entry["why"],
    )


def disagreements(cases: list[Case]) -> list[tuple[object, ...]]:
    wrong = []
    for settings, group in groupby(cases, key=lambda case: case.settings):
        together = list(group)
        found = explain_many([(case.key, case.input, case.country) for case in together], settings=settings)
        for case, explanation in zip(together, found, strict=True):
            due = (case.expected, case.digest, case.reason)
            got = (explanation.normalised, explanation.sha256, explanation.reason)
            if due != got:
                wrong.append((case.key, case.input, case.country, due, got))
    return wrong


@pytest.mark.parametrize("file", FILES)
def test_every_case_gives_its_value_digest_and_reason(file: str):
    cases = cases_of(file)
    assert cases
    assert disagreements(cases) == []


@pytest.mark.parametrize("file", ["meta_examples", "plain_keys"])
def test_one_value_at_a_time_is_explained_as_many_at_once(file: str):
    for case in cases_of(file):
        alone = explain(case.key, case.input, country=case.country, settings=case.settings)
        assert (alone.normalised, alone.sha256, alone.reason) == (case.expected, case.digest, case.reason)


def test_reasons_come_from_the_closed_list_and_every_reason_has_a_case():
    used = {case.reason for file in FILES for case in cases_of(file)} - {None}
    assert used <= REASONS
    # no_country and not_possible are phones' own; their cases stand with the phones
    assert used >= REASONS - {"no_country", "not_possible"}


def test_every_case_says_why():
    assert all(case.why for file in FILES for case in cases_of(file))


def test_the_published_vectors_are_these_cases_and_the_code_agrees():
    published = json.loads(VECTORS.read_text(encoding="utf-8"))
    assert published["today"] == TODAY.isoformat()
    vectors = published["vectors"]
    assert len(vectors) >= 400
    assert all(vector["rule"] for vector in vectors)
    read = [
        Case(
            key=vector["key"],
            input=vector["input"],
            country=vector["context"].pop("country", None),
            settings=Settings(**vector["context"], today=TODAY),
            expected=vector["normalised"],
            digest=vector["digest"],
            reason=vector["reason"],
            why=vector["rule"],
        )
        for vector in vectors
    ]
    assert read == [case for file in FILES for case in cases_of(file)]  # stale: python docs/match_key_pages.py
    assert disagreements(read) == []
