"""Who lent what to whom: the assets that can be lent, their tasks, and the lists of partners that Meta keeps.

Reads only, and the table of kinds of assets. Changing access stands in ``partner_changes``. Source: meta-graph-api.md §6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from connector.access.findings import Asset, Party
from connector.access.inquiry import party, words_of
from connector.audiences.answers import read_object, read_objects, read_text
from connector.errors import AccessError, ConfigError, ConnectorError, RejectedError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from connector.audiences.graph import Graph

AssetKind = Literal["ad_account", "page", "pixel", "catalog"]
Status = Literal["pending", "confirmed", "declined", "expired", "admin_review", "unknown"]

_PAGE: Final = 100
_AD_ACCOUNT_TASKS: Final = ("MANAGE", "ADVERTISE", "ANALYZE", "DRAFT", "AA_ANALYZE")
_PAGE_TASKS: Final = (
    "MANAGE", "CREATE_CONTENT", "MODERATE", "ADVERTISE", "ANALYZE", "DRAFT", "MESSAGING", "MANAGE_JOBS", "MANAGE_LEADS",
    "MODERATE_COMMUNITY", "VIEW_MONETIZATION_INSIGHTS", "PROFILE_PLUS_FULL_CONTROL", "PROFILE_PLUS_MANAGE",
    "PROFILE_PLUS_CREATE_CONTENT", "PROFILE_PLUS_MODERATE", "PROFILE_PLUS_MESSAGING", "PROFILE_PLUS_ADVERTISE",
    "PROFILE_PLUS_ANALYZE", "PROFILE_PLUS_MANAGE_LEADS", "PROFILE_PLUS_REVENUE",
)  # fmt: skip
TASKS: Final[Mapping[AssetKind, tuple[str, ...]]] = {
    "ad_account": _AD_ACCOUNT_TASKS,
    "page": _PAGE_TASKS,
    "pixel": ("EDIT", "ANALYZE", "UPLOAD", "ADVERTISE", "AA_ANALYZE"),
    "catalog": ("MANAGE", "ADVERTISE", "MANAGE_AR", "AA_ANALYZE"),
}
# What a business may ask a client for, and under which parameter.
REQUESTS: Final[Mapping[AssetKind, tuple[str, str]]] = {
    "ad_account": ("client_ad_accounts", "adaccount_id"),
    "page": ("client_pages", "page_id"),
}
_OWNER_FIELD: Final[Mapping[AssetKind, str]] = {
    "ad_account": "business{id,name}",
    "page": "business{id,name}",
    "pixel": "owner_business{id,name}",
    "catalog": "business{id,name}",
}
# Meta documents one spelling for agencies and is said to use the other for clients: both are read, wherever they come.
_LISTS: Final[Mapping[str, AssetKind]] = {
    "adaccount_permissions": "ad_account",
    "ad_account_permissions": "ad_account",
    "page_permissions": "page",
    "productcatalog_permissions": "catalog",
    "pixel_permissions": "pixel",
}
_ASKED_FIELDS: Final = (
    "id,name,adaccount_permissions,page_permissions,productcatalog_permissions",
    "id,name,ad_account_permissions,page_permissions,productcatalog_permissions",
    None,
)
_ROW_FIELDS: Final = "id,name,access_status,access_requested_time,access_updated_time,permitted_tasks"
# Statuses are open-ended: whatever has PENDING in it is pending (meta-graph-api.md §6).
_STATUS_PARTS: Final[tuple[tuple[str, Status], ...]] = (
    ("PENDING", "pending"), ("DECLINED", "declined"), ("EXPIRED", "expired"), ("CONFIRMED", "confirmed"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Partnership:
    """One asset lent, or asked for, between two businesses; ``business`` is the other one. Times as Meta writes them."""

    business: Party
    asset: Asset
    tasks: tuple[str, ...]
    status: Status
    access_status: str | None = None
    requested: str | None = None
    updated: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Give the row for machines, with Meta's own word for the status."""
        return {
            "business": {"id": self.business.id, "name": self.business.name},
            "asset": {"kind": self.asset.kind, "id": self.asset.id},
            "tasks": list(self.tasks), "status": self.status, "access_status": self.access_status,
            "requested": self.requested, "updated": self.updated,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class KnownAsset:
    """What Meta tells of an asset; ``visible`` is false when it tells nothing."""

    asset: Asset
    visible: bool
    name: str | None = None
    owner: Party | None = None


def asset_of(kind: AssetKind, identifier: str) -> Asset:
    """Name an asset, or say that this is no id of one.

    Raises:
        ConfigError: not ``act_`` and digits for an ad account, not digits for anything else.
    """
    bare = identifier.removeprefix("act_") if kind == "ad_account" else identifier
    if not (bare.isascii() and bare.isdecimal()):
        raise ConfigError(
            f'"{identifier}" is no id of {_article(kind)}',
            code="partner.asset",
            hint="An ad account's is act_ and digits, any other is digits.",
        )
    return Asset(kind, f"act_{bare}" if kind == "ad_account" else bare)


def business_of(identifier: str) -> str:
    """Give a business's id back, or a :class:`ConfigError`."""
    if not (identifier.isascii() and identifier.isdecimal()):
        raise ConfigError(
            f'"{identifier}" is no id of a business',
            code="partner.business",
            hint="It is digits: Business Settings → Business portfolio info.",
        )
    return identifier


def tasks_of(kind: AssetKind, words: Iterable[str]) -> tuple[str, ...]:
    """Read the tasks of a grant: one word each, or several with commas between.

    Raises:
        ConfigError: none, or one that this kind of asset has not.
    """
    tasks = tuple(dict.fromkeys(part.strip().upper() for word in words for part in word.split(",") if part.strip()))
    known = TASKS[kind]
    wrong = next((task for task in tasks if task not in known), None)
    if wrong is not None or not tasks:
        said = f'{_article(kind)} has no task "{wrong}"' if wrong else "no task is named"
        nearest = did_you_mean(wrong, known) if wrong else None
        hint = nearest or f"Choose among {', '.join(known)}; ADVERTISE and ANALYZE are enough to run ads."
        raise ConfigError(said, code="partner.tasks", hint=hint)
    return tasks


def _article(kind: AssetKind) -> str:
    return {"ad_account": "an ad account", "page": "a Page", "pixel": "a pixel", "catalog": "a catalogue"}[kind]


def status_of(access_status: str | None, *, waits: bool = False) -> Status:
    """Put Meta's word into ours; ``waits`` says that our record knows of a second admin who has to confirm."""
    word = (access_status or "").upper()
    found: Status = next((ours for part, ours in _STATUS_PARTS if part in word), "unknown")
    return "admin_review" if found == "pending" and waits else found


def read_asset(graph: Graph, asset: Asset) -> KnownAsset:
    """Read an asset's name and owner; one that the token cannot see is no error, only not visible."""
    kind: Any = asset.kind
    for fields in (f"id,name,{_OWNER_FIELD[kind]}", "id,name"):
        try:
            node = graph.get(str(asset.id), fields=fields)
        except (AccessError, RejectedError) as error:
            if error.fault is None or error.fault.code not in {10, 100, 803, *range(200, 300)}:
                raise
            continue
        owner = read_object(node, "business") or read_object(node, "owner_business")
        return KnownAsset(asset, visible=True, name=read_text(node, "name"), owner=party(owner))
    return KnownAsset(asset, visible=False)


def agencies_of_asset(graph: Graph, asset: Asset, *, waiting: frozenset[str] = frozenset()) -> list[Partnership]:
    """List the businesses that may use an asset or have asked to; ``waiting`` names those our record has in review."""
    rows = graph.pages(f"{asset.id}/agencies", fields=_ROW_FIELDS, limit=_PAGE)
    return [_row(Party(str(row.get("id")), read_text(row, "name")), asset, row, waiting) for row in rows]


def agencies_of_business(graph: Graph, business: str) -> list[Partnership]:
    """List who may use the assets of a business."""
    return list(_relations(graph, f"{business}/agencies"))


def clients_of(graph: Graph, business: str) -> list[Partnership]:
    """List whose assets a business may use or has asked for; requests that only the pending edges know come last."""
    known = list(_relations(graph, f"{business}/clients"))
    seen = {row.asset for row in known}
    for edge, field in (("pending_client_ad_accounts", "ad_account"), ("pending_client_pages", "page")):
        wish = f"id,{field}{{id,name,business{{id,name}}}},permitted_tasks"
        for row in _asked(graph, f"{business}/{edge}", (wish, None)):
            node = read_object(row, field)
            kind: Any = field
            asset = Asset(kind, read_text(node, "id") or read_text(row, "id"))
            if asset not in seen:
                owner = party(read_object(node, "business")) or Party("?")
                tasks = words_of(row.get("permitted_tasks"))
                known.append(Partnership(owner, asset, tasks, "pending", "PENDING"))
    return known


def row_of(rows: Iterable[Partnership], business: str) -> Partnership | None:
    """Find the row of one business."""
    return next((row for row in rows if row.business.id == business), None)


def page_token(graph: Graph, page: Asset) -> str | None:
    """Ask for a Page's own token, which a person with a role on the Page gets; never kept, never shown."""
    try:
        return read_text(graph.get(str(page.id), fields="access_token"), "access_token")
    except (AccessError, RejectedError) as error:
        if error.fault is None:
            raise
        return None


def _relations(graph: Graph, edge: str) -> Iterator[Partnership]:
    """Flatten a list of businesses, each with its assets by kind."""
    for relation in _asked(graph, edge, _ASKED_FIELDS):
        business = Party(str(relation.get("id")), read_text(relation, "name"))
        seen: set[Asset] = set()
        for name, kind in _LISTS.items():
            for row in read_objects(relation, name):
                asset = Asset(kind, read_text(row, "id"))
                if asset not in seen:
                    seen.add(asset)
                    yield _row(business, asset, row, frozenset())


def _asked(graph: Graph, edge: str, wishes: Sequence[str | None]) -> list[dict[str, Any]]:
    """Read an edge with the first set of fields that Meta knows there."""
    for wish in wishes[:-1]:
        try:
            return list(graph.pages(edge, fields=wish, limit=_PAGE))
        except RejectedError as error:
            if not _is_unknown_field(error):
                raise
    return list(graph.pages(edge, fields=wishes[-1], limit=_PAGE))


def _is_unknown_field(error: ConnectorError) -> bool:
    return error.fault is not None and (error.fault.code, error.fault.subcode) == (100, None)


def _row(business: Party, asset: Asset, row: Mapping[str, Any], waiting: frozenset[str]) -> Partnership:
    said = read_text(row, "access_status")
    return Partnership(
        business,
        asset,
        words_of(row.get("permitted_tasks")),
        status_of(said, waits=business.id in waiting),
        said,
        read_text(row, "access_requested_time"),
        read_text(row, "access_updated_time"),
    )
