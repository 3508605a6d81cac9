"""Detection floor: 14 of 14 batches, on this severity and every larger one."""

import dataclasses

import pytest

from pipechaos.errors import ConfigError
from pipechaos.score.floor import FloorStatus, floor_of, floors
from pipechaos.score.records import ErrorCause, Outcome, Trial, TrialKind

ESTABLISHED, NEVER, UNKNOWN = FloorStatus.ESTABLISHED, FloorStatus.NEVER, FloorStatus.NOT_ESTABLISHED


def rung(severity, detected, missed=0, errors=0, **more):
    outcomes = [Outcome.TP] * detected + [Outcome.FN] * missed + [Outcome.ERROR] * errors
    return [
        Trial(
            trial_id=f"s{severity}-{i}",
            kind=TrialKind.FAULT,
            validator="v",
            batch=f"d{i}",
            fault="value.scale",
            columns=("x",),
            severity=severity,
            fraction=0.1 * severity,
            moves="factor",
            params={"factor": 2.0 * severity, "exact": True},
            outcome=outcome,
            error_cause=ErrorCause.CRASH if outcome is Outcome.ERROR else None,
            **more,
        )
        for i, outcome in enumerate(outcomes)
    ]


def only(trials):
    (found,) = floors(trials)
    return found.status, found.severity


def test_fourteen_of_fourteen_is_the_least():
    # 0.05 ** (1 / 14) = 0.807 and 0.05 ** (1 / 13) = 0.794
    assert only(rung(1, 14)) == (ESTABLISHED, 1)
    assert only(rung(1, 13)) == (UNKNOWN, None)
    assert only(rung(1, 14, missed=1)) == (UNKNOWN, None)


def test_every_larger_severity_must_hold():
    assert only(rung(1, 14) + rung(2, 14) + rung(3, 14)) == (ESTABLISHED, 1)
    assert only(rung(1, 14) + rung(2, 14, missed=3) + rung(3, 14)) == (ESTABLISHED, 3)
    assert only(rung(2, 14) + rung(5, 10)) == (UNKNOWN, None)
    assert only(rung(1, 0, missed=14) + rung(4, 14)) == (ESTABLISHED, 4)


def test_never_looks_at_the_largest_severity():
    assert only(rung(1, 14) + rung(2, 0, missed=14)) == (NEVER, None)
    assert only(rung(1, 0, missed=14) + rung(2, 13)) == (UNKNOWN, None)


def test_an_error_is_no_detection():
    assert only(rung(1, 0, errors=14)) == (NEVER, None)


def test_what_looks_ordinary_is_below_the_floor():
    assert only(rung(1, 0, missed=14, subnatural=True) + rung(2, 14)) == (ESTABLISHED, 2)
    assert only(rung(1, 14, subnatural=True)) == (ESTABLISHED, 1)


def test_what_was_not_tested_is_left_out():
    noise = rung(0, 0, missed=14) + rung(3, 0, missed=14, flaky=True)
    noise += [dataclasses.replace(t, outcome=Outcome.NOOP) for t in rung(4, 14)]
    noise += [dataclasses.replace(t, error_cause=ErrorCause.INJECTION) for t in rung(5, 0, errors=3)]
    assert only(rung(2, 14) + noise) == (ESTABLISHED, 2)


def test_repeats_on_one_batch_are_not_fourteen_batches():
    one = [dataclasses.replace(t, batch="same", repeat=i) for i, t in enumerate(rung(1, 14))]
    assert only(one) == (UNKNOWN, None)


def test_a_ladder_is_one_whatever_the_parameter_it_moves():
    (found,) = floors(rung(1, 0, missed=14) + rung(2, 14))
    assert (found.params, found.moved, found.fraction) == ({"exact": True}, 4.0, 0.2)
    assert {s: (r.hits, r.trials) for s, r in found.detect.items()} == {1: (0, 14), 2: (14, 14)}
    other = [dataclasses.replace(t, validator="w", placement={"kind": "block", "block": 5}) for t in rung(1, 14)]
    assert [f.validator for f in floors(rung(1, 14) + other)] == ["v", "w"]


def test_no_severity_no_floor():
    assert floors([]) == ()
    with pytest.raises(ConfigError):
        floor_of({})
