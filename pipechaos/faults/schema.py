"""Columns that are not where readers look for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipechaos.errors import FaultError
from pipechaos.faults.kernel import Params, SchemaChange, SchemaChangeKind, SchemaEdit, SchemaInput
from pipechaos.faults.spec import Example, Family, Fault, Ladder, Param, Phase, Scope

if TYPE_CHECKING:
    from pipechaos.batch.model import Batch

__all__ = ["FAULTS", "free_name", "new_name"]

ONE_RUNG = Ladder(moves="fraction", rungs=(1.0,))


def free_name(wanted: str, taken: Sequence[str]) -> str:
    """The wanted name, or the first of ``wanted_2``, ``wanted_3``, ... that is not taken.

    Examples
    --------
    >>> free_name("x", ["x", "x_2"])
    'x_3'
    """
    name, n = wanted, 1
    while name in taken:
        n += 1
        name = f"{wanted}_{n}"
    return name


def new_name(column: str, names: Sequence[str], params: Params) -> str:
    """Name of a column after renaming it.

    Raises
    ------
    FaultError
        Another column has that name.

    Examples
    --------
    >>> new_name("dep_delay", ["dep_delay"], {"to": None, "how": "case"})
    'DEP_DELAY'
    """
    others = [n for n in names if n != column]
    to = params["to"]
    if to is None:
        wanted = column.swapcase() if params["how"] == "case" else f"{column}_new"
        return free_name(wanted, others)
    if to in others:
        raise FaultError(f"schema.rename_column: there is already a column {to!r}: choose a name that is free")
    return str(to)


def _drop(given: SchemaInput) -> SchemaEdit:
    (name,) = given.columns
    change = SchemaChange(kind=SchemaChangeKind.DROPPED, column=name)
    return SchemaEdit(table=given.table.drop_columns([name]), changes=(change,))


def _rename(given: SchemaInput) -> SchemaEdit:
    (name,) = given.columns
    names = given.table.column_names
    to = new_name(name, names, given.params)
    if to == name:
        return SchemaEdit(table=given.table, changes=())
    change = SchemaChange(kind=SchemaChangeKind.RENAMED, column=name, to=to)
    return SchemaEdit(table=given.table.rename_columns([to if n == name else n for n in names]), changes=(change,))


def _check_name(source: Batch, history: Sequence[Batch], column: str | None, params: Params) -> dict[str, str]:
    """Refuse a name that is taken before anything is written; nothing is resolved."""
    new_name(str(column), source.columns, params)
    return {}


FAULTS = (
    Fault(
        code="schema.drop_column",
        family=Family.SCHEMA,
        title="a column is gone",
        doc="Upstream removes a field, or a select list loses it.",
        phase=Phase.SCHEMA,
        scope=Scope.LOCAL,
        kernel=_drop,
        ladder=ONE_RUNG,
        examples=(Example(columns=("x",), before={"id": [1, 2], "x": [3, 4]}, after={"id": [1, 2]}),),
    ),
    Fault(
        code="schema.rename_column",
        family=Family.SCHEMA,
        title="a column has another name",
        doc="Upstream renames a field, or a new reader changes the case of names. The values are all there.",
        phase=Phase.SCHEMA,
        scope=Scope.LOCAL,
        kernel=_rename,
        resolve=_check_name,
        ladder=ONE_RUNG,
        params=(
            Param(name="to", doc="The new name; without it one is made as `how` says.", default=None, takes=str),
            Param(
                name="how",
                doc="Append '_new', or swap the case of every letter; '_2' and so on where the name is taken.",
                default="suffix",
                choices=("suffix", "case"),
            ),
        ),
        examples=(
            Example(columns=("x",), before={"x": [1], "y": [2]}, after={"x_new": [1], "y": [2]}),
            Example(columns=("x",), before={"x": [1], "y": [2]}, after={"X": [1], "y": [2]}, params={"how": "case"}),
        ),
    ),
)
