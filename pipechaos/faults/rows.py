"""Rows that are missing or there twice."""

from __future__ import annotations

import numpy as np

from pipechaos.faults.kernel import RowEdit, RowInput
from pipechaos.faults.spec import ROW_PLACEMENTS, Example, Family, Fault, Ladder, Phase, Scope, Summary

__all__ = ["FAULTS", "without_hit_rows"]


def without_hit_rows(given: RowInput) -> RowEdit:
    """All rows but those that are hit, in their order."""
    take = np.flatnonzero(~given.hit).astype(np.int64)
    return RowEdit(take=take, made=np.zeros(len(take), np.bool_))


def _duplicate(given: RowInput) -> RowEdit:
    """A copy right behind each row that is hit: the same for any cutting into parts."""
    times = np.where(given.hit, 2, 1)
    take = np.repeat(np.arange(len(given.hit), dtype=np.int64), times)
    made = np.zeros(len(take), np.bool_)
    made[1:] = take[1:] == take[:-1]
    return RowEdit(take=take, made=made)


FAULTS = (
    Fault(
        code="rows.drop",
        family=Family.ROWS,
        title="rows are missing",
        doc="A cut-off export, a lost partition file, an inner join that should have been a left one.",
        phase=Phase.ROWS,
        scope=Scope.LOCAL,
        kernel=without_hit_rows,
        ladder=Ladder(moves="fraction", rungs=(0.01, 0.05, 0.2, 0.5, 0.9)),
        placements=ROW_PLACEMENTS,
        column_count=0,
        needs_value=False,
        moves=Summary.ROW_COUNT,
        examples=(Example(before={"x": [1, 2, 3]}, after={"x": []}),),
    ),
    Fault(
        code="rows.duplicate",
        family=Family.ROWS,
        title="rows are there twice",
        doc="A retried load, at-least-once delivery or a join fan-out repeats rows. The copy stands right behind its "
        "original. With a declared key a uniqueness check can always tell, so it is never subnatural.",
        phase=Phase.ROWS,
        scope=Scope.LOCAL,
        kernel=_duplicate,
        ladder=Ladder(moves="fraction", rungs=(0.01, 0.05, 0.2, 0.5, 1.0)),
        placements=ROW_PLACEMENTS,
        column_count=0,
        needs_value=False,
        examples=(Example(before={"x": [1, None, 3]}, after={"x": [1, 1, None, None, 3, 3]}),),
    ),
)
