"""Disguised missing values: what each type takes, and what is refused before anything is written."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from pipechaos.batch.model import Batch
from pipechaos.errors import FaultError
from pipechaos.faults import registry
from pipechaos.faults.missing import sentinel
from pipechaos.inject.engine import inject
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.resolve import resolve


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pa.int16(), -999),
        (pa.int64(), -999),
        (pa.int8(), 127),
        (pa.uint8(), 255),
        (pa.uint64(), 2**64 - 1),
        (pa.float16(), -999.0),
        (pa.float32(), -999.0),
        (pa.string(), "N/A"),
        (pa.date32(), dt.date(1970, 1, 1)),
        (pa.timestamp("ms"), dt.datetime(1970, 1, 1)),
        (pa.timestamp("us", "UTC"), dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
    ],
    ids=str,
)
def test_each_type_has_its_usual_disguise(kind, expected):
    found = sentinel(kind, None)
    assert found.type == kind
    assert found.as_py() == expected


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (pa.int64(), str(2**53 + 1), 2**53 + 1),
        (pa.float64(), "-1", -1.0),
        (pa.string(), "", ""),
        (pa.string(), "-1", "-1"),
        (pa.timestamp("us"), "1900-01-01T12:30:00.000001", dt.datetime(1900, 1, 1, 12, 30, 0, 1)),
        (pa.date32(), "2099-12-31", dt.date(2099, 12, 31)),
    ],
    ids=str,
)
def test_a_text_is_read_as_the_type(kind, text, expected):
    assert sentinel(kind, text).as_py() == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (pa.int64(), "N/A"),
        (pa.int64(), ""),
        (pa.int8(), "-999"),
        (pa.int64(), "1.5"),
        (pa.float64(), "NaN"),
        (pa.timestamp("us"), "-999"),
        (pa.date32(), "1970-13-01"),
    ],
    ids=str,
)
def test_a_text_that_the_type_cannot_hold_is_refused(kind, text):
    with pytest.raises(FaultError, match=r"missing\.sentinel"):
        sentinel(kind, text)


def test_the_refusal_comes_with_the_plan():
    source = Batch.of(pa.table({"n": [1, 2], "label": pa.array(["a", "b"]).dictionary_encode()}), name="day")
    bad = Plan.of(Injection.of("missing.sentinel", "n", params={"value": "unknown"}))
    with pytest.raises(FaultError, match=r"'unknown' is no value of type int64.*-999"):
        resolve(bad, source)
    fine = Plan.of(Injection.of("missing.sentinel", "label", params={"value": "unknown"}))
    assert resolve(fine, source).injections[0].params == {"value": "unknown"}


def test_the_value_is_a_text():
    with pytest.raises(FaultError, match="takes a str, not -999"):
        Injection.of("missing.sentinel", "n", params={"value": -999})
    assert Injection.of("missing.sentinel", "n").params == {"value": None}


@pytest.mark.parametrize("kind", [pa.bool_(), pa.decimal128(9, 2), pa.duration("s"), pa.list_(pa.int64())], ids=str)
def test_types_without_a_spare_value_are_not_disguised(kind):
    assert not registry.get("missing.sentinel").applies(kind)


@pytest.mark.parametrize(
    "values",
    [
        [Decimal("1.50")],
        [b"\xff"],
        [[1, 2]],
        [{"a": 1}],
        [True],
        [dt.time(3)],
        [dt.timedelta(3)],
        [dt.datetime(2013, 6, 3, 1, 2, 3, 4)],
    ],
    ids=repr,
)
def test_any_type_can_go_missing(values):
    source = Batch.of(pa.table({"x": values}), name="day")
    after = inject(resolve(Plan.of(Injection.of("null.mcar", "x", fraction=1)), source), source).batch.table
    assert after["x"].to_pylist() == [None]
    assert after.schema == source.table.schema
