"""python -m bench: measure, and write docs/reference/performance.md. A run of less than everything prints only."""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

from bench import page
from bench.measure import CASES, Plan, measure
from bench.workspace import DATA

QUICK = ("13 keys", "EMAIL+PHONE", "EMAIL", "CSV", "again", "stages", "peer", "check")


def main() -> None:
    """Read the flags and go."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="how often the sizes that targets name are measured")
    parser.add_argument("--most", type=int, default=10_000_000, help="profiles of the largest case")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--flags", default="", help="further flags for connector export segment, in one word")
    parser.add_argument("--quick", action="store_true", help="one million profiles, one run, nothing written")
    parser.add_argument("--again", action="store_true", help="write the page from the last full run's numbers")
    parser.add_argument("--to", type=Path, default=page.DOCS, help="the folder for page and chart")
    asked = parser.parse_args()
    kept = DATA / "results.json"
    if asked.again:
        page.write(json.loads(kept.read_text()), asked.to)
        return
    plan = Plan(runs=asked.runs, most=asked.most, cases=asked.cases, flags=asked.flags.split())
    if asked.quick:
        cases = QUICK if asked.cases == CASES else asked.cases
        plan = Plan(runs=1, most=1_000_000, cases=cases, flags=plan.flags, sizes=[1_000_000])
    began = time.monotonic()
    found: dict[str, Any] = {}
    try:
        measure(plan, partial(say, began), found)
    finally:
        kept.with_name("results-so-far.json").write_text(
            json.dumps(found, indent=1)
        )  # half an hour's work, if it is cut off
    partial_run = set(asked.cases) != set(CASES) or asked.most != page.FULL
    if asked.quick or (partial_run and asked.to == page.DOCS):
        print(page.page(found))
        return
    kept.write_text(json.dumps(found, indent=1))
    page.write(found, asked.to)
    for line in page.targets(found):
        print(line.row)
    print(f"{found['minutes']} minutes; written: {page.PAGE}, {page.PLOT}")


def say(began: float, what: str) -> None:
    """Print how far it is."""
    print(f"[{time.monotonic() - began:5.0f} s] {what}", flush=True)


if __name__ == "__main__":
    main()
