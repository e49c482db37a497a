"""Access tokens of people who logged in, encrypted in the state database, one a destination.

Owns the table ``token`` and the key. The key comes from CONNECTOR_TOKEN_KEY or the operating system's keyring and is never
written beside what it opens. A token leaves only as a ``SecretStr``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from pydantic import SecretStr

from connector.access.inquiry import time_of, words_of
from connector.config import environment_secret
from connector.errors import ConfigError
from connector.schema import TOKENS
from connector.state import now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.fernet import MultiFernet
    from keyring.backend import KeyringBackend

    from connector.state import State

KEY_VARIABLE: Final = "CONNECTOR_TOKEN_KEY"
_SERVICE, _ACCOUNT = "audience-connector", "token key"
_MAKE_A_KEY: Final = "openssl rand -base64 32 | tr '+/' '-_'"
# Backends of `keyring` that keep secrets in a plain file, or nowhere.
_UNSAFE: Final = ("keyrings.alt", "keyring.backends.fail", "keyring.backends.null")


@dataclass(frozen=True, slots=True)
class StoredToken:
    """What is known of a stored token, without it. ``expires_at`` is UTC; nothing: it does not end."""

    destination: str
    expires_at: datetime | None
    scopes: tuple[str, ...]
    user_id: str | None
    stored_at: str

    def to_json(self) -> dict[str, Any]:
        """Give all of it."""
        return {
            "expires_at": self.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ") if self.expires_at else None,
            "scopes": list(self.scopes), "user_id": self.user_id, "stored_at": self.stored_at,
        }  # fmt: skip


def keep_token(
    state: State,
    destination: str,
    token: SecretStr,
    *,
    expires_at: datetime | None = None,
    scopes: Sequence[str] = (),
    user_id: str | None = None,
) -> None:
    """Store a destination's token, encrypted, in place of an earlier one.

    Raises:
        ConfigError: there is no key; nothing is stored.
    """
    # The name is inside, so a row that somebody moved to another destination does not open there.
    sealed = json.dumps({"destination": destination, "token": token.get_secret_value()}).encode()
    row = {
        "destination": destination,
        "ciphertext": token_key(make=True).encrypt(sealed).decode(),
        "expires_at": expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if expires_at else None,
        "scopes": list(scopes),
        "user_id": user_id,
        "stored_at": now(),
    }
    with state.session() as connection:
        connection.execute(TOKENS.delete().where(TOKENS.c.destination == destination))
        connection.execute(TOKENS.insert().values(**row))


def find_token(state: State, destination: str) -> SecretStr | None:
    """Decrypt a destination's token; nothing when none is stored.

    Raises:
        ConfigError: the key is missing, or another one than it was stored with.
    """
    query = sa.select(TOKENS.c.ciphertext).where(TOKENS.c.destination == destination)
    with state.session() as connection:
        ciphertext = connection.execute(query).scalar()
    if ciphertext is None:
        return None
    from cryptography.fernet import InvalidToken  # noqa: PLC0415  slow to load; most commands need none of it

    try:
        opened = json.loads(token_key(make=False).decrypt(ciphertext.encode()))
    except (InvalidToken, ValueError):
        opened = {}
    if opened.get("destination") != destination:
        raise ConfigError(
            f"the token stored for {destination} does not open with this key",
            code="token.other_key",
            hint=f"Bring back the {KEY_VARIABLE} it was stored with, or log in again: connector connect {destination}",
        )
    return SecretStr(opened["token"])


def stored_token(state: State, destination: str) -> StoredToken | None:
    """Tell what is known of a destination's stored token; needs no key."""
    with state.session() as connection:
        row = connection.execute(sa.select(TOKENS).where(TOKENS.c.destination == destination)).mappings().first()
    if row is None:
        return None
    ends = time_of((row["expires_at"] or "").replace("Z", "+00:00"))
    return StoredToken(destination, ends, words_of(row["scopes"]), row["user_id"], row["stored_at"])


def drop_token(state: State, destination: str) -> bool:
    """Forget a destination's token; says whether there was one."""
    with state.session() as connection:
        return bool(connection.execute(TOKENS.delete().where(TOKENS.c.destination == destination)).rowcount)


def token_key(*, make: bool) -> MultiFernet:
    """Find the key: CONNECTOR_TOKEN_KEY (several, with commas: the first encrypts, all open), else the OS keyring's.

    ``make`` allows a new one to be made and put into the keyring.

    Raises:
        ConfigError: there is neither, or the variable holds no key.
    """
    from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415  see find_token

    given = environment_secret(KEY_VARIABLE)
    keys = given.get_secret_value().replace(",", " ").split() if given else [_key_of_the_system(make=make)]
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise ConfigError(
            f"{KEY_VARIABLE} holds no key: a key is 32 bytes, in URL-safe base64",
            code="token.key_format",
            hint=f"Make one with: {_MAKE_A_KEY}",
        ) from None


def _key_of_the_system(*, make: bool) -> str:
    keyring = _keyring()
    key = _of_keyring(lambda: keyring.get_password(_SERVICE, _ACCOUNT)) if keyring else None
    if keyring is not None and key is None and make:
        from cryptography.fernet import Fernet  # noqa: PLC0415  see find_token

        key = Fernet.generate_key().decode()
        made = key
        _of_keyring(lambda: keyring.set_password(_SERVICE, _ACCOUNT, made))
        key = _of_keyring(lambda: keyring.get_password(_SERVICE, _ACCOUNT))  # only a key that comes back is one
    if key is not None:
        return key
    raise ConfigError(
        f"tokens are stored encrypted, and there is no key: {KEY_VARIABLE} is not set and this system has no keyring",
        code="token.no_key",
        hint=f'Make one and keep it where you keep secrets: export {KEY_VARIABLE}="$({_MAKE_A_KEY})"; or use --token-env.',
    )


def _of_keyring(ask: Any) -> str | None:
    """Ask the keyring; one that is locked or refuses counts as none."""
    from keyring.errors import KeyringError  # noqa: PLC0415  an extra that not everyone installs

    try:
        answer = ask()
    except KeyringError:
        return None
    return answer if isinstance(answer, str) else None


def _keyring() -> KeyringBackend | None:
    """Find the system's keyring, if it has one that does not write plain files."""
    try:
        import keyring  # noqa: PLC0415  an extra that not everyone installs
    except ModuleNotFoundError:
        return None
    chosen = keyring.get_keyring()
    several: Sequence[KeyringBackend] = getattr(chosen, "backends", None) or [chosen]
    return next((one for one in several if not type(one).__module__.startswith(_UNSAFE)), None)
