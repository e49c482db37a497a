"""Forget people: out of every audience whose ledger holds them, and never in again.

Marks come first, then the removals, audience by audience, so that a crash in between lets nobody out again; running the same
command again finishes. What cannot be finished now (a pause, a missing token, a refusal) is named in the certificate, and the
next export to that audience finishes it by itself. Source: contract.md §3, §4.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from connector.access.connection import connected, own_app
from connector.access.decision import admit
from connector.access.gate import check_access
from connector.asked import KINDS, digests_of, phones_elsewhere
from connector.audiences.erasure import Erasure, Found
from connector.audiences.ledger import open_ledger, open_ledgers
from connector.audiences.ledger_book import LedgerBook
from connector.audiences.ledger_files import open_ledger_files
from connector.audiences.lock import audience_lock
from connector.audiences.marks import (
    audience_is_clear,
    audiences_to_clear,
    read_forgotten,
    write_marks,
)
from connector.audiences.removal_rows import Removal
from connector.audiences.suppression import PersonSet, marks_of
from connector.errors import ConfigError, ConnectorError, GuardError, InterruptedRunError, SourceError
from connector.hashing import Hashed
from connector.job import refuse_paused
from connector.ledger_key import read_ledger_key
from connector.report import Report, Tally
from connector.state import AuditEntry, Destination, State, actor_name, now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from connector.audiences.ledger import Ledger
    from connector.config import Config
    from connector.job import Job
    from connector.state import RunStatus

RUN_NAME = "(forget)"  # what stands in a run's segment: no segment can be called that by accident


@dataclass(frozen=True, slots=True)
class Place:
    """What became of one audience.

    ``removed``: out. ``open``: not done, ``code``, ``message`` and ``hint`` say why. ``out_of_reach``: no destination leads
    there any more. ``profiles`` and ``identifiers`` count what was taken out.
    """

    audience_id: str
    audience_name: str | None
    destination: str | None
    outcome: Literal["removed", "open", "out_of_reach"]
    at: str
    profiles: int = 0
    identifiers: int = 0
    run: str | None = None
    code: str | None = None
    message: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was asked (kinds only), what was done where and when, and what is left to do. Holds no value and no digest."""

    at: str
    by: str
    asked: dict[str, int]
    audiences_searched: int
    places: tuple[Place, ...]

    @property
    def exit_code(self) -> int:
        """0, or 7 when some audience is open or out of reach."""
        return 0 if all(place.outcome == "removed" for place in self.places) else 7

    def to_json(self) -> dict[str, Any]:
        """Give it as plain data; in words see docs/how-to/forget-a-person.md."""
        return asdict(self)


def forget_person(
    config: Config,
    *,
    emails: Sequence[str] = (),
    phones: Sequence[str] = (),
    external_ids: Sequence[str] = (),
    country: str | None = None,
    new_list: bool = False,
    stop: threading.Event | None = None,
) -> Certificate:
    """Take people out of every audience and let none of them out again.

    Args:
        config: The workspace.
        emails: Addresses, or their SHA-256.
        phones: Numbers, or their SHA-256.
        external_ids: As the mappings' ``external_id`` has them.
        country: ISO alpha-2, for phones without a country code; by default the mappings' ``default_country``.
        new_list: The key of the list is lost: begin it anew with these, who must be all that were ever forgotten.
        stop: Set it to stop between two requests.

    Raises:
        ConfigError: nothing was given, or a value is blank by its rule (it is not repeated), or a phone needs a country.
        SourceError: the key that marks are written with is lost.
        InterruptedRunError: ``stop`` was set; running again finishes.
    """
    given = {"EMAIL": emails, "PHONE": phones, "EXTERN_ID": external_ids}
    asked = {code: digests_of(config, code, values, country) for code, values in given.items() if values}
    if not asked:
        raise ConfigError(
            "nobody to forget was named", code="usage", hint="Give --email, --phone or --external-id, or --stdin."
        )
    with State.open(config.state_url) as state:
        ledger_exists = bool(LedgerBook(state).slices())
        key = read_ledger_key(config.root, ledger_exists=ledger_exists and not new_list)
        if not new_list:
            read_forgotten(state, key)  # raises when marks of another key are there
        work = _Forgetting(config, state, key, stop or threading.Event(), new_list)
        if country is None and "PHONE" in asked:
            work.refuse_doubtful(
                phones_elsewhere(config, phones).filter(~pl.col("PHONE").is_in(asked["PHONE"].implode()))
            )
        certificate = work.do(asked)
        left = {place.audience_id: place.outcome for place in certificate.places if place.outcome != "removed"}
        done = {place.audience_id: place.run for place in certificate.places if place.outcome == "removed"}
        after = {"asked": certificate.asked, "removed": done, "left": left}
        if new_list:
            after["struck"] = work.struck
        state.audit(AuditEntry(action="forget", outcome="partial" if left else "ok", after=after))
    return certificate


def finish_forgetting(job: Job, key: bytes) -> None:
    """Take out, with the audience's lock held, whoever was forgotten while the audience could not be reached.

    Costs one small query when nothing is left to do. A replacement wipes them anyway; a plan changes nothing.
    """
    audience_id = str(job.destination.audience_id)
    if job.run_id is None or audience_id not in audiences_to_clear(job.state):
        return
    if job.mode != "replace":
        forgotten = read_forgotten(job.state, key)
        # A run id of its own: what is copied here was not sent by this run.
        run_id, anew = f"{job.run_id}.forget", job.segment.name if job.options.full else None
        try:
            ledgers = _open_all(job.config, job.state, key, audience_id, run_id, anew=anew)
        except SourceError as error:
            if anew is None:
                raise
            job.warnings.append(f"Forgotten people may still be in the audience: {error.message}.")
            return
        found = [Found(one, np.flatnonzero(forgotten.members(one))) for one in ledgers]
        profiles = sum(len(one.numbers) for one in found)
        if profiles:
            erasure = Erasure(job.graph, job.destination, job.state, job.run_id, job.before_batch, job.options.stop)
            if not erasure.erase(found):
                job.warnings.append(
                    "Forgotten people may still be in the audience: Meta did not take every identifier. The next export"
                    " tries again."
                )
                return
            job.warnings.append(f"{profiles:,} profiles of forgotten people were taken out.")
            after = {"run": job.run_id, "profiles": profiles, "identifiers": erasure.removed}
            entry = AuditEntry("forget", "ok", asset=audience_id, after=after, source=job.destination.name)
            job.state.audit(entry)
        audience_is_clear(job.state, audience_id)


def finish_replaced(job: Job) -> None:
    """Note that a replacement went through: whoever was forgotten is out."""
    audience_is_clear(job.state, str(job.destination.audience_id))


@dataclass(slots=True)
class _Forgetting:
    """One call: the audiences in turn."""

    config: Config
    state: State
    key: bytes
    stop: threading.Event
    new_list: bool
    struck: int = 0
    people: PersonSet = field(default_factory=PersonSet)
    removals: list[Removal] = field(default_factory=list)

    def do(self, asked: dict[str, pl.Series]) -> Certificate:
        """Mark, find, mark who else is the same person by external id, and take out."""
        destinations = self.state.destinations()
        slices = LedgerBook(self.state).slices()
        audiences = {s.audience_id: None for s in slices} | {d.audience_id: None for d in destinations if d.audience_id}
        before = audiences_to_clear(self.state)
        self._mark(asked, audiences)
        self.removals = [Removal.of(Hashed(cells.alias(code).to_frame())) for code, cells in asked.items()]
        self._mark({"EXTERN_ID": self._ids(audiences)}, audiences)
        forgotten = read_forgotten(self.state, self.key)
        places = []
        for audience_id in sorted(audiences):
            # Somebody else may be left there from earlier: then everyone who is forgotten is looked for.
            who = forgotten if audience_id in before else self.people
            destination = _reaching(destinations, audience_id)
            places.append(self._clear(audience_id, destination, who.members))
        kinds = {KINDS[code]: cells.len() for code, cells in asked.items()}
        return Certificate(now(), actor_name(), kinds, len(audiences), tuple(p for p in places if p is not None))

    def refuse_doubtful(self, elsewhere: pl.DataFrame) -> None:
        """Refuse to guess when somebody in an audience has one of these phones, read as another country's.

        Raises:
            ConfigError: somebody has (``forget.country``).
        """
        people = PersonSet()
        people.add(Hashed(elsewhere))
        for audience_id in {one.audience_id for one in LedgerBook(self.state).slices()} if elsewhere.height else ():
            try:
                found = self._found(audience_id, people.members, None)
            except SourceError:
                continue  # named when its audience's turn comes
            if any(len(one.numbers) for one in found):
                raise ConfigError(
                    "a phone without a country code is somebody's in another country than the mappings' default",
                    code="forget.country",
                    hint="Say which country's it is: --country FR. Or write it with + and its country code.",
                )

    def _mark(self, people: dict[str, pl.Series], audiences: dict[str, None]) -> None:
        marks = [mark for code, cells in people.items() for mark in marks_of(cells, code, self.key).to_list()]
        self.struck += write_marks(self.state, self.key, marks, audiences, new_list=self.new_list)
        for code, cells in people.items():
            self.people.add(Hashed(cells.alias(code).to_frame()))

    def _ids(self, audiences: dict[str, None]) -> pl.Series:
        """Find the external ids of those asked for: whoever has one of them is the same person, under any e-mail."""
        ids = [pl.Series("EXTERN_ID", [], dtype=pl.String)]
        for audience_id in audiences:
            try:
                found = self._found(audience_id, self.people.members, None)
                frames = [frame for one in found for frame in one.ledger.details(one.numbers)]
            except SourceError:
                continue  # named when its audience's turn comes
            ids += [frame["external_id"].alias("EXTERN_ID") for frame in frames]
        return pl.concat(ids).drop_nulls().unique()

    def _clear(
        self, audience_id: str, destination: Destination | None, find: Callable[[Ledger], NDArray[np.bool_]]
    ) -> Place | None:
        """Take them out of one audience; nothing when its ledger holds nobody of them."""
        name = destination.name if destination else None
        title = destination.audience_name if destination else None
        try:
            with audience_lock(self.state, audience_id, "of connector forget") as check_lock:
                found = self._found(audience_id, find, None)
                # Whoever stood in a file that is lost may be there all the same: then what was asked for goes in any case.
                if not any(len(one.numbers) or one.ledger.lost for one in found):
                    audience_is_clear(self.state, audience_id)
                    return None
                if destination is None:
                    return Place(audience_id, None, None, "out_of_reach", now(), message=_OUT_OF_REACH)
                place = self._erase(destination, find, check_lock)
                audience_is_clear(self.state, audience_id)
                return place
        except InterruptedRunError:
            raise
        except ConnectorError as error:
            return Place(
                audience_id, title, name, "open", now(), code=error.code, message=error.message, hint=error.hint
            )

    def _found(self, audience_id: str, find: Callable[[Ledger], NDArray[np.bool_]], run_id: str | None) -> list[Found]:
        ledgers = _open_all(self.config, self.state, self.key, audience_id, run_id)
        return [Found(one, np.flatnonzero(find(one))) for one in ledgers]

    def _erase(
        self,
        destination: Destination,
        find: Callable[[Ledger], NDArray[np.bool_]],
        check_lock: Callable[[], None],
    ) -> Place:
        refuse_paused(self.state, destination.name)
        audience_id = str(destination.audience_id)
        with connected(self.config, destination, state=self.state, stop=self.stop) as graph:
            report = check_access(graph, destination, state=self.state, **own_app())
            admit(report, destination, self.state, purpose="forget")
            run = self.state.start_run(
                segment=RUN_NAME, destination=destination.name, mode="remove", audience_id=audience_id
            )
            erasure = Erasure(graph, destination, self.state, run.id, check_lock, self.stop)
            status: RunStatus = "failed"
            code: str | None = "bug"
            try:
                found = self._found(audience_id, find, run.id)
                if not erasure.erase(found, self.removals):
                    raise GuardError(
                        "Meta did not receive every identifier to take out",
                        code="forget.not_received",
                        hint="Type the same command again.",
                    )
                status, code = "ok", None
            except ConnectorError as error:
                status, code = ("interrupted" if error.exit_code == 130 else "failed"), error.code
                raise
            finally:
                tally = Tally(to_remove=erasure.sent, removed=erasure.removed)
                done = Report(run.id, RUN_NAME, destination.name, "remove", audience_id, None, tally, 0.0)
                self.state.end_run(run.id, status=status, report=done.to_json(), error_code=code)
        profiles = sum(len(one.numbers) for one in found)
        return Place(
            audience_id,
            destination.audience_name,
            destination.name,
            "removed",
            now(),
            profiles,
            erasure.removed,
            run.id,
        )


_OUT_OF_REACH = "no destination leads to this audience any more"


def _reaching(destinations: list[Destination], audience_id: str) -> Destination | None:
    """Choose the destination to reach an audience by: one that is not paused, if there is one."""
    leading = [d for d in destinations if d.audience_id == audience_id]
    return min(leading, key=lambda d: d.paused_at is not None, default=None)


def _open_all(
    config: Config, state: State, key: bytes, audience_id: str, run_id: str | None, *, anew: str | None = None
) -> list[Ledger]:
    """Open every slice of an audience; that of the segment ``anew`` is begun anew where it cannot be read."""
    files = open_ledger_files(config.ledger)
    ledgers = open_ledgers(state, files, audience_id=audience_id, key=key, run_id=run_id, but=anew)
    if anew is not None:
        ledgers.append(
            open_ledger(state, files, audience_id=audience_id, segment=anew, key=key, run_id=run_id, anew=True)
        )
    return ledgers
