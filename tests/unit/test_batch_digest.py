"""What digests see and what they do not, on small cases worked out by hand."""

import hashlib
import struct

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xxhash

from pipechaos.batch.compare import same_values
from pipechaos.batch.digest import digests, multiset_digest, ordered_digest
from pipechaos.batch.frame import frame_digests
from pipechaos.errors import BatchError

NAN_BITS = np.array([0x7FF8000000000000, 0x7FF8000000000001, 0xFFF8000000000000], np.uint64).view(np.float64)


def table(values, kind=None, name="x"):
    return pa.table({name: pa.array(values, kind)})


DIFFERENT = {
    "name": (table([1]), table([1], name="y")),
    "type": (table([1], pa.int32()), table([1], pa.int64())),
    "time zone": (table([1], pa.timestamp("us")), table([1], pa.timestamp("us", tz="UTC"))),
    "time unit": (table([1000], pa.timestamp("ms")), table([1000], pa.timestamp("us"))),
    "null and zero": (table([None], pa.int64()), table([0])),
    "null and empty text": (table([None], pa.string()), table([""])),
    "null and NaN": (table([None], pa.float64()), table([float("nan")])),
    "trailing zero byte": (table([b"a"]), table([b"a\0"])),
    "seven and eight bytes": (table(["1234567"]), table(["12345678"])),
    "one more row": (table([1, 1]), table([1])),
    "ids above 2^53": (table([2**53 + 1]), table([2**53])),
    "bytes and text": (table([b"a"]), table(["a"])),
    "empty list and null": (table([[]], pa.list_(pa.int8())), table([None], pa.list_(pa.int8()))),
    "where a list ends": (table([[1], [2, 3]]), table([[1, 2], [3]])),
    "null in a struct": (
        table([{"a": None}], pa.struct([("a", pa.int8())])),
        table([None], pa.struct([("a", pa.int8())])),
    ),
    "two columns swapped": (pa.table({"a": [1], "b": [2]}), pa.table({"a": [2], "b": [1]})),
    "order of columns": (pa.table({"a": [1], "b": [1]}), pa.table({"b": [1], "a": [1]})),
    "cells paired otherwise": (pa.table({"a": [1, 2], "b": [1, 2]}), pa.table({"a": [1, 2], "b": [2, 1]})),
    "how often a row occurs": (table([1, 1, 2]), table([1, 2, 2])),
    "no rows, other types": (table([], pa.int8()), table([], pa.int16())),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_both_digests_see(case):
    a, b = DIFFERENT[case]
    assert ordered_digest(a) != ordered_digest(b)
    assert multiset_digest(a) != multiset_digest(b)


UNUSED = pa.DictionaryArray.from_arrays(pa.array([1, None]), pa.array(["a very long unused value", "u", None]))
UNDER_NULL = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([7, 99]).tobytes())])
SAME = {
    "sign of zero": (table([0.0, 1.0]), table([-0.0, 1.0])),
    "sign of zero, single": (table([0.0], pa.float32()), table([-0.0], pa.float32())),
    "sign of zero in a list": (table([[0.0]]), table([[-0.0]])),
    "NaN payloads": (table(NAN_BITS), table([float("nan")] * 3)),
    "unused dictionary values": (pa.table({"x": UNUSED}), table(["u", None])),
    "under a null": (pa.table({"x": UNDER_NULL}), table([7, None])),
    "large strings": (table(["a"], pa.large_string()), table(["a"])),
    "large strings in a list": (table([["a"]], pa.list_(pa.large_string())), table([["a"]])),
    "large lists": (table([["a"], []], pa.large_list(pa.string())), table([["a"], []])),
    "seconds": (table([3], pa.timestamp("s")), table([3000], pa.timestamp("ms"))),
    "metadata": (table([1]).replace_schema_metadata({"a": "b"}), table([1])),
}


@pytest.mark.parametrize("case", SAME)
def test_no_digest_sees(case):
    a, b = SAME[case]
    assert digests(a) == digests(b)


def test_what_is_equal_is_compared_as_equal():
    for case in ("sign of zero", "NaN payloads", "unused dictionary values", "under a null", "sign of zero in a list"):
        a, b = SAME[case]
        assert same_values(a.column(0), b.column(0)).all(), case


def test_order_is_seen_by_one_digest_only():
    a, b = table([1, 2, 2]), table([2, 1, 2])
    assert ordered_digest(a) != ordered_digest(b)
    assert multiset_digest(a) == multiset_digest(b)


def test_long_columns_hash_like_short_ones():
    # above some length strings are no longer hashed by distinct value, and columns come in groups
    row = pa.table({f"c{i}": [f"value number {i}", "b", None] for i in range(5)})
    long = pa.concat_tables([row] * 20_000)
    parts = pa.concat_tables([row.combine_chunks().take(pa.array([0, 1, 2] * 100))] * 200)
    assert digests(long) == digests(parts.combine_chunks())


def test_lists_that_start_inside_an_array():
    lists = pa.array([[9], [1, 2], None, [3]])
    fixed = pa.array([[9, 9], [1, 2], None], pa.list_(pa.int64(), 2))
    maps = pa.array([[("z", 9)], [("a", 1), ("b", None)]], pa.map_(pa.string(), pa.int64()))
    for array, values in ((lists, [[1, 2], None, [3]]), (fixed, [[1, 2], None]), (maps, [[("a", 1), ("b", None)]])):
        assert digests(pa.table({"x": array.slice(1)})) == digests(table(values, array.type))


FRAMES = {
    "index": (pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [1, 2]}, index=[5, 6])),
    "index values": (pd.DataFrame({"x": [1, 2]}, index=[5, 6]), pd.DataFrame({"x": [1, 2]}, index=[6, 5])),
    "index start": (pd.DataFrame({"x": [1]}, index=range(1)), pd.DataFrame({"x": [1]}, index=range(1, 2))),
    "dtype": (pd.DataFrame({"x": [1]}), pd.DataFrame({"x": [1]}, dtype="Int64")),
    "label type": (pd.DataFrame({"1": [1]}), pd.DataFrame({1: [1]})),
    "None and NaN": (pd.DataFrame({"x": ["a", None]}, dtype=object), pd.DataFrame({"x": ["a", np.nan]}, dtype=object)),
    "1 and True": (pd.DataFrame({"x": [1, "a"]}, dtype=object), pd.DataFrame({"x": [True, "a"]}, dtype=object)),
    "1 and 1.0": (pd.DataFrame({"x": [1, 2.0]}, dtype=object), pd.DataFrame({"x": [1.0, 2]}, dtype=object)),
    "NA and NaN": (
        pd.DataFrame({"x": pd.arrays.FloatingArray(np.array([np.nan]), np.array([True]))}),
        pd.DataFrame({"x": pd.arrays.FloatingArray(np.array([np.nan]), np.array([False]))}),
    ),
    "categories": (
        pd.DataFrame({"x": pd.Categorical(["a"], ["a", "b"])}),
        pd.DataFrame({"x": pd.Categorical(["a"], ["b", "a"])}),
    ),
    "ordered": (
        pd.DataFrame({"x": pd.Categorical(["a"], ["a"], ordered=True)}),
        pd.DataFrame({"x": pd.Categorical(["a"], ["a"])}),
    ),
    "complex numbers": (pd.DataFrame({"x": [1j]}), pd.DataFrame({"x": [2j]})),
    "order of rows": (pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [2, 1]})),
}


@pytest.mark.parametrize("case", FRAMES)
def test_frame_digest_sees(case):
    a, b = FRAMES[case]
    assert frame_digests(a)[0] != frame_digests(b)[0]
    assert frame_digests(a) == frame_digests(a.copy(deep=True))


def test_frame_multiset_digest_takes_any_order():
    frame = pd.DataFrame({"x": [1, 2, 3], "s": ["a", None, "b"]})
    moved = frame.iloc[[2, 0, 1]].reset_index(drop=True)
    assert frame_digests(frame)[1] == frame_digests(moved)[1]
    assert frame_digests(pd.DataFrame())[0] != frame_digests(pd.DataFrame(index=range(3)))[0]


def test_columns_that_cannot_be_compared_are_refused():
    with pytest.raises(BatchError, match="2 and 1 values"):
        same_values(pa.array([1, 2]), pa.array([1]))
    with pytest.raises(BatchError, match="int64 and double"):
        same_values(pa.array([1]), pa.array([1.0]))


def le8(n):
    return (n % 2**64).to_bytes(8, "little")


def test_digest_is_what_it_says_value_by_value():
    # the same sums and hashes without numpy or Arrow, so that a stored digest stays good
    def lane(value):
        if isinstance(value, str) and len(value.encode()) > 7:
            marked = xxhash.xxh64_intdigest(le8(1), 0x2545F4914F6CDD1D)
            return xxhash.xxh64_intdigest(value.encode(), marked)
        if isinstance(value, str):
            return int.from_bytes(value.encode().ljust(7, b"\0") + bytes([len(value.encode())]), "little")
        return struct.unpack("<Q", struct.pack("<d", value))[0] if isinstance(value, float) else value

    columns = {
        "i": [1, None, -5],
        "s": ["", "größe", None],
        "t": ["a longer text", None, "12345678"],
        "f": [0.5, -2.0, None],
    }
    halves = []
    for row_seed in (0x9E3779B97F4A7C15, 0xD1B54A32D192ED03):
        sums = [0, 0, 0]
        for number, values in enumerate(columns.values()):
            seed = xxhash.xxh64_intdigest(le8(number), row_seed)
            absent = xxhash.xxh64_intdigest(le8(number), row_seed ^ 0xA0761D6478BD642F)
            for row, value in enumerate(values):
                sums[row] += absent if value is None else xxhash.xxh64_intdigest(le8(lane(value)), seed)
        halves.append(sums)
    header = b'[["i", "int64"], ["s", "string"], ["t", "string"], ["f", "double"], 3]'
    rows = [(a % 2**64, b % 2**64) for a, b in zip(*halves, strict=True)]
    ordered = header + b"".join(le8(a) + le8(b) for a, b in rows)
    multiset = b"multiset" + header + b"".join(le8(a) + le8(b) for a, b in sorted(rows))
    expected = tuple(hashlib.blake2b(x, digest_size=16).hexdigest() for x in (ordered, multiset))
    assert digests(pa.table(columns)) == expected
