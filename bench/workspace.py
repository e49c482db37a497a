"""A workspace to export from, a sink to export to, and one export as a process of its own, measured.

Owns what a run is and when it counts: what the sink received must be what the report says. Imports nothing heavy: a child's
peak memory includes that of the process it was forked from.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DATA = Path(__file__).parent / "data"
LATENCY_MS = 200
SEGMENT, DESTINATION = "people", "bench"
KEYS = {
    "13 keys": {
        "external_id": "customer_id", "email": "email", "phone": "phone", "first_name": "first_name",
        "last_name": "last_name", "gender": "gender", "birth_date": "birth_date", "city": "city", "state": "state",
        "postal_code": "postal_code", "country": "country",
    },
    "EMAIL+PHONE": {"email": "email", "phone": "phone"},
    "EMAIL": {"email": "email"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Child:
    """What one process came to: seconds, CPU seconds (user and system), peak memory in MB, standard output."""

    wall: float
    cpu: float
    memory: float
    out: str


@dataclass(frozen=True, slots=True)
class Export:
    """One export: the process, its report, and what the sink counted meanwhile."""

    child: Child
    report: dict[str, Any]
    sink: dict[str, Any]

    @property
    def digests(self) -> int:
        """Cells that were hashed and sent."""
        return sum(cell["sent"] for code, cell in self.report["cells"].items() if code != "EXTERN_ID")


def run_child(command: Sequence[str], env: dict[str, str] | None = None) -> Child:
    """Run a program to its end.

    Raises:
        SystemExit: it failed; with the end of what it said.
    """
    inherited = dict(os.environ)
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled once, and not at every start
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, env={**inherited, **(env or {})})
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        said = out.read().decode()
        if process.returncode:
            raise SystemExit(
                f"{' '.join(command[:6])} … ended with {process.returncode}\n{said}{err.read().decode()}"[-3000:]
            )
    return Child(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6, said)


def connector(*words: str, env: dict[str, str] | None = None) -> Child:
    """Run ``connector``."""
    return run_child([sys.executable, "-m", "connector", *words], env)


def module(name: str, *words: str) -> Any:
    """Run a module of the bench in a process of its own and read the JSON it prints last."""
    return json.loads(run_child([sys.executable, "-m", f"bench.{name}", *words]).out.splitlines()[-1])


def profiles(rows: int, *, csv: bool = False, changed: bool = False) -> Path:
    """Give the file of so many profiles, made when it is not there; ``changed`` differs from it in one row of a hundred."""
    path = DATA / f"profiles-{rows}{'-changed' if changed else ''}.{'csv' if csv else 'parquet'}"
    if not path.exists():
        part = path.with_name(f"part-{path.name}")
        if changed:
            run_child([sys.executable, "-m", "bench.changes", str(profiles(rows)), str(part)])
        else:
            run_child([sys.executable, "-m", "bench.profiles", str(rows), str(part)])
        part.rename(path)
    return path


@dataclass(frozen=True, slots=True)
class Target:
    """A running sink and how to talk to it."""

    known: dict[str, Any]

    @property
    def env(self) -> dict[str, str]:
        """What connector needs to find it."""
        return {
            "CONNECTOR_GRAPH_URL": self.known["base_url"], "CONNECTOR_TOKEN": self.known["token"],
            "CONNECTOR_KEY": "5e" * 32,
        }  # fmt: skip

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call a path of it."""
        request = urllib.request.Request(self.known["base_url"] + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Bearer {self.known['token']}")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return json.load(answer)

    def received(self) -> dict[str, Any]:
        """What it counted since the last reset."""
        return dict(self.call("GET", "/_sandbox/state")["sink"])


@contextmanager
def sink(latency_ms: int = LATENCY_MS) -> Iterator[Target]:
    """Run a sink for as long as the block lasts."""
    command = [sys.executable, "-m", "connector", "start", "sandbox", "--sink", "--json", "--latency", str(latency_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            first = process.stdout.readline() if process.stdout else ""
            yield Target(json.loads(first))
        finally:
            process.terminate()
            process.wait(timeout=20)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder with connector.yaml, one mapping, one segment and one destination."""

    folder: Path
    keys: str
    target: Target

    def point_at(self, path: Path, *, but: str | None = None) -> None:
        """Let the segment be that file; ``but`` names a key that is not mapped."""
        mapped = {key: attribute for key, attribute in KEYS[self.keys].items() if key != but}
        mapping = {"key_identifier": "email", "default_country": "US", "keys": mapped}
        config = {
            "segments": {SEGMENT: {"from": str(path), "mapping": "bench", "to": [DESTINATION]}},
            "graph_version": "v25.0",
        }
        (self.folder / "mappings").mkdir(parents=True, exist_ok=True)
        # JSON is YAML too.
        (self.folder / "mappings" / "bench.yaml").write_text(json.dumps(mapping, indent=1))
        (self.folder / "connector.yaml").write_text(json.dumps(config, indent=1))

    def add_destination(self) -> None:
        """Make the audience, through the gate."""
        known = self.target.known
        connector(
            "add", "destination", DESTINATION, "--ad-account", known["ad_account"], "--business", known["business"],
            "--new-audience", "Bench", "--accept-data-terms", "--workspace", str(self.folder), "--json",
            env=self.target.env,
        )  # fmt: skip

    def export(self, *flags: str) -> Export:
        """Export the segment once.

        Raises:
            SystemExit: it failed, or the sink received something else than the report says.
        """
        before = self.target.received()
        command = ("export", "segment", SEGMENT, "--workspace", str(self.folder), "--json", *flags)
        child = connector(*command, env=self.target.env)
        after = self.target.received()
        got = {name: after[name] - before[name] for name in after}
        report = json.loads(child.out)["data"]
        sent = {
            "rows": report["rows"]["added"], "removed": report["rows"]["removed"],
            "bytes": report["batches"]["bytes"], "requests": report["batches"]["sent"],
            "errors": 0, "invalid": 0,
        }  # fmt: skip
        differing = {name: (got[name], told) for name, told in sent.items() if got[name] != told}
        if differing:
            raise SystemExit(f"the sink received something else than the report says (received, told): {differing}")
        return Export(child, report, got)


@contextmanager
def workspace(keys: str, path: Path, target: Target) -> Iterator[Workspace]:
    """Make a workspace with a destination on an emptied sink; gone afterwards."""
    target.call("POST", "/_sandbox/reset")
    DATA.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="workspace-", dir=DATA))
    try:
        made = Workspace(folder, keys, target)
        made.point_at(path)
        made.add_destination()
        yield made
    finally:
        shutil.rmtree(folder)
