"""``connector list …`` and ``connector show …``."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer
from rich.console import Group

from connector.access.connection import DEFAULT_TOKEN_ENV, connected
from connector.access.token_store import stored_token
from connector.audiences.audience import list_audiences
from connector.cli import render
from connector.cli.answer import Answer, respond
from connector.cli.options import HERE, Json, Workspace, read_span
from connector.config import Config
from connector.profiles.mapping import read_mapping
from connector.rejects import REJECTED, read_rejects, rejects_folder
from connector.state import Destination, Run, State

if TYPE_CHECKING:
    from collections.abc import Callable

list_ = typer.Typer(help="List what there is.", no_args_is_help=True)
show = typer.Typer(help="Show one thing whole.", no_args_is_help=True)

Token = Annotated[str, typer.Option("--token-env", help="The environment variable that holds the token.")]
TOKEN_ENV = "CONNECTOR_TOKEN"  # noqa: S105  the name of a variable


@list_.command("segments", epilog="Example: connector list segments")
def segments(workspace: Workspace = HERE, as_json: Json = False) -> None:
    """List the segments of connector.yaml."""

    def work() -> Answer:
        known = Config.load(workspace).workspace.segments
        data = [{"name": n, **s.model_dump(mode="json", by_alias=True, exclude_none=True)} for n, s in known.items()]
        rows = [(n, s.mapping, s.mode, ", ".join(s.to), s.every or "", s.description) for n, s in known.items()]
        columns = ("SEGMENT", "MAPPING", "MODE", "TO", "EVERY", "DESCRIPTION")
        return Answer(
            {"segments": data}, render.table(columns, rows, empty="No segments yet: add one to connector.yaml.")
        )

    respond("list segments", work, as_json=as_json)


@list_.command("mappings", epilog="Example: connector list mappings")
def mappings(workspace: Workspace = HERE, as_json: Json = False) -> None:
    """List the mapping files."""

    def work() -> Answer:
        config = Config.load(workspace)
        read = [read_mapping(config.mapping_file(name)) for name in config.mappings()]
        data = [{"name": m.name, "key_identifier": m.key_identifier, "keys": list(m.codes)} for m in read]
        rows = [(m.name, m.key_identifier, " ".join(m.codes)) for m in read]
        return Answer(
            {"mappings": data}, render.table(("MAPPING", "IDENTIFIER", "MATCH KEYS"), rows, empty="No mappings yet.")
        )

    respond("list mappings", work, as_json=as_json)


@list_.command("destinations", epilog="Example: connector list destinations")
def destinations(workspace: Workspace = HERE, as_json: Json = False) -> None:
    """List the connected destinations."""

    def work() -> Answer:
        with State.open(Config.load(workspace).state_url) as state:
            known = state.destinations()
        rows = [(d.name, d.ad_account, d.audience_id, d.audience_name, "paused" if d.paused_at else "") for d in known]
        table = render.table(
            ("DESTINATION", "AD ACCOUNT", "AUDIENCE", "TITLE", ""),
            rows,
            empty="No destinations yet: connector add destination",
        )
        return Answer({"destinations": [asdict(d) for d in known]}, table)

    respond("list destinations", work, as_json=as_json)


@list_.command("runs", epilog="Example: connector list runs --limit 10")
def runs(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, from the newest on.")] = 20,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """List the newest runs."""

    def work() -> Answer:
        with State.open(Config.load(workspace).state_url) as state:
            known = state.runs(limit=limit)
        rows = [
            (r.id, r.started_at[:16].replace("T", " "), r.segment, r.destination, r.mode, r.status, *_counts(r.report))
            for r in known
        ]
        columns = ("RUN", "STARTED (UTC)", "SEGMENT", "DESTINATION", "MODE", "STATUS", "READ", "ADDED", "REMOVED")
        return Answer({"runs": [asdict(r) for r in known]}, render.table(columns, rows, empty="No runs yet."))

    respond("list runs", work, as_json=as_json)


def _counts(report: dict[str, dict[str, int]] | None) -> tuple[str, ...]:
    if not report:
        return ("", "", "")
    return f"{report['profiles']['read']:,}", f"{report['rows']['added']:,}", f"{report['rows']['removed']:,}"


@list_.command("ad-accounts", epilog="Example: connector list ad-accounts")
def ad_accounts(token_env: Token = TOKEN_ENV, workspace: Workspace = HERE, as_json: Json = False) -> None:
    """List the ad accounts that the token sees."""

    def work() -> Answer:
        fields = "id,name,account_status,currency,business{id,name},user_tasks"
        with connected(Config.load(workspace), Destination("-", "act_0", token_env=token_env)) as graph:
            known = list(graph.pages("me/adaccounts", fields=fields, limit=100))
        rows = [
            (
                a["id"],
                a.get("name"),
                (a.get("business") or {}).get("name"),
                a.get("currency"),
                " ".join(a.get("user_tasks", ())),
            )
            for a in known
        ]
        table = render.table(
            ("AD ACCOUNT", "NAME", "BUSINESS", "CURRENCY", "YOUR TASKS"), rows, empty="This token sees no ad account."
        )
        return Answer({"ad_accounts": known}, table)

    respond("list ad-accounts", work, as_json=as_json)


@list_.command("audiences", epilog="Example: connector list audiences --ad-account act_123")
def audiences(
    ad_account: Annotated[str, typer.Option("--ad-account", help="act_ and digits.")],
    token_env: Token = TOKEN_ENV,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """List the customer-list audiences of an ad account."""

    def work() -> Answer:
        with connected(Config.load(workspace), Destination("-", ad_account, token_env=token_env)) as graph:
            known = list_audiences(graph, ad_account)
        rows = [
            (a.id, a.name, _bounds(a.lower_bound, a.upper_bound), "yes" if a.can_edit else "no", a.status_text)
            for a in known
        ]
        table = render.table(
            ("AUDIENCE", "TITLE", "SIZE", "EDITABLE", "STATUS"), rows, empty="No customer-list audience here."
        )
        return Answer({"audiences": [asdict(a) for a in known]}, table)

    respond("list audiences", work, as_json=as_json)


def _bounds(lower: int, upper: int) -> str:
    return "not known yet" if lower < 0 else f"{lower:,} to {upper:,}"


@show.command("segment", epilog="Example: connector show segment loyal_customers")
def show_segment(
    name: Annotated[str, typer.Argument(help="Its name in connector.yaml.")],
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Show a segment as connector.yaml has it, and its last runs."""

    def work() -> Answer:
        config = Config.load(workspace)
        model = config.segment(name).model_dump(mode="json", by_alias=True, exclude_none=True)
        with State.open(config.state_url) as state:
            last = state.runs(limit=5, segment=name)
        rows = [(field, value) for field, value in model.items() if value not in ("", [], ())]
        history = [(r.id, r.destination, r.status, *_counts(r.report)) for r in last]
        text = Group(
            render.table((name.upper(), ""), rows, empty=""), "",
            render.table(("RUN", "DESTINATION", "STATUS", "READ", "ADDED", "REMOVED"), history, empty="No runs yet."),
        )  # fmt: skip
        return Answer({"segment": {"name": name, **model}, "runs": [asdict(r) for r in last]}, text)

    respond("show segment", work, as_json=as_json)


@show.command("mapping", epilog="Example: connector show mapping crm")
def show_mapping(
    name: Annotated[str, typer.Argument(help="Its file in mappings/, without .yaml.")],
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Show which attribute feeds which match key."""

    def work() -> Answer:
        mapping = read_mapping(Config.load(workspace).mapping_file(name))
        keys = {code: list(a.columns) or [f"always {a.value}"] for code, a in mapping.attributes.items()}
        data = {
            "name": name, "file": str(mapping.file), "key_identifier": mapping.key_identifier,
            "default_country": mapping.settings.default_country, "keys": keys, "consent": mapping.consent,
        }  # fmt: skip
        rows = [(code, ", ".join(columns)) for code, columns in keys.items()]
        if mapping.consent:
            rows.append(("consent", mapping.consent))
        return Answer({"mapping": data}, render.table(("MATCH KEY", "ATTRIBUTES"), rows, empty=""))

    respond("show mapping", work, as_json=as_json)


@show.command("destination", epilog="Example: connector show destination demo")
def show_destination(
    name: Annotated[str, typer.Argument(help="Its name.")], workspace: Workspace = HERE, as_json: Json = False
) -> None:
    """Show a destination: account, audience, accepted terms; never its token."""

    def work() -> Answer:
        with State.open(Config.load(workspace).state_url) as state:
            known = asdict(state.destination(name))
            kept = stored_token(state, name)
        rows = [(field.replace("_", " "), value) for field, value in known.items() if value not in (None, "", False)]
        if kept is not None and known["token_env"] == DEFAULT_TOKEN_ENV:
            ends = f", ends {kept.expires_at:%Y-%m-%d}" if kept.expires_at else ""
            rows = [row for row in rows if row[0] != "token env"]
            rows.append(("token", f"stored, encrypted, of user {kept.user_id}{ends}"))
        data = {"destination": known, "stored_token": kept.to_json() if kept else None}
        return Answer(data, render.table(("DESTINATION", ""), rows, empty=""))

    respond("show destination", work, as_json=as_json)


@show.command("run", epilog="Example: connector show run 20261121-18")
def show_run(
    run_id: Annotated[str, typer.Argument(help="Its id, or the beginning of it.")],
    rejects: Annotated[
        bool, typer.Option("--rejects", help="List who was skipped or rejected: row, reason, masked external id.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many of the rejects, from the first row on.")] = 100,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Show a run: its counts and its acknowledged requests; with --rejects, the profiles that were left out."""

    def work() -> Answer:
        config = Config.load(workspace)
        with State.open(config.state_url) as state:
            found = state.run(run_id)
            sent = state.batches(found.id)
        if rejects:
            return _rejects(found, read_rejects(rejects_folder(config.root), found.id), limit)
        data = {**asdict(found), "batches": sent}
        facts = [(k, v) for k, v in asdict(found).items() if k != "report" and v is not None]
        report = found.report or {}
        groups = {group: dict(report.get(group, {})) for group in ("profiles", "rows", "batches")}
        groups["skipped"] = groups["profiles"].pop("skipped", {})
        counts = [
            (f"{group} {name}".replace("_", " "), f"{value:,}") for group, named in groups.items()
            for name, value in named.items()
        ]  # fmt: skip
        return Answer(
            {"run": data},
            Group(render.table(("RUN", ""), facts, empty=""), "", render.table(("COUNT", ""), counts, empty="")),
        )

    respond("show run", work, as_json=as_json)


def _rejects(run: Run, kept: pl.DataFrame, limit: int) -> Answer:
    """Show the first ``limit`` of what is kept, and how many were left out for each reason in all."""
    report = run.report or {}
    counted = {reason: n for reason, n in report.get("profiles", {}).get("skipped", {}).items() if n}
    counted |= {REJECTED: n} if (n := report.get("rows", {}).get("invalid", 0)) else {}
    listed = kept.head(limit).to_dicts()
    rows = [(f"{one['row']:,}", one["reason"], one["external_id"]) for one in listed]
    empty = "What this run left out is no longer kept." if counted and kept.is_empty() else "Nobody was left out."
    shown = render.table(("ROW", "REASON", "EXTERNAL ID (masked)"), rows, empty=empty)
    total = ", ".join(f"{n:,} {reason}" for reason, n in counted.items())
    more = f"{len(listed):,} of {sum(counted.values()):,} shown: {total}" if listed else ""
    return Answer({"run": run.id, "rejects": listed, "kept": kept.height, "counted": counted}, Group(shown, more))


@show.command("audit", epilog="Example: connector show audit --destination loyalty --since 30d")
def show_audit(
    destination: Annotated[str | None, typer.Option("--destination", help="Only lines about this one.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="A day (2026-11-01), or a span up to now (30d).")
    ] = None,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Show who did what, when and why: the hash-chained audit lines, oldest first."""

    def work() -> Answer:
        first = _moment(since) if since else ""
        with State.open(Config.load(workspace).state_url) as state:
            about = None if destination is None else _about(state, destination)
            lines = [a for a in state.audit_lines() if a["at"] >= first and (about is None or about(a))]
        rows = [
            (a["seq"], a["at"][:19], a["actor"], a["action"], a["source"], a["asset"], a["outcome"], a["reason"])
            for a in lines
        ]
        columns = ("#", "AT (UTC)", "ACTOR", "ACTION", "SUBJECT", "ASSET", "OUTCOME", "REASON")
        return Answer({"audit": lines}, render.table(columns, rows, empty="Nothing yet."))

    respond("show audit", work, as_json=as_json)


def _about(state: State, destination: str) -> Callable[[dict[str, Any]], bool]:
    """Say which lines are about a destination: its own, and those on its ad account and audience that name no other."""
    known = next((one for one in state.destinations() if one.name == destination), None)
    assets = {known.ad_account, known.audience_id} - {None} if known else set()
    return lambda line: line["source"] == destination or (line["source"] is None and line["asset"] in assets)


def _moment(since: str) -> str:
    """Read ``--since`` as the text that audit times are kept in."""
    try:
        at = datetime.fromisoformat(since)
    except ValueError:
        at = datetime.now(UTC) - read_span(since, "--since")
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
