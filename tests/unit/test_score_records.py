"""Trials survive their table, undefined is null with a reason, and the stack is all validators as one."""

import dataclasses
import json

import pyarrow as pa
import pytest

from pipechaos.ledger.records import Status
from pipechaos.score.rates import Slice, fault_rates, slice_keys
from pipechaos.score.records import (
    ErrorCause,
    FindingRef,
    Outcome,
    Rate,
    Review,
    RowScores,
    Trial,
    TrialKind,
    Why,
)
from pipechaos.score.stack import STACK, stacked
from pipechaos.validate.verdict import FindingKind, Subject, VerdictStatus

FULL = Trial(
    trial_id="t",
    kind=TrialKind.FAULT,
    validator="v",
    batch="2013-06-03",
    block=9,
    fault="null.mnar",
    family="missing",
    fault_version=2,
    columns=("größe", "b"),
    placement={"kind": "own_value", "quantile": "0.8", "side": "high"},
    params={"value": -999, "factor": 1.5, "name": None, "exact": True},
    fraction=0.05,
    severity=3,
    seed=7,
    repeat=1,
    moves="factor",
    rungs=5,
    weakness_id="w",
    injection_id="i",
    ledger_status=Status.APPLIED,
    eligible=100,
    changed=5,
    dose=0.05,
    base_status=VerdictStatus.ACCEPTED,
    status=VerdictStatus.REJECTED,
    findings=(
        FindingRef(
            check="c",
            columns=("b",),
            kind=FindingKind.FAIL,
            subject=Subject.AGGREGATE,
            n_rows=3,
            why=Why.DIRECT,
        ),
    ),
    outcome=Outcome.TP,
    why=Why.DIRECT,
    rows=RowScores(named=3, right=2, found=2, truth=5, findings=1, with_rows=1),
    seconds=0.25,
)
BARE = Trial(trial_id="n", kind=TrialKind.NATURAL, validator="v", batch="b", outcome=Outcome.TN)


@pytest.mark.parametrize("trial", [FULL, BARE])
def test_a_trial_survives_its_table(trial):
    row = trial.to_row()
    assert all(v is None or isinstance(v, (str, int, float, bool)) for v in row.values())
    assert Trial.from_row(row) == trial
    table = pa.Table.from_pylist([FULL.to_row(), BARE.to_row()])
    assert [Trial.from_row(r) for r in table.to_pylist()] == [FULL, BARE]
    assert Trial.from_row(row | {"column_of_a_later_version": 1}) == trial


def test_undefined_is_null_with_a_reason():
    plain = Rate(reason="no trials").to_json()
    assert plain["estimate"] is None
    assert plain["upper"] is None
    assert plain["reason"] == "no trials"
    assert plain["trials"] == 0
    json.dumps(plain, allow_nan=False)


def test_slices_of_a_trial():
    assert slice_keys(FULL, Slice.COLUMN) == ("größe", "b")
    assert slice_keys(FULL, Slice.PLACEMENT) == ("own value high of q0.8",)
    assert slice_keys(BARE, Slice.PLACEMENT) == ("at random",)
    assert slice_keys(BARE, Slice.COLUMN) == ("(whole batch)",)


def one(validator, outcome, *, injection="i", batch="b", **more):
    return Trial(
        trial_id=f"{validator}-{injection}-{batch}",
        kind=TrialKind.FAULT,
        validator=validator,
        batch=batch,
        injection_id=injection,
        weakness_id=f"{validator}-w",
        fault="f",
        outcome=outcome,
        **more,
    )


@pytest.mark.parametrize(
    ("a", "b", "both"),
    [
        (Outcome.TP, Outcome.FN, Outcome.TP),
        (Outcome.FN, Outcome.FN, Outcome.FN),
        (Outcome.FN, Outcome.ERROR, Outcome.ERROR),
        (Outcome.TP, Outcome.ERROR, Outcome.TP),
        (Outcome.TP, Outcome.BASE_BAD, Outcome.BASE_BAD),
        (Outcome.FN, Outcome.NOOP, Outcome.FN),
        (Outcome.NOOP, Outcome.NOOP, Outcome.NOOP),
    ],
)
def test_the_stack_rejects_what_any_validator_rejects(a, b, both):
    for pair in ((a, b), (b, a)):
        (found,) = stacked([one("p", pair[0]), one("q", pair[1])])
        assert (found.outcome, found.validator) == (both, STACK)


def test_the_stack_knows_why_and_whose_fault():
    trials = [one("p", Outcome.TP, why=Why.ELSEWHERE), one("q", Outcome.TP, why=Why.DIRECT, error_only=True)]
    (found,) = stacked(trials)
    assert (found.why, found.error_only) == (Why.DIRECT, False)
    cause = ErrorCause.INJECTION
    (found,) = stacked([one("p", Outcome.ERROR, error_cause=cause), one("q", Outcome.ERROR, error_cause=cause)])
    assert found.error_cause is cause
    (found,) = stacked([one("p", Outcome.TP, flaky=True), one("q", Outcome.FN)])
    assert found.flaky


def test_the_stack_needs_every_word():
    assert len(stacked([one("p", Outcome.FN), one("q", Outcome.TP), one("p", Outcome.FN, injection="j")])) == 1


def test_the_stack_is_scored_like_a_validator():
    trials = [
        one(v, Outcome.FN if v == "p" else Outcome.TP, injection=f"i{i}", batch=f"b{i}") for v in "pq" for i in (1, 2)
    ]
    found = fault_rates(stacked(trials))
    assert (found.fnr.trials, found.fnr.hits, found.weaknesses) == (2, 0, 1)


def test_natural_controls_stack_too():
    def day(validator, outcome, review=Review.UNREVIEWED):
        return dataclasses.replace(BARE, validator=validator, trial_id=validator, outcome=outcome, review=review)

    def both(a, b):
        (found,) = stacked([a, b])
        return found.outcome, found.review

    assert both(day("p", Outcome.TN), day("q", Outcome.TN)) == (Outcome.TN, Review.UNREVIEWED)
    alarm = day("p", Outcome.FP, Review.FALSE)
    assert both(alarm, day("q", Outcome.TN)) == (Outcome.FP, Review.FALSE)
    assert both(alarm, day("q", Outcome.FP)) == (Outcome.FP, Review.UNREVIEWED)
    assert both(alarm, day("q", Outcome.FP, Review.TRUE)) == (Outcome.FP, Review.TRUE)
    assert both(day("p", Outcome.TN), day("q", Outcome.ERROR))[0] is Outcome.ERROR
