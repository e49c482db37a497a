"""A Custom Audience: create it, find it again, read what Meta says of it, delete it.

Source of the calls: meta-graph-api.md §1. Uploads are in ``upload.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connector.audiences.graph import LAG_SECONDS
from connector.errors import RejectedError, TransientError

if TYPE_CHECKING:
    from connector.audiences.graph import Graph

_FIELDS = (
    "id,name,account_id,subtype,is_value_based,operation_status,delivery_status,permission_for_actions,"
    "approximate_count_lower_bound,approximate_count_upper_bound,time_created,data_source"
)
_PAGE = 20  # Meta's own advice for this edge: meta-graph-api.md §1.3


@dataclass(frozen=True, slots=True)
class Audience:
    """What Meta says of a customer-list audience. Sizes are Meta's rounded bounds, ``-1`` while unknown."""

    id: str
    name: str
    account_id: str
    subtype: str
    value_based: bool
    can_edit: bool
    status_code: int
    status_text: str
    lower_bound: int
    upper_bound: int


def create_audience(graph: Graph, ad_account: str, title: str, *, value_based: bool = False) -> Audience:
    """Create an empty customer-list audience called ``title``.

    Never sends the request a second time on its own: after an unclear answer it looks whether the audience is there.
    """
    wanted: dict[str, Any] = {
        "name": title,
        "subtype": "CUSTOM",
        "customer_file_source": "USER_PROVIDED_ONLY",
    }
    if value_based:
        wanted["is_value_based"] = True
    try:
        made = graph.post(f"{ad_account}/customaudiences", **wanted)
    except TransientError as error:
        if error.fault is None or not error.fault.received:
            raise
        found = find_audience(graph, ad_account, title)
        if found is None:  # Meta's lists lag behind what was made
            graph.pace.pause(LAG_SECONDS, ad_account)
            found = find_audience(graph, ad_account, title)
        if found is None:
            raise
        return found
    return Audience(
        str(made["id"]), title, ad_account.removeprefix("act_"), "CUSTOM", value_based, True, 410, "", -1, -1
    )


def find_audience(graph: Graph, ad_account: str, title: str) -> Audience | None:
    """Look for an editable customer-list audience of exactly this name; the newest when several have it."""
    named = [a for a in list_audiences(graph, ad_account) if a.name == title and a.subtype == "CUSTOM" and a.can_edit]
    return max(named, key=lambda a: int(a.id), default=None)


def list_audiences(graph: Graph, ad_account: str) -> list[Audience]:
    """All customer-list audiences that the token sees in the ad account, shared ones included."""
    items = graph.pages(f"{ad_account}/customaudiences", fields=_FIELDS, limit=_PAGE)
    return [a for a in map(_audience, items) if a.subtype == "CUSTOM"]


def read_audience(graph: Graph, audience_id: str) -> Audience:
    """Read one audience.

    Raises:
        AccessError: it is not there, or not for this token.
        RejectedError: it is no customer list.
    """
    audience = _audience(graph.get(audience_id, fields=_FIELDS))
    if audience.subtype != "CUSTOM":
        raise RejectedError(
            f"audience {audience_id} is of the kind {audience.subtype}, and only customer lists (CUSTOM) take profiles",
            code="audience.subtype",
            hint="Choose another audience, or let connector make one: --new-audience TITLE",
        )
    return audience


def delete_audience(graph: Graph, audience_id: str) -> None:
    """Delete the audience at Meta. Irreversible; ads that use it stop."""
    graph.delete(audience_id)


def _audience(node: dict[str, Any]) -> Audience:
    status = node.get("operation_status") or {}
    actions = node.get("permission_for_actions") or {}
    return Audience(
        id=str(node["id"]),
        name=str(node.get("name", "")),
        account_id=str(node.get("account_id", "")),
        subtype=str(node.get("subtype", "")),
        value_based=bool(node.get("is_value_based", False)),
        can_edit=bool(actions.get("can_edit", True)),
        status_code=int(status.get("code", status.get("status", 0)) or 0),
        status_text=str(status.get("description", "")),
        lower_bound=int(node.get("approximate_count_lower_bound", -1)),
        upper_bound=int(node.get("approximate_count_upper_bound", -1)),
    )
