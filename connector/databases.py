"""How long a database may be silent before it counts as gone: the same for the state and for a source of profiles.

Without it a host that vanishes (a failover, a firewall that drops idle connections) is waited for until somebody looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

_OF_LIBPQ: Final = {
    "connect_timeout": 10,  # seconds, for each address of the host
    # A query may take hours. Whether the host still lives is asked by the system, not by us: after half a minute of silence,
    # then every ten seconds; after three times without an answer it is gone.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds that what we sent may stay unconfirmed
}


def patience(url: URL) -> dict[str, int]:
    """Give the arguments for a database's driver; what the URL itself says comes first.

    >>> from sqlalchemy.engine import make_url
    >>> sorted(patience(make_url("postgresql+psycopg://host/db?connect_timeout=3")))
    ['keepalives_count', 'keepalives_idle', 'keepalives_interval', 'tcp_user_timeout']
    """
    if url.get_driver_name() not in {"psycopg", "psycopg2"}:
        return {}
    return {name: value for name, value in _OF_LIBPQ.items() if name not in url.query}
