"""Killed at any step, again and again, the source changing in between: the next whole run ends with just the right members.

What a person is known by differs from version to version, so that the right members are those of the last source and nobody
else, to the last cell. Where people share e-mails, phones and names, see ``test_modes.py``; the last test here kills those walks.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.killing import Ended, Narrow, export_in_process
from tests.sandbox_control import calm, change_world, held, script
from tests.versions import AFTER, BEFORE, MAPPING, People, rightly, write_people

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = """\
segments:
  people: {from: people.csv, mapping: crm, to: [demo]}
  others: {from: others.csv, mapping: crm, to: [demo]}
guards: {min_profiles: 0, max_shrink: 1}
"""
KILLED = -9


@dataclass
class Storm:
    """A workspace, its audience, and a die."""

    folder: Path
    base_url: str
    dice: random.Random
    kills: int = 0
    steps: int = 150
    others: set[tuple[int, int]] = field(default_factory=set)

    def write(self, people: People, name: str = "people") -> None:
        write_people(self.folder / f"{name}.csv", people)

    def invent(self) -> People:
        who = self.dice.sample(range(30), self.dice.randrange(4, 22))
        return {n: self.dice.choice([0, 0, 0, 1, 2]) for n in who}

    def export(self, *, kill: bool = False, name: str = "people", **options: Any) -> Ended:
        """Run; with ``kill`` up to a step anywhere in the run, whose length is learnt from whole ones."""
        at = self.dice.randrange(1, self.steps + 1) if kill else None
        ended = export_in_process(self.folder, name, kill_at=at, allow_shrink=True, replace_confirmed=True, **options)
        self.kills += ended.code == KILLED
        if ended.code == 0:
            self.steps = max(self.steps // 2, ended.steps)
        assert ended.code in {0, KILLED}, ended.said
        return ended

    def check(self, people: People) -> None:
        assert held(self.base_url) == rightly(set(people.items()) | self.others)


@pytest.fixture
def storm(workspace: Path, sandbox: dict[str, Any], add_demo: Callable[..., None]) -> Callable[[int], Storm]:
    def storm(seed: int) -> Storm:
        (workspace / "connector.yaml").write_text(CONFIG, encoding="utf-8")
        (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
        add_demo()
        return Storm(workspace, sandbox["base_url"], random.Random(seed))

    return storm


def flip(storm: Storm, steps: range) -> None:
    """From one source to the other and back, killed at every one of these steps."""
    storm.write(BEFORE)
    storm.export()
    for number, step in enumerate(steps):
        people = BEFORE if number % 2 else AFTER
        storm.write(people)
        killed = export_in_process(storm.folder, "people", kill_at=step, allow_shrink=True)
        assert killed.code in {0, KILLED}, killed.said
        storm.kills += killed.code == KILLED
        whole = storm.export()
        storm.check(people)
        assert whole.said["rows"]["left"] == whole.said["rows"]["left_to_remove"] == 0


def test_a_run_killed_at_any_step_is_gone_on_with(storm: Callable[[int], Storm]) -> None:
    sky = storm(1)
    flip(sky, range(3, 260, 13))
    assert sky.kills >= 15


def blow(sky: Storm, rounds: int) -> None:
    """Kill one to three runs, each with another source, then look after a whole one."""
    for _ in range(rounds):
        for _ in range(sky.dice.choice([1, 1, 2, 3])):
            sky.write(sky.invent())
            sky.export(kill=True, full=sky.dice.random() < 0.1)
        people = sky.invent()
        sky.write(people)
        sky.export()
        sky.check(people)


def test_runs_killed_while_the_source_changes_leave_nobody_behind(storm: Callable[[int], Storm]) -> None:
    sky = storm(2)
    blow(sky, 12)
    assert sky.kills >= 10


def test_a_first_export_killed_at_any_step_is_gone_on_with(storm: Callable[[int], Storm]) -> None:
    sky = storm(3)
    sky.write(BEFORE)
    codes = [export_in_process(sky.folder, "people", kill_at=step).code for step in range(5, 205, 20)]
    assert set(codes) <= {0, KILLED}
    assert codes.count(KILLED) >= 5
    sky.export()
    sky.check(BEFORE)


def test_killed_in_every_mode_and_two_segments(storm: Callable[[int], Storm]) -> None:
    """A replacement that was cut off takes effect when Meta closes its window; whoever was taken out comes back by mirror."""
    sky = storm(4)
    every_mode(sky, 8)
    assert sky.kills >= 5


def every_mode(sky: Storm, rounds: int) -> None:
    for _ in range(rounds):
        sky.write(sky.invent())
        sky.export()
        mode = sky.dice.choice(["replace", "remove", "add", "mirror"])
        name = sky.dice.choice(["people", "others"])
        sky.write(sky.invent(), name)
        sky.export(kill=True, mode=mode, name=name)
        if mode == "replace":
            change_world(sky.base_url, advance_seconds=7200)
        people, others = sky.invent(), {n + 50: v for n, v in sky.invent().items()}
        for name, source in (("people", people), ("others", others)):
            sky.write(source, name)
            sky.export(name=name)
        sky.write(people)
        sky.export()
        sky.others = set(others.items())  # they stay in the audience, whatever comes next
        sky.check(people)


def test_killed_and_cut_off_by_the_network(storm: Callable[[int], Storm]) -> None:
    codes = cut_off(storm(5), 6)
    assert KILLED in codes
    assert 6 in codes


def cut_off(sky: Storm, rounds: int) -> list[int]:
    """Gives how the runs ended that were cut off, by a fault of the network or by a kill."""
    codes = []
    for _ in range(rounds):
        do = sky.dice.choice(["drop_before", "drop_after", "truncate", "html"])
        fault = {"edge": "users", "do": do, "after": sky.dice.randrange(4), "times": sky.dice.choice([1, 2, 40])}
        script(sky.base_url, fault)
        sky.write(sky.invent())
        at = sky.dice.choice([None, sky.dice.randrange(sky.steps)])
        ended = export_in_process(sky.folder, "people", kill_at=at, allow_shrink=True)
        assert ended.code in {0, 6, KILLED}, ended.said
        codes.append(ended.code)
        calm(sky.base_url)
        people = sky.invent()
        sky.write(people)
        sky.export()
        sky.check(people)
    return codes


def test_a_disk_that_is_full_stops_the_run_and_the_next_one_goes_on(storm: Callable[[int], Storm]) -> None:
    """No file may grow beyond a size that the state database stays below and a part of the ledger does not."""
    sky = storm(6)
    people = dict.fromkeys(range(7000), 0)
    sky.write(people)
    ended = export_in_process(sky.folder, "people", narrow=Narrow(50_000, 10_000, 400_000))
    assert (ended.code, ended.said.get("code")) == (6, "ledger.write"), ended
    left = [path for path in (sky.folder / ".connector" / "ledger").rglob("*") if path.is_file()]
    assert left == [], "half a file is no file"
    export_in_process(sky.folder, "people", narrow=Narrow(50_000, 10_000))
    sky.check(people)


@pytest.mark.stress
@pytest.mark.parametrize("seed", range(8))
def test_hundreds_of_kills(storm: Callable[[int], Storm], seed: int) -> None:
    sky = storm(100 + seed)
    blow(sky, 40)
    every_mode(sky, 15)
    cut_off(sky, 15)
    assert sky.kills >= 50


@pytest.mark.stress
def test_killed_at_each_single_step(storm: Callable[[int], Storm]) -> None:
    sky = storm(7)
    flip(sky, range(1, 320))
    assert sky.kills >= 200
