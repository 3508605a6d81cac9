"""PostgreSQL's types and Arrow's: what each is read as, what each is declared as, and values as COPY takes them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipechaos.batch.identity import is_bytes, is_text
from pipechaos.batch.sql_session import SqlColumn
from pipechaos.batch.values import plain

__all__ = ["arrow_column", "column_text", "postgres_type"]

_FREE_NUMERIC = pa.decimal128(38, 18)
_EXACT: Mapping[str, pa.DataType] = MappingProxyType(
    {
        "bool": pa.bool_(),
        "int2": pa.int16(),
        "int4": pa.int32(),
        "int8": pa.int64(),
        "float4": pa.float32(),
        "float8": pa.float64(),
        "text": pa.string(),
        "date": pa.date32(),
        "bytea": pa.binary(),
    }
)
_CUT = MappingProxyType({"varchar": "character varying", "bpchar": "bpchar"})
_FORMATTED = frozenset({"json", "jsonb", "uuid"})
_TIMES: Mapping[str, tuple[pa.DataType, str]] = MappingProxyType(
    {
        "time": (pa.time64("us"), "time without time zone"),
        "timestamp": (pa.timestamp("us"), "timestamp without time zone"),
        "timestamptz": (pa.timestamp("us", tz="UTC"), "timestamp with time zone"),
    }
)


def arrow_column(name: str, kind: str, modifier: int, declared: str, *, is_enum: bool) -> SqlColumn | None:
    """Column of one of PostgreSQL's types; None for a type that is not read.

    Parameters
    ----------
    name
        Of the column.
    kind
        Name of the type in the catalog.
    modifier
        Its modifier (length, precision and scale), -1 without.
    declared
        The type as DDL writes it.
    is_enum
        Whether it is an enumeration, which is read as text.
    """
    if is_enum or kind in _FORMATTED:
        return SqlColumn(name=name, declared=declared, arrow=pa.string(), wider="text")
    if kind in _CUT:
        wider = "text" if modifier >= 0 else None
        return SqlColumn(name=name, declared=declared, arrow=pa.string(), wider=wider, literal=_CUT[kind])
    if kind in _TIMES:
        arrow, free = _TIMES[kind]
        return SqlColumn(name=name, declared=declared, arrow=arrow, wider=free if modifier >= 0 else None, literal=free)
    if kind == "numeric":
        number = _numeric(modifier)
        return number and SqlColumn(name=name, declared=declared, arrow=number, literal="numeric")
    exact = _EXACT.get(kind)
    return exact and SqlColumn(name=name, declared=declared, arrow=exact)


def _numeric(modifier: int) -> pa.DataType | None:
    if modifier < 0:
        return _FREE_NUMERIC
    precision, scale = ((modifier - 4) >> 16) & 0xFFFF, ((modifier - 4) & 0x7FF ^ 1024) - 1024
    if scale < 0:  # rounded left of the point: whole numbers with that many more digits
        precision, scale = precision - scale, 0
    precision = max(precision, scale)
    if precision > 76:
        return None
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def postgres_type(kind: pa.DataType) -> str | None:
    """PostgreSQL's type for an Arrow type; None where it has none.

    Examples
    --------
    >>> postgres_type(pa.uint32()), postgres_type(pa.decimal128(7, 2)), postgres_type(pa.list_(pa.int8()))
    ('bigint', 'numeric(7,2)', None)
    """
    t = pa.types
    if t.is_dictionary(kind):
        return postgres_type(kind.value_type)
    if t.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    if t.is_timestamp(kind):
        return "timestamp with time zone" if kind.tz else "timestamp without time zone"
    if t.is_date(kind) or t.is_time(kind):
        return "date" if t.is_date(kind) else "time without time zone"
    if is_bytes(kind) or t.is_null(kind):
        return "text" if is_text(kind) or t.is_null(kind) else "bytea"
    return _NUMBERS.get(str(kind))


_NUMBERS: Mapping[str, str] = MappingProxyType(
    {
        "bool": "boolean",
        **dict.fromkeys(("int8", "uint8", "int16"), "smallint"),
        **dict.fromkeys(("uint16", "int32"), "integer"),
        **dict.fromkeys(("uint32", "int64"), "bigint"),
        "uint64": "numeric(20,0)",
        **dict.fromkeys(("halffloat", "float"), "real"),
        "double": "double precision",
    }
)


def column_text(column: Any, declared: str) -> pa.Array:
    """Values as an array that the CSV writer turns into what COPY reads."""
    array = plain(column)
    kind, t = array.type, pa.types
    if t.is_decimal(kind):
        if declared == "numeric":  # its scale is each value's own: none that the source did not have
            return pa.array([None if v is None else f"{v.normalize():f}" for v in array.to_pylist()], pa.string())
        return array.cast(pa.string())
    if t.is_timestamp(kind) and kind.tz:
        return array.cast(pa.timestamp(kind.unit, tz="UTC"))
    if t.is_date64(kind):
        return array.cast(pa.date32())
    if t.is_float16(kind):
        return array.cast(pa.float32())
    if t.is_null(kind):
        return array.cast(pa.string())
    if is_bytes(kind) and not is_text(kind):
        return pc.binary_join_element_wise("\\x", pa.array(_hex(array), pa.string()), "")
    return array


def _hex(array: pa.Array) -> list[str | None]:
    return [None if v is None else v.hex() for v in array.to_pylist()]
