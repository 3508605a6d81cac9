"""Content digests of a table: ordered, and multiset (ENGINE.md section 8).

Both cover column names, Arrow types and values. Neither depends on chunking, dictionary encoding, offsets, the width of
string offsets, NaN payloads, the sign of zero, or what lies under a null. Seconds are read as milliseconds and
64-bit dates as 32-bit ones, since Parquet has no others; extension types are read as their storage.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipechaos import counter
from pipechaos.batch.identity import byte_buffers, is_bytes, is_text  # one way to see the bytes of a string column
from pipechaos.batch.values import fixed_width_bits, null_mask, one_array, plain, wide_floats

__all__ = ["digests", "multiset_digest", "ordered_digest", "plain", "type_name"]

Mask = npt.NDArray[np.bool_]
Offsets = npt.NDArray[np.int64]
Lanes = tuple[counter.U64, Mask | None]  # eight bytes for each value; which are null (None: none is)

_ROW_SEEDS = (0x9E3779B97F4A7C15, 0xD1B54A32D192ED03)  # two hashes: 128 bits a row
_VALUE_SEED = 0x2545F4914F6CDD1D
_NULL = 0xA0761D6478BD642F
_GROUP = 1 << 17  # values hashed in one go
_FEW = 4096  # below this many strings, finding the distinct ones costs less than hashing all


def ordered_digest(table: pa.Table) -> str:
    """Hex digest of names, types and values in row order.

    Examples
    --------
    >>> a, b = pa.table({"x": ["u", None]}), pa.table({"x": pa.array(["u", None]).dictionary_encode()})
    >>> ordered_digest(a) == ordered_digest(b)
    True
    """
    return digests(table)[0]


def multiset_digest(table: pa.Table) -> str:
    """Hex digest of names, types and the multiset of rows."""
    return digests(table)[1]


def digests(table: pa.Table) -> tuple[str, str]:
    """Ordered and multiset digest in one pass over the rows."""
    columns = [table.column(i) for i in range(table.num_columns)]
    names = [[n, type_name(c.type)] for n, c in zip(table.column_names, columns, strict=True)]
    header = json.dumps([*names, table.num_rows]).encode()
    rows = _row_hashes(columns, table.num_rows)
    ordered = hashlib.blake2b(header + rows.tobytes(), digest_size=16).hexdigest()
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    multiset = hashlib.blake2b(b"multiset" + header + rows.tobytes(), digest_size=16).hexdigest()
    return ordered, multiset


def _row_hashes(columns: Sequence[pa.ChunkedArray], count: int) -> counter.U64:
    """Two hashes of each row: sums over its columns, each with seeds of its own, so that columns may come in groups."""
    total = np.zeros((2, count), np.uint64)
    width = max(1, _GROUP // max(1, count))
    for first in range(0, len(columns), width):
        found = [_lanes(column) for column in columns[first : first + width]]
        lanes = np.concatenate([lane for lane, _ in found])
        numbers = np.arange(first, first + len(found), dtype=np.uint64)
        for half, seed in zip(total, _ROW_SEEDS, strict=True):
            seeds = counter.xxh64_u64(numbers, seed)
            absent = counter.xxh64_u64(numbers, seed ^ _NULL)
            hashes = counter.xxh64_u64(lanes, np.repeat(seeds, count)).reshape(len(found), count)
            for row, (_, null), mark in zip(hashes, found, absent, strict=True):
                if null is not None:
                    row[null] = mark
            half += hashes.sum(axis=0, dtype=np.uint64)
    return total.T


def type_name(kind: pa.DataType) -> str:
    """Name of a type, the same for all layouts of the same values."""
    t = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return type_name(kind.storage_type)
    if t.is_dictionary(kind):
        return type_name(kind.value_type)
    if is_text(kind):
        return "string"
    if t.is_binary(kind) or t.is_large_binary(kind) or t.is_binary_view(kind):
        return "binary"
    if t.is_timestamp(kind) and kind.unit == "s":
        return str(pa.timestamp("ms", kind.tz))
    if t.is_time32(kind):
        return "time32[ms]"
    if t.is_date64(kind):
        return "date32[day]"
    if t.is_struct(kind):
        return f"struct<{', '.join(json.dumps(f.name) + ': ' + type_name(f.type) for f in _fields(kind))}>"
    if t.is_map(kind):
        return f"map<{type_name(kind.key_type)}, {type_name(kind.item_type)}>"
    if _is_list(kind):
        size = kind.list_size if t.is_fixed_size_list(kind) else ""
        return f"list<{type_name(kind.value_type)}>{size}"
    return str(kind)


def _fields(kind: pa.DataType) -> list[pa.Field]:
    return [kind.field(i) for i in range(kind.num_fields)]


def _is_list(kind: pa.DataType) -> bool:
    t = pa.types
    views = getattr(t, "is_list_view", lambda _: False)(kind) or getattr(t, "is_large_list_view", lambda _: False)(kind)
    return bool(t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind) or views)


def _lanes(column: pa.Array | pa.ChunkedArray) -> Lanes:
    """Eight bytes that stand for each value, and which are null (None: none is).

    Values of up to eight bytes stand for themselves; longer ones are hashed once, from a constant seed.
    """
    if pa.types.is_dictionary(column.type) and (isinstance(column, pa.Array) or column.num_chunks == 1):
        array = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        return _by_code(array.indices, *_lanes(array.dictionary))
    array = one_array(column)
    kind = array.type
    null = null_mask(array)
    if pa.types.is_null(kind):
        return np.zeros(len(array), np.uint64), null
    if is_bytes(kind):
        return _blank(_byte_lanes(array), null), null
    if pa.types.is_floating(kind):
        wide = wide_floats(array) + 0.0  # one zero
        wide[np.isnan(wide)] = np.nan  # one NaN
        return wide.view(np.uint64), null
    bits = fixed_width_bits(array)
    if bits is not None:
        if (pa.types.is_timestamp(kind) or pa.types.is_time32(kind)) and kind.unit == "s":
            bits = bits * 1000
        return (bits // 86_400_000 if pa.types.is_date64(kind) else bits).view(np.uint64), null
    return _blank(_nested(array), null), null


def _by_code(codes: pa.Array, lanes: counter.U64, value_null: Mask | None) -> Lanes:
    """Lanes of a dictionary column from those of its distinct values."""
    null = null_mask(codes)
    if not len(lanes):
        return np.zeros(len(codes), np.uint64), null
    at = np.asarray(codes.fill_null(0) if null is not None else codes)
    if value_null is not None:
        null = value_null[at] if null is None else null | value_null[at]
    return _blank(lanes[at], null), null


def _blank(lanes: counter.U64, null: Mask | None) -> counter.U64:
    if null is not None:
        lanes[null] = 0
    return lanes


def _byte_lanes(array: pa.Array) -> counter.U64:
    """Lanes of strings or binaries: up to seven bytes stand for themselves with their count, more are hashed."""
    data, offsets = byte_buffers(array)
    lengths = np.diff(offsets)
    short = lengths < 8
    whole = bool(short.all())
    if not whole and len(array) <= _FEW and not pa.types.is_fixed_size_binary(array.type):
        codes = array.dictionary_encode()
        if len(codes.dictionary) < len(array) // 2:
            return _by_code(codes.indices, _byte_lanes(codes.dictionary), None)[0]
    size = (lengths if whole else np.where(short, lengths, 0)).astype(np.uint64)
    words = counter.windows(data[offsets[0] : offsets[-1]])[offsets[:-1] - offsets[0]].astype(np.uint64)
    packed = (words & ((np.uint64(1) << (size << np.uint64(3))) - np.uint64(1))) | (size << np.uint64(56))
    return packed if whole else np.where(short, packed, _hashed(data, offsets, short))


def _hashed(data: npt.NDArray[np.uint8], offsets: Offsets, left_out: Mask | None = None) -> counter.U64:
    count = len(offsets) - 1
    skipped = np.zeros(count, np.bool_) if left_out is None else left_out
    return counter.fold_bytes(np.full(count, _VALUE_SEED, np.uint64), data, offsets, skipped)


def _nested(array: pa.Array) -> counter.U64:
    """One hash for each nested or other value: of its parts' lanes, in order."""
    kind, t = array.type, pa.types
    if t.is_struct(kind):
        parts = [_lanes(part) for part in array.flatten()]
        return _chained(parts, len(array))
    if t.is_map(kind):
        starts, ends = _bounds(array)
        return _of_runs(_chained([_lanes(array.keys), _lanes(array.items)], len(array.keys)), starts, ends)
    if _is_list(kind):
        starts, ends = _bounds(array)
        values = array.values
        return _of_runs(_chained([_lanes(values)], len(values)), starts, ends)
    texts = pa.array([None if v is None else repr(v) for v in array.to_pylist()], pa.string())  # decimals, intervals
    return _hashed(*byte_buffers(texts))


def _chained(parts: Sequence[Lanes], count: int) -> counter.U64:
    h = np.full(count, _VALUE_SEED, np.uint64)
    for lanes, null in parts:
        h = counter.xxh64_u64(lanes, h if null is None else np.where(null, h ^ np.uint64(_NULL), h))
    return h


def _bounds(array: pa.Array) -> tuple[Offsets, Offsets]:
    """Where each list starts and ends among the values; empty for a null."""
    kind = array.type
    if pa.types.is_fixed_size_list(kind):
        starts = (np.arange(len(array)) + array.offset) * kind.list_size
        return starts, starts + kind.list_size
    offsets = np.asarray(array.offsets).astype(np.int64)
    if hasattr(array, "sizes"):  # list views
        return offsets, offsets + np.asarray(array.sizes).astype(np.int64)
    return offsets[:-1], offsets[1:]


def _of_runs(lanes: counter.U64, starts: Offsets, ends: Offsets) -> counter.U64:
    """Hash of the eight-byte lanes in each run."""
    lengths = ends - starts
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    at = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    return _hashed(lanes[at].view(np.uint8), offsets * 8)
