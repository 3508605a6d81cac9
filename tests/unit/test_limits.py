"""The numbers that suites declare: read from pandera and Great Expectations, handed out by the worker."""

import datetime as dt
import math
import textwrap
from decimal import Decimal

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest

from pipechaos.validate.callable_validator import CallableValidator
from pipechaos.validate.gx_validator import GxValidator
from pipechaos.validate.limits import Limit, Statistic, as_number
from pipechaos.validate.pandera_validator import PanderaValidator
from pipechaos.validate.worker import ValidatorSpec, Worker, WorkerSpec

JUNE_3 = dt.datetime(2013, 6, 3, tzinfo=dt.UTC)
JUNE_3_SECONDS = 1370217600.0  # date -u -d 2013-06-03 +%s


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0),
        (Decimal("2.5"), 2.5),
        (np.int64(4), 4.0),
        (np.float32(0.5), 0.5),
        (JUNE_3, JUNE_3_SECONDS),
        (dt.datetime(2013, 6, 3), JUNE_3_SECONDS),
        (dt.date(2013, 6, 3), JUNE_3_SECONDS),
        (pd.Timestamp("2013-06-03", tz="UTC"), JUNE_3_SECONDS),
        (np.datetime64("2013-06-03T00:00:00.000000001"), JUNE_3_SECONDS),
        ("2013-06-03T02:00:00+02:00", JUNE_3_SECONDS),
        (dt.timedelta(minutes=2), 120.0),
        (np.timedelta64(2, "m"), 120.0),
        (True, None),
        (np.bool_(True), None),
        (None, None),
        ("many", None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        (pd.NaT, None),
        ([1], None),
        ({"$PARAMETER": "low"}, None),
    ],
)
def test_numbers_and_times_are_limits_and_nothing_else_is(value, number):
    assert as_number(value) == number


def by_check(limits):
    found = {}
    for limit in limits:
        found.setdefault(limit.check, []).append((limit.column, limit.statistic, limit.low, limit.high))
    return found


def test_limits_of_a_pandera_schema():
    schema = pa.DataFrameSchema(
        {
            "x": pa.Column(float, pa.Check.in_range(0, 2400, name="clock"), nullable=True),
            "low": pa.Column(int, pa.Check.gt(3)),
            "high": pa.Column(int, pa.Check.le(9), unique=True, nullable=True),
            "fixed": pa.Column(int, pa.Check.eq(7), nullable=True),
            "s": pa.Column(str, [pa.Check.isin(["b", "a"]), pa.Check.str_length(2, 5)], nullable=True),
            "code": pa.Column(str, pa.Check.str_length(exact_value=3), nullable=True),
            "t": pa.Column("datetime64[us, UTC]", pa.Check.ge(pd.Timestamp(JUNE_3)), nullable=True),
        },
        unique=["low", "s"],
    )
    limits = PanderaValidator(schema, name="v").limits
    minimum, maximum, none = Statistic.MINIMUM, Statistic.MAXIMUM, Statistic.NULL_SHARE
    assert by_check(limits) == {
        "x:clock(0, 2400)": [("x", minimum, 0.0, None), ("x", maximum, None, 2400.0)],
        "low:not_null": [("low", none, None, 0.0)],
        "low:greater_than(3)": [("low", minimum, 3.0, None)],
        "high:unique": [("high", Statistic.REPEATED_SHARE, None, 0.0)],
        "high:less_than_or_equal_to(9)": [("high", maximum, None, 9.0)],
        "fixed:equal_to(7)": [("fixed", minimum, 7.0, None), ("fixed", maximum, None, 7.0)],
        "s:isin(['b', 'a'])": [("s", Statistic.OUTSIDE_SET, None, 0.0)],
        "s:str_length(2, 5, None)": [("s", Statistic.SHORTEST, 2.0, None), ("s", Statistic.LONGEST, None, 5.0)],
        "code:str_length(3)": [
            ("code", Statistic.SHORTEST, 3.0, None),
            ("code", Statistic.LONGEST, None, 3.0),
        ],
        "t:greater_than_or_equal_to(2013-06-03 00:00:00+00:00)": [("t", minimum, JUNE_3_SECONDS, None)],
        "table:unique(low,s)": [("", Statistic.REPEATED_SHARE, None, 0.0)],
    }
    (outside,) = [limit for limit in limits if limit.statistic is Statistic.OUTSIDE_SET]
    assert outside.members == ("a", "b")
    assert {limit.columns for limit in limits if not limit.column} == {("low", "s")}


def test_a_limit_stands_under_the_id_of_its_check():
    schema = pa.DataFrameSchema({"x": pa.Column(float, [pa.Check.ge(0), pa.Check.ge(0)])})
    validator = PanderaValidator(schema, name="v")
    assert [limit.check for limit in validator.limits] == [
        "x:not_null",
        "x:greater_than_or_equal_to(0)",
        "x:greater_than_or_equal_to(0)#2",
    ]
    assert {limit.check for limit in validator.limits} <= {c.id for c in validator.checks}


def test_checks_of_ones_own_warnings_groups_and_patterns_declare_no_number():
    own = pa.Check(lambda s, min_value: s >= min_value, name="in_range", min_value=3)
    columns = {
        "a": pa.Column(float, own, nullable=True),
        "b": pa.Column(float, pa.Check.ge(0, raise_warning=True), nullable=True),
        "c": pa.Column(float, pa.Check(lambda groups: True, groupby="b"), nullable=True),
        "d_.*": pa.Column(float, pa.Check.ge(0), regex=True),
        "e": pa.Column("datetime64[us]", pa.Check.isin([pd.Timestamp("2013-06-03")]), nullable=True),
    }
    schema = pa.DataFrameSchema(columns, index=pa.Index(int, pa.Check.ge(0)), checks=pa.Check(lambda df: len(df) > 1))
    assert PanderaValidator(schema, name="v").limits == ()


def expectation(kind, **kwargs):
    return {"type": f"expect_{kind}", "kwargs": kwargs}


def gx_limits(*expectations):
    return GxValidator({"name": "s", "expectations": list(expectations)}, name="v").limits


def test_limits_of_a_gx_suite():
    limits = gx_limits(
        expectation("column_values_to_be_between", column="x", min_value=0, max_value=10),
        expectation("column_values_to_be_between", column="y", max_value=5, mostly=0.9),
        expectation("column_mean_to_be_between", column="x", min_value=1),
        expectation("column_values_to_not_be_null", column="x", mostly=0.72),
        expectation("column_values_to_not_be_null", column="y"),
        expectation("table_row_count_to_be_between", min_value=550, max_value=1100),
        expectation("table_row_count_to_equal", value=7),
        expectation("column_values_to_be_in_set", column="s", value_set=["b", "a"], mostly=0.95),
        expectation("compound_columns_to_be_unique", column_list=["x", "y"]),
        expectation("column_values_to_be_unique", column="y"),
        expectation("column_value_lengths_to_equal", column="s", value=3),
        expectation("column_values_to_be_between", column="t", min_value="2013-06-03T00:00:00+00:00"),
    )
    assert [(x.column, x.statistic.value, x.low, x.high) for x in limits] == [
        ("x", "minimum", 0.0, None),
        ("x", "maximum", None, 10.0),
        ("y", "share outside the range", None, 0.1),
        ("x", "mean", 1.0, None),
        ("x", "null share", None, 0.28),
        ("y", "null share", None, 0.0),
        ("", "row count", 550.0, 1100.0),
        ("", "row count", 7.0, 7.0),
        ("s", "share outside the set", None, 0.05),
        ("", "share of repeated rows", None, 0.0),
        ("y", "share of repeated rows", None, 0.0),
        ("s", "shortest text", 3.0, None),
        ("s", "longest text", None, 3.0),
        ("t", "minimum", JUNE_3_SECONDS, None),
    ]
    assert limits[2].inside == (-math.inf, 5.0)
    assert limits[8].members == ("b", "a")


@pytest.mark.filterwarnings("ignore:The condition_parser parameter is deprecated")
@pytest.mark.filterwarnings("ignore:Passing a string to the row_condition parameter is deprecated")
def test_expectations_of_some_rows_and_of_other_types_declare_no_number():
    some = {"row_condition": "y > 2", "condition_parser": "pandas"}
    assert (
        gx_limits(
            expectation("column_values_to_be_between", column="x", min_value=0, **some),
            expectation("column_values_to_match_regex", column="s", regex="^a"),
            expectation("column_to_exist", column="x"),
        )
        == ()
    )


SUITE = """
import pandera.pandas as pa

schema = pa.DataFrameSchema({"x": pa.Column(float, pa.Check.in_range(0, 9), nullable=True)})


def usual(frame):
    return True
"""


def test_the_worker_hands_limits_out(tmp_path):
    (tmp_path / "limits_suite.py").write_text(textwrap.dedent(SUITE))
    validators = (
        ValidatorSpec(name="p", spec="pandera:limits_suite:schema"),
        ValidatorSpec(name="c", spec="callable:limits_suite:usual"),
    )
    with Worker(WorkerSpec(validators=validators, roots=(str(tmp_path),))) as worker:
        described = worker.describe()
    low = Limit(check="x:in_range(0, 9)", column="x", statistic=Statistic.MINIMUM, low=0.0)
    high = Limit(check="x:in_range(0, 9)", column="x", statistic=Statistic.MAXIMUM, high=9.0)
    assert described["p"].limits == (low, high)
    assert described["c"].limits == ()
    assert not hasattr(CallableValidator(lambda frame: True, name="c"), "limits")
