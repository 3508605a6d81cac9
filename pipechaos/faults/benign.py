"""Changes that a contract may allow: a validator that rejects one raises a false alarm."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipechaos.batch.values import plain
from pipechaos.counter import order
from pipechaos.faults.dtype import retyped
from pipechaos.faults.kernel import RowEdit, RowInput, SchemaChange, SchemaChangeKind, SchemaEdit, SchemaInput
from pipechaos.faults.kinds import is_text
from pipechaos.faults.rows import without_hit_rows
from pipechaos.faults.schema import ONE_RUNG, free_name
from pipechaos.faults.spec import Example, Family, Fault, Kind, Ladder, Param, Phase, Scope

__all__ = ["FAULTS"]


def _row_order(given: RowInput) -> RowEdit:
    """Rows that are hit change places among themselves, in the order of their hashes."""
    take = np.arange(len(given.hit), dtype=np.int64)
    at = np.flatnonzero(given.hit)
    take[at] = at[order(given.rows[at], given.key)]
    return RowEdit(take=take, made=np.zeros(len(take), np.bool_))


def _reencode(given: SchemaInput) -> SchemaEdit:
    table, changes = given.table, []
    for field in given.table.schema:
        column = table.column(field.name)
        if is_text(field.type):
            values = plain(column).dictionary_encode()
        elif pa.types.is_dictionary(field.type) and is_text(field.type.value_type):
            values = plain(column)
        else:
            continue
        table, change = retyped(table, field.name, values)
        changes.append(change)
    return SchemaEdit(table=table, changes=tuple(changes))


def _extra_column(given: SchemaInput) -> SchemaEdit:
    name = free_name(given.params["name"], given.table.column_names)
    values = pa.array(np.zeros(given.table.num_rows, np.int64))
    change = SchemaChange(kind=SchemaChangeKind.ADDED, column=name, to_type=str(values.type))
    return SchemaEdit(table=given.table.append_column(name, values), changes=(change,))


FAULTS = (
    Fault(
        code="benign.row_order",
        family=Family.BENIGN,
        title="rows in another order",
        doc="Parallel writers and object stores promise no order.",
        phase=Phase.ROWS,
        scope=Scope.GLOBAL,
        kernel=_row_order,
        ladder=ONE_RUNG,
        column_count=0,
        needs_value=False,
        clause="row_order",
        examples=(Example(before={"x": [0, 1, 2, 3, 4, 5, 6]}, after={"x": [0, 1, 2, 3, 6, 5, 4]}),),
    ),
    Fault(
        code="benign.reencode",
        family=Family.BENIGN,
        title="text dictionary encoded, or no longer",
        doc="Another writer or version stores the same text another way: every text column becomes a dictionary, every "
        "dictionary of texts becomes text.",
        phase=Phase.SCHEMA,
        scope=Scope.LOCAL,
        kernel=_reencode,
        ladder=ONE_RUNG,
        column_count=0,
        needs_value=False,
        clause="encoding",
        examples=(
            Example(
                before={"a": ["x", None, "x"], "n": [1, 2, 3]},
                after={"a": ["x", None, "x"], "n": [1, 2, 3]},
                note="Equal values in a dictionary.",
            ),
        ),
    ),
    Fault(
        code="benign.extra_column",
        family=Family.BENIGN,
        title="a column that nobody declared",
        doc="Upstream adds a field; readers that select by name do not notice.",
        phase=Phase.SCHEMA,
        scope=Scope.LOCAL,
        kernel=_extra_column,
        ladder=ONE_RUNG,
        params=(Param(name="name", doc="Its name; '_2' and so on where it is taken.", default="extra_column"),),
        column_count=0,
        needs_value=False,
        clause="extra_columns",
        examples=(Example(before={"x": [5, 6]}, after={"x": [5, 6], "extra_column": [0, 0]}),),
    ),
    Fault(
        code="benign.entity_subsample",
        family=Family.BENIGN,
        title="a few entities less",
        doc="Some devices, shops or customers have nothing to report, and the row count stays in its usual range.",
        phase=Phase.ROWS,
        scope=Scope.LOCAL,
        kernel=without_hit_rows,
        ladder=Ladder(moves="fraction", rungs=(0.03,)),
        placements=(Kind.ENTITY,),
        column_count=0,
        needs_value=False,
        clause="entity_subsample",
        examples=(
            Example(
                before={"shop": ["a", "b", None], "x": [1, 2, 3]},
                after={"shop": [None], "x": [3]},
                types={"shop": "string"},
                placement={"kind": "entity", "entity": "shop"},
                note="A row without an entity is not eligible.",
            ),
        ),
    ),
)
