"""Ruin that any validator must catch; it enters no rate and only shows that a validator looks at all."""

from __future__ import annotations

from pipechaos.faults.dtype import as_text, retyped
from pipechaos.faults.kernel import SchemaChange, SchemaChangeKind, SchemaEdit, SchemaInput
from pipechaos.faults.kinds import is_text
from pipechaos.faults.missing import to_null
from pipechaos.faults.schema import ONE_RUNG
from pipechaos.faults.spec import Example, Family, Fault, Phase, Scope

__all__ = ["FAULTS"]


def _all_text(given: SchemaInput) -> SchemaEdit:
    table, changes = given.table, []
    for field in given.table.schema:
        kind = field.type
        if is_text(getattr(kind, "value_type", kind)):  # text already, encoded or not
            continue
        table, change = retyped(table, field.name, as_text(table.column(field.name)))
        changes.append(change)
    return SchemaEdit(table=table, changes=tuple(changes))


def _no_columns(given: SchemaInput) -> SchemaEdit:
    changes = tuple(SchemaChange(kind=SchemaChangeKind.DROPPED, column=n) for n in given.table.column_names)
    return SchemaEdit(table=given.table.select([]), changes=changes)


FAULTS = (
    Fault(
        code="canary.all_null",
        family=Family.CANARY,
        title="all values of a column null",
        doc="A column that a batch cannot do without is empty.",
        phase=Phase.CELLS,
        scope=Scope.LOCAL,
        kernel=to_null,
        ladder=ONE_RUNG,
        examples=(Example(columns=("x",), before={"x": [1.5, None, 2.5]}, after={"x": [None, None, None]}),),
    ),
    Fault(
        code="canary.all_text",
        family=Family.CANARY,
        title="all values text",
        doc="The whole batch was read without types: every column is text.",
        phase=Phase.SCHEMA,
        scope=Scope.LOCAL,
        kernel=_all_text,
        ladder=ONE_RUNG,
        column_count=0,
        needs_value=False,
        examples=(
            Example(
                before={"n": [1, None], "b": [True, False], "s": ["x", "y"]},
                after={"n": ["1", None], "b": ["true", "false"], "s": ["x", "y"]},
            ),
        ),
    ),
    Fault(
        code="canary.no_columns",
        family=Family.CANARY,
        title="no columns at all",
        doc="The file is there and holds nothing.",
        phase=Phase.SCHEMA,
        scope=Scope.LOCAL,
        kernel=_no_columns,
        ladder=ONE_RUNG,
        column_count=0,
        needs_value=False,
        examples=(Example(before={"x": [1], "y": [2]}, after={}),),
    ),
)
