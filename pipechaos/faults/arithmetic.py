"""Arithmetic on asked cells: IEEE + - * / rounded once for floats, exact and saturating for integers.

Integers are never cast to floats on the way, so ids above 2^53 keep every digit; a result beyond the type's bounds
becomes the bound (never a wrap). Floats are computed in float64 and then rounded to the column's width; beyond it they
are infinite.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["Floats", "moved", "negated", "scaled"]

Floats = npt.NDArray[np.float64]

_EXACT = 1 << 53  # every integer up to here is a float64
_ROOM = 1 << 62  # two integers below this add without overflow in int64
_FAR = float(1 << 70)  # farther than any 64-bit integer can move


def moved(values: pa.Array, delta: Floats) -> pa.Array:
    """Values plus deltas; for integers the delta is first rounded half to even.

    Parameters
    ----------
    values
        Integers or floats without nulls, shape (n,).
    delta
        float64, shape (n,), finite.

    Examples
    --------
    >>> moved(pa.array([2**53 + 1, 250], pa.int64()), np.array([2.0, 0.5])).to_pylist()
    [9007199254740995, 250]
    >>> moved(pa.array([250], pa.uint8()), np.array([9.0])).to_pylist()
    [255]
    """
    if pa.types.is_floating(values.type):
        with np.errstate(over="ignore", invalid="ignore"):
            return _floats(_wide(values) + delta, values.type)
    numbers = np.asarray(values)
    steps = np.rint(np.clip(delta, -_FAR, _FAR))
    bounds = np.iinfo(numbers.dtype)
    easy = (np.abs(steps) < _ROOM) & (numbers < _ROOM)
    if bounds.min < 0:
        easy &= numbers > -_ROOM
    out = numbers.copy()
    sums = numbers[easy].astype(np.int64) + steps[easy].astype(np.int64)
    out[easy] = np.clip(sums, bounds.min, min(int(bounds.max), 2 * _ROOM - 1)).astype(numbers.dtype)
    for i in np.flatnonzero(~easy):
        out[i] = _bounded(int(numbers[i]) + int(steps[i]), bounds)
    return pa.array(out, values.type)


def scaled(values: pa.Array, factor: float) -> pa.Array:
    """Values times a factor; integers rounded half to even, exactly so beyond 2^53.

    Parameters
    ----------
    values
        Integers or floats without nulls.
    factor
        A finite float.

    Examples
    --------
    >>> scaled(pa.array([3, 5, 2**60 + 1]), 2.5).to_pylist()
    [8, 12, 2882303761517117442]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        product = _wide(values) * factor
        if pa.types.is_floating(values.type):
            return _floats(product, values.type)
    numbers = np.asarray(values)
    bounds = np.iinfo(numbers.dtype)
    easy = (numbers <= _EXACT) & (np.abs(product) <= _EXACT)
    if bounds.min < 0:
        easy &= numbers >= -_EXACT
    out = numbers.copy()
    out[easy] = _bounded_floats(np.rint(product[easy]), bounds).astype(numbers.dtype)
    exact = Fraction(factor)
    for i in np.flatnonzero(~easy):
        out[i] = _bounded(round(int(numbers[i]) * exact), bounds)
    return pa.array(out, values.type)


def negated(values: pa.Array) -> pa.Array:
    """Values with the other sign; the lowest integer, which has no opposite, becomes the highest.

    Examples
    --------
    >>> negated(pa.array([5, 0, -128], pa.int8())).to_pylist()
    [-5, 0, 127]
    """
    numbers = np.asarray(values)
    if pa.types.is_floating(values.type):
        return pa.array(-numbers, values.type)
    bounds = np.iinfo(numbers.dtype)
    return pa.array(-np.maximum(numbers, -bounds.max), values.type)


def _wide(values: pa.Array) -> Floats:
    return np.asarray(values).astype(np.float64)


def _floats(wide: Floats, kind: pa.DataType) -> pa.Array:
    return pa.array(wide.astype(kind.to_pandas_dtype()), kind)


def _bounded(number: int, bounds: Any) -> int:
    return max(int(bounds.min), min(int(bounds.max), number))


def _bounded_floats(numbers: Floats, bounds: Any) -> Floats:
    # only reached within +-2^53, where the bounds of narrow types are exact and those of 64 bits are out of reach
    out: Floats = np.clip(numbers, float(bounds.min), float(min(int(bounds.max), _EXACT)))
    return out
