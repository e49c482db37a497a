"""A gate report for people: who has to act, on what, in words to paste into a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from connector.access.findings import Check, GateReport, Who

PEOPLE: Final[dict[Who, str]] = {
    "client_admin": "For an admin of {client}, the client",
    "agency_admin": "For an admin of {agency}, our own business",
    "app_owner": "For the owner of the Meta app",
    "operator": "For an admin of connector",
    "connected_person": "For the person who connected",
    "meta": "For Meta",
}
MARKS: Final = {
    "pass": "[green]✓[/]", "warn": "[yellow]![/]", "fail": "[red]✗[/]", "unknown": "[cyan]?[/]", "skip": "[dim]–[/]",
}  # fmt: skip
_GRAVEST: Final = ("fail", "warn", "unknown")


def gate_report(report: GateReport) -> RenderableType:
    """Show a report: the verdict, what is to do under whom has to do it, the gravest first, then what is fine."""
    parts: list[RenderableType] = [_headline(report), ""]
    to_do = sorted(
        (check for check in report.checks if check.status in _GRAVEST), key=lambda one: _GRAVEST.index(one.status)
    )
    # A dictionary keeps the order in which people first turn up: who stands in the way comes first.
    for who in dict.fromkeys(check.remedy.who if check.remedy else None for check in to_do):
        parts.append(f"[bold]{_title(who, report)}[/]")
        for check in to_do:
            if (check.remedy.who if check.remedy else None) == who:
                parts += _task(check)
        parts.append("")
    for status, words in (("pass", "fine"), ("skip", "not looked at")):
        ids = [check.id for check in report.checks if check.status == status]
        if ids:
            parts.append(f"{MARKS[status]} {len(ids)} {words}: [dim]{', '.join(ids)}[/]")
    return Group(*parts)


def _headline(report: GateReport) -> str:
    verdict = "[bold green]may export[/]" if report.allowed else "[bold red]may not export[/]"
    parties = [(party.name or party.id) for party in (report.agency, report.client) if party is not None]
    known = escape(" → ".join(dict.fromkeys(parties)))
    calls = "1 call" if report.calls == 1 else f"{report.calls} calls"
    facts = " · ".join(fact for fact in (known, f"relationship: {report.relationship}", calls) if fact)
    return f"[bold]{escape(report.destination)}[/] {verdict}  [dim]{facts}[/]"


def _title(who: Who | None, report: GateReport) -> str:
    if who is None:
        return "Worth knowing"
    names = {"client": "the account's business portfolio", "agency": "our business portfolio"}
    for part, party in (("client", report.client), ("agency", report.agency)):
        if party is not None:
            names[part] = party.name or party.id
    return escape(PEOPLE[who].format(**names))


def _task(check: Check) -> Iterator[str]:
    """Say what is, then the steps, the link and the command: one line each, as they are to be pasted."""
    yield f"  {MARKS[check.status]} {escape(check.message)} [dim]({check.id})[/]"
    if check.remedy is None:
        return
    several = len(check.remedy.steps) > 1
    for number, step in enumerate(check.remedy.steps, start=1):
        yield f"    {f'{number}.' if several else '→'} {escape(step)}"
    if check.remedy.link:
        yield f"    {escape(check.remedy.link)}"
    yield f"    then: [bold]{escape(check.remedy.command)}[/]"
