"""What exports should come to, told a second time: people, rows and sets in plain Python, no frame, no hash table, no file.

Meta's side is the sandbox's rule: a member is an uploaded row, and a removal takes out every member that has all of its cells.
Our side is contract.md §4 and docs/explanation/delivery.md. Knows nothing of how connector does it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from tests.by_hand import sha

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = frozenset[tuple[str, str]]
NAMES = ("FN", "LN", "ZIP", "COUNTRY")


@dataclass(frozen=True)
class Person:
    """A profile as it stands in the source. Values are normal already, so that a cell is the SHA-256 of what stands there."""

    id: str = ""
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    first: str = "ann"
    last: str = "lee"
    postal: str = "94107"
    consent: bool = True

    def attributes(self) -> Person:
        """What a change is judged by: everything but consent."""
        return Person(self.id, self.emails, self.phones, self.first, self.last, self.postal)

    def rows(self) -> list[Row]:
        """The main row, then one for each further e-mail, then one for each further phone."""
        emails, phones = list(dict.fromkeys(self.emails))[:3], list(dict.fromkeys(self.phones))[:3]
        email, phone = next(iter(emails), None), next(iter(phones), None)
        pairs = [(email, phone), *((other, phone) for other in emails[1:]), *((email, other) for other in phones[1:])]
        return [self._row(*pair) for pair in pairs]

    def _row(self, email: str | None, phone: str | None) -> Row:
        country = "us" if self.postal else None
        plain = {"FN": self.first, "LN": self.last, "ZIP": self.postal, "COUNTRY": country, "EMAIL": email}
        cells = {key: sha(text) for key, text in plain.items() if text}
        cells |= {"PHONE": sha("1" + phone)} if phone else {}
        return frozenset((cells | ({"EXTERN_ID": self.id} if self.id else {})).items())


def cell(row: Row, key: str) -> str | None:
    return dict(row).get(key)


def cells(rows: Iterable[Row], key: str) -> set[str]:
    return {value for row in rows for name, value in row if name == key}


def names_of(row: Row) -> Row:
    """Names and address."""
    return frozenset(pair for pair in row if pair[0] in NAMES)


def hashed(row: Row) -> Row:
    """What duplicates are judged by."""
    return frozenset(pair for pair in row if pair[0] != "EXTERN_ID")


@dataclass
class Member:
    """Somebody the ledger holds: the rows that were sent. ``sure``: Meta has them. ``leaving``: some may be out already."""

    rows: list[Row]
    sent: int
    sure: bool = True
    leaving: bool = False

    @property
    def emails(self) -> set[str]:
        return cells(self.rows, "EMAIL")

    @property
    def phones(self) -> set[str]:
        return cells(self.rows, "PHONE")

    @property
    def bare(self) -> bool:
        return not self.emails and not self.phones


@dataclass
class Outcome:
    """What a run should report."""

    to_add: int = 0
    unchanged: int = 0
    to_remove: int = 0
    sent: int = 0
    skipped: dict[str, int] = field(default_factory=dict)

    def skip(self, reason: str) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + 1


@dataclass
class Suppressed:
    """People who must not be there, by digest or id."""

    by: dict[str, set[str]] = field(default_factory=lambda: {"EMAIL": set(), "PHONE": set(), "EXTERN_ID": set()})

    def hits(self, rows: Iterable[Row]) -> bool:
        return any(value in self.by.get(key, ()) for row in rows for key, value in row)

    def add_by_who_they_are(self, person: Person) -> None:
        """External id if there is one, else e-mail, else phone."""
        rows = person.rows()
        key = next((k for k in ("EXTERN_ID", "EMAIL", "PHONE") if cells(rows, k)), None)
        if key is not None:
            self.by[key] |= cells(rows, key)


@dataclass
class Audience:
    """One audience, what every segment put there, and the day."""

    identifier: str
    members: set[Row] = field(default_factory=set)
    ledger: dict[str, dict[Person, Member]] = field(default_factory=dict)
    suppressed: Suppressed = field(default_factory=Suppressed)
    today: int = 20_000

    # --- modes -------------------------------------------------------------------------------------------------------

    def refresh(
        self, segment: str, source: list[Person], *, add: bool = False, full: bool = False, limit: int | None = None,
        after: int | None = None,
    ) -> Outcome:  # fmt: skip
        """``mirror`` and ``add``."""
        mine, outcome = self.ledger.setdefault(segment, {}), Outcome()
        again = {
            p for p, m in mine.items() if full or not m.sure or (after is not None and m.sent <= self.today - after)
        }
        barred = {p for p, m in mine.items() if self.suppressed.hits(m.rows)}
        consenting = [p.attributes() for p in source if p.consent]
        outcome.skipped["no_consent"] = len(source) - len(consenting)
        candidates, unchanged = self._compare(consenting, mine, again, barred, outcome)
        fresh = self._prepare(candidates, [m for p, m in mine.items() if p in unchanged], outcome)
        outcome.unchanged = sum(len(mine[p].rows) for p in unchanged)
        outcome.to_add = sum(len(rows) for _, rows in fresh)
        gone = {p: m for p, m in mine.items() if p not in unchanged and p not in {q for q, _ in fresh}}
        met = {p.attributes() for p in source if p.consent} - barred
        if add:
            withdrawn = Suppressed()
            for person in source:
                if not person.consent:
                    withdrawn.add_by_who_they_are(person)
            gone = {p: m for p, m in gone.items() if p in barred or (p not in met and withdrawn.hits(m.rows))}
        stays = [m for p, m in mine.items() if p not in gone and (p in met or not m.leaving)]
        kept_back, going, outcome.to_remove = self._take_out(
            segment, gone, stays, [row for _, rows in fresh for row in rows]
        )
        sent = first_that_fit(fresh, limit)
        for person, rows in sent:
            self.members |= set(rows)
            mine.pop(person, None)
            mine[person] = Member(rows, self.today)
        outcome.sent = sum(len(rows) for _, rows in sent)
        if outcome.sent == outcome.to_add:
            self._settle(mine, kept_back, going)
        return outcome

    def replace(self, segment: str, source: list[Person]) -> Outcome:
        """The audience is just this afterwards."""
        outcome = Outcome()
        consenting = [p.attributes() for p in source if p.consent]
        outcome.skipped["no_consent"] = len(source) - len(consenting)
        mine = self.ledger.setdefault(segment, {})
        barred = {p for p, m in mine.items() if self.suppressed.hits(m.rows)}
        candidates, _ = self._compare(consenting, mine, set(mine), barred, outcome)
        fresh = self._prepare(candidates, [], outcome)
        outcome.to_add = outcome.sent = sum(len(rows) for _, rows in fresh)
        self.members = {row for _, rows in fresh for row in rows}
        self.ledger = {name: {} for name in self.ledger}
        self.ledger[segment] = {person: Member(rows, self.today) for person, rows in fresh}
        return outcome

    def remove(self, segment: str, source: list[Person]) -> Outcome:
        """These profiles go, whoever put them there."""
        mine, outcome = self.ledger.setdefault(segment, {}), Outcome()
        going: set[Row] = set()
        asked = [rows for rows in map(self._identified, source) if rows]
        for row in chain.from_iterable(asked):
            going.add(frozenset(shortest(row)))
        outcome.skipped["no_identifier"] = len(source) - len(asked)
        outcome.unchanged = sum(map(len, asked))
        ids = cells(chain.from_iterable(asked), "EXTERN_ID")
        for slice_ in self.ledger.values():
            for member in slice_.values():
                if cells(member.rows, "EXTERN_ID") & ids:
                    going |= {frozenset(shortest(row)) for row in self._each(member)}
        barred = {p: m for p, m in mine.items() if self.suppressed.hits(m.rows)}
        stays = [m for p, m in mine.items() if p not in barred and not m.leaving]
        going |= self._removals(segment, barred, stays, [])[0]
        outcome.to_remove = len(going)
        self._delete(going)
        for slice_ in self.ledger.values():
            for person, member in list(slice_.items()):
                left = (member.emails - cells(going, "EMAIL"), member.phones - cells(going, "PHONE"))
                named = names_of(member.rows[0]) in going
                if (member.emails and not left[0]) or (member.phones and not left[1]) or named:
                    del slice_[person]
                elif left != (member.emails, member.phones):
                    member.sure, member.leaving = False, True
        return outcome

    # --- steps -------------------------------------------------------------------------------------------------------

    def _compare(
        self,
        people: list[Person],
        mine: dict[Person, Member],
        again: set[Person],
        barred: set[Person],
        outcome: Outcome,
    ) -> tuple[list[Person], set[Person]]:
        """Part the people into candidates and unchanged; count the others."""
        candidates, unchanged, met = [], set(), set()
        for person in people:
            if person in barred:
                outcome.skip("suppressed")
            elif person in met:
                outcome.skip("duplicate")
            elif person in mine:
                met.add(person)
                if person in again:
                    candidates.append(person)
                else:
                    unchanged.add(person)
            else:
                candidates.append(person)
        return candidates, unchanged

    def _identified(self, person: Person) -> list[Row]:
        rows = person.rows()
        if self.identifier == "name_and_address":
            return rows if person.postal else []
        return [row for row in rows if cell(row, self.identifier.upper())]

    def _prepare(
        self, candidates: list[Person], known: list[Member], outcome: Outcome
    ) -> list[tuple[Person, list[Row]]]:
        """Who is to be sent, with the rows that are not there already; the first in source order wins."""
        seen = {hashed(row) for member in known for row in member.rows}
        owners: dict[str, object] = dict.fromkeys(cells((r for m in known for r in m.rows), "EXTERN_ID"), "a member")
        fresh: list[tuple[Person, list[Row]]] = []
        for number, person in enumerate(candidates):
            rows = self._identified(person)
            if not rows:
                outcome.skip("no_identifier")
            elif self.suppressed.hits(rows):
                outcome.skip("suppressed")
            else:
                mine = []
                for row in rows:
                    if hashed(row) not in seen and owners.get(person.id, number) == number:
                        mine.append(row)
                        seen.add(hashed(row))
                        owners |= {person.id: number} if person.id else {}
                if mine:
                    fresh.append((person, mine))
                else:
                    outcome.skip("duplicate")
        return fresh

    def _take_out(
        self, segment: str, gone: dict[Person, Member], stays: list[Member], fresh: list[Row]
    ) -> tuple[dict[Person, Member], set[str], int]:
        """Remove what nobody holds any more; gives those of whom something is held, and the phones that went."""
        going, shared = self._removals(segment, gone, stays, fresh)
        self._delete(going)
        mine = self.ledger[segment]
        for person, member in gone.items():
            if person not in shared:
                del mine[person]
            elif (member.emails & cells(going, "EMAIL")) or (member.phones & cells(going, "PHONE")):
                member.sure, member.leaving = False, True
        for name, slice_ in self.ledger.items():
            for member in slice_.values() if name != segment else ():
                gone_with_them = member.emails & cells(going, "EMAIL") or member.phones & cells(going, "PHONE")
                if self.suppressed.hits(member.rows) and (gone_with_them or names_of(member.rows[0]) in going):
                    member.sure, member.leaving = False, True
        return shared, cells(going, "PHONE"), len(going)

    def _removals(
        self, segment: str, gone: dict[Person, Member], stays: list[Member], fresh: list[Row]
    ) -> tuple[set[Row], dict[Person, Member]]:
        others = [
            m for name, slice_ in self.ledger.items() if name != segment for m in slice_.values()
            if not m.leaving and not self.suppressed.hits(m.rows)
        ]  # fmt: skip
        held = [row for m in (*stays, *others) for row in m.rows] + fresh
        emails, phones, names = cells(held, "EMAIL"), cells(held, "PHONE"), {names_of(row) for row in held}
        going: set[Row] = set()
        shared: dict[Person, Member] = {}
        for person, member in gone.items():
            going |= {frozenset({("EMAIL", value)}) for value in member.emails - emails}
            if not member.emails or member.emails & emails:
                going |= {frozenset({("PHONE", value)}) for value in member.phones - phones}
            keeps_names = member.bare and names_of(member.rows[0]) in names
            if member.bare and not keeps_names:
                going.add(names_of(member.rows[0]))
            if member.emails & emails or (not member.emails and member.phones & phones) or keeps_names:
                shared[person] = member
        return going, shared

    def _settle(self, mine: dict[Person, Member], kept_back: dict[Person, Member], going: set[str]) -> None:
        """Whoever is kept for an e-mail goes with its other holder; the others linger until nobody holds it any more."""
        for person, member in kept_back.items():
            if member.emails:
                del mine[person]
            else:
                member.rows = [row for row in member.rows if member.bare or cell(row, "PHONE") not in going]
                member.sure, member.leaving = False, True

    def _each(self, member: Member) -> list[Row]:
        """Rows as they are taken out when nobody's share counts: all e-mails, else all phones, else names and address."""
        return [frozenset(shortest(row)) for row in member.rows]

    def _delete(self, going: set[Row]) -> None:
        self.members = {row for row in self.members if not any(part <= row for part in going)}


def shortest(row: Row) -> set[tuple[str, str]]:
    """By e-mail, else by phone, else by names and address."""
    for key in ("EMAIL", "PHONE"):
        value = cell(row, key)
        if value is not None:
            return {(key, value)}
    return set(names_of(row))


def first_that_fit(fresh: list[tuple[Person, list[Row]]], limit: int | None) -> list[tuple[Person, list[Row]]]:
    sent, rows = [], 0
    for person, mine in fresh:
        rows += len(mine)
        if limit is not None and rows > limit:
            break
        sent.append((person, mine))
    return sent
