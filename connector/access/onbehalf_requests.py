"""On-behalf-of requests (OBO): list, show, cancel. What the gate makes of them stands in ``onbehalf``.

Statuses are open-ended and kept as Meta writes them. A request comes as a bare object or wrapped in ``data``; both are read.
Source: meta-graph-api.md §6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from connector.access.desk import Desk, Speaker, open_desk
from connector.access.inquiry import party
from connector.access.partnerships import asset_of
from connector.audiences.answers import read_flag, read_object, read_objects, read_text
from connector.errors import AccessError, ConfigError, ConnectorError, GuardError, RejectedError
from connector.state import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connector.access.findings import Party
    from connector.config import Config

Direction = Literal["received", "sent"]
_FIELDS: Final = "id,receiving_business,requesting_business,status,business_owned_object"
STATUSES: Final = ("IN_PROGRESS", "APPROVE", "DECLINE")  # what the account's edge can be asked for, one a call


@dataclass(frozen=True, slots=True)
class OnBehalfRequest:
    """One request: ``sender`` wants to act on behalf of ``receiver`` on an asset; ``status`` is Meta's own word."""

    id: str
    status: str | None
    sender: Party | None
    receiver: Party | None
    asset: str | None

    def to_json(self) -> dict[str, Any]:
        """Give it for machines, under Meta's names."""
        return {
            "id": self.id, "status": self.status, "business_owned_object": self.asset,
            "requesting_business": {"id": self.sender.id, "name": self.sender.name} if self.sender else None,
            "receiving_business": {"id": self.receiver.id, "name": self.receiver.name} if self.receiver else None,
        }  # fmt: skip


def requests_on(
    config: Config, ad_account: str, speaker: Speaker, *, statuses: tuple[str, ...] = STATUSES, fresh: bool = False
) -> list[OnBehalfRequest]:
    """List the requests on an ad account; Meta wants one call a status.

    Raises:
        AccessError: with code ``b2b.unavailable`` when the app was not let in.
    """
    asset = asset_of("ad_account", ad_account)
    with open_desk(config, speaker, fresh=fresh) as desk:
        edge = f"{asset.id}/onbehalf_requests"

        def read(status: str) -> list[OnBehalfRequest]:
            rows = desk.graph.pages(edge, status=status, fields=_FIELDS)
            return [_request({"status": status, "business_owned_object": asset.id, **row}) for row in rows]

        return [one for status in statuses for one in desk.ask(lambda s=status: read(s), about=str(asset.id))]  # type: ignore[misc]  # mypy cannot type a default


def open_requests(
    config: Config, direction: Direction, speaker: Speaker, *, fresh: bool = False
) -> list[OnBehalfRequest]:
    """List the open requests that our business received or sent; Meta lists ids only, so each is read."""
    with open_desk(config, speaker, fresh=fresh) as desk:
        ours = desk.ours()
        edge = f"{ours.id}/{direction}_inprogress_onbehalf_requests"
        ids = desk.ask(lambda: [read_text(row, "id") for row in desk.graph.pages(edge, fields="id")], about=ours.id)
        return [_read(desk, one) for one in ids if one]


def show_request(config: Config, request: str, speaker: Speaker, *, fresh: bool = False) -> OnBehalfRequest:
    """Read one request."""
    with open_desk(config, speaker, fresh=fresh) as desk:
        return _read(desk, _number(request))


def cancel_request(
    config: Config,
    request: str,
    speaker: Speaker,
    *,
    confirm: Callable[[OnBehalfRequest], bool],
    reason: str | None = None,
    dry_run: bool = False,
) -> OnBehalfRequest:
    """Cancel a request of ours that is still open; an audit line whatever comes of it.

    Raises:
        GuardError: it was not confirmed.
        AccessError, RejectedError: it is not ours, or not open any more.
    """
    with open_desk(config, speaker) as desk:
        found = _read(desk, _number(request))
        if dry_run:
            return found
        try:
            if not confirm(found):
                raise GuardError(
                    "not confirmed: nothing was changed", code="partner.not_confirmed", hint="In a script say --yes."
                )
            answer = desk.write(lambda: desk.graph.delete(found.id))
            if not read_flag(answer, "success"):
                raise RejectedError(f"Meta did not cancel request {found.id}", code="obo.not_cancelled")
        except ConnectorError as error:
            _audit(desk, found, _outcome(error), reason, error)
            raise
        _audit(desk, found, "ok", reason, None)
        return found


def _outcome(error: ConnectorError) -> str:
    if isinstance(error, GuardError):
        return "not_confirmed"
    return "refused" if isinstance(error, AccessError | RejectedError) else "failed"


def _audit(desk: Desk, found: OnBehalfRequest, outcome: str, reason: str | None, error: ConnectorError | None) -> None:
    desk.state.audit(
        AuditEntry(
            action="cancel obo-request",
            outcome=outcome,
            client=found.receiver.id if found.receiver else None,
            asset=found.asset,
            before={"request": found.id, "status": found.status},
            after={"error": error.code} if error else {"cancelled": True},
            reason=reason,
            source=desk.speaker.destination,
            fbtrace_id=error.fbtrace_id if error else None,
        )
    )


def _number(request: str) -> str:
    if not (request.isascii() and request.isdecimal()):
        raise ConfigError(
            f'"{request}" is no id of an on-behalf-of request',
            code="obo.id",
            hint="It is digits; see: connector list obo-requests",
        )
    return request


def _read(desk: Desk, request: str) -> OnBehalfRequest:
    about = "me"  # whoever can read themselves and holds the scope lacks nothing but the app's right
    answer = desk.ask(lambda: desk.graph.get(request, fields=_FIELDS), about=about)
    wrapped = read_objects(answer, "data")
    return _request({"id": request, **(wrapped[0] if wrapped else answer)})


def _request(node: Mapping[str, Any]) -> OnBehalfRequest:
    return OnBehalfRequest(
        str(node.get("id")),
        read_text(node, "status"),
        party(read_object(node, "requesting_business")),
        party(read_object(node, "receiving_business")),
        _asset(read_text(node, "business_owned_object")),
    )


def _asset(number: str | None) -> str | None:
    """Name the ad account as everywhere else; Meta gives bare digits here."""
    return f"act_{number}" if number and number.isdecimal() else number
