"""``preview segment``: what a person sees is masked, adds up, and ends with what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    Run = Callable[..., Any]

WRONG = """\
key_identifier: email
keys: {email: email, phone: email, first_name: id, external_id: email}
consent: consent
"""


def test_the_envelope_holds_counts_keys_masked_rows_and_suspicions(workspace: Path, run: Run):
    done = run("preview", "segment", "people", "--json")
    envelope = json.loads(done.out)
    data = envelope["data"]
    assert (done.exit_code, envelope["status"], envelope["command"], envelope["error"]) == (
        0,
        "ok",
        "preview segment",
        None,
    )
    assert data["segment"] == "people"
    assert {k: data["profiles"][k] for k in ("read", "consenting", "identified")} == {
        "read": 3, "consenting": 3, "identified": 3,
    }  # fmt: skip
    assert {**data["keys"]["PHONE"], "columns": None} == {
        "columns": None, "filled": 2, "blank": 1, "dropped": {}, "examples": {}, "advice": {},
    }  # fmt: skip
    assert [row["keys"]["EMAIL"]["before"] for row in data["rows"]] == [
        "M***@E***.com",
        "r***@e***.org",
        "a***@e***.net",
    ]
    assert data["suspicions"] == []


def test_no_attribute_of_anyone_is_shown(workspace: Path, run: Run):
    for words in (("--json",), ()):
        done = run("preview", "segment", "people", *words)
        for attribute in ("mary@", "Mary", "650", "555-1212", "rene", "René", "12 34", "aiko", "愛子"):
            assert attribute.lower() not in (done.out + done.err).lower()


def test_a_person_sees_rows_coverage_and_what_to_type_next(workspace: Path, run: Run):
    done = run("preview", "segment", "people")
    assert done.exit_code == 0
    assert "all 3 profiles" in done.out
    assert "65*** (10 digits) → 16***" in " ".join(done.out.split())
    assert "blank: PHONE" in done.out
    assert "Nothing looks mapped to the wrong key." in done.out
    assert done.out.rstrip().endswith("Next: connector plan segment people")


def test_rows_says_how_many_profiles_are_shown(workspace: Path, run: Run):
    assert len(run("preview", "segment", "people", "--rows", "1", "--json").envelope["data"]["rows"]) == 1
    assert "profile 1" not in run("preview", "segment", "people", "--rows", "0").out


def test_a_wrong_mapping_is_suspected_aloud(workspace: Path, run: Run):
    (workspace / "mappings" / "crm.yaml").write_text(WRONG, encoding="utf-8")
    rows = "\n".join(f"{n},person{n}@example.com,,,,yes" for n in range(20))
    (workspace / "people.csv").write_text(f"id,email,phone,first_name,country,consent\n{rows}\n", encoding="utf-8")
    done = run("preview", "segment", "people")
    assert done.exit_code == 0
    assert "Worth a look" in done.out
    assert "phone ← email: 100 % of the cells look like e-mail addresses" in done.out
    assert "first_name ← id: 100 % of the cells look like numbers" in done.out
    assert done.out.index("leaves unhashed") < done.out.index("look like numbers")
    assert "person1" not in done.out


def test_lost_cells_stand_with_their_reason_and_masked_examples(workspace: Path, run: Run):
    text = "id,email,phone,first_name,country,consent\n1,mary@,,,,yes\n2,ann@example.com,12,,,yes\n"
    (workspace / "people.csv").write_text(text, encoding="utf-8")
    shown = " ".join(run("preview", "segment", "people").out.split())
    assert "EMAIL 1 not one e-mail address m***@ (nothing after @)" in shown
    assert "PHONE 1 no possible phone number *** (2 digits)" in shown
    assert "not sent: no key identifier" in shown


def test_an_unknown_segment_is_named_with_the_nearest(workspace: Path, run: Run):
    done = run("preview", "segment", "peple", "--json")
    assert (done.exit_code, done.envelope["error"]["code"]) == (2, "segment.unknown")
    assert done.envelope["error"]["hint"] == 'Did you mean "people"?'


def test_a_missing_file_is_exit_3(workspace: Path, run: Run):
    (workspace / "people.csv").unlink()
    assert run("preview", "segment", "people").exit_code == 3


def test_the_help_has_an_example(run: Run):
    assert "Example: connector preview segment" in run("preview", "segment", "--help").out
