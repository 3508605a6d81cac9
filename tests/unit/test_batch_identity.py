"""Identity of rows: key types against the xxhash library, null keys, duplicates, parts of a stream."""

import datetime as dt
import itertools
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from pipechaos.batch.identity import byte_buffers, choice_ids, identify
from pipechaos.batch.model import Batch, Role
from pipechaos.errors import BatchError, UnknownNameError


def le8(n):
    return (n % 2**64).to_bytes(8, "little")


def reference_id(*values):
    """ENGINE.md section 1, value by value; integers, bytes or None."""
    h = 42
    for value in values:
        if value is None:
            h = xxhash.xxh64_intdigest(le8(0), h)
            continue
        h = xxhash.xxh64_intdigest(le8(1), h)
        h = xxhash.xxh64_intdigest(value if isinstance(value, bytes) else le8(value), h)
    return h


def ids(*columns):
    return [int(x) for x in choice_ids(columns)]


BIG = 2**53 + 1
TYPES = [
    (pa.int8(), [-3, None, 4], [-3, None, 4]),
    (pa.int64(), [BIG, BIG + 1, -(2**63)], [BIG, BIG + 1, -(2**63)]),
    (pa.uint64(), [2**64 - 1, None, 7], [-1, None, 7]),
    (pa.uint32(), [2**32 - 1], [2**32 - 1]),
    (pa.bool_(), [True, False, None], [1, 0, None]),
    (pa.string(), ["", "JFK", None, "größe"], [b"", b"JFK", None, "größe".encode()]),
    (pa.large_string(), ["x" * 40], [b"x" * 40]),
    (pa.string_view(), ["short", "long enough to be a view"], [b"short", b"long enough to be a view"]),
    (pa.binary(), [b"\0\xff", None], [b"\0\xff", None]),
    (pa.binary(2), [b"ab", None], [b"ab", None]),
    (pa.date32(), [dt.date(1970, 1, 2), dt.date(1969, 12, 31)], [1, -1]),
    (pa.date64(), [dt.date(1970, 1, 2), dt.date(1969, 12, 31), None], [1, -1, None]),
    (pa.timestamp("s"), [-1, 2, None], [-1_000_000, 2_000_000, None]),
    (pa.timestamp("ms", tz="UTC"), [-1, 2], [-1000, 2000]),
    (pa.timestamp("us"), [-1, None], [-1, None]),
    (pa.timestamp("ns"), [-1, -1000, -1001, 1999, None], [-1, -1, -2, 1, None]),
    (pa.null(), [None], [None]),
]


@pytest.mark.parametrize(("kind", "values", "expected"), TYPES, ids=lambda x: str(x)[:24])
def test_every_key_type(kind, values, expected):
    array = pa.array(values, kind)
    want = [reference_id(v) for v in expected]
    assert ids(array) == want
    assert ids(pa.chunked_array([array.slice(0, 1), array.slice(1)])) == want
    assert ids(pa.concat_arrays([array, array]).slice(len(array))) == want
    if not (pa.types.is_null(kind) or pa.types.is_string_view(kind)):
        assert ids(array.dictionary_encode()) == want


@given(st.lists(st.tuples(st.text(max_size=3) | st.none(), st.integers(-(2**63), 2**63 - 1) | st.none()), min_size=1))
def test_two_part_keys(rows):
    texts, numbers = zip(*rows, strict=True)
    found = ids(pa.array(texts, pa.string()), pa.array(numbers, pa.int64()))
    assert found == [reference_id(None if t is None else t.encode(), n) for t, n in rows]


def test_null_in_either_part_is_not_the_same():
    a, b = ids(pa.array(["a", None]), pa.array([None, "a"]))
    assert a != b


def test_a_dictionary_with_a_null_inside():
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array(["x", None]))
    assert ids(array) == [reference_id(b"x"), reference_id(None), reference_id(None)]
    with pytest.raises(BatchError, match="row 1 has no key"):
        identify(pa.table({"k": array}), ["k"])


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1.5]),
        pa.array([Decimal("1.5")]),
        pa.array([1], pa.duration("s")),
        pa.array([1], pa.time64("us")),
        pa.array([[1]]),
    ],
    ids=lambda a: str(a.type),
)
def test_a_key_without_one_exact_form_is_refused(values):
    with pytest.raises(BatchError, match=f"key column 'k' has type .*{str(values.type)[:5]}.*Cast it upstream"):
        identify(pa.table({"k": values}), ["k"])


def test_a_row_without_any_key_is_refused_and_named():
    table = pa.table({"a": ["x", None, "y"], "b": [1, None, None]})
    with pytest.raises(BatchError, match="row 11 has no key: a, b are all null"):
        identify(table, ["a", "b"], first_row=10)


def test_duplicates_are_counted_and_share_their_fate():
    found = identify(pa.table({"k": [5, 7, 5, 5]}), ["k"])
    assert found.duplicated == 2
    assert found.choice[0] == found.choice[2] == found.choice[3] != found.choice[1]
    assert found.origin.tolist() == [0, 1, 2, 3]


def test_without_a_key_the_row_number_counts_from_the_first_row():
    found = identify(pa.table({"x": [0.1, 0.2]}), [], first_row=2**40)
    assert found.choice.tolist() == found.origin.tolist() == [2**40, 2**40 + 1]
    assert not found.keyed
    assert identify(pa.table({"x": [0.1]}).slice(0, 0), []).origin.tolist() == []


def test_made_rows_lose_their_origin_and_keep_their_choice():
    batch = Batch.of(pa.table({"k": [5, 7]}), name="b", key=["k"])
    taken = batch.take(np.array([1, 1, 0]), np.array([False, True, False]))
    assert taken.identity.origin.tolist() == [1, -1, 0]
    assert taken.identity.choice[0] == taken.identity.choice[1] == batch.identity.choice[1]
    assert taken.table.column("k").to_pylist() == [7, 7, 5]


def test_byte_buffers_of_slices():
    array = pa.array(["aa", "b", None, "cccc"])
    for start in range(5):
        data, offsets = byte_buffers(array.slice(start))
        got = [bytes(data[a:b]) for a, b in itertools.pairwise(offsets)]
        assert got == [b"aa", b"b", b"", b"cccc"][start:]


def test_batch_refuses_what_it_does_not_have():
    table = pa.table({"id": [1], "x": [2.0]})
    with pytest.raises(UnknownNameError, match="did you mean 'id'"):
        Batch.of(table, name="b", key=["idd"])
    with pytest.raises(UnknownNameError, match="unknown column 'when' in batch 'b'"):
        Batch.of(table, name="b", time="when")
    with pytest.raises(BatchError, match="columns of the same name: x"):
        Batch.of(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]), name="b")
    with pytest.raises(BatchError, match="2 rows with an identity of 1"):
        Batch.of(table, name="b").with_table(pa.table({"id": [1, 2]}))


def test_roles_and_columns():
    batch = Batch.of(pa.table({"id": [1], "t": [2], "x": [3], "y": [4]}), name="b", key=["id"], time="t", target=["y"])
    assert batch.roles == {"id": Role.KEY, "t": Role.TIME, "x": Role.FEATURE, "y": Role.TARGET}
    with pytest.raises(UnknownNameError, match="unknown column 'z'"):
        batch.column("z")
