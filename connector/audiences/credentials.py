"""What shows Meta who calls: the token in a header, the app secret's proof in the query.

Owns the only places where either is taken out of its ``SecretStr``. Must not know where they are kept.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connector.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Credentials:
    """Headers and parameters of every call, and the texts that no message may hold."""

    headers: dict[str, str] = field(repr=False)
    params: dict[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    token: SecretStr | None = None


def credentials(token: SecretStr | None, app_secret: SecretStr | None) -> Credentials:
    """Prepare a token for sending; without one the calls carry none, as in a login.

    Raises:
        ConfigError: The token is empty or could not stand in a header.
    """
    if token is None:
        return Credentials({}, {}, ())
    text = token.get_secret_value()
    if not re.fullmatch(r"[!-~]+", text):
        raise ConfigError(
            "The token is empty or holds a character that no token has.",
            code="config.token",
            hint="Copy it again, without spaces or line breaks around it.",
        )
    headers = {"Authorization": f"Bearer {text}"}
    if app_secret is None:
        return Credentials(headers, {}, (text,), token)
    proof = proof_of(token, app_secret)
    secrets = (text, app_secret.get_secret_value(), proof)
    return Credentials(headers, {"appsecret_proof": proof}, secrets, token)


def proof_of(token: SecretStr, app_secret: SecretStr) -> str:
    """Sign a token with its app's secret, as Meta's ``appsecret_proof``: 64 hex digits (meta-graph-api.md, 4.5)."""
    key, message = app_secret.get_secret_value(), token.get_secret_value()
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()
