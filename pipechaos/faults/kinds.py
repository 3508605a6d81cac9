"""Which Arrow types faults apply to; every predicate takes the value type of a dictionary."""

from __future__ import annotations

import pyarrow as pa

from pipechaos.batch.identity import is_text

__all__ = ["is_number", "is_ordered", "is_signed_number", "is_stamp", "is_text", "takes_sentinel"]

_t = pa.types


def is_number(kind: pa.DataType) -> bool:
    """Integers and floats; neither booleans nor decimals."""
    return bool(_t.is_integer(kind) or _t.is_floating(kind))


def is_signed_number(kind: pa.DataType) -> bool:
    """Numbers that can be negative."""
    return bool(_t.is_signed_integer(kind) or _t.is_floating(kind))


def is_stamp(kind: pa.DataType) -> bool:
    """Timestamps and dates."""
    return bool(_t.is_timestamp(kind) or _t.is_date(kind))


def is_ordered(kind: pa.DataType) -> bool:
    """Types whose values Arrow can sort and compare, so that a quantile of them means something."""
    if _t.is_float16(kind):  # Arrow has no kernel that sorts them
        return False
    return bool(is_number(kind) or _t.is_decimal(kind) or _t.is_boolean(kind) or _t.is_temporal(kind) or is_text(kind))


def takes_sentinel(kind: pa.DataType) -> bool:
    """Types in which a value can stand for "unknown": numbers, text, timestamps and dates."""
    return is_number(kind) or is_text(kind) or is_stamp(kind)
