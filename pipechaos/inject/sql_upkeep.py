"""Copies in shadow schemas after they were made: whether they still stand, and their end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pipechaos.batch.connections import Connections
from pipechaos.batch.ref import BatchRef
from pipechaos.batch.sql_connect import Place, place_of, reading, writing
from pipechaos.batch.sql_read import sql_source
from pipechaos.batch.sql_session import SqlSession
from pipechaos.errors import BatchError, ShadowError
from pipechaos.inject.sql_schema import Mark, drop, find_mark, read_back, refuse_naive, shadow_schemas

__all__ = ["SqlSweep", "check_copy", "drop_copy", "sweep_schemas"]


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


def check_copy(ref: BatchRef, *, now: datetime, connections: Connections | None = None) -> Mark:
    """Make sure that a copy is there, whole and within its time: asked after a validator has read it.

    A validator whose search path leads on to the source would have read the source once the copy was gone.

    Raises
    ------
    ShadowError
        The schema is gone, is none of ours, has outlived its time, or its content is another.
    """
    refuse_naive(now)
    source = sql_source(ref)
    with reading(place_of(ref.uri, connections)) as session:
        mark = find_mark(session, source.schema or "")
        if mark is None:
            raise ShadowError(f"the shadow schema {source.schema!r} is gone: what was read in its place is unknown")
        if mark.expires <= now:
            raise ShadowError(f"the shadow schema {mark.shadow!r} has outlived its time, {mark.expires.isoformat()}")
        content = read_back(session, mark.shadow, mark.table, source.key)
        session.count_reads()
    if content.multiset != mark.content or ref.digest not in ("", content.ordered):
        raise ShadowError(f"the table in shadow schema {mark.shadow!r} has changed since it was loaded")
    return mark


def drop_copy(ref: BatchRef, *, connections: Connections | None = None) -> None:
    """Drop one copy before its time is over; one that is gone already is fine.

    Raises
    ------
    ShadowError
        The schema is none of ours: it stays.
    BatchError
        Somebody reads it, or somebody else's object is in it or depends on it: it stays.
    """
    schema = sql_source(ref).schema or ""
    with writing(place_of(ref.uri, connections)) as session:
        session.lock(schema)
        drop(session, schema)


def sweep_schemas(
    database: BatchRef | str, *, now: datetime, connections: Connections | None = None, dry_run: bool = False
) -> SqlSweep:
    """Drop the shadow schemas of a database whose time to live is over; what is not ours stays.

    Parameters
    ----------
    database
        Its URL with ``${NAME}`` for what is secret, ``sql://`` and a connection id, or any reference to it.
    now
        Current time with its zone.
    connections
        URLs of databases by connection id.
    dry_run
        Say what would be dropped, and drop nothing.

    Returns
    -------
    SqlSweep
        A schema whose name looks like ours without our marker in it is never touched, nor is one that holds anything
        besides what we loaded.
    """
    refuse_naive(now)
    place = place_of(database.uri if isinstance(database, BatchRef) else database, connections)
    with reading(place) as session:
        found = shadow_schemas(session)
    old = [n for n in found if _looks_over(place, n, now)]
    if dry_run:
        return SqlSweep(dropped=tuple(old), kept={})
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


def _looks_over(place: Place, schema: str, now: datetime) -> bool:
    """Looked at in a session of its own: another run may drop its schema meanwhile, which ends a transaction."""
    try:
        with reading(place) as session:
            return _over(session, schema, now)
    except BatchError:
        with reading(place) as session:
            if schema in shadow_schemas(session):
                raise
        return False


def _over(session: SqlSession, schema: str, now: datetime) -> bool:
    try:
        mark = find_mark(session, schema)
    except ShadowError:  # not ours
        return False
    return mark is not None and mark.expires <= now
