"""pointblank plans as validators: what rejects, which rows, and the many ways in which a step does not run."""

import datetime as dt
import sys

import numpy as np
import pandas as pd
import pointblank as pb
import polars as pl
import pytest

from pipechaos.errors import ConfigError, MissingExtraError, ValidatorLoadError
from pipechaos.validate.base import load_validator
from pipechaos.validate.pointblank_validator import PointblankValidator
from pipechaos.validate.polars_frame import FrameKind, kind_of
from pipechaos.validate.verdict import FindingKind, Subject, VerdictStatus

A, R, E = VerdictStatus.ACCEPTED, VerdictStatus.REJECTED, VerdictStatus.ERRORED
BOTH = pytest.mark.parametrize("made", [pd.DataFrame, pl.DataFrame])


def plan(build, **options):
    return PointblankValidator(lambda frame: build(pb.Validate(frame, **options)), name="v")


def found(verdict):
    return {f.check: (f.kind.value, f.columns, None if f.rows is None else f.rows.tolist()) for f in verdict.findings}


def test_every_step_is_a_check():
    validator = plan(
        lambda v: (
            v.col_vals_between(["x", "y"], 0, 10, inclusive=(True, False))
            .col_vals_gt("x", pb.col("y"))
            .col_vals_in_set("s", ["b", "a"])
            .col_vals_not_null(pb.starts_with("k"))
            .rows_distinct(columns_subset=["id", "day"])
            .rows_distinct()
            .col_exists("x")
            .col_schema_match(pb.Schema(columns=[("x", "float64"), ("s", "str")]))
            .row_count_match(5)
            .col_avg_gt("x", 1)
            .col_pct_null("x", 0.1)
            .col_vals_expr(pl.col("a") > pl.col("b"))
            .specially(lambda frame: len(frame) > 1 and frame["x"].max() > 0)
            .col_vals_gt("x", 0, segments="s")
            .col_vals_gt("x", 0, active=False)
        )
    )
    assert {c.id: (c.columns, c.subject) for c in validator.checks} == {
        "x:col_vals_between(0, 10, inclusive=(True, False))": (("x",), Subject.VALUE),
        "y:col_vals_between(0, 10, inclusive=(True, False))": (("y",), Subject.VALUE),
        "x:col_vals_gt(y)": (("x", "y"), Subject.VALUE),
        "s:col_vals_in_set(['b', 'a'])": (("s",), Subject.VALUE),
        "StartsWith(text='k', case_sensitive=False):col_vals_not_null": ((), Subject.VALUE),
        "id,day:rows_distinct": (("id", "day"), Subject.UNIQUENESS),
        "table:rows_distinct": ((), Subject.UNIQUENESS),
        "x:col_exists": (("x",), Subject.SCHEMA),
        "table:col_schema_match(Pointblank Schema x: float64 s: str)": (("x", "s"), Subject.SCHEMA),
        "table:row_count_match(5)": ((), Subject.ROW_COUNT),
        "x:col_avg_gt(1)": (("x",), Subject.AGGREGATE),
        "x:col_pct_null(0.1)": (("x",), Subject.AGGREGATE),
        'table:col_vals_expr([(col("a")) > (col("b"))])': (("a", "b"), Subject.VALUE),
        "table:specially(test_every_step_is_a_check.<locals>.<lambda>.<locals>.<lambda>)": (("x",), Subject.TABLE),
        "x:col_vals_gt(0) by s": (("x",), Subject.VALUE),
    }


@BOTH
def test_rows_are_named_by_their_position(made):
    frame = made({"x": [1.0, 11.0, None, 5.0], "s": ["a", None, "z", "b"], "k": [7, 8, 7, 9]})
    validator = plan(
        lambda v: (
            v.col_vals_lt("x", 10, na_pass=True)
            .col_vals_not_null("x")
            .col_vals_in_set("s", ["a", "b"])
            .rows_distinct(columns_subset=["k"])
            .col_vals_gt("x", pb.col("k"), na_pass=True)
            .rows_complete(columns_subset=["x", "s"])
        )
    )
    assert found(validator.run(frame)) == {
        "x:col_vals_lt(10)": ("fail", ("x",), [1]),
        "x:col_vals_not_null": ("fail", ("x",), [2]),
        "s:col_vals_in_set(['a', 'b'])": ("fail", ("s",), [1, 2]),  # E4: the extract of polars leaves the null out
        "k:rows_distinct": ("fail", ("k",), [0, 2]),
        "x:col_vals_gt(k)": ("fail", ("x", "k"), [0, 3]),
        "x,s:rows_complete": ("fail", ("x", "s"), [1, 2]),
    }


@BOTH
def test_more_than_five_hundred_rows_are_named(made):  # E4
    rng = np.random.default_rng(3)
    keys = rng.integers(0, 2000, 2400)
    validator = plan(lambda v: v.col_vals_lt("k", 1000).rows_distinct(columns_subset=["k"]))
    small, repeated = (f.rows.tolist() for f in validator.run(made({"k": keys})).findings)
    assert small == np.flatnonzero(keys >= 1000).tolist()
    counts = np.bincount(keys, minlength=2000)
    assert repeated == np.flatnonzero(counts[keys] > 1).tolist()
    assert min(len(small), len(repeated)) > 500


def test_a_selector_makes_a_finding_for_each_column_it_meets():
    verdict = plan(lambda v: v.col_vals_gt(pb.starts_with("x"), 0)).run(pd.DataFrame({"x1": [1, -1], "x2": [-1, 1]}))
    assert [(f.columns, f.rows.tolist()) for f in verdict.findings] == [(("x1",), [1]), (("x2",), [0])]
    assert verdict.checks_ran == 1
    nothing = plan(lambda v: v.col_vals_gt(pb.starts_with("x"), 0)).run(pd.DataFrame({"y": [1]}))
    assert (nothing.status, nothing.findings[0].kind, nothing.findings[0].columns) == (E, FindingKind.ERROR, ())


# --- what rejects ---------------------------------------------------------------------------------------------------

TEN = pd.DataFrame({"x": [-1, -1, *range(8)]})  # two of ten are below zero


@pytest.mark.parametrize(
    ("thresholds", "status", "kinds"),
    [
        (None, R, ["fail"]),
        (pb.Thresholds(error=0.2), R, ["fail"]),
        (pb.Thresholds(error=0.21), A, ["tolerated"]),
        (pb.Thresholds(critical=0.2), R, ["fail"]),
        (pb.Thresholds(critical=3), A, ["tolerated"]),
        (pb.Thresholds(error=2), R, ["fail"]),
        (pb.Thresholds(warning=1), A, ["tolerated"]),
        (pb.Thresholds(warning=0.5, error=0.2), R, ["fail"]),
    ],
)
def test_the_level_that_is_reached_decides(thresholds, status, kinds):
    for where in ({"thresholds": thresholds}, {}):
        own = {} if where else {"thresholds": thresholds}
        verdict = plan(lambda v, own=own: v.col_vals_ge("x", 0, **own), **where).run(TEN)
        assert (verdict.status, [f.kind.value for f in verdict.findings]) == (status, kinds)
        assert verdict.findings[0].rows.tolist() == [0, 1]


def test_a_count_of_failing_units_switches_steps_of_one_unit_off():
    # five failing rows are the level, and a step about the whole table has one unit: it can never reject
    validator = plan(lambda v: v.row_count_match(3).col_exists("gone"), thresholds=pb.Thresholds(error=5))
    assert (validator.run(TEN).status, [f.kind.value for f in validator.run(TEN).findings]) == (A, ["tolerated"] * 2)


def test_rejected_schemas_say_which_column_and_what_of_it():
    validator = plan(lambda v: v.col_schema_match(pb.Schema(columns=[("x", "float64"), ("s", "str")])))
    good = pd.DataFrame({"x": [1.0], "s": pd.Series(["a"], dtype="str" if pd.__version__ >= "3" else object)})
    if pd.__version__ >= "3":
        assert validator.run(good).status is A
    seen = {}
    for name, frame in {
        "retyped": good.assign(x=[1]),
        "missing": good.drop(columns="x"),
        "renamed": good.rename(columns={"x": "X"}),
        "extra": good.assign(more=1),
    }.items():
        (finding,) = validator.run(frame).findings
        seen[name] = (set(finding.columns) - ({"s"} if pd.__version__ < "3" else set()), finding.subject)
    assert seen == {
        "retyped": ({"x"}, Subject.DTYPE),
        "missing": ({"x"}, Subject.SCHEMA),
        "renamed": ({"x", "X"}, Subject.SCHEMA),
        "extra": ({"more"}, Subject.SCHEMA),
    }


# --- steps that do not run ------------------------------------------------------------------------------------------


def test_a_missing_column_is_an_error_of_its_steps_alone():
    verdict = plan(lambda v: v.col_vals_gt("x", 0).col_vals_gt("y", 0)).run(pd.DataFrame({"y": [-1]}))
    assert {f.check: f.kind.value for f in verdict.findings} == {
        "x:col_vals_gt(0)": "error",
        "y:col_vals_gt(0)": "fail",
    }
    assert verdict.status is R


def test_an_exception_that_escapes_names_the_step_and_leaves_no_verdict():
    validator = plan(lambda v: v.col_vals_lt("y", 0).col_vals_gt("t", dt.datetime(2013, 1, 1)).col_vals_gt("y", 5))
    fine = pd.DataFrame({"y": [-1], "t": pd.to_datetime(["2013-06-03"])})
    zoned = fine.assign(t=fine["t"].dt.tz_localize("UTC"))
    verdict = validator.run(zoned)
    assert (verdict.status, verdict.checks_declared, verdict.checks_ran) == (E, 3, 1)
    (finding,) = verdict.findings
    assert (finding.check, finding.columns, finding.kind) == (validator.checks[1].id, ("t",), FindingKind.ERROR)
    assert finding.message.startswith("it ended the interrogation: ")


def test_an_aggregate_of_texts_ends_the_interrogation():
    verdict = plan(lambda v: v.col_avg_gt("x", 0).col_exists("gone")).run(pd.DataFrame({"x": ["1", "2"]}))
    assert (verdict.status, [f.check for f in verdict.findings]) == (E, ["x:col_avg_gt(0)"])


def test_an_empty_frame_is_an_error_of_every_step_that_counts_rows():  # A15
    verdict = plan(lambda v: v.col_vals_gt("x", 0).col_exists("x")).run(pd.DataFrame({"x": pd.Series([], dtype=float)}))
    assert (verdict.status, {f.check: f.kind.value for f in verdict.findings}) == (E, {"x:col_vals_gt(0)": "error"})


def test_a_step_whose_segments_are_gone_never_ran():  # A17
    validator = plan(lambda v: v.col_vals_gt("x", 0, segments="s").col_exists("x"))
    assert validator.run(pd.DataFrame({"x": [1], "s": ["a"]})).status is A
    empty = validator.run(pd.DataFrame({"x": pd.Series([], dtype=float), "s": pd.Series([], dtype=str)}))
    assert (empty.status, empty.checks_ran) == (E, 1)


def test_segments_by_a_column_with_nulls_depend_on_the_kind_of_frame():
    frame = {"x": [1, 2], "s": ["a", None]}
    validator = plan(lambda v: v.col_vals_gt("x", 0, segments="s"))
    on_pandas = E if pd.__version__ >= "3" else A  # its new text dtype is what differs
    assert [validator.run(made(frame)).status for made in (pd.DataFrame, pl.DataFrame)] == [on_pandas, A]


def test_rows_of_segments_and_of_changed_frames_are_nobodys():
    frame = pd.DataFrame({"x": [1, -1, -2, 3], "s": ["a", "b", "b", "a"]})
    for validator in (
        plan(lambda v: v.col_vals_gt("x", 0, segments="s")),
        plan(lambda v: v.col_vals_gt("x", 0, pre=lambda d: d.iloc[::-1])),
    ):
        (finding,) = validator.run(frame).findings
        assert (finding.kind, finding.columns, finding.rows) == (FindingKind.FAIL, ("x",), None)


def test_a_step_with_a_condition_is_skipped_and_that_is_said():
    validator = plan(lambda v: v.col_vals_gt("x", 0, active=pb.has_columns("x")))
    assert validator.run(pd.DataFrame({"x": [-1]})).status is R
    skipped = validator.run(pd.DataFrame({"y": [-1]}))
    assert (skipped.status, [f.kind.value for f in skipped.findings]) == (A, ["tolerated"])


def test_steps_that_send_rows_to_a_model_are_never_run():
    validator = plan(lambda v: v.prompt("is this a good row?", model="openai:gpt-4o").col_exists("x"))
    verdict = validator.run(pd.DataFrame({"x": [1]}))
    assert (verdict.status, verdict.checks_declared, verdict.checks_ran) == (E, 2, 1)
    assert "language model" in verdict.findings[0].message


def test_no_action_is_taken_in_a_trial():
    called = []
    actions = pb.Actions(warning=lambda: called.append("step"), error=lambda: called.append("step"))
    final = pb.FinalActions(lambda: called.append("final"))
    validator = plan(
        lambda v: v.col_vals_ge("x", 0, actions=actions), thresholds=(1, 1, 1), actions=actions, final_actions=final
    )
    assert validator.run(TEN).status is R
    assert called == []


def test_limits_are_the_numbers_of_the_plan():
    validator = plan(
        lambda v: (
            v.col_vals_between("x", 0, 10)
            .col_vals_ge("x", 1)
            .col_vals_eq("x", 2)
            .col_vals_lt("x", pb.col("y"))
            .col_vals_in_set("s", ["b", "a"])
            .col_vals_not_null("s")
            .col_avg_le("x", 5)
            .col_sum_eq("x", 9)
            .row_count_match(5, tol=1)
            .rows_distinct(columns_subset=["a", "b"])
            .col_vals_gt("x", 0, pre=lambda d: d)
            .col_vals_gt("x", 0, segments="s")
            .col_vals_gt("x", 0, thresholds=pb.Thresholds(error=0.1))
            .col_vals_gt(pb.starts_with("x"), 0)
            .col_vals_regex("s", "a")
            .rows_distinct()
        )
    )
    assert [(x.column, x.statistic.value, x.low, x.high, x.columns, x.members) for x in validator.limits] == [
        ("x", "minimum", 0.0, None, (), ()),
        ("x", "maximum", None, 10.0, (), ()),
        ("x", "minimum", 1.0, None, (), ()),
        ("x", "minimum", 2.0, None, (), ()),
        ("x", "maximum", None, 2.0, (), ()),
        ("s", "share outside the set", None, 0.0, (), ("a", "b")),
        ("s", "null share", None, 0.0, (), ()),
        ("x", "mean", None, 5.0, (), ()),
        ("x", "sum", 9.0, 9.0, (), ()),
        ("", "row count", 4.0, 6.0, (), ()),
        ("", "share of repeated rows", None, 0.0, ("a", "b"), ()),
    ]
    assert {x.check for x in validator.limits} <= {c.id for c in validator.checks}


# --- plans ----------------------------------------------------------------------------------------------------------


def test_a_plan_that_looks_into_the_frame_first_has_steps_when_it_runs():
    def build(frame):
        return pb.Validate(frame).col_vals_le("x", float(frame["x"].median()) + 5)

    validator = PointblankValidator(build, name="v")
    assert [c.id for c in validator.checks] == ["build"]
    verdict = validator.run(pd.DataFrame({"x": [1.0, 2.0, 99.0]}))
    assert (verdict.status, verdict.checks_ran) == (R, 1)
    assert found(verdict) == {"x:col_vals_le(7.0)": ("fail", ("x",), [2])}


def test_a_plan_cannot_reach_the_frame():
    def vandal(frame):
        if len(frame):
            frame["x"] = 0
        return pb.Validate(frame).col_vals_ge("x", 0)

    frame = pd.DataFrame({"x": [-1]})
    assert PointblankValidator(vandal, name="v").run(frame).status is A
    assert frame["x"].tolist() == [-1]


def test_a_plan_that_raises_is_no_verdict():
    def build(frame):
        if len(frame.columns) and "x" not in frame.columns:
            raise KeyError("x")
        return pb.Validate(frame).col_exists("x")

    crashed = PointblankValidator(build, name="v").run(pd.DataFrame({"y": [1]}))
    assert (crashed.status, crashed.findings[0].check) == (E, "<crash>")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda frame: pb.Validate(frame).col_exists("x").interrogate(), "already run"),
        (lambda frame: True, "gave a bool"),
    ],
)
def test_what_is_no_plan_is_refused_at_once(build, message):
    with pytest.raises(ValidatorLoadError, match=message):
        PointblankValidator(build, name="v")


YAML = """
tbl: no/such/table.csv
thresholds: {error: 0.5}
actions: {error: "call somebody"}
steps:
- col_vals_between: {columns: [x], left: 0, right: 10}
- col_vals_expr: {expr: "pl.col('x') < 5"}
- rows_distinct
"""


@pytest.fixture
def root(tmp_path):
    before = list(sys.path)
    (tmp_path / "plan.yaml").write_text(YAML)
    (tmp_path / "polars.yml").write_text("df_library: polars\n" + YAML)
    (tmp_path / "broken.yaml").write_text("tbl: x\nsteps:\n- col_vals_magic: {columns: [x]}\n")
    yield tmp_path
    sys.path[:] = before


@pytest.mark.parametrize(("file", "kind"), [("plan.yaml", FrameKind.PANDAS), ("polars.yml", FrameKind.POLARS)])
def test_a_yaml_plan_is_judged_on_our_frame_and_never_on_its_table(root, file, kind, capfd):
    validator = load_validator(f"pointblank:{file}", name="v", roots=[root])
    assert kind_of(validator) is kind
    assert [c.id for c in validator.checks] == [
        "x:col_vals_between(0, 10)",
        'table:col_vals_expr([(col("x")) < (dyn int: 5)])',
        "table:rows_distinct",
    ]
    verdict = validator.run(pl.DataFrame({"x": [1, 6, 7, 8]}))
    assert found(verdict) == {'table:col_vals_expr([(col("x")) < (dyn int: 5)])': ("fail", ("x",), [1, 2, 3])}
    assert capfd.readouterr() == ("", "")


def test_the_digest_is_of_the_plan(root):
    def digest():
        return load_validator("pointblank:plan.yaml", roots=[root]).suite_digest

    before = digest()
    assert digest() == before
    (root / "plan.yaml").write_text(YAML.replace("10", "11"))
    assert digest() != before


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("gone.yaml", ValidatorLoadError, "no file"),
        ("../plan.yaml", ValidatorLoadError, "outside the roots"),
        ("broken.yaml", ValidatorLoadError, "col_vals_magic"),
        ("module", ConfigError, "pointblank:module:attribute"),
        ("os:getcwd", ValidatorLoadError, "outside the roots"),
    ],
)
def test_specs_that_name_no_plan(root, spec, error, message):
    inner = root / "inner"
    inner.mkdir()
    (inner / "broken.yaml").write_text((root / "broken.yaml").read_text())
    with pytest.raises(error, match=message):
        load_validator(f"pointblank:{spec}", roots=[inner])


def test_without_the_library_the_extra_is_named(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "pointblank", None)
    with pytest.raises(MissingExtraError, match=r"pipechaos\[pointblank\]"):
        load_validator("pointblank:plan.yaml", roots=[root])
