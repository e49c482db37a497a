"""The measurements as a page: docs/reference/performance.md and the chart beside it.

Takes the numbers of ``measure`` and the targets; says for each target whether it was met. Measures nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.plot import Chart, draw
from bench.workspace import KEYS, LATENCY_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DOCS = Path(__file__).parent.parent / "docs" / "reference"
PAGE, PLOT = "performance.md", "performance.svg"
FULL = 10_000_000  # the targets are for so many profiles
MOST_MEMORY, GROWTH, CSV_TO_PARQUET, MOST_IN_FLIGHT = 1000, 1.10, 1.4, 32
SECONDS = {
    ("first", "13 keys", "parquet"): 75, ("first", "EMAIL+PHONE", "parquet"): 35, ("first", "EMAIL", "parquet"): 15,
    ("unchanged", "13 keys", "parquet"): 12, ("changed", "13 keys", "parquet"): 15,
}  # fmt: skip
NAMES = {"first": "first export", "unchanged": "second run, unchanged", "changed": "second run, 1 % changed"}
STAGES = {
    "read": "read Parquet", "fingerprint": "fingerprint", "normalise": "normalise, 13 keys", "hash": "hash",
    "identities": "identities of rows", "duplicates": "find duplicates", "ledger rows": "ledger rows",
    "ledger write": "write the ledger", "JSON body": "request body as JSON", "send": "send, no latency", "difference": "difference to a full ledger",
}  # fmt: skip
Found = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One target: what, the limit, and what was measured, in one unit."""

    what: str
    limit: float
    measured: float
    unit: str

    @property
    def row(self) -> str:
        """The table's row."""
        met = "met" if self.measured <= self.limit else "**not met**"
        return f"| {self.what} | ≤ {self.limit:g} {self.unit} | {self.measured:.3g} {self.unit} | {met} |"


def middle(export: Found, name: str) -> float:
    """The median of a number over the runs."""
    return float(median(run[name] for run in export["runs"]))


def spread(export: Found, name: str, form: str = "{:.1f}") -> str:
    """Median, and least and most where there are several runs; a dash where it was not kept."""
    values = [run[name] for run in export["runs"] if name in run]
    if not values:
        return "–"
    between = f" ({form.format(min(values))}–{form.format(max(values))})" if len(values) > 1 else ""
    return form.format(median(values)) + between


def floor_seconds(found: Found, export: Found) -> float:
    """Every digest hashed, every byte copied once and sent once, on all cores and nothing else."""
    floors, one = found["floors"], export["runs"][0]
    gigabytes = one["bytes"] / 1e9
    cpu = one["digests"] * floors["digest_ns"] / 1e9 + gigabytes * (floors["copy"] + floors["send"])
    return float(cpu / found["machine"]["cores"])


def waiting_seconds(export: Found) -> float:
    """What the latency alone costs with as many requests under way as there ever are."""
    return float(math.ceil(export["runs"][0]["requests"] / MOST_IN_FLIGHT) * LATENCY_MS / 1000)


def peer_seconds(found: Found, export: Found) -> tuple[float, float]:
    """CPU seconds of Meta's own client for the same rows: to prepare, and with the encoding."""
    runs = [run[export["keys"]] for run in found["peer"]]
    batches = export["runs"][0]["rows"] / 10_000 / 1000
    prepare = median(run["prepare_ms"] for run in runs)
    return prepare * batches, (prepare + median(run["encode_ms"] for run in runs)) * batches


def pick(found: Found, what: str, keys: str, form: str = "parquet") -> list[Found]:
    """The exports of one kind, by size."""
    return [e for e in found["exports"] if (e["what"], e["keys"], e["format"]) == (what, keys, form)]


def targets(found: Found) -> Iterator[Line]:
    """Compare with what was asked for; only what was measured at ten million is judged."""
    for (what, keys, form), limit in SECONDS.items():
        for export in pick(found, what, keys, form):
            if export["rows"] == FULL:
                yield Line(f"{NAMES[what]}, {keys}: time", limit, middle(export, "wall"), "s")
    for keys in KEYS:
        by_size = {e["rows"]: e for e in pick(found, "first", keys)}
        if FULL in by_size:
            memory = middle(by_size[FULL], "memory")
            yield Line(f"first export, {keys}: peak memory", MOST_MEMORY, memory, "MB")
            if 2_000_000 in by_size:
                grown = memory / middle(by_size[2_000_000], "memory")
                yield Line(f"first export, {keys}: memory at 10 M against 2 M", GROWTH, grown, "×")
    if "bound" in found:
        worst = max(one["memory"] / one["asked"] for one in found["bound"])
        yield Line("peak against `--memory`, the worst of all below", 1.0, worst, "×")
    parquet = {e["rows"]: e for e in pick(found, "first", "13 keys")}
    for export in pick(found, "first", "13 keys", "csv"):
        if export["rows"] in parquet:
            ratio = middle(export, "wall") / middle(parquet[export["rows"]], "wall")
            yield Line(f"CSV against Parquet, {millions(export['rows'])}", CSV_TO_PARQUET, ratio, "×")


def millions(rows: int) -> str:
    """Write a number of profiles short."""
    return f"{rows / 1e6:g} M"


def write(found: Found, to: Path = DOCS) -> None:
    """Write the page and the chart."""
    (to / PAGE).write_text(page(found))
    (to / PLOT).write_text(chart(found))


def chart(found: Found) -> str:
    """Draw seconds and memory against millions of profiles."""
    seconds: dict[str, list[tuple[float, float]]] = {}
    memory: dict[str, list[tuple[float, float]]] = {}
    for keys in KEYS:
        for export in pick(found, "first", keys):
            seconds.setdefault(keys, []).append((export["rows"] / 1e6, middle(export, "wall")))
            memory.setdefault(keys, []).append((export["rows"] / 1e6, middle(export, "memory")))
    charts = [Chart("Seconds, first export", seconds), Chart("Peak memory, MB", memory, limit=MOST_MEMORY)]
    return draw(charts, alt="First export: seconds and peak memory against millions of profiles") if seconds else ""


def page(found: Found) -> str:
    """Put the page together."""
    parts = [
        _top(found),
        _targets(found),
        _exports(found),
        _bound(found),
        _floors(found),
        _peer(found),
        _stages(found),
        _texts(found),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _top(found: Found) -> str:
    machine = found["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    flags = f", {', '.join(machine['flags'])}" if machine.get("flags") else ""
    given = f" `connector export segment` was given `{' '.join(found['flags'])}`." if found["flags"] else ""
    remark = f"\n\n**Of these figures:** {found['remark']}" if "remark" in found else ""
    return f"""# Performance

Written by `make bench`, which makes the profiles (fixed seed), runs everything below (as installed: compiled once, not at every start) and writes this page; `make bench-quick` prints the short form in three minutes.

Each export is a process of its own, `connector export segment … --json`, in mirror mode with its ledger, from a file to a [sink](sandbox.md) on the same machine that answers after {LATENCY_MS} ms. Seconds are wall time of the whole process, the start of Python and the access gate included. The sink counts rows and bytes by itself, and a run whose report says anything else is no result.{given} Several runs: median (least–most).

**Machine:** {machine["cores"]} cores ({machine["system"]}{flags}), {machine["memory_gb"]} GB of memory, load before the start {machine["load"]}. **Versions:** {versions}.{remark}

![Seconds and peak memory against millions of profiles]({PLOT})"""


def table(head: Sequence[str], rows: Sequence[str]) -> str:
    """Write a table whose first column is text and the others numbers."""
    return "\n".join([f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}", *rows])


def _targets(found: Found) -> str:
    lines = [line.row for line in targets(found)]
    return "## Targets\n\n" + table(("10 million profiles", "target", "measured", ""), lines) if lines else ""


def _exports(found: Found) -> str:
    rows = [
        f"| {NAMES[e['what']]}, {e['keys']}{', CSV' if e['format'] == 'csv' else ''} | {millions(e['rows'])} | {spread(e, 'wall')} |"
        f" {spread(e, 'start')} | {spread(e, 'cpu')} | {spread(e, 'memory', '{:.0f}')} | {e['rows'] / middle(e, 'wall'):,.0f} |"
        f" {e['runs'][0]['rows']:,} | {e['runs'][0]['bytes'] / 1e9:.2f} | {len(e['runs'])} |"
        for e in found["exports"]
    ]
    if not rows:
        return ""
    head = (
        "export", "profiles", "seconds", "of it start and gate", "CPU s", "peak MB", "profiles/s", "rows at the sink",
        "GB at the sink", "runs",
    )  # fmt: skip
    return "## Exports\n\n" + table(head, rows)


def _bound(found: Found) -> str:
    rows = [
        f"| {one['what']} | {millions(one['rows'])} | {one['asked']:,} | {one['memory']:,.0f} | {one['wall']:.1f} |"
        for one in found.get("bound", [])
    ]
    text = """## Memory asked for

With `--memory` at less than its default of 1 GB, and a refresh of which everybody changed (the mapping has one key more than before), which takes the most: frames have as many rows as still fit beside the ledger. Where nothing fits, the export says what it needs before anything is sent (`memory.little`)."""
    head = ("export", "profiles", "`--memory`, MB", "peak MB", "seconds")
    return f"{text}\n\n{table(head, rows)}" if rows else ""


def _floors(found: Found) -> str:
    floors, first = found["floors"], [e for e in found["exports"] if e["what"] == "first" and e["format"] == "parquet"]
    rows = [
        f"| {e['keys']} | {millions(e['rows'])} | {e['runs'][0]['digests']:,} | {floor_seconds(found, e):.2f} |"
        f" {middle(e, 'wall') / floor_seconds(found, e):.0f} × | {middle(e, 'cpu') / floor_seconds(found, e) / found['machine']['cores']:.0f} × |"
        f" {waiting_seconds(e):.1f} | {middle(e, 'wall') / max(floor_seconds(found, e), waiting_seconds(e)):.1f} × |"
        for e in first
        if e["rows"] == found["most"]
    ]
    text = f"""## Against the floor

The least that any program must do here: hash every digest ({floors["digest_ns"]:.0f} ns each; {floors["hash_by"]}), copy every byte once ({floors["copy"]:.2f} CPU s per GB) and send it down a raw socket to the same sink ({floors["send"]:.2f} CPU s per GB), on all {found["machine"]["cores"]} cores at once. Apart from it, {LATENCY_MS} ms of latency with {MOST_IN_FLIGHT} requests under way bound the time from below."""
    head = (
        "export", "profiles", "digests", "floor, s", "time to floor", "CPU to floor", "latency alone, s",
        "time to the larger of both",
    )  # fmt: skip
    return text + ("\n\n" + table(head, rows) if rows else "")


def _peer(found: Found) -> str:
    first = [
        e for e in found["exports"] if e["what"] == "first" and e["format"] == "parquet" and e["rows"] == found["most"]
    ]
    if not first or "peer" not in found:
        return ""
    rows = []
    for e in first:
        prepare, encoded = peer_seconds(found, e)
        rows.append(
            f"| {e['keys']} | {millions(e['rows'])} | {prepare:.0f} | {encoded:.0f} | {middle(e, 'cpu'):.0f} | {encoded / middle(e, 'cpu'):.1f} × |"
        )
    text = """## Against Meta's own client

`facebook_business` prepares the same rows (`CustomAudience.format_params`: normalise and hash) and encodes them for the wire, three requests of 10,000 rows, scaled. It reads no file, knows no duplicates, keeps no ledger and sends nothing here; our CPU seconds are those of the whole export."""
    head = ("export", "profiles", "its preparation, CPU s", "with encoding, CPU s", "our whole export, CPU s", "ratio")
    return f"{text}\n\n{table(head, rows)}"


def _stages(found: Found) -> str:
    if "stages" not in found:
        return ""
    runs = found["stages"]
    rows = []
    for name in runs[0]:
        wall = median(run[name]["wall_ns"] for run in runs)
        cpu = [run[name]["cpu_ns"] for run in runs]
        between = f" ({min(cpu):,.0f}–{max(cpu):,.0f})" if len(cpu) > 1 else ""
        rows.append(f"| {STAGES[name]} | {median(cpu):,.0f}{between} | {wall:,.0f} | {1e9 / wall:,.0f} |")
    slowest = sorted(runs[0], key=lambda name: -median(run[name]["cpu_ns"] for run in runs))[:3]
    text = f"""## Stages alone

13 keys, {found["stage_rows"]:,} profiles, one frame after the other as an export reads them; the difference is {millions(found["most"])} profiles against a ledger of as many. The three that cost most: {", ".join(STAGES[name] for name in slowest)}."""
    return f"{text}\n\n{table(('stage', 'CPU ns a profile', 'wall ns a profile', 'profiles/s'), rows)}"


def _texts(found: Found) -> str:
    parts = []
    for name, title in (("keys", "Each match key alone"), ("phones", "Phones")):
        if name in found:
            parts.append(f"## {title}\n\n```text\n{found[name]}\n```")
    if "check" in found:
        checked = found["check"]
        parts.append(
            f"## Right as well as fast\n\n{checked['rows']:,} random profiles of the {millions(found['most'])}: {checked['cells']:,} cells compared with plain"
            " Python rules and `hashlib`, none differing. The sink read one body in fifty in full and counted the rows of all:"
            " no error."
        )
    return "\n\n".join(parts)
