"""Any function as a validator."""

import numpy as np
import pandas as pd
import pytest

from pipechaos.validate.callable_validator import CallableValidator
from pipechaos.validate.verdict import Check, Finding, FindingKind, Subject, VerdictStatus

ACCEPTED, REJECTED, ERRORED = VerdictStatus.ACCEPTED, VerdictStatus.REJECTED, VerdictStatus.ERRORED
FRAME = pd.DataFrame({"a": [1, -1, 2, -2]}, index=[9, 9, 3, 9])


def asserts(frame):
    assert (frame["a"] > -5).all()


def asserts_in_vain(frame):
    raise AssertionError("a is bad")


def exits(frame):
    raise SystemExit(0)


@pytest.mark.parametrize(
    ("function", "status", "rows"),
    [
        (lambda f: True, ACCEPTED, None),
        (lambda f: np.bool_(True), ACCEPTED, None),
        (lambda f: False, REJECTED, None),
        (asserts, ACCEPTED, None),
        (asserts_in_vain, REJECTED, None),
        (lambda f: f["a"] > 0, REJECTED, [1, 3]),
        (lambda f: (f["a"] > 0).to_numpy(), REJECTED, [1, 3]),
        (lambda f: (f["a"] > 0).iloc[::-1], REJECTED, [1, 3]),
        (lambda f: f["a"] > -9, ACCEPTED, None),
        (lambda f: f[f["a"] < 0], REJECTED, [1, 3]),
        (lambda f: f[f["a"] < -9], ACCEPTED, None),
        (lambda f: f[f["a"] < 0].set_index(pd.Index(["x", "y"])), REJECTED, None),
        (lambda f: [], ACCEPTED, None),
        (lambda f: f["a"] / 0 > [1], ERRORED, None),
        (lambda f: f["missing"], ERRORED, None),
        (exits, ERRORED, None),
        (lambda f: "fine", ERRORED, None),
        (lambda f: 1, ERRORED, None),
        (lambda f: np.array([True]), ERRORED, None),
        (lambda f: np.array([1, 1, 1, 1]), ERRORED, None),
        (lambda f: pd.Series([True, None, True, True], dtype="boolean"), ERRORED, None),
        (lambda f: pd.Series([True] * 4, index=list("wxyz")), ERRORED, None),
    ],
)
def test_what_a_function_may_answer(function, status, rows):
    verdict = CallableValidator(function, name="v").run(FRAME)
    assert verdict.status is status
    assert len(verdict.findings) == (0 if status is ACCEPTED else 1)
    got = [None if f.rows is None else f.rows.tolist() for f in verdict.findings]
    assert got == ([] if status is ACCEPTED else [rows])


def test_columns_and_subject_come_from_the_function():
    def positive(frame):
        return frame["a"] > 0

    (plain,) = CallableValidator(positive, name="v").run(FRAME).findings
    assert (plain.check, plain.columns, plain.subject) == ("positive", (), Subject.VALUE)
    positive.columns = ["a"]
    positive.subject = Subject.UNIQUENESS
    validator = CallableValidator(positive, name="v")
    (finding,) = validator.run(FRAME).findings
    assert validator.checks == (Check(id="positive", columns=("a",), subject=Subject.UNIQUENESS),)
    assert (finding.columns, finding.subject) == (("a",), Subject.UNIQUENESS)


def test_findings_and_checks_of_its_own():
    checks = [Check(id=i, columns=("a",), subject=Subject.VALUE) for i in ("low", "high")]

    def judge(frame):
        return [Finding(check="low", columns=("a",), kind=FindingKind.FAIL, subject=Subject.VALUE)]

    judge.checks = checks
    verdict = CallableValidator(judge, name="v").run(FRAME)
    assert (verdict.checks_declared, verdict.checks_ran, verdict.status) == (2, 2, REJECTED)
    assert [f.check for f in verdict.fails] == ["low"]


def test_what_it_writes_into_its_frame_stays_there():
    def vandal(frame):
        frame["a"] = 0
        frame.loc[0, "a"] = 7
        return True

    before = FRAME.copy(deep=True)
    assert CallableValidator(vandal, name="v").run(FRAME).status is ACCEPTED
    pd.testing.assert_frame_equal(FRAME, before)


def test_any_object_can_be_judged():
    verdict = CallableValidator(lambda numbers: sum(numbers) == 6, name="v").run([1, 2, 3])
    assert (verdict.status, verdict.ordered_digest) == (ACCEPTED, "")
