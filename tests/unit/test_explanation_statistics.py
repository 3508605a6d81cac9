"""Statistics that checks limit, and the share of their room that a fault used: by hand."""

import datetime as dt
import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from pipechaos.campaign.nearness import near_misses, used_room
from pipechaos.campaign.statistics import fits, statistic
from pipechaos.validate.limits import Limit, Statistic

NAN = float("nan")
TABLE = pa.table(
    {
        "x": [4.0, None, 1.0, NAN, 4.0],
        "n": pa.array([2, 3, 3, 4, None], pa.int64()),
        "s": pa.array(["bb", "a", None, "a", "dddd"]).dictionary_encode(),
        "d": pa.array([Decimal("1.50"), None, None, Decimal("2.50"), None]),
        "t": pa.array([dt.datetime(1970, 1, 2), None, None, None, dt.datetime(1970, 1, 4)], pa.timestamp("ms")),
        "day": pa.array([dt.date(1970, 1, 3), None, None, None, None]),
        "b": [True, True, False, None, None],
        "none": pa.array([None] * 5, pa.float64()),
        "lists": pa.array([[1], [1], [2], None, None]),
    }
)


def number(wanted, column="", table=TABLE, **more):
    return statistic(Limit(check="c", column=column, statistic=wanted, **more), table)


@pytest.mark.parametrize(
    ("wanted", "column", "more", "value"),
    [
        (Statistic.MINIMUM, "x", {}, 1.0),
        (Statistic.MAXIMUM, "n", {}, 4.0),
        (Statistic.MEAN, "x", {}, 3.0),
        (Statistic.MEDIAN, "n", {}, 3.0),
        (Statistic.SUM, "n", {}, 12.0),
        (Statistic.DEVIATION, "x", {}, math.sqrt(3)),  # 4, 1, 4 about 3: squares 1, 4, 1 over 2
        (Statistic.NULL_SHARE, "x", {}, 0.4),  # NaN is no value
        (Statistic.NULL_SHARE, "none", {}, 1.0),
        (Statistic.DISTINCT, "s", {}, 3.0),
        (Statistic.DISTINCT_SHARE, "s", {}, 0.75),
        (Statistic.DISTINCT, "lists", {}, 2.0),
        (Statistic.OUTSIDE_SET, "s", {"members": ("a", "z")}, 0.5),
        (Statistic.OUTSIDE_SET, "n", {"members": (3, 4.0)}, 0.25),
        (Statistic.OUTSIDE_SET, "n", {"members": ("3",)}, NAN),
        (Statistic.OUTSIDE_SET, "s", {"members": (3,)}, NAN),
        (Statistic.OUTSIDE_RANGE, "n", {"inside": (3, math.inf)}, 0.25),
        (Statistic.SHORTEST, "s", {}, 1.0),
        (Statistic.LONGEST, "s", {}, 4.0),
        (Statistic.LONGEST, "n", {}, NAN),
        (Statistic.REPEATED_SHARE, "", {"columns": ("n",)}, 0.4),
        (Statistic.REPEATED_SHARE, "", {"columns": ("n", "s")}, 0.0),
        (Statistic.ROW_COUNT, "", {}, 5.0),
        (Statistic.MEAN, "d", {}, 2.0),
        (Statistic.MEAN, "t", {}, 2 * 86_400.0),
        (Statistic.MAXIMUM, "day", {}, 2 * 86_400.0),
        (Statistic.MEAN, "b", {}, 2 / 3),
        (Statistic.MEAN, "s", {}, NAN),
        (Statistic.MEAN, "none", {}, NAN),
        (Statistic.MINIMUM, "gone", {}, NAN),
        (Statistic.REPEATED_SHARE, "", {"columns": ("n", "gone")}, NAN),
    ],
)
def test_statistics(wanted, column, more, value):
    assert number(wanted, column, **more) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize("wanted", list(Statistic))
def test_an_empty_table_has_no_statistic_but_its_row_count(wanted):
    found = number(wanted, "x", table=TABLE.slice(0, 0), columns=("x",))
    assert found == 0 if wanted is Statistic.ROW_COUNT else math.isnan(found)


@pytest.mark.parametrize("wanted", [s for s in Statistic if s is not Statistic.ROW_COUNT])
def test_infinite_values_make_no_noise(wanted):
    table = pa.table({"x": [math.inf, -math.inf, 1.0], "h": pa.array(np.array([1, 2, np.nan], np.float16))})
    number(wanted, "x", table=table, columns=("x",), members=(1,))
    assert number(Statistic.MAXIMUM, "h", table=table) == 2.0


def test_shares_and_counts_tell_no_value():
    told = {s for s in Statistic if not s.in_unit}
    assert told == {
        Statistic.NULL_SHARE,
        Statistic.OUTSIDE_RANGE,
        Statistic.OUTSIDE_SET,
        Statistic.DISTINCT,
        Statistic.DISTINCT_SHARE,
        Statistic.REPEATED_SHARE,
        Statistic.ROW_COUNT,
    }


def test_ends_are_allowed_and_the_undefined_is_not():
    both = Limit(check="", column="x", statistic=Statistic.MEAN, low=1.0, high=2.0)
    assert [fits(both, v) for v in (0.9, 1.0, 2.0, 2.1, NAN)] == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("untouched", "observed", "limit", "upper", "used"),
    [
        (10, 40, 100, True, 1 / 3),
        (10, 5, 100, True, 0.0),  # away from the limit
        (10, 100, 100, True, 1.0),
        (10, 190, 100, True, 2.0),
        (30, 21, 0, False, 0.3),
        (30, 45, 0, False, 0.0),
        (0, 0, 0, True, NAN),  # no room
        (5, 6, 0, True, NAN),  # beyond it from the beginning
        (NAN, 6, 10, True, NAN),
        (5, NAN, 10, True, NAN),
        (-math.inf, 0, 10, True, NAN),
        (math.inf, math.inf, 10, True, NAN),
    ],
)
def test_used_room(untouched, observed, limit, upper, used):
    found = used_room(untouched=untouched, observed=observed, limit=limit, upper=upper)
    assert found == pytest.approx(used, nan_ok=True)


def limit(check, wanted, column="x", **more):
    return Limit(check=check, column=column, statistic=wanted, **more)


LIMITS = {
    "p": [
        limit("range", Statistic.MINIMUM, low=0.0),
        limit("range", Statistic.MAXIMUM, high=100.0),
        limit("nulls", Statistic.NULL_SHARE, high=0.5),
        limit("other", Statistic.NULL_SHARE, column="y", high=0.5),
        limit("rows", Statistic.ROW_COUNT, column="", high=8.0),
    ],
    "g": [limit("mean", Statistic.MEAN, high=60.0), limit("set", Statistic.OUTSIDE_SET, members=(1,), high=0.0)],
}
BEFORE = pa.table({"x": [20.0, 40.0, 10.0, 50.0], "y": [1, 2, 3, 4]})  # mean 30
AFTER = pa.table({"x": [20.0, 75.0, None, 5.0], "y": [1, 2, 3, 4]})  # mean 100 / 3


def test_the_nearest_comes_first_and_each_check_once():
    found = near_misses(LIMITS, ["x"], BEFORE, AFTER)
    # half of the way to the upper end, and of that to the lower: 50 -> 75 of 100, 10 -> 5 of 0; nulls 0 -> 1/4 of 1/2
    assert [(m.validator, m.check, m.statistic, round(m.used, 6)) for m in found[:3]] == [
        ("p", "nulls", "null share", 0.5),
        ("p", "range", "minimum", 0.5),
        ("g", "mean", "mean", round((100 / 3 - 30) / 30, 6)),
    ]
    assert (found[1].untouched, found[1].observed, found[1].limit) == (10.0, 5.0, 0.0)
    assert [m.check for m in found[3:]] == ["set"]  # it had no room: all untouched values are outside
    assert math.isnan(found[3].used)


def test_a_fault_on_the_whole_batch_is_near_to_limits_of_the_whole_table():
    (found,) = near_misses(LIMITS, [], BEFORE, pa.concat_tables([BEFORE, BEFORE.slice(0, 2)]))
    assert (found.check, found.untouched, found.observed, found.used) == ("rows", 4.0, 6.0, 0.5)


def test_without_values_only_shares_and_counts_are_told():
    found = {m.check: m for m in near_misses(LIMITS, ["x"], BEFORE, AFTER, values=False)}
    assert (found["nulls"].untouched, found["nulls"].observed) == (0.0, 0.25)
    assert math.isnan(found["range"].observed)
    assert math.isnan(found["range"].untouched)
    assert (found["range"].limit, found["range"].used) == (0.0, 0.5)


@pytest.mark.parametrize(
    "after",
    [BEFORE.select(["y"]), pa.table({"x": ["20", "40", "10", "50"]}), BEFORE.slice(0, 0), pa.table({"x": [None] * 4})],
    ids=["gone", "text", "empty", "all null"],
)
def test_what_cannot_be_worked_out_is_not_near(after):
    found = near_misses({"p": LIMITS["p"][:2]}, ["x"], BEFORE, after)
    assert [math.isnan(m.used) for m in found] == [True]
