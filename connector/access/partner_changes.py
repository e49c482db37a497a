"""Partner access between businesses: ask for it, give it, take it back, and look until Meta shows it.

Every attempt is an audit line, and the gate's checks 11, 12 and 21 read those of grants and requests. Nothing is written
before the caller confirmed. Source: access.md §3.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from connector.access.access_change import AccessWish, Action, Attempt, Change, Confirm, Manner, Outcome, Waiting
from connector.access.cache import forget_access
from connector.access.capability import UNAVAILABLE
from connector.access.desk import Desk, Speaker, open_desk
from connector.access.findings import Asset, Party
from connector.access.manual_path import manual_path
from connector.access.partnerships import (
    REQUESTS,
    KnownAsset,
    Partnership,
    agencies_of_asset,
    asset_of,
    business_of,
    read_asset,
    row_of,
    status_of,
    tasks_of,
)
from connector.audiences.answers import read_flag, read_text
from connector.errors import AccessError, ConfigError, ConnectorError, GuardError, RejectedError, TransientError
from connector.state import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connector.audiences.graph import Graph
    from connector.config import Config

YEAR: Final = timedelta(days=365)  # a grant ends after twelve months unless told otherwise: access.md §7


def request_access(config: Config, wish: AccessWish, speaker: Speaker, manner: Manner) -> Attempt:
    """Ask the owner of an ad account or Page for agency access; only of a client who knows us and means to approve.

    Raises:
        ConfigError: a wrong task or id, or our own business is not clear.
        GuardError: it was not confirmed.
        AccessError, RejectedError, TransientError: as Meta says.
    """
    if wish.kind not in REQUESTS:
        raise ConfigError("only ad accounts and Pages can be asked for", code="partner.asset", hint="Ask the client.")
    asset, tasks, end = asset_of(wish.kind, wish.asset), tasks_of(wish.kind, wish.tasks), _end(wish)
    with open_desk(config, speaker, fresh=manner.fresh) as desk:
        ours, known = desk.ours(), read_asset(desk.graph, asset)
        if known.owner is not None and known.owner.id == ours.id:
            raise ConfigError(f"{asset.id} is our own", code="partner.asset", hint="Nobody has to be asked.")
        change = Change(
            "request access", asset, known.name, known.owner, ours, tasks, wish.reason, end,
            # An asset that we cannot see has an owner we cannot name: then its own id has to be typed.
            confirm_id=known.owner.id if known.owner else str(asset.id),
        )  # fmt: skip

        def probe() -> None:
            desk.ask(lambda: desk.graph.get(f"{ours.id}/clients", limit=1), about=ours.id)

        def write(graph: Graph) -> Outcome:
            edge, parameter = REQUESTS[wish.kind]
            wanted: dict[str, Any] = {parameter: asset.id, "permitted_tasks": list(tasks)}
            answer = graph.post(f"{ours.id}/{edge}", **wanted)
            return "confirmed" if status_of(read_text(answer, "access_status")) == "confirmed" else "pending"

        return _attempt(desk, change, known, manner, probe, write)


def grant_access(config: Config, wish: AccessWish, speaker: Speaker, manner: Manner) -> Attempt:
    """Give another business access to an asset of ours, asked for or not; the client's part. Errors as for a request."""
    asset, tasks, end = asset_of(wish.kind, wish.asset), tasks_of(wish.kind, wish.tasks), _end(wish)
    agency = Party(business_of(wish.business or ""))
    with open_desk(config, speaker, fresh=manner.fresh) as desk:
        with _recorded(desk, "grant access", asset, agency, wish):
            known = _owned(desk, asset)
            graph = _graph_for(desk, asset)
        rows = _Rows(desk, asset, graph)
        agency = replace(agency, name=rows.name_of(agency.id) or _name_of(desk, agency.id))
        change = Change(
            "grant access", asset, known.name, known.owner, agency, tasks, wish.reason, end, agency.id,
            before=rows.of(agency.id),
        )  # fmt: skip

        def write(graph: Graph) -> Outcome:
            answer = graph.post(
                f"{asset.id}/agencies", idempotent=True, business=agency.id, permitted_tasks=list(tasks)
            )
            return "admin_review" if read_flag(answer, "requires_admin_approval") else "confirmed"

        return _attempt(desk, change, known, manner, rows.probe, write, graph)


def revoke_access(config: Config, wish: AccessWish, speaker: Speaker, manner: Manner) -> Attempt:
    """Take a business's access to an asset back, as its owner or as that business itself. Errors as for a request."""
    asset, agency = asset_of(wish.kind, wish.asset), Party(business_of(wish.business or ""))
    with open_desk(config, speaker, fresh=manner.fresh) as desk:
        with _recorded(desk, "revoke access", asset, agency, wish):
            # Giving back what we borrowed needs no ownership.
            known = read_asset(desk.graph, asset) if agency.id in desk.businesses else _owned(desk, asset)
            graph = _graph_for(desk, asset)
        rows = _Rows(desk, asset, graph)
        before = rows.of(agency.id)
        if before is None and rows.read:
            raise ConfigError(
                f"business {agency.id} has no access to {asset.id}",
                code="partner.business",
                hint="See who has: connector list agencies",
            )
        tasks = before.tasks if before else ()
        agency = before.business if before else agency
        change = Change(
            "revoke access", asset, known.name, known.owner, agency, tasks, wish.reason, None, agency.id,
            stops=_stops(desk, asset, agency.id), before=before,
        )  # fmt: skip

        def write(graph: Graph) -> Outcome:
            graph.delete(f"{asset.id}/agencies", business=agency.id)
            return "revoked"

        return _attempt(desk, change, known, manner, rows.probe, write, graph)


class _Rows:
    """The partners an asset has before a change; that the app may not read them is found out, not raised, until ``probe``."""

    def __init__(self, desk: Desk, asset: Asset, graph: Graph) -> None:
        self._closed: AccessError | None = None
        self._rows: list[Partnership] = []
        try:
            self._rows = desk.ask(lambda: agencies_of_asset(graph, asset), about=str(asset.id))
        except AccessError as error:
            if error.code != UNAVAILABLE:
                raise
            self._closed = error

    @property
    def read(self) -> bool:
        return self._closed is None

    def of(self, business: str) -> Partnership | None:
        return row_of(self._rows, business)

    def name_of(self, business: str) -> str | None:
        row = self.of(business)
        return row.business.name if row else None

    def probe(self) -> None:
        if self._closed is not None:
            raise self._closed


def _attempt(
    desk: Desk, change: Change, known: KnownAsset, manner: Manner, probe: Callable[[], None],
    write: Callable[[Graph], Outcome], graph: Graph | None = None,
) -> Attempt:  # fmt: skip
    """Probe, confirm, write, wait; whatever comes of it is one audit line."""
    try:
        probe()
        if manner.dry_run:
            return Attempt(change, "planned")
        _insist(manner.confirm, change)
        outcome = desk.write(lambda: write(graph or desk.graph))
    except AccessError as error:
        if error.code != UNAVAILABLE:
            _audit(desk, change, "refused", error=error)
            raise
        if not manner.dry_run:
            _audit(desk, change, "unavailable", error=error)
        return _by_hand(desk, change, known, manner, error)
    except GuardError:
        _audit(desk, change, "not_confirmed")
        raise
    except (RejectedError, TransientError) as error:
        _audit(desk, change, "refused" if isinstance(error, RejectedError) else "failed", error=error)
        raise
    _audit(desk, change, "ok" if outcome in {"confirmed", "revoked"} else "pending", came_of_it=outcome)
    _forget_gates(desk, change)
    if manner.wait is not None and outcome in {"pending", "admin_review"}:
        shown = _look(manner.wait, lambda: _is_confirmed(graph or desk.graph, change))
        return Attempt(change, "confirmed" if shown else outcome)
    return Attempt(change, outcome)


def _insist(confirm: Confirm, change: Change) -> None:
    if not confirm(change):
        raise GuardError(
            "not confirmed: nothing was changed", code="partner.not_confirmed", hint="In a script say --yes."
        )


def _by_hand(desk: Desk, change: Change, known: KnownAsset, manner: Manner, error: AccessError) -> Attempt:
    """Show the way by hand; look for the asset to appear, where we would be the ones to see it."""
    purpose: Literal["take_back", "give"] = "take_back" if change.action == "revoke access" else "give"
    path = manual_path(
        purpose, change.asset, change.agency, change.tasks, client=change.owner, language=manner.language
    )
    manner.on_manual(path)
    done = Attempt(change, "by_hand", path, error.fbtrace_id)
    if manner.wait is None or manner.dry_run or change.action != "request access" or known.visible:
        return done
    shown = _look(manner.wait, lambda: read_asset(desk.graph, change.asset).visible)
    return replace(done, outcome="confirmed") if shown else done


def _look(wait: Waiting, shown: Callable[[], bool]) -> bool:
    end = wait.clock() + wait.span.total_seconds()
    while not shown():
        left = end - wait.clock()
        if left <= 0:
            return False
        wait.sleep(min(left, wait.every.total_seconds()))
    return True


def _is_confirmed(graph: Graph, change: Change) -> bool:
    """Look at Meta's own row; for an asset that we cannot see yet, at our list of clients."""
    try:
        row = row_of(agencies_of_asset(graph, change.asset), change.agency.id)
    except (AccessError, RejectedError) as error:
        if error.fault is None or change.action != "request access" or change.asset.kind != "ad_account":
            raise
        lent = graph.pages(f"{change.agency.id}/client_ad_accounts", fields="id", limit=100)
        return any(one.get("id") == change.asset.id for one in lent)
    return row is not None and row.status == "confirmed" and set(change.tasks) <= set(row.tasks)


@contextmanager
def _recorded(desk: Desk, action: Action, asset: Asset, agency: Party, wish: AccessWish) -> Iterator[None]:
    """Write down an attempt that ends before there is a change to speak of."""
    try:
        yield
    except AccessError as error:
        tasks, end = tuple(wish.tasks), wish.expires
        change = Change(action, asset, None, None, agency, tasks, wish.reason, end, agency.id)
        _audit(desk, change, "refused", error=error)
        raise


def _owned(desk: Desk, asset: Asset) -> KnownAsset:
    """Read an asset that the token's business must own: only an owner can give access, an agency cannot pass it on."""
    known = read_asset(desk.graph, asset)
    if known.owner is not None and known.owner.id in desk.businesses:
        return known
    if known.owner is not None:
        who = f"an admin of {known.owner.name or known.owner.id} ({known.owner.id})"
        raise AccessError(
            f"{asset.id} belongs to another business than the token's, and only its owner can change who has access",
            code="partner.not_owner",
            hint=f"Ask {who}, or use the token of one: --token-env NAME",
        )
    if known.visible and asset.kind == "ad_account":
        raise AccessError(
            f"{asset.id} belongs to no business portfolio, so it has no partners",
            code="partner.not_owner",
            hint="Its admin claims it first: Business Settings → Accounts → Ad accounts → Add.",
        )
    if known.visible:
        return known
    raise AccessError(
        f"the token cannot see {asset.id}", code="partner.not_owner", hint="Use the token of an admin of its owner."
    )


def _graph_for(desk: Desk, asset: Asset) -> Graph:
    """Give the connection that may change an asset: a Page wants its own token."""
    graph = desk.graph_for(asset)
    if graph is None:
        raise AccessError(
            f"Page {asset.id} wants its own token, which Meta gives to people with a role on it",
            code="partner.page_token",
            hint="Connect as a person who manages the Page, or put a Page token where --token-env says.",
        )
    return graph


def _name_of(desk: Desk, business: str) -> str | None:
    try:
        return read_text(desk.graph.get(business, fields="name"), "name")
    except (AccessError, RejectedError):
        return None  # a name is a courtesy; the id is what counts


def _end(wish: AccessWish) -> date:
    today = datetime.now(UTC).date()
    if wish.expires is not None and wish.expires <= today:
        raise ConfigError("the end of the access is not in the future", code="partner.expires", hint="YYYY-MM-DD")
    return wish.expires or today + YEAR


def _stops(desk: Desk, asset: Asset, business: str) -> tuple[tuple[str, str], ...]:
    """Name the exports (segment, destination) that need this access."""
    hit = [
        one.name for one in desk.state.destinations()
        if one.ad_account == asset.id and one.business in {None, business}
    ]  # fmt: skip
    segments = desk.config.workspace.segments
    return tuple((name, to) for to in hit for name, model in segments.items() if to in model.to)


def _forget_gates(desk: Desk, change: Change) -> None:
    """Let the gate ask anew wherever this access counts."""
    for one in desk.state.destinations():
        if one.ad_account == change.asset.id:
            forget_access(desk.state, one.name)


def _audit(
    desk: Desk, change: Change, outcome: str, *, came_of_it: Outcome | None = None, error: ConnectorError | None = None
) -> None:
    """Write the line that checks 11, 12 and 21 read."""
    before = change.before
    desk.state.audit(
        AuditEntry(
            action=change.action,
            outcome=outcome,
            client=change.owner.id if change.owner else None,
            asset=change.asset.id,
            before={"tasks": list(before.tasks), "access_status": before.access_status} if before else None,
            after={
                "kind": change.asset.kind,
                "business": change.agency.id,
                "tasks": [] if change.action == "revoke access" else list(change.tasks),
                "requires_admin_approval": came_of_it == "admin_review",
                "expires": change.expires.isoformat() if change.expires else None,
                **({"error": error.code} if error else {}),
            },
            reason=change.reason,
            source=desk.speaker.destination,
            fbtrace_id=error.fbtrace_id if error else None,
        )
    )
