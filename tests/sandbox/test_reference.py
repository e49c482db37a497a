"""The reference page names everything the sandbox has."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from connector.sandbox.changes import CHANGEABLE
from connector.sandbox.faults import FIELDS, WAYS
from connector.sandbox.kinds import KINDS, ROOTS
from connector.sandbox.world import Settings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "sandbox.md"


@pytest.fixture(scope="module")
def named() -> set[str]:
    """Every word that stands in code type on the page."""
    text = PAGE.read_text(encoding="utf-8")
    code = re.findall(r"```.*?```|`[^`]+`", text, re.DOTALL)
    return set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*(?:/[a-z_]+)?", " ".join(code)))


def test_every_edge_is_on_the_page(named: set[str]) -> None:
    edges = {edge for kind in KINDS.values() for _, edge in kind.edges if edge} | set(ROOTS)
    assert edges <= named


def test_every_fault_field_setting_and_changeable_field_is_on_the_page(named: set[str]) -> None:
    assert named >= WAYS | FIELDS
    assert {one.name for one in fields(Settings)} <= named
    assert {name for names in CHANGEABLE.values() for name in names} <= named


def test_everything_seeded_is_on_the_page(named: set[str], sandbox_server: dict[str, Any]) -> None:
    for shelf in ("tokens", "ad_accounts", "audiences", "assets"):
        assert set(sandbox_server[shelf]) <= named
