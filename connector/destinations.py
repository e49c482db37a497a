"""Connect and remove export destinations: prove access, find or make the audience, accept the data terms, store.

An admin's business. Library calls behind ``add destination``, ``remove destination``, ``pause`` and ``resume``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from connector.access.cache import forget_access
from connector.access.connection import connected, own_app
from connector.access.data_terms import DATA_TERMS_VERSION
from connector.access.decision import admit
from connector.access.gate import BEFORE_AUDIENCE, check_access
from connector.access.token_store import drop_token
from connector.audiences.audience import create_audience, delete_audience, find_audience, read_audience
from connector.audiences.ledger_book import LedgerBook
from connector.errors import AccessError, ConfigError, GuardError
from connector.state import AuditEntry, Destination, State, actor_name, now

if TYPE_CHECKING:
    from connector.audiences.graph import Graph
    from connector.config import Config

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
ACCOUNT = re.compile(r"act_\d+")


@dataclass(frozen=True, slots=True)
class DestinationWish:
    """What an admin asks for. Exactly one of ``audience`` (an id) and ``new_audience`` (a title)."""

    name: str
    ad_account: str
    audience: str | None = None
    new_audience: str | None = None
    business: str | None = None
    token_env: str = "CONNECTOR_TOKEN"  # noqa: S105  the name of a variable
    value_based: bool = False
    accept_data_terms: bool = False


def check_wish(wish: DestinationWish) -> None:
    """Raise a :class:`ConfigError` for what can be seen to be wrong without asking Meta."""
    if not NAME.fullmatch(wish.name):
        raise ConfigError(
            f'"{wish.name}" is no name for a destination', code="destination.name", hint="Letters, digits, _ . and -"
        )
    if not ACCOUNT.fullmatch(wish.ad_account):
        raise ConfigError(
            f'"{wish.ad_account}" is not an ad account id',
            code="destination.ad_account",
            hint="It is act_ and digits, as in Ads Manager's address bar, for example act_1234567890.",
        )
    if (wish.audience is None) == (wish.new_audience is None):
        raise ConfigError(
            "name an audience or a new one, not both and not neither",
            code="destination.audience",
            hint="--audience ID for an existing audience, --new-audience TITLE to create one.",
        )
    if wish.audience is not None and not wish.audience.isdigit():
        raise ConfigError(
            f'"{wish.audience}" is not an audience id', code="destination.audience", hint="It is all digits."
        )
    if not wish.accept_data_terms:
        raise GuardError(
            "the data terms are not accepted",
            code="destination.data_terms",
            hint="Read them with: connector add destination --help; accept with --accept-data-terms",
        )


def add_destination(config: Config, wish: DestinationWish) -> Destination:
    """Prove access, then take or create the audience, then store the destination.

    A crash between Meta's audience and our record is harmless: the same call finds the audience by its title again.

    Raises:
        ConfigError: a wrong wish, or the name is taken.
        AccessError: the gate refuses; nothing was created.
        GuardError: the data terms are not accepted.
    """
    check_wish(wish)
    with State.open(config.state_url) as state:
        draft = _draft(state, wish)
        with connected(config, draft, state=state) as graph:
            if wish.audience is not None:
                # What kind of audience it is can be asked only after access is proved, and is part of the proof.
                before = check_access(graph, draft, state=state, without=BEFORE_AUDIENCE, **own_app())
                if not before.allowed:
                    admit(before, draft, state, purpose="add destination")
                draft = _as_it_is(graph, draft)
            new = wish.new_audience is not None
            report = check_access(graph, draft, state=state, for_new_audience=new, **own_app())
            admit(report, draft, state, purpose="add destination")
            found = _audience(graph, state, draft, wish)
        state.audit(
            AuditEntry(
                action="add destination",
                outcome="ok",
                asset=found.audience_id,
                after={"destination": found.name, "ad_account": found.ad_account, "data_terms": DATA_TERMS_VERSION},
                source=found.name,
            )
        )
        return found


def remove_destination(config: Config, name: str, *, delete_at_meta: bool = False) -> Destination:
    """Forget a destination; with ``delete_at_meta`` its audience is deleted at Meta first, which cannot be undone."""
    with State.open(config.state_url) as state:
        destination = state.destination(name)
        if delete_at_meta and destination.audience_id is not None:
            with connected(config, destination, state=state) as graph:
                _delete_audience(graph, destination.audience_id)
        state.remove_destination(name)
        forget_access(state, name)
        drop_token(state, name)
        state.audit(
            AuditEntry(
                action="remove destination",
                outcome="ok",
                asset=destination.audience_id,
                before={"destination": name, "ad_account": destination.ad_account},
                after={"audience_deleted": delete_at_meta},
                source=name,
            )
        )
        return destination


def pause_destination(config: Config, name: str, *, paused: bool) -> Destination:
    """Stop every export to a destination, those under way between two batches; or let them go on."""
    with State.open(config.state_url) as state:
        destination = state.destination(name)
        changed = replace(destination, paused_at=(destination.paused_at or now()) if paused else None)
        state.update_destination(changed)
        action = "pause destination" if paused else "resume destination"
        state.audit(AuditEntry(action=action, outcome="ok", asset=destination.audience_id, source=name))
        return changed


def _draft(state: State, wish: DestinationWish) -> Destination:
    """Write down the wish before anything is created; go on with one whose creation was cut off."""
    draft = Destination(
        name=wish.name,
        ad_account=wish.ad_account,
        business=wish.business,
        audience_id=wish.audience,
        value_based=wish.value_based,
        made_by_us=wish.new_audience is not None,
        token_env=wish.token_env,
        data_terms_version=DATA_TERMS_VERSION,
        data_terms_by=actor_name(),
        data_terms_at=now(),
        creating_title=wish.new_audience,
    )
    before = {d.name: d for d in state.destinations()}.get(wish.name)
    if before is not None and (before.creating_title is None or before.audience_id is not None):
        raise ConfigError(
            f'a destination named "{wish.name}" exists already',
            code="destination.exists",
            hint=f"Look at it with: connector show destination {wish.name}",
        )
    return draft


def _audience(graph: Graph, state: State, draft: Destination, wish: DestinationWish) -> Destination:
    """Take the named audience, or create the new one; store the destination."""
    if wish.audience is not None:
        return state.add_destination(draft)
    interrupted = {d.name: d for d in state.destinations()}.get(draft.name)
    if interrupted is None:
        state.add_destination(draft)
        made = create_audience(graph, draft.ad_account, str(wish.new_audience), value_based=draft.value_based)
    else:
        title = str(interrupted.creating_title)
        made = find_audience(graph, draft.ad_account, title) or create_audience(
            graph, draft.ad_account, title, value_based=draft.value_based
        )
    book = LedgerBook(state)
    for slice_ in book.slices(
        made.id
    ):  # of another audience, which had this id on another server: nobody is in this one
        book.drop(slice_, {part.part for part in slice_.parts})
    done = replace(draft, audience_id=made.id, audience_name=made.name, creating_title=None, created_at=now())
    state.update_destination(done)
    return done


def _as_it_is(graph: Graph, draft: Destination) -> Destination:
    """Complete the draft with what Meta says of the existing audience."""
    audience = read_audience(graph, str(draft.audience_id))
    if f"act_{audience.account_id}" != draft.ad_account:
        raise ConfigError(
            f"audience {audience.id} belongs to act_{audience.account_id}, not to {draft.ad_account}",
            code="destination.audience",
            hint=f"Say --ad-account act_{audience.account_id}, or choose another audience.",
        )
    return replace(draft, audience_name=audience.name, value_based=audience.value_based)


def _delete_audience(graph: Graph, audience_id: str) -> None:
    try:
        delete_audience(graph, audience_id)
    except AccessError as error:
        if error.fault is None or (error.fault.code, error.fault.subcode) != (100, 33):
            raise
        # Already gone, or no longer ours: what the admin wanted is so.
