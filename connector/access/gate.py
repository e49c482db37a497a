"""The gate: may this token fill this audience? 21 checks, at most 15 reads and no write, before any profile is read.

Owns the order, what is skipped, what is remembered, and the report. The checks stand in ``checklist.py``, their words in
``remedies.py``. Must not know profiles. Source: access.md §2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from connector.access.cache import Memory, Remembered, recall, remember
from connector.access.caller import Caller
from connector.access.checklist import BEFORE_AUDIENCE, CHECKS, CheckRow
from connector.access.findings import Check, GateReport, Language, Remedy
from connector.access.grants import recorded_grant
from connector.access.inquiry import Finding, Inquiry, Policy
from connector.access.outcomes import Outcome, outcome_of
from connector.access.reads import Reads
from connector.access.remedies import remedy, request, sentence, values_of
from connector.errors import AccessError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from connector.audiences.graph import Graph
    from connector.state import Destination, State

DEFAULT_POLICY: Final = Policy()


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Answered:
    """One check on its way to the report."""

    row: CheckRow
    finding: Finding
    outcome: Outcome
    cached: bool = False
    valid_until: datetime | None = None


def check_access(  # noqa: PLR0913 - settings with defaults, all by name
    graph: Graph,
    destination: Destination,
    *,
    state: State | None = None,
    app_id: str | None,
    app_secret: SecretStr | None,
    fresh: bool = False,
    for_new_audience: bool = False,
    now: Callable[[], datetime] = _utc_now,
    language: Language = "en",
    policy: Policy = DEFAULT_POLICY,
    without: frozenset[str] = frozenset(),
) -> GateReport:
    """Run every check of a destination and report them all; a failed check is no exception.

    Args:
        graph: A connection with the destination's token; it is not closed. Only reads are made.
        destination: What is to be filled.
        state: Remembers passes and warnings, and knows the recorded grants; without it everything is asked.
        app_id: The Meta app; with its secret ``debug_token`` can be asked, without much stays unknown.
        app_secret: See ``app_id``.
        fresh: Ask everything anew.
        for_new_audience: No audience is chosen yet: count the customer lists there are instead.
        now: UTC, for the times to live and the ends of tokens and grants.
        language: Of messages and steps.
        policy: What an admin decided and Meta cannot know.
        without: Ids of checks to leave out, for example ``BEFORE_AUDIENCE``; they are skipped.

    Raises:
        TransientError: Meta throttles or cannot be reached, or the state database cannot.
    """
    at = now()
    caller = Caller(graph, app_id=app_id, app_secret=app_secret)
    mark = caller.mark(*_subject(destination, app_id))
    memory = recall(state, destination.name, mark)
    terms = memory.any_token.get("meta_terms")
    inquiry = Inquiry(
        destination,
        Reads(caller),
        policy,
        at,
        app_id=app_id,
        grant=recorded_grant(state, destination.ad_account),
        counts_audiences=for_new_audience,
        terms_since=terms.since if terms and terms.finding.asset.id == destination.ad_account else None,
    )
    answered = _answer_all(inquiry, Memory() if fresh else memory, without)
    if _is_stale(inquiry, answered):
        inquiry.facts.clear()
        answered = _answer_all(inquiry, Memory(), without)
    _keep(state, mark, inquiry, answered, memory)
    return _report(inquiry, answered, language)


def allow(report: GateReport) -> None:
    """Let an export pass, or raise what stands in its way.

    Raises:
        AccessError: A check failed; ``code`` is ``access.`` and the id of the first one, the hint asks who can change it.
        TransientError: Only a replacement that is under way stands in the way.
    """
    failed = sorted((check for check in report.checks if check.status == "fail"), key=lambda check: check.later)
    if not failed:
        return
    first, *more = failed
    also = f" (+ {', '.join(check.id for check in more)})" if more else ""
    error = TransientError if first.later else AccessError
    raise error(
        first.message + also,
        code=f"access.{first.id}",
        hint=first.remedy.request if first.remedy else None,
        fbtrace_id=first.fbtrace_id,
    )


def _subject(destination: Destination, app_id: str | None) -> tuple[str, ...]:
    """Everything beside the token whose change makes remembered answers worthless (the audience: see ``_fits``)."""
    parts = (destination.name, destination.ad_account, destination.business, app_id)
    return (*(part or "" for part in parts), str(destination.value_based))


def _answer_all(inquiry: Inquiry, memory: Memory, without: frozenset[str]) -> list[_Answered]:
    answered: list[_Answered] = []
    failed: set[str] = set()
    for row in CHECKS:
        one = _answer(row, inquiry, memory, failed, without)
        inquiry.facts.update(one.finding.facts)
        if one.outcome.status == "fail":
            failed.add(row.id)
        answered.append(one)
    return answered


def _is_stale(inquiry: Inquiry, answered: list[_Answered]) -> bool:
    """Whether an answer of now contradicts what was remembered: then all is asked anew (made reads are not made again).

    A refusal says that token or access changed; a partner row that is gone says that the remembered relationship is.
    """
    cached = {one.row.id for one in answered if one.cached}
    lost = any(one.row.id == "partner_status" and one.finding.word == "unclear" for one in answered)
    return bool(cached) and (inquiry.reads.met_a_closed_door or (lost and "relationship" in cached))


def _answer(row: CheckRow, inquiry: Inquiry, memory: Memory, failed: set[str], without: frozenset[str]) -> _Answered:
    first = next((need for need in row.needs if need in failed and not _bearable(need, inquiry)), None)
    if row.id in without:
        finding = Finding("left_out", inquiry.account)
    elif first is not None:
        finding = Finding("blocked", inquiry.account, values={"first": first})
    elif row.partner and not inquiry.sees_businesses:
        finding = Finding("no_scope", inquiry.account)
    else:
        kept = memory.good.get(row.id)
        if kept is not None and kept.valid_until > inquiry.now and _fits(row, kept.finding, inquiry):
            outcome = outcome_of(row.id, kept.finding.word)
            return _Answered(row, kept.finding, outcome, cached=True, valid_until=kept.valid_until)
        finding = row.rule(inquiry)
    outcome = outcome_of(row.id, finding.word)
    remembered = row.ttl if outcome.status in {"pass", "warn"} and _cacheable(row, inquiry) else None
    return _Answered(row, finding, outcome, valid_until=inquiry.now + remembered if remembered else None)


def _bearable(need: str, inquiry: Inquiry) -> bool:
    """A token that may only read still reads, so one report can hold every problem."""
    return need == "scopes" and bool(inquiry.facts.get("reads_ads"))


def _cacheable(row: CheckRow, inquiry: Inquiry) -> bool:
    return row.ttl is not None and not (row.id == "audience" and inquiry.counts_audiences)


def _fits(row: CheckRow, kept: Finding, inquiry: Inquiry) -> bool:
    """Whether a remembered answer speaks of the audience that the destination has now."""
    same = row.id != "audience" or kept.asset.id == inquiry.destination.audience_id
    return same and _cacheable(row, inquiry)


def _keep(state: State | None, mark: str, inquiry: Inquiry, answered: list[_Answered], memory: Memory) -> None:
    """Remember what was asked and is good; forget what was asked and is not."""
    asked = [one.row.id for one in answered if not one.cached and one.outcome.status != "skip"]
    good: dict[str, Remembered] = {}
    for one in answered:
        if one.valid_until is not None and not one.cached:
            before = memory.any_token.get(one.row.id)
            same = before is not None and before.finding.asset == one.finding.asset
            since = before.since if before is not None and same else inquiry.now
            good[one.row.id] = Remembered(one.finding, inquiry.now, one.valid_until, since)
    remember(state, inquiry.destination.name, mark, good=good, asked=asked)


def _report(inquiry: Inquiry, answered: list[_Answered], language: Language) -> GateReport:
    checks = tuple(_worded(inquiry, one, language) for one in answered)
    obo = inquiry.on_behalf_of
    return GateReport(
        destination=inquiry.destination.name,
        allowed=all(check.status != "fail" for check in checks),
        checked_at=inquiry.now,
        calls=inquiry.reads.count,
        agency=inquiry.agency,
        client=inquiry.owner,
        relationship=inquiry.relationship,
        on_behalf_of=obo,
        checks=checks,
    )


def _worded(inquiry: Inquiry, one: _Answered, language: Language) -> Check:
    """Turn an answered check into the words of the report's language."""
    finding, outcome = one.finding, one.outcome
    values = values_of(inquiry, finding, one.row.wanted, language)
    refusal = finding.answer.refusal if finding.answer else None
    message = sentence(outcome, one.row.id, values, language)
    if refusal is not None and refusal.words:
        message += f" Meta: {refusal.words}"
    todo: Remedy | None = remedy(outcome, values, language, own=_is_own(inquiry))
    if todo is not None:
        todo = replace(todo, request=request(todo, values, language))
    wanted = finding.wanted if finding.wanted is not None else one.row.wanted
    return Check(
        id=one.row.id,
        status=outcome.status,
        asset=finding.asset,
        wanted=tuple(word.format_map(values) for word in wanted),
        found=finding.found,
        message=message.strip(),
        remedy=todo,
        call=(finding.answer.call or None) if finding.answer else None,
        fbtrace_id=refusal.fbtrace_id if refusal else None,
        cached=one.cached,
        valid_until=one.valid_until,
        later=outcome.later,
    )


def _is_own(inquiry: Inquiry) -> bool:
    """Whether the ad account is our own: then a client's admin and ours are the same."""
    return inquiry.owner is not None and inquiry.agency is not None and inquiry.owner.id == inquiry.agency.id


__all__ = ["BEFORE_AUDIENCE", "Check", "GateReport", "Policy", "Remedy", "allow", "check_access"]
