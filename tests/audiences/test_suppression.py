"""Who must not be there, by any e-mail, phone or id, among rows to send and among members; the forgotten only by keyed marks."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.audiences.suppression import MATCHED_BY, Forgotten, PersonSet, marks_of
from connector.hashing import Hashed
from connector.state import State
from tests.audience_model import Person, cells
from tests.ledger_people import hashed_rows, kept_rows, prints_of, slice_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FEW = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
KEY = bytes(range(32))
people = st.lists(
    st.builds(
        Person,
        id=st.sampled_from(["", "1", "2"]),
        emails=st.lists(st.sampled_from(["a@x", "b@x", "c@x"]), max_size=2, unique=True).map(tuple),
        phones=st.lists(st.sampled_from(["6505550001", "6505550002"]), max_size=2, unique=True).map(tuple),
    ),
    max_size=6,
    unique=True,
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State.open(f"sqlite:///{tmp_path}/state.db") as state:
        yield state


def known_of(some: list[Person]) -> dict[str, set[str]]:
    rows = [row for person in some for row in person.rows()]
    return {code: cells(rows, code) for code in MATCHED_BY}


def meets(person: Person, known: dict[str, set[str]]) -> bool:
    return any(cells(person.rows(), code) & known[code] for code in MATCHED_BY)


@FEW
@given(listed=people, present=people)
def test_a_suppressed_person_is_met_by_any_of_their_identifiers(
    state: State, tmp_path: Path, listed: list[Person], present: list[Person]
) -> None:
    suppressed, known = PersonSet(), known_of(listed)
    for person in listed:
        suppressed.add(hashed_rows([person])[0])
    assert bool(suppressed) == any(known.values())
    hashed, _ = hashed_rows(present)
    rows = [row for person in present for row in person.rows()]
    assert suppressed.hits(hashed).to_list() == [any(cells([row], c) & known[c] for c in MATCHED_BY) for row in rows]

    ledger = slice_of(state, tmp_path / "ledger", kept_rows(present), held=0)
    found = suppressed.members(ledger)
    assert found[ledger.members.find(prints_of(present))].tolist() == [meets(person, known) for person in present]

    marks = {mark for c in MATCHED_BY for mark in marks_of(pl.Series(sorted(known[c]), dtype=pl.String), c, KEY)}
    forgotten = Forgotten(KEY, frozenset(marks))
    assert forgotten.hits(hashed).to_list() == suppressed.hits(hashed).to_list()
    assert forgotten.members(ledger).tolist() == found.tolist()
    assert not Forgotten(bytes(32), frozenset(marks)).members(ledger).any(), "with another key it names nobody"


@pytest.mark.parametrize("listed", [Person("", ("b@x",)), Person("", ("c@x",)), Person("", (), ("6505550002",))])
def test_a_second_email_and_a_second_phone_count_as_much(state: State, tmp_path: Path, listed: Person) -> None:
    present = [Person("1", ("a@x", "b@x", "c@x"), ("6505550001", "6505550002")), Person("2", ("d@x",))]
    ledger, suppressed = slice_of(state, tmp_path / "ledger", kept_rows(present), held=0), PersonSet()
    suppressed.add(hashed_rows([listed])[0])
    found = suppressed.members(ledger)
    assert found[ledger.members.find(prints_of(present))].tolist() == [True, False]


def test_a_mark_is_a_hash_with_the_key_and_the_kind() -> None:
    cell = "ab" * 32
    marks = marks_of(pl.Series([cell, None]), "EMAIL", KEY).to_list()
    assert marks == [hashlib.sha256(f"{KEY.hex()}\x1fEMAIL\x1f{cell}".encode()).hexdigest(), None]
    others = {marks_of(pl.Series([cell]), "PHONE", KEY).item(), marks_of(pl.Series([cell]), "EMAIL", bytes(32)).item()}
    assert len(others - set(marks)) == 2


def test_nobody_is_on_an_empty_list() -> None:
    rows = Hashed(pl.DataFrame({"EMAIL": ["ab" * 32]}))
    assert not PersonSet()
    assert not Forgotten(KEY, frozenset())
    assert PersonSet().hits(rows).to_list() == Forgotten(KEY, frozenset()).hits(rows).to_list() == [False]


def test_blanks_are_nobodys_identifier() -> None:
    blank = Hashed(
        pl.DataFrame({"EMAIL": [None], "EXTERN_ID": [None]}, schema={"EMAIL": pl.String, "EXTERN_ID": pl.String})
    )
    people_ = PersonSet()
    people_.add(blank)
    assert not people_
    people_.add(Hashed(pl.DataFrame({"EMAIL": ["ab" * 32]})))
    assert people_.hits(blank).to_list() == [False]
