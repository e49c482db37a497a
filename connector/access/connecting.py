"""Connect a destination to a person or system user, and disconnect it: what ``connector connect`` does.

The token goes into the store, encrypted, or stays in the environment variable that the destination names; where it was put
last is where it is looked for. Every attempt is an audit line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from connector.access.cache import forget_access
from connector.access.connection import DEFAULT_TOKEN_ENV, own_app
from connector.access.login import NEEDED, PATIENCE, PORT, App, Consent, consent_of, log_in, our_app
from connector.access.token_store import drop_token, keep_token, stored_token, token_key
from connector.audiences.graph import Graph
from connector.config import environment_secret
from connector.errors import AccessError, ConfigError, ConnectorError
from connector.state import AuditEntry, Destination, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.access.login import Invitation
    from connector.config import Config

SOON: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Connection:
    """A destination's way to Meta, without its token. ``known``: there is a destination of that name already."""

    destination: str
    known: bool
    source: Literal["login", "environment"]
    variable: str | None
    consent: Consent

    @property
    def ends_soon(self) -> bool:
        """Whether the token ends within a week."""
        ends = self.consent.expires_at
        return ends is not None and ends - datetime.now(UTC) <= SOON

    def to_json(self) -> dict[str, Any]:
        """Give it for machines."""
        who = self.consent
        return {
            "destination": self.destination,
            "source": self.source,
            "variable": self.variable,
            "user": {"id": who.user_id, "name": who.user_name},
            "granted": list(who.granted),
            "declined": list(who.declined),
            "expires_at": _stamp(who.expires_at),
            "data_access_expires_at": _stamp(who.data_access_expires_at),
        }


def connect_by_login(
    config: Config,
    name: str,
    *,
    open_dialog: Callable[[Invitation], None],
    port: int = PORT,
    patience: timedelta = PATIENCE,
) -> Connection:
    """Let a person log in at Meta and store the token, encrypted, for the destination ``name``, which may come later.

    Raises:
        ConfigError: no app, no key to encrypt with (both before anybody is sent anywhere), no port.
        AccessError, TransientError: as for :func:`connector.access.login.log_in`.
    """
    app = our_app()
    token_key(make=True)
    with State.open(config.state_url) as state:
        known = _known(state, name)
        try:
            consent = log_in(config, app, open_dialog=open_dialog, port=port, patience=patience)
        except ConnectorError as error:
            _audit(state, name, known, "refused" if isinstance(error, AccessError) else "failed", {"error": error.code})
            raise
        keep_token(
            state, name, consent.token, expires_at=consent.expires_at, scopes=consent.granted, user_id=consent.user_id
        )
        made = Connection(name, known is not None, "login", None, consent)
        _settle(state, known, DEFAULT_TOKEN_ENV)
        _audit(state, name, known, "ok", made.to_json())
        return made


def connect_by_variable(config: Config, name: str, variable: str) -> Connection:
    """Let a destination use the token in an environment variable, a system user's mostly; a stored one is forgotten.

    Raises:
        ConfigError: there is no such destination, or the variable is not set.
        AccessError: the token is not valid, or ``ads_management`` is not granted.
    """
    known_app = own_app()
    app = App(known_app["app_id"], known_app["app_secret"]) if known_app["app_id"] and known_app["app_secret"] else None
    with State.open(config.state_url) as state:
        known = state.destination(name)
        token = environment_secret(variable)
        if token is None:
            raise ConfigError(
                f"the environment variable {variable} holds no token",
                code="token.missing",
                hint=f"Set it to the access token of a user or system user: export {variable}=…",
            )
        try:
            with Graph(config.graph_url, config.workspace.graph_version, None) as graph:
                consent = consent_of(graph, app, token)
            _insist_on_scope(consent)
        except AccessError as error:
            _audit(state, name, known, "refused", {"error": error.code})
            raise
        made = Connection(name, known=True, source="environment", variable=variable, consent=consent)
        drop_token(state, name)
        _settle(state, known, variable)
        _audit(state, name, known, "ok", made.to_json())
        return made


def disconnect_destination(config: Config, name: str) -> None:
    """Forget a destination's stored token; exports to it fail until it is connected again.

    Raises:
        ConfigError: none is stored under that name.
    """
    with State.open(config.state_url) as state:
        known = _known(state, name)
        if stored_token(state, name) is None:
            reads = f"; it reads {known.token_env} from the environment" if known else ""
            raise ConfigError(
                f"no token is stored for {name}{reads}",
                code="login.not_connected",
                hint="Nothing to forget here: unset the variable, or see connector list destinations",
            )
        drop_token(state, name)
        forget_access(state, name)
        _audit(state, name, known, "ok", {}, action="disconnect destination")


def _insist_on_scope(consent: Consent) -> None:
    if NEEDED in consent.declined:
        raise AccessError(
            f"the token does not carry {NEEDED}",
            code="login.scopes",
            hint="Business Settings → Users → System users → Generate token, with ads_management and business_management.",
        )


def _known(state: State, name: str) -> Destination | None:
    return next((one for one in state.destinations() if one.name == name), None)


def _settle(state: State, known: Destination | None, variable: str) -> None:
    """Make the destination look where the token was put, and the gate ask anew."""
    if known is None:
        return
    state.update_destination(replace(known, token_env=variable))
    forget_access(state, known.name)


def _audit(
    state: State,
    name: str,
    known: Destination | None,
    outcome: str,
    after: dict[str, Any],
    *,
    action: str = "connect destination",
) -> None:
    asset = known.ad_account if known else None
    state.audit(AuditEntry(action=action, outcome=outcome, asset=asset, after=after, source=name))


def _stamp(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
