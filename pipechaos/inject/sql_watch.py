"""Whether somebody has read a copy in a shadow schema: told by the server, whatever the reader is written in."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pipechaos.batch.ref import BatchRef
from pipechaos.batch.sql_connect import Connections, Dialect, Place, place_of, reading
from pipechaos.batch.sql_read import sql_source
from pipechaos.batch.sql_session import VALUE
from pipechaos.errors import CannotRunError

__all__ = ["SETTLE_SECONDS", "watched"]

SETTLE_SECONDS = 12.0
"""A session that stays open keeps its counts back for up to 10 seconds."""

_COUNTED = f"""
    SELECT CAST(coalesce(sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0)), 0) AS bigint)
    FROM pg_catalog.pg_stat_all_tables WHERE schemaname = {VALUE} AND relname = {VALUE}
"""  # noqa: S608 - a value stands for itself


@contextmanager
def watched(
    refs: Sequence[BatchRef],
    *,
    connections: Connections | None = None,
    wait: Callable[[], None] = lambda: time.sleep(0.2),
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Callable[[], bool]]:
    """Watch copies while somebody may read them.

    Parameters
    ----------
    refs
        Copies in one PostgreSQL.
    connections
        URLs of databases by connection id.
    wait
        Called while somebody else's reading of the same copies is watched; what it raises ends the waiting.
    sleep
        How to wait for the server's counts.

    Yields
    ------
    function
        Says whether any of the copies was read since; a "no" takes :data:`SETTLE_SECONDS`.

    Raises
    ------
    CannotRunError
        The server does not count reads.
    """
    from pipechaos.batch.sql_postgres import COUNTS_SINCE, postgres_lock

    place = place_of(refs[0].uri, connections)
    if place.dialect is not Dialect.POSTGRESQL:
        raise CannotRunError(f"{place.shown} does not count who reads its tables: only PostgreSQL does")
    name = "pipechaos reads " + ",".join(sorted(sql_source(r).shown for r in refs))
    with postgres_lock(place.address, place.shown, name, wait) as version:
        if version < COUNTS_SINCE:
            raise CannotRunError(f"{place.shown} is older than PostgreSQL 15: it cannot be told what was read")
        before = _scans(place, refs)
        yield lambda: _risen(place, refs, before, sleep)


def _scans(place: Place, refs: Sequence[BatchRef]) -> int:
    with reading(place) as session:
        if session.execute("SELECT current_setting('track_counts')") != [("on",)]:
            raise CannotRunError(f"{place.shown} does not count reads (track_counts is off): none can be told")
        tables = [(sql_source(r).schema, sql_source(r).table) for r in refs]
        return sum(int(session.execute(_COUNTED, table)[0][0]) for table in tables)


def _risen(place: Place, refs: Sequence[BatchRef], before: int, sleep: Callable[[float], None]) -> bool:
    waited, pause = 0.0, 0.05
    while _scans(place, refs) <= before:
        if waited >= SETTLE_SECONDS:
            return False
        gc.collect()  # a session in a pool that nobody holds any more ends, and then its reads are counted
        sleep(pause)
        waited, pause = waited + pause, min(1.0, pause * 2)
    return True
