"""The files a source names: one path, a glob, an object-store URL; opened as bytes, decompressed.

Owns where bytes come from. Must not know what they mean.
"""

from __future__ import annotations

import bz2
import glob
import gzip
import lzma
import zlib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self, cast
from urllib.parse import unquote, urlsplit

from connector.errors import ConfigError, SourceError
from connector.profiles import object_store

if TYPE_CHECKING:
    from collections.abc import Callable

COMPRESSED_SUFFIXES: Final = (".gz", ".bz2", ".xz", ".zst")
_ARCHIVE: Final = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class File:
    """One file: ``location`` is a local path or an object-store URL, ``name`` is what messages call it."""

    name: str
    location: str
    remote: bool = False

    @property
    def suffix(self) -> str:
        """The ending that names the format, lower case, without that of a compression: ``.csv`` for ``A.CSV.gz``."""
        name = self.name.lower()
        for compressed in COMPRESSED_SUFFIXES:
            name = name.removesuffix(compressed)
        return Path(name).suffix

    @property
    def compressed(self) -> bool:
        """Whether the name ends as that of a compressed file."""
        return self.name.lower().endswith(COMPRESSED_SUFFIXES)

    def open(self) -> Bytes:
        """Open for one read from front to back, decompressed; compression is told by the first bytes, not the name.

        Raises:
            SourceError: ``source.missing``, ``source.unreadable``; while reading, ``source.damaged``.
        """
        raw = object_store.open_object(self.location, name=self.name) if self.remote else _open_local(self)
        return Bytes(raw, name=self.name)


class Bytes:
    """A file's bytes, decompressed; what goes wrong while reading is a `SourceError`. A context manager."""

    def __init__(self, raw: BinaryIO, *, name: str) -> None:
        self._raw = raw
        self._name = name
        try:
            self._inner = self._opened()
        except BaseException:
            self.close()
            raise

    def _opened(self) -> BinaryIO:
        head = self._guarded(lambda: self._raw.read(6))
        if head.startswith(_ARCHIVE):
            raise SourceError(
                "is a spreadsheet or a zip archive, not text",
                code="source.format",
                hint="Save the sheet as CSV (UTF-8), or unpack the archive.",
                file=self._name,
            )
        return _decompressor(head, _Rejoined(head, self._raw), name=self._name)

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, nothing at the end."""
        return self._guarded(lambda: self._inner.read(size))

    def close(self) -> None:
        """Let go of the file."""
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _guarded(self, read: Callable[[], bytes]) -> bytes:
        problem = None
        try:
            return read()
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError):
            problem = "ends too early or is damaged"
        except OSError as exc:
            problem = f"cannot be read to its end ({type(exc).__name__})"
        raise SourceError(problem, code="source.damaged", hint="Transfer or write the file again.", file=self._name)


class _Rejoined:
    """The first bytes, already read to recognise the file, and then the rest of it."""

    def __init__(self, head: bytes, raw: BinaryIO) -> None:
        self._head = head
        self._raw = raw

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, nothing at the end."""
        if not self._head:
            return self._raw.read(size)
        out, self._head = self._head[:size], self._head[size:]
        return out


def expand(path: str) -> tuple[File, ...]:
    """Return the files that a path, glob or URL names, sorted by name.

    Raises:
        ConfigError: A scheme or a package that is not there.
        SourceError: ``source.missing``.
    """
    url = urlsplit(path)
    if url.scheme == "file":
        path = unquote(url.path)
    elif "://" in path:
        return tuple(
            File(name=object_store.safe_name(each), location=each, remote=True) for each in object_store.expand(path)
        )
    if Path(path).is_file():
        return (File(name=path, location=path),)
    if Path(path).is_dir():
        raise SourceError("is a folder", code="source.missing", hint=f"Name its files: {path}/*.parquet", file=path)
    found = sorted(each for each in glob.glob(path, recursive=True) if Path(each).is_file())  # noqa: PTH207  pathlib's has no absolute patterns
    if not found:
        what = "matches no file" if glob.has_magic(path) else "is not there"
        raise SourceError(
            what, code="source.missing", hint="Relative paths start at the folder of connector.yaml.", file=path
        )
    return tuple(File(name=each, location=each) for each in found)


def _open_local(file: File) -> BinaryIO:
    try:
        return Path(file.location).open("rb")
    except FileNotFoundError:
        problem, code = "is not there", "source.missing"
    except OSError as exc:
        problem, code = f"cannot be opened ({type(exc).__name__})", "source.unreadable"
    raise SourceError(problem, code=code, file=file.name)


def _decompressor(head: bytes, raw: _Rejoined, *, name: str) -> BinaryIO:
    stream = cast("BinaryIO", raw)
    if head.startswith(b"\x1f\x8b"):
        return cast("BinaryIO", gzip.GzipFile(fileobj=stream, mode="rb"))
    if head.startswith(b"BZh"):
        return cast("BinaryIO", bz2.BZ2File(stream))
    if head.startswith(b"\xfd7zXZ\0"):
        return cast("BinaryIO", lzma.LZMAFile(stream))
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstandard(stream, name=name)
    return stream


def _zstandard(stream: BinaryIO, *, name: str) -> BinaryIO:
    try:
        zstd = import_module("compression.zstd")
    except ModuleNotFoundError:
        pass
    else:
        return cast("BinaryIO", zstd.ZstdFile(stream))
    raise ConfigError(
        f"{name} is compressed with Zstandard, which Python reads from version 3.14 on",
        code="config.zstandard",
        hint="Compress it with gzip, or run connector on Python 3.14.",
    )
