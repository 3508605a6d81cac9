"""Which columns a check's code names."""

import functools

import pytest

from pipechaos.validate.column_reads import columns_read, counts_rows

COLUMNS = ["dep", "arr", "air", "size"]
PARTS = ["air", "dep"]
LOW = 3
TABLE = {"air": 1}


def _gain(frame):
    return frame["arr"] - frame["dep"]


def _made_for(name):
    return lambda frame: frame[name] > 0


class Rule:
    def __init__(self, column):
        self.column = column

    def __call__(self, frame):
        return frame[self.column] > 0


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda d: d["arr"] >= d["dep"], ("dep", "arr")),
        (lambda d: d.arr > 0, ("arr",)),
        (lambda d: d.size > 0, ()),  # an attribute every frame has
        (lambda d: d[PARTS].sum(axis=1) > 0, ("dep", "air")),
        (lambda d: [d[c] for c in ("arr",)], ("arr",)),
        (lambda d: _gain(d) > 0, ("dep", "arr")),
        (_made_for("air"), ("air",)),
        (functools.partial(lambda d, column: d[column] > 0, column="arr"), ("arr",)),
        (functools.partial(lambda column, d: d[column] > 0, "arr"), ("arr",)),
        (Rule("dep"), ("dep",)),
        (lambda d, c="dep": d[c] > 0, ("dep",)),
        (lambda d: all(d[k].max() > v for k, v in TABLE.items()), ("air",)),
        (lambda d: len(d) > 3, ()),
        (len, ()),
    ],
)
def test_names_in_code(function, expected):
    assert columns_read(function, COLUMNS) == expected


def test_names_in_given_arguments():
    assert columns_read(lambda d, column: d[column] > 0, COLUMNS, {"column": "arr"}) == ("arr",)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda d: len(d) > 3, True),
        (lambda d: LOW <= d.shape[0] <= 2 * LOW, True),
        (lambda d: len(d.index) > LOW, True),
        (lambda d: d["arr"].sum() > len(d), False),
        (lambda d: d.isna().sum().sum() < len(d), False),
        (lambda d: True, False),
        (len, False),
    ],
)
def test_counting_rows(function, expected):
    assert counts_rows(function) is expected
