"""pandera on polars, and polars frames on their way to a validator: kinds, digests, loaders."""

import datetime as dt
import sys

import pandas as pd
import pandera.polars as pa
import polars as pl
import pytest
from pandera.pandas import Parser

from pipechaos.errors import MissingExtraError
from pipechaos.validate.base import load_validator
from pipechaos.validate.pandera_polars import PanderaPolarsValidator
from pipechaos.validate.polars_frame import FrameKind, is_polars, kind_of, polars_digests, settled, suited
from pipechaos.validate.polars_repairs import polars_repairs
from pipechaos.validate.verdict import FindingKind, Subject, VerdictStatus

A, R, E = VerdictStatus.ACCEPTED, VerdictStatus.REJECTED, VerdictStatus.ERRORED
NAN = float("nan")


def judge(frame, schema=None, **columns):
    return PanderaPolarsValidator(schema or pa.DataFrameSchema(columns), name="v").run(frame)


def found(verdict):
    return {f.check: (f.kind.value, f.columns, None if f.rows is None else f.rows.tolist()) for f in verdict.findings}


# --- checks and rows ------------------------------------------------------------------------------------------------


def mean_below(limit):
    return lambda data: data.lazyframe.select(pl.col(data.key).mean() < limit)


def test_checks_say_what_they_look_at():
    schema = pa.DataFrameSchema(
        {
            "x": pa.Column(float, [pa.Check.in_range(0, 10), pa.Check(mean_below(5), name="mean")], nullable=True),
            "k": pa.Column(pl.Int64, pa.Check(lambda v: v > 0, element_wise=True, name="each"), unique=True),
        },
        checks=[
            pa.Check(lambda data: data.lazyframe.select(pl.col("x") > pl.col("k")), name="over"),
            pa.Check(lambda data: data.lazyframe.select(pl.len() > 1), name="enough"),
        ],
        unique=["x", "k"],
        strict=True,
    )
    checks = {c.id: (c.columns, c.subject) for c in PanderaPolarsValidator(schema, name="v").checks}
    assert checks == {
        "x:present": (("x",), Subject.SCHEMA),
        "x:dtype": (("x",), Subject.DTYPE),
        "x:in_range(0, 10)": (("x",), Subject.VALUE),
        "x:mean": (("x",), Subject.AGGREGATE),
        "k:present": (("k",), Subject.SCHEMA),
        "k:dtype": (("k",), Subject.DTYPE),
        "k:not_null": (("k",), Subject.VALUE),
        "k:unique": (("k",), Subject.UNIQUENESS),
        "k:each": (("k",), Subject.VALUE),
        "table:unique(x,k)": (("x", "k"), Subject.UNIQUENESS),
        "table:over": (("x", "k"), Subject.VALUE),
        "table:enough": ((), Subject.TABLE),
        "table:strict": ((), Subject.SCHEMA),
    }


@pytest.mark.parametrize("values", [[9], [9, 9, 9]])
def test_an_aggregate_blames_no_row(values):  # E6: pandera blames the first
    (finding,) = judge(pl.DataFrame({"x": values}), x=pa.Column(int, pa.Check(mean_below(3)))).findings
    assert (finding.rows, finding.subject, finding.columns) == (None, Subject.AGGREGATE, ("x",))


def test_a_check_of_two_columns_names_both_and_its_rows():
    schema = pa.DataFrameSchema(checks=[pa.Check(lambda d: d.lazyframe.select(pl.col("a") > pl.col("b")), name="over")])
    schema = schema.add_columns({"a": pa.Column(int), "b": pa.Column(int)})
    assert found(judge(pl.DataFrame({"a": [1, 5, 2], "b": [0, 5, 9]}), schema)) == {
        "table:over": ("fail", ("a", "b"), [1, 2])
    }


def test_rows_beyond_the_failure_cases_are_named():
    verdict = judge(pl.DataFrame({"x": [0, 1, 0, 0]}), x=pa.Column(int, pa.Check.gt(0, n_failure_cases=1)))
    assert found(verdict) == {"x:greater_than(0)": ("fail", ("x",), [0, 2, 3])}


def test_columns_of_a_regular_expression_are_named_one_by_one():
    frame = pl.DataFrame({"v1": [1, -1], "v2": [-1, 1], "w": [-1, -1]})
    verdict = judge(frame, **{"^v.$": pa.Column(int, pa.Check.ge(0), regex=True)})
    assert [(f.columns, f.rows.tolist()) for f in verdict.findings] == [(("v1",), [1]), (("v2",), [0])]


def test_duplicates_of_a_set_of_columns():
    schema = pa.DataFrameSchema({"a": pa.Column(int), "b": pa.Column(int)}, unique=["a", "b"])
    verdict = judge(pl.DataFrame({"a": [1, 1, 1, 2], "b": [1, 2, 1, 1]}), schema)
    assert found(verdict) == {"table:unique(a,b)": ("fail", ("a", "b"), [0, 2])}


def test_all_copies_are_reported_whatever_the_schema_says():
    with pytest.warns(UserWarning, match="report_duplicates"):
        schema = pa.DataFrameSchema({"a": pa.Column(int)}, unique=["a"], report_duplicates="exclude_first")
    assert found(judge(pl.DataFrame({"a": [1, 2, 1]}), schema)) == {"table:unique(a)": ("fail", ("a",), [0, 2])}


def test_a_strict_and_ordered_schema_names_what_does_not_belong():
    schema = pa.DataFrameSchema({"a": pa.Column(int), "b": pa.Column(int)}, strict=True, ordered=True)
    frame = pl.DataFrame({"a": [1], "b": [1]})
    assert found(judge(frame.with_columns(c=pl.lit(1)), schema)) == {"table:strict": ("fail", ("c",), None)}
    assert found(judge(frame.select("b", "a"), schema)) == {"table:ordered": ("fail", ("b",), None)}


def test_a_model_is_a_schema_too():
    class Ride(pa.DataFrameModel):
        fare: float = pa.Field(ge=0, nullable=True)

        @pa.check("fare")
        def below_100(cls, data):  # noqa: N805 - given its model
            return data.lazyframe.select(pl.col(data.key) < 100)

    verdict = judge(pl.DataFrame({"fare": [1.0, -1.0, 100.0, None]}), Ride)
    assert found(verdict) == {
        "fare:greater_than_or_equal_to(0)": ("fail", ("fare",), [1]),
        "fare:below_100": ("fail", ("fare",), [2]),
    }


# --- traps ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "values", "status", "rows"),
    [
        (pa.Column(float, pa.Check.ge(0), nullable=True), [1.0, NAN], A, None),  # NaN is above everything
        (pa.Column(float, pa.Check.in_range(0, 9), nullable=True), [1.0, NAN], R, [1]),
        (pa.Column(float, pa.Check.isin([1.0]), nullable=True), [1.0, NAN], R, [1]),
        (pa.Column(float, nullable=False), [NAN, 1.0, None], R, [0, 2]),
        (pa.Column(float, pa.Check.ge(0)), [1.0, float("inf")], A, None),  # A16
        (pa.Column(int, nullable=True), [1, None], A, None),  # A10 is pandas' own
        (pa.Column(int, unique=True, nullable=True), [1, None, None], R, [1, 2]),  # A9
        (pa.Column(str, pa.Check.str_matches("^a$")), ["a", "a\n"], R, [1]),  # C7
        (pa.Column(int, pa.Check.isin([0, 1])), [0, 2], R, [1]),
        (pa.Column(int, pa.Check.in_range(0, 9)), [], A, None),  # A15
    ],
)
def test_the_backend_judges_its_own_way(column, values, status, rows):
    dtype = column.dtype.type
    verdict = judge(pl.DataFrame({"x": pl.Series(values, dtype=dtype)}), x=column)
    assert verdict.status is status
    assert [f.rows.tolist() for f in verdict.findings] == ([] if rows is None else [rows])


def test_a_check_that_raises_is_an_error_without_rows():
    verdict = judge(pl.DataFrame({"x": [1, 2]}), x=pa.Column(int, pa.Check.isin(["1"])))
    assert (verdict.status, verdict.findings[0].kind, verdict.findings[0].rows) == (E, FindingKind.ERROR, None)
    assert verdict.findings[0].check == "x:isin(['1'])"


def test_the_unit_of_a_time_counts():
    column = pa.Column(pl.Datetime("us"))
    times = pl.Series("x", [dt.datetime(2013, 6, 3)])
    assert judge(times.cast(pl.Datetime("us")).to_frame(), x=column).status is A
    assert found(judge(times.cast(pl.Datetime("ns")).to_frame(), x=column)) == {"x:dtype": ("fail", ("x",), None)}


def test_a_lazy_frame_is_not_looked_into_and_that_is_no_verdict():  # B4
    schema = pa.DataFrameSchema({"x": pa.Column(int, pa.Check.gt(0), unique=True)})
    bad = pl.DataFrame({"x": [-1, -1, None]})
    lazy = judge(bad.lazy(), schema)
    assert judge(bad, schema).status is R
    assert (lazy.status, lazy.checks_declared, lazy.checks_ran) == (E, 5, 3)  # unique and gt are of the data
    assert [f.check for f in lazy.findings] == ["<validation depth>"]
    assert found(judge(bad.lazy().with_columns(pl.col("x").cast(pl.String)), schema))["x:dtype"][0] == "fail"


def test_what_the_schema_repairs_is_tolerated():  # B8
    schema = pa.DataFrameSchema(
        {"x": pa.Column(int, coerce=True), "y": pa.Column(int, default=3), "z": pa.Column(int, default=0)},
        strict="filter",
        add_missing_columns=True,
    )
    verdict = judge(pl.DataFrame({"x": [1.0, 2.9], "y": [None, 2], "w": [0, 0]}), schema)
    assert verdict.status is A
    assert [(f.check, f.columns, None if f.rows is None else f.rows.tolist()) for f in verdict.findings] == [
        ("<column removed>", ("w",), None),
        ("<column added>", ("z",), None),
        ("<dtype changed>", ("x",), None),
        ("<values changed>", ("x",), [1]),
        ("<values changed>", ("y",), [0]),
    ]


def test_what_cannot_be_coerced_is_named():  # C1: polars refuses texts for truth values, pandas takes them for True
    verdict = judge(pl.DataFrame({"x": ["1", "q", "2"]}), x=pa.Column(int, coerce=True))
    assert found(verdict) == {"x:dtype": ("fail", ("x",), [1])}
    assert judge(pl.DataFrame({"x": ["False"]}), x=pa.Column(bool, coerce=True)).status is R


def test_dropping_invalid_rows_hides_rows_and_more():  # B7
    schema = pa.DataFrameSchema({"x": pa.Column(int, pa.Check.gt(1))}, drop_invalid_rows=True)
    dropped = judge(pl.DataFrame({"x": [1, 2, 3]}), schema)
    assert (dropped.status, found(dropped)) == (A, {"<rows dropped>": ("tolerated", (), None)})
    # another dtype, and no such column at all: pandera lets both pass, and so does the verdict
    assert [judge(f, schema).status for f in (pl.DataFrame({"x": ["a"]}), pl.DataFrame({"y": [1]}))] == [A, A]


def test_what_only_warns_is_tolerated_with_its_rows():  # B6
    column = pa.Column(int, [pa.Check.gt(1, raise_warning=True), pa.Check(mean_below(1), name="m", raise_warning=True)])
    verdict = judge(pl.DataFrame({"x": [0, 9, 1]}), x=column)
    assert (verdict.status, found(verdict)) == (
        A,
        {"x:greater_than(1)": ("tolerated", ("x",), [0, 2]), "x:m": ("tolerated", ("x",), None)},
    )


def test_failures_that_pandera_cannot_print_count_all_the_same():
    column = pa.Column(str, [pa.Check(lambda data: False, name="never"), pa.Check.isin(["a"])])
    frame = pl.DataFrame({"x": ["a", "b"]})
    with pytest.raises(pl.exceptions.SchemaError):  # its table of failures cannot hold False beside "b"
        pa.DataFrameSchema({"x": column}).validate(frame, lazy=True)
    assert found(judge(frame, x=column)) == {
        "x:never": ("fail", ("x",), None),
        "x:isin(['a'])": ("fail", ("x",), [1]),
    }


def test_a_frame_without_columns_is_rejected_although_pandera_stumbles():
    schema = pa.DataFrameSchema(
        {"x": pa.Column(int)}, checks=[pa.Check(lambda d: d.lazyframe.select(pl.len() > 0), name="filled")]
    )
    with pytest.raises(IndexError):
        schema.validate(pl.DataFrame(), lazy=True)
    assert found(judge(pl.DataFrame(), schema)) == {
        "x:present": ("fail", ("x",), None),
        "table:filled": ("fail", (), None),
    }


def test_what_was_found_before_pandera_stumbled_counts_too():
    broken = pa.Column(str, [pa.Check(lambda data: False, name="never"), pa.Check.isin(["a"])])
    schema = pa.DataFrameSchema({"gone": pa.Column(int), "w": pa.Column(int, pa.Check.gt(0)), "x": broken})
    verdict = judge(pl.DataFrame({"w": [0, 1], "x": ["a", "b"]}), schema)
    assert {f.check: None if f.rows is None else f.rows.tolist() for f in verdict.findings} == {
        "gone:present": None,
        "w:greater_than(0)": [0],
        "x:never": None,
        "x:isin(['a'])": [1],
    }


def test_what_pandera_cannot_do_on_polars_is_no_verdict():
    schema = pa.DataFrameSchema({"x": pa.Column(int, parsers=Parser(lambda s: s))})
    verdict = judge(pl.DataFrame({"y": [1]}), schema)
    assert (verdict.status, verdict.findings[0].check) == (E, "<crash>")
    assert "parsers" in verdict.findings[0].message


# --- loading --------------------------------------------------------------------------------------------------------

SUITE = """
import pandera.polars as pa
Schema = pa.DataFrameSchema({"x": pa.Column(int)})
class Model(pa.DataFrameModel):
    x: int
"""


@pytest.mark.parametrize("attr", ["Schema", "Model"])
def test_a_spec_finds_out_which_frames_a_schema_is_for(tmp_path, attr):
    (tmp_path / f"pl_suite_{attr}.py").write_text(SUITE)
    validator = load_validator(f"pandera:pl_suite_{attr}:{attr}", name="v", roots=[tmp_path])
    assert kind_of(validator) is FrameKind.POLARS
    assert [validator.run(pl.DataFrame({"x": [v]})).status for v in (1, "1")] == [A, R]
    assert validator.run(pd.DataFrame({"x": [1]})).status is E


def test_without_polars_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "pl_gone.py").write_text("import polars\n")
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingExtraError, match=r"pipechaos\[polars\]"):
        load_validator("pandera:pl_gone:Schema", roots=[tmp_path])


# --- frames ---------------------------------------------------------------------------------------------------------


def frame(**columns):
    data = {"i": [1, None, 3], "f": [0.5, NAN, None], "s": ["a", "b", None], "l": [[1], [], None]}
    return pl.DataFrame(data | columns)


DIFFERENT = {
    "value": lambda: frame(i=[2, None, 3]),
    "null": lambda: frame(i=[1, 0, 3]),
    "NaN is no null": lambda: frame(f=[0.5, None, None]),
    "text": lambda: frame(s=["a", "b ", None]),
    "nested": lambda: frame(l=[[1], [None], None]),
    "dtype": lambda: frame().with_columns(pl.col("i").cast(pl.Int32)),
    "category": lambda: frame().with_columns(pl.col("s").cast(pl.Categorical)),
    "enum": lambda: frame().with_columns(pl.col("s").cast(pl.Enum(["a", "b"]))),
    "wider enum": lambda: frame().with_columns(pl.col("s").cast(pl.Enum(["a", "b", "c"]))),
    "unit": lambda: frame(t=pl.Series([dt.datetime(2013, 6, 3)] * 3, dtype=pl.Datetime("us"))),
    "other unit": lambda: frame(t=pl.Series([dt.datetime(2013, 6, 3)] * 3, dtype=pl.Datetime("ns"))),
    "name": lambda: frame().rename({"i": "j"}),
    "order of columns": lambda: frame().select("f", "i", "s", "l"),
    "fewer columns": lambda: frame().drop("l"),
    "fewer rows": lambda: frame().head(2),
    "repeated row": lambda: pl.concat([frame(), frame().head(1)]),
    "empty": lambda: frame().head(0),
    "nothing": pl.DataFrame,
    "lazy": lambda: frame().lazy(),
}


def test_different_frames_have_different_digests():
    ordered, multiset = zip(*map(polars_digests, [frame(), *(make() for make in DIFFERENT.values())]), strict=True)
    assert len(set(ordered)) == len(set(multiset)) == len(DIFFERENT) + 1
    assert not set(ordered) & set(multiset)


def test_equal_frames_have_equal_digests_however_they_lie_in_memory():
    whole = frame()
    pieces = pl.concat([frame()[:1], frame()[1:]], rechunk=False)
    assert polars_digests(pieces) == polars_digests(whole) == polars_digests(pl.concat([whole, whole])[3:])
    shuffled = polars_digests(whole[[2, 0, 1]])
    assert shuffled[0] != polars_digests(whole)[0]
    assert shuffled[1] == polars_digests(whole)[1]


@pytest.mark.parametrize(
    "series",
    [
        pl.Series([1, 2], dtype=pl.Int128),  # Arrow has none of these
        pl.Series([(1, 2), {"a": 1}], dtype=pl.Object),
        pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int64, 2)),
        pl.Series([{"a": 1}, {"a": 2}]),
        pl.Series([dt.timedelta(1), dt.timedelta(2)]),
        pl.Series(["1.20", "3.4"]).str.to_decimal(scale=2),
    ],
)
def test_columns_of_any_type_have_digests(series):
    one, same, other = series.to_frame("x"), series.clone().to_frame("x"), series[[1, 0]].to_frame("x")
    assert polars_digests(one) == polars_digests(same)
    assert polars_digests(one)[0] != polars_digests(other)[0]
    assert polars_digests(one)[1] == polars_digests(other)[1]


def test_each_kind_gets_its_frame_and_a_lazy_one_needs_no_file(tmp_path):
    frame().drop("l").write_parquet(tmp_path / "b.parquet")
    lazy = settled(pl.scan_parquet(tmp_path / "b.parquet"))
    (tmp_path / "b.parquet").unlink()
    assert isinstance(lazy, pl.LazyFrame)
    assert suited(lazy, FrameKind.POLARS) is lazy
    as_pandas = suited(lazy, FrameKind.PANDAS)
    assert isinstance(as_pandas, pd.DataFrame)
    assert as_pandas["i"].isna().tolist() == [False, True, False]
    back = suited(as_pandas[["i", "s"]], FrameKind.POLARS)
    assert is_polars(back)
    assert back["i"].to_list() == [1.0, None, 3.0]
    assert suited(as_pandas, FrameKind.PANDAS) is as_pandas
    assert suited("anything", FrameKind.POLARS) == "anything"


def test_two_columns_of_one_name_make_no_polars_frame():
    with pytest.raises(ValueError, match="x twice"):
        suited(pd.DataFrame([[1, 2]], columns=["x", "x"]), FrameKind.POLARS)


def test_repairs_see_nothing_where_nothing_was_done():
    assert polars_repairs(frame(), frame().clone()) == []
