"""The measurements, one after the other, into one mapping of plain numbers that the page is written from.

Owns the order and how often. Everything heavy runs in a process of its own (see ``workspace``).
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.bound import bound
from bench.machine import describe
from bench.workspace import DATA, KEYS, module, profiles, run_child, sink, workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.workspace import Export, Target, Workspace

SIZES = (1_000_000, 2_000_000, 5_000_000, 10_000_000)
REPEATED = 2_000_000  # this size and the largest are measured n times, the others once: they are for the curve only
CASES = (*KEYS, "CSV", "again", "bound", "stages", "keys", "phones", "peer", "check")
STAGE_ROWS = 500_000


@dataclass(slots=True)
class Plan:
    """What to measure: ``cases`` of ``CASES``, up to ``most`` profiles, ``runs`` times; ``flags`` for ``connector export``."""

    runs: int = 3
    most: int = 10_000_000
    cases: Sequence[str] = CASES
    flags: Sequence[str] = ()
    sizes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Choose the sizes."""
        self.sizes = self.sizes or sorted({*(size for size in SIZES if size < self.most), self.most})


def measure(plan: Plan, say: Callable[[str], None], found: dict[str, Any]) -> None:
    """Measure everything that the plan names, into ``found``: what is there when it is cut off was measured.

    Raises:
        SystemExit: a run failed, or the sink received something else than a report says.
    """
    began = time.monotonic()
    found |= {"machine": describe(), "most": plan.most, "runs": plan.runs, "flags": list(plan.flags), "exports": []}
    say("making profiles, once …")
    for rows in plan.sizes:
        profiles(rows)
    with sink() as target:
        _exports(plan, target, say, found["exports"])
        if "bound" in plan.cases:
            found["bound"] = bound(plan.most, target, say)
    found |= _alone(plan, say)
    found["minutes"] = round((time.monotonic() - began) / 60, 1)


def _exports(plan: Plan, target: Target, say: Callable[[str], None], done: list[dict[str, Any]]) -> None:
    for keys in (keys for keys in KEYS if keys in plan.cases):
        for rows in plan.sizes:
            runs = plan.runs if rows in {plan.most, REPEATED} else 1
            done.append(_first(keys, rows, runs, target, plan, say))
    if "CSV" in plan.cases:
        for rows in sorted({min(REPEATED, plan.most), plan.most}):
            runs = plan.runs if rows != max(SIZES) else 1
            done.append(_first("13 keys", rows, runs, target, plan, say, csv=True))
    if "again" in plan.cases:
        done += _again(plan, target, say)


def _first(
    keys: str, rows: int, runs: int, target: Target, plan: Plan, say: Callable[[str], None], *, csv: bool = False
) -> dict[str, Any]:
    """First exports, each into a new workspace and audience."""
    path, taken = profiles(rows, csv=csv), []
    for _ in range(runs):
        with workspace(keys, path, target) as made:
            taken.append(_run(made, plan, rows, say, f"first export, {keys}, {path.suffix[1:]}"))
    return {"what": "first", "keys": keys, "format": path.suffix[1:], "rows": rows, "runs": taken}


def _again(plan: Plan, target: Target, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """The second run of an export: unchanged, then with one profile in a hundred changed, to and fro."""
    rows, same, other = plan.most, profiles(plan.most), profiles(plan.most, changed=True)
    unchanged, changed = [], []
    with workspace("13 keys", same, target) as made:
        made.export(*plan.flags)
        for _ in range(plan.runs):
            unchanged.append(_run(made, plan, rows, say, "second run, unchanged"))
            if unchanged[-1]["requests"]:
                raise SystemExit("an unchanged segment was sent again")
        for number in range(plan.runs):
            made.point_at(same if number % 2 else other)
            changed.append(_run(made, plan, rows, say, "second run, 1 % changed"))
    named = {"keys": "13 keys", "format": "parquet", "rows": rows}
    return [{"what": "unchanged", **named, "runs": unchanged}, {"what": "changed", **named, "runs": changed}]


def _run(made: Workspace, plan: Plan, rows: int, say: Callable[[str], None], what: str) -> dict[str, Any]:
    done = numbers(made.export(*plan.flags))
    if done["read"] != rows:
        raise SystemExit(f"{done['read']} profiles were read of {rows}")
    say(
        f"{what}, {rows:,}: {done['wall']:.1f} s (CPU {done['cpu']:.1f} s), {done['memory']:.0f} MB,"
        f" {done['bytes'] / 1e9:.2f} GB and {done['rows']:,} rows at the sink"
    )
    return done


def numbers(export: Export) -> dict[str, Any]:
    """Take the numbers of one export that the page shows."""
    child, report = export.child, export.report
    return {
        "wall": child.wall, "cpu": child.cpu, "memory": child.memory, "start": child.wall - report["seconds"],
        "read": report["profiles"]["read"], "digests": export.digests, "rows": export.sink["rows"],
        "removed": export.sink["removed"], "bytes": export.sink["bytes"], "requests": export.sink["requests"],
        "parsed": export.sink["parsed"], "sink_cpu": export.sink["cpu_seconds"],
    }  # fmt: skip


def _alone(plan: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """Floors, stages, keys, phones, the peer and the check: each in a process of its own, without latency."""
    found: dict[str, Any] = {}
    path = profiles(plan.sizes[0])
    with sink(0) as target:
        known = json.dumps(target.known)
        say("floors …")
        found["floors"] = module("floors", known)
        if "stages" in plan.cases:
            say("each stage alone …")
            stage_rows = min(STAGE_ROWS, plan.sizes[0])
            found["stages"] = [
                module("stages", str(path), str(stage_rows), str(plan.most), known) for _ in range(plan.runs)
            ]
            found["stage_rows"] = stage_rows
    for name, words in (("keys", "match_keys"), ("phones", "phones")):
        if name in plan.cases:
            say(f"{name} alone …")
            found[name] = run_child([sys.executable, "-m", f"bench.{words}"]).out.strip()
    if "peer" in plan.cases:
        say("Meta's own client …")
        found["peer"] = [module("peer", str(path)) for _ in range(plan.runs)]
    if "check" in plan.cases:
        say("20,000 random rows against plain Python …")
        found["check"] = _checked(profiles(plan.most))
    return found


def _checked(path: Path) -> dict[str, Any]:
    folder = tempfile.mkdtemp(prefix="check-", dir=DATA)
    try:
        checked: dict[str, Any] = module("correct", str(path), folder)
    finally:
        shutil.rmtree(folder)
    if checked["differing"]:
        raise SystemExit(f"digests differ from plain Python: {checked['differing']}")
    return checked
