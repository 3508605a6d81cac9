"""Cell-by-cell equality of two columns: null- and NaN-aware."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipechaos.batch.identity import is_bytes
from pipechaos.batch.values import fixed_width_bits, null_mask, plain, same_floats, wide_floats
from pipechaos.errors import BatchError

__all__ = ["same_values"]


def same_values(a: pa.Array | pa.ChunkedArray, b: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Where two columns hold the same value.

    Null equals null only, NaN equals NaN, -0.0 equals 0.0; how values are laid out (chunks, dictionary, width of
    string offsets) does not matter.

    Parameters
    ----------
    a, b
        Columns of equal length and, laid out plainly, of equal type.

    Returns
    -------
    numpy.ndarray
        bool, shape (n,).

    Raises
    ------
    BatchError
        Lengths or types differ.

    Examples
    --------
    >>> same_values(pa.array([0.0, float("nan"), None]), pa.array([-0.0, float("nan"), float("nan")])).tolist()
    [True, True, False]
    """
    left, right = plain(a), plain(b)
    if len(left) != len(right):
        raise BatchError(f"columns of {len(left)} and {len(right)} values cannot be compared: align their rows first")
    if left.type != right.type and not (is_bytes(left.type) and _wide(left.type) == _wide(right.type)):
        raise BatchError(f"values of type {left.type} and {right.type} cannot be compared: a column was retyped")
    left_null, right_null = null_mask(left), null_mask(right)
    same = _same_present(left, right)
    if left_null is None and right_null is None:
        return same
    none = np.zeros(len(left), np.bool_)
    left_null = none if left_null is None else left_null
    right_null = none if right_null is None else right_null
    return np.where(left_null | right_null, left_null & right_null, same)


def _wide(kind: pa.DataType) -> pa.DataType:
    return {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}.get(kind, kind)


def _same_present(left: pa.Array, right: pa.Array) -> npt.NDArray[np.bool_]:
    """Equality where both are present; anything where one is null."""
    kind = left.type
    if pa.types.is_null(kind):
        return np.ones(len(left), np.bool_)
    if pa.types.is_floating(kind):
        return same_floats(wide_floats(left), wide_floats(right))
    bits = fixed_width_bits(left)
    if bits is not None:
        same: npt.NDArray[np.bool_] = bits == fixed_width_bits(right)
        return same
    if is_bytes(kind) or pa.types.is_decimal(kind):
        equal = pc.equal(left.cast(_wide(kind)), right.cast(_wide(kind)))
        return np.asarray(pc.fill_null(equal, False) if equal.null_count else equal)
    pairs = zip(left.to_pylist(), right.to_pylist(), strict=True)
    return np.fromiter((_same_object(x, y) for x, y in pairs), np.bool_, len(left))


def _same_object(x: Any, y: Any) -> bool:
    if isinstance(x, float) and isinstance(y, float):
        return x == y or (x != x and y != y)
    if isinstance(x, (list, tuple)) and isinstance(y, (list, tuple)):
        return len(x) == len(y) and all(_same_object(i, j) for i, j in zip(x, y, strict=True))
    if isinstance(x, dict) and isinstance(y, dict):
        return x.keys() == y.keys() and all(_same_object(v, y[k]) for k, v in x.items())
    return bool(x == y)
