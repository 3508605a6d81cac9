"""Suggestions: the numbers of each rule by hand, and their code run by the real libraries."""

import ast
import json

import pandera.pandas as pda
import pyarrow as pa
import pytest

from pipechaos.batch.model import Batch
from pipechaos.campaign.suggest import Form, History, accepts, proposals, suggestion
from pipechaos.faults.spec import Family
from pipechaos.validate.gx_validator import GxValidator
from pipechaos.validate.limits import Statistic
from pipechaos.validate.pandera_validator import PanderaValidator
from pipechaos.validate.verdict import VerdictStatus

HOSTILE = "x'\"]) or exec('1')\n\u202e{}`|"


def batch(name, column="x", **more):
    data = {
        "id": list(range(100)),
        column: [float(i % 50) for i in range(100)],
        "s": ["a", "b", "c", "a"] * 25,
    }
    return Batch.of(pa.table(data | more), name=name, key=["id"])


def nulled(many, of=100):
    return [None if i < many else float(i % 50) for i in range(of)]


def history(column="x"):
    """Five days: at most 4 % nulls, means 24.5 and a little, values 0 to 49, 100 rows."""
    return History(batches=tuple(batch(f"h{i}", column, **{column: nulled(i)}) for i in range(5)))


def first(family, broken, past=None, columns=("x",)):
    return proposals(family, columns, past or history(), broken)[0]


def test_a_budget_of_nulls_is_half_as_much_again():
    found = first(Family.MISSING, batch("d", x=nulled(9)))
    assert (found.statistic, found.column, found.high) == (Statistic.NULL_SHARE, "x", 0.06)  # 1.5 * 0.04
    inside = proposals(Family.MISSING, ["x"], history(), batch("d", x=nulled(6)))
    assert Statistic.NULL_SHARE not in {limit.statistic for limit in inside}


def test_a_budget_of_nulls_is_at_least_one_point():
    clean = History(batches=tuple(batch(f"h{i}") for i in range(5)))
    found = proposals(Family.MISSING, ["x"], clean, batch("d", x=nulled(2)))
    assert [limit.high for limit in found if limit.statistic is Statistic.NULL_SHARE] == [0.01]


def test_a_row_count_has_a_tenth_of_room():
    past = History(batches=tuple(batch(f"h{n}", id=list(range(n)), x=[1.0] * n, s=["a"] * n) for n in range(95, 100)))
    short = batch("d", id=list(range(80)), x=[1.0] * 80, s=["a"] * 80)
    found = first(Family.ROWS, short, past, ())
    assert (found.low, found.high) == (85.0, 109.0)  # 85.5 and 108.9, outwards
    longer = batch("d", id=list(range(109)), x=[1.0] * 109, s=["a"] * 109)
    assert proposals(Family.ROWS, (), past, longer) == ()


def test_a_repeated_key_is_caught_by_uniqueness():
    found = first(Family.ROWS, batch("d", id=[*range(99), 0]), columns=())
    assert (found.statistic, found.columns, found.high) == (Statistic.REPEATED_SHARE, ("id",), 0.0)


def test_ranges_have_a_tenth_of_room_and_do_not_pass_zero():
    found = {x.statistic: x for x in proposals(Family.VALUE, ["x"], history(), batch("d", x=[-900.0] + [900.0] * 99))}
    assert found[Statistic.MAXIMUM].high == 53.9  # 49 + 4.9
    assert found[Statistic.MINIMUM].low == 0.0  # -4.9, but the history never went below 0


def test_means_have_a_quarter_of_the_range_of_means():
    means = History(batches=tuple(batch(f"h{m}", x=[float(m)] * 100) for m in (10, 11, 12, 13, 14)))
    drifted = proposals(Family.DRIFT, ["x"], means, batch("d", x=[15.2] * 100))
    assert [(x.statistic, x.low, x.high) for x in drifted] == [
        (Statistic.MEAN, 9.0, 15.0),
        (Statistic.MAXIMUM, None, 14.4),
    ]


def test_a_set_is_closed_while_it_is_small():
    found = first(Family.CATEGORY, batch("d", s=["a", "z"] * 50), columns=("s",))
    assert (found.statistic, found.members) == (Statistic.OUTSIDE_SET, ("a", "b", "c"))
    many = History(batches=tuple(batch(f"h{i}", s=[f"{i}-{j % 11}" for j in range(100)]) for i in range(5)))
    assert proposals(Family.CATEGORY, ["s"], many, batch("d", s=["z"] * 100)) == ()


@pytest.mark.parametrize("family", [Family.RELATION, Family.TIME, Family.SCHEMA, Family.TYPE])
def test_where_nothing_is_obvious_nothing_is_said(family):
    assert proposals(family, ["x"], history(), batch("d", x=[-900.0] * 100)) == ()


def test_a_short_history_makes_no_rule():
    short = History(batches=history().batches[:4])
    assert proposals(Family.MISSING, ["x"], short, batch("d", x=nulled(50))) == ()


def test_times_and_columns_of_changing_type_have_no_range():
    mixed = History(batches=(*history().batches[:4], batch("h4", x=["a"] * 100)))
    assert proposals(Family.VALUE, ["x"], mixed, batch("d", x=[900.0] * 100)) == ()
    stamps = pa.array([86_400] * 100, pa.timestamp("s"))
    past = History(batches=tuple(batch(f"h{i}", x=stamps) for i in range(5)))
    assert proposals(Family.VALUE, ["x"], past, batch("d", x=pa.array([9] * 100, pa.timestamp("s")))) == ()


def test_one_control_that_would_be_rejected_is_enough_to_drop_a_limit():
    limit = first(Family.MISSING, batch("d", x=nulled(9)))
    calm, stormy = batch("c1"), batch("c2", x=nulled(7))
    assert accepts([limit], [calm]) == {limit}
    assert accepts([limit], [calm, stormy]) == frozenset()


def test_no_control_is_read_without_a_limit():
    assert accepts([], (1 / 0 for _ in "x")) == frozenset()


BROKEN = {
    "nulls": (Family.MISSING, {"x": nulled(9)}),
    "high": (Family.VALUE, {"x": [900.0] * 100}),
    "low": (Family.VALUE, {"x": [-900.0] * 100}),
    "mean": (Family.DRIFT, {"x": [float(i % 50 > 9) * 49 for i in range(100)]}),
    "set": (Family.CATEGORY, {"s": ["z"] * 100}),
    "rows": (Family.ROWS, {"id": list(range(70)), "x": [1.0] * 70, "s": ["a"] * 70}),
    "key": (Family.ROWS, {"id": [7] * 100}),
}


def proposed(case, column="x"):
    family, more = BROKEN[case]
    past = history(column)
    broken = batch("d", column, **{column if k == "x" else k: v for k, v in more.items()})
    columns = ("s",) if case == "set" else () if family is Family.ROWS else (column,)
    found = proposals(family, columns, past, broken)
    assert found, case
    return past, broken, columns, found[0]


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("column", ["x", HOSTILE])
def test_the_code_for_pandera_rejects_the_broken_batch_and_no_other(case, column):
    past, broken, columns, limit = proposed(case, column)
    code = suggestion(limit, past, 3, Form.PANDERA).code
    assert code.isascii()
    assert "\n" not in code
    assert not {n.id for n in ast.walk(ast.parse(code, mode="eval")) if isinstance(n, ast.Name)} & {"exec", "eval"}
    made = eval(code, {"pa": pda, "__name__": "suite"})  # noqa: S307 - that it does what it says is the point
    schema = made
    if isinstance(made, pda.Check):
        schema = pda.DataFrameSchema({columns[0]: pda.Column(checks=made, nullable=True)})
    judged = PanderaValidator(schema, name="v")
    assert judged.run(broken.to_pandas()).status is VerdictStatus.REJECTED
    assert {judged.run(b.to_pandas()).status for b in past.batches} == {VerdictStatus.ACCEPTED}


@pytest.mark.parametrize("case", BROKEN)
def test_the_code_for_gx_rejects_the_broken_batch_and_no_other(case):
    past, broken, _, limit = proposed(case)
    code = suggestion(limit, past, 3, Form.GX).code
    judged = GxValidator({"name": "s", "expectations": [json.loads(code)]}, name="v")
    assert judged.run(broken.to_pandas()).status is VerdictStatus.REJECTED
    assert judged.run(past.batches[4].to_pandas()).status is VerdictStatus.ACCEPTED


def test_hostile_names_stay_literals_for_gx():
    past, _, _, limit = proposed("nulls", HOSTILE)
    code = suggestion(limit, past, 3, Form.GX).code
    assert code.isascii()
    assert json.loads(code)["kwargs"] == {"column": HOSTILE, "mostly": 0.94}


def test_words_hold_the_rule_and_its_numbers():
    past, _, _, limit = proposed("nulls")
    assert suggestion(limit, past, 7, Form.OTHER).text == (
        "a budget of nulls in x, at most 6 % (the history's worst batch has 4 %; rule: half as much again, at least "
        "one point more). Tried: it rejects this batch and accepts all 5 of the history and all 7 controls of the run"
    )
    assert suggestion(limit, past, 7, Form.OTHER).code == ""


@pytest.mark.parametrize("case", ["high", "low", "mean", "set"])
@pytest.mark.parametrize("form", list(Form))
def test_without_values_a_limit_in_the_unit_of_the_data_stays_unsaid(case, form):
    past, _, _, limit = proposed(case)
    with_values = suggestion(limit, past, 7, form).text
    found = suggestion(limit, past, 7, form, values=False)
    assert found.code == ""
    assert "rule:" in found.text
    if case != "set":
        assert "the history has" in with_values
        assert "the history has" not in found.text
    assert not any(word in found.text for word in ("at most 53", "at least 0", "['a'", "53.9"))


@pytest.mark.parametrize("case", ["nulls", "rows", "key"])
def test_shares_and_counts_are_said_without_values_too(case):
    past, _, _, limit = proposed(case)
    assert suggestion(limit, past, 7, Form.GX, values=False) == suggestion(limit, past, 7, Form.GX)
