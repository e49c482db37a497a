"""The 32 bytes that make fingerprints ours: from ``CONNECTOR_KEY``, or a file of mode 0600 in the workspace.

Losing it is the same as a damaged ledger: nothing can be compared any more.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from connector.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from pathlib import Path

BYTES = 32


def read_ledger_key(root: Path, *, ledger_exists: bool, make: bool = True) -> bytes:
    """Read the key of the workspace at ``root``; a first one is made when there is no ledger yet.

    Without ``make`` (a plan, which writes nothing) the first key is a passing one.

    Raises:
        ConfigError: CONNECTOR_KEY is not 64 hex digits.
        SourceError: there is a ledger, and its key is gone (exit 3).
    """
    given = os.environ.get("CONNECTOR_KEY", "").strip()
    if given:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", given):
            raise ConfigError(
                "CONNECTOR_KEY is not 64 hex digits",
                code="key.format",
                hint="Make one with: python3 -c 'import secrets; print(secrets.token_hex(32))'",
            )
        return bytes.fromhex(given)
    path = root / ".connector" / "key"
    if path.exists():
        return _read(path)
    if ledger_exists:
        raise SourceError(
            f"the ledger's key is missing: neither CONNECTOR_KEY nor {path} is there",
            code="ledger.key",
            hint="Bring it back. Or export once with --full to begin a new ledger with a new key.",
        )
    return make_ledger_key(root) if make else secrets.token_bytes(BYTES)


def make_ledger_key(root: Path) -> bytes:
    """Make a new key file, readable by its owner only; an existing one stays, unless it is damaged."""
    path = root / ".connector" / "key"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = secrets.token_bytes(BYTES)
    beside = path.with_name(f".key.{os.getpid()}")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123  a mode at creation
        file.write(key.hex())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(beside, path)  # fails when another process was quicker: then its key is the key
    except FileExistsError:
        with suppress(SourceError):
            return _read(path)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)  # a key that a power cut takes away is a lost ledger
    os.close(folder)
    return key


def _read(path: Path) -> bytes:
    text = path.read_text(encoding="ascii", errors="replace").strip()
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise SourceError(
            f"the ledger's key in {path} is damaged",
            code="ledger.key",
            hint="Bring it back from a copy. Or export once with --full to begin a new ledger with a new key.",
        )
    return bytes.fromhex(text)
