"""What checks are worth together, by hand: the matrix, its dominators, and columns that nobody looks into."""

import json
import math

import pytest

from pipechaos.score import cover
from pipechaos.score.cover import smallest_cover
from pipechaos.score.rates import fault_rates
from pipechaos.score.records import FindingRef, Outcome, Review, Trial, TrialKind, Why
from pipechaos.score.scorecard import About, ValidatorInfo, build
from pipechaos.score.worth import ruined_columns, suite_worth
from pipechaos.validate.verdict import Check, FindingKind, Subject

NAMES = ("range", "nulls", "mean", "unique", "idle", "silent")
CHECKS = tuple(Check(id=c, columns=("x",), subject=Subject.VALUE) for c in NAMES)


def said(check, why=Why.DIRECT, kind=FindingKind.FAIL):
    return FindingRef(check=check, columns=("x",), kind=kind, subject=Subject.VALUE, why=why)


def fault(weakness, *checks, n=0, **more):
    return Trial(
        **{
            "trial_id": f"{weakness}-{n}",
            "kind": TrialKind.FAULT,
            "validator": "v",
            "batch": f"d{n}",
            "weakness_id": weakness,
            "outcome": Outcome.TP if checks else Outcome.FN,
            "findings": tuple(said(c) for c in checks),
            **more,
        }
    )


def day(n, *checks, **more):
    return Trial(
        trial_id=f"n{n}",
        kind=TrialKind.NATURAL,
        validator="v",
        batch=f"d{n}",
        outcome=Outcome.FP if checks else Outcome.TN,
        findings=tuple(said(c, None) for c in checks),
        **more,
    )


# caught by: easy {range, nulls, mean}; mid {range, nulls}; twin {range} and {nulls}; hard {range}; other {mean, unique}
TRIALS = [
    fault("easy", "range", "nulls", "mean"),
    fault("mid", "range", "nulls"),
    fault("twin", "range", n=0),
    fault("twin", "nulls", n=1),
    fault("hard", "range", n=0),
    fault("hard", n=1),  # caught once, missed once
    fault("other", "mean", "unique"),
    fault("lost", n=0),
    fault("lost", n=1),
    fault("error", outcome=Outcome.TP, error_only=True, findings=(said("idle", None, FindingKind.ERROR),)),
    fault("flaky", "silent", flaky=True),
    day(1, "mean", "range"),
    day(2, "mean"),
    day(3, "nulls", review=Review.TRUE),
    day(4),
]


def worth(trials=TRIALS):
    return suite_worth(trials, "v", CHECKS)


def test_the_matrix_by_hand():
    found = worth()
    assert (found.validator, found.declared) == ("v", 6)
    assert found.never_killed == ("idle", "silent")
    assert found.never_fired == ()  # an error spoke, and so did a flaky trial
    assert found.redundant == ("mean", "unique")  # range and nulls each catch a trial of twin alone
    assert found.smallest == ("mean", "nulls", "range")  # and one of two for other: the smaller name
    assert found.smallest_proven
    assert (found.alarms, found.loudest, found.loudest_alarms) == (2, "mean", 2)


def test_distinct_weaknesses_and_their_rate_by_hand():
    found = worth()
    # what keeps twin whole keeps hard, mid and easy; other stands alone, and so does what an error alone gave away
    assert (found.weaknesses, found.distinct, found.dominators) == (6, 3, ("error", "other", "twin"))
    # the mean over hard (1 of 2 missed), lost (2 of 2), and error, other and twin (none)
    assert found.dominator_fnr.estimate == pytest.approx(0.3)
    assert (found.dominator_fnr.hits, found.dominator_fnr.trials) == (3, 8)


def test_a_check_that_is_needed_for_one_trial_in_ten_is_not_redundant():
    found = worth([fault("w", "range" if n < 9 else "nulls", n=n) for n in range(10)])
    assert found.redundant == ()
    assert found.smallest == ("nulls", "range")
    assert (found.weaknesses, found.dominators) == (1, ("w",))


def test_without_subsumption_the_dominators_have_the_raw_rate():
    """An error alone catches one of three weaknesses, and one is lost: nothing is subsumed, nothing is left out."""
    trials = [fault("a", "range"), fault("lost"), TRIALS[9]]
    found = worth(trials)
    assert TRIALS[9].error_only
    assert found.dominator_fnr.estimate == pytest.approx(1 / 3) == fault_rates(trials).fnr.estimate
    assert (found.weaknesses, found.dominators) == (2, ("a", "error"))
    assert (found.smallest, found.redundant) == (("range",), ())


def test_nothing_caught_is_nothing_of_worth():
    found = worth([fault("lost")])
    assert found.never_fired == found.never_killed == NAMES
    assert (found.smallest, found.smallest_proven, found.redundant, found.distinct) == ((), True, (), 0)
    assert (found.alarms, found.loudest, found.loudest_alarms) == (0, "", 0)
    assert found.dominator_fnr.estimate == 1.0
    assert math.isnan(worth([]).dominator_fnr.estimate)


def test_another_validator_is_another_suite():
    assert suite_worth(TRIALS, "w", CHECKS).never_fired == NAMES


# points on lines: 3 points meet every line of the Fano plane; the affine plane of order 3 takes 2 * 3 - 1
FANO = ("abc", "ade", "afg", "bdf", "beg", "cdg", "cef")
AFFINE = ("012", "345", "678", "036", "147", "258", "048", "156", "237", "246", "057", "138")


@pytest.mark.parametrize(("lines", "fewest"), [(FANO, 3), (AFFINE, 5)])
def test_what_no_reduction_opens_is_solved(lines, fewest):
    found = smallest_cover(map(set, lines))
    assert found.proven
    assert len(found.checks) == fewest
    assert all(set(found.checks) & set(line) for line in lines)


def test_without_a_proof_in_time_a_greedy_cover_says_so(monkeypatch):
    monkeypatch.setattr(cover, "_solve", lambda *_: None)
    found = smallest_cover([*map(set, AFFINE), {"z"}])
    assert not found.proven
    assert "z" in found.checks
    assert all(set(found.checks) & set(line) for line in AFFINE)


def ruin(column="x", n=0, caught=False, **more):
    values = {"columns": (column,), "family": "missing", "fault": "null.mcar", "fraction": 0.9, "severity": 5}
    values |= {"rungs": 5, "eligible": 100, "changed": 90}
    values |= more
    name = f"{values['fault']}-{column}-{values['severity']}"
    return fault(name, *(["range"] if caught else []), n=n, **values)


def test_a_column_whose_ruin_is_always_missed_is_pseudo_tested():
    trials = [ruin("x"), ruin("x", n=1), ruin("y"), ruin("y", n=1, caught=True), ruin("z", fault="value.sign")]
    assert ruined_columns(trials) == {"x": True, "y": False, "z": True}
    found = worth(trials)
    assert (found.pseudo_tested, found.ruined) == (("x", "z"), 3)
    assert worth([*trials, ruin("z", caught=True)]).pseudo_tested == ("x",)


@pytest.mark.parametrize(
    "more",
    [
        {"fraction": 0.5},
        {"severity": 4, "fraction": 1.0},  # a gentle dose on every cell is no ruin
        {"placement": {"kind": "own_value"}, "fraction": 1.0},  # whole only within its place
        {"family": "type"},
        {"family": "schema"},
        {"columns": ("x", "y")},
        {"columns": ()},
        {"changed": 79},
        {"eligible": 0, "changed": 0},
        {"subnatural": True},
        {"outcome": Outcome.NOOP},
    ],
)
def test_what_is_no_complete_ruin(more):
    assert worth([ruin(**more)]).ruined == 0


@pytest.mark.parametrize("more", [{}, {"changed": 80}, {"severity": 0, "fraction": 1.0}, {"severity": 1, "rungs": 1}])
def test_what_is(more):
    assert worth([ruin(**more)]).pseudo_tested == ("x",)


def test_an_error_is_neither_a_catch_nor_a_miss():
    error = {"outcome": Outcome.ERROR}
    found = worth([ruin(), ruin(n=1, **error), ruin("y", caught=True), ruin("y", n=1, **error), ruin("z", **error)])
    assert (found.pseudo_tested, found.ruined) == (("x",), 2)  # nobody judged z


def test_worth_stands_in_the_scorecard_and_not_in_the_stack():
    infos = [ValidatorInfo(name=n, spec="s", suite_digest="d", checks=CHECKS) for n in ("v", "w")]
    card = build([*TRIALS, ruin("y")], about=About(name="n", digest="d", seed=0), validators=infos)
    assert card.stack.worth is None
    assert card.to_dict()["stack"]["worth"] is None
    told = json.loads(card.to_json())["validators"][0]["worth"]
    assert told["smallest"] == ["mean", "nulls", "range"]
    assert told["dominators"] == ["error", "other", "twin"]
    assert told["pseudo_tested"] == ["y"]
    assert (told["dominator_fnr"]["hits"], told["dominator_fnr"]["trials"]) == (4, 9)
    assert json.loads(card.to_json())["validators"][1]["worth"]["dominator_fnr"]["reason"] == "no trials"
