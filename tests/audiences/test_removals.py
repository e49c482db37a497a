"""Which identifiers take somebody out, against the rule told person by person: what anybody who stays holds is left alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.audiences.ledger_rows import hex_digests
from connector.audiences.removal_rows import Removal, concat_removals, first_rows, removal_rows
from connector.audiences.removals import Leavers, Staying, Taken
from connector.audiences.take_out import plan_removals
from connector.hashing import Hashed
from connector.state import State
from tests import ledger_people
from tests.audience_model import Person, Row, cells, names_of
from tests.by_hand import sha
from tests.ledger_people import hashed_rows, kept_rows, print_of, prints_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from connector.audiences.ledger import Ledger

FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
emails = st.lists(st.sampled_from(["a@x", "b@x", "c@x", "d@x"]), max_size=3, unique=True).map(tuple)
phones = st.lists(st.sampled_from(["6505550001", "6505550002", "6505550003"]), max_size=2, unique=True).map(tuple)
people = st.builds(
    Person,
    id=st.sampled_from(["", "1", "2", "3"]),
    emails=emails,
    phones=phones,
    first=st.sampled_from(["ann", "bob"]),
    postal=st.sampled_from(["94107", ""]),
)
groups = st.lists(people, max_size=5, unique=True)


@pytest.fixture
def slice_of(tmp_path: Path) -> Iterator[Callable[..., Ledger]]:
    """A slice of people; each call makes it anew."""
    with State.open(f"sqlite:///{tmp_path}/state.db") as state:
        yield lambda *parts: ledger_people.slice_of(state, tmp_path / "ledger", *map(kept_rows, parts))


def numbers(ledger: Ledger, some: list[Person]) -> np.ndarray:
    return ledger.members.find(prints_of(some)) if some else np.zeros(0, dtype=np.int64)


def ids_of(ledger: Ledger, found: np.ndarray, people: list[Person]) -> set[Person]:
    by_number = dict(zip(numbers(ledger, people).tolist(), people, strict=True))
    return {by_number[number] for number in found.tolist()}


def rows_in(removals: Iterable[Removal]) -> list[Row]:
    found: list[Row] = []
    for removal in removals:
        rows = [row for frame in removal.frames() for row in frame.iter_rows(named=True)]
        assert all(list(row) == list(removal.schema) for row in rows)
        assert len(rows) == removal.height
        found += [frozenset((key, value) for key, value in row.items() if value is not None) for row in rows]
    return found


@dataclass
class Told:
    """The rule, one leaver after the other."""

    going: set[Row] = field(default_factory=set)
    hit: set[Person] = field(default_factory=set)
    out: set[Person] = field(default_factory=set)
    lingers: set[Person] = field(default_factory=set)

    def leave(self, person: Person, held: list[Row]) -> None:
        rows = person.rows()
        mine, phones = cells(rows, "EMAIL"), cells(rows, "PHONE")
        kept_back = mine & cells(held, "EMAIL")
        goes = {frozenset({("EMAIL", value)}) for value in mine - kept_back}
        if not mine or kept_back:
            goes |= {frozenset({("PHONE", value)}) for value in phones - cells(held, "PHONE")}
        bare = not mine and not phones
        same_names = bare and names_of(rows[0]) in {names_of(row) for row in held}
        if bare and not same_names:
            goes.add(names_of(rows[0]))
        self.going |= goes
        self.hit |= {person} if goes else set()
        lingers = (not mine and bool(phones & cells(held, "PHONE"))) or same_names
        self.lingers |= {person} if lingers else set()
        self.out |= set() if kept_back or lingers else {person}


@FEW
@given(leaving=groups, staying=groups, added=groups, parts=st.integers(1, 3))
def test_what_nobody_else_holds_goes_and_nothing_more(
    slice_of: Callable[..., Ledger], leaving: list[Person], staying: list[Person], added: list[Person], parts: int
) -> None:
    staying = [person for person in staying if person not in leaving]
    both = leaving + staying
    ledger = slice_of(*(both[n::parts] for n in range(parts)))
    leavers = Leavers(ledger, numbers(ledger, leaving))
    sharing = Staying(leavers, len(ledger.members))
    sharing.keep_members(ledger, numbers(ledger, staying))
    for some in added:
        sharing.keep_rows(hashed_rows([some])[0])
    plan = plan_removals(leavers, sharing)

    told = Told()
    held = [row for person in (*staying, *added) for row in person.rows()]
    for person in leaving:
        told.leave(person, held)
    sent = rows_in(plan.removals)
    assert sorted(map(sorted, sent)) == sorted(map(sorted, told.going)), "each identifier once"
    assert plan.rows == len(sent)
    assert ids_of(ledger, plan.hit, leaving) == told.hit
    assert ids_of(ledger, plan.out, leaving) == told.out
    assert ids_of(ledger, plan.shared, leaving) == set(leaving) - told.out - told.lingers
    assert kept_of(plan.lingering()) == {
        print_of(person): (person.id, cells(person.rows(), "PHONE") & cells(held, "PHONE")) for person in told.lingers
    }


def kept_of(lingering: Iterable[pl.DataFrame]) -> dict[tuple[int, int], tuple[str, set[str]]]:
    """Who lingers, and the phones that are left of them."""
    kept = {}
    for rows in lingering:
        phones = [hex_digests(rows, code) for code in ("PHONE", "PHONE2") if f"{code}_0" in rows.columns]
        for at, (high, low, external_id) in enumerate(rows.select("high", "low", "external_id").rows()):
            kept[high, low] = external_id or "", {one[at] for one in phones} - {None}
    return kept


@FEW
@given(leaving=groups, added=groups)
def test_somebody_who_comes_back_is_known_by_id_else_email_else_phone_else_names(
    slice_of: Callable[..., Ledger], leaving: list[Person], added: list[Person]
) -> None:
    ledger = slice_of(leaving)
    leavers = Leavers(ledger, numbers(ledger, leaving))
    sharing = Staying(leavers, len(ledger.members))
    for some in added:
        sharing.keep_rows(hashed_rows([some])[0])
    rows = [row for person in added for row in person.rows()]
    back = set()
    for person in leaving:
        mine = person.rows()
        known = next((key for key in ("EXTERN_ID", "EMAIL", "PHONE") if cells(mine, key)), None)
        if known is None:
            found = names_of(mine[0]) in {names_of(row) for row in rows}
        elif known == "EXTERN_ID":
            found = bool(cells(mine, known) & cells(rows, known))
        else:
            found = sha_of_first(person, known) in cells(rows, known)
        back |= {person} if found else set()
    assert ids_of(ledger, sharing.returning(leavers), leaving) == back


def sha_of_first(person: Person, key: str) -> str:
    return sha(person.emails[0]) if key == "EMAIL" else sha("1" + person.phones[0])


@FEW
@given(members=groups, asked=groups, ids=st.sets(st.sampled_from(["1", "2", "3"]), max_size=2))
def test_whoever_is_asked_to_be_taken_out_is_found_in_every_slice(
    slice_of: Callable[..., Ledger], members: list[Person], asked: list[Person], ids: set[str]
) -> None:
    ledger = slice_of(members)
    taken = Taken()
    removals = removal_rows(hashed_rows(asked)[0]) if asked else []
    taken.add(removals)
    going = set(rows_in(removals))
    assert going == {shortest(row) for person in asked for row in person.rows()}
    hit, out = taken.members(ledger)
    expected_hit, expected_out = set(), set()
    for person in members:
        rows = person.rows()
        mine = [frozenset({("EMAIL", v)}) for v in cells(rows, "EMAIL")]
        numbers_ = [frozenset({("PHONE", v)}) for v in cells(rows, "PHONE")]
        named = names_of(rows[0]) in going
        if named or any(one in going for one in (*mine, *numbers_)):
            expected_hit.add(person)
        if named or any(some and all(one in going for one in some) for some in (mine, numbers_)):
            expected_out.add(person)
    assert ids_of(ledger, hit, members) == expected_hit
    assert ids_of(ledger, out, members) == expected_out
    taken.add_ids(pl.Series(sorted(ids), dtype=pl.String))
    assert ids_of(ledger, taken.with_ids(ledger), members) == {p for p in members if p.id in ids}


def shortest(row: Row) -> Row:
    """By e-mail, else by phone, else by names and address."""
    by = [frozenset({pair}) for key in ("EMAIL", "PHONE") for pair in row if pair[0] == key]
    return by[0] if by else names_of(row)


def test_whoever_is_known_by_an_id_alone_is_taken_out_by_it(slice_of: Callable[..., Ledger]) -> None:
    """Meta forgets the mapping after 90 days, so only when there is nothing else."""
    nameless = replace(Person("1"), first="", last="", postal="")
    ledger = slice_of([nameless, Person("2"), replace(nameless, id="")])
    leavers = Leavers(ledger, ledger.everyone())
    plan = plan_removals(leavers, Staying(leavers, len(ledger.members)))
    assert {frozenset({("EXTERN_ID", "1")}), names_of(Person("2").rows()[0])} == set(rows_in(plan.removals))
    assert len(plan.out) == 3


def test_many_leavers_are_read_again_instead_of_remembered(
    slice_of: Callable[..., Ledger],
) -> None:
    some = [Person(str(n), (f"e{n}@x",)) for n in range(4)]
    ledger = slice_of(some[:2], some[2:])
    plans = []
    for most in (10, 1):
        leavers = Leavers(ledger, ledger.everyone(), most)
        plans.append(set(rows_in(plan_removals(leavers, Staying(leavers, len(ledger.members))).removals)))
    assert plans[0] == plans[1] == {frozenset({("EMAIL", sha(f"e{n}@x"))}) for n in range(4)}


def removal(code: str, *values: str) -> Removal:
    return Removal.of(Hashed(pl.DataFrame({code: list(values)}, schema={code: pl.String})))


def test_removals_of_a_schema_are_put_together_and_cut_by_a_limit() -> None:
    parts = [removal("PHONE", "p"), removal("EMAIL", "a", "b"), removal("EMAIL"), removal("EMAIL", "b", "c")]
    together = concat_removals(parts)
    assert [(one.schema, rows_given(one)) for one in together] == [
        (("EMAIL",), [("a",), ("b",), ("c",)]),
        (("PHONE",), [("p",)]),
    ]
    assert first_rows(together, None) == together
    for most, heights in ((4, [3, 1]), (3, [3]), (2, [2]), (0, [])):
        kept = first_rows(together, most)
        assert [one.height for one in kept] == [len(rows_given(one)) for one in kept] == heights


def rows_given(one: Removal) -> list[tuple[str, ...]]:
    return [row for frame in one.frames() for row in frame.rows()]


def test_a_row_of_identifiers_that_nobody_is_removed_by_asks_for_nothing() -> None:
    rows = pl.DataFrame({"EXTERN_ID": ["1"], "MADID": ["m"], "LOOKALIKE_VALUE": ["1"]})
    assert removal_rows(Hashed(rows)) == []
