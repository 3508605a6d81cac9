"""Kernels that write numbers, against big integers, fractions and xxhash."""

import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
import xxhash

from pipechaos import counter
from pipechaos.batch.model import Batch
from pipechaos.faults import registry
from pipechaos.faults.arithmetic import moved, negated, scaled
from pipechaos.faults.kernel import CellInput
from pipechaos.faults.scale import centre_and_scale, order_statistic, robust_scale
from pipechaos.faults.value import bell

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
IDS = [2**53 + 1, 2**53 + 3, 2**62 + 1, 2**63 - 1, -(2**63), -(2**53) - 1, 0, 1, -1, 250, -250, 127, -128]


def le8(n):
    return (n % 2**64).to_bytes(8, "little")


def naive_draw(row, j, key):
    return xxhash.xxh64_intdigest(le8(row), seed=xxhash.xxh64_intdigest(le8(j), seed=key.s3))


def given(values, fault="value.noise", rows=None, **params):
    key = counter.streams(seed=3, batch="b", repeat=0, fault=fault, version=1, column="x", placement={})
    rows = np.arange(len(values), dtype=np.uint64) if rows is None else np.array(rows, np.uint64)
    return CellInput(column="x", values=values, rows=rows, key=key, params=params)


def bounds(kind):
    info = np.iinfo(kind)
    return int(info.min), int(info.max)


def fitting(kind):
    low, high = bounds(kind)
    return [v for v in IDS if low <= v <= high] + [low, high]


def half_even(x):
    return round(Fraction(x))


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("delta", [0.0, 0.5, 1.5, -2.5, 3.0, -999.0, 1e10, -1e19, 1e30])
def test_integers_move_exactly_and_stop_at_their_bounds(kind, delta):
    values = fitting(kind)
    low, high = bounds(kind)
    got = moved(pa.array(values, kind), np.full(len(values), delta))
    assert got.type == pa.type_for_alias(kind)
    assert got.to_pylist() == [max(low, min(high, v + half_even(delta))) for v in values]


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("factor", [1.0, 10.0, 2.5, 0.5, -1.0, 1000.0, 1e15])
def test_integers_scale_exactly_and_stop_at_their_bounds(kind, factor):
    values = fitting(kind)
    low, high = bounds(kind)
    got = scaled(pa.array(values, kind), factor)
    assert got.to_pylist() == [max(low, min(high, half_even(v * Fraction(factor)))) for v in values]


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64"])
def test_signs_flip_and_the_lowest_integer_becomes_the_highest(kind):
    values = fitting(kind)
    assert negated(pa.array(values, kind)).to_pylist() == [min(-v, bounds(kind)[1]) for v in values]


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_floats_keep_their_width_and_overflow_to_infinity(kind):
    top = float(np.finfo(kind).max)
    values = pa.array(np.array([1.5, -2.25, 0.0, top, -top, math.inf], kind))
    assert scaled(values, 10.0).to_pylist() == [15.0, -22.5, 0.0, math.inf, -math.inf, math.inf]
    assert moved(values, np.full(6, 0.25)).to_pylist() == [1.75, -2.0, 0.25, top, -top, math.inf]
    assert negated(values).to_pylist() == [-1.5, 2.25, 0.0, -top, top, -math.inf]
    assert scaled(values, 10.0).type == moved(values, np.zeros(6)).type == values.type


def test_noise_is_what_sixteen_bit_parts_of_xxhash_draws_say():
    values = [0.1 * i for i in range(200)]
    asked = given(pa.array(values), sigma=0.25, scale=3.0)
    parts = [
        sum((naive_draw(i, j, asked.key) >> b) & 0xFFFF for j in range(3) for b in (0, 16, 32, 48))
        for i in range(len(values))
    ]
    expected = [v + (p - 393_210) / 65_536 * 0.75 for v, p in zip(values, parts, strict=True)]
    assert registry.get("value.noise").change_cells(asked).to_pylist() == expected
    whole = given(pa.array(range(200)), sigma=0.25, scale=3.0)
    steps = [half_even((p - 393_210) / 65_536 * 0.75) for p in parts]
    assert registry.get("value.noise").change_cells(whole).to_pylist() == [i + s for i, s in enumerate(steps)]


def test_the_bell_has_the_variance_and_range_it_claims():
    assert Fraction(12 * (65_536**2 - 1), 12 * 65_536**2) == 1 - Fraction(1, 2**32)
    z = bell(given(pa.nulls(40_000, pa.float64())))
    exact = [Fraction(v) for v in z.tolist()]
    mean = sum(exact) / len(exact)
    variance = sum((v - mean) ** 2 for v in exact) / len(exact)
    assert abs(mean) < 0.02  # four standard errors of 1/200
    assert abs(variance - 1) < 0.03
    assert abs(z).max() < 393_210 / 65_536


def test_integers_drift_by_the_shift_on_average():
    n = 20_000
    values = [2**60 + i for i in range(n)]
    asked = given(pa.array(values), "drift.mean", shift=0.1, scale=3.0)
    steps = [a - b for a, b in zip(registry.get("drift.mean").change_cells(asked).to_pylist(), values, strict=True)]
    expected = [math.floor(0.1 * 3.0 + (naive_draw(i, 0, asked.key) >> 11) / 2**53) for i in range(n)]
    assert steps == expected
    assert set(steps) == {0, 1}
    assert abs(sum(steps) / n - 0.3) < 0.013  # four standard errors
    down = given(pa.array(values), "drift.mean", shift=-0.1, scale=3.0)
    assert set(np.subtract(registry.get("drift.mean").change_cells(down).to_pylist(), values)) == {-1, 0}


@pytest.mark.parametrize(
    ("side", "expected"),
    [("away", [-26.0, 35.0, 36.0]), ("high", [34.0, 35.0, 36.0]), ("low", [-26.0, -25.0, -24.0])],
)
def test_outliers_leave_on_the_side_that_was_asked(side, expected):
    asked = given(pa.array([4.0, 5.0, 6.0]), centre=5.0, distance=10.0, scale=3.0, side=side)
    assert registry.get("value.outlier").change_cells(asked).to_pylist() == expected


def batch(values, name="day", kind=None):
    return Batch.of(pa.table({"x": pa.array(values, kind)}), name=name)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 17])
@pytest.mark.parametrize(("num", "den"), [(1, 4), (1, 2), (3, 4), (1, 1)])
def test_order_statistics_count_from_one(n, num, den):
    values = np.random.default_rng(n).permutation(n) * 10
    assert order_statistic(values, num, den) == sorted(values.tolist())[math.ceil(Fraction(num * n, den)) - 1]


def test_the_scale_comes_from_the_pooled_history_or_else_from_the_batch():
    source = batch([0.0, 10.0, 20.0, 30.0, None, float("nan")])
    assert robust_scale(source, (), "x", {}) == {"scale": 20.0 / 1.349}
    history = [batch([1.0, None, None, None, 3.0]), batch([float("nan"), 4.0, 8.0])]  # 1 3 4 8: quartiles 1 and 4
    assert robust_scale(source, history, "x", {}) == {"scale": 3.0 / 1.349}
    assert centre_and_scale(source, history, "x", {}) == {"scale": 3.0 / 1.349, "centre": 3.0}


def test_the_scale_of_large_integers_is_exact():
    ids = [2**60 + 1, 2**60 + 2, 2**60 + 3, 2**60 + 4]  # all the same float64
    assert robust_scale(batch(ids), (), "x", {}) == {"scale": 2 / 1.349}
    assert robust_scale(batch([None, 4, 8, 12, 16], kind="int64"), [], "x", {}) == {"scale": 8 / 1.349}
    mixed = [batch([2, 4]), batch([6.0, None])]  # a gap made one day's file a float
    assert robust_scale(batch([1]), mixed, "x", {}) == {"scale": 4 / 1.349}


@pytest.mark.parametrize("values", [[], [None, None], [5, 5, 5, 5], [float("nan")], [0.0, math.inf, math.inf]])
def test_without_spread_there_is_nothing_to_scale_by(values):
    kind = "float64"
    assert robust_scale(batch(values, kind=kind), (), "x", {}) is None
    assert centre_and_scale(batch(values, kind=kind), (), "x", {}) is None
