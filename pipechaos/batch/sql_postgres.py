"""PostgreSQL by psycopg: one transaction, its types as Arrow types, rows in and out."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from pipechaos.batch.sql_postgres_types import arrow_column, column_text, postgres_type
from pipechaos.batch.sql_session import VALUE, SqlColumn, SqlTable
from pipechaos.batch.sql_source import SqlSource
from pipechaos.errors import BatchError, MissingExtraError, UnknownNameError

__all__ = ["COUNTS_SINCE", "HOLDS_A_LOCK", "PostgresSession", "postgres_lock", "postgres_session"]

COUNTS_SINCE = 150_000
"""First version that counts reads when it is told to."""
HOLDS_A_LOCK = "pipechaos lock"
"""Name that a session which only holds or waits for a lock goes by in the server's list."""
_LOAD_ROWS = 16_384
_PATIENCE = "15s"
_COLUMNS = """
    SELECT a.attname, b.typname, b.typtype::text, bn.nspname,
           CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END,
           pg_catalog.format_type(b.oid, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END)
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
    JOIN pg_catalog.pg_namespace bn ON bn.oid = b.typnamespace
    WHERE n.nspname = \0 AND c.relname = \0 AND a.attnum > 0 AND NOT a.attisdropped
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    ORDER BY a.attnum
"""
_GRANTED = """
    SELECT DISTINCT CASE WHEN a.grantee = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END, false
    FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
    WHERE n.nspname = \0 AND a.grantee <> n.nspowner
    UNION
    SELECT DISTINCT CASE WHEN a.grantee = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END, true
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace,
         pg_catalog.aclexplode(c.relacl) a
    WHERE n.nspname = \0 AND a.grantee <> c.relowner
"""


class PostgresSession:
    """A transaction on PostgreSQL; see :class:`pipechaos.batch.sql_session.SqlSession`."""

    default_schema = "public"

    def __init__(self, connection: Any, shown: str) -> None:
        self._connection = connection
        self.shown = shown

    def quote(self, name: str) -> str:
        """A name as an identifier."""
        from psycopg import sql

        return str(sql.Identifier(name).as_string(self._connection))

    def order(self, column: SqlColumn) -> str:
        """By bytes where it is text: collations differ between servers."""
        name = self.quote(column.name)
        return f'{name}::text COLLATE "C"' if pa.types.is_string(column.arrow) else name

    def type_of(self, kind: pa.DataType) -> str | None:
        """The database's type for an Arrow type."""
        return postgres_type(kind)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a statement."""
        cursor = self._connection.execute(_marked(statement), tuple(values))
        return list(cursor.fetchall()) if cursor.description else []

    def describe(self, source: SqlSource) -> SqlTable:
        """Columns and types of a table or view."""
        schema = source.schema or self.default_schema
        found = self.execute(_COLUMNS, [schema, source.table])
        if not found:
            tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = \0"
            names = [str(n) for (n,) in self.execute(tables, [schema])]
            raise UnknownNameError("table", source.table, names, f"schema {schema!r} of {self.shown}")
        columns = []
        for name, kind, sort, space, modifier, declared in found:
            own = f"{self.quote(space)}.{self.quote(kind)}" if sort == "e" else ""
            column = arrow_column(name, kind, modifier, own or declared, is_enum=bool(own))
            if column is None:
                raise BatchError(
                    f"column {name!r} of {schema}.{source.table} has type {declared}, which has no cells that can be "
                    "broken one by one (arrays, composites, ranges, ...): make a view that casts it or leaves it out"
                )
            columns.append(column)
        return SqlTable(schema=schema, name=source.table, columns=tuple(columns))

    def stream(self, statement: str, values: Sequence[Any], schema: pa.Schema, rows: int) -> Iterator[pa.Table]:
        """Rows of a query in parts, by a cursor on the server."""
        with self._connection.cursor(name="pipechaos_rows") as cursor:
            cursor.execute(_marked(statement), tuple(values))
            while found := cursor.fetchmany(rows):
                yield _table(found, schema)

    def keeps(self, column: SqlColumn, values: pa.Array) -> bool:
        """Whether the declared type takes these values as they are."""
        from psycopg import DataError

        if not pa.types.is_string(column.arrow):
            return False
        check = (
            "SELECT count(*) FROM unnest(CAST(\0 AS text[])) AS v(x) "  # noqa: S608 - the type is the catalog's
            f"WHERE CAST(CAST(x AS {column.declared}) AS text) IS DISTINCT FROM x"
        )
        try:
            with self._connection.transaction():
                return bool(self.execute(check, [values.to_pylist()])[0][0] == 0)
        except DataError:
            return False

    def load(self, schema: str, table: str, columns: Sequence[SqlColumn], rows: pa.Table) -> None:
        """Append rows to a table by COPY."""
        texts = pa.table(
            [column_text(rows.column(c.name), c.declared) for c in columns], names=[str(i) for i in range(len(columns))]
        )
        target = f"{self.quote(schema)}.{self.quote(table)} ({', '.join(self.quote(c.name) for c in columns)})"
        options = pacsv.WriteOptions(include_header=False)
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {target} FROM STDIN (FORMAT csv, NULL '')") as copy,
        ):
            for at in range(0, texts.num_rows, _LOAD_ROWS):
                sink = io.BytesIO()
                pacsv.write_csv(texts.slice(at, _LOAD_ROWS), sink, options)
                copy.write(sink.getvalue())

    def lock(self, name: str) -> None:
        """Wait for others that write the same schema."""
        self.execute("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(\0, 0))", [name])
        self.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")  # a reader that hangs must not hang what drops

    def count_reads(self) -> None:
        """Without this a server keeps its counts back until some time after the session's end."""
        if self._connection.info.server_version >= COUNTS_SINCE:
            self.execute("SELECT pg_catalog.pg_stat_force_next_flush()")

    def make_private(self, schema: str, readers: Sequence[str]) -> None:
        """Take away what default privileges gave to others, and let readers read."""
        name = self.quote(schema)
        for role, tables in self.execute(_GRANTED, [schema, schema]):
            what = f"ALL TABLES IN SCHEMA {name}" if tables else f"SCHEMA {name}"
            self.execute(f"REVOKE ALL ON {what} FROM {'PUBLIC' if role is None else self.quote(role)}")
        self.execute(f"REVOKE ALL ON SCHEMA {name} FROM PUBLIC")
        for reader in readers:
            self.execute(f"GRANT USAGE ON SCHEMA {name} TO {self.quote(reader)}")
            self.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {name} TO {self.quote(reader)}")


def _marked(statement: str) -> str:
    return statement.replace("%", "%%").replace(VALUE, "%s")


def _table(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    arrays = []
    for values, kind in zip(zip(*rows, strict=True), schema, strict=True):
        try:
            arrays.append(pa.array(values, kind.type))
        except (pa.ArrowException, OverflowError, ValueError) as exc:
            raise BatchError(
                f"column {kind.name!r} has a value that {kind.type} cannot hold ({type(exc).__name__}): make a view "
                "that casts it, for instance to double precision or text"
            ) from None
    return pa.table(arrays, schema=schema)


@contextmanager
def postgres_session(url: str, shown: str, *, write: bool) -> Iterator[PostgresSession]:
    """Open one transaction; what goes wrong is told without a password.

    Raises
    ------
    BatchError
        The server cannot be reached, or refuses something.
    MissingExtraError
        psycopg is not installed.
    """
    try:
        import psycopg
    except ImportError:
        raise MissingExtraError("psycopg", "sql") from None
    try:
        with _connected(url, shown, write) as connection:
            connection.execute("SET LOCAL TIME ZONE 'UTC'")
            connection.execute("SET LOCAL datestyle = 'ISO'")
            yield PostgresSession(connection, shown)
    except psycopg.Error as exc:
        raise BatchError(f"the database {shown} refused: {_said(exc)}") from None


@contextmanager
def postgres_lock(url: str, shown: str, name: str, wait: Callable[[], None]) -> Iterator[int]:
    """Hold a lock of a name in no transaction, so that nothing waits for us; yields the server's version.

    Parameters
    ----------
    url, shown
        Of the database.
    name
        Of the lock.
    wait
        Called between attempts; what it raises ends them.
    """
    import psycopg

    asked = "SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended(%s, 0))"
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(closing(_connected(url, shown, write=False)))
            connection.autocommit = True
            connection.execute(f"SET application_name = '{HOLDS_A_LOCK}'")
            while not connection.execute(asked, [name]).fetchone()[0]:
                wait()
        except psycopg.Error as exc:
            raise BatchError(f"the database {shown} refused: {_said(exc)}") from None
        yield int(connection.info.server_version)


def _said(exc: Any) -> str:
    """First line of what the server or the driver said; the rest may quote whole rows."""
    return str(exc.diag.message_primary or exc).strip().partition("\n")[0]


def _connected(url: str, shown: str, write: bool) -> Any:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.types.string import TextLoader

    try:
        parameters: dict[str, Any] = {**conninfo_to_dict(url, client_encoding="UTF8")}
    except psycopg.Error:  # its text repeats the URL
        raise BatchError(
            f"the URL {shown} cannot be read: write postgresql://USER:${{PASSWORD}}@HOST:PORT/DATABASE, and %40 for an "
            "@ in a password that stands in it"
        ) from None
    connection = psycopg.connect(**parameters)
    connection.read_only = not write
    # a writer that waited for another one's lock must see what that one made
    level = psycopg.IsolationLevel.READ_COMMITTED if write else psycopg.IsolationLevel.REPEATABLE_READ
    connection.isolation_level = level
    for name in ("json", "jsonb", "uuid"):
        connection.adapters.register_loader(name, TextLoader)
    return connection
