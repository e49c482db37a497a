"""Every print of connector. Results go to stdout, progress and notes to stderr; ``NO_COLOR`` is honoured by rich."""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from rich.console import ConsoleOptions, RenderableType, RenderResult

    from connector.audiences.pace import Wait
    from connector.errors import ConnectorError
    from connector.report import Progress, Report

LINE_EVERY = 5.0  # seconds between progress lines where there is no terminal
LEAST_LEFT = 2.0
LEAST_WAIT = 2.0  # seconds: shorter waits are not worth a line
WAIT_WORDS = {
    "throttled": "Meta asks us to wait",
    "usage": "Meta's quota is nearly used up",
    "slow": "Slowing down for Meta's quota",
    "retry": "Meta or the network failed; trying again",
}
WIDTH = 140  # columns where the output is no terminal: a file or a log wraps nothing
PROSE = 24  # characters: a column with a longer cell may be folded
SKIP_WORDS = {
    "no_identifier": "without the key identifier",
    "no_consent": "without consent",
    "suppressed": "on a suppression list",
    "duplicate": "seen before in this segment",
    "bad_value": "with a value Meta would refuse",
    "source_changed": "changed while we read; left for the next run",
    "not_reached": "not reached when the run was stopped",
}


def _out() -> Console:
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else WIDTH)


def _err() -> Console:
    return Console(file=sys.stderr, highlight=False, width=None if sys.stderr.isatty() else WIDTH)


def text(what: RenderableType) -> None:
    """Print a result."""
    _out().print(what, crop=False)


def lines(rows: Iterable[str]) -> None:
    """Print bare lines, as they are, and let the reader have them at once."""
    for row in rows:
        sys.stdout.write(row + "\n")
    sys.stdout.flush()


def note(message: str) -> None:
    """Say something beside the result."""
    _err().print(Text(message, style="dim"))


def address(url: str) -> None:
    """Say an address beside the result, whole: a line break would spoil it."""
    sys.stderr.write(url + "\n")
    sys.stderr.flush()


def envelope(command: str, status: str, exit_code: int, data: dict[str, Any], error: ConnectorError | None) -> None:
    """Print the JSON envelope of contract.md §3."""
    shown = {
        "version": 1, "command": command, "status": status, "exit_code": exit_code,
        "data": data, "error": _error_json(error) if error else None,
    }  # fmt: skip
    sys.stdout.write(json.dumps(shown, ensure_ascii=False, default=str) + "\n")


def _error_json(error: ConnectorError) -> dict[str, Any]:
    shown: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
    for name in ("fbtrace_id", "file", "line"):
        value = getattr(error, name)
        if value is not None:
            shown[name] = value
    return shown


def error(problem: ConnectorError) -> None:
    """Print an error: what and where, then what to do."""
    console = _err()
    whole = not console.is_terminal  # in a log a sentence stays on its line, for grep
    console.print(f"[bold red]error[/] {escape(str(problem))}", soft_wrap=whole)
    if problem.hint:
        console.print(f"      [bold]→[/] {escape(problem.hint)}", soft_wrap=whole)
    if problem.fbtrace_id:
        console.print(f"      [dim]Meta's trace id: {escape(problem.fbtrace_id)}[/]")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> RenderableType:
    """Lay out rows under small headings, or say that there are none.

    Only prose is folded: an id or a number in two lines cannot be copied, so a table may be wider than its terminal.
    """
    listed = [[("" if cell is None else str(cell)) for cell in row] for row in rows]
    if not listed:
        return Text(empty, style="dim")
    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    least = 0
    for column, cells in zip(columns, zip(*listed, strict=True), strict=True):
        longest = max(len(column), *map(len, cells))
        grid.add_column(column, overflow="fold", no_wrap=longest <= PROSE)
        least += min(longest, PROSE) + 2
    for row in listed:
        grid.add_row(*map(escape, row))
    return _Whole(grid, least)


@dataclass(frozen=True, slots=True)
class _Whole:
    """A table that has at least its ``least`` width, however narrow the terminal is."""

    grid: Table
    least: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width < self.least:
            self.grid.width = self.least
        yield self.grid


def report(done: Report) -> RenderableType:
    """Show a run report: one look says what happened to whom."""
    t, planned = done.tally, done.dry_run
    title = f"[bold]{escape(done.segment)} → {escape(done.destination)}[/]"
    audience = f"audience “{escape(done.audience_name or '')}” {done.audience_id or ''}".strip()
    kind = "plan, nothing was sent" if planned else f"run {done.run}"
    parts: list[RenderableType] = [
        f"{title}  [dim]{done.mode} · {audience} · {kind}[/]",
        "",
        _fates(done),
        "",
    ]
    if t.to_add:
        parts += [_cells(done), ""]
    if planned and not t.to_add and not t.to_remove:
        parts.append("An export would send nothing: the audience holds just these profiles already.")
    elif planned:
        parts += _plan(done)
    else:
        rate = f", {t.read / done.seconds:,.0f} profiles a second" if done.seconds else ""
        again = f" ({t.batches_retried} repeated)" if t.batches_retried else ""
        parts.append(f"{_some(t.batches_sent, 'request')}{again}, {_size(t.bytes_sent)}, {done.seconds:.1f} s{rate}")
    parts += [f"[yellow]warning[/] {escape(warning)}" for warning in _warnings(done)]
    if t.added:
        parts.append(Text(
            "Meta matches these rows in the background: the audience's size shows within 24 hours, rounded below 1,000;"
            " below 100 matched people it cannot be used.", style="dim",
        ))  # fmt: skip
    return Group(*parts)


def _plan(done: Report) -> list[RenderableType]:
    t, plan = done.tally, done.plan
    what = _some(t.to_add, "row") + (f" and take out {t.to_remove:,}" if t.to_remove else "")
    if plan is None:
        return [f"An export would send {what}."]
    load = f"{_some(plan.calls, 'request')}, {_size(plan.bytes)}, about {_span(plan.seconds)} at this account's pace"
    said: list[RenderableType] = [f"An export would send {what}: {load}."]
    if plan.limited:
        said.append("Meta gives the app Limited access here: some 20 requests in five minutes. Full access lifts that.")
    return said


def _fates(done: Report) -> RenderableType:
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(justify="right")
    grid.add_column()
    t = done.tally
    grid.add_row(f"[bold]{t.read:,}[/]", "profiles read")
    for reason, count in t.skipped.items():
        if count:
            grid.add_row(f"[yellow]−{count:,}[/]", SKIP_WORDS.get(reason, reason))
    grid.add_row(f"[bold]{t.eligible:,}[/]", "eligible")
    if t.extra:
        grid.add_row(f"+{t.extra:,}", "extra rows for further e-mails and phones")
    for figure, words in (*_added(done), *_removed(done)):
        grid.add_row(figure, words)
    return Padding(grid, (0, 0, 0, 2), expand=False)


def _added(done: Report) -> Iterator[tuple[str, str]]:
    t = done.tally
    if done.mode == "remove":
        yield f"−{t.unchanged:,}", "rows of the segment, which are not to be in the audience"
        return
    if t.unchanged:
        yield f"−{t.unchanged:,}", "rows in the audience already, unchanged"
    yield f"[bold]{t.to_add:,}[/]", "rows to add"
    if done.dry_run:
        return
    yield f"[bold green]{t.added:,}[/]", "added"
    if t.invalid:
        yield f"[bold red]{t.invalid:,}[/]", "called invalid by Meta"
    if done.left:
        yield f"[yellow]{done.left:,}[/]", _why_left(done, "the next run sends them")


def _removed(done: Report) -> Iterator[tuple[str, str]]:
    t = done.tally
    if t.to_remove and done.dry_run:
        yield f"[bold]{t.to_remove:,}[/]", "rows to take out"
    elif t.to_remove:
        yield f"{t.removed:,}", f"of {t.to_remove:,} rows removed"
        if t.removed < t.to_remove:
            yield f"[yellow]{t.to_remove - t.removed:,}[/]", _why_left(done, "the next run takes them out")


def _why_left(done: Report, later: str) -> str:
    return "left out by --limit" if done.limited else f"not acknowledged; {later}"


def _cells(done: Report) -> RenderableType:
    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name, side in (
        ("match key", "left"),
        ("sent", "right"),
        ("", "right"),
        ("blank", "right"),
        ("dropped", "left"),
    ):
        grid.add_column(name, justify=side)  # type: ignore[arg-type]  # rich types the words, not str
    for code, cells in done.tally.cells.items():
        share = f"{cells.sent / done.tally.to_add:.0%}" if done.tally.to_add else ""
        lost = " · ".join(f"{count:,} {why.replace('_', ' ')}" for why, count in cells.dropped.most_common())
        grid.add_row(code, f"{cells.sent:,}", f"[dim]{share}[/]", f"{cells.blank:,}", f"[yellow]{lost}[/]")
    return Padding(grid, (0, 0, 0, 2), expand=False)


def _warnings(done: Report) -> list[str]:
    t, found = done.tally, list(done.warnings)
    if t.invalid and done.exit_code == 0:
        found.append(f"Meta called {t.invalid:,} rows invalid, fewer than guards.max_invalid allows.")
    found += [
        f"`where` could not read {_some(n, 'cell')} of {column}; their profiles were left out."
        for column, n in t.unparsable.items()
        if n
    ]
    return found


def _some(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _size(count: int) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count = count / 1000  # type: ignore[assignment]  # a float from the second round on
    return f"{count:.1f} GB"


def _span(seconds: float) -> str:
    """Write a length of time, coarsely.

    >>> _span(3.2), _span(200), _span(9000)
    ('4 s', '4 min', '2.5 h')
    """
    if seconds < 90:
        return f"{math.ceil(max(seconds, 1))} s"
    return f"{math.ceil(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class ProgressLine:
    """Shows how far a run is: one live line on a terminal, else a plain line every few seconds, on stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = _err()
        self._live = (
            Live(console=self._console, transient=True, refresh_per_second=8) if self._console.is_terminal else None
        )
        self._quiet = quiet
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        if self._live is not None and not self._quiet:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._live is not None and not self._quiet:
            self._live.stop()

    def wait(self, wait: Wait) -> None:
        """Say why nothing moves, and until when."""
        if self._quiet or wait.seconds < LEAST_WAIT:
            return
        why = WAIT_WORDS.get(wait.reason, wait.reason)
        self._console.print(
            Text(f"{why}: going on at {wait.until:%H:%M:%S} UTC, in {wait.seconds:,.0f} s", style="yellow")
        )

    def __call__(self, progress: Progress) -> None:
        """Show ``progress``."""
        if self._quiet:
            return
        t = progress.tally
        rate = t.read / progress.seconds if progress.seconds > 0 else 0
        words = (
            f"{progress.stage}: {t.read:,} profiles read, {t.added:,} rows sent, {rate:,.0f} profiles/s"
            if t.read
            else f"{progress.stage} …"
        )
        if progress.left is not None and progress.left >= LEAST_LEFT:
            words += f", about {_span(progress.left)} left"
        if self._live is not None:
            self._live.update(Text(words, style="cyan"))
        elif time.monotonic() - self._said >= LINE_EVERY:
            self._said = time.monotonic()
            self._console.print(words)
