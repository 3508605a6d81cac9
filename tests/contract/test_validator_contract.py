"""One table of frames over every adapter: the status each library is known to give, and what no adapter may do."""

import warnings

import dataframely as dy
import numpy as np
import pandas as pd
import pandera.pandas as pandera_pandas
import pandera.polars as pandera_polars
import pointblank as pb
import polars as pl
import pytest

from pipechaos.batch.frame import frame_digests
from pipechaos.validate.callable_validator import CallableValidator
from pipechaos.validate.dataframely_validator import DataframelyValidator
from pipechaos.validate.pandera_polars import PanderaPolarsValidator
from pipechaos.validate.pandera_validator import PanderaValidator
from pipechaos.validate.pointblank_validator import PointblankValidator
from pipechaos.validate.polars_frame import FrameKind, kind_of, polars_digests
from pipechaos.validate.verdict import FindingKind, VerdictStatus, decide, same_verdict


def pandera_schema(library):
    return library.DataFrameSchema(
        {
            "id": library.Column(int, unique=True),
            "x": library.Column(float, library.Check.in_range(0, 10)),
            "s": library.Column(str, library.Check.isin(["a", "b"])),
        }
    )


def gx_validator():
    with warnings.catch_warnings():  # of the library's own imports
        warnings.simplefilter("ignore")
        from pipechaos.validate.gx_validator import GxValidator

        checks = [
            ("expect_column_values_to_be_unique", {"column": "id"}),
            ("expect_column_values_to_be_between", {"column": "x", "min_value": 0, "max_value": 10}),
            ("expect_column_values_to_not_be_null", {"column": "x"}),
            ("expect_column_values_to_be_in_set", {"column": "s", "value_set": ["a", "b"]}),
        ]
        suite = {"name": "s", "expectations": [{"type": t, "kwargs": k} for t, k in checks]}
        return GxValidator(suite, name="v")


class Rides(dy.Schema):
    id = dy.Int64(unique=True)
    x = dy.Float64(nullable=False, min=0, max=10)
    s = dy.String(nullable=False, check=lambda c: c.is_in(["a", "b"]))


def steps(frame):
    return (
        pb.Validate(frame)
        .rows_distinct(columns_subset=["id"])
        .col_vals_between("x", 0, 10)
        .col_vals_in_set("s", ["a", "b"])
    )


def usual(frame):
    return frame["x"].between(0, 10) & frame["s"].isin(["a", "b"]) & ~frame["id"].duplicated(keep=False)


MAKERS = {
    "pandera": lambda: PanderaValidator(pandera_schema(pandera_pandas), name="v"),
    "pandera-polars": lambda: PanderaPolarsValidator(pandera_schema(pandera_polars), name="v"),
    "gx": gx_validator,
    "callable": lambda: CallableValidator(usual, name="v"),
    "dataframely": lambda: DataframelyValidator(Rides, name="v"),
    "pointblank": lambda: PointblankValidator(steps, name="v"),
    "pointblank-polars": lambda: PointblankValidator(steps, name="v", frame_kind=FrameKind.POLARS),
}
ORDER = list(MAKERS)


def base():
    return pd.DataFrame({"id": [1, 2, 3, 4, 5], "x": [0.0, 2.5, 5.0, 7.5, 10.0], "s": ["a", "b", "a", "b", "a"]})


def with_cell(column, row, value):
    frame = base()
    frame.loc[row, column] = value
    return frame


# frame, status of each adapter in the order above, rows that are blamed together (None: no rows are looked at)
A, R, E = VerdictStatus.ACCEPTED, VerdictStatus.REJECTED, VerdictStatus.ERRORED
CASES = {
    "clean": (base, (A, A, A, A, A, A, A), ()),
    "one row": (lambda: base().head(1), (A, A, A, A, A, A, A), ()),
    "null": (lambda: with_cell("x", 2, None), (R, R, R, R, R, R, R), (2,)),
    "out of range": (lambda: with_cell("x", 4, 10.5), (R, R, R, R, R, R, R), (4,)),
    "infinite": (lambda: with_cell("x", 1, np.inf), (R, R, R, R, R, R, R), (1,)),
    "new category": (lambda: with_cell("s", 1, "c"), (R, R, R, R, R, R, R), (1,)),
    "repeated key": (lambda: with_cell("id", 3, 1), (R, R, R, R, R, R, R), (0, 3)),
    "all null": (lambda: base().assign(x=np.nan), (R, R, R, R, R, R, R), (0, 1, 2, 3, 4)),
    "rows shuffled": (lambda: base().iloc[::-1], (A, A, A, A, A, A, A), ()),
    "column extra": (lambda: base().assign(more=1), (A, A, A, A, A, A, A), ()),
    "columns reordered": (lambda: base()[["s", "x", "id"]], (A, A, A, A, A, A, A), ()),
    # a schema says a column is missing; a check of its values can only fail to run
    "column missing": (lambda: base().drop(columns="x"), (R, R, E, E, R, E, E), None),
    "column renamed": (lambda: base().rename(columns={"x": "X"}), (R, R, E, E, R, E, E), None),
    "numbers as text": (lambda: base().assign(x=base()["x"].astype(str)), (R, R, E, E, R, E, E), None),
    "no columns": (pd.DataFrame, (R, R, E, E, R, E, E), None),
    # A15: no row breaks a rule; pointblank says that it could not evaluate a thing
    "no rows": (lambda: base().head(0), (A, A, A, A, A, E, E), None),
}


@pytest.fixture(scope="module")
def validators():
    return {name: make() for name, make in MAKERS.items()}


def given(validator, frame, name=""):
    """The frame as its kind, with the index that a file read in pieces leaves."""
    if kind_of(validator) is FrameKind.POLARS:
        return pl.from_pandas(frame.reset_index(drop=True))
    return frame.set_axis([7] * len(frame)) if name != "rows shuffled" else frame


def digest(frame):
    return polars_digests(frame) if isinstance(frame, pl.DataFrame) else frame_digests(frame)


@pytest.mark.parametrize("adapter", ORDER)
@pytest.mark.parametrize("case", CASES)
def test_every_adapter_gives_the_verdict_its_library_is_known_for(validators, case, adapter):
    make, statuses, rows = CASES[case]
    validator = validators[adapter]
    frame = given(validator, make(), case)
    before = digest(frame)
    verdict = validator.run(frame)
    assert verdict.status is statuses[ORDER.index(adapter)], [(f.check, f.kind, f.message) for f in verdict.findings]
    assert digest(frame) == before == (verdict.ordered_digest, verdict.multiset_digest)
    named = [f.rows for f in verdict.findings if f.rows is not None and f.kind is not FindingKind.TOLERATED]
    assert all(r.dtype == np.int64 and (np.diff(r) > 0).all() for r in named)
    if rows is not None:
        assert sorted({int(i) for r in named for i in r}) == list(rows)
    assert same_verdict(verdict, validator.run(given(validator, make(), case)))


@pytest.mark.parametrize("adapter", ORDER)
def test_checks_are_declared_once_and_findings_name_them(validators, adapter):
    validator = validators[adapter]
    ids = [c.id for c in validator.checks]
    assert len(set(ids)) == len(ids) > 0
    for case, (make, _, _) in CASES.items():
        verdict = validator.run(given(validator, make(), case))
        assert verdict.checks_declared == len(ids)
        assert verdict.checks_ran <= len(ids)
        assert {f.check for f in verdict.findings if not f.check.startswith("<")} <= set(ids)
        crashed = any(f.check == "<crash>" for f in verdict.findings)
        ran = verdict.checks_ran
        assert verdict.status is decide(verdict.findings, declared=len(ids), ran=ran, crashed=crashed)


HOSTILE = {
    "two columns of one name": lambda: pd.concat([base(), base()[["x"]]], axis=1),
    "labels that are no text": lambda: base().rename(columns={"x": 3, "s": ("a", 1)}),
    "cells that are objects": lambda: base().assign(x=pd.Series([[1], {"a": 1}, None, object(), "1"], dtype=object)),
    "an index of two levels": lambda: base().set_index(pd.MultiIndex.from_product([["é\n"], range(5)])),
    "columns named like ours": lambda: base().assign(_row_num_=1, pb_is_good_=0, __pipechaos_row__=2),
}


@pytest.mark.parametrize("adapter", ORDER)
@pytest.mark.parametrize("case", HOSTILE)
def test_no_frame_makes_an_adapter_raise(validators, case, adapter):
    validator, frame = validators[adapter], HOSTILE[case]()
    if kind_of(validator) is FrameKind.POLARS:
        if case in ("two columns of one name", "labels that are no text", "an index of two levels"):
            return  # polars has no such frames
        text = frame.astype({"x": str}) if "objects" in case else frame
        frame = pl.from_pandas(text)
    before = digest(frame)
    assert validator.run(frame).status in VerdictStatus
    assert digest(frame) == before


@pytest.mark.parametrize("adapter", ORDER)
def test_what_is_no_frame_is_a_verdict_too(validators, adapter):
    assert validators[adapter].run([1, 2]).status is E
