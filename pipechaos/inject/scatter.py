"""Write new values into a column at some positions, keeping its Arrow type."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipechaos.batch.values import plain
from pipechaos.errors import FaultError

__all__ = ["as_type", "scatter"]


def scatter(current: pa.Array, positions: npt.NDArray[np.int64], values: pa.Array) -> pa.Array:
    """Copy of a plain array with these values at these sorted positions.

    Parameters
    ----------
    current
        Plain array (no dictionary), shape (n,).
    positions
        Sorted positions, int64, shape (m,).
    values
        New values, shape (m,), of the same type.
    """
    if len(positions) == 0:
        return current
    kind = current.type
    if pa.types.is_nested(kind) or pa.types.is_duration(kind) or pa.types.is_interval(kind):
        # no mask kernel for these; a take over both is general
        index = np.arange(len(current))
        index[positions] = len(current) + np.arange(len(positions))
        return pa.concat_arrays([current, values]).take(pa.array(index))
    mask = np.zeros(len(current), np.bool_)
    mask[positions] = True
    if values.null_count == len(values):
        return pc.if_else(pa.array(mask), pa.scalar(None, kind), current)
    return pc.replace_with_mask(current, pa.array(mask), values)


def as_type(values: pa.Array, like: pa.ChunkedArray) -> pa.Array:
    """Plain values in the layout of the column they came from: large strings, dictionaries with their order kept.

    Raises
    ------
    FaultError
        A dictionary has no room for the new values.
    """
    kind = like.type
    if not pa.types.is_dictionary(kind):
        return values if values.type == kind else values.cast(kind)
    merged = like.unify_dictionaries().combine_chunks() if like.num_chunks else pa.array([], kind)
    chunk = merged.chunk(0) if isinstance(merged, pa.ChunkedArray) else merged
    old = plain(chunk.dictionary)
    fresh = pc.unique(values.filter(pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, value_set=old)))))
    dictionary = pa.concat_arrays([old, fresh]) if len(fresh) else old
    try:
        indices = pc.index_in(values, value_set=dictionary).cast(kind.index_type)
    except pa.ArrowInvalid:
        raise FaultError(
            f"the dictionary has {len(dictionary)} values, more than {kind.index_type} can count"
        ) from None
    return pa.DictionaryArray.from_arrays(indices, dictionary.cast(kind.value_type), ordered=kind.ordered)
