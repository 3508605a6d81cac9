"""Two versions of a suite on the same frames: which pairs count, and where weaknesses and alarms go."""

import math
from dataclasses import replace

import pytest

from pipechaos.plan.injection import Injection
from pipechaos.score.pair_records import Movement
from pipechaos.score.paired import compare, weakness_of
from pipechaos.score.records import ErrorCause, FindingRef, Outcome, Review, Trial, TrialKind, Why
from pipechaos.validate.verdict import FindingKind, Subject

TP, FN, NOOP, ERROR, BASE_BAD = Outcome.TP, Outcome.FN, Outcome.NOOP, Outcome.ERROR, Outcome.BASE_BAD
TN, FP = Outcome.TN, Outcome.FP


def spoken(check):
    return FindingRef(check=check, columns=("x",), kind=FindingKind.FAIL, subject=Subject.VALUE, why=Why.DIRECT)


def fault(batch, outcome, *, severity=3, column="x", check="", **more):
    made = {
        "trial_id": f"{batch}-{column}-{severity}-{outcome.value}",
        "kind": TrialKind.FAULT,
        "validator": "v",
        "batch": batch,
        "outcome": outcome,
        "fault": "value.scale",
        "family": "value",
        "columns": (column,),
        "severity": severity,
        "rungs": 5,
        "injection_id": f"i-{batch}-{column}-{severity}",
        "source_digest": f"s-{batch}",
        "after_digest": f"a-{batch}-{column}-{severity}",
        "findings": (spoken(check),) if check else (),
    }
    return Trial(**{**made, **more})


def control(batch, outcome, *, block=0, check="", **more):
    return Trial(
        trial_id=f"{batch}-{outcome.value}",
        kind=TrialKind.NATURAL,
        validator="v",
        batch=batch,
        outcome=outcome,
        block=block,
        source_digest=f"s-{batch}",
        after_digest=f"s-{batch}",
        findings=(spoken(check),) if check else (),
        **more,
    )


def benign(batch, outcome):
    return replace(
        fault(batch, outcome), kind=TrialKind.BENIGN, fault="benign.row_order", columns=(), injection_id=f"b-{batch}"
    )


def test_a_weakness_goes_where_most_of_its_pairs_go():
    base = [fault(b, TP, check="limit") for b in "abc"] + [fault(b, FN, severity=1) for b in "abc"]
    head = [fault("a", FN), fault("b", FN), fault("c", TP)] + [fault(b, TP, severity=1, check="new") for b in "abc"]
    found = compare(base, head)
    lost, won = found.weaknesses
    assert (lost.severity, lost.kept, lost.lost, lost.won, lost.missed, lost.batches) == (3, 1, 2, 0, 0, 3)
    assert (lost.movement, lost.caught_by) == (Movement.LOST, ("limit",))
    assert sorted(lost.lost_trials) == ["a-x-3-fn", "b-x-3-fn"]
    assert (won.movement, won.won, won.caught_by) == (Movement.WON, 3, ("new",))
    assert won.test.p == 2 / 8
    # per batch: a, b one lost and one won, c one won
    assert (found.fnr.test.total, found.fnr.test.clusters) == (1, 1)
    assert (found.fnr.worse, found.fnr.better, found.fnr.pairs) == (2, 3, 6)


def test_as_many_losses_as_wins_is_no_direction():
    (found,) = compare([fault("a", TP), fault("b", FN)], [fault("a", FN), fault("b", TP)]).weaknesses
    assert (found.movement, found.test.p) == (Movement.MIXED, 1.0)


def test_trials_on_one_batch_are_one_cluster():
    columns = [f"c{i}" for i in range(8)]
    found = compare([fault("a", TP, column=c) for c in columns], [fault("a", FN, column=c) for c in columns])
    assert found.fnr.test.p == 1.0
    assert len(found.moved(Movement.LOST)) == 8


def test_the_fnr_difference_weighs_weaknesses_alike():
    base = [fault(b, TP) for b in "abcd"] + [fault("a", TP, severity=1)]
    head = [fault("a", FN), *(fault(b, TP) for b in "bcd"), fault("a", FN, severity=1)]
    found = compare(base, head)
    assert found.fnr.difference == pytest.approx((1 / 4 + 1) / 2)
    assert found.fnr.after.estimate - found.fnr.before.estimate == pytest.approx(found.fnr.difference)
    assert (found.fnr.before.hits, found.fnr.after.hits, found.fnr.after.trials) == (0, 2, 5)


@pytest.mark.parametrize(
    ("base", "head", "fate"),
    [
        ({"outcome": FN}, {"outcome": ERROR, "error_cause": ErrorCause.CRASH}, "error_added"),
        ({"outcome": ERROR}, {"outcome": TP}, "error"),
        ({"outcome": TP, "subnatural": True}, {"outcome": ERROR, "subnatural": True}, "subnatural"),
        ({"outcome": ERROR, "error_cause": ErrorCause.CRASH}, {"outcome": FN}, "error"),
        ({"outcome": ERROR, "error_cause": ErrorCause.INJECTION}, {"outcome": FN}, "injection"),
        ({"outcome": TP}, {"outcome": BASE_BAD}, "base_bad_added"),
        ({"outcome": BASE_BAD}, {"outcome": FN}, "base_bad"),
        ({"outcome": NOOP}, {"outcome": NOOP}, "noop"),
        ({"outcome": TP, "flaky": True}, {"outcome": FN}, "flaky"),
        ({"outcome": TP}, {"outcome": FN, "flaky": True}, "flaky"),
        ({"outcome": TP, "subnatural": True}, {"outcome": FN, "subnatural": True}, "subnatural"),
        ({"outcome": TP}, {"outcome": FN, "after_digest": "another"}, "other_frame"),
        ({"outcome": TP}, {"outcome": FN, "source_digest": "another"}, "other_frame"),
        ({"outcome": TP}, {"outcome": FN, "injection_id": "another"}, "unpaired"),
    ],
)
def test_only_two_judgements_on_one_frame_make_a_pair(base, head, fate):
    found = compare([replace(fault("a", TP), **base)], [replace(fault("a", TP), **head)])
    assert dict(found.apart) == {fate: 2 if fate == "unpaired" else 1}
    assert found.weaknesses == ()
    assert math.isnan(found.fnr.difference)
    assert math.isnan(found.fnr.before.estimate)


@pytest.mark.parametrize("cause", [ErrorCause.CRASH, ErrorCause.TIMED_OUT, ErrorCause.CHECK, ErrorCause.NOT_RUN])
def test_what_was_caught_and_has_no_verdict_now_is_lost_and_in_no_rate(cause):
    base = [fault(b, TP, check="limit") for b in "abc"]
    head = [fault(b, ERROR, error_cause=cause) for b in "abc"]
    found = compare(base, head)
    (lost,) = found.moved(Movement.LOST)
    assert (lost.silenced, lost.lost, lost.pairs, lost.batches) == (3, 0, 0, 3)
    assert (lost.caught_by, lost.lost_trials) == (("limit",), ())
    assert sorted(lost.silenced_trials) == ["a-x-3-error", "b-x-3-error", "c-x-3-error"]
    assert (dict(found.apart), found.fnr.pairs, found.fnr.worse) == ({"silenced": 3}, 0, 0)
    assert math.isnan(lost.test.p)  # the test is about caught and missed alone


@pytest.mark.parametrize(
    ("outcomes", "movement"),
    [
        ([(TP, ERROR), (TP, TP)], Movement.LOST),
        ([(TP, ERROR), (FN, TP)], Movement.MIXED),
        ([(TP, ERROR), (FN, TP), (FN, TP)], Movement.WON),
        ([(TP, ERROR), (TP, FN), (FN, TP)], Movement.LOST),
        ([(FN, ERROR), (TP, TP)], Movement.SAME),
        ([(ERROR, ERROR), (TP, TP)], Movement.SAME),
    ],
)
def test_a_verdict_that_is_gone_weighs_as_much_as_a_miss(outcomes, movement):
    base = [fault(f"b{i}", one) for i, (one, _) in enumerate(outcomes)]
    head = [fault(f"b{i}", other) for i, (_, other) in enumerate(outcomes)]
    (found,) = compare(base, head).weaknesses
    assert found.movement is movement


def test_the_most_detections_gone_come_first_however_they_went():
    base = [fault(b, TP, severity=s) for b in "abc" for s in (1, 2)]
    head = [fault("a", FN, severity=1), *(fault(b, TP, severity=1) for b in "bc")]
    head += [fault(b, ERROR, severity=2) for b in "abc"]
    assert [w.severity for w in compare(base, head).weaknesses] == [2, 1]


def test_a_frame_without_a_verdict_counts_once():
    base = [fault(b, TP, after_digest="same", source_digest="same") for b in "ab"]
    head = [fault(b, ERROR, after_digest="same", source_digest="same") for b in "ab"]
    found = compare(base, head)
    assert dict(found.apart) == {"silenced": 1, "duplicate": 1}
    assert found.weaknesses[0].silenced == 1


def test_subnatural_losses_are_told_apart():
    pairs = [(TP, FN), (TP, FN), (FN, TP), (FN, FN)]
    base = [fault(f"b{i}", one, subnatural=True) for i, (one, _) in enumerate(pairs)]
    head = [fault(f"b{i}", other, subnatural=True) for i, (_, other) in enumerate(pairs)]
    found = compare(base, head)
    assert (found.subnatural_lost, found.subnatural_won, found.fnr.pairs) == (2, 1, 0)


def test_the_same_frame_counts_once():
    base = [fault(b, TP, after_digest="same", source_digest="same") for b in "ab"]
    head = [fault(b, FN, after_digest="same", source_digest="same") for b in "ab"]
    found = compare(base, head)
    assert (found.fnr.pairs, dict(found.apart)) == (1, {"duplicate": 1})


def test_alarms_are_paired_by_batch_and_clustered_by_block():
    base = [control("a", FP, check="old"), control("b", TN), control("c", TN), control("d", TN, block=1)]
    head = [control("a", TN), control("b", FP, check="new"), control("c", FP), control("d", FP, block=1)]
    found = compare(base, head).natural
    assert [a.batch for a in found.added] == ["b", "c", "d"]
    assert found.added[0].checks == ("new",)
    assert [(a.batch, a.checks) for a in found.removed] == [("a", ("old",))]
    # block 0: 1 removed, 2 added; block 1: 1 added
    assert (found.change.test.total, found.change.test.clusters, found.change.test.p) == (-2, 2, 0.5)
    assert found.change.difference == pytest.approx(2 / 4)


def test_the_second_look_at_a_control_is_no_second_pair():
    looks = [control("a", TN), replace(control("a", TN), trial_id="again")]
    assert compare(looks, looks).natural.change.pairs == 1


def test_an_alarm_that_a_review_found_true_is_a_loss_when_it_is_gone():
    bad = {"review": Review.TRUE}
    base = [control("a", FP, **bad), control("b", FP, **bad), control("c", TN)]
    head = [control("a", TN), control("b", FP, **bad), control("c", TN)]
    found = compare(base, head).natural
    assert found.true_alarms_lost == ("a",)
    assert (found.change.pairs, dict(found.apart), found.removed) == (1, {"true_alarm": 2}, ())


def test_benign_alarms_are_never_pooled_with_false_ones():
    base, head = [benign("a", Outcome.ACCEPTED), control("a", TN)], [benign("a", Outcome.ALARM), control("a", TN)]
    found = compare(base, head)
    assert [(a.batch, a.fault) for a in found.benign.added] == [("a", "benign.row_order")]
    assert found.natural.added == ()
    assert (found.benign.change.pairs, found.natural.change.pairs, found.fnr.pairs) == (1, 1, 0)


def test_a_weakness_has_the_id_that_it_has_without_a_validator():
    injection = Injection.of("value.scale", "x", severity=3)
    trial = fault("a", TP, params=injection.parameters, placement=injection.placement.canonical())
    assert weakness_of(trial) == injection.weakness_id("")
    (found,) = compare([trial], [replace(trial, validator="other", outcome=FN)]).weaknesses
    assert found.weakness_id == injection.weakness_id("")
