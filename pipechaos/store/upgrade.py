"""Brings the tables of a store to the version of this package, once, whoever opens it first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from pipechaos.store.records import StoreError
from pipechaos.store.tables import VERSION_TABLE

__all__ = ["OPTIONS", "alembic_config", "upgrade"]

_LOCK = 7_163_001_948  # of PostgreSQL, held by whoever upgrades


def _ours(name: str | None, kind: str, _: Any) -> bool:
    return kind != "table" or str(name).startswith("pc_")


OPTIONS: dict[str, Any] = {
    "version_table": VERSION_TABLE,
    "render_as_batch": True,
    "compare_type": True,
    "include_name": _ours,  # a database may be shared
}


def alembic_config(connection: sa.Connection | None = None) -> Config:
    """Alembic's configuration: the revisions shipped with the package, on a connection that is given."""
    config = Config()
    place = str(Path(__file__).parent / "migrations").replace("%", "%%")
    config.set_main_option("script_location", place)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(engine: sa.Engine, shown: str) -> None:
    """Upgrade to the newest revision; several processes may do so at once.

    Parameters
    ----------
    engine
        Whose transactions take the write lock when they begin (SQLite).
    shown
        Address of the store, for messages.

    Raises
    ------
    StoreError
        A newer version of pipechaos wrote the store.
    """
    script = ScriptDirectory.from_config(alembic_config())
    known = {s.revision for s in script.walk_revisions()}
    with engine.connect() as connection:
        found = set(MigrationContext.configure(connection, opts=OPTIONS).get_current_heads())
    if found - known:
        raise StoreError(
            f"the store {shown} was written by a newer version of pipechaos (revision {', '.join(sorted(found))}; this "
            f"one knows {max(known)}): upgrade pipechaos, or name another store"
        )
    if found == set(script.get_heads()):
        return
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        command.upgrade(alembic_config(connection), "head")
