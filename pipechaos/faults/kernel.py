"""What kernels are given and what they give back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipechaos import counter

if TYPE_CHECKING:
    import pyarrow as pa

    from pipechaos.batch.model import Batch

__all__ = [
    "CellInput",
    "CellKernel",
    "Params",
    "Resolver",
    "RowEdit",
    "RowInput",
    "RowKernel",
    "Scalar",
    "SchemaChange",
    "SchemaChangeKind",
    "SchemaEdit",
    "SchemaInput",
    "SchemaKernel",
]

Scalar = int | float | str | bool | None
Params = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class CellInput:
    """What a cell kernel sees: only the cells it was asked to change.

    Attributes
    ----------
    column
        Name of the column written.
    values
        Values of the asked cells as earlier faults of the plan left them; plain (no dictionary, one chunk); without
        nulls when the fault needs a value.
    rows
        Choice ids of these rows, uint64.
    key
        Seeds; use :meth:`draw` and :func:`pipechaos.counter.order`, never a generator.
    params
        Frozen parameters, resolved ones among them.
    """

    column: str
    values: pa.Array
    rows: counter.U64
    key: counter.Streams
    params: Params

    def draw(self, j: int) -> counter.U64:
        """Draw j of each asked row."""
        return counter.draw(self.rows, j, self.key)


@dataclass(frozen=True, kw_only=True, eq=False)
class RowInput:
    """What a row kernel sees.

    Attributes
    ----------
    rows
        Choice ids of the rows as they stand now, uint64, shape (n,).
    hit
        Which of them are asked for, bool, shape (n,).
    """

    rows: counter.U64
    hit: npt.NDArray[np.bool_]
    key: counter.Streams
    params: Params


@dataclass(frozen=True, kw_only=True, eq=False)
class RowEdit:
    """What a row kernel gives back: positions to take, in order, and which of them are rows it made.

    Attributes
    ----------
    take
        int64, shape (m,): positions among the current rows.
    made
        bool, shape (m,): True for a row that the fault made (its origin becomes -1).
    """

    take: npt.NDArray[np.int64]
    made: npt.NDArray[np.bool_]


class SchemaChangeKind(StrEnum):
    """What happened to a column as a whole."""

    DROPPED = "dropped"
    ADDED = "added"
    RENAMED = "renamed"
    RETYPED = "retyped"


@dataclass(frozen=True, kw_only=True)
class SchemaChange:
    """One column dropped, added, renamed or retyped.

    Attributes
    ----------
    column
        Its name before (after, for an added column).
    to
        New name of a renamed column.
    from_type, to_type
        Arrow types of a retyped column.
    """

    kind: SchemaChangeKind
    column: str
    to: str | None = None
    from_type: str | None = None
    to_type: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class SchemaInput:
    """What a schema or type kernel sees: the whole table as the earlier phases left it."""

    table: pa.Table
    columns: tuple[str, ...]
    params: Params


@dataclass(frozen=True, kw_only=True, eq=False)
class SchemaEdit:
    """What a schema or type kernel gives back."""

    table: pa.Table
    changes: tuple[SchemaChange, ...]


CellKernel = Callable[[CellInput], "pa.Array"]
RowKernel = Callable[[RowInput], RowEdit]
SchemaKernel = Callable[[SchemaInput], SchemaEdit]
# (source batch, history, column or None, params) -> parameters to add, or None when there is nothing to scale by
Resolver = Callable[["Batch", Sequence["Batch"], str | None, Params], Mapping[str, Scalar | tuple[str, ...]] | None]
