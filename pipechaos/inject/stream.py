"""Apply a resolved plan to a batch that is too large for memory, part by part.

Local and resolved faults see one row at a time, so any cutting into parts gives the same bits. Faults of global scope
need all rows at once and are refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from pipechaos.batch.model import Batch
from pipechaos.errors import PlanError
from pipechaos.faults import registry
from pipechaos.faults.spec import Phase, Scope
from pipechaos.inject.engine import Injected, inject, no_effect, shared_fate
from pipechaos.ledger.records import CellEntry, InjectionRecord, Ledger, RowEntry, Status
from pipechaos.plan.resolve import ResolvedPlan

__all__ = ["check_streams", "inject_parts", "merge_ledgers"]


def check_streams(plan: ResolvedPlan) -> None:
    """Refuse a plan that cannot be applied part by part.

    Raises
    ------
    PlanError
        A fault of global scope, an exact count, or a donor.
    """
    for item in plan.injections:
        spec = item.injection.spec
        if spec.scope is Scope.GLOBAL or spec.donor or item.injection.exact:
            why = "an exact count" if item.injection.exact else f"fault {spec.code!r}"
            raise PlanError(f"{why} needs all rows at once: it cannot be streamed. Inject it in memory.")


def inject_parts(
    plan: ResolvedPlan,
    tables: Iterable[pa.Table],
    *,
    key: Sequence[str] = (),
    time: str | None = None,
    target: Sequence[str] = (),
    before_values: bool = False,
) -> Iterator[Injected]:
    """Break a batch part by part.

    Parameters
    ----------
    plan
        Resolved for the whole batch.
    tables
        Its parts in row order, of any size.
    key, time, target
        As declared for the whole batch.
    before_values
        Whether ledgers keep values before.

    Yields
    ------
    Injected
        Each corrupted part; origins in its ledger count from the start of the batch, positions from the start of the
        part. :func:`merge_ledgers` makes one ledger of them.
    """
    check_streams(plan)
    first = 0
    for table in tables:
        part = Batch.of(table, name=plan.batch, key=key, time=time, target=target, first_row=first)
        yield inject(plan, part, before_values=before_values)
        first += table.num_rows


def merge_ledgers(parts: Sequence[Ledger]) -> Ledger:
    """One ledger for the whole batch: what injecting it in memory would have recorded.

    Only rows that share a key are counted within parts, since no part knows the keys of another.

    Parameters
    ----------
    parts
        Ledgers of all parts, in row order; at least one.
    """
    starts = np.cumsum([0, *(p.rows_after for p in parts)])
    twins = sum(p.shared_keys for p in parts)
    least = "at least " if len(parts) > 1 else ""  # nobody compared the keys of two parts
    return Ledger(
        batch=parts[0].batch,
        injections=tuple(_merge_records(records) for records in zip(*(p.injections for p in parts), strict=True)),
        cells=tuple(_merge_cells(parts, starts)),
        rows=RowEntry(
            removed=np.concatenate([p.rows.removed for p in parts]),
            added=np.concatenate([p.rows.added + s for p, s in zip(parts, starts, strict=False)]),
            copied_from=np.concatenate([p.rows.copied_from for p in parts]),
            reordered=any(p.rows.reordered for p in parts),
        ),
        schema=parts[0].schema,
        rows_before=sum(p.rows_before for p in parts),
        rows_after=int(starts[-1]),
        warnings=(shared_fate(f"{least}{twins}"),) if twins else (),
        shared_keys=twins,
    )


def _merge_records(records: Sequence[InjectionRecord]) -> InjectionRecord:
    states = [r.status for r in records]
    # applied anywhere is applied; a part without eligible cells says nothing about the whole
    order = (Status.FAILED, Status.APPLIED, Status.NO_EFFECT, Status.NOT_APPLICABLE)
    status = next(s for s in order if s in states)
    lead = records[states.index(status)]
    if registry.get(lead.fault).phase is Phase.SCHEMA:  # one change of the whole, seen by every part
        return lead
    asked = sum(r.asked for r in records)
    return InjectionRecord(
        injection_id=lead.injection_id,
        fault=lead.fault,
        columns=lead.columns,
        status=status,
        reason=no_effect(asked) if status is Status.NO_EFFECT else lead.reason,
        eligible=sum(r.eligible for r in records),
        asked=asked,
        changed=sum(r.changed for r in records),
        resolved=lead.resolved,
    )


def _merge_cells(parts: Sequence[Ledger], starts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[CellEntry]:
    plan = parts[0].injections  # the same in every part: a part may lack what had no eligible cell in it
    for column in dict.fromkeys(c for r in plan for c in r.columns):
        entries = [(c, int(s)) for p, s in zip(parts, starts, strict=False) for c in p.cells if c.column == column]
        if not entries:
            continue
        ids = {i for e, _ in entries for i in e.injections}
        before = [e.before for e, _ in entries if e.before is not None]
        yield CellEntry(
            column=column,
            asked=np.concatenate([e.asked for e, _ in entries]),
            origin=np.concatenate([e.origin for e, _ in entries]),
            position=np.concatenate([np.where(e.position < 0, -1, e.position + s) for e, s in entries]),
            injections=tuple(r.injection_id for r in plan if r.injection_id in ids),
            before=pa.concat_arrays(before) if before else None,
        )
