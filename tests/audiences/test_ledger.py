"""A slice of the ledger over its book and its files: nothing is forgotten, nothing is believed that was not written."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from connector.audiences.ledger import Ledger, Tidiness, open_ledger, open_ledgers, segments_in
from connector.audiences.ledger_book import LedgerBook, SliceRecord, part_number
from connector.audiences.ledger_files import open_ledger_files
from connector.errors import ConnectorError, SourceError, TransientError
from connector.state import State
from tests.audience_model import Person
from tests.ledger_people import kept_rows, prints_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


KEY, OTHER_KEY = bytes(32), b"\x01" * 32
LOW = Tidiness(waste=0.2, least_waste=1, parts=5, rows=4)


def person(number: int) -> Person:
    return Person(f"id{number}", (f"e{number}@x.example",), (f"650555{number:04}",))


def people(*numbers: int) -> list[Person]:
    return [person(number) for number in numbers]


@dataclass
class Place:
    """A state database and a ledger folder. Each run is a new opening, as in a new process."""

    state: State
    root: Path
    runs: list[str] = field(default_factory=list)

    def run(self) -> str:
        begun = self.state.start_run(segment="a", destination="d", mode="mirror", audience_id="12")
        self.runs.append(begun.id)
        return begun.id

    def open(
        self, *, segment: str = "a", key: bytes = KEY, anew: bool = False, any_key: bool = False, plan: bool = False,
        run_id: str | None = None,
    ) -> Ledger:  # fmt: skip
        files = open_ledger_files(str(self.root))
        run_id = None if plan else run_id or self.run()
        return open_ledger(
            self.state, files, audience_id="12", segment=segment, key=key, run_id=run_id, anew=anew, any_key=any_key
        )

    def record(self, segment: str = "a") -> SliceRecord:
        record = LedgerBook(self.state).slice("12", segment)
        assert record is not None
        return record

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.root.rglob("*") if path.is_file())

    def refused(self, **how: object) -> ConnectorError:
        before = {path: path.read_bytes() for path in self.files}
        with pytest.raises(ConnectorError) as raised:
            self.open(**how)  # type: ignore[arg-type]
        assert {path: path.read_bytes() for path in self.files} == before
        return raised.value


@pytest.fixture
def place(state_url: str, tmp_path: Path) -> Iterator[Place]:
    with State.open(state_url) as state:
        yield Place(state, tmp_path / "ledger")


@pytest.fixture
def quick_place(tmp_path: Path) -> Iterator[Place]:
    """On SQLite only: for what no SQL decides."""
    with State.open(f"sqlite:///{tmp_path}/state.db") as state:
        yield Place(state, tmp_path / "ledger")


def add(ledger: Ledger, some: list[Person], *, held: int | None = None) -> int:
    part = ledger.intend(kept_rows(some))
    ledger.hold({part: len(some) if held is None else held})
    return part


def numbers(ledger: Ledger, some: list[Person]) -> np.ndarray:
    found = ledger.members.find(prints_of(some))
    assert (found >= 0).all()
    return found


def standing(ledger: Ledger) -> dict[str, str]:
    """Whom a slice holds, by external id, and how surely."""
    members = ledger.members
    said = np.where(members.leaving, "leaving", np.where(members.held, "held", "in doubt"))
    return {
        row["external_id"]: str(said[row["number"]])
        for frame in ledger.details(ledger.everyone(), ("external_id",))
        for row in frame.iter_rows(named=True)
    }


def test_a_slice_tells_the_next_run_whom_it_holds_and_how_surely(place: Place) -> None:
    ledger = place.open()
    assert len(ledger.members) == 0
    add(ledger, people(1, 2, 3, 4), held=2)
    again = place.open()
    assert standing(again) == {"id1": "held", "id2": "held", "id3": "in doubt", "id4": "in doubt"}
    again.leave(numbers(again, people(1, 3)))
    assert standing(place.open()) == {"id1": "leaving", "id2": "held", "id3": "leaving", "id4": "in doubt"}
    again.strike(numbers(again, people(1)))
    add(again, people(3, 5))
    assert standing(place.open()) == {"id2": "held", "id3": "held", "id4": "in doubt", "id5": "held"}


def test_what_stands_in_the_book_is_what_lies_there(place: Place) -> None:
    ledger = place.open()
    add(ledger, people(1, 2))
    ledger = place.open()
    ledger.leave(numbers(ledger, people(2)))
    record = place.record()
    assert [(part.kind, part.rows, part.held) for part in record.parts] == [("rows", 2, 2), ("leaving", 1, 0)]
    assert [path.name for path in place.files] == [part.file for part in record.parts]
    assert [part.run_id for part in record.parts] == place.runs
    assert all(len(part.checksum) == 64 for part in record.parts)
    assert record.generation == 4, "begun, entered, held, left"
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in place.files)


def test_two_runs_that_write_at_once_are_kept_apart(place: Place) -> None:
    add(place.open(), people(1))
    first, second = place.open(), place.open()
    add(first, people(2))
    for attempt in (
        lambda: add(second, people(3)),
        lambda: second.hold({1: 0}),
        second.doubt,
        second.clear,
        lambda: second.strike(np.array([0])),
    ):
        with pytest.raises(TransientError) as overtaken:
            attempt()
        assert overtaken.value.code == "ledger.overtaken"
    assert standing(place.open()) == {"id1": "held", "id2": "held"}, "the file of the first is as it was"


def test_whoever_reads_while_another_run_tidies_is_told_to_come_again(place: Place) -> None:
    add(place.open(), people(1, 2, 3))
    reader, writer = place.open(), place.open()
    writer.erase(numbers(writer, people(2)))
    with pytest.raises(TransientError) as overtaken:
        list(reader.details(reader.everyone()))
    assert overtaken.value.code == "ledger.overtaken"
    assert standing(place.open()) == {"id1": "held", "id3": "held"}


def test_a_run_that_lost_its_turn_sweeps_nothing_of_the_next_one(quick_place: Place) -> None:
    add(quick_place.open(), people(1))
    late, following = quick_place.open(), quick_place.open()
    add(following, people(2))
    late.finish()
    assert standing(quick_place.open()) == {"id1": "held", "id2": "held"}


def test_what_was_erased_lies_in_no_file(quick_place: Place) -> None:
    ledger = quick_place.open()
    add(ledger, people(1, 2, 3))
    ledger = quick_place.open()
    gone = next(iter(ledger.details(numbers(ledger, people(2)))))
    words = [gone[f"EMAIL_{n}"][0].to_bytes(8, "little") for n in range(4)]
    assert all(any(word in path.read_bytes() for path in quick_place.files) for word in words)
    ledger.erase(numbers(ledger, people(2)))
    assert not any(word in path.read_bytes() for path in quick_place.files for word in words)
    assert standing(quick_place.open()) == {"id1": "held", "id3": "held"}


def test_a_slice_is_looked_through_for_the_members_that_are_meant_and_no_others(place: Place) -> None:
    ledger = place.open()
    for some in (people(1, 2, 3), people(4, 5), people(6)):
        add(ledger, some)
    ledger = place.open()

    def look(frame: pl.DataFrame, mine: np.ndarray) -> tuple[list[str], list[str]]:
        return frame["external_id"].to_list(), frame.filter(pl.Series(mine))["external_id"].to_list()

    found = list(ledger.look_through(numbers(ledger, people(2, 6, 3)), ("external_id",), look))
    assert found == [(["id1", "id2", "id3"], ["id2", "id3"]), (["id6"], ["id6"])]
    assert not list(ledger.look_through(np.zeros(0, dtype=np.int64), ("external_id",), look))


def test_a_slice_is_written_anew_when_much_of_it_is_waste(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.audiences.ledger.TIDY", LOW)
    ledger = place.open()
    add(ledger, people(*range(1, 11)), held=8)
    ledger = place.open()
    ledger.leave(numbers(ledger, people(1, 2)))
    ledger.strike(numbers(ledger, people(1)))
    before = place.open()
    expected, rows = standing(before), {row[0]: row for f in before.details(before.everyone()) for row in rows_of(f)}
    before.finish()
    assert [part.kind for part in place.record().parts] == ["rows", "rows", "rows", "leaving"]
    assert [path.name for path in place.files] == [part.file for part in place.record().parts]
    again = place.open()
    assert standing(again) == expected
    assert {row[0]: row for f in again.details(again.everyone()) for row in rows_of(f)} == rows
    again.finish()
    assert place.record().parts == before._record.parts, "nothing left to tidy"


def rows_of(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    """What is kept of each, but for the member's number."""
    return frame.drop("number").select("external_id", *sorted(set(frame.columns) - {"number", "external_id"})).rows()


def test_many_small_parts_are_put_together(quick_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.audiences.ledger.TIDY", Tidiness(parts=3))
    ledger = quick_place.open()
    for number in range(5):
        add(ledger, people(number))
    quick_place.open().finish()
    assert [part.rows for part in quick_place.record().parts] == [5]


def test_rows_that_meta_refused_are_in_doubt_again(quick_place: Place) -> None:
    ledger = quick_place.open()
    part = add(ledger, people(1, 2, 3))
    refused = ledger.doubt_rows(part, [1])
    assert refused["external_id"].to_list() == ["id2"]
    assert standing(quick_place.open()) == {"id1": "held", "id2": "in doubt", "id3": "held"}


def test_a_session_that_came_short_makes_only_its_own_rows_doubtful(quick_place: Place) -> None:
    add(quick_place.open(), people(1))
    ledger = quick_place.open()
    add(ledger, people(2))
    ledger.doubt_this_run()
    assert standing(quick_place.open()) == {"id1": "held", "id2": "in doubt"}


def test_a_replacement_doubts_all_and_ends_with_its_own(place: Place) -> None:
    add(place.open(), people(1, 2))
    ledger = place.open()
    ledger.doubt()
    assert set(standing(place.open()).values()) == {"in doubt"}
    add(ledger, people(2, 3))
    ledger.forget_earlier()
    ledger.finish()
    assert standing(place.open()) == {"id2": "held", "id3": "held"}
    assert len(place.files) == 1


def test_a_slice_that_was_wiped_is_there_and_empty(quick_place: Place) -> None:
    add(quick_place.open(), people(1))
    quick_place.open().clear()
    assert quick_place.files == []
    assert standing(quick_place.open()) == {}


def test_whoever_lingers_is_kept_by_what_is_left_of_them(quick_place: Place) -> None:
    add(quick_place.open(), people(1, 2))
    ledger = quick_place.open()
    rows = kept_rows(people(2)).with_columns(EMAIL_0=None)
    ledger.linger(rows)
    again = quick_place.open()
    assert standing(again) == {"id1": "held", "id2": "leaving"}
    (left,) = again.details(numbers(again, people(2)), ("EMAIL_0", "PHONE_0"))
    assert (left["EMAIL_0"].to_list(), left["PHONE_0"].null_count()) == ([None], 0)


def test_coverage_counts_those_who_stay(quick_place: Place) -> None:
    assert quick_place.open(plan=True).coverage() == {}
    ledger = quick_place.open()
    add(ledger, [person(1), Person("id2", ("e2@x.example",)), Person("id3", (), ("6505550003",)), person(4)], held=3)
    ledger = quick_place.open()
    ledger.leave(numbers(ledger, people(4)))
    share = ledger.coverage()
    assert (share["EMAIL"], share["PHONE"], share["EXTERN_ID"], share["MADID"]) == (2 / 3, 2 / 3, 1.0, 0.0)
    assert ledger.present.sum() == 3


# --- opening ---------------------------------------------------------------------------------------------------------


def test_a_plan_writes_nothing(place: Place) -> None:
    assert len(place.open(plan=True).members) == 0
    assert LedgerBook(place.state).slices() == []
    add(place.open(), people(1))
    before, record = {path: path.read_bytes() for path in place.files}, place.record()
    place.files[0].write_bytes(b"")
    assert len(place.open(plan=True, anew=True).members) == 0
    assert place.record() == record
    next(iter(before)).write_bytes(before[place.files[0]])
    assert standing(place.open(plan=True)) == {"id1": "held"}


def test_files_that_the_book_does_not_know_are_told_and_begun_with(place: Place, tmp_path: Path) -> None:
    add(place.open(), people(1, 2, 3), held=1)
    ledger = place.open()
    ledger.strike(numbers(ledger, people(3)))
    with State.open(f"sqlite:///{tmp_path}/fresh/state.db") as fresh:
        lost = Place(fresh, place.root)
        error = lost.refused()
        assert (type(error), error.code) == (SourceError, "ledger.unknown")
        assert lost.refused(plan=True).code == "ledger.unknown"
        begun = lost.open(anew=True)
        assert standing(begun) == {f"id{n}": "in doubt" for n in (1, 2, 3)}, "who is out may be asked out again"
        assert begun.lost == 0
        add(begun, people(1))
        assert standing(lost.open())["id1"] == "held"
        assert min(part_number(part.file) for part in lost.record().parts[1:]) == 3, "no name means two files"


def test_a_file_that_a_crash_left_between_file_and_book_is_in_doubt(place: Place) -> None:
    add(place.open(), people(1))
    crashed = place.open()
    record = place.record()
    crashed.intend(kept_rows(people(1, 2)))
    undo(place, record)
    assert standing(place.open(plan=True)) == {"id1": "held"}, "a plan leaves it lie"
    assert standing(place.open()) == {"id1": "held", "id2": "in doubt"}
    assert place.record().next_part == record.next_part + 1
    crashed = place.open()
    record = place.record()
    crashed.strike(numbers(crashed, people(1)))
    undo(place, record)
    assert standing(place.open()) == {"id1": "leaving", "id2": "in doubt"}, (
        "its removal was begun; whether it was made…"
    )


def test_a_file_of_a_crash_that_nobody_can_read_is_swept_for_its_rows_were_never_sent(quick_place: Place) -> None:
    add(quick_place.open(), people(1))
    run_id = quick_place.run()
    half = quick_place.files[0].with_name(f"000002-{run_id}.parquet")
    half.write_bytes(b"half")
    ledger = quick_place.open()
    assert standing(ledger) == {"id1": "held"}
    add(ledger, people(2))
    ledger.finish()
    assert half not in quick_place.files
    assert standing(quick_place.open()) == {"id1": "held", "id2": "held"}


def undo(place: Place, record: SliceRecord) -> None:
    """Let the book be as it was, as if the transaction had never come."""
    book = LedgerBook(place.state)
    book.begin(record, instead_of=place.record())


def test_a_half_written_file_beside_is_no_part_and_is_swept(quick_place: Place) -> None:
    add(quick_place.open(), people(1))
    folder = quick_place.files[0].parent
    for name in (
        f".000001-{quick_place.runs[0]}.parquet.77",
        ".000002-x.parquet.78",
        "000001-gone.parquet",
        "notes.txt",
    ):
        (folder / name).write_bytes(b"half")
    ledger = quick_place.open()
    assert standing(ledger) == {"id1": "held"}
    add(ledger, people(2))
    ledger.finish()
    assert sorted(path.name for path in quick_place.files) == [
        *(part.file for part in quick_place.record().parts),
        "notes.txt",
    ]


def test_an_older_book_is_told_by_one_file_and_by_many(place: Place) -> None:
    add(place.open(), people(1))
    old = place.record()
    for more in (2, 3):
        add(place.open(), people(more))
        newest = place.record()
        undo(place, old)
        forget_run(place, place.runs[-1])
        error = place.refused()
        assert (error.code, place.refused(plan=True).code) == ("ledger.newer", "ledger.newer")
        assert "--full" in str(error.hint)
        undo(place, newest)
    undo(place, old)
    begun = place.open(anew=True)
    assert (standing(begun), begun.lost) == (dict.fromkeys(("id1", "id2", "id3"), "in doubt"), 0)


def test_a_copy_of_the_book_made_in_the_middle_of_a_run_is_older_too(place: Place) -> None:
    """It knows the run; a crash leaves one file behind, and never two."""
    ledger = place.open()
    add(ledger, people(1))
    old = place.record()
    add(ledger, people(2))
    one_more = place.record()
    add(ledger, people(3))
    undo(place, old)
    assert place.refused().code == "ledger.newer"
    undo(place, one_more)
    assert standing(place.open()) == {"id1": "held", "id2": "held", "id3": "in doubt"}


def forget_run(place: Place, run_id: str) -> None:
    """As in a copy of the database that was made before the run."""
    import sqlalchemy as sa

    from connector.schema import RUNS

    with place.state.session() as connection:
        connection.execute(sa.delete(RUNS).where(RUNS.c.id == run_id))


def test_another_key_is_told_and_what_it_wrote_is_still_of_use(place: Place) -> None:
    add(place.open(), people(1, 2))
    error = place.refused(key=OTHER_KEY)
    assert (error.code, "segment a" in error.message) == ("ledger.key", True)
    assert standing(place.open(key=OTHER_KEY, any_key=True)) == {"id1": "held", "id2": "held"}
    assert place.refused(key=OTHER_KEY).code == "ledger.key", "looking does not make it ours"
    begun = place.open(key=OTHER_KEY, anew=True)
    assert (standing(begun), begun.lost) == ({"id1": "in doubt", "id2": "in doubt"}, 0)
    assert place.refused().code == "ledger.key"


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_what_can_be_read_is_kept_and_what_cannot_is_counted(place: Place, damage: str) -> None:
    ledger = place.open()
    for some in ((1, 2), (3,), (4, 5, 6)):
        add(ledger, people(*some))
    ledger = place.open()
    ledger.leave(numbers(ledger, people(1)))
    path = place.files[2]
    if damage == "missing":
        path.unlink()
    else:  # still a whole Parquet file, and it names somebody else
        word = kept_rows(people(5))["EMAIL_3"][0].to_bytes(8, "little")
        path.write_bytes(path.read_bytes().replace(word, bytes([word[0] ^ 1]) + word[1:]))
    error = place.refused()
    assert (error.code, path.name in error.message) == (f"ledger.{damage}", True)
    assert place.open(anew=True, plan=True).lost == 3
    begun = place.open(anew=True)
    assert (standing(begun), begun.lost) == (dict.fromkeys(("id1", "id2", "id3"), "in doubt"), 3)
    begun.finish()
    for _ in range(2):
        assert place.open(anew=True).lost == 3, "and not asked for again"
    place.files[0].unlink()
    assert place.open(anew=True).lost == 5
    replacing = place.open()
    add(replacing, people(9))
    replacing.forget_earlier()
    assert place.open().lost == 0


def test_what_lost_its_parts_is_tidied_with_the_count_of_them(
    quick_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(quick_place.open(), people(1, 2))
    add(quick_place.open(), people(3))
    quick_place.files[0].unlink()
    quick_place.open(anew=True)
    monkeypatch.setattr("connector.audiences.ledger.TIDY", LOW)
    ledger = quick_place.open()
    add(ledger, people(4, 5, 6))
    ledger = quick_place.open()
    ledger.strike(numbers(ledger, people(5)))
    ledger.finish()
    again = quick_place.open()
    assert (set(standing(again)), again.lost) == ({"id3", "id4", "id6"}, 2)
    again.clear()
    assert quick_place.open().lost == 0


def test_somebody_elses_files_are_not_taken_for_ours(place: Place, tmp_path: Path) -> None:
    add(place.open(), people(1))
    with State.open(f"sqlite:///{tmp_path}/elsewhere/state.db") as state:
        theirs = Place(state, tmp_path / "theirs")
        add(theirs.open(), people(7, 8))
        for path in place.files:
            path.unlink()
        for path in theirs.files:
            path.rename(place.root / path.relative_to(theirs.root))
    assert place.refused().code == "ledger.missing"
    begun = place.open(anew=True)
    assert (standing(begun), begun.lost) == ({}, 1)


def test_a_file_that_cannot_be_opened_is_not_given_up(quick_place: Place) -> None:
    add(quick_place.open(), people(1))
    path, content = quick_place.files[0], quick_place.files[0].read_bytes()
    path.unlink()
    path.symlink_to(path.name)  # it is there, and nobody can open it
    for anew in (False, True):
        assert quick_place.refused(anew=anew).code == "ledger.unreadable"
    path.unlink()
    path.write_bytes(content)
    assert standing(quick_place.open()) == {"id1": "held"}


def test_a_slice_begun_anew_twice_at_once_is_begun_by_one(place: Place) -> None:
    add(place.open(), people(1))
    record = place.record()
    place.files[0].unlink()
    place.open(anew=True)
    with pytest.raises(TransientError):
        LedgerBook(place.state).begin(record, instead_of=record)


def test_the_segments_of_an_audience_are_those_in_the_book_and_those_that_lie_there(place: Place) -> None:
    for segment in ("a", "b/ü x"):
        add(place.open(segment=segment), people(1))
    files = open_ledger_files(str(place.root))
    files.write("12/c/000001-x.parquet", kept_rows(people(1)))
    (place.root / "12" / "empty").mkdir()
    assert segments_in(place.state, files, "12") == ["a", "b/ü x", "c"]
    assert segments_in(place.state, files, "13") == []
    with pytest.raises(SourceError, match="segment c"):
        open_ledgers(place.state, files, audience_id="12", key=KEY, run_id=None)
    add(place.open(segment="a"), people(7))
    others = open_ledgers(place.state, files, audience_id="12", key=OTHER_KEY, run_id=None, but="a", anew=True)
    assert [standing(other) for other in others] == [{"id1": "held"}, {"id1": "in doubt"}]


# --- random walks ----------------------------------------------------------------------------------------------------


@dataclass
class Walk:
    """A slice and what it should say, through any order of steps and openings."""

    place: Place
    dice: random.Random
    told: dict[int, str] = field(default_factory=dict)

    def step(self, ledger: Ledger) -> None:
        there = sorted(self.told)
        some = self.dice.sample(there, self.dice.randint(0, len(there)))
        what = self.dice.choice(["add", "add", "leave", "strike", "both", "erase"])
        if what == "add":
            new = self.dice.sample(range(20), self.dice.randint(1, 6))
            held = self.dice.randint(0, len(new))
            add(ledger, people(*new), held=held)
            for place, number in enumerate(new):
                sure = place < held or self.told.get(number) == "held"
                self.told[number] = "held" if sure else "in doubt"
            return
        chosen = numbers(ledger, people(*some)) if some else np.zeros(0, dtype=np.int64)
        if what in {"leave", "both"}:
            ledger.leave(chosen)
            self.told |= dict.fromkeys(some, "leaving")
        if what in {"strike", "both"}:
            ledger.strike(chosen)
        if what == "erase":
            ledger.erase(chosen)
        if what != "leave":
            for number in some:
                del self.told[number]


@pytest.mark.parametrize("tidy", [LOW, Tidiness()])
def test_whatever_the_steps_a_new_opening_says_the_same(
    quick_place: Place, tidy: Tidiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.audiences.ledger.TIDY", tidy)
    walk = Walk(quick_place, random.Random(26_11_21))
    for _ in range(40):
        ledger = quick_place.open()
        assert standing(ledger) == {f"id{number}": said for number, said in walk.told.items()}
        walk.step(ledger)
        ledger.finish()
        assert {path.name for path in quick_place.files} == {part.file for part in quick_place.record().parts}
