"""Corrupted copies of tables: in a schema of their own beside the source, with the same names and types."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from pipechaos import counter
from pipechaos.batch.connection_url import without_password
from pipechaos.batch.connections import Connections
from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.model import Batch
from pipechaos.batch.ref import BatchRef
from pipechaos.batch.sql_connect import place_of, writing
from pipechaos.batch.sql_read import sql_source
from pipechaos.batch.sql_session import SqlColumn, SqlSession, SqlTable
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
    refuse_naive,
    shadow_columns,
)
from pipechaos.inject.sql_snapshot import SqlSnapshot, take_snapshot
from pipechaos.ledger.io import write_ledger
from pipechaos.ledger.records import Ledger
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.resolve import resolve

__all__ = ["SqlCopy", "copy_table", "corrupt_table"]


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


def copy_table(
    source: BatchRef | SqlSnapshot,
    *,
    now: datetime,
    ttl: timedelta,
    connections: Connections | None = None,
    key: Sequence[str] = (),
    readers: Sequence[str] = (),
    slot: str = "",
) -> BatchRef:
    """Load an untouched copy through the writer of the corrupted ones: what the writer changes is no detection.

    Parameters and errors are those of :func:`corrupt_table`.
    """
    expires = _end(now, ttl)
    taken = source if isinstance(source, SqlSnapshot) else take_snapshot(source, connections=connections)
    wanted = _Wanted(taken=taken, rows=taken.rows, key=tuple(key), ids=(), slot=slot, ledger=None)
    with writing(place_of(taken.ref.uri, connections)) as session:
        return _stand(session, wanted, now, expires, readers).ref


def corrupt_table(
    source: BatchRef | SqlSnapshot,
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
    slot: str = "",
) -> SqlCopy:
    """Load a corrupted copy of a table into a shadow schema, and write its ledger; the source is only read.

    Parameters
    ----------
    source
        Made by :func:`pipechaos.batch.sql.sql_ref`, or read already:
        :func:`pipechaos.inject.sql_snapshot.take_snapshot`.
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
    slot
        Who the copy is for, where several may want the same one at a time and each is to have its own. No draw depends
        on it.

    Returns
    -------
    SqlCopy
        In a schema that is named by source, key, injections and slot: the same call finds the same copy there, leaves
        it and moves the end of its time. Everything is loaded in one transaction, so nothing half loaded is ever seen.

    Raises
    ------
    ShadowError
        The schema is somebody else's, or the database cannot hold the corrupted rows.
    BatchError
        The source cannot be read or the schema cannot be written.
    """
    expires = _end(now, ttl)
    taken = source if isinstance(source, SqlSnapshot) else take_snapshot(source, connections=connections)
    ref, shown = taken.ref, sql_source(taken.ref).shown
    key = tuple(key) or sql_source(ref).key
    batch = Batch.of(taken.rows, name=ref.name, key=key, time=time, target=tuple(target))
    plan = resolve(Plan(injections=tuple(injections)), batch, history, earlier=earlier)
    result = inject(plan, batch, {b.name: b for b in earlier or history}, before_values=before_values)
    if not result.batch.table.num_columns:
        raise ShadowError(f"no column of {shown} is left: a table without columns cannot be loaded")
    wanted = _Wanted(
        taken=taken,
        rows=result.batch.table,
        key=key,
        ids=tuple(i.injection_id(ref.name) for i in injections),
        slot=slot,
        ledger=result.ledger,
    )
    place = place_of(ref.uri, connections)
    with writing(place) as session, _ledger_home(Path(ledgers), wanted.schema) as home:
        stood = _stand(session, wanted, now, expires, readers)
        write_ledger(result.ledger, home)  # before the copy can be seen: no corrupted copy without its truth
    return SqlCopy(
        ref=stood.ref,
        ledger_dir=str(home),
        ledger=result.ledger,
        schema=wanted.schema,
        expires=stood.expires,
        source_digest=ordered_digest(taken.rows),
        widened=stood.widened,
        replaced=stood.replaced,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Wanted:
    """What is to stand in a shadow schema; an untouched copy has no ledger."""

    taken: SqlSnapshot
    rows: pa.Table
    key: tuple[str, ...]
    ids: tuple[str, ...]
    slot: str
    ledger: Ledger | None

    @property
    def schema(self) -> str:
        ref, table = self.taken.ref, self.taken.table
        where = [[c.column, str(c.compare), c.value] for c in sql_source(ref).where]
        mine = [self.slot] if self.slot else []
        at = (without_password(ref.uri), table.schema, table.name, where, ref.name)
        return PREFIX + counter.digest_id("sql-shadow", *at, list(self.key), list(self.ids), *mine)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Stood:
    ref: BatchRef
    expires: datetime
    widened: tuple[str, ...]
    replaced: bool


def _stand(session: SqlSession, wanted: _Wanted, now: datetime, expires: datetime, readers: Sequence[str]) -> _Stood:
    """Have the wanted rows in their schema, in an open transaction."""
    ref, table, schema = wanted.taken.ref, wanted.taken.table, wanted.schema
    order = tuple(n for n in wanted.key or sql_source(ref).key if n in wanted.rows.column_names)
    content = Content.of(wanted.rows)
    mark = _mark(ref, table, schema, wanted=content.ordered, created=now, expires=expires)
    session.lock(schema)
    columns, widened = _columns(session, wanted)
    found = _standing(session, mark, order)
    replaced = found is None
    if found is None:
        drop(session, schema)
        found = load(session, content, columns, mark, order=order, readers=readers)
    session.count_reads()
    return _Stood(
        ref=replace(
            ref,
            sql=SqlSource(table=table.name, schema=schema, key=order),
            digest=found[1].ordered,
            rows=found[1].table.num_rows,
        ),
        expires=found[0].expires,
        widened=widened,
        replaced=replaced,
    )


def _end(now: datetime, ttl: timedelta) -> datetime:
    refuse_naive(now)
    if ttl <= timedelta(0):
        raise ShadowError(f"a time to live of {ttl} is over before it begins: give a positive one")
    return (now + ttl).astimezone(UTC)


def _columns(session: SqlSession, wanted: _Wanted) -> tuple[tuple[SqlColumn, ...], tuple[str, ...]]:
    """Columns of the copy, and which of them are wider than declared: none in an untouched one."""
    if wanted.ledger is None:
        return wanted.taken.table.columns, ()
    return shadow_columns(session, wanted.taken.table, wanted.rows, wanted.ledger)


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
