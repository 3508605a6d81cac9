"""SCORING.md sections 2 and 3, row by row."""

import numpy as np
import pytest

from pipechaos.errors import ConfigError
from pipechaos.faults.spec import Phase, SchemaChange, SchemaChangeKind
from pipechaos.ledger.records import CellEntry, Ledger, RowEntry, Status
from pipechaos.score.outcome import (
    blind,
    flaky,
    judge,
    judge_benign,
    judge_canary,
    judge_natural,
    paranoid,
    why_found,
)
from pipechaos.score.records import ErrorCause, Outcome, Review, Trial, TrialKind, Truth, Why
from pipechaos.validate.verdict import Finding, FindingKind, Subject, Verdict, VerdictStatus, decide

FAIL, ERROR, TOLERATED = FindingKind.FAIL, FindingKind.ERROR, FindingKind.TOLERATED


def finding(check="c", columns=("x",), kind=FAIL, subject=Subject.VALUE, rows=None):
    given = None if rows is None else np.array(rows, np.int64)
    return Finding(check=check, columns=tuple(columns), kind=kind, subject=subject, rows=given)


def verdict(*findings, declared=3, ran=3, timed_out=False):
    status = decide(findings, declared=declared, ran=ran, timed_out=timed_out)
    return Verdict(validator="v", status=status, findings=findings, checks_declared=declared, checks_ran=ran)


def cells(**changed):
    return Truth(changed={k: np.array(v, np.int64) for k, v in changed.items()})


GOOD = verdict()
ON_X = cells(x=[1, 5])
DROPPED = Truth(dropped=frozenset({"x"}), touches_schema=True)


def run(v, *, base=GOOD, status=Status.APPLIED, truth=ON_X, same=False):
    return judge(ledger_status=status, base=base, verdict=v, truth=truth, same_frame=same)


BAD_BASES = [verdict(finding()), verdict(finding(kind=ERROR)), verdict(ran=2), verdict(timed_out=True)]


def test_a_failed_injection_outweighs_everything():
    found = run(verdict(finding()), status=Status.FAILED, base=BAD_BASES[0], same=True)
    assert (found.outcome, found.error_cause) == (Outcome.ERROR, ErrorCause.INJECTION)


@pytest.mark.parametrize("base", BAD_BASES)
@pytest.mark.parametrize("status", [Status.APPLIED, Status.NO_EFFECT])
def test_a_base_that_is_not_accepted_outweighs_noop_and_detection(base, status):
    assert run(verdict(finding(check="other")), base=base, status=status).outcome is Outcome.BASE_BAD


@pytest.mark.parametrize(
    ("status", "same"), [(Status.NO_EFFECT, False), (Status.NOT_APPLICABLE, False), (Status.APPLIED, True)]
)
def test_an_equivalent_mutant_is_a_noop_whatever_was_said(status, same):
    assert run(verdict(finding()), status=status, same=same).outcome is Outcome.NOOP
    assert run(None, status=status, same=same, truth=None).outcome is Outcome.NOOP


def test_detected():
    found = run(verdict(finding(rows=[5]), finding(check="d", kind=TOLERATED)))
    assert (found.outcome, found.why, found.error_only) == (Outcome.TP, Why.DIRECT, False)
    assert [(f.check, f.n_rows, f.why) for f in found.new_findings] == [("c", 1, Why.DIRECT)]


def test_what_was_tolerated_before_and_fails_now_is_new():
    found = run(verdict(finding()), base=verdict(finding(kind=TOLERATED)))
    assert (found.outcome, found.why, len(found.new_findings)) == (Outcome.TP, Why.DIRECT, 1)


def test_rejected_without_details_is_detected_and_unattributed():
    bare = Verdict(validator="v", status=VerdictStatus.REJECTED)
    assert (run(bare).outcome, run(bare).why) == (Outcome.TP, Why.UNATTRIBUTED)


@pytest.mark.parametrize(
    "truth",
    [
        DROPPED,
        Truth(renamed=(("x", "y"),), touches_schema=True),
        Truth(renamed=(("w", "x"),), touches_schema=True),
        Truth(retyped=frozenset({"x"}), touches_schema=True),
    ],
)
def test_a_check_that_raises_on_a_broken_column_detects_error_only(truth):
    found = run(verdict(finding(kind=ERROR)), truth=truth)
    assert (found.outcome, found.error_only, found.why) == (Outcome.TP, True, Why.DIRECT)


@pytest.mark.parametrize(
    ("v", "truth", "cause"),
    [
        (verdict(finding(kind=ERROR)), ON_X, ErrorCause.CHECK),
        (verdict(finding(kind=ERROR)), Truth(added_columns=frozenset({"x"}), touches_schema=True), ErrorCause.CHECK),
        (verdict(finding(kind=ERROR, columns=("z",))), DROPPED, ErrorCause.CHECK),
        (verdict(finding(check="<crash>", columns=(), kind=ERROR), ran=0), DROPPED, ErrorCause.CRASH),
        (verdict(ran=2), ON_X, ErrorCause.NOT_RUN),
        (verdict(finding(), timed_out=True), ON_X, ErrorCause.TIMED_OUT),
        (verdict(finding(kind=ERROR), timed_out=True), DROPPED, ErrorCause.TIMED_OUT),
    ],
)
def test_any_other_error_is_an_error(v, truth, cause):
    found = run(v, truth=truth)
    assert (found.outcome, found.error_cause, found.why) == (Outcome.ERROR, cause, None)


def test_missed():
    assert run(verdict(finding(kind=TOLERATED))).outcome is Outcome.FN


def test_nothing_is_judged_without_what_it_hangs_on():
    with pytest.raises(ConfigError, match="base"):
        run(GOOD, base=None)
    with pytest.raises(ConfigError, match="verdict"):
        run(None)


ADDED = Truth(added=np.array([7, 8]), touches_rows=True)
REMOVED = Truth(touches_rows=True)
KEY = Truth(changed={"id": np.array([3])}, touches_key=True)
TABLE = {"columns": ()}


@pytest.mark.parametrize(
    ("given", "truth", "why"),
    [
        (finding(), ON_X, Why.DIRECT),
        (finding(columns=("z", "x"), rows=[1]), ON_X, Why.DIRECT),
        (finding(rows=[2]), ON_X, Why.ELSEWHERE),
        (finding(columns=("z",)), ON_X, Why.ELSEWHERE),
        (finding(columns=("z",), rows=[1]), ON_X, Why.ELSEWHERE),
        (finding(columns=(), rows=[1]), ON_X, Why.DIRECT),
        (finding(columns=(), rows=[2]), ON_X, Why.ELSEWHERE),
        (finding(subject=Subject.TABLE, **TABLE), ON_X, Why.UNATTRIBUTED),
        (finding(subject=Subject.AGGREGATE), ON_X, Why.DIRECT),
        (finding(subject=Subject.DTYPE), ON_X, Why.SIDE_EFFECT),
        (finding(subject=Subject.SCHEMA, **TABLE), ON_X, Why.SIDE_EFFECT),
        (finding(subject=Subject.DTYPE, columns=("z",)), REMOVED, Why.SIDE_EFFECT),
        (finding(subject=Subject.ROW_COUNT, **TABLE), ON_X, Why.UNATTRIBUTED),
        (finding(subject=Subject.ROW_COUNT, **TABLE), REMOVED, Why.DIRECT),
        (finding(columns=("z",)), REMOVED, Why.ELSEWHERE),
        (finding(subject=Subject.UNIQUENESS, columns=("id",), rows=[0]), ADDED, Why.DIRECT),
        (finding(columns=("z",), rows=[8]), ADDED, Why.DIRECT),
        (finding(columns=("z",), rows=[0]), ADDED, Why.ELSEWHERE),
        (finding(subject=Subject.AGGREGATE, columns=("z",)), ADDED, Why.DIRECT),
        (finding(subject=Subject.UNIQUENESS, columns=("id",), rows=[0]), KEY, Why.DIRECT),
        (finding(subject=Subject.UNIQUENESS, **TABLE), KEY, Why.DIRECT),
        (finding(subject=Subject.UNIQUENESS, columns=("z",)), KEY, Why.ELSEWHERE),
        (finding(subject=Subject.UNIQUENESS, **TABLE), ON_X, Why.UNATTRIBUTED),
        (finding(subject=Subject.SCHEMA, **TABLE), DROPPED, Why.DIRECT),
        (finding(subject=Subject.SCHEMA), DROPPED, Why.DIRECT),
        (finding(subject=Subject.SCHEMA, columns=("z",)), DROPPED, Why.ELSEWHERE),
        (finding(subject=Subject.DTYPE, rows=[9]), Truth(retyped=frozenset({"x"}), touches_schema=True), Why.DIRECT),
    ],
)
def test_why(given, truth, why):
    assert why_found(given, truth) is why


def test_the_best_reason_counts():
    both = verdict(finding(check="a", columns=("z",)), finding(check="b"))
    assert run(both).why is Why.DIRECT
    dtype = verdict(finding(check="a", columns=("z",)), finding(check="b", subject=Subject.DTYPE))
    assert run(dtype).why is Why.SIDE_EFFECT


def test_an_uncredited_error_is_no_reason():
    found = run(verdict(finding(check="a", columns=("z",)), finding(check="b", kind=ERROR)))
    assert found.why is Why.ELSEWHERE
    assert [f.why for f in found.new_findings] == [Why.ELSEWHERE, None]


@pytest.mark.parametrize(
    ("v", "outcome"),
    [
        (GOOD, Outcome.TN),
        (verdict(finding(kind=TOLERATED)), Outcome.TN),
        (verdict(finding()), Outcome.FP),
        (verdict(finding(kind=ERROR)), Outcome.ERROR),
        (verdict(timed_out=True), Outcome.ERROR),
    ],
)
def test_natural(v, outcome):
    found = judge_natural(v, Review.FALSE)
    assert found.outcome is outcome
    assert found.review is (Review.FALSE if outcome is Outcome.FP else Review.UNREVIEWED)


def test_benign_is_base_bad_accepted_alarm_or_error():
    assert judge_benign(BAD_BASES[1], verdict(finding())).outcome is Outcome.BASE_BAD
    assert judge_benign(GOOD, GOOD).outcome is Outcome.ACCEPTED
    assert judge_benign(GOOD, verdict(finding())).outcome is Outcome.ALARM
    assert judge_benign(GOOD, verdict(timed_out=True)).outcome is Outcome.ERROR
    assert judge_benign(GOOD, GOOD, Status.NO_EFFECT).outcome is Outcome.ACCEPTED
    assert judge_benign(GOOD, None, Status.FAILED).error_cause is ErrorCause.INJECTION


def test_an_error_catches_only_the_canary_without_columns():
    assert judge_canary(verdict(finding()), ON_X).outcome is Outcome.ALARM
    assert judge_canary(GOOD, ON_X).outcome is Outcome.ACCEPTED
    retyped = Truth(retyped=frozenset({"x"}), touches_schema=True)
    assert judge_canary(verdict(finding(kind=ERROR)), retyped).outcome is Outcome.ERROR
    gone = judge_canary(verdict(finding(kind=ERROR)), DROPPED)
    assert (gone.outcome, gone.error_only) == (Outcome.ALARM, True)
    crash = verdict(finding(check="<crash>", columns=(), kind=ERROR))
    assert judge_canary(crash, DROPPED).outcome is Outcome.ERROR


def trial(kind, outcome, batch="b", validator="v", **more):
    return Trial(trial_id=batch, kind=kind, validator=validator, batch=batch, outcome=outcome, **more)


def test_blind():
    canary = TrialKind.CANARY
    deaf = [trial(canary, Outcome.ACCEPTED), trial(canary, Outcome.ERROR), trial(canary, Outcome.ACCEPTED)]
    other = trial(canary, Outcome.ALARM, validator="w")
    assert blind([*deaf, other], "v") is True
    assert blind([*deaf, trial(canary, Outcome.ALARM)], "v") is False
    assert blind([trial(TrialKind.FAULT, Outcome.TP)], "v") is None


def test_paranoid_is_more_than_half_and_forgives_true_alarms():
    alarms = [trial(TrialKind.NATURAL, Outcome.FP, batch=f"a{i}") for i in range(2)]
    calm = [trial(TrialKind.NATURAL, o, batch=o) for o in (Outcome.TN, Outcome.ERROR)]
    bad = trial(TrialKind.NATURAL, Outcome.FP, batch="bad", review=Review.TRUE)
    assert not paranoid([*alarms, *calm, bad], "v")
    assert paranoid([*alarms, calm[0]], "v")
    assert not paranoid([], "v")


def test_flaky_is_any_difference():
    assert not flaky(verdict(finding(rows=[1])), verdict(finding(rows=[1])))
    assert flaky(verdict(finding(rows=[1])), verdict(finding(rows=[2])))


def test_truth_of_a_ledger():
    none = np.empty(0, np.int64)
    entry = CellEntry(
        column="id",
        asked=np.array([1, 2, 4, 6]),
        origin=np.array([1, 2, 4]),
        position=np.array([3, -1, 0]),
        injections=("i",),
    )
    same = CellEntry(column="y", asked=np.array([1]), origin=none, position=none, injections=("i",))
    rows = RowEntry(removed=np.array([2]), added=np.array([5]), copied_from=np.array([1]), reordered=False)
    schema = (
        SchemaChange(kind=SchemaChangeKind.RENAMED, column="a", to="b"),
        SchemaChange(kind=SchemaChangeKind.RETYPED, column="t"),
        SchemaChange(kind=SchemaChangeKind.ADDED, column="n"),
        SchemaChange(kind=SchemaChangeKind.DROPPED, column="d"),
    )
    ledger = Ledger(
        batch="b", injections=(), cells=(entry, same), rows=rows, schema=schema, rows_before=8, rows_after=8
    )
    truth = Truth.of(ledger, key_columns=["id"])
    assert truth.columns == {"id", "a", "b", "t", "n", "d"}
    assert truth.broken == {"a", "b", "t", "d"}
    assert truth.changed["id"].tolist() == [0, 3]
    assert truth.rows.tolist() == [0, 3, 5]
    assert (truth.touches_rows, truth.touches_schema, truth.touches_key) == (True, True, True)


def test_the_phase_says_what_an_empty_ledger_cannot():
    none = np.empty(0, np.int64)
    rows = RowEntry(removed=none, added=none, copied_from=none, reordered=False)
    ledger = Ledger(batch="b", injections=(), cells=(), rows=rows, schema=(), rows_before=1, rows_after=1)
    assert Truth.of(ledger, Phase.ROWS).touches_rows
    assert Truth.of(ledger, Phase.SCHEMA).touches_schema
    plain = Truth.of(ledger, Phase.CELLS)
    assert not (plain.touches_rows or plain.touches_schema or plain.touches_key)
