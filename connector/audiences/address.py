"""Where Meta is: the address of the Graph API, the paths below it, and the proxy on the way.

Owns what may stand in an address. Must not know how a request is sent.
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from connector.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECRETS = ("access_token", "appsecret_proof")


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host, port, and a path all others stand below (mostly empty)."""

    scheme: str
    host: str
    port: int | None
    prefix: str = ""

    @property
    def netloc(self) -> str:
        """The ``Host`` header: the port only when it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port in (None, {"http": 80, "https": 443}[self.scheme]) else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this very machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.prefix}"


def read_origin(url: str) -> Origin:
    """Read ``graph_url``.

    >>> str(read_origin("https://graph.facebook.com/"))
    'https://graph.facebook.com'

    Raises:
        ConfigError: It is no address of a server, or plain http to another machine.
    """
    origin = _origin_of(url)
    parts = urlsplit(url) if origin else None
    if origin is None or parts is None or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigError(
            "graph_url is no plain address of a server.",
            code="config.graph_url",
            hint="Meta's is https://graph.facebook.com.",
        )
    if origin.scheme == "http" and not origin.is_loopback:
        raise ConfigError(
            f"graph_url is plain http, and {origin.host} is not this machine.",
            code="config.graph_url",
            hint="Use https: a token never travels in the clear.",
        )
    return Origin(origin.scheme, origin.host, origin.port, parts.path.rstrip("/"))


def _origin_of(url: str) -> Origin | None:
    """Scheme, host and port of a URL, or nothing when it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[a-z0-9.:_-]+", parts.hostname or "", re.ASCII):
        return None
    if not re.fullmatch(r"[!-~]*", url):
        return None
    return Origin(parts.scheme, parts.hostname or "", port)


def address_of(origin: Origin, version: str, path: str, params: Mapping[str, object]) -> str:
    """Write the address of a call: ``None`` is left out, and whatever is no text becomes JSON.

    >>> address_of(read_origin("https://graph.facebook.com"), "v25.0", "act_1", {"fields": "id", "limit": 20})
    'https://graph.facebook.com/v25.0/act_1?fields=id&limit=20'
    """
    query = {
        name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for name, value in params.items()
        if value is not None
    }
    return f"{origin}/{version}/{path}" + (f"?{urlencode(query)}" if query else "")


def read_link(link: str, origin: Origin) -> tuple[str, dict[str, str]] | None:
    """Take a ``paging.next`` link apart: path below the version, and parameters without secrets.

    Nothing when it leads to another host, which must never see the token.
    """
    there = _origin_of(link)
    if there is None or (there.scheme, there.netloc) != (origin.scheme, origin.netloc):
        return None
    parts = urlsplit(link)
    query = {name: value for name, value in parse_qsl(parts.query) if name not in _SECRETS}
    return re.sub(r"\A/(v[\d.]+/)?", "", parts.path.removeprefix(origin.prefix)), query


def checked_version(text: str) -> str:
    """Give ``graph_version`` back when it looks like one.

    Raises:
        ConfigError: It does not look like ``v25.0``.
    """
    if not re.fullmatch(r"v\d{1,3}\.\d{1,2}", text, re.ASCII):
        raise ConfigError(
            "graph_version is no version of the Graph API.", code="config.graph_version", hint="It looks like v25.0."
        )
    return text


def checked_path(path: str) -> str:
    """Give a path back when each part of it is an id or an edge; an empty id would make Meta take ``users`` for a node.

    Raises:
        ConfigError: A part is empty or holds a character that no id of Meta's has.
    """
    if path and (not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", path, re.ASCII) or ".." in path):
        raise ConfigError("An id in the address of a call is empty, or is no id of Meta's.", code="config.id")
    return path


def proxy_for(origin: Origin) -> str | None:
    """Find the proxy that the environment names (``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``).

    Loopback never takes one: the sandbox is on this machine, and a proxy would look for it on its own.
    """
    if origin.is_loopback or proxy_bypass(origin.netloc):
        return None
    proxies = getproxies()
    proxy = proxies.get(origin.scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"
