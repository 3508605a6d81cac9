"""Row identity: origin and choice id, computed once from the source batch (ENGINE.md section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipechaos import counter
from pipechaos.errors import BatchError

__all__ = ["Identity", "byte_buffers", "choice_ids", "identify", "is_bytes", "is_text"]

Origins = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Identity:
    """What makes a row itself, carried beside the table and never a column of it.

    Attributes
    ----------
    origin
        int64, shape (rows,): position in the source batch, -1 for a row that a fault made.
    choice
        uint64, shape (rows,): what the hash sees.
    duplicated
        Rows of the source batch that share their key with an earlier one; they share their fate as well.
    keyed
        Whether choice ids come from key columns; else they are row numbers.
    """

    origin: Origins
    choice: counter.U64
    duplicated: int = 0
    keyed: bool = False

    def take(self, positions: Origins, made: npt.NDArray[np.bool_] | None = None) -> Identity:
        """Identity of the rows at these positions; rows marked as made lose their origin."""
        origin = self.origin[positions]
        if made is not None:
            origin = np.where(made, -1, origin)
        return Identity(origin=origin, choice=self.choice[positions], duplicated=self.duplicated, keyed=self.keyed)


def identify(table: pa.Table, key: Sequence[str], *, first_row: int = 0) -> Identity:
    """Identity of a source table's rows.

    Parameters
    ----------
    table
        The source rows.
    key
        Key columns in declared order; empty for row numbers.
    first_row
        Row number of the first row, where the table is a part of a stream.

    Raises
    ------
    BatchError
        A key column has a type that has no exact identity, or a row's key is null in every part.
    """
    origin = np.arange(first_row, first_row + table.num_rows, dtype=np.int64)
    if not key:
        return Identity(origin=origin, choice=origin.astype(np.uint64))
    columns = [table.column(name) for name in key]
    # a dictionary may hold a null of its own
    columns = [c.cast(c.type.value_type) if pa.types.is_dictionary(c.type) else c for c in columns]
    all_null = np.logical_and.reduce([_nulls(c) for c in columns])
    if all_null.any():
        raise BatchError(
            f"row {first_row + int(np.argmax(all_null))} has no key: {', '.join(key)} are all null. "
            "Fill or drop such rows upstream, or declare another key."
        )
    ids = choice_ids(columns, names=key)
    return Identity(origin=origin, choice=ids, duplicated=len(ids) - len(np.unique(ids)), keyed=True)


def choice_ids(columns: Sequence[pa.ChunkedArray | pa.Array], names: Sequence[str] = ()) -> counter.U64:
    """Choice ids of rows from their key columns (ENGINE.md section 1).

    Parameters
    ----------
    columns
        Key columns in declared order, of equal length.
    names
        Their names, for messages.

    Returns
    -------
    numpy.ndarray
        uint64, shape (rows,).

    Examples
    --------
    >>> format(int(choice_ids([pa.array([-1])])[0]), "016x")
    'e8f962119eb770e6'
    """
    h = np.full(len(columns[0]), counter.ROW_SEED, np.uint64)
    for i, column in enumerate(columns):
        h = _fold(h, column, names[i] if names else f"#{i}")
    return h


def _nulls(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.is_null(column))


def _fold(h: counter.U64, column: pa.ChunkedArray | pa.Array, name: str) -> counter.U64:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = pc.cast(column, kind.value_type), kind.value_type
    null = _nulls(column)
    if pa.types.is_null(kind):
        return counter.fold_null(h, null)
    if is_bytes(kind):
        data, offsets = byte_buffers(column)
        return counter.fold_bytes(h, data, offsets, null)
    return counter.fold_int64(h, _integers(column, kind, name), null)


def is_bytes(kind: pa.DataType) -> bool:
    """Whether values of this type are strings or binaries."""
    t = pa.types
    return (
        is_text(kind)
        or t.is_binary(kind)
        or t.is_large_binary(kind)
        or t.is_binary_view(kind)
        or t.is_fixed_size_binary(kind)
    )


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this type are strings, however they are laid out (a dictionary of strings is not)."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def byte_buffers(column: pa.ChunkedArray | pa.Array) -> tuple[npt.NDArray[np.uint8], Origins]:
    """Bytes and offsets (n + 1) of a string or binary column, whatever its layout and slicing."""
    if is_text(column.type):
        column = column if pa.types.is_large_string(column.type) else pc.cast(column, pa.large_string())
    elif not pa.types.is_large_binary(column.type):
        column = pc.cast(pc.cast(column, pa.binary()), pa.large_binary())
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    _, offsets, data = array.buffers()
    if offsets is None or len(array) == 0:
        return np.zeros(0, np.uint8), np.zeros(len(array) + 1, np.int64)
    ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8), ends


def _integers(column: pa.ChunkedArray | pa.Array, kind: pa.DataType, name: str) -> Origins:
    t = pa.types
    if t.is_uint64(kind):
        filled = np.asarray(pc.fill_null(column, 0))
        return filled.astype(np.uint64, copy=False).view(np.int64)
    if t.is_integer(kind) or t.is_boolean(kind):
        whole = pc.cast(column, pa.int64())
    elif t.is_timestamp(kind):
        whole = pc.cast(column, pa.int64())
        factor = {"s": 1_000_000, "ms": 1_000}.get(kind.unit)
        filled = np.asarray(pc.fill_null(whole, 0)).astype(np.int64, copy=False)
        return filled // 1000 if kind.unit == "ns" else filled * (factor or 1)
    elif t.is_date32(kind):
        whole = pc.cast(pc.cast(column, pa.int32()), pa.int64())
    elif t.is_date64(kind):
        filled = np.asarray(pc.fill_null(pc.cast(column, pa.int64()), 0)).astype(np.int64, copy=False)
        return filled // 86_400_000
    else:
        raise BatchError(
            f"key column {name!r} has type {kind}: a key takes integers, booleans, strings, binaries, dates and "
            "timestamps, which have one exact form. Cast it upstream or leave it out of the key."
        )
    return np.asarray(pc.fill_null(whole, 0)).astype(np.int64, copy=False)
