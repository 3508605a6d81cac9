"""Rows of a table at one moment: all copies of a lane or a campaign are made of the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from pipechaos.batch.connections import Connections
from pipechaos.batch.ref import BatchRef
from pipechaos.batch.sql_connect import place_of, reading
from pipechaos.batch.sql_read import read_rows, sql_source
from pipechaos.batch.sql_session import SqlTable
from pipechaos.errors import ShadowError
from pipechaos.inject.sql_schema import PREFIX

__all__ = ["SqlSnapshot", "take_snapshot"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SqlSnapshot:
    """Rows of a source as they were at one moment, for several copies of the same.

    Attributes
    ----------
    ref
        The source.
    table
        As the database describes it.
    rows
        Its rows.
    """

    ref: BatchRef
    table: SqlTable
    rows: pa.Table


def take_snapshot(
    ref: BatchRef, *, connections: Connections | None = None, seen: Callable[[int], None] = lambda rows: None
) -> SqlSnapshot:
    """Read a source once.

    Parameters
    ----------
    ref
        Made by :func:`pipechaos.batch.sql.sql_ref`.
    connections
        URLs of databases by connection id.
    seen
        Told how many rows there are so far; what it raises ends the reading.

    Raises
    ------
    BatchError, UnknownNameError
        The source cannot be read.
    ShadowError
        It is a copy itself.
    """
    source = sql_source(ref)
    with reading(place_of(ref.uri, connections)) as session:
        table, rows = read_rows(session, source, seen=seen)
    if table.schema.startswith(PREFIX):
        raise ShadowError(
            f"{source.shown} is in a shadow schema already: corrupt the source, by all injections at once"
        )
    return SqlSnapshot(ref=ref, table=table, rows=rows)
