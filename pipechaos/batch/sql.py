"""References to batches that are rows of a database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipechaos.batch.ref import BatchRef, Format
from pipechaos.batch.sql_source import Compare, Condition, SqlSource, conditions
from pipechaos.errors import BatchError

__all__ = ["Compare", "Condition", "SqlSource", "sql_ref"]


def sql_ref(
    table: str,
    *,
    url: str | None = None,
    connection_id: str | None = None,
    schema: str | None = None,
    where: Sequence[Condition | tuple[str, Compare | str, Any]] = (),
    key: Sequence[str] = (),
    name: str | None = None,
) -> BatchRef:
    """Make a reference to a table, or to the part of it that meets conditions.

    Parameters
    ----------
    table, schema
        Names as the database has them; never SQL.
    url
        ``postgresql://USER:${PASSWORD}@HOST/DATABASE`` or ``duckdb:///PATH``; ``${NAME}`` is an environment variable.
    connection_id
        Instead of a URL: the connection that whoever reads resolves.
    where
        Conditions of the partition, all of which hold: column, comparison (``=``, ``>=``, ``>``, ``<=``, ``<``) and
        value; dates and times as ISO texts.
    key
        Columns that identify a row; rows come in their order.
    name
        Logical partition; the values of the equality conditions joined by ``/``, or schema and table, when not given.

    Raises
    ------
    BatchError
        Neither or both of url and connection are given, or a name or a value is of the wrong kind.
    ConfigError
        The URL carries a password.

    Examples
    --------
    >>> ref = sql_ref("orders", connection_id="warehouse", where=[("day", "=", "2024-05-01")], key=["id"])
    >>> ref.name, ref.uri
    ('2024-05-01', 'sql://warehouse')
    >>> BatchRef.from_json(ref.to_json()) == ref
    True
    """
    if bool(url) == bool(connection_id):
        raise BatchError("a table is in one database: give its url or its connection_id")
    source = SqlSource(table=table, schema=schema, where=conditions(where), key=tuple(key))
    partition = "/".join(str(c.value) for c in source.where if c.compare is Compare.EQ)
    return BatchRef(
        uri=url or f"sql://{connection_id}",
        format=Format.SQL,
        name=name or partition or source.shown,
        connection_id=connection_id,
        sql=source,
    )
