"""Great Expectations as a validator: every trap that would flatter or slander a suite, with the real library."""

import json
import logging
import socket
import threading
import warnings

import numpy as np
import pandas as pd
import pytest

from pipechaos.errors import ValidatorLoadError
from pipechaos.validate.gx_validator import GxValidator, _exception, load_gx
from pipechaos.validate.verdict import FindingKind, Subject, VerdictStatus

with warnings.catch_warnings():  # a warning of the library's own imports
    warnings.simplefilter("ignore")
    import great_expectations as gx
    import great_expectations.expectations as gxe

ACCEPTED, REJECTED, ERRORED = VerdictStatus.ACCEPTED, VerdictStatus.REJECTED, VerdictStatus.ERRORED
FAIL, ERROR, TOLERATED = FindingKind.FAIL, FindingKind.ERROR, FindingKind.TOLERATED
BETWEEN = "expect_column_values_to_be_between"
NOT_NULL = "expect_column_values_to_not_be_null"


def expect(kind, **kwargs):
    return {"type": kind, "kwargs": kwargs}


def suite(*expectations):
    return GxValidator({"name": "s", "expectations": list(expectations)}, name="v")


def rows(finding):
    return None if finding.rows is None else finding.rows.tolist()


def shape(verdict):
    return {(f.check.partition("(")[0], f.columns, f.kind): rows(f) for f in verdict.findings}


def test_an_unknown_expectation_is_a_check_that_did_not_run():
    validator = suite(expect(NOT_NULL, column="a"), expect("expect_column_values_to_be_prime", column="a"))
    verdict = validator.run(pd.DataFrame({"a": [1, 2]}))
    assert (verdict.status, verdict.checks_declared, verdict.checks_ran) == (ERRORED, 2, 1)
    (finding,) = verdict.findings
    assert (finding.check, finding.columns, finding.kind) == ("values_to_be_prime(a)", ("a",), ERROR)
    assert "expect_column_values_to_be_prime" in finding.message


def test_a_suite_of_unknown_expectations_only_accepts_nothing():
    assert suite(expect("expect_column_values_to_be_prime", column="a")).run(pd.DataFrame({"a": [1]})).status is ERRORED


def test_a_column_that_differs_in_case_is_absent():
    checks = [
        expect(BETWEEN, column="amount", max_value=10),
        expect("expect_column_mean_to_be_between", column="amount", max_value=10),
        expect("expect_column_pair_values_to_be_equal", column_A="amount", column_B="id"),
        expect("expect_compound_columns_to_be_unique", column_list=["amount", "id"]),
        expect("expect_column_to_exist", column="amount"),
    ]
    found = shape(suite(*checks).run(pd.DataFrame({"AMOUNT": [1, 2], "id": [1, 2]})))
    assert found == {
        ("values_to_be_between", ("amount",), ERROR): None,
        ("mean_to_be_between", ("amount",), ERROR): None,
        ("pair_values_to_be_equal", ("amount", "id"), ERROR): None,
        ("compound_columns_to_be_unique", ("amount", "id"), ERROR): None,
        ("to_exist", ("amount",), FAIL): None,
    }
    assert shape(suite(*checks).run(pd.DataFrame({"id": [1, 2]}))) == found  # the library's own word on absence


def test_of_two_columns_that_differ_in_case_the_named_one_is_read():
    validator = suite(expect(BETWEEN, column="X", max_value=10))
    assert validator.run(pd.DataFrame({"x": [1], "X": [99]})).status is REJECTED
    assert validator.run(pd.DataFrame({"x": [99], "X": [1]})).status is ACCEPTED


def test_column_sets_still_see_every_column():
    validator = suite(expect("expect_table_columns_to_match_set", column_set=["a", "A"]), expect(NOT_NULL, column="a"))
    assert validator.run(pd.DataFrame({"a": [1], "A": [None]})).status is ACCEPTED


def test_exceptions_are_found_in_both_shapes():
    flat = {"raised_exception": True, "exception_message": "flat one", "exception_traceback": ""}
    assert _exception(flat) == "flat one"
    assert _exception({"metric": {**flat, "exception_message": "nested\none"}}) == "nested one"
    assert _exception({"raised_exception": False}) is None
    assert _exception({}) is None
    checks = [
        expect("expect_column_values_to_be_of_type", column="nope", type_="int64"),
        expect(BETWEEN, column="nope", max_value=1),
        expect(BETWEEN, column="s", max_value=1),
    ]
    verdict = suite(*checks).run(pd.DataFrame({"s": ["a"]}))
    assert (verdict.status, {f.kind for f in verdict.findings}, len(verdict.findings)) == (ERRORED, {ERROR}, 3)


def test_results_are_matched_to_their_expectations_although_they_come_back_in_another_order():
    checks = [expect(BETWEEN, column="a", max_value=m) for m in (5, 1, 9)]
    checks.insert(1, expect("expect_column_mean_to_be_between", column="gone", max_value=0))
    verdict = suite(*checks).run(pd.DataFrame({"a": [2, 7]}))
    assert [(f.check, rows(f)) for f in verdict.findings] == [
        ("values_to_be_between(a, max_value=5)", [1]),
        ("mean_to_be_between(gone, max_value=0)", None),
        ("values_to_be_between(a, max_value=1)", [0, 1]),
    ]


def test_expectations_that_differ_in_meta_alone_are_two_checks():
    validator = suite(expect(NOT_NULL, column="a"), {**expect(NOT_NULL, column="a"), "meta": {"owner": "x"}})
    verdict = validator.run(pd.DataFrame({"a": [None, 1.0]}))
    assert [f.check for f in verdict.findings] == ["values_to_not_be_null(a)", "values_to_not_be_null(a)#2"]


def test_rows_are_positions_not_labels_and_the_frame_stays_as_it_was():
    frame = pd.DataFrame({"a": [1, 99, 2, 98], "t": pd.to_datetime(["2013-06-03"] * 4).astype("datetime64[us]")})
    frame.index = pd.Index([7, 7, 5, 7])
    before = frame.copy(deep=True)
    verdict = suite(
        expect(BETWEEN, column="a", max_value=10), expect(BETWEEN, column="t", min_value="2013-01-01T00:00:00")
    ).run(frame)
    assert shape(verdict) == {("values_to_be_between", ("a",), FAIL): [1, 3]}
    pd.testing.assert_frame_equal(frame, before)


def test_rows_that_mostly_absorbs_are_tolerated():
    validator = suite(expect(BETWEEN, column="a", max_value=10, mostly=0.5))
    verdict = validator.run(pd.DataFrame({"a": [1, 2, 99]}))
    assert (verdict.status, shape(verdict)) == (ACCEPTED, {("values_to_be_between", ("a",), TOLERATED): [2]})
    assert validator.run(pd.DataFrame({"a": [99, 2, 99]})).status is REJECTED


def test_details_are_asked_of_failures_and_of_mostly_alone(monkeypatch):
    validator = suite(
        expect(NOT_NULL, column="a"),
        expect(BETWEEN, column="a", max_value=10),
        expect(BETWEEN, column="b", max_value=10, mostly=0.9),
        expect("expect_table_row_count_to_equal", value=7),
        expect(BETWEEN, column="gone", max_value=10),
    )
    asked = []
    validate = GxValidator._validate
    monkeypatch.setattr(
        GxValidator, "_validate", lambda self, f, i, form: asked.append((form, list(i))) or validate(self, f, i, form)
    )
    first, last = validator.stages(pd.DataFrame({"a": [1, 99], "b": [1, 2]}))
    assert asked == [("BOOLEAN_ONLY", [0, 1, 2, 3, 4]), ("COMPLETE", [1, 2])]
    assert (first.status, {(f.columns, f.rows) for f in first.findings}) == (REJECTED, {((), None)})
    assert shape(last) == {
        ("values_to_be_between", ("a",), FAIL): [1],
        ("table_row_count_to_equal", (), FAIL): None,
        ("values_to_be_between", ("gone",), ERROR): None,
    }
    asked.clear()
    assert len(list(validator.stages(pd.DataFrame({"a": [1] * 7, "b": [1] * 7, "gone": [1] * 7})))) == 2
    assert asked == [("BOOLEAN_ONLY", [0, 1, 2, 3, 4]), ("COMPLETE", [2])]


def test_timestamps_reach_gx_in_nanoseconds_and_digests_are_of_the_frame_as_it_came(monkeypatch):
    seen = []
    validate = GxValidator._validate
    monkeypatch.setattr(
        GxValidator,
        "_validate",
        lambda self, f, i, form: seen.append(f.dtypes.astype(str)) or validate(self, f, i, form),
    )
    times = pd.to_datetime(["2013-06-03T05:00:00.000001", None]).astype("datetime64[us]")
    frame = pd.DataFrame({"t": times, "u": times, "old": pd.array(["0900-01-01", None], dtype="datetime64[us]")})
    validator = suite(
        expect(BETWEEN, column="t", max_value="2013-06-03T05:00:00"),
        expect("expect_column_values_to_be_in_type_list", column="u", type_list=["datetime64[us]"]),
        expect(BETWEEN, column="old", max_value="2013-01-01T00:00:00"),
    )
    verdict = validator.run(frame)
    assert shape(verdict) == {("values_to_be_between", ("t",), FAIL): [0]}
    assert seen[0].astype(str).to_dict() == {"t": "datetime64[ns]", "u": "datetime64[us]", "old": "datetime64[us]"}
    cast = frame.astype({"t": "datetime64[ns]"})
    assert validator.run(cast).ordered_digest != verdict.ordered_digest
    assert validator.run(frame.copy()).ordered_digest == verdict.ordered_digest


def test_frames_without_rows_or_columns():
    validator = suite(
        expect(NOT_NULL, column="a"),
        expect("expect_table_row_count_to_be_between", min_value=1),
        expect("expect_column_to_exist", column="a"),
    )
    assert shape(validator.run(pd.DataFrame({"a": pd.Series([], dtype=float)}))) == {
        ("table_row_count_to_be_between", (), FAIL): None
    }
    nothing = {("values_to_not_be_null", ("a",), ERROR): None, ("to_exist", ("a",), FAIL): None}
    assert shape(validator.run(pd.DataFrame(index=range(3)))) == nothing
    assert shape(validator.run(pd.DataFrame())) == {**nothing, ("table_row_count_to_be_between", (), FAIL): None}


def test_subjects_follow_the_type_and_the_base_class_of_custom_ones():
    class ExpectColumnWobbleToBeLow(gxe.ExpectColumnMaxToBeBetween):
        max_value: float = 3

    kinds = {
        BETWEEN: Subject.VALUE,
        NOT_NULL: Subject.VALUE,
        "expect_column_values_to_be_of_type": Subject.DTYPE,
        "expect_column_values_to_be_unique": Subject.UNIQUENESS,
        "expect_column_proportion_of_unique_values_to_be_between": Subject.AGGREGATE,
        "expect_column_distinct_values_to_be_in_set": Subject.AGGREGATE,
        "expect_table_columns_to_match_ordered_list": Subject.SCHEMA,
        "expect_table_row_count_to_equal": Subject.ROW_COUNT,
        "expect_column_wobble_to_be_low": Subject.AGGREGATE,
        "expect_column_values_to_be_outlandish": Subject.VALUE,
    }
    extra = {
        BETWEEN: {"max_value": 1},
        "expect_column_proportion_of_unique_values_to_be_between": {"max_value": 1},
        "expect_column_values_to_be_of_type": {"type_": "int64"},
        "expect_column_distinct_values_to_be_in_set": {"value_set": [1]},
        "expect_table_columns_to_match_ordered_list": {"column_list": ["a"]},
        "expect_table_row_count_to_equal": {"value": 1},
    }
    checks = [expect(k, **({} if "_table_" in k else {"column": "a"}), **extra.get(k, {})) for k in kinds]
    assert [c.subject for c in suite(*checks).checks] == list(kinds.values())
    assert suite(expect("expect_column_wobble_to_be_low", column="a")).run(pd.DataFrame({"a": [9]})).status is REJECTED


def test_threads_judge_their_own_frames():
    validator = suite(expect(BETWEEN, column="a", max_value=0))
    wrong = []

    def judge(bad):
        frame = pd.DataFrame({"a": np.where(np.arange(20) < bad, 1, 0)})
        for _ in range(8):
            found = shape(validator.run(frame))
            if found != {("values_to_be_between", ("a",), FAIL): list(range(bad))}:
                wrong.append((bad, found))

    threads = [threading.Thread(target=judge, args=(k,)) for k in (3, 5, 7, 11)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


def test_nothing_is_written_opened_or_printed(tmp_path, monkeypatch, capfd, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", lambda *a: pytest.fail("opened a socket"))
    with caplog.at_level(logging.INFO):
        suite(expect(NOT_NULL, column="a"), expect("expect_nothing_known", column="a")).run(pd.DataFrame({"a": [None]}))
    captured = capfd.readouterr()
    assert (captured.out, captured.err, list(tmp_path.iterdir())) == ("", "", [])
    assert [r.name for r in caplog.records if r.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("name", ["great_expectations._docs_decorators", "great_expectations.expectations.registry"])
def test_loggers_that_chatter_are_kept_to_warnings(name, monkeypatch, tmp_path):
    monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)
    (tmp_path / "s.json").write_text(json.dumps({"name": "s", "expectations": []}))
    load_gx("s.json", name="v", roots=[tmp_path.resolve()])
    assert logging.getLogger(name).level == logging.WARNING


def test_a_stored_suite_with_ids_is_judged_in_both_passes():
    stored = gx.ExpectationSuite(name="s", expectations=[gxe.ExpectColumnValuesToBeBetween(column="a", max_value=1)])
    raw = {**stored.to_json_dict(), "id": "0d0e7b9e-7a7e-4f1c-9d3d-1f0a3f9d1a11"}
    raw["expectations"][0]["id"] = "7d9fcf1e-0000-4000-8000-000000000000"
    verdict = GxValidator(raw, name="v").run(pd.DataFrame({"a": [1, 5]}))
    assert shape(verdict) == {("values_to_be_between", ("a",), FAIL): [1]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot load"),
        ("[]", "holds no suite"),
        (json.dumps({"name": "s", "expectations": [{"expectation_type": BETWEEN, "kwargs": {}}]}), "cannot load"),
        (json.dumps({"name": "s", "expectations": [expect(BETWEEN, column="a", max_valu=1)]}), "max_valu"),
    ],
)
def test_a_suite_that_gx_refuses_is_a_load_error(tmp_path, text, message):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(ValidatorLoadError, match=message):
        load_gx("s.json", name="v", roots=[tmp_path.resolve()])
