"""The ledger's files: written once, whole or not at all, readable by their owner only, and checked before they are believed.

A folder on this machine, or an object store by URL. Must not know what the files mean.
"""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import polars as pl

from connector.errors import ConfigError, SourceError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

_UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException)  # what polars makes of a damaged file

WAY_OUT = (
    "Else begin a new ledger by exporting that segment once: with --mode replace nobody else is in the audience then;"
    " with --full everyone is sent again, and who stood in lost files only and has left cannot be taken out."
)


class Shelf(Protocol):
    """Where files lie: names with slashes, bytes."""

    def put(self, name: str, content: bytes) -> None:
        """Write ``content`` under ``name``, whole or not at all, and durably."""

    def find(self, name: str) -> Path | bytes | None:
        """Give what lies under ``name``, or where on this machine it does; nothing when it is not there."""

    def names(self, folder: str, *, hidden: bool) -> list[str]:
        """List what lies in ``folder``; ``hidden`` are files that were not finished."""

    def folders(self, folder: str) -> list[str]:
        """List the folders in ``folder``."""

    def remove(self, name: str) -> None:
        """Take ``name`` away; nothing happens when it is not there."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file turned out to be."""

    checksum: str
    rows: int
    columns: tuple[str, ...]


class LedgerFiles:
    """Parquet files on a shelf, each with the SHA-256 that it had when it was written."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._believed: set[tuple[str, str]] = set()

    def write(self, name: str, frame: pl.DataFrame) -> str:
        """Write ``frame`` under ``name``; returns the checksum to remember. Digests do not compress, so nothing is tried."""
        buffer = io.BytesIO()
        frame.write_parquet(buffer, compression="uncompressed", statistics=False)
        content = buffer.getvalue()
        self._shelf.put(name, content)
        return hashlib.sha256(content).hexdigest()

    def read(self, name: str, checksum: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Read what was written, or some columns of it, as far as the file has them.

        The checksum is compared the first time: a run reads each file several times.

        Raises:
            SourceError: the file is missing (``ledger.missing``) or not what was written (``ledger.damaged``).
        """
        found = self._shelf.find(name)
        if found is None:
            raise SourceError(
                f"the ledger's file {name} is missing: it was removed, or this host keeps another ledger",
                code="ledger.missing",
                hint=f"Bring it back, or name the shared ledger with `ledger:` in connector.yaml. {WAY_OUT}",
            )
        if (name, checksum) not in self._believed:
            if _checksum(name, found) != checksum:
                raise _damaged(name)
            self._believed.add((name, checksum))
        try:
            rows = pl.scan_parquet(found, glob=False)
            if columns is not None:
                there = rows.collect_schema()
                rows = rows.select(column for column in columns if column in there)
            return rows.collect()
        except (*_UNREADABLE, OSError):  # damaged since the checksum was compared
            raise _damaged(name) from None

    def survey(self, name: str) -> Survey | None:
        """Look at a file that nobody remembers a checksum of; nothing when it is not there, or no whole one.

        Raises:
            SourceError: it is there and cannot be read (``ledger.unreadable``).
        """
        found = self._shelf.find(name)
        if found is None:
            return None
        checksum = _checksum(name, found)
        try:
            frame = pl.scan_parquet(found, glob=False).collect()
        except (*_UNREADABLE, OSError):
            return None
        return Survey(checksum, frame.height, tuple(frame.columns))

    def folders(self, folder: str) -> list[str]:
        """List the folders in ``folder``."""
        return self._shelf.folders(folder)

    def names(self, folder: str, *, hidden: bool = False) -> list[str]:
        """List the files of ``folder``; with ``hidden`` also those that were begun and never finished."""
        return self._shelf.names(folder, hidden=hidden)

    def remove(self, name: str) -> None:
        """Take a file away."""
        self._shelf.remove(name)


def open_ledger_files(location: str) -> LedgerFiles:
    """Open the ledger at a folder or an object-store URL (``s3://bucket/prefix``)."""
    return LedgerFiles(_Store(location) if "://" in location else _Folder(Path(location)))


def _checksum(name: str, found: Path | bytes) -> str:
    if isinstance(found, bytes):
        return hashlib.sha256(found).hexdigest()
    try:
        with found.open("rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(name, error) from None


def _damaged(name: str) -> SourceError:
    return SourceError(
        f"the ledger's file {name} is damaged: it is not what was written",
        code="ledger.damaged",
        hint=f"Bring it back from a copy. {WAY_OUT}",
    )


class _Folder:
    """Files in a folder of this machine, mode 0600 in folders of mode 0700."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, content: bytes) -> None:
        path = self._root / name
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        with _changing(name):
            _make_folders(path.parent)
            try:
                with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123  a mode at creation
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(path)
            except BaseException:
                with suppress(OSError):
                    beside.unlink(missing_ok=True)
                raise
            _sync(path.parent)

    def find(self, name: str) -> Path | None:
        path = self._root / name
        try:
            path.lstat()  # whether it can be read as well is seen when it is
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(name, error) from None
        return path

    def names(self, folder: str, *, hidden: bool) -> list[str]:
        found = [path.name for path in self._inside(folder) if not path.is_dir()]
        return [name for name in found if hidden or not name.startswith(".")]

    def folders(self, folder: str) -> list[str]:
        return [path.name for path in self._inside(folder) if path.is_dir()]

    def _inside(self, folder: str) -> list[Path]:
        try:
            return sorted((self._root / folder).iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unreadable(folder, error) from None

    def remove(self, name: str) -> None:
        with _changing(name):
            (self._root / name).unlink(missing_ok=True)


@contextmanager
def _changing(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TransientError(
            f"the ledger cannot be written ({name}): {error.strerror}",
            code="ledger.write",
            hint="Nothing is lost: make room or give the rights, then run the same command again.",
        ) from None


def _unreadable(name: str, error: OSError) -> SourceError:
    return SourceError(
        f"the ledger's file {name} cannot be read: {error.strerror}",
        code="ledger.unreadable",
        hint="Give the rights back, then run the same command again.",
    )


def _make_folders(path: Path) -> None:
    """Make a folder and those above it, each for its owner only, and durable before anything lies in it."""
    if path.is_dir():
        return
    _make_folders(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


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
        try:
            self._store = from_url(url)
        except (obstore.exceptions.BaseError, ValueError) as refused:
            raise ConfigError(
                f"the ledger's URL is not understood ({type(refused).__name__})",
                code="ledger.url",
                hint="Put it right under `ledger:` in connector.yaml, for example s3://bucket/prefix.",
            ) from None

    def put(self, name: str, content: bytes) -> None:
        self._asked("ledger.write", f"did not take {name}", lambda: self._obstore.put(self._store, name, content))

    def find(self, name: str) -> bytes | None:
        def content() -> bytes:
            return bytes(self._obstore.get(self._store, name).bytes())

        try:
            return self._asked("ledger.unreadable", f"did not give {name}", content)
        except FileNotFoundError:
            return None

    def names(self, folder: str, *, hidden: bool) -> list[str]:  # noqa: ARG002  an object is there whole or not at all
        def listed() -> list[str]:
            return [str(item["path"]) for page in self._obstore.list(self._store, prefix=f"{folder}/") for item in page]

        found = self._asked("ledger.unreadable", f"did not list {folder}", listed)
        return sorted(path.rsplit("/", 1)[-1] for path in found)

    def folders(self, folder: str) -> list[str]:
        def listed() -> list[str]:
            return [
                str(p) for p in self._obstore.list_with_delimiter(self._store, prefix=f"{folder}/")["common_prefixes"]
            ]

        found = self._asked("ledger.unreadable", f"did not list {folder}", listed)
        return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._asked("ledger.write", f"did not remove {name}", lambda: self._obstore.delete(self._store, name))

    def _asked(self, code: str, problem: str, ask: Callable[[], T]) -> T:
        """Ask the store; its answers may hold keys and signed URLs, so that only their class is told."""
        try:
            return ask()
        except FileNotFoundError:
            raise
        except (self._obstore.exceptions.BaseError, OSError, ValueError) as refused:
            kind = type(refused).__name__
        raise TransientError(
            f"the ledger's object store {problem} ({kind})", code=code, hint="Nothing is lost: try again later."
        )
