"""The ledger's files: written once, whole or not at all, readable by their owner only, and checked on every reading.

A folder on this machine, or an object store by URL. Must not know what the files mean.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import polars as pl

from connector.errors import ConfigError, SourceError, TransientError

if TYPE_CHECKING:
    from collections.abc import Sequence

WAY_OUT = "Export once with --full (or mode: replace): it sends everyone and begins a new ledger."


class Shelf(Protocol):
    """Where files lie: names with slashes, bytes."""

    def put(self, name: str, content: bytes) -> None:
        """Write ``content`` under ``name``, whole or not at all, and durably."""

    def get(self, name: str) -> bytes | None:
        """Read what lies under ``name``; nothing when it is not there."""

    def names(self, folder: str) -> list[str]:
        """List what lies in ``folder``."""

    def remove(self, name: str) -> None:
        """Take ``name`` away; nothing happens when it is not there."""


class LedgerFiles:
    """Parquet files on a shelf, each with the SHA-256 that it had when it was written."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def write(self, name: str, frame: pl.DataFrame) -> str:
        """Write ``frame`` under ``name``; returns the checksum to remember. Digests do not compress, so nothing is tried."""
        buffer = io.BytesIO()
        frame.write_parquet(buffer, compression="uncompressed", statistics=False)
        content = buffer.getvalue()
        self._shelf.put(name, content)
        return hashlib.sha256(content).hexdigest()

    def read(self, name: str, checksum: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Read what was written.

        Raises:
            SourceError: the file is missing (``ledger.missing``) or not what was written (``ledger.damaged``).
        """
        content = self._shelf.get(name)
        if content is None:
            raise SourceError(
                f"the ledger's file {name} is missing: it was removed, or this host keeps another ledger",
                code="ledger.missing",
                hint=f"Bring it back, or name the shared ledger with `ledger:` in connector.yaml. {WAY_OUT}",
            )
        if hashlib.sha256(content).hexdigest() != checksum:
            raise SourceError(
                f"the ledger's file {name} is damaged: it is not what was written",
                code="ledger.damaged",
                hint=f"Bring it back from a copy. {WAY_OUT}",
            )
        return pl.read_parquet(content, columns=None if columns is None else list(columns))

    def names(self, folder: str) -> list[str]:
        """List the files of ``folder``."""
        return self._shelf.names(folder)

    def remove(self, name: str) -> None:
        """Take a file away."""
        self._shelf.remove(name)


def open_ledger_files(location: str) -> LedgerFiles:
    """Open the ledger at a folder or an object-store URL (``s3://bucket/prefix``)."""
    return LedgerFiles(_Store(location) if "://" in location else _Folder(Path(location)))


class _Folder:
    """Files in a folder of this machine, mode 0600 in folders of mode 0700."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, content: bytes) -> None:
        path = self._root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            beside = path.with_name(f".{path.name}.{os.getpid()}")
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123  a mode at creation
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise TransientError(
                f"the ledger cannot be written ({name}): {error.strerror}",
                code="ledger.write",
                hint="Nothing is lost: make room or give the rights, then run the same command again.",
            ) from None

    def get(self, name: str) -> bytes | None:
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SourceError(
                f"the ledger's file {name} cannot be read: {error.strerror}", code="ledger.unreadable"
            ) from None

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(path.name for path in (self._root / folder).iterdir() if not path.name.startswith("."))
        except FileNotFoundError:
            return []

    def remove(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)


class _Store:
    """Objects in a store; its own encryption and rights are its admins' business."""

    def __init__(self, url: str) -> None:
        try:
            import obstore  # noqa: PLC0415  an extra that not everyone installs
            from obstore.store import from_url  # noqa: PLC0415
        except ModuleNotFoundError:
            raise ConfigError(
                "the ledger lies in an object store, and its library is not installed",
                code="ledger.extra",
                hint="pip install 'audience-connector[object-store]'",
            ) from None
        self._obstore = obstore
        self._store = from_url(url)

    def put(self, name: str, content: bytes) -> None:
        try:
            self._obstore.put(self._store, name, content)
        except self._obstore.exceptions.BaseError as error:
            raise TransientError(
                f"the ledger's store did not take {name}: {type(error).__name__}", code="ledger.write"
            ) from None

    def get(self, name: str) -> bytes | None:
        try:
            return bytes(self._obstore.get(self._store, name).bytes())
        except (FileNotFoundError, self._obstore.exceptions.NotFoundError):
            return None
        except self._obstore.exceptions.BaseError as error:
            raise TransientError(
                f"the ledger's store did not give {name}: {type(error).__name__}", code="ledger.unreadable"
            ) from None

    def names(self, folder: str) -> list[str]:
        found = [item["path"] for page in self._obstore.list(self._store, prefix=f"{folder}/") for item in page]
        return sorted(path.rsplit("/", 1)[-1] for path in found)

    def remove(self, name: str) -> None:
        self._obstore.delete(self._store, name)
