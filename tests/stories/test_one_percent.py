"""Only what changed is sent: one percent of the people change, one percent leave, one percent are new.

What should be sent, and what the audience holds afterwards, is worked out here in plain Python: people, rows and sets.
"""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
import pytest

from tests.alone import export_alone
from tests.by_hand import adds_up, digest_of, sha
from tests.sandbox_control import held, uploads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    Run = Callable[..., Any]

PEOPLE = 20_000
FEW = 2_000
EXPORT = ("export", "segment", "people", "--json")
CONFIG = """\
segments:
  people: {from: people.csv, mapping: crm, to: [demo]}
suppress: [{from: out.csv, mapping: crm}]
guards: {min_profiles: 1}
"""
MAPPING = """\
key_identifier: email
default_country: US
keys:
  external_id: id
  email: [email, work_email, other_email]
  phone: phone
  first_name: first
  last_name: last
  gender: gender
  birth_date: born
  city: city
  state: state
  postal_code: postal
consent: consent
"""
COLUMNS = [
    "id", "email", "work_email", "other_email", "phone", "first", "last", "gender", "born", "city", "state", "postal",
    "country", "consent",
]  # fmt: skip
CODES = (
    "EXTERN_ID", "EMAIL", "PHONE", "FN", "LN", "GEN", "DOBY", "DOBM", "DOBD", "CT", "ST", "ZIP", "COUNTRY",
)  # fmt: skip
# What stands in the source, and what it is by match-keys.md.
FIRST = [("Mary", "mary"), ("René", "rené"), ("愛子", "愛子"), ("Anne-Marie", "annemarie"), ("O'Neil", "oneil")]
LAST = [("Lee", "lee"), ("Müller", "müller"), ("de la Cruz", "delacruz")]
GENDER = [("Female", "f"), ("m", "m"), ("", "")]
PLACES = [
    ("San José", "California", "95112-1234"),
    ("New York", "NY", "10001"),
    ("", "", ""),
    ("Newark", "New Jersey", "7102"),
]
IN_COUNTRY = {
    "us": [("sanjose", "ca", "95112"), ("newyork", "ny", "10001"), ("", "", ""), ("newark", "nj", "07102")],
    "gb": [
        ("sanjose", "california", "951121234"),
        ("newyork", "ny", "10001"),
        ("", "", ""),
        ("newark", "newjersey", "7102"),
    ],
}
CALLING_CODE = {"us": "1", "gb": "44"}
Row = tuple[str, ...]


class Person(NamedTuple):
    """Somebody in one version: each number says which e-mail, phone and first name it is."""

    number: int
    email: int = 0
    phone: int = 0
    first: int = 0
    consent: bool = True

    @property
    def model(self) -> int:
        """Whose attributes these are: some are there a second time under another id."""
        return self.number - 1 if self.number % 1000 == 17 else self.number

    def emails(self) -> list[str]:
        n = self.model
        if n % 500 == 11:
            return []
        owner = n - 1 if n % 50 == 1 else n  # some share the e-mail of the one before
        more = [f"Work{n}@Firm.example"] * (n % 100 == 7) + [f"other{n}@home.example"] * (n % 1000 == 7)
        return [f"Person{owner}.{self.email}@Example.com", *more]

    def digits(self) -> str:
        """The national number; some share the phone of the one before, some have none."""
        n = self.model
        owner = n - 1 if n % 20 == 1 else n
        return "" if n % 10 == 4 else f"212{2_000_000 + owner + 2_000_000 * self.phone}"

    def record(self) -> list[str]:
        """The line in the source."""
        n, digits = self.model, self.digits()
        phone = f"({digits[:3]}) {digits[3:6]}-{digits[6:]}" if digits else ""
        born = f"{1950 + n % 50}-{n % 12 + 1:02}-{n % 28 + 1:02}"
        return [
            f"c{self.number}", *(*self.emails(), "", "", "")[:3], phone, FIRST[(n + self.first) % 5][0], LAST[n % 3][0],
            GENDER[n % 3][0], born, *PLACES[n % 4], "US", "yes" if self.consent else "no",
        ]  # fmt: skip

    def rows(self, default_country: str, country: str) -> list[Row]:
        """What the audience should hold of them, before hashing: a row for each e-mail. ``country`` is the cell, if any."""
        n, digits = self.model, self.digits()
        rest = (
            FIRST[(n + self.first) % 5][1], LAST[n % 3][1], GENDER[n % 3][1], str(1950 + n % 50), f"{n % 12 + 1:02}",
            f"{n % 28 + 1:02}", *IN_COUNTRY[default_country][n % 4], country,
        )  # fmt: skip
        phone = CALLING_CODE[default_country] + digits if digits else ""
        return [(f"c{self.number}", email.lower(), phone, *rest) for email in self.emails()]


@dataclass
class Audience:
    """What a mirror should send, and what is in the audience afterwards."""

    ledger: dict[Any, list[Row]] = field(default_factory=dict)
    members: set[Row] = field(default_factory=set)
    suppressed: set[str] = field(default_factory=set)
    mapped: tuple[str, str] = ("us", "")  # the default country, and the country cell: none is mapped at first

    def mirror(self, source: list[Person]) -> dict[str, Any]:
        skipped: Counter[str] = Counter()
        unchanged: dict[Any, list[Row]] = {}
        candidates = []
        for person in source:
            known = self._known_as(person)
            if not person.consent:
                skipped["no_consent"] += 1
            elif known in unchanged:
                skipped["duplicate"] += 1
            elif known in self.ledger:
                unchanged[known] = self.ledger[known]
            else:
                candidates.append(person)
        fresh = self._fresh(candidates, unchanged, skipped)
        going = self._take_out(unchanged, fresh)
        self.members |= {row for rows in fresh.values() for row in rows}
        self.ledger = {**unchanged, **fresh}
        to_add, stays = (sum(map(len, some.values())) for some in (fresh, unchanged))
        eligible = len(fresh) + len(unchanged)
        return {
            "read": len(source), "eligible": eligible, "skipped": dict(skipped), "extra": to_add + stays - eligible,
            "to_add": to_add, "unchanged": stays, "to_remove": going,
        }  # fmt: skip

    def digest(self) -> str:
        digest = cache(sha)
        unhashed = CODES[0]

        def cells(row: Row) -> dict[str, str]:
            # E-mails, phones and ids are nearly all different: remembering them helps nobody.
            cells = {code: sha(text) for code, text in zip(CODES[1:3], row[1:3], strict=True) if text}
            cells |= {code: digest(text) for code, text in zip(CODES[3:], row[3:], strict=True) if text}
            return cells | {unhashed: row[0]}

        return digest_of(cells(row) for row in self.members)

    def _known_as(self, person: Person) -> Any:
        """What a change is judged by: the attributes, and what the mapping makes of them."""
        return (*person[:4], *self.mapped)

    def _fresh(
        self, candidates: list[Person], unchanged: dict[Any, list[Row]], skipped: Counter[str]
    ) -> dict[Any, list[Row]]:
        seen = {row[1:] for rows in unchanged.values() for row in rows}
        ids = {rows[0][0] for rows in unchanged.values()}
        fresh = {}
        for person in candidates:
            rows = person.rows(*self.mapped)
            new = [row for row in rows if row[1:] not in seen]
            if not rows:
                skipped["no_identifier"] += 1
            elif any(row[1] in self.suppressed for row in rows):
                skipped["suppressed"] += 1
            elif not new or rows[0][0] in ids:
                skipped["duplicate"] += 1
            else:
                fresh[self._known_as(person)] = new
                seen |= {row[1:] for row in new}
                ids.add(new[0][0])
        return fresh

    def _take_out(self, unchanged: dict[Any, list[Row]], fresh: dict[Any, list[Row]]) -> int:
        """By e-mail; by phone who shares an e-mail with somebody who stays. Whatever anybody holds stays."""
        held = [row for some in (unchanged, fresh) for rows in some.values() for row in rows]
        emails, phones = {row[1] for row in held}, {row[2] for row in held} | {""}
        going: set[str] = set()
        for known, rows in self.ledger.items():
            if known not in unchanged:
                mine = {row[1] for row in rows}
                going |= mine - emails
                if mine & emails:
                    going |= {row[2] for row in rows} - phones
        self.members = {row for row in self.members if row[1] not in going and row[2] not in going}
        return len(going)


def first_version(count: int) -> list[Person]:
    """Everybody, some without consent, some twice."""
    once = [Person(n, consent=n % 200 != 3) for n in range(count)]
    return once + [person for person in once if person.number % 1000 == 13]


def next_version(people: list[Person], dice: random.Random) -> list[Person]:
    """One percent changed, in e-mail, phone, both or the name; one percent gone; one percent new."""
    many = len(people) // 100
    chosen = dice.sample(range(len(people)), 2 * many)
    changes: list[dict[str, int]] = [{"email": 1}, {"email": 1, "phone": 1}, {"email": 1}, {"phone": 1}, {"first": 1}]
    changed = {at: people[at]._replace(**changes[at % 5]) for at in chosen[:many]}
    dropped = set(chosen[many:])
    kept = [changed.get(at, person) for at, person in enumerate(people) if at not in dropped]
    begin = max(person.number for person in people) + 1
    return kept + [Person(n, consent=n % 200 != 3) for n in range(begin, begin + many)]


@dataclass
class World:
    """A workspace, the sandbox behind it, and what should be there."""

    folder: Path
    base_url: str
    rightly: Audience

    def write(self, people: Iterable[Person]) -> None:
        with (self.folder / "people.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(COLUMNS)
            table.writerows(person.record() for person in people)

    def suppress(self, people: Iterable[Person]) -> None:
        """Put the e-mails of some on the list, every other as a digest already."""
        lists = [(person.emails()[0], person.number) for person in people if person.number % 500 == 9]
        self.rightly.suppressed = {email.lower() for email, _ in lists}
        lines = [sha(email.lower()).upper() if n % 1000 == 9 else email for email, n in lists]
        (self.folder / "out.csv").write_text("\n".join(["email", *lines, ""]), encoding="utf-8")

    def check(self, report: dict[str, Any], said: dict[str, Any]) -> None:
        """Every profile has one fate, every row one outcome, and the audience is just what it should be."""
        profiles, rows = report["profiles"], report["rows"]
        skipped = {reason: count for reason, count in profiles["skipped"].items() if count}
        assert (profiles["read"], profiles["eligible"], skipped) == (said["read"], said["eligible"], said["skipped"])
        assert adds_up(report)
        assert {key: rows[key] for key in ("extra", "to_add", "unchanged", "to_remove")} == {
            key: said[key] for key in ("extra", "to_add", "unchanged", "to_remove")
        }
        assert (rows["added"], rows["removed"]) == (rows["to_add"], rows["to_remove"])
        assert (rows["invalid"], rows["left"], rows["left_to_remove"]) == (0, 0, 0)
        assert held(self.base_url) == (len(self.rightly.members), self.rightly.digest())


@pytest.fixture
def world(workspace: Path, sandbox: dict[str, Any], add_demo: Callable[..., None]) -> World:
    (workspace / "connector.yaml").write_text(CONFIG, encoding="utf-8")
    (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    add_demo()
    return World(workspace, sandbox["base_url"], Audience())


def export(run: Run) -> dict[str, Any]:
    done = run(*EXPORT)
    assert done.exit_code == 0, done.out
    return dict(done.envelope["data"])


def begin(world: World, run: Run, count: int) -> list[Person]:
    """The first export of everybody."""
    people = first_version(count)
    world.write(people)
    world.suppress(people)
    report, said = export(run), world.rightly.mirror(people)
    assert set(said["skipped"]) == {"no_identifier", "no_consent", "suppressed", "duplicate"}
    assert said["extra"] > count // 100
    world.check(report, said)
    return people


def sends_nothing(world: World, run: Run, people: list[Person]) -> None:
    """Not a single request to the audience, and every profile still has its fate."""
    before = uploads(world.base_url)
    report, said = export(run), world.rightly.mirror(people)
    assert (said["to_add"], said["to_remove"]) == (0, 0)
    world.check(report, said)
    assert (uploads(world.base_url), report["batches"]["sent"]) == (before, 0)


def test_one_percent_changed_dropped_and_added_is_all_that_is_sent(world: World, run: Run) -> None:
    people = begin(world, run, PEOPLE)
    people = next_version(people, random.Random(1))
    world.write(people)
    report, said = export(run), world.rightly.mirror(people)
    world.check(report, said)
    # A few of those who changed are not sent at all, and whose name alone changed leave nothing behind to take out.
    assert 0.016 < said["to_add"] / PEOPLE < 0.022
    assert 0.016 < said["to_remove"] / PEOPLE < 0.022
    sends_nothing(world, run, people)


def reordered(folder: Path, people: pl.DataFrame) -> str:
    people.sample(fraction=1, shuffle=True, seed=1).write_csv(folder / "people.csv")
    return "people.csv"


def columns_moved_and_added(folder: Path, people: pl.DataFrame) -> str:
    more = people.with_row_index("visits").select(reversed(["visits", *people.columns]))
    more.write_csv(folder / "people.csv")
    return "people.csv"


def other_delimiter(folder: Path, people: pl.DataFrame) -> str:
    people.write_csv(folder / "people.tsv", separator="\t", quote_style="always", line_terminator="\r\n")
    return "people.tsv"


def typed_parquet(folder: Path, people: pl.DataFrame) -> str:
    """Blanks are nulls, dates are dates, consent is a boolean."""
    blank_is_null = people.with_columns(pl.when(pl.all() != "").then(pl.all()))
    typed = blank_is_null.with_columns(pl.col("born").str.to_date(), pl.col("consent") == "yes")
    typed.write_parquet(folder / "people.parquet", row_group_size=500)
    return "people.parquet"


def parquet_of_text(folder: Path, people: pl.DataFrame) -> str:
    people.write_parquet(folder / "people.parquet")
    return "people.parquet"


def json_lines(folder: Path, people: pl.DataFrame) -> str:
    """A blank is left out."""
    lines = ({name: text for name, text in person.items() if text} for person in people.iter_rows(named=True))
    (folder / "people.ndjson").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return "people.ndjson"


def arrow(folder: Path, people: pl.DataFrame) -> str:
    people.write_ipc(folder / "people.arrow")
    return "people.arrow"


def several_files(folder: Path, people: pl.DataFrame) -> str:
    for number, part in enumerate(people.iter_slices(750)):
        part.write_csv(folder / f"part-{number}.csv")
    return "part-*.csv"


SAME = [
    reordered, columns_moved_and_added, other_delimiter, typed_parquet, parquet_of_text, json_lines, arrow, several_files,
]  # fmt: skip


def test_the_same_people_told_otherwise_are_not_sent_again(world: World, run: Run) -> None:
    people = begin(world, run, FEW)
    table = pl.DataFrame([person.record() for person in people], schema=COLUMNS, orient="row")
    for write in SAME:
        name = write(world.folder, table)
        (world.folder / "connector.yaml").write_text(CONFIG.replace("people.csv", name), encoding="utf-8")
        sends_nothing(world, run, people)


@pytest.mark.parametrize(
    ("said", "instead", "mapped"),
    [
        ("consent:", "  country: country\nconsent:", ("us", "us")),
        ("default_country: US", "default_country: GB", ("gb", "")),
    ],
    ids=["a key is added", "another default country"],
)
def test_a_mapping_that_says_something_else_sends_what_it_makes_of_everybody(
    said: str, instead: str, mapped: tuple[str, str], world: World, run: Run
) -> None:
    people = begin(world, run, FEW)
    mapping = world.folder / "mappings" / "crm.yaml"
    mapping.write_text(MAPPING.replace(said, instead), encoding="utf-8")
    before, world.rightly.mapped = len(world.rightly.members), mapped
    counted = world.rightly.mirror(people)
    assert (counted["to_add"], counted["unchanged"]) == (before, 0)
    world.check(export(run), counted)
    sends_nothing(world, run, people)
    mapping.write_text(mapping.read_text(encoding="utf-8") + "description: the same\n", encoding="utf-8")
    sends_nothing(world, run, people)


@pytest.mark.stress
def test_one_percent_of_a_million(world: World) -> None:
    people = first_version(1_000_000)
    world.suppress(people)
    later = next_version(people, random.Random(1))
    for source, most in ((people, 1_200), (later, 700), (later, 700)):
        world.write(source)
        before = uploads(world.base_url)
        envelope, memory = export_alone(*EXPORT[2:-1])
        said = world.rightly.mirror(source)
        world.check(envelope["data"], said)
        assert memory < most << 20
        assert (uploads(world.base_url) > before) == (said["to_add"] + said["to_remove"] > 0)
