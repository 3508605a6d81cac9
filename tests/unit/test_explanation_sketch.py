"""Sketches of a column before and after: bins, shares and the one line, worked out by hand."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipechaos.campaign.sketch import BINS, sketch


def tables(before, after, kind=None):
    return pa.table({"x": pa.array(before, kind)}), pa.table({"x": pa.array(after, kind)})


def test_numbers_share_ten_bins_over_the_middle_and_one_on_each_side():
    before = list(range(101))  # 1 % and 99 % quantiles are 1 and 99
    found = sketch(*tables(before, [*before[:100], 1000]), "x")
    assert len(found.labels) == BINS
    assert found.labels[0] == "0 to 1"
    assert found.labels[1] == "1 to 10.8"
    assert found.labels[-1] == "99 to 1000"
    assert found.before == pytest.approx([n / 101 for n in (1, 10, 10, 10, 10, 9, 10, 10, 10, 10, 9, 2)])
    assert found.after == pytest.approx(found.before)  # 100 became 1000: both lie above the middle


def test_one_outlier_does_not_squeeze_the_others_into_one_bin():
    before = np.linspace(0, 10, 200)
    after = before.copy()
    after[7] = 1e12
    found = sketch(*tables(before, after), "x")
    assert max(found.after) < 0.15
    assert found.labels[-1].endswith(" to 1e+12")


def test_few_values_are_counted_one_by_one():
    found = sketch(*tables([1.0, 1.0, 2.5, None], [1.0, 9.0, None, None]), "x")
    assert found.labels == ("1", "2.5", "9")
    assert found.before == (0.5, 0.25, 0.0)
    assert found.after == (0.25, 0.0, 0.25)
    assert (found.null_before, found.null_after) == (0.25, 0.5)
    assert found.summary == "4 rows, nulls 25.0 % -> 50.0 %, mean 1.5 -> 5, spread 0.707107 -> 4"


def test_texts_are_counted_and_the_rest_is_together():
    before = [f"v{i:02}" for i in range(20) for _ in range(20 - i)]  # v00 twenty times ... v19 once
    found = sketch(*tables(before, ["new"] * 210), "x")
    assert found.labels == (*(f"v{i:02}" for i in range(10)), "new", "(others)")
    assert found.before[0] == pytest.approx(20 / 210)
    assert found.before[-1] == pytest.approx(sum(range(1, 11)) / 210)
    assert found.after[-2:] == (1.0, 0.0)
    assert found.summary.endswith("different values 20 -> 1")


def test_booleans_and_dictionaries_are_categories():
    found = sketch(*tables([True, False, True], [True, True, True]), "x")
    assert (found.labels, found.before, found.after) == (("True", "False"), (2 / 3, 1 / 3), (1.0, 0.0))
    coded = pa.table({"x": pa.array(["a", "b", "a"]).dictionary_encode()})
    assert sketch(coded, coded, "x").labels == ("a", "b")


def test_times_have_bins_that_read_as_times():
    hours = [dt.datetime(2013, 6, 3) + dt.timedelta(hours=h) for h in range(24)]
    late = [h + dt.timedelta(days=30) for h in hours]
    found = sketch(*tables(hours, late, pa.timestamp("us", "UTC")), "x")
    assert found.labels[0].startswith("2013-06-03 00:00 to ")
    assert found.labels[-1].endswith(" to 2013-07-03 23:00")
    assert found.after[-1] == 1.0
    assert "mean 2013-06-03 11:30 -> 2013-07-03 11:30" in found.summary
    days = sketch(*tables([dt.date(2013, 6, 3)], [dt.date(2014, 6, 3)]), "x")
    assert days.labels == ("2013-06-03", "2014-06-03")


def test_a_time_outside_the_calendar_is_a_year():
    far = pa.array([0, 2**62], pa.timestamp("s"))
    assert sketch(pa.table({"x": far}), pa.table({"x": far}), "x").labels[0] == "1970-01-01 00:00"


def test_a_column_that_changed_its_type_is_counted_by_type():
    before, after = pa.table({"x": [1.0, 2.0, None]}), pa.table({"x": ["1", "2", None]})
    found = sketch(before, after, "x")
    assert found.labels == ("number", "text")
    assert (found.before, found.after) == ((2 / 3, 0.0), (0.0, 2 / 3))
    assert found.summary.endswith("double became string")


def test_a_column_that_is_gone_and_one_that_was_renamed():
    before = pa.table({"x": [1, 2]})
    gone = sketch(before, pa.table({"y": [1, 2]}), "x")
    assert gone.summary == "2 rows; the column is gone afterwards"
    assert gone.after == (0.0, 0.0)
    renamed = sketch(before, pa.table({"X": [1, 2]}), "x", to="X")
    assert renamed.before == renamed.after == (0.5, 0.5)


@pytest.mark.parametrize("kind", [pa.float64(), pa.string(), pa.timestamp("us"), pa.list_(pa.int64())])
def test_columns_without_a_value(kind):
    empty, nulls = pa.table({"x": pa.array([], kind)}), pa.table({"x": pa.array([None, None], kind)})
    found = sketch(nulls, nulls, "x")
    assert (found.labels, found.null_before, found.null_after) == ((), 1.0, 1.0)
    assert sketch(empty, nulls, "x").labels == ()


def test_rows_that_went_show_in_the_line_and_leave_shares_of_rows():
    found = sketch(*tables(["a", "b", "a", "b"], ["a"]), "x")
    assert found.summary.startswith("4 -> 1 rows, ")
    assert found.after == (1.0, 0.0)


def test_long_texts_are_cut():
    (label,) = sketch(*tables(["y" * 500], ["y" * 500]), "x").labels
    assert label == "y" * 39 + "…"


@pytest.mark.parametrize(
    "values", [["s3cret"], [737373.5], [dt.datetime(1973, 7, 3)], [b"s3cret"], [[737373]]], ids=lambda v: str(v[0])[:9]
)
def test_without_values_labels_are_ordinals_and_the_line_holds_shares_and_counts(values):
    found = sketch(*tables(values * 3, [values[0], None, None]), "x", values=False)
    assert found.labels == ("bin 1",)
    assert found.summary == "3 rows, nulls 0.0 % -> 66.7 %, different values 1 -> 1"


numbers = st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), max_size=60)


@given(numbers, numbers)
def test_every_row_is_in_a_bin_or_null(before, after):
    found = sketch(*tables(before, after, pa.float64()), "x")
    for rows, shares, null in ((before, found.before, found.null_before), (after, found.after, found.null_after)):
        assert sum(shares) + null == pytest.approx(1.0 if rows else 0.0)
    assert len(found.labels) == len(found.before) == len(found.after) <= BINS
