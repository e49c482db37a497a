"""``--memory`` holds: less of it takes smaller frames, too little is refused with what would do, and the peak stays below."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from connector import Config, export_segment
from connector.errors import ConfigError
from tests.alone import export_alone
from tests.by_hand import adds_up
from tests.sandbox_control import uploads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = """\
segments:
  people: {from: people.KIND, mapping: crm, to: [demo]}
guards: {min_profiles: 1}
"""
KEYS = (
    "external_id",
    "email",
    "phone",
    "first_name",
    "last_name",
    "birth_date",
    "city",
    "state",
    "postal_code",
    "country",
)
MAPPING = "key_identifier: email\ndefault_country: US\nkeys: {" + ", ".join(f"{key}: {key}" for key in KEYS) + "}\n"
ROWS = 40_000


def people(rows: int, last_name: str = "Lee") -> pl.DataFrame:
    number = pl.int_range(rows)
    return pl.select(number.alias("n")).select(
        external_id=pl.format("c{}", "n"),
        email=pl.format("p{}@mail.example", "n"),
        phone=pl.format("+1650{}", pl.col("n") % 9_000_000 + 2_000_000),
        first_name=pl.format("Ann{}", pl.col("n") % 977),
        last_name=pl.format("{}{}", pl.lit(last_name), "n"),
        birth_date=pl.lit("1980-02-03"),
        city=pl.format("Town{}", pl.col("n") % 4_001),
        state=pl.lit("CA"),
        postal_code=pl.format("{}", pl.col("n") % 90_000 + 10_000),
        country=pl.lit("US"),
    )


@pytest.fixture
def place(workspace: Path, sandbox: dict[str, Any], add_demo: Callable[..., None]) -> Path:
    (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    (workspace / "connector.yaml").write_text(CONFIG.replace("KIND", "parquet"), encoding="utf-8")
    people(ROWS).write_parquet(workspace / "people.parquet")
    add_demo()
    return workspace


def test_too_little_is_refused_with_what_would_do_and_that_is_kept_to(place: Path) -> None:
    envelope, _ = export_alone("people", "--memory", "100MB", folder=place)
    error = envelope["error"]
    assert (envelope["exit_code"], error["code"]) == (2, "memory.little")
    least = re.search(r"--memory (\d+)MB", error["hint"])
    assert least is not None
    envelope, peak = export_alone("people", "--memory", f"{least[1]}MB", folder=place)
    assert (envelope["exit_code"], envelope["data"]["rows"]["added"]) == (0, ROWS)
    assert adds_up(envelope["data"])
    assert peak < int(least[1]) * 1_000_000


@pytest.mark.parametrize("kind", ["parquet", "ndjson", "csv"])
def test_long_cells_take_no_more_memory_than_short_ones(kind: str, place: Path) -> None:
    """Seven kilobytes a row, which nobody's name has: 280 MB in all, and a few rows at a time."""
    long = people(ROWS).with_columns(city=pl.lit("y" * 4_000), last_name=pl.lit("q" * 3_000) + pl.col("last_name"))
    {"parquet": long.write_parquet, "ndjson": long.write_ndjson, "csv": long.write_csv}[kind](place / f"people.{kind}")
    (place / "connector.yaml").write_text(CONFIG.replace("KIND", kind), encoding="utf-8")
    envelope, peak = export_alone("people", folder=place)
    assert (envelope["exit_code"], envelope["data"]["rows"]["added"]) == (0, ROWS)
    assert peak < 1_000_000_000


def test_a_suppression_list_counts(place: Path, sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """As if each of two entries were a gigabyte."""
    monkeypatch.setattr("connector.audiences.suppression._OF_ROW", 10**9)
    (place / "out.csv").write_text("email\np1@mail.example\np2@mail.example\n", encoding="utf-8")
    (place / "mappings" / "out.yaml").write_text("key_identifier: email\nkeys: {email: email}\n", encoding="utf-8")
    config = CONFIG.replace("KIND", "parquet") + "suppress: [{from: out.csv, mapping: out}]\n"
    (place / "connector.yaml").write_text(config, encoding="utf-8")
    before = uploads(sandbox["base_url"])
    with pytest.raises(ConfigError, match="too little") as little:
        export_segment(Config.load(place), "people")
    assert little.value.code == "memory.little"
    assert uploads(sandbox["base_url"]) == before
