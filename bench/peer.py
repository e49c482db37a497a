"""Meta's own client on the same profiles: python -m bench.peer FILE. CPU milliseconds to prepare one request of 10,000 rows.

Prepare is ``format_params`` (its normalising and hashing); encode is what the client does then to put it on the wire. Dates
are cut into year, month and day before, which is not counted.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import polars as pl
from facebook_business.adobjects.customaudience import CustomAudience

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH, BATCHES = 10_000, 3
CODES = {
    "customer_id": "EXTERN_ID", "email": "EMAIL", "phone": "PHONE", "first_name": "FN", "last_name": "LN", "gender": "GEN",
    "year": "DOBY", "month": "DOBM", "day": "DOBD", "city": "CT", "state": "ST", "postal_code": "ZIP", "country": "COUNTRY",
}  # fmt: skip
CASES = {"13 keys": tuple(CODES), "EMAIL+PHONE": ("email", "phone"), "EMAIL": ("email",)}


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    made = work()
    return (time.process_time() - began) * 1e3, made


def encoded(params: dict[str, Any]) -> str:
    return urlencode({"payload": json.dumps(params["payload"])})


def main(path: str) -> None:
    parts = pl.col("birth_date").str
    frame = (
        pl.scan_parquet(path)
        .head(BATCH * BATCHES)
        .with_columns(year=parts.slice(0, 4), month=parts.slice(5, 2), day=parts.slice(8, 2))
        .select(pl.col(CODES).fill_null(""))
        .collect()
    )
    found = {}
    for name, columns in CASES.items():
        prepare, encode = [], []
        for part in frame.select(columns).iter_slices(BATCH):
            users = [list(row) for row in part.rows()]
            schema = [CODES[c] for c in columns]
            ms, params = spent(partial(CustomAudience.format_params, schema, users, is_raw=True))
            prepare.append(ms)
            encode.append(spent(partial(encoded, params))[0])
        found[name] = {"prepare_ms": statistics.median(prepare), "encode_ms": statistics.median(encode)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
