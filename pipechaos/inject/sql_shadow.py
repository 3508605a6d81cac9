"""Corrupted copies of tables: in a schema of their own beside the source, with the same names and types."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipechaos import counter
from pipechaos.batch.connection_url import without_password
from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.model import Batch
from pipechaos.batch.ref import BatchRef
from pipechaos.batch.sql_connect import Connections, place_of, reading, writing
from pipechaos.batch.sql_read import read_rows, sql_source
from pipechaos.batch.sql_session import SqlSession, SqlTable
from pipechaos.batch.sql_source import SqlSource
from pipechaos.errors import BatchError, ShadowError, UnknownNameError
from pipechaos.inject.engine import inject
from pipechaos.inject.sql_schema import (
    PREFIX,
    Content,
    Mark,
    drop,
    find_mark,
    load,
    postpone,
    read_back,
    shadow_columns,
    shadow_schemas,
)
from pipechaos.ledger.io import write_ledger
from pipechaos.ledger.records import Ledger
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.resolve import resolve

__all__ = ["SqlCopy", "SqlSweep", "check_copy", "corrupt_table", "sweep_schemas"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SqlCopy:
    """A corrupted copy of a table in a shadow schema.

    Attributes
    ----------
    ref
        The copy, for reading; complete with digest and row count.
    ledger_dir
        Where its ledger is.
    ledger
        The ledger itself.
    schema
        Name of the shadow schema.
    expires
        End of its time to live, UTC.
    source_digest
        Ordered digest of the source's rows as they were read.
    widened
        Columns whose declared type would refuse the corrupted values, and so is wider in the copy.
    replaced
        Whether anything was loaded; False when the same copy was there already.
    """

    ref: BatchRef
    ledger_dir: str
    ledger: Ledger
    schema: str
    expires: datetime
    source_digest: str
    widened: tuple[str, ...] = ()
    replaced: bool = True


@dataclass(frozen=True, kw_only=True)
class SqlSweep:
    """What a sweep did.

    Attributes
    ----------
    dropped
        Schemas that are gone.
    kept
        Schemas whose time is over and that could not be dropped, by name, and why.
    """

    dropped: tuple[str, ...]
    kept: Mapping[str, str]


def corrupt_table(
    ref: BatchRef,
    injections: Sequence[Injection],
    *,
    ledgers: str | Path,
    now: datetime,
    ttl: timedelta,
    connections: Connections | None = None,
    key: Sequence[str] = (),
    time: str | None = None,
    target: Sequence[str] = (),
    history: Sequence[Batch] = (),
    earlier: Sequence[Batch] = (),
    before_values: bool = False,
    readers: Sequence[str] = (),
) -> SqlCopy:
    """Load a corrupted copy of a table into a shadow schema, and write its ledger; the source is only read.

    Parameters
    ----------
    ref
        The source, made by :func:`pipechaos.batch.sql.sql_ref`.
    injections
        What to do to it, in order.
    ledgers
        Local folder for ledgers; what is made in it is private (0700).
    now, ttl
        Current time with its zone, and how long the copy may live.
    connections
        URLs of databases by connection id.
    key, time, target
        As declared for the batch; the reference's key when none is given.
    history, earlier
        See :func:`pipechaos.plan.resolve.resolve`.
    before_values
        Whether the ledger keeps values before.
    readers
        Roles of PostgreSQL that may read the copy besides its owner.

    Returns
    -------
    SqlCopy
        In a schema that is named by source, key and injections: the same call finds the same copy there, leaves it and
        moves the end of its time. Everything is loaded in one transaction, so nothing half loaded is ever seen.

    Raises
    ------
    ShadowError
        The schema is somebody else's, or the database cannot hold the corrupted rows.
    BatchError
        The source cannot be read or the schema cannot be written.
    """
    expires = _end(now, ttl)
    source = sql_source(ref)
    place = place_of(ref.uri, connections)
    with reading(place) as session:
        table, rows = read_rows(session, source)
    if table.schema.startswith(PREFIX):
        raise ShadowError(
            f"{source.shown} is in a shadow schema already: corrupt the source, by all injections at once"
        )
    key = tuple(key) or source.key
    batch = Batch.of(rows, name=ref.name, key=key, time=time, target=tuple(target))
    plan = resolve(Plan(injections=tuple(injections)), batch, history, earlier=earlier)
    result = inject(plan, batch, {b.name: b for b in earlier or history}, before_values=before_values)
    corrupted = result.batch.table
    if not corrupted.num_columns:
        raise ShadowError(f"no column of {source.shown} is left: a table without columns cannot be loaded")
    schema = _schema_name(ref, table, key, injections)
    wanted = Content.of(corrupted)
    mark = _mark(ref, table, schema, wanted=wanted.ordered, created=now, expires=expires)
    order = tuple(n for n in key if n in corrupted.column_names)
    with writing(place) as session, _ledger_home(Path(ledgers), schema) as home:
        session.lock(schema)
        columns, widened = shadow_columns(session, table, corrupted, result.ledger)
        found = _standing(session, mark, order)
        replaced = found is None
        if found is None:
            drop(session, schema)
            found = load(session, wanted, columns, mark, order=order, readers=readers)
        write_ledger(result.ledger, home)  # before the copy can be seen: no corrupted copy without its truth
    mark, content = found
    return SqlCopy(
        ref=replace(
            ref,
            sql=SqlSource(table=table.name, schema=schema, key=order),
            digest=content.ordered,
            rows=content.table.num_rows,
        ),
        ledger_dir=str(home),
        ledger=result.ledger,
        schema=schema,
        expires=mark.expires,
        source_digest=ordered_digest(rows),
        widened=widened,
        replaced=replaced,
    )


def _zoned(now: datetime) -> None:
    if now.tzinfo is None:
        raise ShadowError("the current time has no zone: give datetime.now(timezone.utc)")


def _end(now: datetime, ttl: timedelta) -> datetime:
    _zoned(now)
    if ttl <= timedelta(0):
        raise ShadowError(f"a time to live of {ttl} is over before it begins: give a positive one")
    return (now + ttl).astimezone(UTC)


def _schema_name(ref: BatchRef, table: SqlTable, key: Sequence[str], injections: Sequence[Injection]) -> str:
    source = sql_source(ref)
    where = [[c.column, str(c.compare), c.value] for c in source.where]
    ids = [i.injection_id(ref.name) for i in injections]
    return PREFIX + counter.digest_id(
        "sql-shadow", without_password(ref.uri), table.schema, table.name, where, ref.name, list(key), ids
    )


def _mark(ref: BatchRef, table: SqlTable, schema: str, *, wanted: str, created: datetime, expires: datetime) -> Mark:
    return Mark(
        shadow=schema,
        source=f"{without_password(ref.uri)} {table.schema}.{table.name}",
        batch=ref.name,
        table=table.name,
        wanted=wanted,
        content="",
        created=created,
        expires=expires,
    )


def _standing(session: SqlSession, mark: Mark, order: Sequence[str]) -> tuple[Mark, Content] | None:
    """The copy that is there already, its end postponed; None where there is none, or another content."""
    old = find_mark(session, mark.shadow)
    if old is None or (old.wanted, old.table) != (mark.wanted, mark.table):
        return None
    try:
        content = read_back(session, mark.shadow, mark.table, order)
    except (BatchError, UnknownNameError):  # somebody dropped or altered the table
        return None
    if content.multiset != old.content:
        return None
    return postpone(session, old, mark.expires), content


@contextmanager
def _ledger_home(root: Path, schema: str) -> Iterator[Path]:
    """Private folder of one ledger; gone again when it is new and the block fails."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    home = root / schema
    known = home.exists()
    home.mkdir(exist_ok=True, mode=0o700)
    try:
        yield home
    except BaseException:
        if not known:
            shutil.rmtree(home, ignore_errors=True)
        raise


def check_copy(ref: BatchRef, *, now: datetime, connections: Connections | None = None) -> Mark:
    """Make sure that a copy is there, whole and within its time: asked after a validator has read it.

    A validator whose search path leads on to the source would have read the source once the copy was gone.

    Raises
    ------
    ShadowError
        The schema is gone, is none of ours, has outlived its time, or its content is another.
    """
    _zoned(now)
    source = sql_source(ref)
    with reading(place_of(ref.uri, connections)) as session:
        mark = find_mark(session, source.schema or "")
        if mark is None:
            raise ShadowError(f"the shadow schema {source.schema!r} is gone: what was read in its place is unknown")
        if mark.expires <= now:
            raise ShadowError(f"the shadow schema {mark.shadow!r} has outlived its time, {mark.expires.isoformat()}")
        content = read_back(session, mark.shadow, mark.table, source.key)
    if content.multiset != mark.content:
        raise ShadowError(f"the table in shadow schema {mark.shadow!r} has changed since it was loaded")
    return mark


def sweep_schemas(database: BatchRef | str, *, now: datetime, connections: Connections | None = None) -> SqlSweep:
    """Drop the shadow schemas of a database whose time to live is over; what is not ours stays.

    Parameters
    ----------
    database
        Its URL with ``${NAME}`` for what is secret, ``sql://`` and a connection id, or any reference to it.
    now
        Current time with its zone.
    connections
        URLs of databases by connection id.

    Returns
    -------
    SqlSweep
        A schema whose name looks like ours without our marker in it is never touched, nor is one that holds anything
        besides what we loaded.
    """
    _zoned(now)
    place = place_of(database.uri if isinstance(database, BatchRef) else database, connections)
    with reading(place) as session:
        old = [n for n in shadow_schemas(session) if _over(session, n, now)]
    dropped, kept = [], {}
    for name in old:
        try:
            with writing(place) as session:
                session.lock(name)
                if _over(session, name, now):  # a retry may have postponed it
                    drop(session, name)
                    dropped.append(name)
        except BatchError as exc:
            kept[name] = str(exc)
    return SqlSweep(dropped=tuple(dropped), kept=kept)


def _over(session: SqlSession, schema: str, now: datetime) -> bool:
    try:
        mark = find_mark(session, schema)
    except ShadowError:  # not ours
        return False
    return mark is not None and mark.expires <= now
