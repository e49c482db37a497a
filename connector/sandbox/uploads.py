"""Membership: add, remove, replace, opt out; and the sessions that count them.

Owns the payload's shape, the session rules and the seven rules of a replace (specification §2). Rows are checked by ``rows``
or ``cells`` and kept by ``members``.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from connector.sandbox import rules
from connector.sandbox.call import Listing
from connector.sandbox.cells import KEYS, MAX_ROWS, MISMATCH, SINGLE, VALUE, Checked, check_cells
from connector.sandbox.members import Members
from connector.sandbox.parameters import INT64, whole_number
from connector.sandbox.refusals import Refusal, forbidden, invalid, missing
from connector.sandbox.rows import PLACE, can_check, check_rows
from connector.sandbox.world import NINETY_MINUTES, Session

if TYPE_CHECKING:
    from connector.sandbox.call import Call, Json
    from connector.sandbox.world import AdAccount, Audience, World

PAYLOAD = frozenset(
    [
        "schema",
        "data",
        "is_raw",
        "app_ids",
        "page_ids",
        "ig_account_ids",
        "data_source",
        "metadata",
        "calculated_date",
        "schema_version",
    ]
)
SESSION = frozenset({"session_id", "batch_seq", "last_batch_flag", "estimated_num_total"})
UPLOAD_PARAMETERS = ("payload", "session", "namespace", "customer_consent")
READY_FOR_REPLACE = frozenset({200, 410, 411, 412, 415, 441})
TOO_LARGE = 100_000_000
VALUE_MISSING = "Value-Based Custom Audience requires LOOKALIKE_VALUE attribute."
Op = Literal["users", "usersreplace"]


@dataclass(frozen=True, slots=True)
class Batch:
    """The session part of one request; a request without one is a session of its own."""

    session_id: int
    sequence: int
    last: bool


def read_session(call: Call, *, required: bool) -> Batch | None:
    """Read ``session``.

    Raises:
        Refusal: 100 for what is missing, unknown or no positive number.
    """
    given = call.parameters.structure("session")
    if given in (None, ""):
        if required:
            raise missing("session")
        return None
    if not isinstance(given, dict):
        raise invalid("Param session must be an object")
    unknown = sorted(set(given) - SESSION)
    if unknown:
        raise invalid(f"Param session has an unknown key: {unknown[0][:64]}")
    if given.get("session_id") is None or given.get("batch_seq") is None:
        raise missing("session[session_id], session[batch_seq]")
    identifier = whole_number(given["session_id"], "Param session[session_id] must be a positive integer")
    sequence = whole_number(given["batch_seq"], "Param session[batch_seq] must be a positive integer")
    if not 0 < identifier <= INT64 or sequence < 1:
        raise invalid("Param session needs a positive session_id and a batch_seq of 1 or more")
    last = given.get("last_batch_flag", False)
    if not isinstance(last, bool) and str(last).lower() not in {"true", "false", "0", "1"}:
        raise invalid("Param session[last_batch_flag] must be a boolean")
    return Batch(identifier, sequence, str(last).lower() in {"true", "1"})


def read_payload(call: Call, *, digests: bool) -> tuple[tuple[str, ...], str, Checked]:
    """Read ``payload``: its keys, the data source such an upload has, and its checked rows.

    Raises:
        Refusal: 100 for an unknown key, a row that does not match the schema, or more than 10,000 rows.
    """
    given = call.parameters.structure("payload")
    if given in (None, ""):
        raise missing("payload")
    if not isinstance(given, dict):
        raise invalid("Param payload must be an object")
    unknown = sorted(set(given) - PAYLOAD)
    if unknown:
        raise invalid(f"Param payload has an unknown key: {unknown[0][:64]}")
    keys, source = _read_schema(given.get("schema"))
    if ({"UID", "APPUID"} & set(keys)) and not given.get("app_ids"):
        raise invalid("Param payload[app_ids] is required for app-scoped ids")
    if "PAGEUID" in keys and not (isinstance(given.get("page_ids"), list) and len(given["page_ids"]) == 1):
        raise invalid("Param payload[page_ids] must hold exactly one id for PAGEUID")
    return keys, source, _read_data(call, keys, given.get("data"), digests=digests)


def _read_schema(given: Any) -> tuple[tuple[str, ...], str]:
    if isinstance(given, str) and given in SINGLE:
        key, source = SINGLE[given]
        return (key,), source
    if isinstance(given, str) and given in KEYS:
        return (given,), "HASHES_OR_USER_IDS"
    if not isinstance(given, list) or not given:
        raise invalid("Param payload[schema] must be a known key or an array of known keys")
    wrong = next((key for key in given if not isinstance(key, str) or key not in KEYS), None)
    if wrong is not None:
        raise invalid("Param payload[schema] must be of {" + ", ".join(sorted(KEYS)) + "}")
    if len(set(given)) != len(given):
        raise invalid("Param payload[schema] names a key twice")
    return tuple(given), "MULTI_HASHES"


def _read_data(call: Call, keys: tuple[str, ...], data: Any, *, digests: bool) -> Checked:
    strict = call.world.settings.uppercase_is_invalid
    cells = call.parameters.cells
    if data == PLACE and cells is not None:
        rows, columns = cells.shape
        if rows > MAX_ROWS:
            raise invalid(f"Param payload[data] has more than {MAX_ROWS} rows")
        if columns != len(keys):
            raise invalid(MISMATCH)
        if strict and can_check(keys):
            return check_rows(keys, cells, digests=digests)
        data = cells.as_lists()
    if not isinstance(data, list) or not data:
        raise invalid(MISMATCH)
    if len(data) > MAX_ROWS:
        raise invalid(f"Param payload[data] has more than {MAX_ROWS} rows")
    return check_cells(keys, data, strict_case=strict, digests=digests)


# --- sessions --------------------------------------------------------------------------------------------------------


def open_session(world: World, audience: Audience, batch: Batch | None, kind: Op) -> Session:
    """Find the session of a batch or begin it; without one, make up an id as the server does."""
    identifier = batch.session_id if batch else secrets.randbelow(1 << 53) + 1
    session = world.sessions.get((audience.id, identifier))
    if session is None:
        session = Session(identifier, audience.id, kind, world.now())
        world.sessions[audience.id, identifier] = session
    return session


def timed_out(world: World, session: Session) -> bool:
    """Say whether 90 minutes have passed since the session's first batch without its last."""
    return session.ended is None and world.now() - session.started > NINETY_MINUTES


def count_rows(session: Session, checked: Checked) -> None:
    """Add one batch to the session's totals."""
    session.num_received += checked.received
    session.num_invalid += checked.invalid
    session.batches += 1


def show_session(world: World, session: Session) -> Json:
    """Show a session as its edge does: every value is a text; ``uploading`` may well stay."""
    ended = session.ended
    if ended is None and timed_out(world, session):
        ended = session.started + NINETY_MINUTES
    return {
        "session_id": str(session.id),
        "start_time": str(int(session.started)),
        "end_time": str(int(ended)) if ended is not None else "0",
        "num_received": str(session.num_received),
        "num_matched": "-1",
        "num_invalid_entries": str(session.num_invalid),
        "progress": "0" if ended is None else "100",
        "stage": "uploading" if ended is None else "completed",
    }


def list_sessions(call: Call, audience: Audience) -> Listing:
    """Answer ``GET <audience>/sessions``."""
    rules.may_read(call, call.world.accounts[audience.account])
    wanted = call.parameters.text("session_id")
    sessions = [session for (held, _), session in call.world.sessions.items() if held == audience.id]
    return Listing([show_session(call.world, s) for s in sessions if not wanted or str(s.id) == wanted])


def answer_upload(audience: Audience, session: Session, checked: Checked | None) -> Json:
    """Answer an upload: ``num_received`` and ``num_invalid_entries`` are totals of the session."""
    return {
        "audience_id": audience.id,
        "session_id": str(session.id),
        "num_received": session.num_received,
        "num_invalid_entries": session.num_invalid,
        "invalid_entry_samples": checked.samples if checked else {},
    }


# --- adding and removing -----------------------------------------------------------------------------------------------


def may_upload(call: Call, audience: Audience) -> None:
    """Insist that members of this audience may be changed by this caller now."""
    account = call.world.accounts[audience.account]
    refused = forbidden(f"The current user can not update audience {audience.id}")
    rules.may_write(call, account, refused)
    if not rules.can_edit(call, audience, account):
        raise refused
    settle(call.world, audience)
    if audience.status == 471:
        raise Refusal(100, subcode=1713230)
    if audience.status in {470, 500}:
        raise Refusal(2650)


def is_replacing(world: World, audience: Audience) -> bool:
    """Say whether a replace runs or still settles."""
    return audience.status == 414 or audience.replace is not None or audience.settles > world.now()


def add_users(call: Call, audience: Audience) -> Json:
    """Answer ``POST <audience>/users``."""
    may_upload(call, audience)
    batch = read_session(call, required=False)
    keys, source, checked = read_payload(call, digests=True)
    _check_source(audience, source)
    _check_value(audience, keys)
    if is_replacing(call.world, audience):
        raise Refusal(2650, subcode=1870145)
    session = open_session(call.world, audience, batch, "users")
    if not _goes_on(call.world, session, batch):
        return answer_upload(audience, session, None)
    audience.sub_type = audience.sub_type or source
    audience.members.add(checked.rows)
    count_rows(session, checked)
    _after_upload(call.world, audience, session)
    return answer_upload(audience, session, checked)


def remove_users(call: Call, audience: Audience) -> Json:
    """Answer ``DELETE <audience>/users``: every member that has all the cells of a row goes."""
    may_upload(call, audience)
    batch = read_session(call, required=False)
    _, _, checked = read_payload(call, digests=False)
    world = call.world
    if is_replacing(world, audience):
        raise Refusal(2650, subcode=1870145)
    least = world.settings.minimum_after_removal
    if least and len(audience.members) - checked.rows.count < least:
        raise Refusal(200, subcode=1870047)
    session = open_session(world, audience, batch, "users")
    if not _goes_on(world, session, batch):
        return answer_upload(audience, session, None)
    audience.members.remove(checked.rows)
    count_rows(session, checked)
    _after_upload(world, audience, session)
    return answer_upload(audience, session, checked)


def _goes_on(world: World, session: Session, batch: Batch | None) -> bool:
    """Say whether the batch counts: after 90 minutes it is discarded in silence, after the last one it is refused."""
    if timed_out(world, session):
        return False
    if session.kind != "users":
        raise invalid("The session belongs to a replace")
    if session.ended is not None:
        raise invalid("The session has received its last batch")
    if batch is None or batch.last:
        session.ended = world.now()
    return True


def _check_source(audience: Audience, source: str) -> None:
    if audience.sub_type is not None and audience.sub_type != source:
        raise Refusal(
            2650,
            "(#2650) Failed to update the custom audience: This audience was created from data source "
            f"FILE_IMPORTED.{audience.sub_type}, which does not support data source FILE_IMPORTED.{source}.",
        )


def _check_value(audience: Audience, keys: tuple[str, ...]) -> None:
    if audience.is_value_based and VALUE not in keys:
        raise invalid(VALUE_MISSING)
    if not audience.is_value_based and VALUE in keys:
        raise invalid("LOOKALIKE_VALUE is for value-based custom audiences only")


def _after_upload(world: World, audience: Audience, session: Session) -> None:
    """Note the time and compute the status that uploads leave: 412 many invalid, 411 few matched, else 200."""
    audience.content_updated = audience.updated = int(world.now())
    if session.num_invalid * 10 > session.num_received:
        audience.computed = 412
    else:
        audience.computed = 411 if world.settings.matched_share < 0.2 else 200


def opt_out(call: Call, account: AdAccount) -> Json:
    """Answer ``DELETE act_<id>/usersofanyaudience``: out of every list audience of the account."""
    rules.may_write(call, account, forbidden("The current user can not update audiences of this account"))
    _, _, checked = read_payload(call, digests=False)
    for audience in call.world.audiences_of(account.id):
        settle(call.world, audience)
        if audience.subtype == "CUSTOM" and not is_replacing(call.world, audience):
            audience.members.remove(checked.rows)
    return {
        "account_id": account.account_id,
        "num_received": checked.received,
        "num_invalid_entries": checked.invalid,
        "invalid_entry_samples": checked.samples,
    }


# --- replacing ---------------------------------------------------------------------------------------------------------


def settle(world: World, audience: Audience) -> None:
    """Let a replace whose 90 minutes are over take effect with what has arrived."""
    session = audience.replace
    if session is not None and timed_out(world, session):
        _finish(world, audience, session, session.started + NINETY_MINUTES)


def replace_users(call: Call, audience: Audience) -> Json:
    """Answer ``POST <audience>/usersreplace``: the members are exchanged when its session closes."""
    world = call.world
    may_upload(call, audience)
    batch = read_session(call, required=True)
    keys, source, checked = read_payload(call, digests=True)
    if batch is None:
        raise missing("session")
    _check_source(audience, source)
    _check_value(audience, keys)
    session = world.sessions.get((audience.id, batch.session_id))
    if session is not None and (session.ended is not None or session.kind != "usersreplace"):
        over = session.ended is not None and session.ended - session.started >= NINETY_MINUTES
        raise Refusal(2650, subcode=1870158 if over else 1870159)
    if session is None or batch.sequence == 1:
        session = _start(world, audience, batch)
    if session.schema is not None and session.schema != keys:
        raise invalid("The schema must be the same in every batch of a replace")
    session.schema = keys
    audience.sub_type = audience.sub_type or source
    if audience.staged is not None:
        audience.staged.add(checked.rows)
    count_rows(session, checked)
    if batch.last:
        _finish(world, audience, session, world.now())
    return answer_upload(audience, session, checked)


def _start(world: World, audience: Audience, batch: Batch) -> Session:
    if is_replacing(world, audience):
        raise Refusal(2650, subcode=1870145)
    if batch.sequence != 1:
        raise Refusal(2650, subcode=1870147)
    status = audience.status if audience.status is not None else audience.computed
    if status not in READY_FOR_REPLACE:
        raise Refusal(2650, subcode=1870145)
    size = len(audience.members) if audience.pretend is None else audience.pretend
    if size >= TOO_LARGE:
        raise Refusal(2650, subcode=1870144)
    session = open_session(world, audience, batch, "usersreplace")
    audience.replace, audience.staged = session, Members()
    return session


def _finish(world: World, audience: Audience, session: Session, ended: float) -> None:
    session.ended = ended
    if audience.staged is not None:
        audience.members = audience.staged
    audience.replace, audience.staged, audience.pretend = None, None, None
    audience.settles = ended + world.settings.replace_settle_seconds
    _after_upload(world, audience, session)
