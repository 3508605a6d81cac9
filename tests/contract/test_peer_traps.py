"""Traps in which other error injectors fall: wrong truth, lost digits, seeds that repeat, silence."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipechaos.batch.model import Batch
from pipechaos.errors import ConfigError, FaultError, UnknownNameError
from pipechaos.faults.registry import CATALOGUE
from pipechaos.faults.spec import Phase
from pipechaos.inject.engine import inject
from pipechaos.inject.stream import inject_parts
from pipechaos.ledger.records import Status
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.resolve import resolve

N = 1000


def batch(key=(), time=None, **columns):
    return Batch.of(pa.table(columns), name="2013-06-03", key=key, time=time)


def run(source, *injections):
    return inject(resolve(Plan.of(*injections), source), source)


def test_fraction_zero_changes_nothing():
    source = batch(n=pa.array(range(N)), x=[float(i) for i in range(N)], s=[f"v{i % 7}" for i in range(N)])
    for fault in CATALOGUE.values():
        if fault.phase is Phase.SCHEMA or fault.donor:
            continue
        place = {"other_column": {"kind": "other_column", "other": "n"}, "entity": {"kind": "entity", "entity": "s"}}
        for column in ("n", "x", "s") if fault.column_count else ((),):
            if column and not fault.applies(source.column(column).type):
                continue
            made = Injection.of(fault.code, column, fraction=0, placement=place.get(fault.placements[0].value))
            result = run(source, made)
            assert result.ledger.status is Status.NO_EFFECT, fault.code
            assert result.ledger.changed_cells == 0
            assert result.ledger.rows.empty
            assert result.batch.table.equals(source.table)


@pytest.mark.parametrize("fault", ["null.mcar", "missing.sentinel", "value.scale", "relation.shuffle", "value.outlier"])
def test_ids_beyond_2_to_53_keep_every_digit(fault):
    ids = [None if i % 10 == 0 else 2**53 + 1 + 2 * i for i in range(N)]
    result = run(batch(id=pa.array(ids, pa.int64())), Injection.of(fault, "id", fraction=0.1))
    (entry,) = result.ledger.cells
    after = result.batch.table["id"]
    assert after.type == pa.int64()
    changed = set(entry.origin.tolist())
    assert 0 < len(changed) < 200
    assert [v for i, v in enumerate(after.to_pylist()) if i not in changed] == [
        v for i, v in enumerate(ids) if i not in changed
    ]


def test_other_timestamps_keep_their_milliseconds():
    stamps = [dt.datetime(2013, 6, 3) + dt.timedelta(seconds=i, milliseconds=i % 1000) for i in range(N)]
    result = run(batch(t=stamps), Injection.of("missing.sentinel", "t", fraction=0.3))
    after = result.batch.table["t"].to_pylist()
    differ = [i for i in range(N) if after[i] != stamps[i]]
    assert differ == result.ledger.cells[0].origin.tolist()
    assert 230 < len(differ) < 370


@pytest.mark.parametrize(
    ("fault", "values"),
    [("value.sign", [0] * N), ("drift.category_mix", ["a"] * N), ("value.scale", [0.0] * N)],
)
def test_no_effect_is_called_no_effect(fault, values):
    result = run(batch(x=values), Injection.of(fault, "x", fraction=0.3))
    assert result.ledger.status is Status.NO_EFFECT
    assert result.ledger.injections[0].asked > 0
    assert result.ledger.changed_cells == 0


@pytest.mark.parametrize("fault", ["value.outlier", "value.noise", "drift.mean"])
def test_a_constant_column_has_no_outliers(fault):
    result = run(batch(x=[5.0] * N), Injection.of(fault, "x"))
    assert result.ledger.status is Status.NOT_APPLICABLE
    assert result.ledger.cells == ()


def test_a_missing_text_is_a_real_null():
    after = run(batch(s=["<NA>", "nan", "x"]), Injection.of("null.mcar", "s", fraction=1)).batch
    assert after.table["s"].null_count == 3
    assert after.to_pandas()["s"].isna().all()


@pytest.mark.parametrize("fault", [f.code for f in CATALOGUE.values() if f.phase is Phase.CELLS and f.needs_value])
def test_a_null_or_nan_is_never_hit(fault):
    spec = CATALOGUE[fault]
    floats = pa.array([None if i % 5 == 0 else float("nan") if i % 5 == 1 else float(i) for i in range(N)])
    texts = pa.array([None if i % 5 < 2 else f"v{i % 11}" for i in range(N)])
    column = "x" if spec.applies(pa.float64()) else "s"
    place = {"kind": "other_column", "other": "n"} if spec.placements[0].value == "other_column" else None
    source = batch(n=pa.array(range(N)), x=floats, s=texts)
    result = run(source, Injection.of(fault, column, fraction=1, placement=place))
    (entry,) = result.ledger.cells
    assert len(entry.asked)
    assert all(i % 5 > 1 for i in entry.asked.tolist())
    kept = [i for i in range(N) if i % 5 < 2]
    assert str(result.batch.table[column].take(kept)) == str(source.table[column].take(kept))


def test_zeros_in_the_wrong_unit_are_no_change():
    result = run(batch(x=[float(i % 4) for i in range(N)]), Injection.of("value.scale", "x", fraction=1))
    record = result.ledger.injections[0]
    assert (record.eligible, record.asked, record.changed, record.dose) == (1000, 1000, 750, 0.75)


def test_a_frame_of_pandas_is_neither_changed_nor_in_the_way():
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "c": pd.Categorical(["a", "b", "a"])}, index=[7, 7, 7])
    copy = frame.copy(deep=True)
    source = Batch.of(pa.Table.from_pandas(frame), name="b")
    after = run(
        source, Injection.of("value.sign", "x", fraction=1), Injection.of("category.swap", "c", fraction=1)
    ).batch
    assert after.table["x"].to_pylist() == [-1.0, -2.0, -3.0]
    assert after.table["c"].to_pylist() == ["b", "a", "b"]
    pd.testing.assert_frame_equal(frame, copy)


@pytest.mark.parametrize("fault", ["null.mcar", "value.noise", "drift.mean", "text.typo", "category.swap"])
def test_small_parts_are_hit_as_the_whole_is(fault):
    rng = np.random.default_rng(4)
    column = "s" if fault in ("text.typo", "category.swap") else "x"
    source = batch(x=rng.normal(0, 9, N), s=[f"v{i % 7}" for i in range(N)])
    plan = resolve(Plan.of(Injection.of(fault, column, fraction=0.03)), source)
    whole = inject(plan, source)
    parts = list(inject_parts(plan, [source.table.slice(i, 50) for i in range(0, N, 50)]))
    assert pa.concat_tables(p.batch.table for p in parts).equals(whole.batch.table)
    hits = [set(c.origin.tolist()) for p in parts for c in p.ledger.cells]
    assert set().union(*hits) == set(whole.ledger.cells[0].origin.tolist())
    assert len({i % 50 for part in hits for i in part}) > 3  # not the same positions in every part


def test_rows_in_another_order_share_their_fate():
    ids, values = list(range(N)), [f"v{i % 7}" for i in range(N)]
    source = batch(key=["id"], id=ids, s=values)
    backwards = batch(key=["id"], id=ids[::-1], s=values[::-1])
    made = Injection.of("text.typo", "s", fraction=0.1)
    once, other = run(source, made).batch.table["s"].to_pylist(), run(backwards, made).batch.table["s"].to_pylist()
    assert once == other[::-1] != values


def test_two_columns_of_one_seed_are_hit_in_different_rows():
    source = batch(a=[1] * N, b=[1] * N)
    one, two = (run(source, Injection.of("null.mcar", c, fraction=0.1)).ledger.cells[0].origin for c in "ab")
    assert len(set(one) & set(two)) < len(one) / 2


def test_two_faults_on_the_same_cells_leave_the_final_difference():
    source = batch(x=[float(i + 1) for i in range(N)])
    scale = Injection.of("value.scale", "x", fraction=0.5)
    back = Injection.of("value.scale", "x", fraction=1, params={"factor": 0.1})
    result = run(source, scale, back)
    after = result.batch.table["x"].to_pylist()
    differ = [i for i in range(N) if after[i] != i + 1]
    assert result.ledger.cells[0].origin.tolist() == differ  # x10 and then x0.1 is a net zero, mostly
    assert len(differ) < 600
    gone = run(
        source, Injection.of("null.mcar", "x", fraction=0.9), Injection.of("missing.sentinel", "x", fraction=0.9)
    )
    nulls = {i for i, v in enumerate(gone.batch.table["x"].to_pylist()) if v is None}
    assert nulls <= set(gone.ledger.cells[0].origin.tolist())
    assert len(nulls) > 800  # a sentinel needs a value: what is gone stays gone


def test_names_and_doses_that_are_wrong_are_refused_before_anything_happens():
    source = batch(dep_delay=[1.0, 2.0])
    with pytest.raises(UnknownNameError, match="did you mean 'dep_delay'"):
        run(source, Injection.of("null.mcar", "dep_dealy"))
    with pytest.raises(UnknownNameError, match=r"unknown parameter 'factr'.*did you mean 'factor'"):
        Injection.of("value.scale", "x", params={"factr": 2.0})
    with pytest.raises(UnknownNameError, match="did you mean 'random'"):
        Injection.of("null.mcar", "x", placement="randon")
    for fraction in (-0.1, 1.1, 2, "half", float("nan")):
        with pytest.raises(ConfigError, match=r"fraction|number"):
            Injection.of("null.mcar", "x", fraction=fraction)
    with pytest.raises(FaultError, match="severity"):
        Injection.of("null.mcar", "x", severity=9)


@pytest.mark.parametrize("fault", [f for f in CATALOGUE if not CATALOGUE[f].donor and CATALOGUE[f].column_count])
def test_an_empty_batch_is_no_accident(fault):
    spec = CATALOGUE[fault]
    kind = next(k for k in (pa.float64(), pa.string()) if spec.applies(k))
    source = batch(x=pa.array([], kind), other=pa.array([], pa.int64()))
    place = {"kind": "other_column", "other": "other"} if spec.placements[0].value == "other_column" else None
    result = run(source, Injection.of(fault, "x", placement=place))
    wanted = Status.APPLIED if spec.phase is Phase.SCHEMA else Status.NOT_APPLICABLE
    assert result.ledger.status is wanted
    assert result.batch.rows == 0


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
@pytest.mark.parametrize("fault", ["text.typo", "category.unseen", "category.swap", "drift.category_mix", "null.mcar"])
def test_text_keeps_its_layout(kind, fault):
    values = pa.array(["a", "b", None, "b"]).cast(kind)
    result = run(batch(date=values), Injection.of(fault, "date", fraction=1))
    assert result.ledger.status is Status.APPLIED
    assert result.batch.table.schema.field("date").type == kind
    assert result.batch.table["date"].to_pylist()[2] is None
