"""Faults of rows and whole tables: schema, type, staleness, benign changes, canaries."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from pipechaos import counter
from pipechaos.batch.model import Batch
from pipechaos.errors import FaultError, UnknownNameError
from pipechaos.faults import registry
from pipechaos.faults.dtype import as_text
from pipechaos.faults.kernel import RowInput, SchemaChange, SchemaChangeKind, SchemaInput
from pipechaos.faults.spec import Family
from pipechaos.faults.staleness import stamped
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.resolve import resolve

KEY = counter.streams(seed=1, batch="b", repeat=0, fault="f", version=1, column=None, placement={})


def rows(fault, hit):
    ids = np.arange(len(hit), dtype=np.uint64)
    edit = registry.get(fault).change_rows(RowInput(rows=ids, hit=np.array(hit, bool), key=KEY, params={}))
    return edit.take.tolist(), edit.made.tolist()


def test_rows_go_and_come_twice():
    assert rows("rows.drop", [0, 1, 0, 1]) == ([0, 2], [False, False])
    assert rows("rows.duplicate", [0, 1, 0]) == ([0, 1, 1, 2], [False, False, True, False])
    assert rows("rows.drop", []) == rows("rows.duplicate", []) == rows("benign.row_order", []) == ([], [])


def test_only_rows_that_are_hit_change_places():
    hit = [i % 3 == 0 for i in range(30)]
    take, made = rows("benign.row_order", hit)
    assert not any(made)
    assert sorted(take) == list(range(30))
    assert all(take[i] == i for i in range(30) if not hit[i])
    assert take != list(range(30))


def schema(fault, table, *columns, **params):
    spec = registry.get(fault)
    return spec.change_schema(SchemaInput(table=table, columns=columns, params=spec.check_params(params)))


def test_a_renamed_column_avoids_names_that_are_taken():
    table = pa.table({"x": [1], "x_new": [2], "x_new_2": [3]})
    edit = schema("schema.rename_column", table, "x")
    assert edit.table.column_names == ["x_new_3", "x_new", "x_new_2"]
    assert edit.changes == (SchemaChange(kind=SchemaChangeKind.RENAMED, column="x", to="x_new_3"),)
    assert schema("schema.rename_column", table, "x", to="y").table.column_names == ["y", "x_new", "x_new_2"]
    with pytest.raises(FaultError, match="already a column 'x_new'"):
        schema("schema.rename_column", table, "x", to="x_new")
    source = Batch.of(table, name="day")
    with pytest.raises(FaultError, match="already a column 'x_new'"):  # before anything is written
        resolve(Plan.of(Injection.of("schema.rename_column", "x", params={"to": "x_new"})), source)


def test_a_name_without_letters_has_no_other_case():
    edit = schema("schema.rename_column", pa.table({"2013": [1]}), "2013", how="case")
    assert (edit.table.column_names, edit.changes) == (["2013"], ())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([2**63 - 1, None]), ["9223372036854775807", None]),
        (pa.array([0.1, 1e300, -0.0, float("nan"), None]), ["0.1", "1e+300", "-0", "nan", None]),
        (pa.array([True]), ["true"]),
        (pa.array([dt.date(2013, 6, 3)]), ["2013-06-03"]),
        (pa.array([Decimal("1.50")]), ["1.50"]),
        (pa.array([dt.datetime(2013, 6, 3, 4, 5, 6, 7)]), ["2013-06-03 04:05:06.000007"]),
        (pa.array(["x", None]).dictionary_encode(), ["x", None]),
        (pa.array([b"\xff", None]), [r"b'\xff'", None]),
        (pa.array([[1, 2], None]), ["[1, 2]", None]),
    ],
    ids=lambda v: str(getattr(v, "type", "")),
)
def test_anything_reads_as_text(values, expected):
    got = as_text(values)
    assert got.type == pa.string()
    assert got.to_pylist() == expected


def test_canaries_ruin_the_whole_table():
    table = pa.table({"n": [1, None], "s": ["a", "b"], "d": pa.array(["u", "v"]).dictionary_encode()})
    edit = schema("canary.all_text", table)
    assert edit.table.to_pydict() == {"n": ["1", None], "s": ["a", "b"], "d": ["u", "v"]}
    assert [(c.column, c.from_type, c.to_type) for c in edit.changes] == [("n", "int64", "string")]
    gone = schema("canary.no_columns", table)
    assert gone.table.num_columns == 0
    assert [c.column for c in gone.changes] == ["n", "s", "d"]


def test_an_extra_column_takes_a_free_name():
    edit = schema("benign.extra_column", pa.table({"extra_column": [1, 2]}))
    assert edit.table.to_pydict() == {"extra_column": [1, 2], "extra_column_2": [0, 0]}


def day(date, rows, kind, **more):
    stamps = [dt.datetime.combine(date, dt.time(5 + i)) for i in range(rows)]
    table = {"when": pa.array(stamps, kind), "x": pa.array(range(rows)), "due": [date] * rows}
    return Batch.of(pa.table(table | more), name=str(date), time="when")


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.timestamp("ns")])
@pytest.mark.parametrize("stamps", ["all", "time"])
def test_old_rows_get_new_stamps(kind, stamps):
    new, old = day(dt.date(2013, 6, 3), 2, kind), day(dt.date(2013, 6, 1), 3, kind)
    spec = registry.get("time.stale")
    params = {"stamps": stamps} | spec.resolve(new, [old], None, {"stamps": stamps})
    assert params["moved_by"] == 2 * 86_400_000_000
    table = stamped(old, new, params)
    assert table.schema == new.table.schema
    assert table["x"].to_pylist() == [0, 1, 2]
    assert table["when"].to_pylist() == day(dt.date(2013, 6, 3), 3, kind).table["when"].to_pylist()
    assert table["due"].to_pylist() == [dt.date(2013, 6, 3 if stamps == "all" else 1)] * 3


def test_days_are_counted_from_date_to_date():
    new = Batch.of(pa.table({"when": [dt.datetime(2013, 6, 3, 3)]}), name="new", time="when")
    old = Batch.of(pa.table({"when": [dt.datetime(2013, 6, 1, 5)]}), name="old", time="when")  # 46 hours before
    assert registry.get("time.stale").resolve(new, [old], None, {}) == {"moved_by": 2 * 86_400_000_000}


def test_within_a_day_stamps_move_by_the_gap():
    early, late = day(dt.date(2013, 6, 3), 3, pa.timestamp("us")), day(dt.date(2013, 6, 3), 3, pa.timestamp("us"))
    late = Batch.of(late.table.slice(2), name="late", time="when")
    found = registry.get("time.stale").resolve(late, [early], None, {})
    assert found == {"moved_by": 2 * 3600 * 1_000_000}


def test_a_batch_before_1970_and_nanoseconds_count_whole_days_down():
    new, old = day(dt.date(1970, 1, 1), 1, pa.timestamp("ns")), day(dt.date(1969, 12, 30), 1, pa.timestamp("ns"))
    assert registry.get("time.stale").resolve(new, [old], None, {}) == {"moved_by": 2 * 86_400_000_000}


def test_a_donor_is_read_as_this_batch_or_refused():
    new = day(dt.date(2013, 6, 3), 1, pa.timestamp("us"), v=pa.array([1], pa.int64()))
    gap = day(dt.date(2013, 6, 2), 2, pa.timestamp("us"), v=pa.array([4.0, None]))  # a gap made the file a float
    params = {"stamps": "all", "moved_by": 0}
    assert stamped(gap, new, params)["v"].to_pylist() == [4, None]
    assert stamped(gap, new, params).schema == new.table.schema
    with pytest.raises(FaultError, match="column 'v' is string in the earlier batch and int64"):
        stamped(day(dt.date(2013, 6, 2), 1, pa.timestamp("us"), v=["a"]), new, params)
    with pytest.raises(UnknownNameError, match="unknown column 'v'"):
        stamped(day(dt.date(2013, 6, 2), 1, pa.timestamp("us")), new, params)


def test_without_stamps_nothing_can_be_stamped_anew():
    texts = Batch.of(pa.table({"when": ["2013"]}), name="day", time="when")
    assert registry.get("time.stale").resolve(texts, [texts], None, {}) is None


def test_the_catalogue_has_the_first_twenty_four_benign_and_three_canaries():
    controls = [f.code for f in (*registry.faults(Family.BENIGN), *registry.faults(Family.CANARY))]
    assert controls == [
        "benign.row_order",
        "benign.reencode",
        "benign.extra_column",
        "benign.entity_subsample",
        "canary.all_null",
        "canary.all_text",
        "canary.no_columns",
    ]
    assert [c for c in registry.CATALOGUE if c not in controls] == [
        "null.mcar",
        "null.mnar",
        "null.mar",
        "missing.sentinel",
        "value.noise",
        "value.scale",
        "value.sign",
        "value.outlier",
        "text.typo",
        "category.unseen",
        "category.swap",
        "type.number_to_text",
        "schema.drop_column",
        "schema.rename_column",
        "rows.drop",
        "rows.duplicate",
        "relation.shuffle",
        "time.stale",
        "drift.mean",
        "drift.category_mix",
    ]


def test_unknown_names_and_doses_are_refused_with_a_suggestion():
    with pytest.raises(UnknownNameError, match=r"unknown fault 'null.mcra'.*did you mean 'null.mcar'"):
        registry.get("null.mcra")
    noise = registry.get("value.noise")
    with pytest.raises(UnknownNameError, match="did you mean 'sigma'"):
        noise.check_params({"sigmas": 1.0})
    for bad in (-1.0, float("nan"), float("inf"), "1", True):
        with pytest.raises(FaultError, match="sigma"):
            noise.check_params({"sigma": bad})
    with pytest.raises(UnknownNameError, match="side"):
        registry.get("value.outlier").check_params({"side": "hihg"})
    with pytest.raises(FaultError, match="severity 6"):
        noise.ladder.at(6)
    with pytest.raises(TypeError):
        registry.CATALOGUE["new"] = noise
