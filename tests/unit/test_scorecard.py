"""The scorecard: same trials, same bytes; what matters most stands first; every undefined value has a reason."""

import dataclasses
import json

from pipechaos.score.gates import ExitCode, Gate, Metric
from pipechaos.score.records import ErrorCause, FindingRef, Outcome, Trial, TrialKind, Why
from pipechaos.score.scorecard import About, ValidatorInfo, build
from pipechaos.validate.verdict import Check, FindingKind, Subject, VerdictStatus

ABOUT = About(name="demo", digest="0" * 16, seed=5, versions={"pipechaos": "0.1.0"}, sample={"weight": float("nan")})
INFO = [
    ValidatorInfo(
        name=name,
        spec=f"pandera:suite:{name}",
        suite_digest="ab" * 16,
        checks=(Check(id="c", columns=("x",), subject=Subject.VALUE),),
    )
    for name in ("good", "deaf")
]
HIT = FindingRef(check="c", columns=("x",), kind=FindingKind.FAIL, subject=Subject.VALUE, why=Why.DIRECT)


def campaign():
    out = []
    for name in ("good", "deaf"):
        good = name == "good"
        for i in range(30):
            caught = good and i % 3 > 0
            out.append(
                Trial(
                    trial_id=f"{name}-t{i:02}",
                    kind=TrialKind.FAULT,
                    validator=name,
                    batch=f"d{i % 15:02}",
                    fault="null.mcar",
                    family="missing",
                    columns=("x",),
                    severity=1 + i % 3,
                    rungs=5,
                    weakness_id=f"{name}-w{i % 3}",
                    injection_id=f"i{i}",
                    after_digest=f"a{i}",
                    outcome=Outcome.TP if caught else Outcome.FN,
                    why=Why.DIRECT if caught else None,
                    findings=(HIT,) if caught else (),
                    seconds=0.1 + i / 7,
                )
            )
        for i in range(15):
            outcome = Outcome.FP if good and i == 4 else Outcome.TN
            out.append(
                Trial(
                    trial_id=f"{name}-n{i:02}",
                    kind=TrialKind.NATURAL,
                    validator=name,
                    batch=f"d{i:02}",
                    block=i // 7,
                    outcome=outcome,
                    findings=(dataclasses.replace(HIT, why=None),) if outcome is Outcome.FP else (),
                )
            )
        for fault in ("canary.nulls", "canary.text", "canary.empty"):
            out.append(  # noqa: PERF401 - reads like the blocks above
                Trial(
                    trial_id=f"{name}-{fault}",
                    kind=TrialKind.CANARY,
                    validator=name,
                    batch="d00",
                    fault=fault,
                    injection_id=fault,
                    outcome=Outcome.ALARM if good else Outcome.ACCEPTED,
                )
            )
    return out


def score(trials=None, **more):
    return build(campaign() if trials is None else trials, about=ABOUT, validators=INFO, **more)


def test_same_trials_same_bytes_whatever_the_order_and_the_time():
    trials = campaign()
    wanted = score(trials, runtime={"host": "a"}).to_dict()
    trials.sort(key=lambda t: t.trial_id[::-1])
    slower = [dataclasses.replace(t, seconds=t.seconds * 2) for t in trials]
    found = score(slower, runtime={"host": "b"}).to_dict()
    assert found.pop("runtime") != wanted.pop("runtime")
    assert json.dumps(found, sort_keys=True) == json.dumps(wanted, sort_keys=True)


def test_text_is_canonical_and_has_no_nan():
    text = score().to_json()
    data = json.loads(text, parse_constant=lambda c: (_ for _ in ()).throw(ValueError(c)))
    assert text == json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    assert data["schema"] == "pipechaos.scorecard/1"
    assert data["sample"] == {"weight": None}


def walk(value):
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def test_every_undefined_rate_says_why():
    rates = [d for d in walk(score().to_dict()) if "few_batches" in d]
    assert len(rates) > 40
    undefined = [r for r in rates if r["low"] is None]
    assert undefined
    assert all(r["reason"] for r in undefined)
    assert all(r["reason"] is None for r in rates if r["low"] is not None)


def test_what_matters_most_stands_first():
    card = score()
    first = card.to_dict()["first"]
    assert first["blind"] == ["deaf"]
    assert first["paranoid"] == []
    assert card.exit_code is ExitCode.COULD_NOT_RUN
    assert next(v.blind for v in card.validators) is False


def test_numbers_of_the_small_campaign():
    good = score().to_dict()["validators"][0]
    assert good["outcomes"]["fault"] == {"fn": 10, "tp": 20}
    fnr = good["faults"]["fnr"]
    assert (round(fnr["estimate"], 12), fnr["hits"], fnr["trials"]) == (round(1 / 3, 12), 10, 30)
    assert fnr["clusters"] == 15
    assert good["natural"]["fpr"]["hits"] == 1
    assert good["natural"]["unreviewed"] == 1
    assert [(s["weakness_id"], s["missed"], s["share"]) for s in good["survivors"]] == [("good-w0", 10, 1.0)]
    assert good["by"]["severity"]["1"]["fnr"]["estimate"] == 1.0
    assert good["by"]["column"]["x"]["counts"]["effective"] == 30
    assert [a["batch"] for a in good["alarms"]] == ["d04"]
    assert good["checks"][0]["kills"] == 2
    assert good["floors"][0]["status"] == "not_established"
    assert [c["outcome"] for c in good["canaries"]] == ["alarm"] * 3


def test_the_stack_stands_beside_two_validators():
    stack = score().to_dict()["stack"]
    assert stack["faults"]["fnr"]["hits"] == 10
    one = [t for t in campaign() if t.validator == "good"]
    assert build(one, about=ABOUT, validators=INFO[:1]).stack is None


def test_gates_and_exit_codes():
    one = [t for t in campaign() if t.validator == "good"]

    def code(limit):
        gate = Gate(metric=Metric.FNR, limit=limit)
        card = build(one, about=ABOUT, validators=INFO[:1], gates=[gate])
        return card.exit_code, card.to_dict()["gates"][0]["verdict"]

    assert code(0.9) == (ExitCode.OK, "pass")
    assert code(0.05) == (ExitCode.GATE_FAILED, "fail")
    assert code(0.3) == (ExitCode.INCONCLUSIVE, "inconclusive")
    assert build(one, about=ABOUT, validators=INFO[:1]).exit_code is ExitCode.OK


def test_a_failed_injection_exits_three():
    one = [t for t in campaign() if t.validator == "good"]
    one[0] = dataclasses.replace(one[0], outcome=Outcome.ERROR, error_cause=ErrorCause.INJECTION, why=None, findings=())
    card = build(one, about=ABOUT, validators=INFO[:1])
    assert card.injection_errors == 1
    assert card.exit_code is ExitCode.COULD_NOT_RUN


def test_what_voids_the_bytes_is_said():
    assert score().to_dict()["reproducible"] == {"same_bytes": True, "voided_by": []}
    trials = campaign()
    trials[0] = dataclasses.replace(
        trials[0], outcome=Outcome.ERROR, error_cause=ErrorCause.TIMED_OUT, status=VerdictStatus.TIMED_OUT
    )
    trials[1] = dataclasses.replace(trials[1], flaky=True)
    found = build(trials, about=dataclasses.replace(ABOUT, stopped="stopped"), validators=INFO).to_dict()
    assert found["reproducible"]["same_bytes"] is False
    assert found["reproducible"]["voided_by"] == ["stopped", "1 trials timed out", "1 trials are flaky"]
    assert found["first"]["flaky"] == {"good": ["d01"]}
    assert found["first"]["stopped"] == "stopped"
    assert score().to_dict()["first"]["stopped"] is None


def test_a_run_that_was_stopped_is_inconclusive_where_it_would_pass():
    one = [t for t in campaign() if t.validator == "good"]
    stopped = dataclasses.replace(ABOUT, stopped="the budget was reached")

    def code(limit, about=ABOUT):
        card = build(one, about=about, validators=INFO[:1], gates=[Gate(metric=Metric.FNR, limit=limit)])
        return card.exit_code

    assert (code(0.9), code(0.9, stopped)) == (ExitCode.OK, ExitCode.INCONCLUSIVE)
    assert code(0.05, stopped) is ExitCode.GATE_FAILED


def test_what_was_tried_is_counted_over_trials():
    """Three weaknesses for each validator, the same faults, on fifteen batches."""
    assert score().to_dict()["tried"] == {"weaknesses": 3, "batches": 15}
    assert score(campaign()[:2]).to_dict()["tried"] == {"weaknesses": 2, "batches": 2}
    assert score([]).to_dict()["tried"] == {"weaknesses": 0, "batches": 0}
