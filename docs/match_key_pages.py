"""Builds what the reference says about match keys from the code and from the reviewed cases in tests/cases.

The cog blocks of ``docs/reference/match-keys.md`` and ``everyday-inputs.md`` call these functions. Run as a script it
writes ``docs/reference/match-key-vectors.json`` again; a test compares that file with :func:`vectors_text`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from connector.profiles.match_keys import MATCH_KEYS, PLAIN
from connector.profiles.rules import Settings, rule_of
from connector.profiles.steps import explain, explain_many

ROOT = Path(__file__).parents[1]
VECTORS = ROOT / "docs" / "reference" / "match-key-vectors.json"
FILES = ("meta_examples", "blanks_and_digests", "email", "names", "gender", "dates", "places", "phone", "plain_keys")
TODAY = dt.date(2025, 11, 21)
"""The day on which the cases about dates are true."""


def groups() -> list[dict[str, Any]]:
    """Read every group of cases: a key, a context, inputs and what becomes of them."""
    folder = ROOT / "tests" / "cases"
    return [group for file in FILES for group in yaml.safe_load((folder / f"{file}.yaml").read_text(encoding="utf-8"))]


def vectors() -> list[dict[str, Any]]:
    """Turn the cases into test vectors. Digests are computed here, by hashlib, not by connector."""
    found = []
    for group in groups():
        for case in group["cases"]:
            context = {"country": case.get("country", group.get("country"))} | group.get("settings", {})
            value = case.get("expected", case.get("digest"))
            digest = value if "digest" in case else value and hashlib.sha256(value.encode()).hexdigest()
            found.append(
                {
                    "key": group["key"],
                    "input": case["input"],
                    "context": {name: held for name, held in context.items() if held is not None},
                    "normalised": value,
                    "digest": None if group["key"] in PLAIN else digest,
                    "reason": case.get("reason"),
                    "rule": case["why"],
                }
            )
    return found


def vectors_text() -> str:
    """Give the whole file: one vector a line, so that a change of one is a change of one line."""
    lines = ",\n".join("  " + json.dumps(vector, ensure_ascii=False) for vector in vectors())
    head = {"version": 1, "today": TODAY.isoformat(), "algorithm": "SHA-256 of UTF-8, lower-case hex"}
    return json.dumps(head)[:-1] + f', "vectors": [\n{lines}\n]}}\n'


def keys_table() -> str:
    """List every key with its two names and what leaves."""
    rows = [
        (f"`{key.name}`", f"`{key.meta}`", ", ".join(f"`{code}`" for code in key.wire), "yes" if key.hashed else "no")
        for key in MATCH_KEYS
    ]
    return _table(("In a mapping", "Meta's code", "Columns sent", "Hashed"), rows)


def steps_of(code: str) -> str:
    """Name the steps of a key's rule in order, as ``explain`` names them."""
    rule = rule_of(code, Settings(today=TODAY))
    return "Steps: " + " → ".join(step.name for step in (*rule.first, *rule.then)) + "."


def examples_of(*codes: str, values: int = 9, refused: int = 6) -> str:
    """Show the first reviewed cases of keys: values, then what is blank and why."""
    cases = [vector for vector in vectors() if vector["key"] in codes and vector["input"] is not None]
    kept = [vector for vector in cases if vector["reason"] is None and not _is_digest(vector)][:values]
    kept += [vector for vector in cases if vector["reason"] not in {None, "blank", "wrong_digest"}][:refused]
    rows = [
        (
            vector["key"],
            _code(vector["input"]),
            ", ".join(f"{name} {_code(held)}" for name, held in vector["context"].items()),
            _code(vector["normalised"]) if vector["reason"] is None else f"blank: {vector['reason']}",
            vector["rule"],
        )
        for vector in kept
    ]
    return _table(("Key", "Input", "Where", "Becomes", "Why"), rows)


def everyday_table(rows: list[tuple[str, str, str | None, str]]) -> str:
    """Run everyday inputs (key, input, country, why) through ``explain`` and show what is sent."""
    found = explain_many([(key, value, country) for key, value, country, _ in rows], settings=Settings(today=TODAY))
    return _table(
        ("What stands in the file", "Key", "Country", "What we send", "SHA-256", "Why"),
        [
            (
                _code(value),
                key,
                country or "–",
                _code(explanation.normalised) if explanation.normalised else f"nothing: {explanation.reason}",
                f"`{explanation.sha256[:8]}…`" if explanation.sha256 else "–",
                why,
            )
            for (key, value, country, why), explanation in zip(rows, found, strict=True)
        ],
    )


def steps_example(key: str, value: str, country: str | None = None) -> str:
    """Show one value after every step."""
    steps = explain(key, value, country=country, settings=Settings(today=TODAY)).steps
    return _table(("Step", "Value after it"), [("", _code(value)), *((step.name, _code(step.value)) for step in steps)])


def _is_digest(vector: dict[str, Any]) -> bool:
    return vector["normalised"] == vector["digest"]


def _code(value: object) -> str:
    shown = value if isinstance(value, str) else json.dumps(value)
    shown = "".join(c if c.isprintable() or c == "\u200d" else f"\\u{ord(c):04x}" for c in shown)
    shown = shown.replace("|", "\\|")
    return f"`` {shown} ``" if "`" in shown else f"`{shown}`"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


if __name__ == "__main__":
    VECTORS.write_text(vectors_text(), encoding="utf-8")
