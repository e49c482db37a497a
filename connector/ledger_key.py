"""The 32 bytes that make fingerprints ours: from ``CONNECTOR_KEY``, or a file of mode 0600 in the workspace.

Losing it is the same as a damaged ledger: nothing can be compared any more.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from connector.errors import ConfigError, SourceError, TransientError

if TYPE_CHECKING:
    from pathlib import Path

BYTES = 32
_NEW_KEY = "If it is lost, export every segment once with --full: that makes a new key."


def read_ledger_key(root: Path, *, ledger_exists: bool, make: bool = True) -> bytes:
    """Read the key of the workspace at ``root``; a first one is made when there is no ledger yet.

    Without ``make`` (a plan, which writes nothing) the first key is a passing one.

    Raises:
        ConfigError: CONNECTOR_KEY is not 64 hex digits.
        SourceError: there is a ledger and its key is gone, or the key is damaged (``ledger.key``) or cannot be read
            (``ledger.unreadable``).
        TransientError: the first key cannot be written.
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
    key = _read(path)
    if key is not None:
        return key
    if ledger_exists:
        raise SourceError(
            f"the ledger's key is missing: neither CONNECTOR_KEY nor {path} is there",
            code="ledger.key",
            hint=f"Bring it back. {_NEW_KEY}",
        )
    return make_ledger_key(root) if make else secrets.token_bytes(BYTES)


def make_ledger_key(root: Path) -> bytes:
    """Make a new key file, readable by its owner only; an existing one stays, unless it is damaged: that is put aside.

    Raises:
        SourceError: there is one that cannot be read (``ledger.unreadable``).
        TransientError: it cannot be written.
    """
    path = root / ".connector" / "key"
    try:
        return _make(path)
    except OSError as error:
        raise TransientError(
            f"the ledger's key cannot be written ({path}): {error.strerror}",
            code="ledger.write",
            hint="Make room or give the rights, then run the same command again; or give a key as CONNECTOR_KEY.",
        ) from None


def _make(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = secrets.token_bytes(BYTES)
    beside = path.with_name(f".key.{os.getpid()}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123  a mode at creation
            file.write(key.hex())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(beside, path)  # fails when another process was quicker: then its key is the key
        except FileExistsError:
            theirs = _other_than_damaged(path)
            if theirs is not None:
                return theirs
            path.replace(path.with_name("key.damaged"))
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)  # a key that a power cut takes away is a lost ledger
    os.close(folder)
    return key


def _other_than_damaged(path: Path) -> bytes | None:
    try:
        return _read(path)
    except SourceError as error:
        if error.code != "ledger.key":
            raise
        return None


def _read(path: Path) -> bytes | None:
    """Read the key file; nothing when there is none."""
    try:
        if path.stat().st_mode & 0o077:  # copied or restored: it is its owner's only
            with suppress(OSError):
                path.chmod(0o600)
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            return None
        raise SourceError(
            f"the ledger's key in {path} cannot be read: {error.strerror}",
            code="ledger.unreadable",
            hint="Bring it back, or give the rights, then run the same command again.",
        ) from None
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise SourceError(
            f"the ledger's key in {path} is damaged",
            code="ledger.key",
            hint=f"Bring it back from a copy. {_NEW_KEY}",
        )
    return bytes.fromhex(text)
