"""Missing values: gone, gone for a reason, or disguised as a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipechaos.errors import FaultError
from pipechaos.faults.kernel import CellInput, Params
from pipechaos.faults.kinds import is_ordered, is_stamp, is_text, takes_sentinel
from pipechaos.faults.spec import (
    CELL_PLACEMENTS,
    Example,
    Family,
    Fault,
    Kind,
    Ladder,
    Param,
    Phase,
    Scope,
    Summary,
)

if TYPE_CHECKING:
    from pipechaos.batch.model import Batch

__all__ = ["FAULTS", "sentinel", "to_null"]


def to_null(given: CellInput) -> pa.Array:
    """Null in every asked cell."""
    return pa.nulls(len(given.values), given.values.type)


def sentinel(kind: pa.DataType, text: str | None) -> pa.Scalar:
    """Value that stands for "unknown" in a column of this type.

    Parameters
    ----------
    kind
        Plain Arrow type.
    text
        The value as text; None for the usual one of the type.

    Raises
    ------
    FaultError
        The text is no value of this type.

    Examples
    --------
    >>> sentinel(pa.float64(), None).as_py(), sentinel(pa.string(), None).as_py(), sentinel(pa.uint8(), None).as_py()
    (-999.0, 'N/A', 255)
    """
    if text is None:
        text = _usual(kind)
    if is_text(kind):
        return pa.scalar(text, kind)
    try:
        if pa.types.is_timestamp(kind):
            found = pa.scalar(text).cast(pa.timestamp(kind.unit)).cast(kind)  # naive text is UTC
        else:
            found = pa.scalar(text).cast(kind)
    except pa.ArrowInvalid:
        raise FaultError(
            f"missing.sentinel: {text!r} is no value of type {kind}: give one that the column can hold, "
            f"for instance {_usual(kind)!r}"
        ) from None
    if pa.types.is_floating(kind) and np.isnan(found.as_py()):
        raise FaultError("missing.sentinel: NaN is a missing value, not a disguised one: use null.mcar")
    return found


def _usual(kind: pa.DataType) -> str:
    if is_text(kind):
        return "N/A"
    if is_stamp(kind):
        return "1970-01-01"
    if pa.types.is_integer(kind):
        bounds = np.iinfo(kind.to_pandas_dtype())
        return "-999" if bounds.min <= -999 else str(bounds.max)
    return "-999"


def _write_sentinel(given: CellInput) -> pa.Array:
    return pa.repeat(sentinel(given.values.type, given.params["value"]), len(given.values))


def _check_sentinel(
    source: Batch, history: Sequence[Batch], column: str | None, params: Params
) -> dict[str, str | None]:
    """Refuse a value that the column cannot hold before anything is written; nothing is resolved."""
    kind = source.column(str(column)).type
    sentinel(kind.value_type if pa.types.is_dictionary(kind) else kind, params["value"])
    return {}


_MCAR = Fault(
    code="null.mcar",
    family=Family.MISSING,
    title="values go missing at random",
    doc="A flaky source, a lossy parser or a timed-out call leaves gaps that have nothing to do with the data.",
    phase=Phase.CELLS,
    scope=Scope.LOCAL,
    kernel=to_null,
    ladder=Ladder(moves="fraction", rungs=(0.01, 0.05, 0.2, 0.5, 0.9)),
    placements=(Kind.RANDOM, Kind.BLOCK, Kind.BURST, Kind.ENTITY),
    moves=Summary.NULL_SHARE,
    examples=(
        Example(
            columns=("delay",),
            before={"id": [2**53 + 1, 2, 3], "delay": [4, None, 2**53 + 1]},
            after={"id": [2**53 + 1, 2, 3], "delay": [None, None, None]},
            note="Integers stay integers with a validity bitmap.",
        ),
    ),
)

_MNAR = Fault(
    code="null.mnar",
    family=Family.MISSING,
    title="values go missing because of what they are",
    doc="A sensor saturates, a form rejects large amounts, long delays are never reported: the missing values are the "
    "extreme ones, so what is left looks better than it is.",
    phase=Phase.CELLS,
    scope=Scope.LOCAL,
    kernel=to_null,
    ladder=Ladder(moves="fraction", rungs=(0.05, 0.2, 0.5, 0.8, 1.0)),
    applies=is_ordered,
    types="numbers, decimals, booleans, text, dates and times",
    placements=(Kind.OWN_VALUE,),
    moves=Summary.NULL_SHARE,
    examples=(
        Example(
            columns=("delay",),
            before={"delay": [50, 10, None, 40, 20, 30]},
            after={"delay": [None, 10, None, None, 20, 30]},
            placement={"kind": "own_value", "side": "high", "quantile": "0.8"},
            note="Value 4 of 5 is 40, and 40 or more is at risk.",
        ),
    ),
)

_MAR = Fault(
    code="null.mar",
    family=Family.MISSING,
    title="values go missing because of another column",
    doc="One slice of the data (a station, a late hour, the largest customers) loses a feature: the join or the device "
    "of that slice is broken.",
    phase=Phase.CELLS,
    scope=Scope.LOCAL,
    kernel=to_null,
    ladder=Ladder(moves="fraction", rungs=(0.05, 0.2, 0.5, 0.8, 1.0)),
    placements=(Kind.OTHER_COLUMN,),
    moves=Summary.NULL_SHARE,
    examples=(
        Example(
            columns=("temp",),
            before={"temp": [20.5, 21.0, 19.5, 18.0], "hour": [23, 7, None, 5]},
            after={"temp": [None, 21.0, 19.5, 18.0], "hour": [23, 7, None, 5]},
            placement={"kind": "other_column", "other": "hour", "side": "high", "quantile": "0.8"},
        ),
    ),
)

_SENTINEL = Fault(
    code="missing.sentinel",
    family=Family.MISSING,
    title="missing values disguised as a value",
    doc="The source writes -999, 'N/A', an empty text or 1970-01-01 for what it does not know. No null check sees it, "
    "and every mean takes it for real.",
    phase=Phase.CELLS,
    scope=Scope.LOCAL,
    kernel=_write_sentinel,
    resolve=_check_sentinel,
    ladder=Ladder(moves="fraction", rungs=(0.01, 0.05, 0.2, 0.5, 0.9)),
    params=(
        Param(
            name="value",
            doc="The value, as text; without it -999 for numbers (the highest value of a type that cannot hold it), "
            "'N/A' for text, 1970-01-01 for timestamps and dates. An empty text is a value.",
            default=None,
            takes=str,
        ),
    ),
    applies=takes_sentinel,
    types="numbers, text, timestamps and dates",
    placements=CELL_PLACEMENTS,
    examples=(
        Example(columns=("n",), before={"n": [4, None, 7]}, after={"n": [-999, None, -999]}),
        Example(columns=("s",), before={"s": ["a", None]}, after={"s": ["N/A", None]}),
        Example(columns=("s",), before={"s": ["a", None]}, after={"s": ["", None]}, params={"value": ""}),
    ),
)

FAULTS = (_MCAR, _MNAR, _MAR, _SENTINEL)
