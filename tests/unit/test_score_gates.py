"""SCORING.md section 5: gates decide on the bound, and say what is missing."""

import dataclasses

import pytest

from pipechaos.errors import ConfigError
from pipechaos.score.gates import Gate, GateResult, GateVerdict, Metric, evaluate, exit_code, more_batches
from pipechaos.score.intervals import clopper_pearson
from pipechaos.score.records import ErrorCause, Outcome, Rate, Review, Trial, TrialKind, Why

PASS, FAIL, OPEN = GateVerdict.PASS, GateVerdict.FAIL, GateVerdict.INCONCLUSIVE


def faulty(n, missed=0, errors=0, **more):
    """One weakness on n distinct batches."""

    def one(i):
        outcome = Outcome.FN if i < missed else Outcome.ERROR if i < missed + errors else Outcome.TP
        return Trial(
            trial_id=f"t{i:04}",
            kind=TrialKind.FAULT,
            validator="v",
            batch=f"d{i:04}",
            outcome=outcome,
            error_cause=ErrorCause.CRASH if outcome is Outcome.ERROR else None,
            why=Why.SIDE_EFFECT if outcome is Outcome.TP else None,
            **({"weakness_id": "w", "fault": "f", "family": "value", "columns": ("x",)} | more),
        )

    return [one(i) for i in range(n)]


def natural(n, alarms=0, errors=0, **more):
    def one(i):
        outcome = Outcome.FP if i < alarms else Outcome.ERROR if i < alarms + errors else Outcome.TN
        return Trial(
            trial_id=f"n{i}",
            kind=TrialKind.NATURAL,
            validator="v",
            batch=f"d{i:04}",
            block=i // 7,
            outcome=outcome,
            **more,
        )

    return [one(i) for i in range(n)]


def decide(metric, limit, trials, **more):
    (result,) = evaluate(Gate(metric=metric, limit=limit, **more), trials, ["v"])
    return result


# upper one-sided bounds from R: 0 of 59 is 0.0495076, 0 of 10 is 0.2588656; 33 of 45 has a lower one of 0.6040422
@pytest.mark.parametrize(
    ("trials", "limit", "verdict"),
    [
        (faulty(59), 0.0496, PASS),
        (faulty(59), 0.0495, OPEN),
        (faulty(10), 0.2589, PASS),
        (faulty(45, missed=33), 0.6040, FAIL),
        (faulty(45, missed=33), 0.6041, OPEN),
        (faulty(45, missed=33), 0.84, PASS),
        (faulty(9), 1.0, OPEN),  # fewer than ten clusters never decide
        (faulty(1, missed=1), 0.0, OPEN),
        ([], 1.0, OPEN),
    ],
)
def test_the_bound_decides(trials, limit, verdict):
    assert decide(Metric.FNR, limit, trials).verdict is verdict


def test_strict_counts_direct_alone():
    assert decide(Metric.FNR, 0.1, faulty(59)).verdict is PASS
    assert decide(Metric.STRICT_FNR, 0.1, faulty(59)).verdict is FAIL


def test_errors_keep_a_gate_open_unless_allowed():
    trials = faulty(100, errors=6)
    assert decide(Metric.FNR, 0.1, trials).verdict is OPEN
    assert "error rate 6.0%" in decide(Metric.FNR, 0.1, trials).reason
    assert decide(Metric.FNR, 0.1, faulty(100, errors=5)).verdict is PASS
    assert decide(Metric.FNR, 0.1, trials, max_error=0.06).verdict is PASS
    assert decide(Metric.ESCAPE, 0.1, faulty(100, errors=90)).verdict is OPEN
    assert decide(Metric.ERROR, 0.2, trials).verdict is PASS
    assert decide(Metric.ERROR, 0.02, trials).verdict is FAIL


def test_a_control_that_errors_keeps_the_gate_open():
    assert decide(Metric.FPR, 0.0235, natural(275)).verdict is PASS
    assert decide(Metric.FPR, 0.0233, natural(275)).verdict is OPEN
    assert decide(Metric.FPR, 0.0235, natural(275, errors=1)).verdict is OPEN
    assert decide(Metric.FPR, 0.5, natural(275, alarms=250)).verdict is FAIL


def test_the_larger_false_positive_rate_decides():
    trials = natural(275, alarms=30)
    false = natural(275, alarms=30, review=Review.FALSE)
    assert decide(Metric.FPR, 0.05, trials).rate.hits == decide(Metric.FPR, 0.05, false).rate.hits == 30
    bad = natural(275, alarms=30, review=Review.TRUE)
    assert decide(Metric.FPR, 0.05, bad).rate.trials == 245
    assert decide(Metric.FPR, 0.05, bad).verdict is PASS


def test_one_flaky_trial_keeps_a_gate_open():
    assert decide(Metric.FNR, 0.1, faulty(59) + faulty(1, flaky=True)).verdict is OPEN
    assert decide(Metric.FPR, 0.1, natural(275) + natural(1, flaky=True)).verdict is OPEN
    assert decide(Metric.FPR, 0.1, natural(275) + faulty(1, flaky=True)).verdict is PASS


WHY = "the budget of 5 minutes was reached"


def test_a_run_that_was_stopped_passes_no_gate_on_what_it_did_not_get_to():
    """The first of the plan say nothing about the rest; what is beyond its limit already stays so."""

    def stopped(metric, limit, trials):
        (result,) = evaluate(Gate(metric=metric, limit=limit), trials, ["v"], stopped=WHY)
        return result

    for metric in (Metric.FNR, Metric.ESCAPE, Metric.ERROR):
        found = stopped(metric, 0.1, faulty(59))
        assert found.verdict is OPEN
        assert WHY in found.reason
        assert "at most 4.95%" in found.reason
    assert stopped(Metric.FNR, 0.6, faulty(45, missed=33)).verdict is FAIL
    unsettled = stopped(Metric.FNR, 0.7, faulty(45, missed=33))
    assert (unsettled.verdict, unsettled.more_batches) == (OPEN, None)  # no batch would: what is left has to be judged
    assert WHY in unsettled.reason
    assert stopped(Metric.FPR, 0.0235, natural(275)).verdict is PASS  # they come first, whatever the budget
    calm = [
        Trial(trial_id=f"b{i}", kind=TrialKind.BENIGN, validator="v", batch=f"d{i}", outcome=Outcome.ACCEPTED)
        for i in range(59)
    ]
    assert stopped(Metric.BENIGN, 0.05, calm).verdict is OPEN


def test_filters_choose_trials():
    weak = faulty(20, missed=20, fault="g", family="text", columns=("y",), weakness_id="g")
    trials = faulty(59) + weak
    assert decide(Metric.FNR, 0.1, trials, fault="f").verdict is PASS
    assert decide(Metric.FNR, 0.1, trials, family="text").verdict is FAIL
    assert decide(Metric.FNR, 0.1, trials, column="y").verdict is FAIL
    assert decide(Metric.FNR, 0.1, trials, column="nowhere").verdict is OPEN
    assert decide(Metric.FNR, 0.1, trials + faulty(9, fault="g", flaky=True), fault="f").verdict is PASS


WEAK = faulty(59, weakness_id="aa01") + faulty(59, missed=59, weakness_id="ab02")


def test_a_gate_on_one_weakness_takes_its_id_or_the_beginning():
    for name in ("aa01", "aa"):
        found = decide(Metric.FNR, 0.1, WEAK, weakness=name)
        assert (found.verdict, found.rate.trials) == (PASS, 59)
    assert decide(Metric.FNR, 0.1, WEAK, weakness="ab").verdict is FAIL
    assert decide(Metric.FNR, 0.1, WEAK, weakness="ab", column="y").verdict is OPEN
    with pytest.raises(ConfigError, match="2 begin so: give more of the id"):
        decide(Metric.FNR, 0.1, WEAK, weakness="a")
    # the beginning of a canary's id is nobody's weakness
    canary = [Trial(trial_id="k", kind=TrialKind.CANARY, validator="v", batch="d", outcome=Outcome.ALARM)]
    canary = [dataclasses.replace(t, weakness_id="aa77") for t in canary]
    assert decide(Metric.FNR, 0.1, WEAK + canary, weakness="aa").verdict is PASS


def test_a_weakness_belongs_to_one_validator():
    other = [dataclasses.replace(t, validator="w") for t in faulty(59, missed=59, weakness_id="cc03")]
    (found,) = evaluate(Gate(metric=Metric.FNR, limit=0.1, weakness="cc"), WEAK + other, ["v", "w"])
    assert (found.validator, found.verdict) == ("w", FAIL)
    with pytest.raises(ConfigError, match="it is one of 'w'"):
        evaluate(Gate(metric=Metric.FNR, limit=0.1, weakness="cc", validator="v"), WEAK + other, ["v", "w"])


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ({"weakness": "ffff"}, "this run tried nothing on weakness ffff"),
        ({"fault": "value.scale"}, "this run tried nothing on fault value.scale"),
        ({"family": "text"}, "this run tried nothing on family text"),
        (
            {"column": "air_tmie"},
            "this run tried nothing on column air_tmie: it judged nothing; did you mean column 'air_t",
        ),
        ({"fault": "f", "column": "y"}, "this run tried nothing on fault f and column y"),
    ],
)
@pytest.mark.parametrize("metric", [Metric.FNR, Metric.STRICT_FNR, Metric.ESCAPE, Metric.ERROR])
def test_a_gate_that_matches_nothing_never_passes(metric, only, said):
    found = decide(metric, 1.0, faulty(59, columns=("air_time",)), **only)
    assert found.verdict is OPEN
    assert said in found.reason
    assert found.more_batches is None  # more batches would bring no more of it


def test_a_gate_whose_trials_all_fell_out_says_where_they_went():
    lost = [dataclasses.replace(t, outcome=Outcome.NOOP) for t in faulty(20)]
    lost += [dataclasses.replace(t, outcome=Outcome.BASE_BAD, trial_id=f"b{t.batch}") for t in faulty(5)]
    lost += faulty(3, weakness_id="s", missed=3, subnatural=True)
    found = decide(Metric.FNR, 1.0, lost, fault="f")
    assert found.verdict is OPEN
    assert "none of its 28 trials counts (5 base_bad, 20 noop, 3 subnatural)" in found.reason


def test_no_control_is_no_pass():
    for metric in (Metric.FPR, Metric.BENIGN):
        found = decide(metric, 1.0, faulty(59))
        assert (found.verdict, found.reason) == (OPEN, "no trials")


@pytest.mark.parametrize("name", ["family", "fault", "column", "weakness"])
def test_an_empty_filter_is_a_slip(name):
    with pytest.raises(ConfigError, match=f"{name} of a gate on fnr is empty"):
        Gate(metric=Metric.FNR, limit=0.1, **{name: ""})
    with pytest.raises(ConfigError, match="about controls"):
        Gate(metric=Metric.BENIGN, limit=0.1, **{name: "x"})


def test_benign_has_a_gate_of_its_own():
    def one(i, outcome):
        return Trial(
            trial_id=f"b{i}", kind=TrialKind.BENIGN, validator="v", batch=f"d{i}", fault="row_order", outcome=outcome
        )

    calm = [one(i, Outcome.ACCEPTED) for i in range(59)]
    assert decide(Metric.BENIGN, 0.05, calm).verdict is PASS
    assert decide(Metric.BENIGN, 0.05, [*calm, one(60, Outcome.ERROR)]).verdict is OPEN
    assert decide(Metric.BENIGN, 0.5, [one(i, Outcome.ALARM) for i in range(59)]).verdict is FAIL


def test_a_gate_covers_each_validator_by_itself():
    gate = Gate(metric=Metric.FNR, limit=0.05)
    results = evaluate(gate, faulty(59), ["v", "w"])
    assert [(r.validator, r.verdict) for r in results] == [("v", PASS), ("w", OPEN)]
    with pytest.raises(ConfigError, match="'u'"):
        evaluate(Gate(metric=Metric.FNR, limit=0.05, validator="u"), [], ["v"])


@pytest.mark.parametrize("more", [{"limit": 1.2}, {"limit": 0.1, "max_error": -0.1}])
def test_shares_are_shares(more):
    with pytest.raises(ConfigError, match="outside"):
        Gate(metric=Metric.FNR, **more)


def test_controls_take_no_fault_filter():
    with pytest.raises(ConfigError, match="no family"):
        Gate(metric=Metric.FPR, limit=0.1, fault="f")


@pytest.mark.parametrize(("seen", "limit"), [(20, 0.05), (45, 0.02), (5, 0.3), (9, 0.9)])
def test_so_many_more_batches_settle_a_clean_record(seen, limit):
    more = decide(Metric.FNR, limit, faulty(seen)).more_batches
    assert decide(Metric.FNR, limit, faulty(seen + more)).verdict is PASS
    assert decide(Metric.FNR, limit, faulty(seen + more - 1)).verdict is OPEN


def test_so_many_more_batches_settle_a_failing_record():
    more = decide(Metric.FNR, 0.4, faulty(12, missed=6)).more_batches
    total = 12 + more
    low, _ = clopper_pearson(total / 2, total, 0.90)
    assert low > 0.4
    low, _ = clopper_pearson((total - 1) / 2, total - 1, 0.90)
    assert low <= 0.4


def test_no_number_of_batches_settles_a_rate_at_its_limit():
    assert more_batches(Rate(estimate=0.1, trials=100, clusters=50, batches=50, effective_n=50.0), 0.1) is None
    assert decide(Metric.FNR, 0.0, faulty(20)).more_batches is None


def test_without_any_trial_a_clean_record_is_supposed():
    assert decide(Metric.FNR, 0.05, []).more_batches == 59  # 0.95 ** 59 <= 0.05 < 0.95 ** 58


def result(verdict):
    return GateResult(gate=Gate(metric=Metric.FNR, limit=0.1), validator="v", verdict=verdict, rate=Rate(), reason="")


@pytest.mark.parametrize(
    ("verdicts", "flags", "code"),
    [
        ([FAIL, OPEN], {"usage": True, "blind": True, "could_not_run": True}, 2),
        ([FAIL], {"blind": True}, 3),
        ([FAIL], {"could_not_run": True}, 3),
        ([OPEN, FAIL, PASS], {}, 1),
        ([PASS, OPEN], {}, 4),
        ([PASS], {}, 0),
        ([PASS, OPEN], {"baseline": FAIL}, 1),
        ([PASS], {"baseline": OPEN}, 4),
        ([FAIL], {"baseline": OPEN}, 1),
        ([], {"baseline": PASS}, 0),
        ([], {}, 0),
    ],
)
def test_exit_codes_in_order(verdicts, flags, code):
    assert exit_code(map(result, verdicts), **flags) == code
