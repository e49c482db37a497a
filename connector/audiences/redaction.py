"""What a stranger wrote, made fit to show: one line, no secret, no digest, no address of a person.

Meta's texts are shown to people and may quote what was sent. Must not know where a text comes from.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_RULES: Final = (
    (
        re.compile(r"\b(access_token|appsecret_proof|client_secret|input_token|code)=[^\s&\"']+", re.IGNORECASE),
        r"\1=[…]",
    ),
    (re.compile(r"\bEAA[A-Za-z0-9]{12,}"), "[token]"),
    (re.compile(r"[0-9a-fA-F]{32,}"), "[digest]"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "[id]"),
    (re.compile(r"[^\s@<>\"'(),;:=]{1,64}@[^\s@<>\"'(),;:]{1,255}"), "[e-mail]"),
    (re.compile(r"\+\d[\d ()./-]{5,20}\d"), "[phone]"),
)


def redact(text: str, secrets: Iterable[str] = (), *, longest: int = 300) -> str:
    r"""Take secrets, digests, tokens, e-mail addresses, phone numbers and control characters out of a text.

    Args:
        text: Anything; only its beginning is looked at.
        secrets: Texts that must not appear.
        longest: Characters of the result at most.

    >>> redact("Bad\nrow: mary@example.com")
    'Bad row: [e-mail]'
    """
    # Invisible marks go first: they could split a secret that is then not recognised.
    seen = [char for char in text[: 20 * longest] if unicodedata.category(char) != "Cf"]
    plain = " ".join("".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in seen).split())
    for secret in secrets:
        if secret:
            plain = plain.replace(secret, "[…]")
    for pattern, instead in _RULES:
        plain = pattern.sub(instead, plain)
    return plain if len(plain) <= longest else plain[: longest - 1].rstrip() + "…"
