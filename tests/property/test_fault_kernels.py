"""Laws of kernels: types and lengths stay, no memory, any cutting into parts gives the same."""

import math

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipechaos import counter
from pipechaos.faults.kernel import CellInput, RowInput
from pipechaos.faults.registry import CATALOGUE
from pipechaos.faults.spec import Phase, Scope

CELLS = [f for f in CATALOGUE.values() if f.phase is Phase.CELLS]
PARTED = [f for f in CELLS if f.scope is not Scope.GLOBAL]
RESOLVED = {"scale": 3.7, "centre": 11.0, "unseen": "ZZ", "categories": ("a", "b", "c"), "category": "a"}
TYPES = {
    pa.int8(): st.integers(-128, 127),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float32(): st.floats(width=32, allow_nan=False),
    pa.float64(): st.floats(allow_nan=False),
    pa.string(): st.text(max_size=6),
    pa.timestamp("us", tz="UTC"): st.integers(-(2**55), 2**55),
    pa.bool_(): st.booleans(),
}


@st.composite
def inputs(draw, faults):
    fault = draw(st.sampled_from(faults))
    kind = draw(st.sampled_from([k for k in TYPES if fault.applies(k)]))
    values = draw(st.lists(TYPES[kind], max_size=40))
    severity = draw(st.integers(1, len(fault.ladder.rungs)))
    _, moved = fault.ladder.at(severity)
    key = counter.streams(
        seed=draw(st.integers(0, 9)), batch="b", repeat=0, fault=fault.code, version=1, column="x", placement={}
    )
    made = CellInput(
        column="x",
        values=pa.array(values, kind),
        rows=np.array(draw(st.lists(st.integers(0, 2**64 - 1), min_size=len(values), max_size=len(values))), np.uint64),
        key=key,
        params=RESOLVED | fault.check_params(moved),
    )
    return fault, made


def cut(whole, at):
    return CellInput(
        column=whole.column, values=whole.values[at], rows=whole.rows[at], key=whole.key, params=whole.params
    )


@given(inputs(CELLS))
def test_types_and_lengths_stay_and_a_second_call_agrees(case):
    fault, asked = case
    before = asked.values.to_pylist()
    got = fault.change_cells(asked)
    assert got.type == asked.values.type
    assert len(got) == len(asked.values)
    assert got.equals(fault.change_cells(asked)) or has_nan(got)
    assert asked.values.to_pylist() == before


def has_nan(array):
    return any(isinstance(v, float) and math.isnan(v) for v in array.to_pylist())


@given(inputs(PARTED), st.data())
def test_parts_of_the_result_are_results_of_the_parts(case, data):
    fault, asked = case
    whole = fault.change_cells(asked)
    a = data.draw(st.integers(0, len(whole)))
    b = data.draw(st.integers(a, len(whole)))
    part = fault.change_cells(cut(asked, slice(a, b)))
    assert list(map(repr, part.to_pylist())) == list(map(repr, whole[a:b].to_pylist()))


@given(inputs(CELLS))
def test_a_shuffle_loses_and_invents_nothing(case):
    fault, asked = case
    if fault.code == "relation.shuffle":
        assert sorted(map(repr, fault.change_cells(asked).to_pylist())) == sorted(map(repr, asked.values.to_pylist()))


@given(inputs([f for f in CELLS if f.code in ("text.typo", "category.unseen", "category.swap")]))
def test_texts_always_change(case):
    fault, asked = case
    pairs = zip(asked.values.to_pylist(), fault.change_cells(asked).to_pylist(), strict=True)
    assert all(a != b or a == RESOLVED["unseen"] for a, b in pairs)


@given(st.sampled_from([f for f in PARTED if f.ladder.moves in ("sigma", "shift", "distance")]), inputs(CELLS))
def test_a_higher_rung_never_moves_a_number_less(fault, case):
    _, asked = case
    values = pa.array([2**60 + i for i in range(len(asked.values))], pa.int64())
    low = [0] * len(values)
    for severity in range(1, 1 + len(fault.ladder.rungs)):
        _, moved = fault.ladder.at(severity)
        params = RESOLVED | fault.check_params(moved)
        dose = CellInput(column="x", values=values, rows=asked.rows, key=asked.key, params=params)
        far = [abs(a - b) for a, b in zip(fault.change_cells(dose).to_pylist(), values.to_pylist(), strict=True)]
        assert all(f >= n for f, n in zip(far, low, strict=True))
        low = far


@given(st.lists(st.booleans(), max_size=60), st.data())
def test_local_row_faults_can_be_cut_into_parts(hit, data):
    rows = np.arange(len(hit), dtype=np.uint64)
    key = counter.streams(seed=0, batch="b", repeat=0, fault="f", version=1, column=None, placement={})
    at = data.draw(st.integers(0, len(hit)))
    for fault in (CATALOGUE["rows.drop"], CATALOGUE["rows.duplicate"]):
        parts = []
        for part in (slice(0, len(hit)), slice(0, at), slice(at, len(hit))):
            flags = np.array(hit, np.bool_)[part]
            edit = fault.change_rows(RowInput(rows=rows[part], hit=flags, key=key, params={}))
            parts.append([(int(t) + part.start, bool(m)) for t, m in zip(edit.take, edit.made, strict=True)])
        assert parts[0] == parts[1] + parts[2]
