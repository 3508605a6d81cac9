"""How a survivor stands to what a team accepted, and what a seed's luck may change."""

import datetime as dt
import json
from math import comb

import pytest

from pipechaos.errors import ConfigError, UnknownNameError
from pipechaos.score.accept import accept, prune
from pipechaos.score.baseline import Accepted, Baseline, Standing, against, luck
from pipechaos.score.gates import ExitCode, Gate, GateVerdict, Metric
from pipechaos.score.records import ErrorCause, Outcome, Trial, TrialKind
from pipechaos.score.scorecard import About, ValidatorInfo, build
from pipechaos.score.survivors import survivors

TODAY = dt.date(2026, 6, 15)
YESTERDAY, TOMORROW = TODAY - dt.timedelta(1), TODAY + dt.timedelta(1)
A, B, C = "a" * 16, "b" * 16, "c" * 16


def trials(weakness=A, missed=0, caught=0, errors=0, **more):
    outcomes = [Outcome.FN] * missed + [Outcome.TP] * caught + [Outcome.ERROR] * errors
    return [
        Trial(
            **{
                "trial_id": f"{weakness}-{at}",
                "kind": TrialKind.FAULT,
                "validator": "v",
                "batch": f"d{at}",
                "outcome": outcome,
                "error_cause": ErrorCause.CRASH if outcome is Outcome.ERROR else None,
                "weakness_id": weakness,
                "fault": "null.mcar",
                "family": "missing",
                "columns": ("x",),
                "severity": 3,
                "rungs": 5,
                "dose": at / 100,
                **more,
            }
        )
        for at, outcome in enumerate(outcomes)
    ]


def line(weakness=A, expires=TODAY, missed=8, tried=8, validator="v", **more):
    return Accepted(
        weakness_id=weakness,
        validator=validator,
        fault="null.mcar",
        columns=("x",),
        severity=3,
        reason="known",
        owner="Ops",
        expires=expires,
        missed=missed,
        tried=tried,
        **more,
    )


def stand(lines, found, today=TODAY, validators=("v",)):
    return against(Baseline(file="b.json", accepted=tuple(lines)), found, validators=validators, today=today)


def one(lines, found, **more):
    (entry,) = stand(lines, found, **more).entries
    return entry


def test_a_survivor_that_nobody_accepted_is_new():
    entry = one([], trials(missed=2, caught=6))
    assert (entry.standing, entry.missed, entry.tried) == (Standing.NEW, 2, 8)
    assert entry.accepted is None
    assert entry.label == "v: null.mcar on x, severity 3 of 5"
    assert entry.trial_id == f"{A}-1"  # of the two missed, the larger dose
    assert stand([], trials(missed=1)).failed


def test_what_was_caught_needs_no_entry():
    assert stand([], trials(caught=8)).entries == ()


def test_an_entry_holds_up_to_its_last_day():
    assert one([line()], trials(missed=8)).standing is Standing.ACCEPTED
    late = one([line()], trials(missed=8), today=TOMORROW)
    assert late.standing is Standing.EXPIRED
    assert "2026-06-15" in late.text
    assert "Ops" in late.text
    assert stand([line(expires=YESTERDAY)], trials(missed=8)).failed
    assert not stand([line()], trials(missed=1, caught=7)).failed


# if nothing changed, any of all trials could have been the missed ones: how often are all of them old ones?
@pytest.mark.parametrize(
    ("missed", "tried", "now", "standing"),
    [
        (8, 8, 8, Standing.STALE),
        (3, 3, 3, Standing.STALE),  # 1 in 20 exactly
        (3, 3, 2, Standing.ACCEPTED),  # 1 in 10
        (1, 1, 19, Standing.STALE),  # 1 in 20
        (1, 1, 18, Standing.ACCEPTED),
        (1, 8, 8, Standing.ACCEPTED),  # one in two
        (4, 8, 8, Standing.STALE),  # 70 in 1,820
        (3, 8, 8, Standing.ACCEPTED),  # 56 in 560
    ],
)
def test_stale_is_more_than_luck(missed, tried, now, standing):
    chance = comb(tried, missed) / comb(tried + now, missed)
    assert luck(missed, tried, now) == pytest.approx(chance)
    entry = one([line(missed=missed, tried=tried)], trials(caught=now))
    assert entry.standing is standing
    assert (standing is Standing.STALE) == (chance <= 0.05)
    assert f"{missed} of {tried}" in entry.text
    assert entry.missed == 0


def test_luck_does_not_renew_an_expired_entry():
    expired = line(missed=1, tried=8, expires=YESTERDAY)
    assert one([expired], trials(caught=8)).standing is Standing.EXPIRED
    assert one([expired], trials(missed=1, caught=7)).standing is Standing.EXPIRED


UNJUDGED = [
    ([], "not tried in this run"),
    (trials(B, caught=3), "not tried in this run"),
    (trials(errors=4), "not judged in this run (4 ended in an error)"),
    (trials(missed=3, flaky=True), "not judged in this run (3 flaky)"),
    (trials(missed=2, outcome=Outcome.BASE_BAD), "not judged in this run (2 on a bad base)"),
    (trials(missed=5, subnatural=True), "not judged in this run (5 subnatural)"),
    (trials(missed=1, outcome=Outcome.NOOP), "not judged in this run (1 no-op)"),
    (
        [
            *trials(missed=1, outcome=Outcome.ERROR, error_cause=ErrorCause.INJECTION),
            *trials(missed=2, flaky=True, trial_id="f"),
        ],
        "not judged in this run (2 flaky, 1 not injected)",
    ),
]


@pytest.mark.parametrize(("found", "said"), UNJUDGED)
def test_what_was_not_judged_says_nothing_and_says_why(found, said):
    result = stand([line()], found)
    entry = next(e for e in result.entries if e.weakness_id == A)
    assert (entry.standing, entry.tried, entry.trial_id) == (Standing.UNTRIED, 0, "")
    assert entry.text == f"{said}: it says nothing"
    assert not result.failed
    assert one([line()], []).label == "v: null.mcar on x, severity 3"


@pytest.mark.parametrize(("found", "said"), UNJUDGED)
def test_an_expired_entry_fails_whatever_was_tried(found, said):
    result = stand([line(expires=YESTERDAY)], found)
    entry = next(e for e in result.entries if e.weakness_id == A)
    assert entry.standing is Standing.EXPIRED
    assert "expired on 2026-06-14 (Ops)" in entry.text
    assert said in entry.text
    assert result.verdict is GateVerdict.FAIL


# --- whether it passes -----------------------------------------------------------------------------------------------

CLEAN = trials(B, caught=19)


def untouched(n, alarms):
    return [
        Trial(
            trial_id=f"n{i}",
            kind=TrialKind.NATURAL,
            validator="v",
            batch=f"d{i}",
            outcome=Outcome.FP if i < alarms else Outcome.TN,
        )
        for i in range(n)
    ]


@pytest.mark.parametrize(
    ("found", "more", "said"),
    [
        ([], {}, "v judged no trial that counts"),
        (trials(B, caught=3, outcome=Outcome.NOOP), {}, "v judged no trial that counts"),
        (trials(B, errors=3), {}, "error rate of v 100.0% (3 of 3) exceeds 5.0%"),
        ([*CLEAN, *trials(B, errors=2, trial_id="e")], {}, "error rate of v 9.5% (2 of 21) exceeds 5.0%"),
        ([*CLEAN, *trials(C, caught=1, flaky=True)], {}, "1 trials of v are flaky"),
        ([*CLEAN, *untouched(4, 3)], {}, "v rejects most untouched batches"),
        (CLEAN, {"stopped": "the budget was reached"}, "the budget was reached"),
        (CLEAN, {"validators": ("v", "w")}, "w judged no trial that counts"),
    ],
)
def test_a_baseline_does_not_pass_where_too_little_was_judged(found, more, said):
    held = Baseline(file="b.json", accepted=())
    result = against(held, found, **{"validators": ("v",), "today": TODAY} | more)
    assert result.verdict is GateVerdict.INCONCLUSIVE
    assert said in result.reason
    assert not result.failed
    failed = against(held, [*found, *trials(A, missed=1)], **{"validators": ("v",), "today": TODAY} | more)
    assert failed.verdict is GateVerdict.FAIL  # whatever else there is, something is new


def test_a_baseline_passes_where_all_was_judged():
    for found in (CLEAN, [*CLEAN, *trials(B, errors=1, trial_id="e")], [*CLEAN, *untouched(4, 2)]):
        result = stand([], found)
        assert (result.verdict, result.reason) == (GateVerdict.PASS, "")


@pytest.mark.parametrize("more", [{"flaky": True}, {"subnatural": True}])
def test_what_stands_in_no_rate_is_no_survivor(more):
    assert stand([], trials(missed=3, **more)).entries == ()


def test_no_effect_is_no_survivor():
    assert stand([], trials(missed=1, outcome=Outcome.NOOP)).entries == ()


def test_an_entry_about_a_validator_that_is_not_there():
    with pytest.raises(UnknownNameError, match=r"'pandra' in entry a{16} of b.json: did you mean 'pandera'"):
        stand([line(validator="pandra")], [], validators=("pandera", "gx"))


def test_what_fails_comes_first():
    found = [*trials(A, missed=8), *trials(B, caught=8), *trials(C, missed=8), *trials("d" * 16, missed=8)]
    lines = [line(A), line(B), line(C, expires=YESTERDAY), line("e" * 16)]
    result = stand(lines, found)
    assert [(e.standing.value, e.weakness_id[0]) for e in result.entries] == [
        ("new", "d"),
        ("expired", "c"),
        ("stale", "b"),
        ("accepted", "a"),
        ("untried", "e"),
    ]
    assert result.file == "b.json"
    assert stand(list(reversed(lines)), list(reversed(found))) == result


# --- in a scorecard -------------------------------------------------------------------------------------------------


def card(found, lines, **more):
    return build(
        found,
        about=About(name="n", digest="d", seed=0),
        validators=[ValidatorInfo(name="v", spec="s", suite_digest="d")],
        baseline=stand(lines, found),
        **more,
    )


def canaries(outcome):
    return [Trial(trial_id="k", kind=TrialKind.CANARY, validator="v", batch="d", outcome=outcome)]


def test_a_failed_baseline_fails_the_run_like_a_gate():
    known = trials(missed=20)
    gate = Gate(metric=Metric.FNR, limit=0.5)
    assert card(known, [line()]).exit_code is ExitCode.OK
    assert card(known, []).exit_code is ExitCode.GATE_FAILED
    assert card(known, [line()], gates=[gate]).exit_code is ExitCode.GATE_FAILED
    undecided = Gate(metric=Metric.FPR, limit=0.1)
    assert card(known, [line()], gates=[undecided]).exit_code is ExitCode.INCONCLUSIVE
    assert card(known, [], gates=[undecided]).exit_code is ExitCode.GATE_FAILED
    assert card([*known, *canaries(Outcome.ACCEPTED)], []).exit_code is ExitCode.COULD_NOT_RUN
    crashed = [*known, *trials(B, errors=20)]
    assert card(crashed, [line()]).exit_code is ExitCode.INCONCLUSIVE
    assert card(crashed, []).exit_code is ExitCode.GATE_FAILED


def test_the_document_holds_the_baseline():
    told = json.loads(card([*trials(missed=2), *trials(B, missed=1)], [line()]).to_json())["baseline"]
    assert (told["file"], told["failed"], told["verdict"], told["reason"]) == ("b.json", True, "fail", "")
    empty = json.loads(card([], [line()]).to_json())["baseline"]
    assert (empty["failed"], empty["verdict"]) == (False, "inconclusive")
    assert "judged no trial" in empty["reason"]
    assert [e["standing"] for e in told["entries"]] == ["new", "accepted"]
    assert told["entries"][0]["accepted"] is None
    assert told["entries"][1]["accepted"]["expires"] == "2026-06-15"
    plain = build([], about=About(name="n", digest="d", seed=0), validators=[])
    assert plain.to_dict()["baseline"] is None
    assert plain.exit_code is ExitCode.OK


# --- changes --------------------------------------------------------------------------------------------------------

SAID = {"reason": "because", "owner": "Ann", "expires": TOMORROW}


def test_accepting_adds_what_is_new_and_touches_nothing_else():
    old = Baseline(file="b.json", accepted=(line(A), line(C)))
    found = survivors([*trials(A, missed=3), *trials(B, missed=2, caught=1)])
    done = accept(old, found, **SAID)
    assert [a.weakness_id for a in done.baseline.accepted] == [A, B, C]
    assert (done.baseline.accepted[0], done.baseline.accepted[2]) == old.accepted
    (new,) = done.added
    assert (new.weakness_id, new.reason, new.owner, new.expires) == (B, "because", "Ann", TOMORROW)
    assert (new.missed, new.tried, new.columns, new.severity) == (2, 3, ("x",), 3)
    assert done.renewed == ()
    assert accept(done.baseline, found, **SAID).added == ()


def test_naming_an_entry_renews_it_alone():
    old = Baseline(accepted=(line(A, expires=YESTERDAY), line(C, expires=YESTERDAY)))
    found = survivors([*trials(A, missed=3), *trials(B, missed=1), *trials(C, missed=1)])
    done = accept(old, found, **SAID, only=["aaa"])
    assert done.added == ()
    assert [(a.weakness_id, a.expires, a.missed) for a in done.renewed] == [(A, TOMORROW, 3)]
    assert [(a.weakness_id, a.expires) for a in done.baseline.accepted] == [(A, TOMORROW), (C, YESTERDAY)]
    assert [a.weakness_id for a in accept(old, found, **SAID, only=[B]).added] == [B]


@pytest.mark.parametrize("name", ["f", "", "abc"])
def test_only_survivors_can_be_accepted(name):
    with pytest.raises(ConfigError, match="nothing to accept"):
        accept(Baseline(accepted=(line("f" * 16),)), survivors(trials(A, missed=1)), **SAID, only=[name])


def test_a_beginning_has_to_be_unique():
    found = survivors([*trials("ab" + "0" * 14, missed=1), *trials("ac" + "0" * 14, missed=1)])
    with pytest.raises(ConfigError, match="give more of the id"):
        accept(Baseline(), found, **SAID, only=["a"])


@pytest.mark.parametrize("empty", ["reason", "owner"])
def test_somebody_has_to_say_why(empty):
    with pytest.raises(ConfigError, match=f"the {empty} is empty"):
        accept(Baseline(), [], **SAID | {empty: "  "})


def test_pruning_drops_stale_entries_alone():
    old = Baseline(file="b.json", accepted=(line(A), line(B), line(C, expires=YESTERDAY), line("e" * 16)))
    found = [*trials(A, missed=1, caught=7), *trials(B, caught=8), *trials(C, missed=3)]
    kept, dropped = prune(old, stand(old.accepted, found))
    assert [e.weakness_id for e in dropped] == [B]
    assert kept.accepted == (old.accepted[0], old.accepted[2], old.accepted[3])
    assert kept.file == "b.json"
