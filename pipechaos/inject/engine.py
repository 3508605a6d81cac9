"""Apply a resolved plan to a batch in memory and keep the ledger of what really changed (ENGINE.md sections 4 to 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipechaos.batch.compare import same_values
from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.identity import Identity
from pipechaos.batch.model import Batch
from pipechaos.batch.values import plain
from pipechaos.errors import FaultError, PlanError
from pipechaos.faults.registry import get
from pipechaos.faults.spec import CellInput, Phase, RowEdit, RowInput, SchemaChange, SchemaInput, Scope
from pipechaos.faults.staleness import stamped
from pipechaos.inject.choose import choose, has_value
from pipechaos.inject.scatter import as_type, scatter
from pipechaos.ledger.records import CellEntry, InjectionRecord, Ledger, RowEntry, SchemaChangeKind, Status
from pipechaos.plan.resolve import ResolvedInjection, ResolvedPlan

__all__ = ["Injected", "inject", "no_effect", "shared_fate"]

Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_NONE = np.zeros(0, np.bool_)


@dataclass(frozen=True, kw_only=True, eq=False)
class Injected:
    """A corrupted copy and its ledger."""

    batch: Batch
    ledger: Ledger


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """The batch as it stands, and the origin each of its rows is or was copied from (-1 for a donor's)."""

    batch: Batch
    copied_from: Positions


@dataclass(kw_only=True)
class _Work:
    """State of one injection run; lives inside :func:`inject` only."""

    source: Batch
    donors: Mapping[str, Batch]
    touched: dict[str, pa.Array] = field(default_factory=dict)
    asked: dict[str, Mask] = field(default_factory=dict)
    changed: dict[str, Mask] = field(default_factory=dict)
    by: dict[str, list[str]] = field(default_factory=dict)
    records: list[InjectionRecord] = field(default_factory=list)
    schema: list[SchemaChange] = field(default_factory=list)

    @property
    def first(self) -> int:
        """Origin of the first row: not 0 where the batch is a part of a stream."""
        return int(self.source.identity.origin[0]) if self.source.rows else 0

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that injections of cells name, in plan order."""
        cells = (r for r in self.records if get(r.fault).phase is Phase.CELLS)
        return tuple(dict.fromkeys(c for r in cells for c in r.columns if c in self.source.columns))

    def record(self, item: ResolvedInjection, status: Status, reason: str = "", **counts: int) -> None:
        """Note how one injection went."""
        injection = item.injection
        found = InjectionRecord(
            injection_id=injection.injection_id(self.source.name),
            fault=injection.fault,
            columns=injection.columns,
            status=status,
            reason=reason,
            resolved=_plain({k: v for k, v in item.params.items() if k not in injection.params}),
            **counts,
        )
        self.records.append(found)


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON will give them back."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in params.items()}


def inject(
    plan: ResolvedPlan,
    source: Batch,
    donors: Mapping[str, Batch] | None = None,
    *,
    before_values: bool = False,
) -> Injected:
    """Break a copy of a batch; the batch itself is never changed and untouched columns share its buffers.

    Parameters
    ----------
    plan
        A plan resolved for this batch.
    source
        The untouched batch.
    donors
        Batches that the plan's donor references name.
    before_values
        Whether the ledger keeps the values before (they may be personal data).

    Returns
    -------
    Injected
        The corrupted batch (same name, key and roles) and the ledger. A kernel that raises leaves the cells as they
        were and is recorded as *failed*.

    Raises
    ------
    PlanError
        The plan was resolved for another batch, or a donor is missing or has changed.
    """
    if plan.batch != source.name:
        raise PlanError(f"the plan was resolved for batch {plan.batch!r}, not {source.name!r}: resolve it again")
    work = _Work(source=source, donors=donors or {})
    rows = _Rows(batch=source, copied_from=source.identity.origin)
    for phase, apply in ((Phase.CELLS, _cells), (Phase.ROWS, _row_fault), (Phase.SCHEMA, _schema_fault)):
        for item in plan.injections:
            if item.injection.spec.phase is phase:
                rows = _guarded(work, item, apply, rows)
        if phase is Phase.CELLS:
            rows = replace(rows, batch=_with_cells(work))
    return Injected(batch=rows.batch, ledger=_ledger(work, rows, before_values))


def _refusal(item: ResolvedInjection, source: Batch) -> str:
    """Why an injection cannot be applied to this batch; empty when it can."""
    if not item.applicable:
        return item.reason
    if item.injection.spec.scope is Scope.GLOBAL and source.identity.duplicated:
        return f"{source.identity.duplicated} rows share a key, so there is no one order of rows to permute"
    return ""


def _guarded(
    work: _Work, item: ResolvedInjection, apply: Callable[[_Work, ResolvedInjection, _Rows], _Rows], rows: _Rows
) -> _Rows:
    """Apply one injection; what it cannot do is recorded, and what raises leaves everything as it was."""
    reason = _refusal(item, work.source)
    if reason:
        work.record(item, Status.NOT_APPLICABLE, reason)
        return rows
    try:
        return apply(work, item, rows)
    except PlanError:  # the plan does not fit: nothing about the fault itself
        raise
    except Exception as exc:  # noqa: BLE001 - whatever a kernel raises is recorded, and the run says so
        work.record(item, Status.FAILED, f"{type(exc).__name__}: {exc}")
        return rows


def _cells(work: _Work, item: ResolvedInjection, rows: _Rows) -> _Rows:
    source, injection = work.source, item.injection
    name = injection.columns[0]
    choice = choose(item, source)
    eligible = int(choice.eligible.sum())
    if not eligible:
        work.record(item, Status.NOT_APPLICABLE, f"no cell of {name!r} is eligible")
        return rows
    original = plain(source.column(name))
    current = work.touched.get(name, original)
    asked = np.flatnonzero(choice.hit)
    write = asked
    if injection.spec.needs_value and name in work.touched:
        write = asked[has_value(current.take(pa.array(asked)))]  # an earlier fault of the plan nulled the others
    values = current.take(pa.array(write))
    given = CellInput(
        column=name,
        values=values,
        rows=source.identity.choice[write],
        key=injection.key(source.name),
        params=item.params,
    )
    new = _checked(injection.spec.change_cells(given), values, injection.fault)
    after = scatter(current, write, new)
    as_type(after, source.column(name))  # a dictionary without room for the new values fails here, with nothing written
    work.touched[name] = after
    work.asked[name] = work.asked.get(name, np.zeros(source.rows, np.bool_)) | choice.hit
    work.by.setdefault(name, []).append(injection.injection_id(source.name))
    changed = int((~same_values(new, original.take(pa.array(write)))).sum())
    status, reason = (Status.APPLIED, "") if changed else (Status.NO_EFFECT, no_effect(len(asked)))
    work.record(item, status, reason, eligible=eligible, asked=len(asked), changed=changed)
    return rows


def no_effect(asked: int) -> str:
    """Why an injection that could do something did nothing."""
    return "no value differs afterwards" if asked else "the draw hit no cell at this fraction"


def shared_fate(rows: str) -> str:
    """What a ledger warns of when keys are not unique; so many rows in words."""
    return f"{rows} rows share their key with an earlier row and so share its fate"


def _checked(new: pa.Array, values: pa.Array, fault: str) -> pa.Array:
    if len(new) != len(values) or new.type != values.type:
        raise FaultError(f"kernel of {fault!r} gave {len(new)} x {new.type} for {len(values)} x {values.type}")
    return new


def _with_cells(work: _Work) -> Batch:
    table = work.source.table
    for name in work.columns:
        at = table.column_names.index(name)
        kind, column = table.schema.field(at), work.source.column(name)
        if name in work.touched:
            work.changed[name] = ~same_values(work.touched[name], column)
        if work.changed.get(name, _NONE).any():  # else it shares the source's buffers, dictionary and all
            column = as_type(work.touched[name], column)
        elif kind.nullable:
            continue
        table = table.set_column(at, kind.with_nullable(True), column)  # in every part of a stream, whatever was hit
    return work.source.with_table(table) if table is not work.source.table else work.source


def _row_fault(work: _Work, item: ResolvedInjection, rows: _Rows) -> _Rows:
    source, spec, batch = work.source, item.injection.spec, rows.batch
    if spec.donor:
        return _from_donor(work, item, rows)
    choice = choose(item, source)
    if not choice.eligible.any():
        work.record(item, Status.NOT_APPLICABLE, "no row is eligible")
        return rows
    origin = batch.identity.origin
    hit = np.where(origin >= 0, choice.hit[np.maximum(origin - work.first, 0)], False)
    given = RowInput(rows=batch.identity.choice, hit=hit, key=item.injection.key(source.name), params=item.params)
    edit = spec.change_rows(given)
    changed = _row_changes(edit, batch.rows)
    status, reason = (Status.APPLIED, "") if changed else (Status.NO_EFFECT, no_effect(int(hit.sum())))
    work.record(item, status, reason, eligible=int(choice.eligible.sum()), asked=int(hit.sum()), changed=changed)
    if not changed:
        return rows
    return _Rows(batch=batch.take(edit.take, edit.made), copied_from=rows.copied_from[edit.take])


def _row_changes(edit: RowEdit, rows: int) -> int:
    """Rows that went or came; rows that moved when none did."""
    kept = np.zeros(rows, np.bool_)
    kept[edit.take[~edit.made]] = True
    moved = int((~kept).sum() + edit.made.sum())
    return moved or int((edit.take != np.arange(rows)).sum())


def _from_donor(work: _Work, item: ResolvedInjection, rows: _Rows) -> _Rows:
    ref = item.donor
    donor = work.donors.get(ref.name) if ref else None
    if ref is None or donor is None:
        raise PlanError(f"{item.injection.fault} takes rows from batch {ref and ref.name!r}: hand it over in `donors`")
    if ordered_digest(donor.table) != ref.digest:
        raise PlanError(f"donor batch {ref.name!r} has changed since the plan was resolved: resolve it again")
    made = np.full(donor.rows, -1, np.int64)
    identity = Identity(origin=made, choice=donor.identity.choice)
    before = rows.batch.rows
    work.record(item, Status.APPLIED, eligible=before, asked=before, changed=before or donor.rows)  # all are others
    return _Rows(batch=rows.batch.with_table(stamped(donor, work.source, item.params), identity), copied_from=made)


def _schema_fault(work: _Work, item: ResolvedInjection, rows: _Rows) -> _Rows:
    injection = item.injection
    given = SchemaInput(table=rows.batch.table, columns=injection.columns, params=item.params)
    edit = injection.spec.change_schema(given)
    status = Status.APPLIED if edit.changes else Status.NO_EFFECT
    work.record(item, status, eligible=1, asked=1, changed=len(edit.changes))
    work.schema.extend(edit.changes)
    return replace(rows, batch=rows.batch.with_table(edit.table)) if edit.changes else rows


def _ledger(work: _Work, after: _Rows, before_values: bool) -> Ledger:
    source, identity = work.source, after.batch.identity
    position = np.full(source.rows, -1, np.int64)
    kept = np.flatnonzero(identity.origin >= 0)
    position[identity.origin[kept] - work.first] = kept
    added = np.flatnonzero(identity.origin < 0)
    twins = source.identity.duplicated
    return Ledger(
        batch=source.name,
        injections=tuple(work.records),
        cells=tuple(_cell_entries(work, position, before_values)),
        rows=RowEntry(
            removed=np.flatnonzero(position < 0) + work.first,
            added=added,
            copied_from=after.copied_from[added],
            reordered=bool((np.diff(identity.origin[kept]) < 0).any()),
        ),
        schema=tuple(work.schema),
        rows_before=source.rows,
        rows_after=len(identity.origin),
        warnings=(shared_fate(f"{twins}"),) if twins else (),
        shared_keys=twins,
    )


def _cell_entries(work: _Work, position: Positions, before_values: bool) -> Iterator[CellEntry]:
    gone = {c.column for c in work.schema if c.kind is SchemaChangeKind.DROPPED}
    for name in work.columns:
        if name not in work.touched or name in gone:
            continue
        original = plain(work.source.column(name))
        at = np.flatnonzero(work.changed[name])
        yield CellEntry(
            column=name,
            asked=np.flatnonzero(work.asked[name]) + work.first,
            origin=at + work.first,
            position=position[at],
            injections=tuple(work.by[name]),
            before=original.take(pa.array(at)) if before_values else None,
        )
