"""``connector check …``: find what is wrong before an export does. Nothing is sent, nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.markup import escape

from connector.access.connection import connected, own_app
from connector.access.findings import Language
from connector.access.gate import allow, check_access
from connector.cli.answer import Answer, first_exit, respond
from connector.cli.gate_report import gate_report
from connector.cli.options import HERE, Json, Workspace
from connector.cli.preview import advice, coverage, headline, suspicions
from connector.config import Config, environment_secret, shown
from connector.errors import ConfigError, ConnectorError, GuardError
from connector.profiles.coverage import look_at
from connector.profiles.inspection import Look, inspect_segment, inspect_suppression, try_mapping
from connector.profiles.problems import check_mapping_file, find_problems
from connector.state import FIRST_PREV, State, broken_at

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from connector.state import Destination

app = typer.Typer(help="Find what is wrong before an export does.", no_args_is_help=True)

MARKS = {"ok": "[green]✓[/]", "warn": "[yellow]![/]", "fail": "[red]✗[/]"}
InLanguage = Annotated[Language, typer.Option("--language", help="Of messages and steps, for whom you paste them to.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Ask Meta everything anew.")]


@dataclass(frozen=True, slots=True)
class Part:
    """What one check found: ``data`` for machines, ``text`` for people, and the errors that decide the exit code."""

    data: dict[str, Any]
    text: RenderableType
    problems: tuple[ConnectorError, ...] = ()

    @property
    def exit_code(self) -> int:
        """Give the first of contract.md's exit codes that a problem has; 0 without one."""
        return first_exit([problem.exit_code for problem in self.problems] or [0])

    def answer(self) -> Answer:
        """Make the command's answer; its error is the gravest problem and tells how many more there are."""
        if not self.problems:
            return Answer(self.data, self.text)
        gravest = next(problem for problem in self.problems if problem.exit_code == self.exit_code)
        return Answer(self.data, self.text, self.exit_code, _with_more(gravest, len(self.problems) - 1))


def _with_more(problem: ConnectorError, more: int) -> ConnectorError:
    if not more:
        return problem
    return type(problem)(
        f"{problem.message} (and {more} more, above)", code=problem.code, hint=problem.hint, file=problem.file,
        line=problem.line, fbtrace_id=problem.fbtrace_id,
    )  # fmt: skip


@app.command("config", epilog="Example: connector check config")
def config(workspace: Workspace = HERE, as_json: Json = False) -> None:
    """Read connector.yaml, every mapping and every query file, and list all mistakes at once. Reads no profile."""

    def work() -> Answer:
        return _config(workspace)[1].answer()

    respond("check config", work, as_json=as_json)


def _config(workspace: Path) -> tuple[Config | None, Part]:
    found, problems = find_problems(workspace)
    sources = found.workspace.sources if found else {}
    variables = [
        {"name": name, "url_env": source.url_env, "set": environment_secret(source.url_env) is not None}
        for name, source in sources.items()
    ]
    segments, mappings = (list(found.workspace.segments), found.mappings()) if found else ([], [])
    data = {
        "file": str(shown(found.file)) if found else None,
        "segments": segments,
        "mappings": mappings,
        "sources": variables,
        "problems": [_problem(problem) for problem in problems],
    }
    unset = [
        f"{MARKS['warn']} source {v['name']}: {v['url_env']} is not set here; its segments cannot be read without it"
        for v in variables
        if not v["set"]
    ]
    if found is not None and not problems:
        kept = f"{_counted(len(segments), 'segment')}, {_counted(len(mappings), 'mapping')}"
        fine = [
            f"{MARKS['ok']} connector.yaml and everything it names is right: {kept}",
            "  No source was opened: `connector check segment NAME` reads one.",
        ]
        return found, Part(data, Group(*fine, *unset))
    return found, Part(data, Group(*_listed(problems), *unset), tuple(problems))


@app.command("mapping", epilog="Example: connector check mapping crm --segment loyal_customers")
def mapping(
    name: Annotated[str, typer.Argument(help="The mapping's name: its file without .yaml.")],
    segment: Annotated[
        str | None,
        typer.Option("--segment", help="Whose profiles to try it on.", show_default="the first that uses it"),
    ] = None,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Try a mapping on real profiles: coverage per match key, what is lost and why, what looks wrong, what to do.

    Looks at the first 20,000 profiles of a segment. Nothing is sent, and nothing readable is shown.
    """
    respond("check mapping", lambda: _mapping(Config.load(workspace), name, segment).answer(), as_json=as_json)


def _mapping(config: Config, name: str, segment: str | None) -> Part:
    read = check_mapping_file(config.mapping_file(name))
    users = [other for other, model in config.workspace.segments.items() if model.mapping == name]
    on = segment or next(iter(users), None)
    if on is None:
        text = f"{MARKS['ok']} {read.file} is right, but no segment uses it: try it on one with --segment"
        return Part({"mapping": name, "segment": None, "keys": {}, "suspicions": []}, text)
    opened, problems = try_mapping(config, name, on)
    if opened is None:
        lacking = {"mapping": name, "segment": on, "problems": [_problem(problem) for problem in problems]}
        return Part(lacking, Group(*_listed(problems)), tuple(problems))
    found = look_at(opened, rows=0)
    data = {field: value for field, value in found.to_json().items() if field != "rows"}
    return Part(data, Group(headline(found), "", coverage(found), "", advice(found), "", suspicions(found)))


@app.command("segment", epilog="Example: connector check segment loyal_customers")
def segment(
    name: Annotated[str, typer.Argument(help="The segment's name in connector.yaml.")],
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Open a segment's source, understand its predicate, read a sample, the suppression lists and its destinations."""

    def work() -> Answer:
        config = Config.load(workspace)
        with State.open(config.state_url) as state:
            looks = [*inspect_segment(config, name, state=state), inspect_suppression(config)]
            return _looked({"segment": name}, name, looks).answer()

    respond("check segment", work, as_json=as_json)


def _looked(subject: dict[str, Any], title: str, looks: Sequence[Look]) -> Part:
    lines = [f"[bold]{escape(title)}[/]"]
    for look in looks:
        lines.append(f"  {MARKS[look.status]} {look.what:<11}  {escape(look.message)}")
        if look.problem is not None and look.problem.hint:
            lines.append(f"    {'':<11}  [bold]→[/] {escape(look.problem.hint)}")
    problems = tuple(look.problem for look in looks if look.problem is not None)
    return Part({**subject, "checks": [look.to_json() for look in looks]}, "\n".join(lines), problems)


@app.command("access", epilog="Example: connector check access demo --fresh")
def access(
    name: Annotated[str | None, typer.Argument(metavar="[DESTINATION]", help="All destinations without it.")] = None,
    fresh: Fresh = False,
    language: InLanguage = "en",
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Ask Meta whether a destination may be filled: 21 checks, and for each that fails who must do what, where.

    Only reads. Ready to paste: the steps stand under the person who has to take them.
    """

    def work() -> Answer:
        config = Config.load(workspace)
        with State.open(config.state_url) as state:
            known = [state.destination(name)] if name is not None else state.destinations()
            if not known:
                raise ConfigError(
                    "there is no destination yet",
                    code="destination.none",
                    hint="Connect one with: connector add destination NAME --ad-account act_… --new-audience TITLE",
                )
            parts = [_access(config, one, state, fresh=fresh, language=language) for one in known]
            return (
                parts[0].answer()
                if len(parts) == 1
                else _together({"reports": [p.data for p in parts]}, parts).answer()
            )

    respond("check access", work, as_json=as_json)


def _access(config: Config, destination: Destination, state: State, *, fresh: bool, language: Language = "en") -> Part:
    """Run the gate; a refusal is found, not raised."""
    try:
        with connected(config, destination, state=state) as graph:
            report = check_access(graph, destination, state=state, fresh=fresh, language=language, **own_app())
    except ConnectorError as error:
        data = {"destination": destination.name, "allowed": False, "error": _problem(error)}
        return Part(data, f"[bold]{escape(destination.name)}[/] [red]could not be asked[/]", (error,))
    try:
        allow(report)
        _refuse_paused(destination)
    except ConnectorError as refused:
        return Part(report.to_json(), gate_report(report), (refused,))
    return Part(report.to_json(), gate_report(report))


def _refuse_paused(destination: Destination) -> None:
    """Stop as an export would: Meta lets it pass, an admin of ours does not."""
    if destination.paused_at is not None:
        raise GuardError(
            f"destination {destination.name} is paused since {destination.paused_at}",
            code="destination.paused",
            hint=f"Go on with: connector resume destination {destination.name}",
        )


@app.command("audit", epilog="Example: connector check audit")
def audit(
    head: Annotated[
        str | None, typer.Option("--head", metavar="HASH", help="A head noted earlier: it must still be in the chain.")
    ] = None,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Prove that nobody changed the audit lines or took one out: every line's hash, and its link to the line before.

    Lines cut off the end leave a whole chain: note the head now and then, elsewhere, and give it with --head.
    """

    def work() -> Answer:
        with State.open(Config.load(workspace).state_url) as state:
            return _audit(state.audit_lines(), noted=head).answer()

    respond("check audit", work, as_json=as_json)


def _audit(lines: Sequence[dict[str, Any]], *, noted: str | None = None) -> Part:
    broken = broken_at(lines)
    if broken is None and noted is not None and noted not in {FIRST_PREV, *(line["hash"] for line in lines)}:
        broken = len(lines) + 1
    head = str(lines[-1]["hash"]) if lines else FIRST_PREV
    data = {"lines": len(lines), "intact": broken is None, "broken_at": broken, "head": head}
    if not lines and broken is None:
        return Part(data, f"{MARKS['ok']} no audit line yet")
    if broken is None:
        text = f"{MARKS['ok']} {_counted(len(lines), 'audit line')}, the chain is intact"
        return Part(data, f"{text}\n[dim]  head {head}: keep it elsewhere to notice lines cut off the end[/]")
    lost = broken > len(lines)
    what = "lines were cut off the end" if lost else "it, or one before it, was changed, added or taken out"
    problem = GuardError(
        f"the audit chain is broken at line {broken}: {what}",
        code="audit.broken",
        hint="Compare the state database with a backup before you trust a line from there on: connector show audit",
    )
    return Part(data, f"{MARKS['fail']} {_counted(len(lines), 'audit line')}", (problem,))


@app.command("all", epilog="Example: connector check all")
def everything(fresh: Fresh = False, workspace: Workspace = HERE, as_json: Json = False) -> None:
    """Check the files, then every segment, then every destination, in one report."""

    def work() -> Answer:
        config, files = _config(workspace)
        if config is None:
            return files.answer()
        with State.open(config.state_url) as state:
            segments = [
                _looked({"segment": name}, name, inspect_segment(config, name, state=state))
                for name in config.workspace.segments
            ]
            reached = [_access(config, one, state, fresh=fresh) for one in state.destinations()]
            lines = _audit(state.audit_lines())
        never = _looked({}, "suppress", [inspect_suppression(config)])
        data = {
            "config": files.data,
            "segments": [part.data for part in segments],
            "suppress": never.data["checks"][0],
            "destinations": [part.data for part in reached],
            "audit": lines.data,
        }
        return _together(data, [files, *segments, never, *reached, lines]).answer()

    respond("check all", work, as_json=as_json)


def _together(data: dict[str, Any], parts: Sequence[Part]) -> Part:
    texts: list[RenderableType] = []
    for part in parts:
        texts += [part.text, ""]
    return Part(data, Group(*texts[:-1]), tuple(problem for part in parts for problem in part.problems))


def _listed(problems: Sequence[ConnectorError]) -> list[RenderableType]:
    """List problems one below the other, each with its hint; a single one is left to the error line."""
    if len(problems) < 2:
        return []
    lines: list[RenderableType] = []
    for problem in problems:
        lines.append(f"{MARKS['fail']} {escape(str(problem))}")
        if problem.hint:
            lines.append(f"  [bold]→[/] {escape(problem.hint)}")
    return lines


def _problem(problem: ConnectorError) -> dict[str, Any]:
    fields = ("code", "message", "hint", "file", "line")
    return {field: getattr(problem, field) for field in fields}


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
