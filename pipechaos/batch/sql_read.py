"""Rows of a database as Arrow tables: one snapshot, one order, nothing written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from pipechaos.batch.connections import Connections
from pipechaos.batch.ref import BatchRef
from pipechaos.batch.sql_connect import place_of, reading
from pipechaos.batch.sql_session import SqlSession, SqlTable, select_rows
from pipechaos.batch.sql_source import SqlSource
from pipechaos.errors import BatchError

__all__ = ["iter_sql", "read_rows", "read_sql", "sql_source"]

_CHUNK = 16_384


def sql_source(ref: BatchRef) -> SqlSource:
    """Table of a reference to a database.

    Raises
    ------
    BatchError
        The reference is to files.
    """
    if ref.sql is None:
        raise BatchError(f"batch {ref.name!r} is in files ({ref.uri}), not in a database: see sql_ref")
    return ref.sql


def read_sql(
    ref: BatchRef, *, columns: Sequence[str] | None = None, connections: Connections | None = None
) -> pa.Table:
    """Read a batch of a database whole.

    Parameters
    ----------
    ref
        Made by :func:`pipechaos.batch.sql.sql_ref`.
    columns
        Columns to read, in this order; all when not given.
    connections
        URLs of databases by connection id.

    Raises
    ------
    BatchError
        The database or the table cannot be read, or a column has a type or a value that Arrow cannot hold.
    UnknownNameError
        There is no such table or column.
    """
    with reading(place_of(ref.uri, connections)) as session:
        return read_rows(session, sql_source(ref), columns)[1]


def iter_sql(
    ref: BatchRef,
    *,
    rows: int = 65_536,
    columns: Sequence[str] | None = None,
    connections: Connections | None = None,
) -> Iterator[pa.Table]:
    """Read a batch of a database in parts of at most ``rows`` rows; one without rows gives one part without rows."""
    source = sql_source(ref)
    with reading(place_of(ref.uri, connections)) as session:
        statement, values, schema = select_rows(session, session.describe(source), source, columns)
        some = False
        for part in session.stream(statement, values, schema, rows):
            some = True
            yield part
        if not some:
            yield schema.empty_table()


def read_rows(
    session: SqlSession,
    source: SqlSource,
    columns: Sequence[str] | None = None,
    *,
    seen: Callable[[int], None] = lambda rows: None,
) -> tuple[SqlTable, pa.Table]:
    """A table's description and its rows, in an open session.

    ``seen`` is told how many rows there are so far; what it raises ends the reading.
    """
    table = session.describe(source)
    statement, values, schema = select_rows(session, table, source, columns)
    parts, rows = [], 0
    for part in session.stream(statement, values, schema, _CHUNK):
        parts.append(part)
        rows += part.num_rows
        seen(rows)
    return table, (pa.concat_tables(parts) if parts else schema.empty_table())
