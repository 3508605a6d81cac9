"""Copies of tables for a lane's validators: one untouched, one for each injection, each in a schema of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipechaos.airflow.lane_copies import Caps, Copied, Declared, OverCapError, in_time, past_of, shaped, trial_of
from pipechaos.airflow.lane_handover import BASE
from pipechaos.airflow.lane_table import check_table
from pipechaos.batch.connections import Connections
from pipechaos.batch.model import Batch
from pipechaos.batch.ref import BatchRef
from pipechaos.batch.sql import sql_ref
from pipechaos.batch.sql_connect import Dialect, place_of
from pipechaos.errors import ConfigError, PipechaosError, ShadowError
from pipechaos.inject.shadow import MARKER, shadow_folder
from pipechaos.inject.sql_shadow import copy_table, corrupt_table
from pipechaos.inject.sql_snapshot import SqlSnapshot, take_snapshot
from pipechaos.inject.sql_upkeep import drop_copy, sweep_schemas
from pipechaos.plan.injection import Injection

__all__ = ["copy_tables", "table_ref"]

_LEDGERS = "tables"


def table_ref(declared: Mapping[str, Any]) -> BatchRef:
    """Reference to a declared table; errors are those of :func:`pipechaos.airflow.lane_table.check_table`.

    Examples
    --------
    >>> table_ref({"connection_id": "shop", "schema": "sales", "table": "orders"}).name
    'sales.orders'
    """
    check_table(declared)
    given = {k: v for k, v in declared.items() if k not in ("readers", "table")}
    return sql_ref(declared["table"], **given)


@dataclass(frozen=True, kw_only=True)
class _Lane:
    """What all copies of a lane have in common."""

    ledgers: Path
    declared: Declared
    history: Sequence[Batch]
    connections: Connections | None
    readers: Sequence[str]
    slot: str
    caps: Caps
    until: float
    clock: Callable[[], float]

    def times(self) -> dict[str, Any]:
        """Now, and how long a copy may live: all end together."""
        in_time(self.clock, self.until, self.caps)
        now = self.clock()
        return {"now": datetime.fromtimestamp(now, UTC), "ttl": timedelta(seconds=max(1e-3, self.until - now))}


def copy_tables(
    given: Any,
    refs: Sequence[BatchRef],
    plan: Mapping[str, Injection],
    *,
    named: bool,
    shadow: str,
    caps: Caps,
    declared: Declared,
    until: float,
    clock: Callable[[], float],
    may_inject: Callable[[], None],
    connections: Connections | None,
    readers: Sequence[str] = (),
    slot: str = "",
    accept_locks: bool = False,
) -> dict[str, Any]:
    """Load every copy into a shadow schema, or none; see :func:`pipechaos.airflow.lane_copies.make_copies`.

    Parameters
    ----------
    given
        What the stage returned.
    refs
        Tables: of one database, each once.
    plan
        Injections by label.
    named
        Whether the table was declared: what the stage returned is then no reference.
    shadow
        Folder for ledgers.
    readers
        Roles of PostgreSQL that may read the copies.
    slot
        Run that the copies are for: two runs at a time have each their own.
    accept_locks
        Whether a DuckDB file may be locked meanwhile.
    """
    place = _one_place(refs, connections)
    if place is Dialect.DUCKDB and not accept_locks:
        raise ConfigError(
            "the table is in a DuckDB file, which is locked as a whole while copies are written: a task of the DAG "
            "that opens it meanwhile fails. Where those tasks try again, say accept_locks=True"
        )
    items = list(given) if isinstance(given, (list, tuple)) else [given]
    lane = _Lane(
        ledgers=_ledgers(shadow), declared=declared, connections=connections, readers=readers, slot=slot, caps=caps,
        until=until, clock=clock,
        history=past_of(declared, connections),
    )  # fmt: skip
    sweep_schemas(refs[0], now=lane.times()["now"], connections=connections)
    taken = _snapshots(refs, lane)
    made: list[BatchRef] = []
    trials: dict[str, Any] = {}
    tables: dict[str, list[BatchRef]] = {}
    try:
        for label, injection in plan.items():
            may_inject()
            copies = [_corrupted(t, injection, lane, made) for t in taken]
            tables[label] = made[-len(taken) :]
            trials[label] = trial_of(injection, copies, None if named else shaped(given, items, tables[label]))
        for t in taken:
            key = lane.declared.key
            made.append(copy_table(t, connections=connections, key=key, readers=readers, slot=slot, **lane.times()))
        tables[BASE] = made[-len(taken) :]
        in_time(clock, until, caps)
    except BaseException:
        _undo(made, lane)
        raise
    found = {
        "refs": {label: [r.to_json() for r in of] for label, of in tables.items()},
        "sources": [{"schema": t.table.schema, "table": t.table.name} for t in taken],
        "named": named,
        "bare": place is Dialect.POSTGRESQL,
    }
    base = None if named else shaped(given, items, tables[BASE])
    return {"until": until, BASE: base, "trials": trials, "tables": found}


def _one_place(refs: Sequence[BatchRef], connections: Connections | None) -> Dialect:
    if any(r.sql is None for r in refs):
        raise ConfigError("the stage returned files and tables: give each kind a stage and a lane of its own")
    if len({r.uri for r in refs}) > 1:
        raise ConfigError("the stage returned tables of several databases: give each of them a lane of its own")
    tables = [r.sql.table for r in refs if r.sql is not None]
    twice = next((t for t in tables if tables.count(t) > 1), None)
    if twice:  # one connection leads to one table of a name
        raise ConfigError(f"the stage returned table {twice!r} more than once: give a lane one partition of it")
    return place_of(refs[0].uri, connections).dialect


def _ledgers(shadow: str) -> Path:
    """Private folder for ledgers, marked so that a sweep of the shadow knows them."""
    place = shadow_folder(shadow)
    if place.exists() and any(place.iterdir()) and not (place / MARKER).is_file():
        raise ShadowError(f"{place} holds files and is no shadow of ours: give a folder that is new or empty")
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    (place / MARKER).touch()
    return place / _LEDGERS


def _snapshots(refs: Sequence[BatchRef], lane: _Lane) -> list[SqlSnapshot]:
    if len(refs) > lane.caps.batches:
        raise OverCapError(
            f"the stage returned {len(refs)} tables and the lane may copy {lane.caps.batches} (max_batches)"
        )
    taken: list[SqlSnapshot] = []
    for ref in refs:
        before = sum(t.rows.num_rows for t in taken)

        def seen(rows: int, before: int = before) -> None:
            if before + rows > lane.caps.rows:
                raise OverCapError(f"the stage's output has more than {lane.caps.rows} rows (max_rows)")
            in_time(lane.clock, lane.until, lane.caps)

        taken.append(take_snapshot(ref, connections=lane.connections, seen=seen))
    return taken


def _corrupted(taken: SqlSnapshot, injection: Injection, lane: _Lane, made: list[BatchRef]) -> Copied:
    copy = corrupt_table(
        taken,
        [injection],
        ledgers=lane.ledgers,
        connections=lane.connections,
        **lane.declared.roles,
        history=lane.history,
        earlier=lane.history,
        readers=lane.readers,
        slot=lane.slot,
        **lane.times(),
    )
    made.append(copy.ref)
    home = Path(copy.ledger_dir)
    (home / MARKER).write_text(f"{taken.ref.uri} {taken.table.schema}.{taken.table.name}", encoding="utf-8")
    return Copied(
        at=copy.ref,
        home=home,
        ledger=copy.ledger_dir,
        status=copy.ledger.status,
        changed=copy.ledger.changed_cells,
        injection=injection.injection_id(taken.ref.name),
    )


def _undo(made: Sequence[BatchRef], lane: _Lane) -> None:
    """Nothing of a lane that did not come to be stays; what cannot be dropped now, a sweep drops."""
    for ref in made:
        with suppress(PipechaosError):
            drop_copy(ref, connections=lane.connections)
        if ref.sql is not None and ref.sql.schema:
            shutil.rmtree(lane.ledgers / ref.sql.schema, ignore_errors=True)
