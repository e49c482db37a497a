"""Files in object stores: listed and read through the optional package ``obstore``.

Owns URLs such as ``s3://bucket/path``. Credentials and endpoints come from the environment, as the store's own tools
take them (``AWS_…``, ``GOOGLE_…``, ``AZURE_…``). Must not know what a file holds.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar, cast
from urllib.parse import urlsplit

from connector.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SCHEMES: Final = ("s3", "s3a", "gs", "az", "adl", "abfs", "abfss")
_WILD: Final = re.compile(r"[*?\[]")


def expand(url: str) -> list[str]:
    """Return the URLs of the objects that a URL with or without wildcards names, sorted."""
    store, root, path = _store(url)
    wild = _WILD.search(path)
    if wild is None:
        return [url]
    prefix = path[: wild.start()].rpartition("/")[0]
    listed = _asked(
        lambda: [str(meta["path"]) for page in store.list(prefix or None) for meta in page], name=safe_name(url)
    )
    found = sorted(each for each in listed if _matches(each, path))
    if not found:
        raise SourceError("matches no object", code="source.missing", file=safe_name(url))
    return [f"{root}/{each}" for each in found]


def open_object(url: str, *, name: str) -> BinaryIO:
    """Open one object for a read from front to back, in ranges of a few megabytes."""
    store, _, path = _store(url)
    obstore = _obstore()
    return cast("BinaryIO", _Object(_asked(lambda: obstore.open_reader(store, path, buffer_size=4 << 20), name=name)))


def safe_name(url: str) -> str:
    """Return a URL without user, password and query, for messages.

    >>> safe_name("s3://key:secret@bucket/a.csv?token=x")
    's3://bucket/a.csv'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class _Object:
    """An object of `obstore`, read as bytes."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, nothing at the end."""
        return bytes(_plain(lambda: self._reader.read(size)))

    def close(self) -> None:
        """Let go of the object."""
        self._reader.close()


def _matches(path: str, pattern: str) -> bool:
    """Match part by part, so that ``*`` does not cross a slash; ``**`` does."""
    if "**" in pattern:
        return fnmatchcase(path, pattern)
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _store(url: str) -> tuple[Any, str, str]:
    """Return the store of a URL's bucket, the URL of that bucket, and the path inside."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ConfigError(
            f"connector reads no {parts.scheme}:// URLs",
            code="config.scheme",
            hint=f"It reads local paths, file:// and {', '.join(f'{scheme}://' for scheme in SCHEMES)}.",
        )
    root = f"{parts.scheme}://{parts.netloc}"
    store = _asked(lambda: import_module("obstore.store").from_url(root) if _obstore() else None, name=safe_name(url))
    return store, root, parts.path.lstrip("/")


def _obstore() -> Any:
    try:
        return import_module("obstore")
    except ModuleNotFoundError:
        pass
    raise ConfigError(
        "object-store URLs need the package obstore",
        code="config.extra",
        hint="pip install 'audience-connector[object-store]'",
    )


def _asked(ask: Callable[[], T], *, name: str) -> T:
    """Ask the store; its answers may hold keys and signed URLs, so that only their class is told."""
    try:
        return ask()
    except (ConfigError, SourceError):
        raise
    except FileNotFoundError:
        problem, code = "is not there", "source.missing"
    except Exception as exc:  # noqa: BLE001  obstore's classes are only importable with it
        problem, code = f"the object store refused ({type(exc).__name__})", "source.unreadable"
    raise SourceError(problem, code=code, file=name)


def _plain(read: Callable[[], T]) -> T:
    """Turn the store's own errors into `OSError`, which the reader of any file reports."""
    try:
        return read()
    except Exception as exc:  # noqa: BLE001  as above
        problem = type(exc).__name__
    raise OSError(problem)
