"""Old data that looks new."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from pipechaos.batch.values import plain
from pipechaos.errors import FaultError
from pipechaos.faults.kernel import Params
from pipechaos.faults.kinds import is_stamp
from pipechaos.faults.schema import ONE_RUNG
from pipechaos.faults.spec import Example, Family, Fault, Param, Phase, Scope

if TYPE_CHECKING:
    from pipechaos.batch.model import Batch

__all__ = ["FAULTS", "stamped"]

_DAY = 86_400_000_000
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}


def stamped(donor: Batch, source: Batch, params: Params) -> pa.Table:
    """Rows of an earlier batch under the stamps of the source batch.

    Parameters
    ----------
    donor
        The earlier batch; it has every column of the source.
    source
        Gives names, order and types of columns.
    params
        ``moved_by`` in microseconds, resolved; ``stamps``.

    Raises
    ------
    FaultError
        A column of the donor cannot be read as the source's type.
    UnknownNameError
        The donor lacks a column.
    """
    columns = []
    for field in source.table.schema:
        column = donor.column(field.name)
        if column.type != field.type:
            column = _read_as(column, field)
        if is_stamp(field.type) and (params["stamps"] == "all" or field.name == source.time):
            column = _moved(column, int(params["moved_by"]))
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=source.table.schema)


def _read_as(column: pa.ChunkedArray, field: pa.Field) -> pa.Array:
    try:
        return plain(column).cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise FaultError(
            f"time.stale: column {field.name!r} is {column.type} in the earlier batch and {field.type} in this one: "
            "take an earlier batch of the same schema"
        ) from None


def _moved(column: pa.ChunkedArray | pa.Array, micros: int) -> pa.ChunkedArray | pa.Array:
    """Timestamps and dates moved on; dates by whole days."""
    kind = column.type
    if pa.types.is_date(kind):
        days = micros // _DAY
        width, step = (pa.int32(), days) if pa.types.is_date32(kind) else (pa.int64(), days * 86_400_000)
    else:
        width = pa.int64()
        step = micros * 1000 if kind.unit == "ns" else micros // _MICROSECONDS[kind.unit]
    return pc.add_checked(column.cast(width), pa.scalar(step, width)).cast(kind)


def _first(batch: Batch) -> int | None:
    """First stamp of a batch, in microseconds."""
    if batch.time is None or not is_stamp(batch.column(batch.time).type):
        return None
    column = batch.column(batch.time)
    kind = column.type
    if pa.types.is_date(kind):
        first = pc.min(column.cast(pa.date32()).cast(pa.int32())).as_py()
        return None if first is None else first * _DAY
    first = pc.min(column.cast(pa.int64())).as_py()
    if first is None:
        return None
    return int(first) // 1000 if kind.unit == "ns" else int(first) * _MICROSECONDS[kind.unit]


def _resolve_move(source: Batch, donors: Sequence[Batch], column: str | None, params: Params) -> dict[str, int] | None:
    """``moved_by``: whole days from the donor's first stamp to the source's; the exact gap within one day."""
    new, old = _first(source), _first(donors[-1]) if donors else None
    if new is None or old is None:
        return None
    days = new // _DAY - old // _DAY
    return {"moved_by": days * _DAY if days else new - old}


FAULTS = (
    Fault(
        code="time.stale",
        family=Family.TIME,
        title="yesterday's rows under today's stamp",
        doc="A job reads the last extract again, because today's is late, and stamps it as today's. Every row is real "
        "and old. Stamps move by whole days (UTC), from the first stamp of the earlier batch to the first of this one.",
        phase=Phase.ROWS,
        scope=Scope.RESOLVED,
        kernel=None,
        resolve=_resolve_move,
        ladder=ONE_RUNG,
        params=(
            Param(
                name="stamps",
                doc="Stamp every timestamp and date column anew, or only the declared time column.",
                default="all",
                choices=("all", "time"),
            ),
        ),
        column_count=0,
        needs_value=False,
        donor=True,
        needs_time=True,
        examples=(
            Example(
                before={"day": [dt.date(2013, 6, 3), dt.date(2013, 6, 3)], "x": [1, 2]},
                donor={"day": [dt.date(2013, 6, 1)], "x": [9]},
                after={"day": [dt.date(2013, 6, 3)], "x": [9]},
                time="day",
            ),
        ),
    ),
)
