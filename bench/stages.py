"""Each stage of an export alone, on one thread and frame by frame: python -m bench.stages FILE ROWS LEDGER SINK.

The same functions in the same order as an export calls them. Prints one JSON object: per stage, nanoseconds a row; ``difference`` is that of LEDGER rows against as many.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from pydantic import SecretStr

from bench.workspace import SEGMENT, Target, Workspace
from connector.audiences.batch import batches
from connector.audiences.duplicates import Duplicates
from connector.audiences.graph import Graph
from connector.audiences.ledger_files import open_ledger_files
from connector.audiences.ledger_rows import ledger_rows, with_identities
from connector.audiences.members_loading import Piece, read_members
from connector.config import Config
from connector.hashing import Hashed, Hasher
from connector.profiles.fingerprints import Fingerprints, fingerprinter
from connector.profiles.mapping import ROW
from connector.profiles.normalise import Normaliser
from connector.profiles.segments import open_segment
from connector.transform import UNHASHED, hashed_codes, wire_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.profiles.segments import Segment


class Watch:
    """Adds up wall and CPU seconds by stage."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)

    @contextmanager
    def on(self, stage: str) -> Iterator[None]:
        """Count the block."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall[stage] += time.perf_counter() - wall
        self.cpu[stage] += time.process_time() - cpu

    def per(self, rows: int) -> dict[str, dict[str, float]]:
        """Give nanoseconds a row."""
        return {
            name: {"wall_ns": self.wall[name] / rows * 1e9, "cpu_ns": self.cpu[name] / rows * 1e9} for name in self.wall
        }


def walk(segment: Segment, folder: Path, graph: Graph, audience: str, most: int) -> dict[str, dict[str, float]]:
    """Take the profiles through every stage, one after the other."""
    watch, duplicates = Watch(), Duplicates()
    normaliser, hasher = Normaliser(segment.mapping.settings), Hasher(UNHASHED)
    printer = fingerprinter(segment.mapping, bytes(32), value_based=False)
    files = open_ledger_files(str(folder))
    schema, today = wire_schema(segment.mapping), datetime.now(UTC).date()
    chunks, read, number, waiting = segment.chunks(), 0, 0, []
    while read < most:
        with watch.on("read"):
            chunk = next(chunks, None)
        if chunk is None:
            break
        frame, number = chunk.frame, number + 1
        read += frame.height
        with watch.on("fingerprint"):
            prints = printer.of(frame)
        with watch.on("normalise"):
            values = segment.mapping.keys_of(frame, normaliser).values
            values = values.filter(segment.mapping.identified(values))
        with watch.on("hash"):
            hashed = hasher.of(values)
        with watch.on("identities"):
            hashed = with_identities(hashed, hashed_codes(hashed))
        with watch.on("duplicates"):
            hashed = Hashed(hashed.filter(duplicates.firsts(hashed, hashed[ROW])))
        with watch.on("ledger rows"):
            mine = Fingerprints(prints[hashed[ROW]])
            profiles = pl.Series(np.arange(hashed.height, dtype=np.uint32))
            rows = ledger_rows(Hashed(hashed.drop(ROW)), profiles, mine, hashed_codes(hashed), sent=today)
        with watch.on("ledger write"):
            files.write(f"part-{number}.parquet", rows)
        waiting.append(hashed)
        whole = list(batches(waiting, schema))
        waiting = [whole.pop().rows] if whole else []
        for batch in whole:
            with watch.on("JSON body"):
                body = batch.body({"session_id": number, "batch_seq": 1, "last_batch_flag": False})
            with watch.on("send"):
                graph.post(f"{audience}/users", body=body, idempotent=True)
    return watch.per(read)


def difference(rows: int) -> dict[str, dict[str, float]]:
    """Compare so many fingerprints with a ledger of as many, one in a hundred of them another."""
    rng = np.random.default_rng(7)
    high, low = (rng.integers(0, 2**63, rows, dtype=np.uint64) for _ in range(2))
    held = pl.DataFrame({"high": high, "low": low, "rows": 1, "sent": 1, "mask": 1})
    members, _ = read_members([Piece("rows", rows, rows)], lambda: [held])
    low[::100] += np.uint64(1)
    watch, frame = Watch(), 65_536
    with watch.on("difference"):
        for start in range(0, rows, frame):
            part = pl.DataFrame({"high": high[start : start + frame], "low": low[start : start + frame]})
            members.meet(members.find(part))
        gone = len(members.gone)
    if gone != len(range(0, rows, 100)):
        raise SystemExit(f"the difference is wrong: {gone}")
    return watch.per(rows)


def main(path: str, most: str, ledger: str, known: str) -> None:
    target, rows = Target(json.loads(known)), int(most)
    with tempfile.TemporaryDirectory() as folder:
        made = Workspace(Path(folder), "13 keys", target)
        made.point_at(Path(path).resolve())
        segment = open_segment(Config.load(Path(folder)), SEGMENT)
        wish = {"name": "Stages", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
        audience = target.call("POST", f"/v25.0/{target.known['ad_account']}/customaudiences", wish)["id"]
        with Graph(target.known["base_url"], "v25.0", SecretStr(target.known["token"])) as graph:
            walk(segment, Path(folder), graph, audience, 65_536)  # tables are built once
            found = walk(segment, Path(folder), graph, audience, rows)
    print(json.dumps({**found, **difference(int(ledger))}))


if __name__ == "__main__":
    main(*sys.argv[1:])
