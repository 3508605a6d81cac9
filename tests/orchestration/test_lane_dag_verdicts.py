"""Verdicts of other people's tasks, told from how they ended; results shaped as their documentation shows them."""

import json
from types import SimpleNamespace

import pandas as pd
import pandera.pandas as pa
import pytest

from pipechaos.airflow.outside_verdicts import LATE, Ending, OutsideVerdict, Said, Told, judge_ending, together
from pipechaos.errors import CannotRunError
from pipechaos.validate.verdict import FindingKind, Subject, VerdictStatus


class AirflowException(Exception):  # noqa: N818 - its name
    """Stands for Airflow's: told by its name."""


class AirflowFailException(AirflowException):
    pass


class AirflowSkipException(AirflowException):
    pass


class AirflowTaskTimeout(BaseException):
    pass


class GXValidationFailed(AirflowException):
    pass


class TaskDeferralTimeout(AirflowException):
    pass


class RefusedError(ValueError):
    pass


def told(**ending):
    rejects = ending.pop("rejects", ())
    return judge_ending(Ending(**ending), rejects).told.value


@pytest.mark.parametrize(
    ("error", "rejects", "expected"),
    [
        (AirflowFailException("x"), (), "rejected"),
        (AssertionError("x"), (), "rejected"),
        (AirflowSkipException("x"), (), "rejected"),
        (AirflowException("x"), (), "errored"),
        (AirflowTaskTimeout(), (), "timed_out"),
        (TaskDeferralTimeout("x"), (), "timed_out"),
        (ValueError("x"), (), "errored"),
        (KeyError("x"), ("ValueError",), "errored"),
        (RefusedError("x"), ("ValueError",), "rejected"),
        (RefusedError("x"), ("builtins.ValueError",), "rejected"),
        (RefusedError("x"), ("pandas.ValueError",), "errored"),
        (TypeError("x"), ("RefusedError",), "errored"),
    ],
)
def test_a_crash_is_no_detection_and_a_declared_exception_is(error, rejects, expected):
    assert told(error=error, rejects=rejects) == expected


def test_a_task_that_took_no_copy_is_not_exercised_whatever_it_says():
    for error in (AirflowFailException("x"), None, AirflowSkipException("x")):
        assert told(error=error, took_copy=False) == "not_exercised"
    said = judge_ending(Ending(took_copy=False))
    with pytest.raises(CannotRunError, match="it has no verdict"):
        said.verdict("v")


@pytest.mark.parametrize(
    ("result", "expected"),
    [(True, "accepted"), ([1], "accepted"), (False, "rejected"), (None, "rejected"), ([], "rejected")],
)
def test_a_short_circuit_rejects_by_a_falsy_result_and_no_other_task_does(result, expected):
    assert told(operator=("LaneX", "ShortCircuitOperator", "PythonOperator"), result=result) == expected
    assert told(operator=("LaneX", "PythonOperator"), result=result) == "accepted"


@pytest.mark.parametrize(("leads_on", "expected"), [(True, "accepted"), (False, "rejected")])
def test_a_branch_rejects_by_leading_away(leads_on, expected):
    assert told(leads_on=leads_on, result="somewhere") == expected


# SQL check operators of the common-sql provider


def check(name, success, column=None, kind="min", severity="error"):
    return SimpleNamespace(name=name, success=success, column=column, check_type=kind, severity=severity)


def test_failed_sql_checks_reject_and_name_their_columns():
    checks = [check("x.min", False, "x"), check("y.max", True, "y"), check("z.unique", False, "z", "unique_check")]
    said = judge_ending(Ending(error=AirflowException("Test failed"), check_results=checks))
    assert said.told is Told.REJECTED
    assert said.said == (
        Said(check="x.min", columns=("x",), subject=Subject.VALUE),
        Said(check="z.unique", columns=("z",), subject=Subject.UNIQUENESS),
    )


def test_an_sql_operator_that_crashes_has_detected_nothing():
    failed = [check("x.min", False, "x")]
    assert told(error=TypeError("NoneType"), check_results=failed) == "errored"
    assert told(error=AirflowException("zero rows"), check_results=[]) == "errored"
    assert told(error=AirflowException("zero rows"), check_results=[check("x.min", True, "x")]) == "errored"


def test_an_sql_check_that_only_warns_rejects_nothing():
    assert told(check_results=[check("x.min", False, "x", severity="warn")]) == "accepted"
    assert told(error=AirflowException("x"), check_results=[check("x", False, severity="warn")]) == "errored"


# the provider of Great Expectations: its result is pushed, then GXValidationFailed is raised


def expectation(kind, success, raised=False, **kwargs):
    info = {"raised_exception": raised, "exception_message": None, "exception_traceback": None}
    return {"expectation_type": kind, "success": success, "kwargs": kwargs, "result": {}, "exception_info": info}


def batch_result(*expectations):
    return {"success": all(e["success"] for e in expectations), "statistics": {}, "expectations": list(expectations)}


def checkpoint_result(*results):
    return {"success": all(r["success"] for r in results), "statistics": {}, "validation_results": list(results)}


GOOD = expectation("expect_column_to_exist", True, column="x")
NULLS = expectation("expect_column_values_to_not_be_null", False, column="x")
PAIR = expectation("expect_column_pair_values_a_to_be_greater_than_b", False, column_A="a", column_B="b")
KEY = expectation("expect_compound_columns_to_be_unique", False, column_list=["k", "l"])


@pytest.mark.parametrize("wrap", [lambda r: r, checkpoint_result], ids=["batch", "checkpoint"])
def test_a_gx_result_is_read_from_what_was_pushed_before_it_raised(wrap):
    said = judge_ending(Ending(error=GXValidationFailed(), pushed=wrap(batch_result(GOOD, NULLS, PAIR, KEY))))
    assert (said.told, said.how) == (Told.REJECTED, "result")
    assert [(s.columns, s.subject) for s in said.said] == [
        (("x",), Subject.VALUE),
        (("a", "b"), Subject.VALUE),
        (("k", "l"), Subject.UNIQUENESS),
    ]
    assert told(result=wrap(batch_result(GOOD))) == "accepted"


def test_gx_expectations_that_only_raised_have_found_nothing():
    broken = expectation("expect_column_values_to_not_be_null", False, raised=True, column="x")
    of_metrics = expectation("expect_column_max_to_be_between", False, column="x")
    of_metrics["exception_info"] = {"('column.max', 1)": {"raised_exception": True, "exception_message": "KeyError"}}
    assert told(error=GXValidationFailed(), pushed=batch_result(broken, of_metrics)) == "errored"
    both = judge_ending(Ending(error=GXValidationFailed(), pushed=batch_result(broken, PAIR)))
    assert both.told is Told.REJECTED
    assert [s.columns for s in both.said] == [("a", "b")]


def test_a_gx_failure_without_a_result_and_a_crash_after_a_good_one_are_errors():
    assert told(error=GXValidationFailed()) == "errored"
    assert told(error=KeyError("x"), pushed=batch_result(GOOD)) == "errored"


# pandera, for real


SCHEMA = pa.DataFrameSchema({"x": pa.Column(float, pa.Check.ge(0)), "y": pa.Column(int)}, name="table")


def of_pandera(frame, schema=SCHEMA, lazy=True):
    with pytest.raises((pa.errors.SchemaError, pa.errors.SchemaErrors)) as caught:
        schema.validate(frame, lazy=lazy)
    return judge_ending(Ending(error=caught.value))


@pytest.mark.parametrize("lazy", [True, False])
def test_a_pandera_error_rejects_and_names_its_column(lazy):
    said = of_pandera(pd.DataFrame({"x": [-1.0], "y": [1]}), lazy=lazy)
    assert said.told is Told.REJECTED
    assert [(s.columns, s.subject) for s in said.said] == [(("x",), Subject.VALUE)]
    gone = of_pandera(pd.DataFrame({"x": [1.0]}), lazy=lazy)
    assert [(s.columns, s.subject) for s in gone.said] == [(("y",), Subject.SCHEMA)]
    retyped = of_pandera(pd.DataFrame({"x": [1.0], "y": ["1"]}), lazy=lazy)
    assert (("y",), Subject.DTYPE) in [(s.columns, s.subject) for s in retyped.said]


def test_a_pandera_check_that_only_crashed_has_found_nothing():
    crashing = pa.DataFrameSchema({"x": pa.Column(None, pa.Check(lambda s: s.no_such_thing()))})
    assert of_pandera(pd.DataFrame({"x": [1.0]}), crashing).told is Told.ERRORED


def test_a_schema_error_of_somebody_else_is_none_of_panderas():
    kind = type("SchemaError", (Exception,), {"__module__": "other.library"})
    assert told(error=kind("x")) == "errored"


# our own


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["accepted", "accepted"], "accepted"),
        (["accepted", "rejected"], "rejected"),
        (["errored", "rejected"], "rejected"),
        (["errored", "timed_out"], "errored"),
        (["accepted", "timed_out"], "timed_out"),
    ],
)
def test_a_report_of_our_own_operator(statuses, expected):
    verdicts = {f"v{i}": {"status": s, "failed": []} for i, s in enumerate(statuses)}
    assert told(result={"batch": {}, "verdicts": verdicts}) == expected


def test_each_validator_of_our_own_operator_is_told_also_when_its_gate_raised():
    good = {"status": "accepted", "failed": [], "verdict": "/r/gx.json"}
    bad = {"status": "rejected", "failed": ["x:min"], "verdict": "/r/pandera.json"}
    found = {"batch": {}, "verdicts": {"pandera": bad, "gx": good}}
    said = judge_ending(Ending(error=AirflowFailException("x"), pushed=found))
    assert said.told is Told.REJECTED
    assert {n: (p.told, p.kept) for n, p in said.parts.items()} == {
        "pandera": (Told.REJECTED, "/r/pandera.json"),
        "gx": (Told.ACCEPTED, "/r/gx.json"),
    }
    assert OutsideVerdict.from_json(json.loads(json.dumps(said.to_json()))) == said


# several elements of a map on one trial


def one(status, how="x", **more):
    return OutsideVerdict(told=Told(status), how=how, **more)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["accepted", "accepted"], "accepted"),
        (["errored", "rejected", "accepted"], "rejected"),
        (["accepted", "errored"], "errored"),
        (["timed_out", "errored"], "errored"),
        (["accepted", "timed_out"], "timed_out"),
        (["accepted", "not_exercised"], "accepted"),
        (["not_exercised", "not_exercised"], "not_exercised"),
        ([], "not_exercised"),
    ],
)
def test_elements_of_a_map_are_one_trial(statuses, expected):
    assert together([one(s) for s in statuses]).told.value == expected


def test_when_the_time_was_over_for_one_element_none_has_a_say():
    assert together([one("rejected"), one("not_exercised", LATE)]).how == LATE


def test_checks_and_parts_of_all_elements_are_gathered():
    x, y = Said(check="min", columns=("x",)), Said(check="max", columns=("y",))
    first = one("rejected", said=(x,), parts={"a": one("rejected", said=(x,)), "b": one("accepted")})
    second = one("rejected", said=(x, y), parts={"a": one("accepted"), "b": one("errored")})
    whole = together([first, second, one("accepted")])
    assert whole.said == (x, y)
    assert {n: p.told.value for n, p in whole.parts.items()} == {"a": "rejected", "b": "errored"}


# records and verdicts


@pytest.mark.parametrize(
    ("status", "said", "findings", "ran"),
    [
        (Told.ACCEPTED, (), [], 1),
        (Told.REJECTED, (), [("AssertionError", (), FindingKind.FAIL)], 1),
        (Told.REJECTED, (Said(check="<b>'; drop", columns=("x y",)),), [("<b>'; drop", ("x y",), FindingKind.FAIL)], 1),
        (Told.ERRORED, (), [("<crash>", (), FindingKind.ERROR)], 1),
        (Told.TIMED_OUT, (), [], 0),
    ],
)
def test_a_record_travels_as_json_and_becomes_a_verdict(status, said, findings, ran):
    one = OutsideVerdict(told=status, how="AssertionError", said=said)
    again = OutsideVerdict.from_json(json.loads(json.dumps(one.to_json(), allow_nan=False)))
    assert again == one
    verdict = again.verdict("v")
    assert verdict.status is VerdictStatus(status.value)
    assert [(f.check, f.columns, f.kind) for f in verdict.findings] == findings
    assert (verdict.checks_declared, verdict.checks_ran) == (1, ran)


def test_what_a_message_quotes_goes_nowhere():
    record = judge_ending(Ending(error=AssertionError("secret value 42"))).to_json()
    assert "42" not in json.dumps(record)
