"""Whether somebody has read a copy in a shadow schema: told by the server, whatever the reader is written in."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pipechaos.batch.connections import Connections
from pipechaos.batch.ref import BatchRef
from pipechaos.batch.sql_connect import Dialect, Place, place_of, reading
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
_OTHERS = f"""
    SELECT count(*) FROM pg_catalog.pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND coalesce(application_name, '') <> {VALUE}
      AND coalesce(backend_type, 'client backend') = 'client backend'
"""  # noqa: S608 - a value stands for itself
_watched_until: dict[str, float] = {}  # of this process, by lock


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
    waited = []

    def waiting() -> None:
        waited.append(True)
        wait()

    with postgres_lock(place.address, place.shown, name, waiting) as version:
        if version < COUNTS_SINCE:
            raise CannotRunError(f"{place.shown} is older than PostgreSQL 15: it cannot be told what was read")
        # what somebody read before us may be counted only now, and would be taken for our reading
        if waited or time.monotonic() - _watched_until.get(name, float("-inf")) < SETTLE_SECONDS:
            _until_alone(place, sleep)
        before = _scans(place, refs)
        try:
            yield lambda: _risen(place, refs, before, sleep)
        finally:
            _watched_until[name] = time.monotonic()


def _pauses() -> Iterator[float]:
    """Seconds to wait between looks, :data:`SETTLE_SECONDS` in all."""
    waited, pause = 0.0, 0.05
    while waited < SETTLE_SECONDS:
        yield pause
        waited, pause = waited + pause, min(1.0, pause * 2)


def _until_alone(place: Place, sleep: Callable[[float], None]) -> None:
    """Wait until no session holds counts back: none is open that could have read, or all had their time."""
    from pipechaos.batch.sql_postgres import HOLDS_A_LOCK

    for pause in _pauses():
        gc.collect()  # a session in a pool that nobody holds any more ends
        with reading(place) as session:
            if session.execute(_OTHERS, [HOLDS_A_LOCK]) == [(0,)]:
                return
        sleep(pause)


def _scans(place: Place, refs: Sequence[BatchRef]) -> int:
    with reading(place) as session:
        if session.execute("SELECT current_setting('track_counts')") != [("on",)]:
            raise CannotRunError(f"{place.shown} does not count reads (track_counts is off): none can be told")
        tables = [(sql_source(r).schema, sql_source(r).table) for r in refs]
        return sum(int(session.execute(_COUNTED, table)[0][0]) for table in tables)


def _risen(place: Place, refs: Sequence[BatchRef], before: int, sleep: Callable[[float], None]) -> bool:
    for pause in _pauses():
        if _scans(place, refs) > before:
            return True
        gc.collect()  # a session in a pool that nobody holds any more ends, and then its reads are counted
        sleep(pause)
    return _scans(place, refs) > before
