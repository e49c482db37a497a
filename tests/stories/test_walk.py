"""Random walks: people join, change, share e-mails, opt out and leave; after every export the audience is as a model says.

The model restates the rules in plain Python: match-keys.md principle 7, contract.md §4, and what the sandbox says of removals.
"""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from connector import Config, DestinationWish, Options, add_destination, export_segment
from tests.by_hand import digest_of, sha

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Person = tuple[str, str, str]  # external id, e-mail, first name
SEGMENTS = ("north", "south")
CONFIG = """\
segments:
  north: {from: north.csv, mapping: crm, to: [demo]}
  south: {from: south.csv, mapping: crm, to: [demo]}
suppress:
  - {from: out.csv, mapping: crm}
guards: {min_profiles: 0, max_shrink: 1}
"""
MAPPING = """\
key_identifier: email
keys: {external_id: id, email: email, first_name: name}
consent: consent
"""


def row(person: Person) -> tuple[tuple[str, str], ...]:
    """A person's row as the sandbox keeps it."""
    return tuple(sorted({"EXTERN_ID": person[0], "EMAIL": sha(person[1]), "FN": sha(person[2])}.items()))


def email_of(member: tuple[tuple[str, str], ...]) -> str:
    return dict(member)["EMAIL"]


@dataclass
class Model:
    """What the audience should hold, and what each segment put there."""

    members: set[tuple[tuple[str, str], ...]] = field(default_factory=set)
    slices: dict[str, set[Person]] = field(default_factory=lambda: {name: set() for name in SEGMENTS})

    def refresh(self, segment: str, source: list[Person], agreed: set[str], out: set[str], *, mirror: bool) -> None:
        mine = self.slices[segment]
        barred = {p for p in mine if p[1] in out}
        consenting = [p for p in source if p[0] in agreed]
        unchanged = {p for p in consenting if p in mine and p not in barred}
        accepted = self._firsts([p for p in consenting if p not in mine and p[1] not in out], unchanged)
        gone = mine - unchanged
        if not mirror:
            withdrawn = {p[0] for p in source if p[0] not in agreed}
            gone = {p for p in gone if p in barred or p[0] in withdrawn}
        stays = mine - gone
        self._take_out(gone, stays | set(accepted) | self._others(segment, out))
        self.members |= {row(p) for p in accepted}
        self.slices[segment] = stays | set(accepted)

    def replace(self, segment: str, source: list[Person], agreed: set[str], out: set[str]) -> None:
        accepted = self._firsts([p for p in source if p[0] in agreed and p[1] not in out], set())
        self.members = {row(p) for p in accepted}
        self.slices = {name: set() for name in SEGMENTS} | {segment: set(accepted)}

    def remove(self, segment: str, source: list[Person], out: set[str]) -> None:
        ids = {p[0] for p in source}
        everyone = {p for mine in self.slices.values() for p in mine}
        emails = {p[1] for p in source} | {p[1] for p in everyone if p[0] in ids}
        barred = {p for p in self.slices[segment] if p[1] in out}
        held = {p[1] for p in (self.slices[segment] - barred) | self._others(segment, out)}
        emails |= {p[1] for p in barred if p[1] not in held}
        self.members = {m for m in self.members if email_of(m) not in {sha(e) for e in emails}}
        self.slices = {name: {p for p in mine if p[1] not in emails} for name, mine in self.slices.items()}

    def _others(self, segment: str, out: set[str]) -> set[Person]:
        return {p for name, mine in self.slices.items() if name != segment for p in mine if p[1] not in out}

    def _firsts(self, candidates: list[Person], unchanged: set[Person]) -> list[Person]:
        """Whoever's hashed cells, or id, stand with somebody accepted before is a duplicate."""
        cells, ids = {p[1:] for p in unchanged}, {p[0] for p in unchanged}
        accepted = []
        for person in candidates:
            if person[1:] not in cells and person[0] not in ids:
                accepted.append(person)
                cells.add(person[1:])
                ids.add(person[0])
        return accepted

    def _take_out(self, gone: set[Person], staying: set[Person]) -> None:
        held = {p[1] for p in staying}
        emails = {sha(p[1]) for p in gone if p[1] not in held}
        self.members = {m for m in self.members if email_of(m) not in emails}

    def digest(self) -> str:
        return digest_of(map(dict, self.members))


class Walk:
    """The world the segments are made from."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.dice = folder, random.Random(seed)
        self.people: dict[str, list[Person]] = {name: [] for name in SEGMENTS}
        self.agreed: set[str] = set()
        self.out: set[str] = set()
        self.born = 0

    def change(self) -> None:
        for _ in range(self.dice.randint(1, 6)):
            people = self.people[self.dice.choice(SEGMENTS)]
            what = self.dice.choice(
                ["join", "join", "join", "leave", "email", "name", "consent", "out", "shuffle", "twice"]
            )
            if what == "join" or not people:
                self.born += 1
                people.append((f"p{self.born}", self._email(), self._name()))
                self.agreed.add(people[-1][0])
                continue
            at = self.dice.randrange(len(people))
            person = people[at]
            if what == "leave":
                people.pop(at)
            elif what == "email":
                people[at] = (person[0], self._email(), person[2])
            elif what == "name":
                people[at] = (person[0], person[1], self._name())
            elif what == "consent":
                self.agreed ^= {person[0]}
            elif what == "out":
                self.out ^= {self._email()}
            elif what == "twice":
                other = self.people[self.dice.choice(SEGMENTS)]
                if person not in other:
                    other.append(person)
            else:
                self.dice.shuffle(people)
        self._write()

    def _email(self) -> str:
        return f"e{self.dice.randint(1, 30)}@example.com"

    def _name(self) -> str:
        return self.dice.choice(["mary", "rené", "愛子"])

    def _write(self) -> None:
        for name, people in self.people.items():
            with (self.folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["id", "email", "name", "consent"])
                writer.writerows([*p, "yes" if p[0] in self.agreed else "no"] for p in people)
        lines = ["email", *sorted(self.out or {"nobody@example.org"})]
        (self.folder / "out.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("seed", range(5))
def test_after_every_export_the_audience_is_as_the_model_says(
    tmp_path: Path, sandbox: dict[str, Any], members: Callable[[], list[dict[str, Any]]], seed: int
) -> None:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "connector.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    walk, model = Walk(tmp_path, seed), Model()
    walk.change()
    config = Config.load(tmp_path)
    wish = DestinationWish(
        "demo", sandbox["ad_account"], new_audience="Walk", business=sandbox["business"], accept_data_terms=True
    )
    audience_id = add_destination(config, wish).audience_id
    for step in range(24):
        segment = walk.dice.choice(SEGMENTS)
        mode = walk.dice.choices(["mirror", "add", "replace", "remove"], [14, 4, 2, 1])[0]
        source = walk.people[segment]
        if mode in {"replace", "remove"} and not any(p[0] in walk.agreed and p[1] not in walk.out for p in source):
            mode = "mirror"
        report = export_segment(config, segment, options=Options(mode=mode, allow_shrink=True))
        if mode == "remove":
            model.remove(segment, source, walk.out)
        elif mode == "replace":
            model.replace(segment, source, walk.agreed, walk.out)
        else:
            model.refresh(segment, source, walk.agreed, walk.out, mirror=mode == "mirror")
        (audience,) = [a for a in members() if a["id"] == audience_id]
        assert (audience["members"], audience["digest"]) == (len(model.members), model.digest()), (step, segment, mode)
        assert report.tally.read == len(source)
        walk.change()
