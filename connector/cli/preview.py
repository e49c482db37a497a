"""``connector preview segment``: masked rows, coverage per match key, what looks wrong. Touches no network of Meta's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from connector.cli.answer import Answer, respond
from connector.cli.options import HERE, Json, Workspace
from connector.config import Config
from connector.profiles.coverage import look_at
from connector.profiles.segments import open_segment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from connector.profiles.coverage import Coverage, KeyCoverage, MaskedRow
    from connector.profiles.suspicions import Suspicion

app = typer.Typer(help="Look before you export.", no_args_is_help=True)

BAR = 10  # characters of a full bar
WORTH_ADVICE = 0.01  # the share of profiles from which on a loss is worth advice
IDENTIFIERS = {
    "email": "an e-mail address",
    "phone": "a phone number",
    "name_and_address": "first and last name, country, and postal code or city",
}
WHY = {
    "no_country": "no country to read it in",
    "not_possible": "no possible phone number",
    "wrong_digest": "an MD5 or SHA-1",
    "not_an_email": "not one e-mail address",
    "not_a_date": "not a date",
    "ambiguous_date": "day or month first?",
    "out_of_range": "no such day, or out of range",
    "no_letter": "no letter in it",
    "unknown_word": "a word not known",
    "unknown_country": "no known country",
    "unknown_state": "no state of the US",
    "not_roman": "no Roman letters",
    "too_short": "too short",
    "not_a_uuid": "not a UUID",
    "bad_value": "not a number from 0 up",
    "blank": "blank",
}


@app.callback()
def _verb() -> None:
    """Keep ``segment`` a word of its own although it is the only noun so far."""


@app.command("segment", epilog="Example: connector preview segment loyal_customers --rows 3")
def segment(
    name: Annotated[str, typer.Argument(help="The segment's name in connector.yaml.")],
    rows: Annotated[int, typer.Option("--rows", min=0, max=100, help="How many profiles to show, masked.")] = 5,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Show masked profiles before and after their rules, coverage per match key, and what looks wrong.

    Looks at the first 20,000 profiles. Nothing is sent, and nothing readable is shown.
    """

    def work() -> Answer:
        config = Config.load(workspace)
        found = look_at(open_segment(config, name), rows=rows)
        text = Group(
            headline(found),
            "",
            _rows(found),
            coverage(found),
            "",
            suspicions(found),
            "",
            f"Next: connector plan segment {name}",
        )
        return Answer(found.to_json(), text)

    respond("preview segment", work, as_json=as_json)


def headline(found: Coverage) -> RenderableType:
    """Say what was looked at and how many of them would go."""
    scope = f"all {found.read:,} profiles" if found.whole else f"the first {found.read:,} profiles"
    title = f"[bold]{escape(found.segment)}[/]  [dim]{scope} · mapping {escape(found.mapping)} · all values masked[/]"
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(justify="right")
    grid.add_column()
    grid.add_row(f"[bold]{found.read:,}[/]", "profiles read")
    if found.consenting < found.read:
        grid.add_row(f"[yellow]−{found.read - found.consenting:,}[/]", "without consent")
    if found.identified < found.consenting:
        lacking = f"without the key identifier: {IDENTIFIERS[found.key_identifier]}"
        grid.add_row(f"[yellow]−{found.consenting - found.identified:,}[/]", lacking)
    grid.add_row(f"[bold green]{found.identified:,}[/]", "can be sent, but for suppression and duplicates")
    if found.extra:
        grid.add_row(f"+{found.extra:,}", "extra rows for further e-mails and phones")
    return Group(title, Padding(grid, (0, 0, 0, 2), expand=False))


def coverage(found: Coverage) -> RenderableType:
    """Lay out coverage per match key, then every loss with its masked examples."""
    grid = _grid(
        ("match key", "left"),
        ("attribute", "left"),
        ("filled", "right"),
        ("", "right"),
        ("", "left"),
        ("blank", "right"),
        ("dropped", "right"),
    )
    for key in found.keys:
        share = key.filled / found.looked_at if found.looked_at else 0.0
        dropped = sum(key.dropped.values())
        grid.add_row(
            key.code, escape(", ".join(key.columns) or "the same for all"), f"{key.filled:,}", f"{int(share * 100)}%", f"[green]{_bar(share)}[/]",
            f"{key.blank:,}" if key.blank else "", f"[yellow]{dropped:,}[/]" if dropped else "",
        )  # fmt: skip
    parts: list[RenderableType] = [Padding(grid, (0, 0, 0, 2), expand=False)]
    if any(key.dropped for key in found.keys):
        parts += ["", "[bold]Dropped, and why[/]", _losses(found)]
    return Group(*parts)


def _losses(found: Coverage) -> RenderableType:
    grid = _grid(("match key", "left"), ("cells", "right"), ("why", "left"), ("for example", "left"))
    for count, key, why in _lost(found):
        examples = escape(" · ".join(key.examples[why]))
        grid.add_row(key.code, f"[yellow]{count:,}[/]", WHY.get(why, why), examples)
    return Padding(grid, (0, 0, 0, 2), expand=False)


def _lost(found: Coverage) -> list[tuple[int, KeyCoverage, str]]:
    lost = [(count, key, why) for key in found.keys for why, count in key.dropped.items()]
    return sorted(lost, key=lambda loss: -loss[0])


def advice(found: Coverage) -> RenderableType:
    """Say what to do about every loss that touches one profile in a hundred or more, the largest first."""
    worth = [(key, why) for count, key, why in _lost(found) if count >= WORTH_ADVICE * found.looked_at]
    if not worth:
        return "[green]No loss touches one profile in a hundred.[/]"
    told = (f"  {key.code}, {WHY.get(why, why)}\n    [bold]→[/] {escape(key.advice[why])}" for key, why in worth)
    return Group("[bold]What to do[/]", *told)


def suspicions(found: Coverage) -> RenderableType:
    """List what looks wrong and what to do, or say that nothing does."""
    if not found.suspicions:
        return "[green]Nothing looks mapped to the wrong key.[/]"
    return Group("[bold]Worth a look[/]", *_doubts(found.suspicions))


def _doubts(all_of_them: Iterable[Suspicion]) -> Iterable[str]:
    for doubt in all_of_them:
        yield f"  [yellow]![/] {escape(doubt.message)}\n    [bold]→[/] {escape(doubt.advice)}"


def _rows(found: Coverage) -> RenderableType:
    return Group(*(part for at, row in enumerate(found.rows, start=1) for part in (*_profile(at, row), "")))


def _profile(at: int, row: MaskedRow) -> Iterable[RenderableType]:
    """Show one profile: its cells before and after, its blanks in one line."""
    fate = "" if row.identified else "  [yellow]not sent: no key identifier[/]"
    yield f"[bold]profile {at}[/]{fate}"
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    blanks = [code for code, cell in row.cells.items() if cell.reason == "blank"]
    for code, cell in row.cells.items():
        if code in blanks:
            continue
        after = (
            escape(cell.after)
            if cell.after is not None
            else f"[yellow]left out: {WHY.get(cell.reason or '', cell.reason)}[/]"
        )
        grid.add_row(f"{code:<{max(map(len, row.cells))}}", escape(cell.before or ""), "[dim]→[/]", after)
    yield Padding(grid, (0, 0, 0, 2), expand=False)
    if blanks:
        yield Padding(f"[dim]blank: {', '.join(blanks)}[/]", (0, 0, 0, 2), expand=False)


def _bar(share: float) -> str:
    full = round(share * BAR)
    return "█" * full + "░" * (BAR - full)


def _grid(*columns: tuple[str, str]) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name, side in columns:
        grid.add_column(name, justify=side, overflow="fold")  # type: ignore[arg-type]  # rich types the words, not str
    return grid
