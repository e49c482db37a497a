"""Change one profile in a hundred: python -m bench.changes FROM TO. Every fifth of them has a new e-mail, the others a new name."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

ONE_IN = 100
NEW_EMAIL_ONE_IN = 500


def changed(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Change every hundredth row: a marriage changes the last name, a new employer the e-mail."""
    number = pl.int_range(pl.len())
    new_email = number % NEW_EMAIL_ONE_IN == 0
    new_name = (number % ONE_IN == 0) & ~new_email
    return frame.with_columns(
        pl.when(new_email).then(pl.lit("new.") + pl.col("email")).otherwise(pl.col("email")).alias("email"),
        pl.when(new_name)
        .then(pl.col("last_name") + pl.lit("-Novak"))
        .otherwise(pl.col("last_name"))
        .alias("last_name"),
    )


def main(source: Path, to: Path) -> None:
    changed(pl.scan_parquet(source)).sink_parquet(to, compression="lz4", row_group_size=250_000, statistics=False)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
