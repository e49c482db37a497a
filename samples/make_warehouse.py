"""Build a small warehouse for samples/lapsed.sql: python samples/make_warehouse.py [FILE], from profiles.parquet.

Writes a SQLite file (default .connector/warehouse.db, which git ignores) and prints the line that tells connector where it is.
"""

from __future__ import annotations

import argparse
import shlex
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import polars as pl

HERE = Path(__file__).resolve().parent
COLUMNS = {
    "customer_key": pl.col("customer_id"),
    "email_address": pl.col("emails").list.first(),
    "phone_number": pl.col("mobile"),
    "given_name": pl.col("first_name"),
    "family_name": pl.col("last_name"),
    "sex": pl.col("gender"),
    "born_on": pl.col("birth_date").cast(pl.String),
    "town": pl.col("city"),
    "region": pl.col("state"),
    "zip": pl.col("postal_code"),
    "country_code": pl.col("country"),
    "orders_last_12m": pl.col("orders_12m"),
    "last_order_on": pl.col("last_order").cast(pl.String),
    "lifetime_value": pl.col("lifetime_value"),
    "marketing_opt_in": pl.col("consent_ads").cast(pl.Int8),
}


def build_warehouse(file: Path) -> int:
    """Write the table ``customers`` into a new SQLite file and count its rows."""
    customers = pl.read_parquet(HERE / "profiles.parquet").select(**COLUMNS)
    kinds = {pl.Int32: "INTEGER", pl.Int8: "INTEGER", pl.Float64: "REAL"}
    columns = ", ".join(f"{name} {kinds.get(type(kind), 'TEXT')}" for name, kind in customers.schema.items())
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(f"CREATE TABLE customers ({columns})")
        marks = ", ".join("?" * customers.width)
        database.executemany(f"INSERT INTO customers VALUES ({marks})", customers.iter_rows())
    return customers.height


def main() -> None:
    """Build the file and say how to use it: the export line alone on stdout, for ``eval``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", default=HERE.parent / ".connector" / "warehouse.db")
    file = parser.parse_args().file.resolve()
    rows = build_warehouse(file)
    print(f"{rows:,} customers. Now type this line, then: connector export segment lapsed", file=sys.stderr)
    print(f"export WAREHOUSE_URL={shlex.quote(f'sqlite:///{file}')}")


if __name__ == "__main__":
    main()
