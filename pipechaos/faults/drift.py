"""Slow change of what the data says: levels and mixes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipechaos.faults.arithmetic import moved
from pipechaos.faults.kernel import CellInput, Params
from pipechaos.faults.kinds import is_number, is_text
from pipechaos.faults.scale import category_counts, robust_scale
from pipechaos.faults.spec import CELL_PLACEMENTS, Example, Family, Fault, Ladder, Param, Phase, Scope, Summary

if TYPE_CHECKING:
    from pipechaos.batch.model import Batch

__all__ = ["FAULTS"]


def _mean(given: CellInput) -> pa.Array:
    """Floats move by the shift; integers by one of its two whole neighbours, so that the mean moves by the shift.

    Rounding each integer alone would turn a small shift into none. Draw 0 (its top 53 bits, as a share) decides, and
    the larger shift never moves a cell less.
    """
    shift = given.params["shift"] * given.params["scale"]
    delta = np.full(len(given.values), shift)
    if pa.types.is_integer(given.values.type):
        share = (given.draw(0) >> np.uint64(11)).astype(np.float64) / float(1 << 53)
        delta = np.floor(delta + share)
    return moved(given.values, delta)


def _resolve_category(
    source: Batch, history: Sequence[Batch], column: str | None, params: Params
) -> dict[str, str] | None:
    known = category_counts(source, history, column)
    return {"category": known[0][0]} if known else None


def _mix(given: CellInput) -> pa.Array:
    return pa.repeat(pa.scalar(given.params["category"], given.values.type), len(given.values))


FAULTS = (
    Fault(
        code="drift.mean",
        family=Family.DRIFT,
        title="the level of a number drifts",
        doc="Prices rise, a sensor ages, a season or a customer base changes: the whole column moves by a few robust "
        "standard deviations of the history. Integers move by whole steps whose mean is the shift.",
        phase=Phase.CELLS,
        scope=Scope.RESOLVED,
        kernel=_mean,
        resolve=robust_scale,
        ladder=Ladder(moves="shift", rungs=(0.1, 0.25, 0.5, 1.0, 2.0)),
        params=(
            Param(
                name="shift",
                doc="How far the level moves; negative is down.",
                default=0.5,
                unit="robust standard deviations",
                low=-1e6,
                high=1e6,
            ),
        ),
        applies=is_number,
        types="integers and floats",
        placements=CELL_PLACEMENTS,
        moves=Summary.MEAN,
        examples=(
            Example(
                columns=("x",),
                before={"x": [0.0, 1.349, 2.698, None, 4.047]},
                after={"x": [1.0, 2.349, 3.698, None, 5.047]},
                params={"shift": 0.5},
                note="Quartiles 0 and 2.698: scale 2.",
            ),
        ),
    ),
    Fault(
        code="drift.category_mix",
        family=Family.DRIFT,
        title="the mix of categories drifts",
        doc="One channel, region or product takes over: rows of all categories turn into the history's most frequent "
        "one (ties by value). The ladder moves the share of rows that are relabelled.",
        phase=Phase.CELLS,
        scope=Scope.RESOLVED,
        kernel=_mix,
        resolve=_resolve_category,
        ladder=Ladder(moves="fraction", rungs=(0.05, 0.1, 0.2, 0.4, 0.8)),
        applies=is_text,
        types="text",
        placements=CELL_PLACEMENTS,
        moves=Summary.CATEGORY_SHARE,
        examples=(
            Example(
                columns=("origin",),
                before={"origin": ["LGA", "JFK", None, "JFK", "LGA"]},
                after={"origin": ["JFK", "JFK", None, "JFK", "JFK"]},
            ),
        ),
    ),
)
