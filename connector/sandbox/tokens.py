"""Is this token good, and for what: the 190s, secret proofs, scopes, and what ``debug_token`` says.

Owns authentication. What a good token may do to one object stands in ``rules``.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from connector.sandbox.refusals import Refusal, words_for

if TYPE_CHECKING:
    from connector.sandbox.call import Json
    from connector.sandbox.world import App, Token, World

PROOF_LIFETIME = 300


def find_token(world: World, value: str) -> Token | None:
    """Find a token by its value; ``app_id|app_secret`` is the app's own."""
    return world.tokens.get(value)


def trouble_with(world: World, token: Token) -> int | None:
    """Say the subcode of code 190 that this token deserves, if any."""
    if token.broken is not None:
        return token.broken
    if token.expires_at and token.expires_at <= world.now():
        return 463
    return None


def authenticate(world: World, value: str, proof: str, proof_time: str, *, about_me: bool = False) -> Token:
    """Find the token of a call and check it and its secret proof.

    Raises:
        Refusal: 104 or 2500 without a token, 190 for a bad one, 100 for a missing or wrong proof.
    """
    if not value:
        if about_me:
            words = "An active access token must be used to query information about the current user."
            raise Refusal(2500, words, status=400)
        raise Refusal(104, status=400)
    token = find_token(world, value)
    if token is None:
        raise _dead(Refusal(190))
    subcode = trouble_with(world, token)
    if subcode is not None:
        raise _dead(Refusal(190, subcode=subcode))
    app = world.apps[token.app]
    if proof:
        if not proves(app, value, proof, proof_time, world.now()):
            raise Refusal(100, "Invalid appsecret_proof provided in the API argument", kind="GraphMethodException")
    elif app.proof_required and token.kind != "APP":
        raise Refusal(100, "API calls from the server require an appsecret_proof argument", kind="GraphMethodException")
    return token


def _dead(refusal: Refusal) -> Refusal:
    words = words_for(190, refusal.subcode).message
    refusal.headers["WWW-Authenticate"] = f'OAuth "Facebook Platform" "invalid_token" "{words}"'
    return refusal


def proves(app: App, token: str, proof: str, proof_time: str, now: float) -> bool:
    """Check ``hex(HMAC_SHA256(app_secret, token))``, or its time-bound form with ``token|seconds`` (valid 5 minutes)."""
    message = token
    if proof_time:
        if not (proof_time.isascii() and proof_time.isdecimal() and len(proof_time) < 12):
            return False
        if abs(now - int(proof_time)) > PROOF_LIFETIME:
            return False
        message = f"{token}|{proof_time}"
    right = hmac.new(app.secret.encode(), message.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
    return hmac.compare_digest(right.encode(), proof.encode("utf-8", "replace"))


def inspect_token(world: World, token: Token) -> Json:
    """Describe a token as ``debug_token`` does."""
    subcode = trouble_with(world, token)
    shown: Json = {
        "app_id": token.app,
        "type": token.kind,
        "application": world.apps[token.app].name,
        "data_access_expires_at": token.data_access_expires_at,
        "expires_at": token.expires_at,
        "is_valid": subcode is None,
        "issued_at": token.issued_at,
        "scopes": [scope for scope, status in token.scopes.items() if status == "granted"],
        "granular_scopes": granular(token),
    }
    if token.user is not None:
        shown["user_id"] = token.user
    if token.page is not None:
        shown["profile_id"] = token.page
    if subcode is not None:
        words = words_for(190, subcode).message
        shown["error"] = {"code": 190, "message": words, "subcode": subcode}
    return shown


def granular(token: Token) -> list[Json]:
    """List the granted scopes of assets; with targets where consent was limited to them."""
    shown: list[Json] = []
    for scope, status in token.scopes.items():
        if status != "granted" or scope in {"public_profile", "email"}:
            continue
        entry: Json = {"scope": scope}
        if scope in token.granular:
            entry["target_ids"] = list(token.granular[scope])
        shown.append(entry)
    return shown
