"""One shadow schema in a database: made whole, marked as ours, told apart from everybody else's, dropped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa

from pipechaos.batch.digest import digests, multiset_digest, type_name
from pipechaos.batch.sql_read import read_rows
from pipechaos.batch.sql_session import VALUE, SqlColumn, SqlSession, SqlTable
from pipechaos.batch.sql_source import SqlSource
from pipechaos.errors import ShadowError
from pipechaos.ledger.records import Ledger, SchemaChangeKind

__all__ = [
    "MARKER",
    "PREFIX",
    "Content",
    "Mark",
    "drop",
    "find_mark",
    "load",
    "postpone",
    "read_back",
    "refuse_naive",
    "shadow_columns",
    "shadow_schemas",
]

MARKER = "_pipechaos_shadow"
PREFIX = "pipechaos_shadow_"
_NAME = re.compile(re.escape(PREFIX) + r"[0-9a-f]{16}")
_FORM = "pipechaos/1"
_MARK = ("form", "shadow", "source", "batch", "table_name", "wanted", "content", "created", "expires")
_SCHEMA = f"""
    SELECT 1 FROM information_schema.schemata WHERE catalog_name = current_database() AND schema_name = {VALUE}
"""  # noqa: S608 - a value stands for itself
_COLUMNS = f"""
    SELECT column_name FROM information_schema.columns
    WHERE table_catalog = current_database() AND table_schema = {VALUE} AND table_name = {VALUE}
"""  # noqa: S608 - a value stands for itself


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What the marker table of a shadow schema says.

    Attributes
    ----------
    shadow
        Name of the schema.
    source
        Where its rows came from, without a password.
    batch
        Name of the batch.
    table
        Table that was loaded.
    wanted
        Ordered digest of what was to be loaded.
    content
        Multiset digest of what a reader found after loading.
    created, expires
        UTC.
    """

    shadow: str
    source: str
    batch: str
    table: str
    wanted: str
    content: str
    created: datetime
    expires: datetime


@dataclass(frozen=True, kw_only=True)
class Content:
    """Rows of a table, told by their digests: computed once, since they cost more than the reading."""

    table: pa.Table
    ordered: str
    multiset: str

    @classmethod
    def of(cls, table: pa.Table) -> Content:
        """Content of a table."""
        ordered, multiset = digests(table)
        return cls(table=table, ordered=ordered, multiset=multiset)


def shadow_schemas(session: SqlSession) -> tuple[str, ...]:
    """Schemas whose name could be a shadow's, ours or not."""
    found = session.execute(
        "SELECT schema_name FROM information_schema.schemata WHERE catalog_name = current_database() ORDER BY 1"
    )
    return tuple(str(n) for (n,) in found if _NAME.fullmatch(str(n)))


def find_mark(session: SqlSession, schema: str) -> Mark | None:
    """What a schema's marker says; None where there is no schema of that name.

    Raises
    ------
    ShadowError
        The schema is there and is none of ours.
    """
    if not session.execute(_SCHEMA, [schema]):
        return None
    columns = session.execute(_COLUMNS, [schema, MARKER])
    if _NAME.fullmatch(schema) and {str(c) for (c,) in columns} == set(_MARK):
        marker = f"{session.quote(schema)}.{session.quote(MARKER)}"
        rows = session.execute(f"SELECT {', '.join(_MARK)} FROM {marker}")  # noqa: S608 - names are quoted
        if len(rows) == 1 and rows[0][:2] == (_FORM, schema):
            _, shadow, source, batch, table, wanted, content, created, expires = rows[0]
            return Mark(
                shadow=shadow,
                source=source,
                batch=batch,
                table=table,
                wanted=wanted,
                content=content,
                created=datetime.fromisoformat(created),
                expires=datetime.fromisoformat(expires),
            )
    raise ShadowError(f"schema {schema!r} of {session.shown} is no shadow of ours (no marker in it): it is left alone")


def refuse_naive(now: datetime) -> None:
    """Refuse a time without its zone: a time to live would end hours off."""
    if now.tzinfo is None:
        raise ShadowError("the current time has no zone: give datetime.now(timezone.utc)")


def drop(session: SqlSession, schema: str) -> None:
    """Drop a shadow schema: its own two tables, and the schema if nothing else is in it.

    Raises
    ------
    ShadowError
        The schema is none of ours: it stays.
    BatchError
        Somebody else's object is in it, or depends on it: it stays.
    """
    mark = find_mark(session, schema)
    if mark is None:
        return
    name = session.quote(schema)
    session.execute(f"DROP TABLE IF EXISTS {name}.{session.quote(mark.table)}")
    session.execute(f"DROP TABLE {name}.{session.quote(MARKER)}")
    session.execute(f"DROP SCHEMA {name}")


def postpone(session: SqlSession, mark: Mark, expires: datetime) -> Mark:
    """Move the end of a schema's time to live to a later time; an earlier one changes nothing."""
    if expires <= mark.expires:
        return mark
    marker = f"{session.quote(mark.shadow)}.{session.quote(MARKER)}"
    session.execute(f"UPDATE {marker} SET expires = {VALUE}", [_iso(expires)])  # noqa: S608 - names are quoted
    return replace(mark, expires=expires)


def shadow_columns(
    session: SqlSession, source: SqlTable, rows: pa.Table, ledger: Ledger
) -> tuple[tuple[SqlColumn, ...], tuple[str, ...]]:
    """Columns of the shadow table, and names of those whose declared type was widened.

    A column keeps the type that the source declares. One that a fault retyped or added gets the database's type for its
    Arrow type; one whose changed values the declared type would refuse or alter gets the wider type.
    """
    declared = _renamed(source, ledger)
    columns, widened = [], []
    for field in rows.schema:
        old = declared.get(field.name)
        if old is None or type_name(old.arrow) != type_name(field.type):
            kind = session.type_of(field.type)
            if kind is None:
                raise ShadowError(f"column {field.name!r} became {field.type}, which {session.shown} has no type for")
            columns.append(SqlColumn(name=field.name, declared=kind, arrow=field.type))
        elif old.wider is not None and not _kept(session, old, rows.column(field.name), ledger):
            columns.append(SqlColumn(name=field.name, declared=old.wider, arrow=old.arrow))
            widened.append(field.name)
        else:
            columns.append(replace(old, name=field.name))
    return tuple(columns), tuple(widened)


def _renamed(source: SqlTable, ledger: Ledger) -> dict[str, SqlColumn]:
    """Source columns by the name that they have after all schema changes."""
    now = {c.name: c for c in source.columns}
    for change in ledger.schema:
        if change.kind is SchemaChangeKind.DROPPED:
            now.pop(change.column, None)
        elif change.kind is SchemaChangeKind.RENAMED and change.to is not None and change.column in now:
            now[change.to] = now.pop(change.column)
    return now


def _kept(session: SqlSession, column: SqlColumn, values: pa.ChunkedArray, ledger: Ledger) -> bool:
    entry = ledger.by_column.get(column.name)
    if entry is None:
        return True
    changed = values.take(pa.array(entry.position[entry.position >= 0])).drop_null().unique()
    return not len(changed) or session.keeps(column, changed)


def load(
    session: SqlSession,
    wanted: Content,
    columns: Sequence[SqlColumn],
    mark: Mark,
    *,
    order: Sequence[str],
    readers: Sequence[str],
) -> tuple[Mark, Content]:
    """Make a schema, load its table, mark it, make it private; what a reader now finds in it.

    Raises
    ------
    ShadowError
        A reader would find something else than what was to be loaded.
    """
    schema, table = session.quote(mark.shadow), session.quote(mark.table)
    session.execute(f"CREATE SCHEMA {schema}")
    written = ", ".join(f"{session.quote(c.name)} {c.declared}" for c in columns)
    session.execute(f"CREATE TABLE {schema}.{table} ({written})")
    session.load(mark.shadow, mark.table, columns, wanted.table)
    found = read_back(session, mark.shadow, mark.table, order)
    _verify(wanted, found, session)
    mark = replace(mark, content=found.multiset)
    marker = f"{schema}.{session.quote(MARKER)}"
    session.execute(f"CREATE TABLE {marker} ({', '.join(f'{c} text NOT NULL' for c in _MARK)})")
    values = [_FORM, mark.shadow, mark.source, mark.batch, mark.table, mark.wanted, mark.content]
    values += [_iso(mark.created), _iso(mark.expires)]
    holes = ", ".join([VALUE] * len(_MARK))
    session.execute(f"INSERT INTO {marker} ({', '.join(_MARK)}) VALUES ({holes})", values)  # noqa: S608 - names quoted
    session.make_private(mark.shadow, readers)
    return mark, found


def read_back(session: SqlSession, schema: str, table: str, order: Sequence[str]) -> Content:
    """Rows of a shadow table, in the order that a reader gets."""
    return Content.of(read_rows(session, SqlSource(schema=schema, table=table, key=tuple(order)))[1])


def _verify(wanted: Content, found: Content, session: SqlSession) -> None:
    if wanted.multiset != found.multiset:
        _verify_columns(wanted.table, found.table, session)


def _verify_columns(wanted: pa.Table, found: pa.Table, session: SqlSession) -> None:
    if wanted.column_names != found.column_names:
        raise ShadowError(f"{session.shown} took the columns {wanted.column_names} as {found.column_names}")
    # of the others the database has no such type, only a wider one
    same = [f.name for f in wanted.schema if type_name(f.type) == type_name(found.schema.field(f.name).type)]
    if multiset_digest(wanted.select(same)) != multiset_digest(found.select(same)):
        raise ShadowError(f"{session.shown} keeps other values than were loaded: a type of the table alters them")


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
