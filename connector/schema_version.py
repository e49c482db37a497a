"""The version of a state database: looked at whenever one is opened, brought up to date by the steps in ``migrations``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from connector.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

STEPS = Path(__file__).parent / "migrations"
_VERSION = sa.table("alembic_version", sa.column("version_num"))


def bring_up_to_date(connection: Connection, lock: Callable[[Connection], None]) -> None:
    """Run the steps that a database lacks, in its transaction, after ``lock``.

    Raises:
        ConfigError: a newer connector wrote the database.
    """
    steps = sorted(path.stem.partition("_")[0] for path in STEPS.glob("[0-9]*.py"))
    if _version(connection) == steps[-1]:
        return
    lock(connection)
    current = _version(connection)
    if current is not None and current not in steps:
        raise ConfigError(
            "a newer connector wrote this state database",
            code="state.newer",
            hint="Upgrade connector here, or name another database with CONNECTOR_STATE.",
        )
    if current != steps[-1]:
        _upgrade(connection)


def _version(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table(_VERSION.name):
        return None
    return connection.execute(sa.select(_VERSION.c.version_num)).scalar_one_or_none()


def _upgrade(connection: Connection) -> None:
    # Here, because a database is brought up to date once and opened by every command: loading alembic takes 0.15 s.
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    script = ScriptDirectory(str(STEPS), version_locations=[str(STEPS)])
    newest = lambda current, _: script._upgrade_revs("head", current)  # noqa: E731, SLF001  alembic has no public name
    with EnvironmentContext(Config(), script, fn=newest) as environment:
        environment.configure(connection=connection)
        environment.run_migrations()
