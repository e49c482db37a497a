"""The source changes while an export reads it twice: whoever changed in between waits for the next run, and nobody is lost.

With the bounds on memory at their lowest, whatever has to be sent is read a second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from connector import Config, Options, export_segment
from tests.by_hand import adds_up, digest_of, sha
from tests.relay import Request, relay_to
from tests.sandbox_control import held

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from connector.report import Progress

    Run = Callable[..., Any]

CONFIG = """\
segments:
  people: {from: people.KIND, mapping: crm, to: [demo]}
guards: {min_profiles: 1, max_shrink: 1}
"""
MAPPING = "key_identifier: email\nkeys: {external_id: id, email: email}\n"
People = dict[int, str]  # who, by which e-mail

FIRST: People = {n: f"p{n}" for n in range(300)}
# Compared: 20 gone, 30 with another e-mail, 40 new; one of those takes over the e-mail of somebody who is gone.
SECOND: People = {n: f"p{n}{'b' if n < 50 else ''}" for n in range(20, 300)} | {n: f"p{n}" for n in range(300, 340)}
SECOND[339] = "p0"
# Read again: of those, 5 are changed once more, 10 are gone, and 6 are new; of the unchanged 7 are gone.
THIRD: People = {n: text for n, text in SECOND.items() if not 300 <= n < 310 and not 100 <= n < 107}
THIRD |= {n: f"p{n}c" for n in range(20, 25)} | {n: f"p{n}" for n in range(400, 406)}
CHANGED = 15


def digest(people: People) -> tuple[int, str]:
    """Just these, and the row whose e-mail was taken over: by it the new holder would be taken out too."""
    rows = [*people.items(), (0, "p0")]
    cells = ({"EXTERN_ID": str(n), "EMAIL": sha(f"{text}@x.example")} for n, text in rows)
    return len(rows), digest_of(cells)


@dataclass
class Place:
    """A workspace, and the sandbox."""

    folder: Path
    kind: str
    base_url: str

    def put(self, people: People) -> None:
        """Replace the file as a careful program does, whole."""
        table = pl.DataFrame(
            {"id": [str(n) for n in people], "email": [f"{text}@x.example" for text in people.values()]}
        )
        beside = self.folder / f"beside.{self.kind}"
        (table.write_csv if self.kind == "csv" else table.write_parquet)(beside)
        beside.replace(self.folder / f"people.{self.kind}")

    def export(self, told: Callable[[Progress], None] = lambda _: None) -> dict[str, Any]:
        options = Options(on_progress=told, workers=1)
        report = export_segment(Config.load(self.folder), "people", options=options).to_json()
        assert adds_up(report)
        assert (report["rows"]["left"], report["rows"]["left_to_remove"]) == (0, 0)
        return report

    def then_all_is_right(self) -> None:
        self.export()
        assert held(self.base_url) == digest(THIRD)
        rows = self.export()["rows"]
        assert (rows["to_add"], rows["to_remove"], rows["unchanged"]) == (0, 0, len(THIRD))


@pytest.fixture(params=["csv", "parquet"])
def place(
    workspace: Path,
    sandbox: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    add_demo: Callable[..., None],
) -> Place:
    monkeypatch.setattr("connector.stock.MOST_WAITING", 0)
    monkeypatch.setattr("connector.room.MOST_ROWS", 1)
    monkeypatch.setattr("connector.room.LEAST_ROWS", 1)
    (workspace / "connector.yaml").write_text(CONFIG.replace("KIND", request.param), encoding="utf-8")
    (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    place = Place(workspace, request.param, sandbox["base_url"])
    place.put(FIRST)
    add_demo()
    place.export()
    place.put(SECOND)
    return place


@pytest.mark.parametrize("kept", [0, 100_000], ids=["few kept", "all kept"])
def test_who_changed_between_comparing_and_sending_is_named_and_waits(
    kept: int, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.refresh.MOST_KEPT", kept)

    def told(progress: Progress) -> None:
        if progress.stage == "comparing" and progress.tally.read == len(SECOND):
            place.put(THIRD)

    report = place.export(told)
    assert report["profiles"]["skipped"]["source_changed"] == CHANGED
    assert report["profiles"]["read"] == len(SECOND)
    rows = report["rows"]
    assert (rows["to_add"], rows["unchanged"]) == (70 - CHANGED, 250)
    # The new are not sent yet, and who changed is out by what they were known by: as compared, but for who waits.
    sent = {n: text for n, text in SECOND.items() if THIRD.get(n) == text or 100 <= n < 107}
    assert held(place.base_url) == digest(sent)
    place.then_all_is_right()


def test_who_changed_while_others_were_taken_out_has_a_fate_as_well(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is another one from the moment that the first removal is on its way."""
    monkeypatch.setattr("connector.refresh.MOST_KEPT", 0)
    monkeypatch.setattr("connector.room.LEAST_ROWS", 8)  # compared ones have twice as many
    monkeypatch.setattr("connector.room.MOST_ROWS", 8)
    monkeypatch.setattr("connector.profiles.columnar.SLICE_ROWS", 16)
    monkeypatch.setattr("connector.exporting.LOOK_UP_ROWS", 1)
    removals = []

    def change(request: Request) -> bytes:
        if request.method == "DELETE":
            removals.append(request)
            if len(removals) == 1:
                place.put(THIRD)
        return request.body

    with relay_to(place.base_url, change=change) as relay:
        monkeypatch.setenv("CONNECTOR_GRAPH_URL", relay.base_url)
        report = place.export()
        assert removals
        changed = report["profiles"]["skipped"]["source_changed"]
        assert 0 < changed <= CHANGED, "who is sent is read once more, from the file that is there then"
        place.then_all_is_right()
