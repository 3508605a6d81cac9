"""Connections to databases that hold batches: who resolves an id, and one session each for reading and for writing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from pipechaos.batch.connection_url import expanded, without_password
from pipechaos.batch.connections import Connections, database_of
from pipechaos.batch.sql_session import SqlSession
from pipechaos.errors import BatchError

__all__ = ["Dialect", "Place", "place_of", "reading", "writing"]

_BY_ID = "sql://"


class Dialect(StrEnum):
    """Databases that are known."""

    POSTGRESQL = "postgresql"
    DUCKDB = "duckdb"


_SCHEMES = {
    "postgresql": Dialect.POSTGRESQL,
    "postgres": Dialect.POSTGRESQL,
    "postgresql+psycopg": Dialect.POSTGRESQL,
    "postgresql+psycopg2": Dialect.POSTGRESQL,
    "duckdb": Dialect.DUCKDB,
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """A database.

    Attributes
    ----------
    dialect
        Which kind.
    address
        Everything that its driver needs: a URL, or a file's path. May hold a password.
    shown
        For people: without one.
    """

    dialect: Dialect
    address: str = field(repr=False)
    shown: str


def place_of(uri: str, connections: Connections | None = None, env: Mapping[str, str] | None = None) -> Place:
    """Find the database of a reference.

    Parameters
    ----------
    uri
        URL with ``${NAME}`` for what is secret, or ``sql://`` and a connection id.
    connections
        URLs by connection id; see :data:`pipechaos.batch.connections.Connections`.
    env
        The environment; that of the process otherwise.

    Raises
    ------
    BatchError
        Nobody resolved the connection, or the database is of another kind.
    ConfigError
        A variable is not set.

    Examples
    --------
    >>> place_of("sql://lake", {"lake": "postgres://me:secret@db/x"}).shown
    'postgresql://me:***@db/x'
    """
    text = database_of(connections, uri.removeprefix(_BY_ID)) if uri.startswith(_BY_ID) else uri
    text = expanded(text, os.environ if env is None else env, what=f"the database {without_password(uri)}")
    scheme, _, rest = text.partition("://")
    dialect = _SCHEMES.get(scheme.lower())
    if dialect is None:  # the text is not repeated: it may hold a password
        raise BatchError(
            "a batch in a database is read from postgresql://USER:${PASSWORD}@HOST/DATABASE or duckdb:///PATH; the "
            f"address of {without_password(uri)} is neither"
        )
    if dialect is Dialect.DUCKDB:
        path = rest.partition("?")[0].removeprefix("/")
        if path in ("", ":memory:"):
            raise BatchError("a DuckDB in memory is another one for each connection: give duckdb:///PATH of a file")
        return Place(dialect=dialect, address=path, shown=f"duckdb:///{path}")
    url = f"postgresql://{rest}"
    return Place(dialect=dialect, address=url, shown=without_password(url))


@contextmanager
def reading(place: Place) -> Iterator[SqlSession]:
    """Session in one read-only transaction with one snapshot: a write through it fails."""
    with _session(place, write=False) as session:
        yield session


@contextmanager
def writing(place: Place) -> Iterator[SqlSession]:
    """Session in one transaction: kept whole when the block ends well, and not at all when it does not."""
    with _session(place, write=True) as session:
        yield session


@contextmanager
def _session(place: Place, *, write: bool) -> Iterator[SqlSession]:
    if place.dialect is Dialect.DUCKDB:
        from pipechaos.batch.sql_duckdb import duckdb_session

        with duckdb_session(place.address, place.shown, write=write) as session:
            yield session
    else:
        from pipechaos.batch.sql_postgres import postgres_session

        with postgres_session(place.address, place.shown, write=write) as session:
            yield session
