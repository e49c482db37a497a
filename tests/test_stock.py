"""Taking stock, against the comparison told in plain Python, one profile after the other; in frames of any size."""

from __future__ import annotations

import csv
import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from connector import Config
from connector.audiences.suppression import PersonSet
from connector.hashing import Hashed
from connector.profiles.fingerprints import fingerprinter
from connector.profiles.segments import open_segment
from connector.report import Tally
from connector.room import Room
from connector.state import State
from connector.stock import Reading, Stock, take_stock
from tests.audience_model import Person
from tests.ledger_people import kept_rows, slice_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from connector.audiences.ledger import Ledger

KEY = bytes(32)
MAPPING = """\
key_identifier: email
keys: {external_id: id, email: [email, other], phone: phone, first_name: first}
consent: consent
"""


def person(number: int, version: int = 0) -> Person:
    emails = (f"e{number}@x.example", f"o{version}@x.example") if version else (f"e{number}@x.example",)
    return Person(f"id{number}" if number % 3 else "", emails, ("6505550100",) if number % 2 else ())


@dataclass
class Place:
    """A source, and a ledger that was filled from an earlier one."""

    folder: Path
    state: State

    def write(self, people: list[Person]) -> None:
        with (self.folder / "people.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["id", "email", "other", "phone", "first", "consent"])
            for one in people:
                emails, phone = (*one.emails, "")[:2], "".join(f"+1{number}" for number in one.phones)
                table.writerow([one.id, *emails, phone, one.first, "yes" if one.consent else "no"])

    def reading(self, never: PersonSet, frame_rows: int = 3) -> Reading:
        segment = open_segment(Config.load(self.folder), "people")
        return Reading(segment, fingerprinter(segment.mapping, KEY, value_based=False), (never,), room=Room(frame_rows))

    def ledger_of(self, people: list[Person], held: int) -> Ledger:
        """A ledger of these people, the first ``held`` of them acknowledged."""
        self.write([replace(one, consent=True) for one in people])
        prints = [read.prints for read in self.reading(PersonSet()).fingerprinted(Tally(), rows=3)]
        rows = kept_rows([replace(one, last="", postal="") for one in people])
        rows = rows.with_columns(pl.concat(prints).get_columns())
        return slice_of(self.state, self.folder / "ledger", rows, segment="people", key=KEY, held=held)


@pytest.fixture
def place(workspace: Path) -> Iterator[Place]:
    (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    with State.open(f"sqlite:///{workspace}/state.db") as state:
        yield Place(workspace, state)


@dataclass
class Told:
    """What should come out."""

    candidates: list[int]
    unchanged: set[Person]
    gone: set[Person]
    pending: set[Person]
    skipped: Counter[str]


def tell(
    before: dict[Person, bool], now: list[Person], resend: set[Person], barred: set[Person], *, only_leavers: bool
) -> Told:
    told = Told([], set(), set(), set(), Counter())
    met, withdrawn = set(), []
    for number, one in enumerate(now, start=1):
        known = one.attributes()
        if not one.consent:
            told.skipped["no_consent"] += 1
            withdrawn.append(known)
        elif known in barred:
            told.skipped["suppressed"] += 1
        elif known in before and known in met:
            told.skipped["duplicate"] += 1
        else:
            met.add(known)
            if before.get(known) and known not in resend:
                told.unchanged.add(known)
            else:
                told.candidates.append(number)
                told.pending |= {known} if known in before else set()
    told.gone = set(before) - met
    if only_leavers:
        told.gone &= barred | {one for one in before if any(same(one, other) for other in withdrawn)}
    return told


def same(member: Person, refusing: Person) -> bool:
    """By external id if who refuses has one, else by any e-mail."""
    if refusing.id:
        return member.id == refusing.id
    return bool(set(member.emails) & set(refusing.emails))


def compare(place: Place, dice: random.Random, *, only_leavers: bool) -> tuple[Stock, Told, Tally, dict[int, Person]]:
    everybody = [person(n, version) for n in range(12) for version in (0, 0, 1)]
    before = list(dict.fromkeys(dice.sample(everybody, 10)))
    held = dice.randrange(len(before) + 1)
    ledger = place.ledger_of(before, held)
    now = [replace(one, consent=dice.random() > 0.15) for one in dice.choices(everybody, k=25)]
    place.write(now)
    never = PersonSet()
    listed = dice.sample(before, 2)
    ids = [one.id for one in listed if one.id]
    never.add(Hashed(pl.DataFrame({"EXTERN_ID": ids}, schema={"EXTERN_ID": pl.String})))
    barred = {one for one in before if one.id in ids}
    prints = {int(h): n for n, h in enumerate(ledger.members.high)}
    by_number = {}
    place_of = {int(place): number for number, place in enumerate(ledger.members.place)}
    assert len(prints) == len(before)
    for at, one in enumerate(before):
        by_number[place_of[at]] = one
    resend = np.array([dice.random() < 0.2 for _ in before], dtype=bool)
    tally = Tally()
    reading = place.reading(never, frame_rows=dice.choice([1, 3, 100]))
    stock = take_stock(reading, ledger, tally, resend=resend, only_leavers=only_leavers)
    sure = {one: at < held for at, one in enumerate(before)}
    again = {by_number[n] for n in np.flatnonzero(resend).tolist()}
    return stock, tell(sure, now, again, barred, only_leavers=only_leavers), tally, by_number


@pytest.mark.parametrize("only_leavers", [False, True])
@pytest.mark.parametrize("memory", ["enough", "little"])
def test_one_reading_finds_who_is_new_who_stays_and_who_is_gone(
    place: Place, monkeypatch: pytest.MonkeyPatch, memory: str, only_leavers: bool
) -> None:
    if memory == "little":
        monkeypatch.setattr("connector.stock.MOST_WAITING", 0)
    for seed in range(5):
        stock, told, tally, by_number = compare(place, random.Random(seed), only_leavers=only_leavers)
        assert {by_number[n] for n in stock.gone.tolist()} == told.gone, seed
        assert {by_number[n] for n in stock.unchanged.tolist()} == told.unchanged, seed
        assert {by_number[n] for n in np.flatnonzero(stock.pending).tolist()} == told.pending, seed
        assert {reason: n for reason, n in tally.skipped.items() if n} == told.skipped, seed
        assert (tally.read, tally.eligible) == (25, len(told.unchanged)), seed
        rows = sum(len(replace(one, last="", postal="").rows()) for one in told.unchanged)
        assert (tally.unchanged, tally.eligible + tally.extra) == (rows, rows), seed
        keys = Counter(key for one in told.unchanged for key in {pair[0] for row in one.rows() for pair in row})
        assert {code: stock.keys.get(code, 0) for code in ("EMAIL", "PHONE", "EXTERN_ID")} == {
            code: keys[code] for code in ("EMAIL", "PHONE", "EXTERN_ID")
        }, seed
        assert stock.candidates == len(told.candidates), seed
        for _ in range(2):  # as often as wanted
            frames = list(stock.again(Tally()))
            assert [n for some in frames for n in some.numbers.to_list()] == told.candidates, seed
            assert all(some.frame.height == some.numbers.len() for some in frames)


def test_a_source_that_changes_between_two_readings_is_left_for_the_next_run(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.stock.MOST_WAITING", 0)
    ledger = place.ledger_of([person(1), person(2)], 2)
    place.write([person(1), person(3), person(4), person(4)])
    resend = np.zeros(2, dtype=bool)
    stock = take_stock(place.reading(PersonSet()), ledger, Tally(), resend=resend, only_leavers=False)
    assert stock.candidates == 3
    place.write([person(9), person(4), person(1)])
    tally = Tally()
    assert [n for some in stock.again(tally) for n in some.numbers.to_list()] == [2]
    assert tally.skipped["source_changed"] == 2


def test_of_a_segment_never_sent_everybody_is_a_candidate(place: Place) -> None:
    place.write([person(1), replace(person(2), consent=False), person(3)])
    stock = place.reading(PersonSet()).fresh()
    assert (stock.candidates, len(stock.gone), len(stock.unchanged)) == (None, 0, 0)
    tally = Tally()
    assert [n for some in stock.again(tally) for n in some.numbers.to_list()] == [1, 3]
    assert (tally.read, tally.skipped["no_consent"]) == (3, 1)
