"""What reading and loading need of a database, whichever it is: everything that differs is behind this."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from pipechaos.batch.sql_source import SqlSource
from pipechaos.errors import BatchError, UnknownNameError

__all__ = ["VALUE", "SqlColumn", "SqlSession", "SqlTable", "select_rows"]

VALUE = "\0"
"""Stands for a bound value in a statement: no name can hold it, so ``%`` and ``?`` in names are only characters."""


@dataclass(frozen=True, kw_only=True)
class SqlColumn:
    """One column of a table.

    Attributes
    ----------
    name
        As the database has it.
    declared
        Its type in the database's own words.
    arrow
        What it is read as.
    wider
        Type that takes any value of the Arrow type, where the declared one may refuse or alter some; None where it
        cannot.
    literal
        Type that the value of a condition is read as, where the declared one would cut it; empty where it does not.
    """

    name: str
    declared: str
    arrow: pa.DataType
    wider: str | None = None
    literal: str = ""

    @property
    def read_as(self) -> str:
        """Type that the value of a condition is read as."""
        return self.literal or self.declared


@dataclass(frozen=True, kw_only=True)
class SqlTable:
    """A table as it was found."""

    schema: str
    name: str
    columns: tuple[SqlColumn, ...]

    @property
    def arrow(self) -> pa.Schema:
        """Schema that its rows are read with."""
        return pa.schema([(c.name, c.arrow) for c in self.columns])

    def column(self, name: str) -> SqlColumn:
        """One column, or an error that suggests a near one."""
        found = next((c for c in self.columns if c.name == name), None)
        if found is None:
            raise UnknownNameError("column", name, [c.name for c in self.columns], f"table {self.schema}.{self.name}")
        return found


class SqlSession(Protocol):
    """One open transaction."""

    shown: str
    default_schema: str

    def quote(self, name: str) -> str:
        """A name as an identifier."""
        ...

    def order(self, column: SqlColumn) -> str:
        """Expression that orders by a column, the same on every server."""
        ...

    def type_of(self, kind: pa.DataType) -> str | None:
        """The database's type for an Arrow type; None where it has none."""
        ...

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a statement, whose values stand as :data:`VALUE`."""
        ...

    def describe(self, source: SqlSource) -> SqlTable:
        """Columns and types of a table; BatchError for a type that cannot be read."""
        ...

    def stream(self, statement: str, values: Sequence[Any], schema: pa.Schema, rows: int) -> Iterator[pa.Table]:
        """Rows of a query in parts."""
        ...

    def keeps(self, column: SqlColumn, values: pa.Array) -> bool:
        """Whether the declared type takes these values as they are."""
        ...

    def load(self, schema: str, table: str, columns: Sequence[SqlColumn], rows: pa.Table) -> None:
        """Append rows to a table."""
        ...

    def lock(self, name: str) -> None:
        """Wait for others that write the same schema, until the transaction ends."""
        ...

    def count_reads(self) -> None:
        """Have what this session has read counted by the time it ends: nobody else's reading is taken for it."""
        ...

    def make_private(self, schema: str, readers: Sequence[str]) -> None:
        """Take every right on a schema and its tables from everybody but its owner; readers may then read."""
        ...


def select_rows(
    session: SqlSession, table: SqlTable, source: SqlSource, columns: Sequence[str] | None
) -> tuple[str, list[Any], pa.Schema]:
    """Query for the rows of a source in their order: by key, then by all other columns."""
    chosen = [table.column(n) for n in columns] if columns is not None else list(table.columns)
    if not chosen:
        raise BatchError(f"table {table.schema}.{table.name} has no column to read")
    key = [table.column(n) for n in source.key]
    ordered = [*key, *(c for c in table.columns if c not in key)]
    conditions = [
        f"{session.quote(c.column)} {c.compare} CAST({VALUE} AS {table.column(c.column).read_as})" for c in source.where
    ]
    statement = f"SELECT {', '.join(session.quote(c.name) for c in chosen)} "
    statement += f"FROM {session.quote(table.schema)}.{session.quote(table.name)}"
    statement += f" WHERE {' AND '.join(conditions)}" if conditions else ""
    statement += f" ORDER BY {', '.join(f'{session.order(c)} NULLS LAST' for c in ordered)}"
    values = [str(c.value) if not isinstance(c.value, bool) else str(c.value).lower() for c in source.where]
    return statement, values, pa.schema([(c.name, c.arrow) for c in chosen])
