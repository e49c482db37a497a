"""A source that looks broken stops an export before anything is sent, whoever wants it so goes on, and both are in the audit."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.by_hand import digest_of, sha
from tests.sandbox_control import held, state_of, uploads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Any]

PEOPLE = 400
EXPORT = ("export", "segment", "people")
CONFIG = """\
segments:
  people: {from: people.csv, mapping: crm, to: [demo]}
guards: {max_shrink: 0.3, min_profiles: LEAST}
"""
MAPPING = "key_identifier: email\nkeys: {external_id: id, email: email, phone: phone}\n"


@dataclass(frozen=True)
class Person:
    """Whoever has no phone has another e-mail too, so that nothing of the former row stays."""

    number: int
    phone: bool = True

    @property
    def email(self) -> str:
        return f"{'p' if self.phone else 'q'}{self.number}@x.example"

    @property
    def line(self) -> str:
        return f"{self.number},{self.email},{f'+1212555{self.number:04}' if self.phone else ''}\n"

    @property
    def cells(self) -> dict[str, str]:
        phone = {"PHONE": sha(f"1212555{self.number:04}")} if self.phone else {}
        return {"EXTERN_ID": str(self.number), "EMAIL": sha(self.email), **phone}


def first(count: int) -> list[Person]:
    return [Person(n) for n in range(count)]


def without_phone(people: list[Person], count: int) -> list[Person]:
    return [replace(person, phone=person.number >= count) for person in people]


@dataclass
class Place:
    """A workspace whose audience holds everybody."""

    folder: Path
    base_url: str
    run: Run

    def write(self, people: list[Person]) -> None:
        (self.folder / "people.csv").write_text("id,email,phone\n" + "".join(p.line for p in people), encoding="utf-8")

    def memory(self) -> tuple[Any, ...]:
        """The ledger: what the book says, and every file."""
        with sqlite3.connect(self.folder / ".connector" / "state.db") as state:
            book = [state.execute(f"SELECT * FROM {table}").fetchall() for table in ("ledger_slice", "ledger_part")]
        state.close()
        files = {p.name: p.read_bytes() for p in (self.folder / ".connector" / "ledger").rglob("*") if p.is_file()}
        return book, files

    def sandbox(self) -> tuple[Any, ...]:
        """What the audience holds, and how often it was written to."""
        return held(self.base_url), uploads(self.base_url), state_of(self.base_url)["sessions"]

    def lines(self, run_id: str) -> list[tuple[str, str, str | None]]:
        """The audit lines of a run, and that the chain is whole."""
        assert self.run("check", "audit").exit_code == 0
        lines = self.run("show", "audit", "--json").envelope["data"]["audit"]
        mine = [line for line in lines if (line["after"] or {}).get("run") == run_id]
        return [(line["action"], line["outcome"], (line["after"] or {}).get("guard")) for line in mine]

    def reasons(self) -> list[str]:
        lines = self.run("show", "audit", "--json").envelope["data"]["audit"]
        return [line["reason"] for line in lines if line["action"] == "guard"]

    def newest(self) -> dict[str, Any]:
        return dict(self.run("list", "runs", "--json").envelope["data"]["runs"][0])

    def stopped(self, code: str, exit_code: int, *flags: str) -> dict[str, Any]:
        """Export: it stops before the first byte, and nothing that anybody remembers has changed."""
        before = self.memory(), self.sandbox()
        said = self.run(*EXPORT, *flags, "--json")
        error = dict(said.envelope["error"])
        assert (said.exit_code, error["code"]) == (exit_code, code), said.out
        assert (self.memory(), self.sandbox()) == before
        return error

    def refused(self, code: str, *flags: str) -> dict[str, Any]:
        """Export: a guard stops it, and the list of runs says which."""
        error, newest = self.stopped(code, 8, *flags), self.newest()
        assert (newest["status"], newest["error_code"]) == ("refused", code)
        return error

    def exported(self, people: list[Person], *flags: str) -> dict[str, Any]:
        """Export: just these people are in the audience then."""
        done = self.run(*EXPORT, *flags, "--json")
        assert done.exit_code == 0, done.out
        assert self.sandbox()[0] == (len(people), digest_of(person.cells for person in people))
        return dict(done.envelope["data"])


@pytest.fixture(params=["few candidates", "many candidates"])
def start(
    workspace: Path,
    sandbox: dict[str, Any],
    run: Run,
    add_demo: Callable[..., None],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Place]:
    if request.param == "many candidates":  # of whom the first are prepared for the guards alone
        monkeypatch.setattr("connector.refresh.MOST_KEPT", 0)

    def start(least: int = 1) -> Place:
        (workspace / "connector.yaml").write_text(CONFIG.replace("LEAST", str(least)), encoding="utf-8")
        (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
        add_demo()
        place = Place(workspace, sandbox["base_url"], run)
        place.write(first(PEOPLE))
        place.exported(first(PEOPLE))
        return place

    return start


@dataclass(frozen=True)
class Case:
    """A source that looks broken, what the guard says of it, and what may just pass."""

    guard: str
    broken: list[Person]
    says: str
    passes: list[Person]
    least: int = 1


CASES = {
    "more leave than may": Case(
        "guard.max_shrink", first(279), "121 of 400 profiles would leave the audience, more than guards.max_shrink (30%)",
        first(280),
    ),
    "too few are there": Case(
        "guard.min_profiles", first(299), "only 299 eligible profiles, fewer than guards.min_profiles (300)", first(300),
        least=300,
    ),
    "nobody is there": Case(
        "guard.empty", [], "there is no eligible profile any more, and the audience holds 400", first(300), least=0
    ),
    "a key is gone for more than half": Case(
        "guard.coverage", without_phone(first(PEOPLE), 201),
        "PHONE is there for 50% of the profiles, and was for 100% in the last run",
        without_phone(first(PEOPLE), 200),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
def test_it_stops_says_the_numbers_and_the_way_out_and_goes_on_when_told_to(
    what: str, start: Callable[..., Place]
) -> None:
    case, everybody = CASES[what], first(PEOPLE)
    place = start(case.least)
    place.write(case.broken)
    error = place.refused(case.guard)
    assert case.says in error["message"]
    assert error["hint"].endswith("If this is right, say --allow-shrink.")
    assert place.lines(place.newest()["id"]) == [("guard", "refused", case.guard), ("export", "refused", None)]
    place.write(case.passes)  # just as many as may be missing
    rows = place.exported(case.passes)["rows"]
    same = len(set(case.passes) & set(everybody))
    assert (rows["unchanged"], rows["to_add"]) == (same, len(case.passes) - same)
    place.write(everybody)
    place.exported(everybody)
    assert place.reasons() == [error["message"]]
    place.write(case.broken)
    report = place.exported(case.broken, "--allow-shrink")
    assert any(case.says in warning and "--allow-shrink went on" in warning for warning in report["warnings"])
    lines = place.lines(report["run"])
    assert ("guard", "overridden", case.guard) in lines
    assert {outcome for action, outcome, _ in lines if action == "guard"} == {"overridden"}


def test_a_plan_that_a_guard_would_stop_is_shown_whole(start: Callable[..., Place]) -> None:
    place = start()
    place.write(first(100))
    planned = place.run("plan", "segment", "people")
    assert planned.exit_code == 8
    assert "300  rows to take out" in planned.out
    assert "an export would stop here" in planned.out
    assert "300 of 400 profiles would leave" in planned.err
    told = place.run("plan", "segment", "people", "--json").envelope
    assert (told["error"]["code"], told["data"]["rows"]["to_remove"]) == ("guard.max_shrink", 300)
    allowed = place.run("plan", "segment", "people", "--allow-shrink", "--json").envelope
    assert (allowed["exit_code"], allowed["data"]["rows"]["to_remove"]) == (0, 300)


def test_profiles_that_are_never_sent_say_nothing_of_coverage(start: Callable[..., Place]) -> None:
    """Each refresh reads them again: their count must not weigh the one new profile that has no phone."""
    place = start()
    newcomer = Person(PEOPLE, phone=False)
    place.write([*first(PEOPLE), newcomer])
    nobody = [f"x{n},,+1202555{n:04}\n" for n in range(2 * PEOPLE)]
    with (place.folder / "people.csv").open("a", encoding="utf-8") as source:
        source.writelines(nobody)
    report = place.exported([*first(PEOPLE), newcomer])
    assert (report["profiles"]["skipped"]["no_identifier"], report["rows"]["to_add"]) == (len(nobody), 1)


def test_a_replacement_is_guarded_as_well(start: Callable[..., Place]) -> None:
    place = start()
    place.write(first(100))
    place.refused("guard.max_shrink", "--mode", "replace")
    place.write(without_phone(first(PEOPLE), 300))
    place.refused("guard.coverage", "--mode", "replace")
    place.write([])
    place.refused("replace.empty", "--mode", "replace", "--allow-shrink")
    place.write(first(100))
    place.exported(first(100), "--mode", "replace", "--allow-shrink")


UNREADABLE = {
    "it is gone": (None, "source.missing"),
    "a line is cut off": (b"id,email,phone\n1,p1@x.example,\n2,p2@x.exa", "source.fields"),
    "it is no text": (b"id,email,phone\n1,p1@x.example,\n2,\0\0\0,\n", "source.text"),
    "it has not even a header": (b"", "source.empty"),
    "a column is missing": (b"id,email\n1,p1@x.example\n", "mapping.column"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_source_that_cannot_be_read_stops_it_and_allow_shrink_is_no_way_around(
    what: str, start: Callable[..., Place]
) -> None:
    content, code = UNREADABLE[what]
    place = start()
    source = place.folder / "people.csv"
    source.unlink() if content is None else source.write_bytes(content)
    for flags in ((), ("--allow-shrink",)):
        place.stopped(code, 2 if code == "mapping.column" else 3, *flags)
    place.write(first(PEOPLE - 5))
    place.exported(first(PEOPLE - 5))
