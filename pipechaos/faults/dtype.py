"""Columns of another type with the same content."""

from __future__ import annotations

import pyarrow as pa

from pipechaos.batch.values import plain
from pipechaos.faults.kernel import SchemaChange, SchemaChangeKind, SchemaEdit, SchemaInput
from pipechaos.faults.kinds import is_number
from pipechaos.faults.schema import ONE_RUNG
from pipechaos.faults.spec import Example, Family, Fault, Phase, Scope

__all__ = ["FAULTS", "as_text", "retyped"]


def as_text(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """The column as text: shortest digits that read back as the same number, ISO times; null stays null.

    Examples
    --------
    >>> as_text(pa.array([1.0, 0.1, None])).to_pylist()
    ['1', '0.1', None]
    """
    values = plain(column)
    try:
        return values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # nested values, bytes that are no UTF-8
        return pa.array([None if v is None else str(v) for v in values.to_pylist()], pa.string())


def retyped(table: pa.Table, name: str, values: pa.Array) -> tuple[pa.Table, SchemaChange]:
    """Table with one column replaced by values of another type, and the change to record."""
    at = table.column_names.index(name)
    field = table.schema.field(at)
    change = SchemaChange(
        kind=SchemaChangeKind.RETYPED, column=name, from_type=str(field.type), to_type=str(values.type)
    )
    return table.set_column(at, field.with_type(values.type), values), change


def _number_to_text(given: SchemaInput) -> SchemaEdit:
    (name,) = given.columns
    table, change = retyped(given.table, name, as_text(given.table.column(name)))
    return SchemaEdit(table=table, changes=(change,))


FAULTS = (
    Fault(
        code="type.number_to_text",
        family=Family.TYPE,
        title="numbers arrive as text",
        doc="A CSV without types, a JSON producer that quotes, one bad cell in a spreadsheet: the whole column is text "
        "and sorts and compares as text.",
        phase=Phase.SCHEMA,
        scope=Scope.LOCAL,
        kernel=_number_to_text,
        ladder=ONE_RUNG,
        applies=is_number,
        types="integers and floats",
        examples=(
            Example(
                columns=("x",),
                before={"x": [10, None, 2**53 + 1]},
                after={"x": ["10", None, "9007199254740993"]},
            ),
            Example(columns=("x",), before={"x": [2.0, 0.25]}, after={"x": ["2", "0.25"]}),
        ),
    ),
)
