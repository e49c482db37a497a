"""Continue with Facebook: Meta's authorisation-code login, from the dialog's address to a long-lived token.

Owns the order of the calls and what is asked for. Knows no terminal and stores nothing. Source: meta-graph-api.md §4.1.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from pydantic import SecretStr

from connector.access.callback import Callback, Returned
from connector.access.connection import own_app
from connector.access.inquiry import time_of
from connector.audiences.address import read_origin
from connector.audiences.answers import read_int, read_object, read_text
from connector.audiences.graph import Graph
from connector.errors import AccessError, ConfigError, RejectedError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.audiences.answers import JsonObject
    from connector.config import Config

SCOPES: Final = ("ads_management", "business_management")
NEEDED: Final = "ads_management"
PORT: Final = 8765  # apps in live mode want the whole return address registered, so it does not change
PATIENCE: Final = timedelta(minutes=5)
_DIALOG: Final = "https://www.facebook.com"


@dataclass(frozen=True, slots=True)
class App:
    """Our Meta app."""

    id: str
    secret: SecretStr


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person granted. Times are UTC; nothing: no end. ``declined`` are scopes of ours that were not granted."""

    token: SecretStr
    user_id: str | None
    user_name: str | None
    granted: tuple[str, ...]
    declined: tuple[str, ...] = ()
    expires_at: datetime | None = None
    data_access_expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Invitation:
    """A dialog to open. ``declined``: asked again because these were not granted the first time."""

    address: str = field(repr=False)
    declined: tuple[str, ...] = ()


def our_app() -> App:
    """Read the app's id and secret from the environment.

    Raises:
        ConfigError: one of them is not set.
    """
    known = own_app()
    if not known["app_id"] or known["app_secret"] is None:
        raise ConfigError(
            "a login needs our Meta app: CONNECTOR_APP_ID and CONNECTOR_APP_SECRET",
            code="login.app",
            hint="App Dashboard → Settings → Basic. With a system user's token none is needed: --token-env NAME",
        )
    return App(known["app_id"], known["app_secret"])


def log_in(
    config: Config,
    app: App,
    *,
    open_dialog: Callable[[Invitation], None],
    port: int = PORT,
    patience: timedelta = PATIENCE,
) -> Consent:
    """Send a person to Meta's dialog and come back with a long-lived token; what was declined is asked for once more.

    Args:
        config: The workspace: where the Graph API is.
        app: Our Meta app.
        open_dialog: Shows the dialog's address to the person, in a browser or as text; called once or twice.
        port: Where the browser comes back to, on this machine.
        patience: How long to wait for the person, each time.

    Raises:
        AccessError: the person cancelled, or did not grant ``ads_management``.
        TransientError: nobody answered in time, or Meta does not answer.
        ConfigError: the port is taken.
    """
    consent = _one_round(config, app, open_dialog, port, patience, declined=())
    if consent.declined:
        try:
            consent = _one_round(config, app, open_dialog, port, patience, declined=consent.declined)
        except AccessError:
            if NEEDED in consent.declined:
                raise
    if NEEDED in consent.declined:
        raise AccessError(
            f"the login did not grant {', '.join(consent.declined)}",
            code="login.scopes",
            hint=f"Log in again and leave them ticked; without {NEEDED} no audience can be filled.",
        )
    return consent


def _one_round(
    config: Config, app: App, open_dialog: Callable[[Invitation], None], port: int, patience: timedelta, *,
    declined: tuple[str, ...],
) -> Consent:  # fmt: skip
    state = secrets.token_urlsafe(32)
    with Callback(state, port=port) as callback:
        back_to = callback.address
        open_dialog(Invitation(dialog_address(config, app, back_to, state, again=bool(declined)), declined))
        returned = callback.wait(patience.total_seconds())
    code = _code_of(returned, patience)
    version = config.workspace.graph_version
    with Graph(config.graph_url, version, None) as graph:
        short = _token_in(_redeem(graph, app, code, back_to))
        answer = graph.get("oauth/access_token", grant_type="fb_exchange_token", fb_exchange_token=short, **_of(app))
        return consent_of(graph, app, SecretStr(_token_in(answer)), ends_in=read_int(answer, "expires_in"))


def dialog_address(config: Config, app: App, back_to: str, state: str, *, again: bool = False) -> str:
    """Write the dialog's address: Meta's own, or that of the sandbox where the Graph API is on this machine."""
    origin = read_origin(config.graph_url)
    host = str(origin) if origin.is_loopback else _DIALOG
    asked = {
        "client_id": app.id, "redirect_uri": back_to, "state": state, "response_type": "code", "scope": ",".join(SCOPES),
        **({"auth_type": "rerequest"} if again else {}),
    }  # fmt: skip
    return f"{host}/{config.workspace.graph_version}/dialog/oauth?{urlencode(asked)}"


def consent_of(graph: Graph, app: App | None, token: SecretStr, *, ends_in: int | None = None) -> Consent:
    """Ask Meta who a token speaks for, what was granted, and when it ends.

    Raises:
        AccessError: the token is not valid.
    """
    caller = graph.sibling(token=token, app_secret=app.secret if app else None)
    me = caller.get("me", fields="id,name")
    rows = {str(row.get("permission")): row.get("status") for row in caller.pages("me/permissions", limit=100)}
    told = _inspected(graph, app, token)
    ends = time_of(read_int(told, "expires_at"))
    if ends is None and ends_in:
        ends = datetime.now(UTC) + timedelta(seconds=ends_in)
    return Consent(
        token,
        read_text(me, "id"),
        read_text(me, "name"),
        tuple(sorted(scope for scope, status in rows.items() if status == "granted")),
        tuple(scope for scope in SCOPES if rows.get(scope) != "granted"),
        ends,
        time_of(read_int(told, "data_access_expires_at")),
    )


def _code_of(returned: Returned | None, patience: timedelta) -> str:
    if returned is None:
        raise TransientError(
            f"nobody answered Meta's dialog within {patience.total_seconds() / 60:.0f} minutes",
            code="login.timeout",
            hint="Run the same command again.",
        )
    if returned.code is None:
        said = "the person cancelled the login" if returned.refused == "access_denied" else "Meta refused the login"
        raise AccessError(said, code="login.declined", hint="Nothing was stored. Run the same command again.")
    return returned.code


def _redeem(graph: Graph, app: App, code: str, back_to: str) -> JsonObject:
    try:
        return graph.get("oauth/access_token", redirect_uri=back_to, code=code, **_of(app))
    except RejectedError as error:
        raise AccessError(
            "Meta does not take the code of this login",
            code="login.code",
            hint="Run the same command again; if it stays, compare CONNECTOR_APP_ID and CONNECTOR_APP_SECRET with the app.",
            fbtrace_id=error.fbtrace_id,
        ) from None


def _of(app: App) -> dict[str, Any]:
    return {"client_id": app.id, "client_secret": app.secret.get_secret_value()}


def _token_in(answer: JsonObject) -> str:
    token = read_text(answer, "access_token")
    if not token:
        raise RejectedError("Meta's answer to the login holds no token", code="login.code", hint="Log in again.")
    return token


def _inspected(graph: Graph, app: App | None, token: SecretStr) -> JsonObject:
    """Ask ``debug_token``, with the app's own token where there is one; nothing where Meta does not tell."""
    asker = SecretStr(f"{app.id}|{app.secret.get_secret_value()}") if app else token
    speaker = graph.sibling(token=asker, app_secret=app.secret if app else None)
    try:
        return read_object(speaker.get("debug_token", input_token=token.get_secret_value()), "data")
    except (AccessError, RejectedError):
        return {}
