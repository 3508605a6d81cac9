"""Relations between columns that no longer hold while every column by itself is perfect."""

from __future__ import annotations

import pyarrow as pa

from pipechaos.counter import order
from pipechaos.faults.kernel import CellInput
from pipechaos.faults.spec import CELL_PLACEMENTS, Example, Family, Fault, Ladder, Phase, Scope

__all__ = ["FAULTS"]


def _shuffle(given: CellInput) -> pa.Array:
    """The asked cells' values, nulls among them, in the order of their rows' hashes."""
    return given.values.take(pa.array(order(given.rows, given.key)))


FAULTS = (
    Fault(
        code="relation.shuffle",
        family=Family.RELATION,
        title="values of a column on the wrong rows",
        doc="A misaligned join or a lost sort order: the column's distribution is untouched, but its values belong to "
        "other rows. The ladder moves the share of rows among which values are permuted.",
        phase=Phase.CELLS,
        scope=Scope.GLOBAL,
        kernel=_shuffle,
        ladder=Ladder(moves="fraction", rungs=(0.02, 0.1, 0.3, 0.6, 1.0)),
        placements=CELL_PLACEMENTS,
        needs_value=False,
        examples=(
            Example(
                columns=("seats",),
                before={"seats": [100, None, 300, 400, 500]},
                after={"seats": [400, 500, 100, 300, None]},
            ),
        ),
    ),
)
