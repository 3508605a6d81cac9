"""Laws of batches over random tables of many types: frames, digests, files and diffs."""

import datetime as dt
import math
import tempfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pipechaos.batch.diff import diff
from pipechaos.batch.digest import digests, multiset_digest, ordered_digest
from pipechaos.batch.frame import frame_digests, to_pandas
from pipechaos.batch.io import iter_tables, read_batch, write_batch
from pipechaos.batch.model import Batch

relaxed = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
SCALARS = {
    pa.int8(): st.integers(-128, 127),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): INT64,
    pa.uint16(): st.integers(0, 2**16 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.bool_(): st.booleans(),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.string(): TEXT,
    pa.large_string(): TEXT,
    pa.binary(): st.binary(max_size=40),
    pa.binary(3): st.binary(min_size=3, max_size=3),
    pa.date32(): st.dates(dt.date(1700, 1, 1), dt.date(2250, 1, 1)),
    pa.date64(): st.dates(dt.date(1700, 1, 1), dt.date(2250, 1, 1)),
    pa.time32("ms"): st.integers(0, 86_399_999),
    pa.time64("us"): st.integers(0, 86_399_999_999),
    pa.timestamp("s"): st.integers(-(2**33), 2**33),
    pa.timestamp("ms"): st.integers(-(2**42), 2**42),
    pa.timestamp("us"): st.integers(-(2**52), 2**52),
    pa.timestamp("ns"): INT64.filter(lambda x: x != -(2**63)),
    pa.timestamp("us", tz="UTC"): st.integers(-(2**52), 2**52),
    pa.timestamp("us", tz="America/New_York"): st.integers(0, 2**51),
    pa.duration("us"): st.integers(-(2**50), 2**50),
    pa.decimal128(12, 3): st.integers(-(10**12) + 1, 10**12 - 1).map(lambda x: Decimal(x).scaleb(-3)),
    pa.null(): st.none(),
    pa.dictionary(pa.int32(), pa.string()): st.sampled_from(["a", "b", "ccccccccc", ""]),
    pa.dictionary(pa.int8(), pa.int64()): st.integers(1, 3),
    pa.list_(pa.float32()): st.lists(st.floats(width=32), max_size=4),
    pa.list_(pa.timestamp("s")): st.lists(st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2250, 1, 1)), max_size=2),
    pa.list_(pa.int64()): st.lists(INT64 | st.none(), max_size=3),
    pa.large_list(pa.struct([("u", pa.int8())])): st.lists(
        st.none() | st.fixed_dictionaries({"u": st.none() | st.integers(0, 9)}), max_size=2
    ),
    pa.map_(pa.string(), pa.int8()): st.dictionaries(TEXT, st.none() | st.integers(0, 9), max_size=2).map(
        lambda d: list(d.items())
    ),
    pa.list_(pa.string()): st.lists(TEXT | st.none(), max_size=3),
    pa.struct([("u", pa.int64()), ("v", pa.string())]): st.fixed_dictionaries(
        {"u": INT64 | st.none(), "v": TEXT | st.none()}
    ),
}


@st.composite
def tables(draw, kinds=tuple(SCALARS), max_rows=12, min_rows=0, min_columns=1):
    rows = draw(st.integers(min_rows, max_rows))
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=min_columns, max_size=4))
    columns = {}
    for i, kind in enumerate(chosen):
        values = draw(st.lists(st.none() | SCALARS[kind], min_size=rows, max_size=rows))
        columns[f"c{i}"] = pa.array(values, kind)
    return pa.table(columns)


@st.composite
def layouts(draw, table):
    """The same content, otherwise laid out: in chunks, cut from something longer, with dictionaries, wide offsets."""
    columns = []
    for column in table.columns:
        array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        kind = array.type
        if kind in (pa.string(), pa.int64()) and draw(st.booleans()):
            array = array.dictionary_encode()
        elif kind == pa.string() and draw(st.booleans()):
            array = array.cast(draw(st.sampled_from([pa.large_string(), pa.string_view()])))
        padded = pa.concat_arrays([array.slice(0, 1), array, array.slice(0, 2)])
        array = padded.slice(min(1, len(array)), len(array))
        cut = draw(st.integers(0, len(array)))
        columns.append(pa.chunked_array([array.slice(0, cut), array.slice(cut)]))
    return pa.table(columns, names=table.column_names)


@pytest.fixture(scope="module")
def scratch():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def through_file(table, scratch):
    path = scratch / "t.parquet"
    pq.write_table(table, path)
    return pd.read_parquet(path)


def assert_same_frame(left, right):
    pd.testing.assert_frame_equal(left, right, check_exact=True, check_index_type=True, check_column_type=True)
    assert left.attrs == right.attrs
    assert frame_digests(left) == frame_digests(right)
    for name in left.columns:
        if left[name].dtype == object:
            missing = [i for i, v in enumerate(left[name]) if v is None or v is pd.NaT]
            assert [type(left[name].iloc[i]) for i in missing] == [type(right[name].iloc[i]) for i in missing]


@relaxed
@given(st.data())
def test_frame_is_what_pandas_reads_from_the_file(scratch, data):
    table = data.draw(layouts(data.draw(tables())))
    assert_same_frame(to_pandas(table), through_file(table, scratch))


INDEXES = {
    "range": lambda n: pd.RangeIndex(n),
    "shifted range": lambda n: pd.RangeIndex(5, 5 + 2 * n, 2, name="at"),
    "stored": lambda n: pd.Index(np.arange(n) * 7, name="id"),
    "unnamed": lambda n: pd.Index([f"r{i}" for i in range(n)]),
    "two levels": lambda n: pd.MultiIndex.from_arrays([np.arange(n), np.arange(n) % 2], names=["a", None]),
}


@st.composite
def stored_frames(draw):
    n = draw(st.integers(1, 8))
    frame = pd.DataFrame(
        {
            "i": pd.array(draw(st.lists(st.integers(0, 9) | st.none(), min_size=n, max_size=n)), "Int64"),
            "f": draw(st.lists(st.floats(), min_size=n, max_size=n)),
            "s": pd.Series(draw(st.lists(TEXT | st.none(), min_size=n, max_size=n))),
            "c": pd.Categorical(
                draw(st.lists(st.sampled_from("xyz"), min_size=n, max_size=n)), list("zyxw"), ordered=True
            ),
            "t": pd.date_range("2013-01-01", periods=n, tz="America/New_York"),
        }
    )
    frame.index = INDEXES[draw(st.sampled_from(sorted(INDEXES)))](n)
    if draw(st.booleans()):
        frame.attrs["made"] = "x"
    return frame


CHANGES = {
    "nothing": lambda t: t,
    "drop": lambda t: t.drop(["i"]),
    "rename": lambda t: t.rename_columns(["j" if n == "i" else n for n in t.column_names]),
    "retype": lambda t: t.set_column(0, "i", t.column("i").cast(pa.string())),
    "add": lambda t: t.append_column("new", pa.array(np.arange(t.num_rows))),
    "nulls": lambda t: t.set_column(1, "f", pa.nulls(t.num_rows, pa.float64())),
    "fewer rows": lambda t: t.slice(1),
    "more rows": lambda t: pa.concat_tables([t, t.slice(0, 1)]),
    "no index": lambda t: t.select(["i", "f", "s", "c", "t"]),
}


@pytest.mark.parametrize("change", CHANGES)
@settings(relaxed, max_examples=15)
@given(frame=stored_frames())
def test_changed_frame_is_what_pandas_reads_from_a_file_of_it(scratch, change, frame):
    path = scratch / "stored.parquet"
    frame.to_parquet(path)
    source = read_batch(path)
    assert_same_frame(source.to_pandas(), pd.read_parquet(path))
    table = CHANGES[change](source.table)
    after = source.with_table(table) if table.num_rows == source.rows else retaken(source, table)
    assert_same_frame(after.to_pandas(), through_file(after.table, scratch))
    if change == "rename":
        pd.testing.assert_series_equal(after.to_pandas()["j"], frame["i"], check_names=False)
    if change in ("nothing", "add", "nulls"):
        pd.testing.assert_series_equal(after.to_pandas()["c"], frame["c"])
    if change == "fewer rows" and isinstance(frame.index, pd.RangeIndex):
        assert after.to_pandas().index.equals(frame.index[:-1])


def retaken(source, table):
    rows = np.arange(table.num_rows) % source.rows
    return source.with_table(table, source.identity.take(rows))


@relaxed
@given(st.data())
def test_digests_do_not_see_the_layout(data):
    table = data.draw(tables())
    assert digests(data.draw(layouts(table))) == digests(table)


@relaxed
@given(tables())
def test_digests_do_not_see_the_file(scratch, table):
    path = scratch / "d.parquet"
    pq.write_table(table, path)
    assert digests(pq.read_table(path)) == digests(table)


def different(x, y):
    if isinstance(x, float) and isinstance(y, float):
        return not (x == y or (math.isnan(x) and math.isnan(y)))
    if isinstance(x, list) and isinstance(y, list):
        return len(x) != len(y) or any(different(a, b) for a, b in zip(x, y, strict=True))
    return type(x) is not type(y) or x != y


@relaxed
@given(st.data())
def test_digests_see_one_cell(data):
    table = data.draw(tables(min_rows=1))
    column = data.draw(st.integers(0, table.num_columns - 1))
    row = data.draw(st.integers(0, table.num_rows - 1))
    kind = table.schema.field(column).type
    values = table.column(column).to_pylist() if not pa.types.is_timestamp(kind) else nanos(table.column(column))
    before = values[row]
    values[row] = data.draw(st.none() | SCALARS[kind])
    new = pa.array(values, kind)
    after = new.slice(row, 1).cast(pa.int64()).to_pylist()[0] if pa.types.is_timestamp(kind) else new[row].as_py()
    changed = table.set_column(column, table.column_names[column], new)
    expected = different(before, after)
    assert (ordered_digest(changed) != ordered_digest(table)) is expected
    assert (multiset_digest(changed) != multiset_digest(table)) is expected


def nanos(column):
    return column.cast(pa.int64()).to_pylist()


@relaxed
@given(st.data())
def test_order_and_multiset(data):
    table = data.draw(tables(kinds=(pa.int8(), pa.string(), pa.float64()), max_rows=6))
    order = data.draw(st.permutations(range(table.num_rows)))
    moved = table.take(pa.array(order, pa.int64()))
    assert multiset_digest(moved) == multiset_digest(table)
    rows, moved_rows = map(shown, (table, moved))
    assert (ordered_digest(moved) == ordered_digest(table)) is (rows == moved_rows)


def shown(table):
    def one(v):
        return "nan" if isinstance(v, float) and math.isnan(v) else repr(v + 0.0 if isinstance(v, float) else v)

    return [tuple(one(v) for v in row.values()) for row in table.to_pylist()]


@relaxed
@given(st.data())
def test_written_batch_comes_back(scratch, data):
    lost = {pa.timestamp("s"), pa.date64(), pa.list_(pa.timestamp("s")), pa.dictionary(pa.int8(), pa.int64())}
    table = data.draw(tables(kinds=tuple(k for k in SCALARS if k not in lost)))
    batch = Batch.of(table, name="b")
    ref = write_batch(batch, scratch / "w.parquet", overwrite=True)
    back = read_batch(ref, expected_digest=ref.digest)
    assert back.table.schema == table.schema
    assert diff(batch, back).empty
    rows = data.draw(st.integers(1, 5))
    parts = list(iter_tables(ref, rows=rows))
    assert ordered_digest(pa.concat_tables(parts)) == ref.digest
    assert all(0 < p.num_rows <= rows for p in parts) or table.num_rows == 0


CELLS = st.sampled_from([None, 0.0, -0.0, 1.0, float("nan")])
NAMES = ("x", "y")


@st.composite
def edits(draw):
    """A table, and a copy with cells changed, rows removed, copied and moved; with where each row came from."""
    n = draw(st.integers(0, 6))
    before = {c: draw(st.lists(CELLS, min_size=n, max_size=n)) for c in NAMES}
    origins = draw(st.permutations(draw(st.lists(st.sampled_from(range(n)), unique=True)) if n else []))
    made = draw(st.lists(st.integers(0, max(n - 1, 0)), max_size=2)) if n else []
    after = {c: [before[c][o] for o in [*origins, *made]] for c in NAMES}
    for c in NAMES:
        for i in range(len(after[c])):
            if draw(st.integers(0, 3)) == 0:
                after[c][i] = draw(CELLS)
    return before, after, list(origins), made


def oracle(before, after, origins):
    changed = {}
    for c in NAMES:
        at = sorted((o, i) for i, o in enumerate(origins) if different(before[c][o], after[c][i]))
        if at:
            changed[c] = at
    removed = [o for o in range(len(before["x"])) if o not in origins]
    return changed, removed


@given(edits())
def test_diff_by_origin_against_an_oracle(edit):
    before, after, origins, made = edit
    kind = pa.schema([(c, pa.float64()) for c in NAMES])
    source = Batch.of(pa.table(before, kind), name="b")
    positions = np.array([*origins, *made], np.int64)
    flags = np.array([False] * len(origins) + [True] * len(made), bool)
    copy = source.with_table(pa.table(after, kind), source.identity.take(positions, flags))
    found = diff(source, copy)
    changed, removed = oracle(before, after, origins)
    assert {c.column: list(zip(c.before.tolist(), c.after.tolist(), strict=True)) for c in found.cells} == changed
    assert found.removed.tolist() == removed
    assert found.inserted.tolist() == list(range(len(origins), len(positions)))
    assert found.reordered is (origins != sorted(origins))
    assert not (found.dropped or found.added or found.renamed or found.retyped or found.moved)


@given(
    st.lists(st.tuples(st.integers(0, 3), CELLS), max_size=8), st.lists(st.tuples(st.integers(0, 3), CELLS), max_size=8)
)
def test_diff_by_key_matches_in_order_of_occurrence(old, new):
    def batch(rows):
        ids, xs = [r[0] for r in rows], [r[1] for r in rows]
        return Batch.of(
            pa.table({"id": pa.array(ids, pa.int64()), "x": pa.array(xs, pa.float64())}), name="b", key=["id"]
        )

    pairs, free = [], list(range(len(new)))
    for i, (key, _) in enumerate(old):
        j = next((j for j in free if new[j][0] == key), None)
        if j is not None:
            free.remove(j)
            pairs.append((i, j))
    found = diff(batch(old), batch(new), by="key")
    changed = [(i, j) for i, j in pairs if different(old[i][1], new[j][1])]
    got = found.by_column.get("x")
    assert (list(zip(got.before.tolist(), got.after.tolist(), strict=True)) if got else []) == changed
    assert found.removed.tolist() == [i for i in range(len(old)) if i not in {i for i, _ in pairs}]
    assert found.inserted.tolist() == free
    assert found.reordered is ([j for _, j in pairs] != sorted(j for _, j in pairs))


@given(st.data())
def test_diff_of_a_batch_with_itself_is_empty(data):
    table = data.draw(tables())
    assume(table.num_columns)
    other = data.draw(layouts(table))
    assert diff(Batch.of(table, name="b"), Batch.of(other, name="b")).empty
