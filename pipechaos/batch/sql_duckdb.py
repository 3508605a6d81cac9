"""DuckDB by its own Arrow interface: one transaction, rows in and out without a copy through Python."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipechaos.batch.identity import is_bytes, is_text
from pipechaos.batch.sql_session import VALUE, SqlColumn, SqlTable
from pipechaos.batch.sql_source import SqlSource
from pipechaos.batch.values import plain
from pipechaos.errors import BatchError, MissingExtraError, ShadowError, UnknownNameError

__all__ = ["DuckSession", "duckdb_session"]

_READ = re.compile(
    r"BOOLEAN|U?(TINYINT|SMALLINT|INTEGER|BIGINT)|HUGEINT|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|VARCHAR|BLOB|DATE|TIME|"
    r"TIMESTAMP(_S|_MS|_NS| WITH TIME ZONE)?|UUID|JSON|ENUM\(.*\)",
    re.DOTALL,
)
_NUMBERS = {
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "uint8": "UTINYINT",
    "int16": "SMALLINT",
    "uint16": "USMALLINT",
    "int32": "INTEGER",
    "uint32": "UINTEGER",
    "int64": "BIGINT",
    "uint64": "UBIGINT",
    "halffloat": "FLOAT",
    "float": "FLOAT",
    "double": "DOUBLE",
}
_UNITS = {"s": "TIMESTAMP_S", "ms": "TIMESTAMP_MS", "us": "TIMESTAMP", "ns": "TIMESTAMP_NS"}


class DuckSession:
    """A transaction on DuckDB; see :class:`pipechaos.batch.sql_session.SqlSession`."""

    default_schema = "main"

    def __init__(self, connection: Any, shown: str) -> None:
        self._connection = connection
        self.shown = shown

    def quote(self, name: str) -> str:
        """A name as an identifier."""
        return '"' + name.replace('"', '""') + '"'

    def order(self, column: SqlColumn) -> str:
        """Text and what is read as text by its bytes."""
        name = self.quote(column.name)
        return f"CAST({name} AS VARCHAR)" if pa.types.is_string(column.arrow) else name

    def type_of(self, kind: pa.DataType) -> str | None:
        """The database's type for an Arrow type."""
        t = pa.types
        if t.is_dictionary(kind):
            return self.type_of(kind.value_type)
        if t.is_decimal(kind):
            return f"DECIMAL({kind.precision},{kind.scale})" if kind.precision <= 38 else None
        if t.is_timestamp(kind):
            return "TIMESTAMP WITH TIME ZONE" if kind.tz else _UNITS[kind.unit]
        if t.is_date(kind) or t.is_time(kind):
            return "DATE" if t.is_date(kind) else "TIME"
        if is_bytes(kind) or t.is_null(kind):
            return "VARCHAR" if is_text(kind) or t.is_null(kind) else "BLOB"
        return _NUMBERS.get(str(kind))

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a statement."""
        return list(self._connection.execute(statement.replace(VALUE, "?"), list(values)).fetchall())

    def describe(self, source: SqlSource) -> SqlTable:
        """Columns and types of a table or view."""
        schema = source.schema or self.default_schema
        found = self.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() "
            "AND schema_name = \0 AND table_name = \0 ORDER BY column_index",
            [schema, source.table],
        )
        if not found:
            tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = \0"
            names = [str(n) for (n,) in self.execute(tables, [schema])]
            raise UnknownNameError("table", source.table, names, f"schema {schema!r} of {self.shown}")
        for name, declared in found:
            if not _READ.fullmatch(declared) or declared.endswith("]"):
                raise BatchError(
                    f"column {name!r} of {schema}.{source.table} has type {declared}, which has no cells that can be "
                    "broken one by one (lists, structs, intervals, ...): make a view that casts it or leaves it out"
                )
        table = f"{self.quote(schema)}.{self.quote(source.table)}"
        kinds = self._reader(f"SELECT * FROM {table} LIMIT 0", [], 1).schema.types  # noqa: S608 - names are quoted
        columns = [_column(n, d, k) for (n, d), k in zip(found, kinds, strict=True)]
        return SqlTable(schema=schema, name=source.table, columns=tuple(columns))

    def _reader(self, statement: str, values: Sequence[Any], rows: int) -> Any:
        found = self._connection.sql(statement.replace(VALUE, "?"), params=list(values))
        open_reader = getattr(found, "to_arrow_reader", None) or found.fetch_arrow_reader  # the name before 1.4
        return open_reader(rows)

    def stream(self, statement: str, values: Sequence[Any], schema: pa.Schema, rows: int) -> Iterator[pa.Table]:
        """Rows of a query in parts."""
        for batch in self._reader(statement, values, rows):
            if batch.num_rows:
                arrays = [plain(c).cast(k.type) for c, k in zip(batch.columns, schema, strict=True)]
                yield from _parts(pa.table(arrays, schema=schema), rows)

    def keeps(self, column: SqlColumn, values: pa.Array) -> bool:
        """Whether the declared type takes these values as they are."""
        check = (
            "SELECT count(*) FROM (SELECT unnest(CAST(\0 AS VARCHAR[])) AS x) "  # noqa: S608 - the type is the catalog's
            f"WHERE CAST(TRY_CAST(x AS {column.declared}) AS VARCHAR) IS DISTINCT FROM x"
        )
        return bool(self.execute(check, [values.to_pylist()])[0][0] == 0)

    def load(self, schema: str, table: str, columns: Sequence[SqlColumn], rows: pa.Table) -> None:
        """Append rows to a table."""
        names = [self.quote(c.name) for c in columns]
        flat = pa.table([plain(rows.column(c.name)) for c in columns], names=[f"c{i}" for i in range(len(columns))])
        self._connection.register("pipechaos_rows", flat)
        try:
            target = f"{self.quote(schema)}.{self.quote(table)} ({', '.join(names)})"
            self.execute(f"INSERT INTO {target} SELECT * FROM pipechaos_rows")  # noqa: S608 - names are quoted
        finally:
            self._connection.unregister("pipechaos_rows")

    def lock(self, name: str) -> None:
        """One process writes a DuckDB file at a time as it is."""

    def count_reads(self) -> None:
        """DuckDB counts no reads."""

    def make_private(self, schema: str, readers: Sequence[str]) -> None:
        """DuckDB has no roles: who reads the file reads all of it."""
        if readers:
            raise ShadowError(f"DuckDB has no roles that could read {schema}: leave out readers=")


def _parts(table: pa.Table, rows: int) -> Iterator[pa.Table]:
    yield from (table.slice(at, rows) for at in range(0, table.num_rows, rows))


def _column(name: str, declared: str, kind: pa.DataType) -> SqlColumn:
    if is_text(kind) or pa.types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
        wider = None if declared == "VARCHAR" else "VARCHAR"
        return SqlColumn(name=name, declared=declared, arrow=pa.string(), wider=wider)
    return SqlColumn(name=name, declared=declared, arrow=kind)


@contextmanager
def duckdb_session(path: str, shown: str, *, write: bool) -> Iterator[DuckSession]:
    """Open one transaction.

    Raises
    ------
    BatchError
        There is no such file, or DuckDB refuses something.
    MissingExtraError
        duckdb is not installed.
    """
    try:
        duckdb: Any = importlib.import_module("duckdb")
    except ImportError:
        raise MissingExtraError("duckdb", "duckdb") from None
    if not Path(path).is_file():
        raise BatchError(f"there is no DuckDB file {path}")
    try:
        connection = _connected(duckdb, path, write)
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("BEGIN TRANSACTION" + ("" if write else " READ ONLY"))
            yield DuckSession(connection, shown)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):  # the first error is the one to tell
                connection.execute("ROLLBACK")
            raise
        finally:
            connection.close()
    except duckdb.Error as exc:
        raise BatchError(f"the database {shown} refused: {str(exc).strip().partition(chr(10))[0]}") from None


def _connected(duckdb: Any, path: str, write: bool) -> Any:
    try:
        return duckdb.connect(path, read_only=not write)
    except duckdb.ConnectionException:  # open in this process already: the transaction is read-only all the same
        return duckdb.connect(path)
