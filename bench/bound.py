"""Memory: exports that are given little of it, and a refresh in which everybody changed, against what they must stay below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.workspace import profiles, workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.workspace import Export, Target

FEW, LARGE = 2_000_000, 5_000_000
FIRST = (
    ("13 keys", False, "500MB"),
    ("13 keys", True, "500MB"),
    ("EMAIL+PHONE", False, "350MB"),
    ("EMAIL", False, "300MB"),
)
NEW_KEY = "gender"  # the mapping had all keys but this one: every fingerprint is another


def bound(most: int, target: Target, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure each case once: what was asked for, and the peak, in MB."""
    rows = min(FEW, most)
    taken = []
    for keys, csv, size in FIRST:
        with workspace(keys, profiles(rows, csv=csv), target) as made:
            what = f"first export, {keys}{', CSV' if csv else ''}"
            taken.append(_case(what, rows, size, made.export("--memory", size), say))
    for many, size in ((rows, "600MB"), (min(LARGE, most), "800MB")):
        with workspace("13 keys", profiles(many), target) as made:
            made.point_at(profiles(many), but=NEW_KEY)
            made.export()
            made.point_at(profiles(many))
            taken.append(_case("everybody changed, 13 keys", many, size, made.export("--memory", size), say))
    return taken


def _case(what: str, rows: int, size: str, done: Export, say: Callable[[str], None]) -> dict[str, Any]:
    asked = int(size.removesuffix("MB"))
    say(f"{what}, {rows:,}, --memory {size}: {done.child.wall:.1f} s, {done.child.memory:.0f} MB")
    return {"what": what, "rows": rows, "asked": asked, "memory": done.child.memory, "wall": done.child.wall}
