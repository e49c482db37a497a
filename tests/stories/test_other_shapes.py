"""A refresh whose data has another shape than that of the export before: another mapping, other types, more values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.by_hand import digest_of, sha
from tests.sandbox_control import held

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Any]

CONFIG = """\
segments:
  people: {{from: "{source}", mapping: crm, to: [demo]}}
guards: {{min_profiles: 0, max_shrink: 1}}
"""
NAMES = (
    "key_identifier: name_and_address\nkeys: {first_name: first, last_name: last, postal_code: zip, country: country}\n"
)
EMAIL = "key_identifier: email\nkeys: {email: email}\n"
BOTH = "key_identifier: email\nkeys: {email: email, external_id: id}\n"


@pytest.mark.parametrize("mode", ["mirror", "replace"])
def test_from_names_and_address_to_email_alone(
    workspace: Path, sandbox: dict[str, Any], add_demo: Callable[..., None], run: Run, mode: str
) -> None:
    (workspace / "connector.yaml").write_text(CONFIG.format(source="people.csv"), encoding="utf-8")
    (workspace / "mappings" / "crm.yaml").write_text(NAMES, encoding="utf-8")
    rows = (f"p{n}@x.example,ann,b{chr(97 + n)},9410{n},US\n" for n in range(6))
    (workspace / "people.csv").write_text("email,first,last,zip,country\n" + "".join(rows), encoding="utf-8")
    add_demo()
    assert run("export", "segment", "people").exit_code == 0
    assert held(sandbox["base_url"])[0] == 6
    (workspace / "mappings" / "crm.yaml").write_text(EMAIL, encoding="utf-8")
    done = run("export", "segment", "people", "--mode", mode, "--yes", "--json")
    assert done.exit_code == 0, done.out
    assert held(sandbox["base_url"]) == (6, digest_of({"EMAIL": sha(f"p{n}@x.example")} for n in range(6)))


def test_lists_in_some_files_and_single_values_in_others(
    workspace: Path, sandbox: dict[str, Any], add_demo: Callable[..., None], run: Run
) -> None:
    (workspace / "connector.yaml").write_text(CONFIG.format(source="people*.ndjson"), encoding="utf-8")
    (workspace / "mappings" / "crm.yaml").write_text(BOTH, encoding="utf-8")

    def write(count: int) -> None:
        ones = ({"id": f"a{n}", "email": f"a{n}@x.example"} for n in range(count))
        several = ({"id": f"b{n}", "email": [f"b{n}@x.example", f"c{n}@x.example"]} for n in range(count))
        for name, people in (("people1", ones), ("people2", several)):
            lines = "".join(json.dumps(one) + "\n" for one in people)
            (workspace / f"{name}.ndjson").write_text(lines, encoding="utf-8")

    add_demo()
    for count in (5, 7):
        write(count)
        done = run("export", "segment", "people", "--json")
        assert done.exit_code == 0, done.out
    cells = [
        {"EXTERN_ID": f"{person}{n}", "EMAIL": sha(f"{email}{n}@x.example")}
        for n in range(7)
        for person, email in (("a", "a"), ("b", "b"), ("b", "c"))
    ]
    assert held(sandbox["base_url"]) == (21, digest_of(cells))
