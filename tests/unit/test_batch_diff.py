"""Diffs of columns and schemas, by hand."""

import numpy as np
import pyarrow as pa
import pytest

from pipechaos.batch.diff import Renamed, Retyped, diff
from pipechaos.batch.model import Batch
from pipechaos.errors import BatchError, UnknownNameError

SOURCE = Batch.of(
    pa.table({"id": [1, 2, 3], "x": [0.5, None, float("nan")], "s": ["a", "b", None], "t": [[1.0], None, []]}),
    name="b",
    key=["id"],
)
X = SOURCE.table.column("x")


def after(**columns):
    return SOURCE.with_table(pa.table(columns))


def test_columns_dropped_added_renamed_retyped_and_moved():
    found = diff(SOURCE, after(s=["a", "b", None], id=[1, 2, 3], ex=X, new=[0, 0, 0]))
    assert found.dropped == ("t",)
    assert found.added == ("new",)
    assert found.renamed == (Renamed(column="x", to="ex"),)
    assert found.moved
    assert not found.cells
    found = diff(SOURCE, after(id=["1", "2", "3"], x=X, s=SOURCE.column("s").dictionary_encode(), t=SOURCE.column("t")))
    assert found.retyped == (Retyped(column="id", from_type="int64", to_type="string"),)
    assert not (found.cells or found.dropped or found.added or found.moved or found.renamed)


def test_equal_content_of_another_type_is_no_rename():
    found = diff(SOURCE, after(ident=pa.array([1, 2, 3], pa.int32()), x=X, s=["a", "b", None], t=SOURCE.column("t")))
    assert (found.dropped, found.added, found.renamed) == (("id",), ("ident",), ())


def test_of_equal_columns_the_one_in_the_same_place_is_the_renamed_one():
    source = Batch.of(pa.table({"a": [1, 2], "b": [1, 2]}), name="b")
    found = diff(source, source.with_table(pa.table({"p": [1, 2], "q": [1, 2]})))
    assert found.renamed == (Renamed(column="a", to="p"), Renamed(column="b", to="q"))


def test_without_rows_nothing_is_called_renamed():
    source = Batch.of(pa.table({"a": pa.array([], pa.int8())}), name="b")
    found = diff(source, source.with_table(pa.table({"p": pa.array([], pa.int8())})))
    assert (found.dropped, found.added) == (("a",), ("p",))


def test_a_rename_is_seen_through_moved_rows():
    table = SOURCE.table.rename_columns(["id", "y", "s", "t"])
    moved = SOURCE.with_table(table).take(np.array([2, 0]))
    found = diff(SOURCE, moved)
    assert found.renamed == (Renamed(column="x", to="y"),)
    assert (found.removed.tolist(), found.reordered, found.cells) == ([1], True, ())


def test_nested_cells():
    found = diff(SOURCE, after(id=[1, 2, 3], x=X, s=["a", "b", None], t=[[1.5], None, None]))
    (cells,) = found.cells
    assert (cells.column, cells.before.tolist(), cells.origin.tolist()) == ("t", [0, 2], [0, 2])
    assert found.changed_cells == 2
    assert not found.empty


def test_nulling_a_key_is_a_cell_change_by_origin_and_a_row_change_by_key():
    nulled = SOURCE.with_table(SOURCE.table.set_column(0, "id", pa.array([1, None, 3])))
    by_origin, by_key = diff(SOURCE, nulled), diff(SOURCE, nulled, by="key")
    assert by_origin.by_column["id"].before.tolist() == [1]
    assert len(by_origin.removed) == 0
    assert (by_key.removed.tolist(), by_key.inserted.tolist(), by_key.cells) == ([1], [1], ())


def test_origins_of_a_part_of_a_stream():
    part = Batch.of(pa.table({"x": [1, 2]}), name="b", first_row=10)
    changed = part.with_table(pa.table({"x": [1, 5]}))
    (cells,) = diff(part, changed).cells
    assert (cells.before.tolist(), cells.origin.tolist()) == ([1], [11])


def test_what_cannot_be_aligned_is_refused():
    with pytest.raises(BatchError, match="no key to compare by"):
        diff(Batch.of(pa.table({"x": [1]}), name="b"), SOURCE, by="key")
    with pytest.raises(BatchError, match="lacks the key column id"):
        diff(SOURCE, SOURCE.with_table(SOURCE.table.drop(["id"])), by="key")
    with pytest.raises(UnknownNameError, match="unknown alignment 'kye': did you mean 'key'"):
        diff(SOURCE, SOURCE, by="kye")
