"""Random walks through every mode, against a model told in plain Python: after each export the audience is just what it says.

Few people with few e-mails, phones and names, so that they share, change, join, drop and come back all the time.
"""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from connector import Config, export_segment
from connector.audiences.ledger import Tidiness
from connector.job import Options
from tests.audience_model import Audience, Outcome, Person, cells
from tests.by_hand import digest_of, sha
from tests.sandbox_control import held, uploads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = """\
segments:
  a: {from: a.csv, mapping: crm, to: [demo]}
  b: {from: b.csv, mapping: crm, to: [demo], refresh_after: 30d}
suppress: [{from: suppressed.csv, mapping: crm}]
guards: {min_profiles: 0, max_shrink: 1}
"""
MAPPING = """\
key_identifier: IDENTIFIER
keys:
  external_id: id
  email: [email1, email2, email3]
  phone: [phone1, phone2, phone3]
  first_name: first
  last_name: last
  postal_code: postal
  country: country
consent: consent
"""
COLUMNS = [
    "id", "email1", "email2", "email3", "phone1", "phone2", "phone3", "first", "last", "postal", "country", "consent",
]  # fmt: skip


@dataclass
class Walk:
    """A workspace with two segments in one audience, and the model beside it."""

    folder: Path
    base_url: str
    dice: random.Random
    model: Audience
    sources: dict[str, list[Person]] = field(default_factory=lambda: {"a": [], "b": []})
    log: list[str] = field(default_factory=list)

    def invent(self) -> Person:
        dice = self.dice

        def some(stem: str, counts: list[int]) -> tuple[str, ...]:
            return tuple(dict.fromkeys(f"{stem}{dice.randrange(7)}" for _ in range(dice.choice(counts))))

        return Person(
            id=dice.choice(["", *(f"id{n}" for n in range(9))]),
            emails=tuple(f"{one}@x.example" for one in some("e", [0, 0, 1, 1, 1, 2, 3])),
            phones=tuple(f"650555012{one[1]}" for one in some("p", [0, 0, 1, 1, 2])),
            first=dice.choice(["ann", "bob"]),
            postal=dice.choice(["94107", "94107", "94108", ""]),
            consent=dice.random() > 0.1,
        )

    def change_source(self, name: str) -> None:
        people, dice = self.sources[name], self.dice
        for _ in range(dice.choice([1, 1, 2, 3, 6])):
            what = dice.choice(
                ["join", "join", "join", "drop", "change", "change", "consent", "move", "borrow", "twice"]
            )
            if what == "join" or not people:
                people.insert(dice.randrange(len(people) + 1), self.invent())
                continue
            at = dice.randrange(len(people))
            if what == "drop":
                del people[at]
            elif what == "change":
                other = self.invent()
                field_ = dice.choice(["id", "emails", "phones", "first", "postal"])
                people[at] = replace(people[at], **{field_: getattr(other, field_)})
            elif what == "consent":
                people[at] = replace(people[at], consent=not people[at].consent)
            elif what == "move":
                people.insert(dice.randrange(len(people)), people.pop(at))
            elif what == "borrow":
                elsewhere = self.sources["b" if name == "a" else "a"]
                people.append(dice.choice(elsewhere) if elsewhere else self.invent())
            else:
                people.insert(dice.randrange(len(people) + 1), people[at])
        self.write(name)

    def write(self, name: str) -> None:
        with (self.folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(COLUMNS)
            for p in self.sources[name]:
                emails, phones = (*p.emails, "", "", "")[:3], (*p.phones, "", "", "")[:3]
                country = "US" if p.postal else ""
                table.writerow(
                    [p.id, *emails, *("+1" + one if one else "" for one in phones), p.first, p.last, p.postal, country,
                     "yes" if p.consent else "no"]
                )  # fmt: skip

    def suppress(self) -> None:
        """Put somebody on the suppression list, or take somebody off."""
        values = {
            "id": [f"id{n}" for n in range(9)],
            "email1": [f"e{n}@x.example" for n in range(7)],
            "phone1": [f"650555012{n}" for n in range(7)],
        }
        lines, by = [], self.model.suppressed.by
        for known in by.values():
            known.clear()
        for _ in range(self.dice.choice([0, 0, 1, 2])):
            column = self.dice.choice(list(values))
            value = self.dice.choice(values[column])
            lines.append({column: ("+1" if column == "phone1" else "") + value})
            key = {"id": "EXTERN_ID", "email1": "EMAIL", "phone1": "PHONE"}[column]
            by[key].add(value if column == "id" else sha(("1" if column == "phone1" else "") + value))
        with (self.folder / "suppressed.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(values))
            table.writeheader()
            table.writerows(lines)

    def export(self, name: str, mode: str = "mirror", *, full: bool = False, limit: int | None = None) -> Outcome:
        """Export for real and in the model, and compare."""
        self.log.append(f"{name} {mode}{' full' if full else ''}{f' limit {limit}' if limit else ''}")
        today = date(1970, 1, 1) + timedelta(days=self.model.today)
        options = Options(
            mode=mode,
            full=full,
            limit=limit,
            allow_shrink=True,
            replace_confirmed=True,
            today=lambda: today,
            workers=1,  # type: ignore[arg-type]
        )
        report = export_segment(Config.load(self.folder), name, options=options).to_json()
        people, rows = self.sources[name], report["rows"]
        if mode == "replace":
            said = self.model.replace(name, people)
        elif mode == "remove":
            said = self.model.remove(name, people)
        else:
            after = 30 if name == "b" else None
            said = self.model.refresh(name, people, add=mode == "add", full=full, limit=limit, after=after)
        where = "\n".join(self.log[-12:])
        counted = {key: count for key, count in report["profiles"]["skipped"].items() if count}
        assert counted == {key: count for key, count in said.skipped.items() if count}, where
        assert (rows["to_add"], rows["unchanged"], rows["to_remove"]) == (
            said.to_add,
            said.unchanged,
            said.to_remove,
        ), where
        assert (rows["added"], rows["removed"], rows["invalid"]) == (said.sent, said.to_remove, 0), where
        self.check(where)
        return said

    def check(self, where: str) -> None:
        """Compare the sandbox with the model, and the model with what must always hold."""
        mine = [member for slice_ in self.model.ledger.values() for member in slice_.values()]
        assert all(row in self.model.members for m in mine if m.sure for row in m.rows), where
        known = {row for member in mine for row in member.rows}
        emails = cells(known, "EMAIL")
        orphans = [row for row in self.model.members - known if not cells([row], "EMAIL") & emails]
        assert orphans == [], f"somebody left and nobody will ever take them out\n{where}"
        rightly = (len(self.model.members), digest_of(dict(row) for row in self.model.members))
        assert held(self.base_url) == rightly, where

    def step(self) -> None:
        dice = self.dice
        name = dice.choice("ab")
        if dice.random() < 0.75:
            self.change_source(name)
        if dice.random() < 0.15:
            self.suppress()
        self.model.today += dice.choice([0, 0, 0, 1, 40])
        mode = dice.choices(["mirror", "add", "remove", "replace"], [14, 4, 2, 1])[0]
        if mode == "replace" and not self.sendable(name):
            mode = "mirror"
        limit = dice.randrange(1, 5) if mode in {"mirror", "add"} and dice.random() < 0.12 else None
        self.export(name, mode, full=dice.random() < 0.1, limit=limit)
        if mode == "mirror" and limit is None and dice.random() < 0.3:
            before = uploads(self.base_url)
            again = self.export(name)
            assert (again.to_add, again.to_remove, uploads(self.base_url)) == (0, 0, before), "\n".join(self.log[-12:])

    def sendable(self, name: str) -> int:
        trial = Audience(self.model.identifier, suppressed=self.model.suppressed)
        return trial.replace("trial", self.sources[name]).to_add

    def everybody_leaves(self) -> None:
        """Whatever happened before: when all have left, nobody is in the audience any more."""
        for name in ("a", "b", "a"):
            self.sources[name] = []
            self.write(name)
            self.export(name)
        assert self.model.members == set(), "\n".join(self.log[-12:])
        assert not any(self.model.ledger.values())


@pytest.fixture
def start(workspace: Path, sandbox: dict[str, Any], add_demo: Callable[..., None]) -> Callable[[int, str], Walk]:
    def start(seed: int, identifier: str) -> Walk:
        (workspace / "connector.yaml").write_text(CONFIG, encoding="utf-8")
        mapping = MAPPING.replace("IDENTIFIER", identifier)
        (workspace / "mappings" / "crm.yaml").write_text(mapping, encoding="utf-8")
        (workspace / "suppressed.csv").write_text("id,email1,phone1\n", encoding="utf-8")
        walk = Walk(workspace, sandbox["base_url"], random.Random(seed), Audience(identifier))
        for name in walk.sources:
            walk.write(name)
        add_demo()
        walk.export("a")  # nobody: the audience is there for the sandbox to tell of
        return walk

    return start


@pytest.fixture
def scarce(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds so low that everything is read again, looked up piece by piece, and written anew all the time."""
    monkeypatch.setattr("connector.refresh.MOST_KEPT", 0)
    monkeypatch.setattr("connector.exporting.LOOK_UP_ROWS", 2)
    monkeypatch.setattr("connector.audiences.duplicates.MOST_PASSES", 2)
    monkeypatch.setattr("connector.stock.MOST_WAITING", 0)
    monkeypatch.setattr("connector.room.MOST_ROWS", 3)
    monkeypatch.setattr("connector.room.LEAST_ROWS", 3)
    monkeypatch.setattr("connector.sending.PART_ROWS", 3)
    monkeypatch.setattr("connector.leaving.MOST_REMEMBERED", 1)
    monkeypatch.setattr("connector.audiences.ledger.TIDY", Tidiness(waste=0.2, least_waste=1, parts=5, rows=4))


@pytest.mark.parametrize("identifier", ["name_and_address", "email", "phone"])
def test_a_random_walk_through_all_modes_ends_with_just_the_right_members(
    start: Callable[[int, str], Walk], identifier: str
) -> None:
    walk = start(20_261_121, identifier)
    for _ in range(25):
        walk.step()
    walk.everybody_leaves()


def test_a_random_walk_with_little_memory_comes_to_the_same(start: Callable[[int, str], Walk], scarce: None) -> None:
    walk = start(11_262_021, "name_and_address")
    for _ in range(25):
        walk.step()
    walk.everybody_leaves()


@pytest.mark.stress
@pytest.mark.parametrize("bounds", ["wide", "low"])
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("identifier", ["name_and_address", "email", "phone"])
def test_long_random_walks(
    start: Callable[[int, str], Walk], identifier: str, seed: int, bounds: str, request: pytest.FixtureRequest
) -> None:
    if bounds == "low":
        request.getfixturevalue("scarce")
    walk = start(seed, identifier)
    for _ in range(60):
        walk.step()
    walk.everybody_leaves()
