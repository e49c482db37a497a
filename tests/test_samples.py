"""The sample files: made again byte for byte, nobody real in them, and README.md's counts are what the files hold."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import phonenumbers
import polars as pl
import pytest
import yaml

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
RESERVED = re.compile(r"(?:[^@\s]+\.)?example\.\.?(?:com|org|net)\.?")  # RFC 2606, with the samples' defects
FICTION = (  # what regulators keep free for films and books, in E.164
    r"1\d{3}55501\d\d",
    r"44(?:7700900\d{3}|2079460\d{3}|1134960\d{3}|1614960\d{3})",
    r"49(?:3023125\d{3}|17139200\d\d|176040690\d\d|8999998\d{3}|2214710\d{3}|6990009\d{3}|4066969\d{3})",
    r"33(?:19900|26191|46571|63998)\d{4}",
    r"61(?:[237]5550\d{4}|37010\d{4}|491570156|491570157|491570158|491571266)",
    r"46(?:7017406[0-9]\d|846500[45]\d\d|3139006\d\d|4062804\d\d)",
)


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files, made once more somewhere else."""
    folder = tmp_path_factory.mktemp("samples")
    command = [sys.executable, str(SAMPLES / "make_samples.py"), "--into", str(folder)]
    subprocess.run(command, check=True, env={"PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ.get("PATH", "")})
    return folder


@pytest.fixture(scope="module")
def profiles() -> pl.DataFrame:
    return pl.read_csv(SAMPLES / "profiles.csv", infer_schema=False).fill_null("")


@pytest.fixture(scope="module")
def shop() -> pl.DataFrame:
    return pl.read_csv(SAMPLES / "shop_customers.csv", separator=";", infer_schema=False)


@pytest.fixture(scope="module")
def counts() -> dict[str, int]:
    rows = re.findall(r"^\| (.+) \| ([\d,]+) \|", (SAMPLES / "README.md").read_text("utf-8"), re.MULTILINE)
    return {what: int(number.replace(",", "")) for what, number in reversed(rows)}


@pytest.mark.parametrize("name", ["profiles.csv", "opted_out.csv", "shop_customers.csv", "README.md"])
def test_a_sample_file_is_made_again_byte_for_byte(again: Path, name: str):
    assert (again / name).read_bytes() == (SAMPLES / name).read_bytes()


def test_the_parquet_file_is_made_again_with_the_same_rows(again: Path):
    assert pl.read_parquet(again / "profiles.parquet").equals(pl.read_parquet(SAMPLES / "profiles.parquet"))


def test_the_parquet_file_holds_the_same_people_in_the_same_order(profiles: pl.DataFrame):
    typed = pl.read_parquet(SAMPLES / "profiles.parquet")
    same = [column for column in typed.columns if typed.schema[column] == pl.String]
    assert len(same) == 10
    assert typed.select(same).equals(profiles.select(same))


def test_every_email_is_on_a_reserved_domain(profiles: pl.DataFrame, shop: pl.DataFrame):
    opted_out = pl.read_csv(SAMPLES / "opted_out.csv", infer_schema=False)
    columns = (profiles["email"], profiles["work_email"], shop["E-Mail"], opted_out["email"])
    cells = pl.concat(column.rename("email") for column in columns)
    domains = cells.str.to_lowercase().str.extract_all(r"@[^@;>]+").explode().drop_nulls().unique()
    strange = re.compile("[\u00a0\u200b\u200e\u2060\ufeff]")
    names = {strange.sub("", domain).strip("@ \t") for domain in domains}
    assert len(names) > 10
    assert [name for name in names if name != "example" and not RESERVED.fullmatch(name)] == []


def test_every_phone_is_from_a_range_that_reaches_nobody(profiles: pl.DataFrame, shop: pl.DataFrame):
    home = pl.col("Land").replace_strict({"Österreich": "AT", "Schweiz": "CH"}, default="DE")
    theirs = shop.select(pl.col("Telefon").alias("mobile"), home.alias("country"))
    alpha_2 = profiles.filter(pl.col("country").str.contains(r"^[A-Z]{2}$")).select("mobile", "country")
    fiction, valid = re.compile("|".join(f"(?:{pattern})" for pattern in FICTION)), set()
    for phone, country in pl.concat([alpha_2, theirs]).drop_nulls().unique().iter_rows():
        own_code = (
            "+" if re.fullmatch(r"(49|33|61|46|1)\d{9,}", phone) else ""
        )  # written without plus: read as connector does
        try:
            number = phonenumbers.parse(own_code + phone, country)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            valid.add(f"{number.country_code}{number.national_number}")
    assert len(valid) > 1_000
    assert [number for number in valid if not fiction.fullmatch(number)] == []


def test_the_readme_counts_what_the_files_hold(profiles: pl.DataFrame, shop: pl.DataFrame, counts: dict[str, int]):
    yes = pl.col("consent_ads").str.to_lowercase().is_in(["true", "yes", "y", "t", "1"])
    spoken = pl.col("consent_ads").str.to_lowercase().is_in(["ja", "oui", "sí", "sì", "sim", "да", "はい", "是"])
    orders = pl.col("orders_12m").cast(pl.Int32, strict=False) >= 3
    assert counts["rows"] == profiles.height == 12_000
    assert counts["rows equal to an earlier row in every cell"] == profiles.height - profiles.unique().height
    assert counts["rows with a known word for yes in `consent_ads`"] == profiles.filter(yes | spoken).height
    loyal = profiles.filter(orders & yes).height
    assert counts["`orders_12m >= 3 and consent_ads` lets through"] == loyal
    assert loyal == sum(count for what, count in counts.items() if what.startswith("… ") and ": " in what)
    assert 9_500 < loyal < 10_500
    assert counts["email | already SHA-256, upper-case hex"] == profiles["email"].str.contains("^[0-9A-F]{64}$").sum()
    assert counts["email | MD5"] == profiles["email"].str.contains("^[0-9a-f]{32}$").sum()
    assert counts["birth_date | 1984-12-31"] == profiles["birth_date"].str.contains(r"^\d{4}-\d\d-\d\d$").sum()
    assert counts["rows with a second e-mail address"] == (profiles["work_email"] != "").sum()
    assert counts["who take the newsletter"] == (shop["Newsletter"].str.to_lowercase() == "ja").sum()


@pytest.mark.parametrize(
    ("mapping", "file"),
    [
        ("crm", "profiles.csv"),
        ("postal", "profiles.parquet"),
        ("lake", "profiles.parquet"),
        ("web_shop", "shop_customers.csv"),
    ],
)
def test_every_column_a_mapping_names_is_in_its_file(mapping: str, file: str):
    path = SAMPLES / file
    separator = ";" if file.startswith("shop") else ","
    header = (
        pl.read_parquet_schema(path)
        if file.endswith("parquet")
        else pl.read_csv(path, separator=separator, infer_schema=False).columns
    )
    assert mapped_columns(mapping) - set(header) == set()


def test_the_opt_out_list_names_people_by_columns_of_the_crm(profiles: pl.DataFrame, counts: dict[str, int]):
    listed = pl.read_csv(SAMPLES / "opted_out.csv", infer_schema=False)
    named = listed.select("customer_id", "email", "mobile")
    assert set(named.columns) <= mapped_columns("crm")
    assert named.select(pl.sum_horizontal(pl.all().is_not_null())).to_series().to_list() == [1] * listed.height
    assert named["email"].str.contains("^[0-9a-fA-F]{64}$").sum() == 3
    unknown = named["email"].str.starts_with("nobody.").sum()
    assert counts["… suppressed: on the opt-out list"] == listed.height - unknown == 25
    assert named["customer_id"].drop_nulls().is_in(profiles["customer_id"].implode()).sum() == 2


def test_the_query_runs_on_the_warehouse_that_the_script_builds(tmp_path: Path):
    file = tmp_path / "a folder" / "warehouse.db"
    command = [sys.executable, str(SAMPLES / "make_warehouse.py"), str(file)]
    built = subprocess.run(command, check=True, capture_output=True, text=True, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert built.stdout == f"export WAREHOUSE_URL='sqlite:///{file}'\n"
    with sqlite3.connect(file) as database:
        found = database.execute((SAMPLES / "lapsed.sql").read_text("utf-8"))
        rows = found.fetchall()
    database.close()
    assert mapped_columns("warehouse") == {column[0] for column in found.description}
    assert len(rows) > 500


def test_the_readme_explains_every_file():
    text = (SAMPLES / "README.md").read_text("utf-8")
    files = {path.name for path in SAMPLES.iterdir() if path.is_file()} - {"README.md"}
    assert {name for name in files if f"`{name}`" not in text} == set()
    assert sum(path.stat().st_size for path in SAMPLES.iterdir() if path.is_file()) < 6_000_000


def mapped_columns(mapping: str) -> set[str]:
    """All columns that a mapping file names."""
    document = yaml.safe_load((ROOT / "mappings" / f"{mapping}.yaml").read_text("utf-8"))
    named = {document["consent"]}
    for source in document["keys"].values():
        columns = source["from"] if isinstance(source, dict) else source
        named |= set(columns) if isinstance(columns, list) else {columns}
    return named
