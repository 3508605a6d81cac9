"""Copies that a lane's validators judge: one untouched, one for each injection, each in the form the stage returned."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipechaos.airflow.lane_handover import BASE
from pipechaos.airflow.tasks import ref_of
from pipechaos.batch.connections import Connections
from pipechaos.batch.io import iter_tables, read_batch, write_batch
from pipechaos.batch.model import Batch
from pipechaos.batch.ref import BatchRef, Format
from pipechaos.errors import ConfigError, PipechaosError
from pipechaos.inject.shadow import MARKER, check_shadow, corrupt, dataset_root
from pipechaos.ledger.records import Status
from pipechaos.plan.injection import Injection

__all__ = [
    "Caps",
    "Copied",
    "Declared",
    "OverCapError",
    "in_time",
    "injection_of",
    "make_copies",
    "past_of",
    "shaped",
    "trial_of",
]


class OverCapError(PipechaosError):
    """A lane would touch more than its caps allow: it does nothing at all."""


@dataclass(frozen=True, kw_only=True)
class Caps:
    """The most a lane may touch.

    Attributes
    ----------
    rows
        Of all batches of the stage's output together.
    batches
        References that the stage returned.
    seconds
        From the start of copying to the last verdict.
    """

    rows: int
    batches: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What the team says about the batch; see :func:`pipechaos.inject.shadow.corrupt`."""

    key: tuple[str, ...] = ()
    time: str | None = None
    target: tuple[str, ...] = ()
    history: tuple[Any, ...] = ()

    @property
    def roles(self) -> dict[str, Any]:
        """What its columns are, as whoever reads or corrupts a batch takes it."""
        return {"key": self.key, "time": self.time, "target": self.target}


def injection_of(asked: Mapping[str, Any]) -> Injection:
    """Injection from plain values: ``{"fault": "null.mcar", "columns": "x", "fraction": 0.3}``."""
    given = dict(asked)
    return Injection.of(given.pop("fault"), given.pop("columns", ()), **given)


def make_copies(
    given: Any,
    injections: Mapping[str, Mapping[str, Any]],
    *,
    shadow: str,
    caps: Caps,
    declared: Declared,
    clock: Callable[[], float],
    may_inject: Callable[[], None] = lambda: None,
    table: Mapping[str, Any] | None = None,
    connections: Connections | None = None,
    slot: str = "",
    accept_locks: bool = False,
) -> dict[str, Any]:
    """Write every copy into the shadow, or none.

    Parameters
    ----------
    given
        What the stage returned: a reference in any form :func:`pipechaos.airflow.tasks.ref_of` knows, or a list.
    injections
        By label; see :func:`injection_of`.
    shadow
        Folder outside the data set.
    caps
        The most that may be touched.
    declared
        Of the batch.
    clock
        Seconds since 1970.
    may_inject
        Called before each injection; raises when nothing may be injected any more.
    table
        Where the stage writes a table and returns no reference to it; see :func:`pipechaos.airflow.lane.chaos_lane`.
    connections
        By connection id: URLs of databases, connected file systems.
    slot
        Run that copies of tables are for.
    accept_locks
        Whether a DuckDB file may be locked while copies are written.

    Returns
    -------
    dict
        ``{"until", "base": what the control is given, "trials": {label: {"given", "fault", "columns", "injection",
        "ledger", "status", "changed"}}}``; of tables also ``"tables"``, which says where they are.

    Raises
    ------
    OverCapError
        Over a cap; copies made so far are gone again.
    ConfigError, ShadowError, BatchError
        Nothing was given, an injection cannot be made of it, or the shadow is where a consumer reads.
    """
    until = clock() + caps.seconds
    plan = {label: injection_of(asked) for label, asked in injections.items()}
    items = list(given) if isinstance(given, (list, tuple)) else [given]
    refs = _named_or_returned(items, table, connections)
    if any(ref.sql is not None for ref in refs):
        from pipechaos.airflow.lane_sql_copies import copy_tables

        return copy_tables(
            given,
            refs,
            plan,
            named=table is not None,
            shadow=shadow,
            caps=caps,
            declared=declared,
            until=until,
            clock=clock,
            may_inject=may_inject,
            connections=connections,
            readers=(table or {}).get("readers", ()),
            slot=slot,
            accept_locks=accept_locks,
        )
    for ref in refs:
        check_shadow(shadow, ref)
    _check_caps(refs, caps, connections)
    made: dict[Path, None] = {}
    homes: list[Path] = []
    trials: dict[str, Any] = {}
    past: list[Batch] = []
    try:
        for label, injection in plan.items():
            may_inject()
            past = past or past_of(declared, connections)
            copies = [_corrupted(ref, injection, shadow, declared, past, made, connections) for ref in refs]
            homes = homes or [c.home.parent for c in copies]
            trials[label] = trial_of(injection, copies, shaped(given, items, [c.at for c in copies]))
            in_time(clock, until, caps)
        base = [_untouched(r, h / BASE, made, declared, connections) for r, h in zip(refs, homes, strict=True)]
        in_time(clock, until, caps)
    except BaseException:
        for home in made:
            shutil.rmtree(home, ignore_errors=True)
        raise
    return {"until": until, BASE: shaped(given, items, base), "trials": trials}


def _named_or_returned(
    items: Sequence[Any], table: Mapping[str, Any] | None, connections: Connections | None
) -> list[BatchRef]:
    """The declared table, or what the stage returned references of."""
    if table is not None:
        from pipechaos.airflow.lane_sql_copies import table_ref

        return [table_ref(table)]
    if not items or items == [None]:
        raise ConfigError(
            "the stage returned no reference of a batch, so there is nothing to copy. Where it writes a table, name "
            "it: table={'connection_id': ..., 'schema': ..., 'table': ...}"
        )
    return [ref_of(item, connections) for item in items]


def _check_caps(refs: Sequence[BatchRef], caps: Caps, connections: Connections | None) -> None:
    if len(refs) > caps.batches:
        raise OverCapError(f"the stage returned {len(refs)} batches and the lane may copy {caps.batches} (max_batches)")
    rows = 0
    for ref in refs:
        for part in iter_tables(ref, connections=connections):
            rows += part.num_rows
            if rows > caps.rows:
                raise OverCapError(f"the stage's output has more than {caps.rows} rows (max_rows)")


def in_time(clock: Callable[[], float], until: float, caps: Caps) -> None:
    """Raise when the time of the lane is over."""
    if clock() > until:
        raise OverCapError(f"copying took longer than {caps.seconds:g} seconds (max_seconds)")


@dataclass(frozen=True, kw_only=True)
class Copied:
    """One corrupted copy of one batch."""

    at: BatchRef
    home: Path
    ledger: str
    status: Status
    changed: int
    injection: str


def past_of(declared: Declared, connections: Connections | None = None) -> list[Batch]:
    """Earlier batches, read as the batch is."""
    return [read_batch(ref_of(h, connections), connections=connections, **declared.roles) for h in declared.history]


def _corrupted(
    ref: BatchRef,
    injection: Injection,
    shadow: str,
    declared: Declared,
    past: Sequence[Batch],
    made: dict[Path, None],
    connections: Connections | None,
) -> Copied:
    known = set(check_shadow(shadow, ref).glob(f"*/{injection.injection_id(ref.name)}"))
    copy = corrupt(
        ref,
        [injection],
        shadow,
        **declared.roles,
        history=past,
        earlier=past,
        connections=connections,
    )
    home = Path(copy.ledger_dir).parent
    if home not in known:
        made[home] = None
    return Copied(
        at=_as_read(copy.ref, ref, home),
        home=home,
        ledger=copy.ledger_dir,
        status=copy.ledger.status,
        changed=copy.ledger.changed_cells,
        injection=injection.injection_id(ref.name),
    )


def _untouched(
    ref: BatchRef, home: Path, made: dict[Path, None], declared: Declared, connections: Connections | None
) -> BatchRef:
    """Copy through the writer of the corrupted ones: what the writer itself changes must not look like a detection."""
    if not home.exists():
        made[home] = None
    (home / "data").mkdir(parents=True, exist_ok=True, mode=0o700)
    (home / MARKER).write_text(dataset_root(ref), encoding="utf-8")
    batch = read_batch(ref, connections=connections, **declared.roles)
    return _as_read(write_batch(batch, home / "data" / "part-0.parquet", overwrite=True), ref, home)


def _as_read(copy: BatchRef, source: BatchRef, home: Path) -> BatchRef:
    """Lay the copy out as the source is: same file name, format and Hive folders, which readers make columns of."""
    uri = source.uri.rstrip("/")
    tail = [p for p in uri.split("/") if "=" in p and not p.startswith("=")]
    at = home / "data" / Path(*tail) / ("batch" if source.files and not tail else "")
    name = (source.files[0] if source.files else uri).rpartition("/")[2]
    file = at / name
    file.parent.mkdir(parents=True, exist_ok=True)
    written = Path(copy.uri)
    if source.format is Format.CSV:
        write_batch(read_batch(copy), file, format=Format.CSV, overwrite=True)
    elif file != written:
        waiting = file.with_name(f".{name}.{os.getpid()}.tmp")
        waiting.unlink(missing_ok=True)
        try:
            os.link(written, waiting)
        except OSError:  # a file system without links
            shutil.copyfile(written, waiting)
        waiting.replace(file)
    base = replace(copy, format=source.format, name=source.name, partition=source.partition)
    base = replace(base, digest="" if source.format is Format.CSV else copy.digest)
    return replace(base, uri=str(at), files=(name,)) if source.files else replace(base, uri=str(file), files=())


def shaped(given: Any, items: Sequence[Any], refs: Sequence[BatchRef]) -> Any:
    """References in the form the stage's output has."""
    shaped = [_like(item, ref) for item, ref in zip(items, refs, strict=True)]
    return shaped if isinstance(given, (list, tuple)) else shaped[0]


def _like(given: Any, ref: BatchRef) -> Any:
    """Reference in the form that was given: text stays text, a URL a URL, a path its class, JSON the same JSON.

    Examples
    --------
    >>> ref = BatchRef(uri="/shadow/a.csv", format=Format.CSV, name="a")
    >>> _like("a.csv", ref), _like("file:///lake/a.csv", ref)
    ('/shadow/a.csv', 'file:///shadow/a.csv')
    """
    if isinstance(given, str):
        return f"file://{ref.uri}" if given.startswith("file://") else ref.uri
    if isinstance(given, Mapping):
        if "batch" in given:
            return {**given, "batch": _like(given["batch"], ref)}
        return ref.to_json()
    if isinstance(given, BatchRef):
        return ref
    return type(given)(f"file://{ref.uri}" if "://" in str(given) else ref.uri)


def trial_of(injection: Injection, copies: Sequence[Copied], given: Any) -> dict[str, Any]:
    """A list of batches is one trial: failed where one failed, else applied where any is; told by that one's ledger."""
    order = (Status.FAILED, Status.APPLIED, Status.NO_EFFECT, Status.NOT_APPLICABLE)
    chosen = min(copies, key=lambda c: order.index(c.status))
    return {
        "given": given,
        "fault": injection.fault,
        "columns": list(injection.columns),
        "injection": chosen.injection,
        "ledger": chosen.ledger,
        "status": chosen.status.value,
        "changed": sum(c.changed for c in copies),
    }
