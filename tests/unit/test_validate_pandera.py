"""pandera as a validator: every trap that would flatter or slander a schema, with the real library."""

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from pandera.config import ValidationDepth, config_context

from pipechaos.validate.pandera_validator import PanderaValidator
from pipechaos.validate.verdict import FindingKind, Subject, VerdictStatus

ACCEPTED, REJECTED, ERRORED = VerdictStatus.ACCEPTED, VerdictStatus.REJECTED, VerdictStatus.ERRORED
FAIL, ERROR, TOLERATED = FindingKind.FAIL, FindingKind.ERROR, FindingKind.TOLERATED


def run(schema, frame):
    return PanderaValidator(schema, name="v").run(frame)


def rows(finding):
    return None if finding.rows is None else finding.rows.tolist()


def only(verdict, kind=FAIL):
    (finding,) = [f for f in verdict.findings if f.kind is kind]
    return finding


def by_check(verdict):
    return {f.check: f for f in verdict.findings}


def test_every_declared_check_has_one_id_and_subject():
    at_least_one = pa.Check(lambda s: s.mean() > 0, name="mean_positive")
    schema = pa.DataFrameSchema(
        {
            "id": pa.Column(int, unique=True),
            "x": pa.Column(float, [pa.Check.in_range(-60, 2000), at_least_one, at_least_one], nullable=True),
            "c": pa.Column(str, pa.Check.isin(["b", "a"]), required=False),
        },
        checks=[
            pa.Check(lambda d: d["x"] < d["id"], name="x_below_id"),
            pa.Check(lambda d: len(d) >= 2, name="rows"),
            pa.Check(lambda d: d["x"].isna().mean() < 0.5, name="share"),
        ],
        unique=["id", "c"],
        strict=True,
        ordered=True,
        unique_column_names=True,
    )
    declared = {c.id: (c.columns, c.subject) for c in PanderaValidator(schema, name="v").checks}
    assert declared == {
        "id:present": (("id",), Subject.SCHEMA),
        "id:dtype": (("id",), Subject.DTYPE),
        "id:not_null": (("id",), Subject.VALUE),
        "id:unique": (("id",), Subject.UNIQUENESS),
        "x:present": (("x",), Subject.SCHEMA),
        "x:dtype": (("x",), Subject.DTYPE),
        "x:in_range(-60, 2000)": (("x",), Subject.VALUE),
        "x:mean_positive": (("x",), Subject.AGGREGATE),
        "x:mean_positive#2": (("x",), Subject.AGGREGATE),
        "c:dtype": (("c",), Subject.DTYPE),
        "c:not_null": (("c",), Subject.VALUE),
        "c:isin(['b', 'a'])": (("c",), Subject.VALUE),
        "table:unique(id,c)": (("id", "c"), Subject.UNIQUENESS),
        "table:x_below_id": (("id", "x"), Subject.VALUE),
        "table:rows": ((), Subject.ROW_COUNT),
        "table:share": (("x",), Subject.AGGREGATE),
        "table:strict": ((), Subject.SCHEMA),
        "table:ordered": ((), Subject.SCHEMA),
        "table:unique_column_names": ((), Subject.SCHEMA),
    }


def test_findings_carry_declared_ids_and_positions_not_labels():
    schema = pa.DataFrameSchema({"x": pa.Column(float, pa.Check.in_range(0, 10)), "c": pa.Column(str)})
    frame = pd.DataFrame({"x": [1.0, 99.0, np.nan, 3.0], "c": ["a", "b", None, "d"]}, index=[7, 7, 5, 7])
    before = frame.copy(deep=True)
    verdict = run(schema, frame)
    found = by_check(verdict)
    assert verdict.status is REJECTED
    assert verdict.checks_ran == verdict.checks_declared == len(PanderaValidator(schema, name="v").checks)
    assert {k: rows(f) for k, f in found.items()} == {"x:not_null": [2], "x:in_range(0, 10)": [1], "c:not_null": [2]}
    assert {f.columns for f in found.values()} == {("x",), ("c",)}
    pd.testing.assert_frame_equal(frame, before)


def test_duplicated_nulls_have_their_rows_although_pandera_names_none():
    schema = pa.DataFrameSchema({"x": pa.Column(float, unique=True, nullable=True)})
    finding = only(run(schema, pd.DataFrame({"x": [np.nan, 1.0, np.nan, 2.0]})))
    assert (finding.check, finding.subject, rows(finding)) == ("x:unique", Subject.UNIQUENESS, [0, 2])


def test_report_duplicates_is_respected():
    schema = pa.DataFrameSchema({"x": pa.Column(int, unique=True, report_duplicates="exclude_first")})
    assert rows(only(run(schema, pd.DataFrame({"x": [4, 4, 5, 4]})))) == [1, 3]


def test_unique_over_columns_names_the_set_that_failed():
    schema = pa.DataFrameSchema(
        {"a": pa.Column(int), "b": pa.Column(int), "c": pa.Column(int)}, unique=[["a", "b"], ["b", "c"]]
    )
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [1, 1, 1], "c": [5, 6, 6]})
    finding = only(run(schema, frame))
    assert (finding.check, finding.columns, rows(finding)) == ("table:unique(b,c)", ("b", "c"), [1, 2])


def test_columns_missing_extra_and_out_of_order():
    schema = pa.DataFrameSchema({"a": pa.Column(int), "b": pa.Column(int), "c": pa.Column(int)}, strict=True)
    found = by_check(run(schema, pd.DataFrame({"a": [1], "c": [1], "z": [1]})))
    assert {k: (f.columns, f.subject) for k, f in found.items()} == {
        "b:present": (("b",), Subject.SCHEMA),
        "table:strict": (("z",), Subject.SCHEMA),
    }
    ordered = pa.DataFrameSchema({"a": pa.Column(int), "b": pa.Column(int)}, ordered=True)
    assert {f.check for f in run(ordered, pd.DataFrame({"b": [1], "a": [1]})).fails} == {"table:ordered"}


def test_checks_over_the_frame_name_the_columns_their_code_reads():
    schema = pa.DataFrameSchema(
        {"a": pa.Column(float), "b": pa.Column(float), "c": pa.Column(float)},
        checks=pa.Check(lambda d: d["a"] <= d["b"], name="order"),
    )
    finding = only(run(schema, pd.DataFrame({"a": [1.0, 5.0, 0.0], "b": [2.0, 2.0, 2.0], "c": [0.0, 0.0, 0.0]})))
    assert (finding.check, finding.columns, finding.subject, rows(finding)) == (
        "table:order",
        ("a", "b"),
        Subject.VALUE,
        [1],
    )


def test_aggregates_blame_no_rows():
    schema = pa.DataFrameSchema(
        {"a": pa.Column(float, pa.Check(lambda s: s.mean() < 2, name="mean"))},
        checks=pa.Check(lambda d: d.shape[0] > 5, name="rows"),
    )
    found = by_check(run(schema, pd.DataFrame({"a": [1.0, 9.0]})))
    assert {k: (f.subject, f.rows) for k, f in found.items()} == {
        "a:mean": (Subject.AGGREGATE, None),
        "table:rows": (Subject.ROW_COUNT, None),
    }


def test_a_check_that_answers_per_group_blames_no_rows():
    schema = pa.DataFrameSchema({"a": pa.Column(int, pa.Check(lambda s: s.value_counts() >= 2, name="often"))})
    finding = only(run(schema, pd.DataFrame({"a": [1, 1, 0]})))  # label 0 is a value here, and row 0 is innocent
    assert (finding.rows, finding.subject) == (None, Subject.AGGREGATE)


def test_failure_cases_cut_off_by_the_schema_are_completed():
    check = pa.Check(lambda s: s > 0, name="positive", n_failure_cases=1)
    schema = pa.DataFrameSchema({"a": pa.Column(int, check)})
    assert rows(only(run(schema, pd.DataFrame({"a": [-1, 1, -2, -3]})))) == [0, 2, 3]


def test_dtype_and_failed_coercion_are_one_dtype_finding():
    schema = pa.DataFrameSchema({"a": pa.Column(int, coerce=True)})
    finding = only(run(schema, pd.DataFrame({"a": ["1", "x", "3"]})))
    assert (finding.check, finding.subject, rows(finding)) == ("a:dtype", Subject.DTYPE, [1])


def test_a_check_that_raises_is_an_error_not_a_detection():
    schema = pa.DataFrameSchema({"a": pa.Column(checks=pa.Check(lambda s: s + 1 > 0, name="sum"))})
    verdict = run(schema, pd.DataFrame({"a": ["x", "y"]}))
    finding = only(verdict, ERROR)
    assert (verdict.status, finding.check, finding.columns) == (ERRORED, "a:sum", ("a",))
    assert "TypeError" in finding.message


def test_unhashable_cells_are_an_error_not_a_detection():
    schema = pa.DataFrameSchema({"a": pa.Column(object, unique=True)})
    verdict = run(schema, pd.DataFrame({"a": [[1], [2]]}))
    assert (verdict.status, only(verdict, ERROR).check, verdict.checks_ran) == (ERRORED, "<crash>", 0)


@pytest.mark.parametrize(
    ("schema", "frame", "expected"),
    [
        (
            pa.DataFrameSchema({"a": pa.Column(int, pa.Check.gt(0))}, drop_invalid_rows=True),
            {"a": [1, -1, 2, -2]},
            {("<rows dropped>", ()): [1, 3]},
        ),
        (
            pa.DataFrameSchema({"a": pa.Column(int, coerce=True)}),
            {"a": [1.0, 5.9]},
            {("<dtype changed>", ("a",)): None, ("<values changed>", ("a",)): [1]},
        ),
        (
            pa.DataFrameSchema({"a": pa.Column(float, default=0.0)}),
            {"a": [np.nan, 2.0, np.nan]},
            {("<values changed>", ("a",)): [0, 2]},
        ),
        (
            pa.DataFrameSchema({"a": pa.Column(int), "b": pa.Column(int, default=1)}, add_missing_columns=True),
            {"a": [1, 2]},
            {("<column added>", ("b",)): None},
        ),
        (
            pa.DataFrameSchema({"a": pa.Column(int, parsers=pa.Parser(lambda s: s.clip(0, 5)))}),
            {"a": [1, 9]},
            {("<values changed>", ("a",)): [1]},
        ),
        (
            pa.DataFrameSchema({"a": pa.Column(int)}, strict="filter"),
            {"a": [1], "b": [1]},
            {("<column removed>", ("b",)): None},
        ),
        (
            pa.DataFrameSchema({"a": pa.Column(int, pa.Check.gt(0, raise_warning=True))}),
            {"a": [1, -1]},
            {("a:greater_than(0)", ("a",)): [1]},
        ),
        (
            pa.DataFrameSchema(
                {"a": pa.Column(int)}, checks=pa.Check(lambda d: d["a"] > 0, raise_warning=True, name="w")
            ),
            {"a": [-1, 1]},
            {("table:w", ("a",)): [0]},
        ),
    ],
    ids=["drop_invalid_rows", "coerce", "default", "add_missing", "parser", "filter", "raise_warning", "frame_warning"],
)
def test_repairs_and_warnings_are_tolerated_findings(schema, frame, expected):
    verdict = run(schema, pd.DataFrame(frame))
    assert verdict.status is ACCEPTED
    assert {f.key: rows(f) for f in verdict.findings} == expected
    assert {f.kind for f in verdict.findings} == {TOLERATED}


def test_repairs_of_objects_with_arrays_in_them():
    schema = pa.DataFrameSchema({"a": pa.Column(object)}, drop_invalid_rows=True, coerce=True)
    frame = pd.DataFrame({"a": pd.Series([np.array([1, 2]), np.array([3])], dtype=object)})
    assert run(schema, frame).findings == ()


def test_clean_data_has_no_findings():
    schema = pa.DataFrameSchema({"a": pa.Column(int), "t": pa.Column("datetime64[us]", coerce=True)})
    frame = pd.DataFrame({"a": [1, 2], "t": pd.to_datetime(["2013-06-03", None]).astype("datetime64[us]")})
    verdict = run(pa.DataFrameSchema({**schema.columns, "t": pa.Column("datetime64[us]", nullable=True)}), frame)
    assert (verdict.status, verdict.findings) == (ACCEPTED, ())
    assert verdict.ordered_digest and verdict.multiset_digest and verdict.seconds > 0


def test_validation_switched_off_is_not_acceptance():
    schema = pa.DataFrameSchema({"a": pa.Column(int)})
    with config_context(validation_enabled=False):
        verdict = run(schema, pd.DataFrame({"a": [1]}))
    assert (verdict.status, verdict.checks_ran, verdict.checks_declared) == (ERRORED, 0, 3)
    assert only(verdict, ERROR).check == "<validation disabled>"


@pytest.mark.parametrize(
    ("depth", "ran"), [(ValidationDepth.SCHEMA_ONLY, 3), (ValidationDepth.DATA_ONLY, 1), (None, 4)]
)
def test_checks_left_out_by_depth_are_not_acceptance(depth, ran):
    schema = pa.DataFrameSchema({"a": pa.Column(int, pa.Check.gt(0))})
    with config_context(validation_depth=depth):
        verdict = run(schema, pd.DataFrame({"a": [1]}))
    assert (verdict.checks_ran, verdict.checks_declared) == (ran, 4)
    assert verdict.status is (ACCEPTED if ran == 4 else ERRORED)


def test_frames_without_rows_or_columns():
    schema = pa.DataFrameSchema({"a": pa.Column(int, pa.Check.gt(0))}, checks=pa.Check(lambda d: len(d) > 0, name="n"))
    empty = run(schema, pd.DataFrame({"a": pd.Series([], dtype="int64")}))
    assert {f.check for f in empty.fails} == {"table:n"}
    for frame in (pd.DataFrame(), pd.DataFrame(index=range(3))):
        assert "a:present" in {f.check for f in run(schema, frame).fails}


def test_columns_may_share_one_list_of_checks():
    checks = [pa.Check.gt(0)]
    schema = pa.DataFrameSchema({"a": pa.Column(int, checks), "b": pa.Column(int, checks)})
    finding = only(run(schema, pd.DataFrame({"a": [1, 1], "b": [1, -1]})))
    assert (finding.check, finding.columns, rows(finding)) == ("b:greater_than(0)", ("b",), [1])


def test_a_regular_expression_names_the_column_it_matched():
    schema = pa.DataFrameSchema({"f_.*": pa.Column(float, pa.Check.gt(0), regex=True)})
    finding = only(run(schema, pd.DataFrame({"f_1": [1.0], "f_2": [-1.0]})))
    assert (finding.check, finding.columns) == ("f_.*:greater_than(0)", ("f_2",))


def test_a_column_of_its_own_and_a_regular_expression_that_matches_it_stay_apart():
    schema = pa.DataFrameSchema(
        {"f_1": pa.Column(float, pa.Check.gt(0)), "f_.*": pa.Column(float, pa.Check.lt(0), regex=True)}
    )
    assert {f.check for f in run(schema, pd.DataFrame({"f_1": [1.0]})).fails} == {"f_.*:less_than(0)"}


def test_models_are_schemas_too():
    class Flights(pa.DataFrameModel):
        delay: float = pa.Field(nullable=True, le=100)
        gain: float

        @pa.dataframe_check
        def gain_below_delay(cls, frame):  # noqa: N805
            return frame["gain"] <= frame["delay"]

    validator = PanderaValidator(Flights, name="v")
    assert {c.id: c.columns for c in validator.checks}["table:gain_below_delay"] == ("delay", "gain")
    found = by_check(validator.run(pd.DataFrame({"delay": [1.0, 200.0], "gain": [5.0, 0.0]})))
    assert {k: rows(f) for k, f in found.items()} == {
        "delay:less_than_or_equal_to(100)": [1],
        "table:gain_below_delay": [0],
    }


def test_a_schema_with_its_own_index_keeps_it():
    schema = pa.DataFrameSchema({"a": pa.Column(int, pa.Check.gt(0))}, index=pa.Index(str, unique=True, name="k"))
    frame = pd.DataFrame({"a": [1, -1, 2]}, index=pd.Index(["x", "y", "z"], name="k"))
    assert rows(only(run(schema, frame))) == [1]
    twice = run(schema, frame.set_axis(pd.Index(["x", "x", "z"], name="k")).assign(a=1))
    assert only(twice).check == "index[k]:unique"
