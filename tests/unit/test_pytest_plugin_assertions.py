"""``must_reject`` and ``must_accept`` as plain functions: outcomes, messages, what a validator or a batch may be."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipechaos.batch.model import Batch
from pipechaos.batch.ref import BatchRef
from pipechaos.errors import BatchError, ConfigError, FaultError, PlanError, UnknownNameError
from pipechaos.score.records import Outcome, Why
from pipechaos.testing import (
    MissedFaultError,
    NothingChangedError,
    UnexpectedVerdictError,
    check_validator,
    fault_cases,
    must_accept,
    must_reject,
)
from pipechaos.testing.assertions import Bench
from pipechaos.testing.pytest_plugin import MustAccept, MustReject, Settings

ROWS = 200


def frame(shift=0):
    return pd.DataFrame({"id": range(ROWS), "amount": [float(i % 10 + shift) for i in range(ROWS)]})


def no_nulls(df):
    return df["amount"].notna()


def anything(df):
    return True


def schema():
    pandera = pytest.importorskip("pandera.pandas")
    column = pandera.Column(float, pandera.Check.in_range(0, 10), nullable=False)
    return pandera.DataFrameSchema({"amount": column}, name="orders")


# --- outcomes ---


def test_a_caught_fault_says_how_many_draws_and_why():
    result = must_reject(no_nulls, frame(), "null.mcar", columns="amount", key=["id"], repeats=3, seed=5)
    assert (result.rejected, result.effective, result.outcome) == (3, 3, Outcome.TP)
    assert [d.repeat for d in result.draws] == [0, 1, 2]
    assert result.fault == "null.mcar[amount]@3"
    assert {d.judgement.why for d in result.draws} == {Why.DIRECT}  # its mask names the very rows
    assert all(d.dose == d.changed / ROWS and 0 < d.changed < ROWS for d in result.draws)


def test_a_check_that_names_the_column_is_a_direct_catch():
    result = must_reject(schema(), frame(), "null.mcar", columns="amount")
    assert result.draws[0].judgement.why is Why.DIRECT
    assert result.draws[0].judgement.new_findings[0].n_rows == result.draws[0].changed


def test_a_missed_fault_fails_with_what_was_done():
    with pytest.raises(MissedFaultError) as caught:
        must_reject(
            schema(), frame(), "value.scale", columns="amount", fraction=0.5, params={"factor": 1.01}, key=["id"]
        )
    text = str(caught.value)
    result = caught.value.result
    assert isinstance(caught.value, AssertionError)
    changed = result.draws[0].changed
    assert text.splitlines()[0] == "orders accepted the broken batch"
    assert "value.scale on amount, off the ladder (fraction 0.5, factor 1.01)" in text
    assert "batch, seed 0" in text
    assert f"{changed} cells changed of {ROWS} rows; " in text
    first = result.draws[0].example.before[0]
    assert f"{first[1]} -> {result.draws[0].example.after[0][1]}" in text
    assert "amount:in_range(0, 10)" in text
    assert "tighten a check on amount" in text


def test_a_miss_names_the_checks_that_came_nearest():
    """Amounts 0 to 9 grow by a tenth: the maximum goes nine tenths of the way from 9 to 10, the minimum stays."""
    given = {"columns": "amount", "fraction": 1, "params": {"factor": 1.1}}
    with pytest.raises(MissedFaultError) as caught:
        must_reject(schema(), frame(), "value.scale", **given)
    (line,) = [s for s in str(caught.value).splitlines() if s.startswith("  near ")]
    assert line == ("  near      amount:in_range(0, 10) used 90 % of its room (maximum 9 -> 9.9, limit 10)")
    assert caught.value.result.draws[0].near[0].used == pytest.approx(0.9)
    with pytest.raises(MissedFaultError) as caught:
        must_reject(schema(), frame(), "value.scale", **given, values=False)
    assert "used 90 % of its room (maximum limit 10)" in str(caught.value)
    assert "9.9" not in str(caught.value)


def test_a_suite_without_numbers_has_no_nearest_check():
    with pytest.raises(MissedFaultError) as caught:
        must_reject(anything, frame(), "value.sign", columns="amount")
    assert "  near " not in str(caught.value)


def test_repeats_fail_when_one_draw_is_missed():
    seen = []

    def every_second(df):
        if df["amount"].isna().any():
            seen.append(1)
            return len(seen) % 2 == 0
        return True

    with pytest.raises(MissedFaultError, match="in 2 of 4 draws") as caught:
        must_reject(every_second, frame(), "null.mcar", columns="amount", repeats=4)
    assert (caught.value.result.rejected, caught.value.result.effective) == (2, 4)


def test_equal_copies_count_once():
    result = must_reject(lambda df: "amount" in df, frame(), "schema.drop_column", columns="amount", repeats=5)
    assert (result.rejected, result.effective) == (1, 1)


def test_an_untouched_batch_that_is_rejected_fails_before_anything_is_broken():
    asked = []

    def paranoid(df):
        asked.append(len(df))
        return False

    with pytest.raises(UnexpectedVerdictError, match=r"^the untouched batch is rejected: paranoid on batch") as caught:
        must_reject(paranoid, frame(), "null.mcar", columns="amount")
    assert caught.value.result.outcome is Outcome.BASE_BAD
    assert not isinstance(caught.value, MissedFaultError)
    assert asked == [ROWS]


def test_a_crash_on_the_untouched_batch_is_no_acceptance_either():
    def broken(df):
        raise ValueError("no such thing")

    with pytest.raises(UnexpectedVerdictError, match="the untouched batch is errored"):
        must_reject(broken, frame(), "null.mcar", columns="amount")


def test_a_crash_is_no_detection():
    def fragile(df):
        if df["amount"].isna().any():
            raise ValueError("cannot compare")
        return True

    with pytest.raises(UnexpectedVerdictError, match="gave no verdict on the broken batch") as caught:
        must_reject(fragile, frame(), "null.mcar", columns="amount")
    assert caught.value.result.outcome is Outcome.ERROR
    assert not isinstance(caught.value, MissedFaultError)


def test_a_check_that_raises_on_a_dropped_column_has_noticed():
    def needs_amount(df):
        return bool((df["amount"] >= 0).all())

    needs_amount.columns = ["amount"]
    with pytest.raises(UnexpectedVerdictError, match="gave no verdict"):  # a crash of the whole names no column
        must_reject(needs_amount, frame(), "schema.drop_column", columns="amount")

    pandera = pytest.importorskip("pandera.pandas")
    checks = [pandera.Check(lambda df: df["amount"] >= 0, name="amount_at_least_0")]
    result = must_reject(pandera.DataFrameSchema(checks=checks), frame(), "value.sign", columns="amount", fraction=1)
    assert result.outcome is Outcome.TP


def test_a_fault_that_changes_nothing_is_an_error_and_no_pass():
    flat = frame().assign(amount=3.0)
    with pytest.raises(NothingChangedError, match="nothing was tested") as caught:
        must_reject(anything, flat, "relation.shuffle", columns="amount")
    assert caught.value.result.outcome is Outcome.NOOP
    assert not isinstance(caught.value, AssertionError)
    with pytest.raises(NothingChangedError, match="hit no cell"):
        must_reject(anything, frame(), "null.mcar", columns="amount", fraction=0.0000001)


def test_why_nothing_could_be_done_is_told():
    when = pd.date_range("2024-05-02", periods=ROWS, freq="min", tz="UTC")
    with pytest.raises(NothingChangedError, match="there is no earlier batch to take rows from"):
        must_reject(anything, frame().assign(at=when), "time.stale", time="at")


def test_what_does_not_fit_is_an_error_with_a_hint():
    with pytest.raises(UnknownNameError, match=r"did you mean 'null\.mcar'"):
        must_reject(anything, frame(), "null.mcra", columns="amount")
    with pytest.raises(UnknownNameError, match="did you mean 'amount'"):
        must_reject(anything, frame(), "null.mcar", columns="amuont")
    with pytest.raises(FaultError, match="does not apply"):
        must_reject(anything, frame(), "text.typo", columns="amount")
    with pytest.raises(PlanError, match="takes 1 column"):
        must_reject(anything, frame(), "null.mcar")
    with pytest.raises(ConfigError, match="nobody has to reject it"):
        must_reject(anything, frame(), "benign.row_order")
    with pytest.raises(ConfigError, match="at least one draw"):
        must_reject(anything, frame(), "rows.drop", repeats=0)


def test_the_same_seed_breaks_the_same_rows_and_another_does_not():
    def digests(seed):
        draws = must_reject(no_nulls, frame(), "null.mcar", columns="amount", repeats=2, seed=seed).draws
        return [d.digest for d in draws]

    assert digests(3) == digests(3)
    assert len({*digests(3), *digests(4)}) == 4


# --- history ---


def days(*shifts):
    return [frame(shift) for shift in shifts]


def test_scales_come_from_the_history():
    """Drift is counted in spreads: a wide history moves the mean further than the batch itself would."""
    wide = frame().assign(amount=lambda d: d["amount"] * 100)

    def moved(history):
        with pytest.raises(MissedFaultError) as caught:
            must_reject(anything, frame(), "drift.mean", columns="amount", history=history)
        draw = caught.value.result.draws[0]
        before, after = (float(rows[0][0]) for rows in (draw.example.before, draw.example.after))
        return abs(after - before)

    assert moved([wide]) == pytest.approx(100 * moved(()))


def test_stale_rows_come_from_the_batch_before():
    when = pd.date_range("2024-05-02", periods=ROWS, freq="min", tz="UTC")
    today, yesterday = frame().assign(at=when), frame(1).assign(at=when - pd.Timedelta("1D"))
    with pytest.raises(MissedFaultError) as caught:
        must_reject(anything, today, "time.stale", history=[frame(5).assign(at=when), yesterday], time="at")
    shown = caught.value.result.draws[0].example.after[0]
    assert "1.0" in shown  # the first amount of yesterday, not of the day before


def test_a_dose_inside_the_ordinary_is_said_to_be_one():
    sizes = [frame().head(n) for n in (100, 200)]
    with pytest.raises(MissedFaultError, match="no check could tell it") as caught:
        must_reject(anything, frame(), "rows.drop", severity=2, history=sizes)
    assert caught.value.result.draws[0].subnatural
    with pytest.raises(MissedFaultError) as caught:
        must_reject(anything, frame(), "rows.drop", severity=5, history=sizes)
    assert "no check could tell" not in str(caught.value)


# --- what a batch may be ---


def test_every_kind_of_batch(tmp_path):
    table = pa.Table.from_pandas(frame())
    path = tmp_path / "2024-05-01.parquet"
    pq.write_table(table, path)
    kinds = [
        frame(),
        table,
        table.to_batches()[0],
        Batch.of(table, name="batch"),
        path,
        str(path),
        BatchRef.of(path),
        frame().iloc[::-1].iloc[::-1][frame()["id"] >= 0],
    ]
    found = [must_reject(no_nulls, b, "null.mcar", columns="amount") for b in kinds]
    assert [r.batch for r in found] == ["batch"] * 4 + ["2024-05-01"] * 3 + ["batch"]
    assert len({r.draws[0].digest for r in found[:4]}) == 1
    assert len({r.draws[0].digest for r in found[4:7]}) == 1
    assert found[7].draws[0].changed == found[0].draws[0].changed


def test_a_named_index_stays_and_an_unnamed_one_goes():
    pandera = pytest.importorskip("pandera.pandas")
    odd = frame()[frame()["id"] % 2 == 1]
    is_odd = pandera.Index(int, pandera.Check(lambda s: s % 2 == 1), name="id")
    must_accept(pandera.DataFrameSchema(index=is_odd), odd.set_index("id"))
    row_numbers = pandera.Index(int, pandera.Check.in_range(0, ROWS // 2 - 1), unique=True)
    must_accept(pandera.DataFrameSchema({"id": pandera.Column(int)}, index=row_numbers, strict=False), odd)


def test_what_is_no_batch_is_refused():
    with pytest.raises(ConfigError, match="a dict is no batch: hand over a pandas DataFrame"):
        must_reject(anything, {"x": [1]}, "rows.drop")
    with pytest.raises(BatchError, match="no Parquet file could hold"):
        must_reject(anything, pd.DataFrame({"x": [1, "a", object()]}), "rows.drop")
    with pytest.raises(ConfigError, match="no batch is given"):
        must_accept(anything, [])


# --- what a validator may be ---


def test_pandera_schemas_and_models():
    pandera = pytest.importorskip("pandera.pandas")

    class Orders(pandera.DataFrameModel):
        amount: float = pandera.Field(ge=0, le=10)

    for validator, name in [(schema(), "orders"), (Orders, "Orders")]:
        result = must_reject(validator, frame(), "null.mcar", columns="amount")
        assert (result.validator, result.rejected) == (name, 1)
        with pytest.raises(MissedFaultError):
            must_reject(validator, frame(), "rows.drop")


def test_schemas_of_polars_get_polars_frames():
    pytest.importorskip("polars")
    pandera = pytest.importorskip("pandera.polars")
    dataframely = pytest.importorskip("dataframely")

    class Orders(pandera.DataFrameModel):
        amount: float = pandera.Field(ge=0, le=10)

    class Bills(dataframely.Schema):
        amount = dataframely.Float64(nullable=False, min=0, max=10)

    for validator, name in [(Orders, "Orders"), (Bills, "Bills")]:
        result = must_reject(validator, frame().drop(columns="id"), "null.mcar", columns="amount")
        assert (result.validator, result.rejected) == (name, 1)
        check_validator(validator, frame().drop(columns="id"))


def test_great_expectations_suites_as_objects_and_files(tmp_path):
    gx = pytest.importorskip("great_expectations")
    check = gx.expectations.ExpectColumnValuesToNotBeNull(column="amount")
    suite = gx.ExpectationSuite(name="orders_suite", expectations=[check])
    path = tmp_path / "from_file.json"
    path.write_text(json.dumps(suite.to_json_dict()))
    for validator, name in [(suite, "orders_suite"), (path, "from_file"), (str(path), "from_file")]:
        result = must_reject(validator, frame(), "null.mcar", columns="amount")
        assert (result.validator, result.rejected) == (name, 1)
        with pytest.raises(MissedFaultError, match="no check looks at the table as a whole"):
            must_reject(validator, frame(), "rows.drop")


def test_a_spec_runs_in_a_process_of_its_own_and_a_hang_is_no_detection(tmp_path):
    (tmp_path / "checks_of_plugin.py").write_text(
        "import os, time\n"
        "def positive(df):\n    return (df['amount'] >= 0) & (str(os.getpid()) != df.attrs.get('pid'))\n"
        "def hangs(df):\n    time.sleep(600 * (df['amount'] < 0).any())\n    return True\n"
    )
    result = must_reject(
        "callable:checks_of_plugin:positive", frame(), "value.sign", columns="amount", roots=[tmp_path]
    )
    assert (result.validator, result.rejected) == ("callable:checks_of_plugin:positive", 1)
    assert "checks_of_plugin" not in sys.modules
    with pytest.raises(UnexpectedVerdictError, match="timed out") as caught:
        must_reject(
            "callable:checks_of_plugin:hangs",
            frame(),
            "value.sign",
            columns="amount",
            roots=[tmp_path],
            limit_seconds=4.0,
        )
    assert not isinstance(caught.value, MissedFaultError)
    with pytest.raises(ConfigError, match=r"roots=\[...\], or pipechaos_roots"):
        must_accept("callable:checks_of_plugin:positive", frame())


def test_what_is_no_validator_is_refused():
    with pytest.raises(ConfigError, match="42 is no validator: hand over a pandera or dataframely"):
        must_accept(42, frame())
    with pytest.raises(ConfigError, match="neither a suite's JSON file nor a spec that starts with pandera:"):
        must_accept("panderra:a:b", frame())


def test_warnings_that_a_test_run_makes_errors_of_are_no_crash():
    """This run turns warnings into errors; production does not."""

    def warns(df):
        np.zeros(1) / np.zeros(1)
        return True

    must_accept(warns, frame())


def test_the_frame_of_each_look_is_fresh():
    def writes(df):
        ok = df["amount"].min() >= 0
        df["amount"] = -1.0
        return bool(ok)

    mine = frame()
    must_accept(writes, [mine, mine])
    assert mine.equals(frame())


# --- must_accept ---


def test_acceptance_counts_and_names_what_was_rejected():
    assert must_accept(schema(), days(0, 0)).accepted == 2
    with pytest.raises(UnexpectedVerdictError) as caught:
        must_accept(schema(), days(0, 5, 0), key=["id"])
    text = str(caught.value)
    assert text.splitlines()[0] == "orders accepted 2 of 3 untouched batches"
    assert "batch 2: rejected" in text
    bad = [i for i in range(ROWS) if i % 10 + 5 > 10]
    assert f"amount:in_range(0, 10) (fail, {len(bad)} rows)" in text
    assert [line.split() for line in text.splitlines() if line.endswith("11.0")] == [[str(bad[0]), "11.0"]] * 1
    assert caught.value.result.accepted == 2


# --- what people wrote is shown, and nothing else ---

HOSTILE = "x\x1b[31m\n<b>|\u202e"


def test_hostile_names_and_values_are_written_out():
    table = pa.table({HOSTILE: ["\x07bell"] * 100})
    with pytest.raises(MissedFaultError) as caught:
        must_reject(anything, table, "null.mcar", columns=HOSTILE)
    text = str(caught.value)
    assert not any(c in text for c in "\x1b\x07\u202e")
    assert r"x\x1b[31m\n<b>|\u202e" in text
    assert r"\x07bell -> null" in text


def test_without_values_no_datum_is_quoted():
    table = pa.table({"name": ["Ms Secret", "Mr Hidden"] * 50})

    def quotes(df):
        assert df["name"].notna().all(), f"found {df['name'].tolist()[:2]}"
        assert "Mr Hidden" not in set(df["name"]), "Mr Hidden is here"

    with pytest.raises(MissedFaultError) as caught:
        must_reject(anything, table, "null.mcar", columns="name", values=False)
    assert "Secret" not in str(caught.value)
    assert "Hidden" not in str(caught.value)
    assert "cells changed of 100 rows" in str(caught.value)
    for values, shown in [(True, True), (False, False)]:
        with pytest.raises(UnexpectedVerdictError) as caught:
            must_accept(quotes, table, values=values)
        assert ("Hidden" in str(caught.value)) is shown


# --- cases ---


def test_cases_depend_on_names_and_types_alone():
    one = [str(c) for c in fault_cases(frame(), preset="standard", key=["id"])]
    other = [str(c) for c in fault_cases(frame(7).head(3), preset="standard", key=["id"])]
    assert one == other
    assert len(set(one)) == len(one)
    assert "null.mcar[amount]@3" in one
    assert "schema.drop_column[amount]@1" in one  # a ladder of one rung
    assert "rows.drop@3" in one


def test_cases_are_narrowed_by_columns_faults_and_severities():
    only = [
        str(c) for c in fault_cases(frame(), faults=["null.mcar", "rows.drop"], columns=["amount"], severities=[1, 5])
    ]
    assert only == ["null.mcar[amount]@1", "null.mcar[amount]@5", "rows.drop@1", "rows.drop@5"]
    assert [str(c) for c in fault_cases(frame, faults=["null.mcar"], ignore=["id"])] == ["null.mcar[amount]@3"]
    with pytest.raises(UnknownNameError, match="did you mean 'amount'"):
        fault_cases(frame(), columns=["amonut"])
    with pytest.raises(UnknownNameError, match="preset"):
        fault_cases(frame(), preset="quik")


@pytest.mark.parametrize(
    ("faults", "more", "words"),
    [
        (["text.typo"], {}, ["text.typo takes a column of text, and none of those to break (id, amount) is one"]),
        (["null.mcar", "text.typo"], {}, ["text.typo takes a column of text"]),
        (["null.mcar", "time.stale"], {}, ["time.stale needs a time column: name it with time="]),
        (["null.mcar", "value.sign"], {"preset": "missing"}, ["value.sign is not in preset 'missing'"]),
        (["value.sign"], {"preset": "missing"}, ["value.sign is not in preset 'missing'"]),
        (["null.mcar", "benign.row_order"], {}, ["benign.row_order is a change that a contract may allow"]),
        (["null.mcar", "canary.all_null"], {}, ["canary.all_null is a canary"]),
        (
            ["rows.drop", "null.mcar"],
            {"ignore": ["id", "amount"]},
            ["null.mcar takes a column of any type, and none is left to break"],
        ),
        (["null.mcar", "text.typo", "time.stale"], {}, ["text.typo takes", "time.stale needs"]),
    ],
)
def test_each_named_fault_that_gives_no_case_is_said_with_what_it_takes(faults, more, words):
    with pytest.raises(PlanError) as caught:
        fault_cases(frame(), faults=faults, **more)
    for said in words:
        assert said in str(caught.value)
    assert ("null.mcar" in str(caught.value)) is words[0].startswith("null.mcar")


def test_hostile_column_names_are_written_out_in_what_does_not_fit():
    with pytest.raises(PlanError) as caught:
        fault_cases(pa.table({HOSTILE: [1.5]}), faults=["text.typo"])
    assert "\x1b" not in str(caught.value)


def test_the_fixtures_show_their_names():
    shown = [repr(MustReject(bench=Bench(), settings=Settings(), noted=[])), repr(MustAccept(bench=Bench(), noted=[]))]
    assert shown == ["must_reject", "must_accept"]


def test_a_fault_by_another_column_needs_one():
    text = pd.DataFrame({"name": ["a", "b"]})
    with pytest.raises(PlanError, match=r"null\.mar needs another column of numbers or times"):
        fault_cases(text, faults=["null.mcar", "null.mar"])


def test_a_preset_leaves_out_what_does_not_fit_without_a_word():
    assert not any("text.typo" in str(c) for c in fault_cases(frame(), preset="standard"))


def test_a_case_carries_everything_but_the_validator():
    (case,) = fault_cases(frame(), faults=["null.mar"], columns=["amount"], severities=[5], history=days(1, 2))
    assert [b.name for b in case.history] == ["(earlier 0001)", "(earlier 0002)"]
    with pytest.raises(MissedFaultError) as caught:
        must_reject(anything, case.batch, case)
    made = caught.value.result.injection
    assert (made.fault, made.columns, made.severity) == ("null.mar", ("amount",), 5)
    assert made.placement.other == "id"
    with pytest.raises(MissedFaultError) as caught:
        must_reject(anything, case.batch, case, severity=4)
    assert caught.value.result.injection.severity == 4


def test_the_package_names_are_lazy():
    code = (
        "import sys, pipechaos.testing as t\n"
        "assert set(t.__all__) <= set(dir(t))\n"
        "heavy = {'pandas', 'pyarrow', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert all(callable(getattr(t, n)) for n in t.__all__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
