"""A campaign from end to end on small batches and cheap validators."""

import datetime as dt
import json
import os
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipechaos.campaign import source
from pipechaos.campaign.experiment import parse_experiment
from pipechaos.campaign.output import injection_of, rescore, scorecard_of, write_result
from pipechaos.campaign.replay import replay
from pipechaos.campaign.run import inject_one, run_campaign
from pipechaos.campaign.source import Batches
from pipechaos.campaign.starter import starter
from pipechaos.campaign.survivors import explanations_of
from pipechaos.campaign.tasks import plan_campaign
from pipechaos.campaign.trials_io import read_trials, write_trials
from pipechaos.errors import BatchError, ConfigError, ExperimentError, PlanError, UnknownNameError
from pipechaos.ledger.records import Status
from pipechaos.report.experiment_run import RunSettings, run_experiment
from pipechaos.score.baseline import Baseline
from pipechaos.score.records import Outcome, Review, TrialKind

DAYS = [f"2013-06-{d:02}" for d in range(1, 11)]
HISTORY, CONTROLS = DAYS[:3], DAYS[3:]

SUITE = '''
import os, pathlib, time

HERE = pathlib.Path(__file__).parent
TAG = "%s"


def note(name, text=""):
    with (HERE / name).open("a") as file:
        file.write(f"{text}\\n")


def usual(frame):
    """What a team would check."""
    note("pids", os.getpid())
    assert list(frame.columns) == ["id", "at", "x", "s"], "columns"
    assert str(frame["x"].dtype) == "float64", "dtype"
    assert not frame["id"].isna().any(), "id"
    return frame["x"].notna()


usual.columns = ["x"]


def blind(frame):
    return True


def deaf(frame):
    raise ValueError("no verdict")


def paranoid(frame):
    return False


def flaky(frame):
    """Says yes and no in turn on one day."""
    if frame["s"].iloc[0] != "day-2013-06-05" or len(frame) != 60:
        return frame["x"].notna()
    note("looks")
    return len((HERE / "looks").read_text()) %% 2 == 1


def bad_base(frame):
    return frame["s"].iloc[0] != "day-2013-06-06" and bool(frame["x"].notna().all())


def gone(frame):
    return frame["x"].isna().sum() < 30


def touchy(frame):
    """Wants an order that nobody promised."""
    return bool(frame["id"].is_monotonic_increasing) and frame["x"].notna().all() and len(frame.columns) == 4


def sleeps(frame):
    if frame["x"].isna().any() and frame["s"].iloc[0] == "day-2013-06-07":
        time.sleep(600)
    return frame["x"].notna()


def dies(frame):
    if "x" not in frame:
        return False
    if frame["x"].isna().any() and frame["s"].iloc[0] == "day-2013-06-07":
        os._exit(7)
    return frame["x"].notna()


def every_other_day(frame):
    return frame["s"].iloc[0] not in ("day-2013-06-05", "day-2013-06-07")
'''


def day_table(day, rows=60, seed=None):
    rng = np.random.default_rng(DAYS.index(day) if seed is None else seed)
    start = DAYS.index(day) * 86_400_000_000
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "at": pa.array([start + i * 1_000_000 for i in range(rows)], pa.timestamp("us")),
            "x": rng.normal(10, 3, rows).round(3),
            "s": [f"day-{day}"] * rows,
        }
    )


@pytest.fixture
def root(tmp_path, request):
    (tmp_path / "data").mkdir()
    for day in DAYS:
        pq.write_table(day_table(day), tmp_path / "data" / f"{day}.parquet")
    (tmp_path / "campaign_suite.py").write_text(SUITE % request.node.name)
    return tmp_path


def experiment(*validators, **more):
    data = {
        "name": "small",
        "batches": ["data/*.parquet"],
        "key": ["id"],
        "time": "at",
        "history": {"count": 3},
        "validators": [{"name": v, "spec": f"callable:campaign_suite:{v}"} for v in validators or ("usual",)],
        "faults": [{"fault": "null.mcar", "columns": ["x"]}],
        "severities": [3],
        "controls": {"repeats": 1, "benign": 2},
        "limit_seconds": 120,
    }
    return parse_experiment(data | more)


def run(root, *validators, jobs=1, clock=None, **more):
    options = {} if clock is None else {"clock": clock}
    return run_campaign(experiment(*validators, **more), root, jobs=jobs, **options)


def of(result, kind, validator=None):
    return [t for t in result.trials if t.kind is kind and validator in (None, t.validator)]


def outcomes(trials):
    return Counter(t.outcome for t in trials)


def by_batch(trials):
    return {t.batch: t.outcome for t in trials}


# --- the usual run --------------------------------------------------------------------------------------------------


def test_canaries_and_controls_come_first_and_every_fault_is_paired(root):
    result = run(root)
    kinds = [t.kind for t in result.trials]
    assert kinds == sorted(kinds, key=[TrialKind.CANARY, TrialKind.NATURAL, TrialKind.BENIGN, TrialKind.FAULT].index)
    assert Counter(kinds) == {TrialKind.CANARY: 3, TrialKind.NATURAL: 7 + 1, TrialKind.FAULT: 7}
    assert [t.batch for t in of(result, TrialKind.NATURAL)[:7]] == CONTROLS
    assert outcomes(of(result, TrialKind.CANARY)) == {Outcome.ALARM: 3}
    assert outcomes(of(result, TrialKind.NATURAL)) == {Outcome.TN: 8}
    assert outcomes(of(result, TrialKind.FAULT)) == {Outcome.TP: 7}
    assert {t.why.value for t in of(result, TrialKind.FAULT)} == {"direct"}
    assert all(t.base_status.value == "accepted" for t in of(result, TrialKind.FAULT))
    assert [t.block for t in of(result, TrialKind.NATURAL)[:7]] == [0] * 7
    card = scorecard_of(result)
    assert (card.exit_code, card.blind, card.voids) == (0, (), ())
    assert card.validators[0].faults.fnr.estimate == 0.0


def test_trials_say_what_the_ledger_says_and_where_rows_were_named(root):
    result = run(root)
    for trial in of(result, TrialKind.FAULT):
        assert trial.ledger_status is Status.APPLIED
        assert (trial.eligible, trial.fraction, trial.severity) == (60, 0.2, 3)
        assert trial.dose == trial.changed / 60
        assert trial.rows.named == trial.rows.right == trial.rows.found == trial.changed
        assert trial.frame_digest != trial.source_digest
        injection = injection_of(trial)
        assert injection.injection_id(trial.batch) == trial.injection_id
        assert injection.weakness_id("usual") == trial.weakness_id


def test_a_hash_of_blocks(root):
    assert [t.block for t in of(run(root, block=3), TrialKind.NATURAL)[:7]] == [0, 0, 0, 1, 1, 1, 2]


def test_the_same_experiment_twice_and_any_number_of_jobs_give_the_same_bytes(root):
    more = {
        "preset": "quick",
        "severities": [2, 4],
        "budget": {"trials": 210},
        "contract": {"row_order": True, "extra_columns": True},
    }
    cards, trials = [], []
    for jobs in (1, 2):
        result = run(root, "usual", "gone", jobs=jobs, **more)
        card = json.loads(scorecard_of(result).to_json())
        runtime = card.pop("runtime")
        assert runtime["jobs"] == jobs
        cards.append(json.dumps(card, sort_keys=True))
        trials.append([t.to_row() | {"seconds": 0} for t in result.trials])
    assert cards[0] == cards[1]
    assert trials[0] == trials[1]
    assert json.loads(cards[0])["reproducible"] == {"same_bytes": True, "voided_by": []}
    assert len(trials[0]) > 100
    other = json.loads(scorecard_of(run(root, "usual", "gone", seed=1, **more)).to_json())
    other.pop("runtime")
    assert json.dumps(other, sort_keys=True) != cards[0]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_worker_is_left_behind(root, jobs):
    run(root, jobs=jobs)
    pids = set(map(int, (root / "pids").read_text().split()))
    assert 1 <= len(pids) <= jobs
    assert not any(map(alive, pids))


def test_no_worker_is_left_behind_by_a_run_that_fails(root, monkeypatch):
    seen = []

    def stop(progress):
        seen.append(progress)
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as held:  # its frames keep the workers from being collected by chance
        run_campaign(experiment(), root, jobs=2, progress=stop)
    assert not any(alive(int(p)) for p in (root / "pids").read_text().split())
    assert held.value.__traceback__ is not None


def test_progress_counts_frames_and_estimates_what_is_left(root):
    seen = []
    ticks = iter(range(10_000))
    run_campaign(experiment(), root, jobs=1, progress=seen.append, clock=lambda: float(next(ticks)))
    assert [p.done for p in seen] == list(range(1, 19))
    assert {p.total for p in seen} == {18}
    assert [p.phase for p in seen] == ["controls"] * 11 + ["faults"] * 7
    assert seen[3].left_seconds is None
    assert seen[-1].left_seconds == 0
    assert all(p.left_seconds > 0 for p in seen[4:-1])


# --- validators that are not to be trusted --------------------------------------------------------------------------


def test_a_blind_validator_is_named_before_any_rate_and_the_run_exits_3(root):
    card = scorecard_of(run(root, "usual", "blind", gates=[{"metric": "fnr", "limit": 1.0}]))
    assert card.blind == ("blind",)
    assert card.exit_code == 3
    assert card.to_dict()["first"]["blind"] == ["blind"]
    assert {v.name: v.blind for v in card.validators} == {"usual": False, "blind": True}


def test_a_validator_that_only_raises_is_blind_too(root):
    result = run(root, "deaf")
    assert outcomes(of(result, TrialKind.CANARY)) == {Outcome.ERROR: 3}
    assert outcomes(of(result, TrialKind.FAULT)) == {Outcome.BASE_BAD: 7}
    card = scorecard_of(result)
    assert card.exit_code == 3
    assert card.validators[0].controls.error.estimate == 1.0


def test_a_paranoid_validator_is_named_and_its_alarms_on_faults_count_for_nothing(root):
    result = run(root, "paranoid")
    assert outcomes(of(result, TrialKind.NATURAL)) == {Outcome.FP: 8}
    assert outcomes(of(result, TrialKind.FAULT)) == {Outcome.BASE_BAD: 7}
    card = scorecard_of(result)
    assert card.to_dict()["first"]["paranoid"] == ["paranoid"]
    assert card.validators[0].controls.fpr.estimate == 1.0
    assert np.isnan(card.validators[0].faults.fnr.estimate)


def test_a_flaky_validator_is_found_by_its_second_look_and_its_day_leaves_every_rate(root):
    result = run(root, "usual", "flaky", controls={"repeats": 7, "benign": 0})
    flaky = [t for t in result.trials if t.flaky]
    assert {(t.validator, t.batch) for t in flaky} == {("flaky", "2013-06-05")}
    card = scorecard_of(result)
    first = card.to_dict()["first"]
    assert first["flaky"] == {"flaky": ["2013-06-05"]}
    rates = card.validators[1]
    assert rates.faults.fnr.trials == 6
    assert rates.controls.fpr.trials == 6
    assert any("flaky" in v for v in card.voids)
    assert not card.to_dict()["reproducible"]["same_bytes"]


def test_a_base_that_is_not_accepted_is_base_bad(root):
    result = run(root, "bad_base")
    found = by_batch(of(result, TrialKind.FAULT))
    assert found.pop("2013-06-06") is Outcome.BASE_BAD
    assert set(found.values()) == {Outcome.TP}
    assert by_batch(of(result, TrialKind.NATURAL))["2013-06-06"] is Outcome.FP


def test_what_is_missed_is_a_survivor_with_rows_to_look_at(root):
    result = run(root, "gone")
    assert outcomes(of(result, TrialKind.FAULT)) == {Outcome.FN: 7}
    card = scorecard_of(result)
    (survivor,) = card.validators[0].survivors
    assert survivor.fault == "null.mcar"
    batches = Batches(result.experiment, root)
    wanted = list(survivor.missed_trials)[:1]
    trial = next(t for t in result.trials if t.trial_id == wanted[0])
    (known,) = explanations_of(wanted, result.trials, batches).values()
    shown = known.example
    assert shown.columns == ("id", "x")
    assert len(shown.before) == 3
    assert all(
        b[0] == a[0] and b[1] != "null" and a[1] == "null" for b, a in zip(shown.before, shown.after, strict=True)
    )
    assert f"{trial.changed} cells changed of 60 rows" in shown.note


def test_time_out_costs_one_trial(root):
    result = run(root, "sleeps", "usual", limit_seconds=5)
    found = by_batch(of(result, TrialKind.FAULT, "sleeps"))
    assert found.pop("2013-06-07") is Outcome.ERROR
    assert set(found.values()) == {Outcome.TP}
    (lost,) = [t for t in of(result, TrialKind.FAULT) if t.outcome is Outcome.ERROR]
    assert lost.error_cause.value == "timed_out"
    assert outcomes(of(result, TrialKind.FAULT, "usual")) == {Outcome.TP: 7}
    card = scorecard_of(result)
    assert card.voids == ("1 trials timed out",)
    assert card.validators[0].faults.error.hits == 1


def test_a_crash_costs_one_trial(root):
    result = run(root, "dies", "usual", jobs=2)
    found = by_batch(of(result, TrialKind.FAULT, "dies"))
    assert found.pop("2013-06-07") is Outcome.ERROR
    assert set(found.values()) == {Outcome.TP}
    (lost,) = [t for t in of(result, TrialKind.FAULT) if t.outcome is Outcome.ERROR]
    assert lost.error_cause.value == "crash"
    assert outcomes(of(result, TrialKind.FAULT, "usual")) == {Outcome.TP: 7}
    assert scorecard_of(result).exit_code == 0


def test_a_validator_that_cannot_be_loaded_stops_the_run_before_it_starts(root):
    with pytest.raises(ConfigError.__mro__[1], match="no attribute 'nothing'") as caught:
        run(root, "nothing")
    assert caught.value.exit_code == 3


# --- faults that do nothing, or nothing unusual ---------------------------------------------------------------------


def test_a_fault_without_effect_is_a_noop_and_nobody_is_asked(root):
    constant = [{"fault": "value.noise", "columns": ["id"]}, {"fault": "drift.category_mix", "columns": ["s"]}]
    for day in DAYS:
        table = day_table(day).set_column(3, "s", pa.array(["same"] * 60))
        pq.write_table(table.set_column(0, "id", pa.array([5] * 60)), root / "data" / f"{day}.parquet")
    result = run(root, "gone", faults=constant, key=[])
    trials = of(result, TrialKind.FAULT)
    assert outcomes(trials) == {Outcome.NOOP: 14}
    assert {(t.fault, t.ledger_status) for t in trials} == {
        ("value.noise", Status.NOT_APPLICABLE),
        ("drift.category_mix", Status.NO_EFFECT),
    }
    assert all(t.status is None and t.ledger_reason for t in trials)


def test_a_frame_that_equals_the_base_is_a_noop(root):
    # text dictionaries are read as categories: the frame differs; a shuffled order alone is none where order is free
    table = pa.table({"id": [1, 2, 3], "at": pa.array([1, 2, 3], pa.timestamp("us")), "x": [1.0] * 3, "s": ["a"] * 3})
    for day in DAYS:
        pq.write_table(table, root / "data" / f"{day}.parquet")
    shuffle = [{"fault": "relation.shuffle", "columns": ["x"], "severities": [5]}]
    result = run(root, faults=shuffle)
    assert outcomes(of(result, TrialKind.FAULT)) == {Outcome.NOOP: 7}


def test_subnatural_is_a_dose_that_the_history_shows_by_itself(root):
    gaps = day_table("2013-06-02").to_pydict()
    gaps["x"] = [None if i % 3 == 0 else v for i, v in enumerate(gaps["x"])]  # 20 of 60 on a day of the history
    pq.write_table(pa.table(gaps, schema=day_table("2013-06-02").schema), root / "data" / "2013-06-02.parquet")
    result = run(root, "usual", "gone", severities=[1, 5], repeats=2)
    for trial in of(result, TrialKind.FAULT):
        assert trial.subnatural == (trial.changed <= 20)
    assert {t.subnatural for t in of(result, TrialKind.FAULT) if t.severity == 5} == {False}
    assert {t.repeat for t in of(result, TrialKind.FAULT)} == {0, 1}
    card = scorecard_of(result)
    assert card.validators[1].faults.fnr.estimate == 0.0  # severity 5 alone is left, and that is caught
    assert card.validators[1].subnatural


def test_stale_rows_come_from_the_batch_before_and_the_scale_from_the_history(root):
    faults = [{"fault": "time.stale"}, {"fault": "drift.mean", "columns": ["x"], "params": {"shift": 1.0}}]
    result = run(root, "gone", faults=faults)
    batches = Batches(result.experiment, root)
    pool = np.sort(np.concatenate([day_table(d)["x"].to_numpy() for d in HISTORY]))
    scale = (pool[134] - pool[44]) / 1.349  # values 135 and 45 of 180
    for trial in of(result, TrialKind.FAULT):
        after = inject_one(injection_of(trial), batches.load(trial.batch), batches).batch.table
        if trial.fault == "time.stale":
            before = DAYS[DAYS.index(trial.batch) - 1]
            assert after["s"].to_pylist() == [f"day-{before}"] * 60
        else:
            moved = after["x"].to_numpy() - day_table(trial.batch)["x"].to_numpy()
            assert moved == pytest.approx(scale)
            assert (trial.severity, trial.moves) == (0, "shift")
    assert outcomes(of(result, TrialKind.FAULT)) == {Outcome.FN: 14}


# --- benign changes -------------------------------------------------------------------------------------------------


def test_benign_changes_are_tried_for_every_declared_clause_and_for_no_other(root):
    contract = {"row_order": True, "extra_columns": True}
    result = run(root, "touchy", "gone", contract=contract)
    trials = of(result, TrialKind.BENIGN)
    assert Counter(t.fault for t in trials if t.validator == "gone") == {
        "benign.row_order": 2,
        "benign.extra_column": 2,
    }
    assert outcomes(t for t in trials if t.validator == "touchy") == {Outcome.ALARM: 4}
    assert outcomes(t for t in trials if t.validator == "gone") == {Outcome.ACCEPTED: 4}
    card = scorecard_of(result)
    assert [v.controls.benign.estimate for v in card.validators] == [1.0, 0.0]
    assert [v.controls.fpr.estimate for v in card.validators] == [0.0, 0.0]


def test_no_clause_no_benign_control(root):
    assert not of(run(root), TrialKind.BENIGN)


def test_a_benign_change_on_a_bad_base_says_nothing(root):
    result = run(root, "paranoid", contract={"row_order": True})
    assert outcomes(of(result, TrialKind.BENIGN)) == {Outcome.BASE_BAD: 2}


def test_fewer_entities_only_where_the_row_count_stays_in_its_historic_range(root):
    for day, rows in zip(DAYS, [50, 60, 55, 48, 60, 60, 60, 60, 48, 60], strict=True):
        pq.write_table(day_table(day, rows), root / "data" / f"{day}.parquet")
    contract = {"entity_subsample": {"entity": "id", "keep": 0.95}}
    made = experiment("gone", contract=contract, controls={"benign": 7, "repeats": 0})
    plan = plan_campaign(made, Batches(made, root))
    bases = [t.base for t in plan.second if t.kind is TrialKind.BENIGN]
    assert bases
    assert not set(bases) & {"2013-06-04", "2013-06-09"}  # 48 rows are fewer than on any day of the history already
    (note,) = [n for n in plan.notes if "entity_subsample" in n]
    assert note.startswith(f"benign.entity_subsample on {len(bases)} bases only")
    result = run_campaign(made, root, jobs=1)
    for trial in of(result, TrialKind.BENIGN):
        assert trial.fraction == 0.05
        assert trial.outcome is Outcome.ACCEPTED


# --- batches set apart ----------------------------------------------------------------------------------------------


def test_incidents_are_neither_history_nor_base_nor_control(root):
    apart = [{"batch": "2013-06-02", "reason": "late"}, {"batch": "2013-06-06", "reason": "outage"}]
    made = experiment(incidents=apart, faults=[{"fault": "time.stale"}, {"fault": "null.mcar", "columns": ["x"]}])
    batches = Batches(made, root)
    assert batches.history == ("2013-06-01", "2013-06-03")
    assert batches.controls == tuple(d for d in CONTROLS if d != "2013-06-06")
    assert batches.before("2013-06-07").name == "2013-06-05"
    assert batches.pooled()[0].rows == 120
    result = run_campaign(made, root, jobs=1)
    assert not {"2013-06-02", "2013-06-06"} & {t.batch for t in result.trials}
    assert result.incidents == {"2013-06-02": "late", "2013-06-06": "outage"}
    assert scorecard_of(result).to_dict()["incidents"] == apart


def test_reviews_move_the_false_positive_rate(root):
    def rate(*reviewed):
        card = scorecard_of(run(root, "every_other_day", controls={"repeats": 0, "reviewed": list(reviewed)}))
        rates = card.validators[0].controls
        return rates.fpr.hits, rates.fpr.trials, rates.fpr_reviewed.hits, rates.true_alarms, rates.unreviewed

    five = {"batch": "2013-06-05", "reason": "looked"}
    seven = {"batch": "2013-06-07", "reason": "looked"}
    assert rate() == (2, 7, 0, 0, 2)
    assert rate(five | {"alarm": "true"}) == (1, 6, 0, 1, 1)
    assert rate(five | {"alarm": "false"}) == (2, 7, 1, 0, 1)
    assert rate(five | {"alarm": "true"}, seven | {"alarm": "false"}) == (1, 6, 1, 1, 0)
    other = experiment(
        "usual", "every_other_day", controls={"reviewed": [five | {"alarm": "true", "validator": "usual"}]}
    )
    trials = run_campaign(other, root, jobs=1).trials
    assert {t.review for t in trials if t.batch == "2013-06-05" and t.outcome is Outcome.FP} == {Review.UNREVIEWED}


def test_batches_that_differ_cost_trials_and_not_the_run(root):
    narrow = day_table("2013-06-08").drop_columns(["x"])
    pq.write_table(narrow, root / "data" / "2013-06-08.parquet")
    typed = day_table("2013-06-09")
    pq.write_table(typed.set_column(2, "x", typed["x"].cast(pa.string())), root / "data" / "2013-06-09.parquet")
    faults = [{"fault": "value.scale", "columns": ["x"], "severities": [5]}]
    result = run(root, "blind", faults=faults)
    found = {t.batch: t for t in of(result, TrialKind.FAULT)}
    assert outcomes(found.values()) == {Outcome.FN: 5, Outcome.NOOP: 2}
    assert "unknown column 'x'" in found["2013-06-08"].ledger_reason
    assert "does not apply to column 'x' of type string" in found["2013-06-09"].ledger_reason


def test_a_history_of_several_schemas_still_gives_scales(root):
    odd = day_table("2013-06-01")
    pq.write_table(odd.set_column(3, "s", pa.nulls(60)), root / "data" / "2013-06-01.parquet")  # nobody wrote a text
    faults = [{"fault": "value.noise", "columns": ["x"]}, {"fault": "category.unseen", "columns": ["s"]}]
    made = experiment(faults=faults)
    batches = Batches(made, root)
    assert len(batches.pooled()) == 3
    result = run_campaign(made, root, jobs=1)
    assert {t.ledger_status for t in of(result, TrialKind.FAULT)} == {Status.APPLIED}


# --- budgets --------------------------------------------------------------------------------------------------------


def test_minutes_stop_the_run_after_the_controls_and_void_byte_equality(root):
    ticks = iter(range(0, 10_000, 10))
    result = run(root, clock=lambda: float(next(ticks)), budget={"minutes": 5}, severities=[1, 2, 3, 4, 5])
    assert result.stopped == "the budget of 5 minutes was reached"
    assert len(of(result, TrialKind.NATURAL)) == 8
    assert len(of(result, TrialKind.CANARY)) == 3
    assert 0 < len(of(result, TrialKind.FAULT)) < 35
    card = scorecard_of(result)
    assert card.voids == ("the budget of 5 minutes was reached",)
    assert not card.to_dict()["reproducible"]["same_bytes"]
    batches = {t.batch for t in of(result, TrialKind.FAULT)}
    assert card.tried.batches == len(batches) < card.about.sample["distinct_bases"]


def test_that_a_run_was_stopped_is_known_when_it_is_scored_again(root):
    ticks = iter(range(0, 10_000, 10))
    result = run(root, clock=lambda: float(next(ticks)), budget={"minutes": 5}, severities=[1, 2, 3, 4, 5])
    out = root / "again"
    write_result(out, result.experiment, scorecard_of(result), result.trials)
    today = dt.date(2026, 6, 15)
    again = rescore(out, baseline=Baseline(), today=today)
    assert again.about.stopped == result.stopped != ""
    assert again.voids == (result.stopped,)
    assert result.stopped in again.baseline.reason
    document = json.loads((out / "scorecard.json").read_text())
    del document["first"]["stopped"]  # as an earlier version wrote it
    (out / "scorecard.json").write_text(json.dumps(document))
    assert rescore(out).about.stopped == result.stopped


def test_controls_and_canaries_are_judged_whatever_the_clock_says(root):
    ticks = iter(range(0, 10**7, 10_000))
    result = run(root, clock=lambda: float(next(ticks)), budget={"minutes": 1}, contract={"row_order": True})
    assert Counter(t.kind for t in result.trials) == {TrialKind.CANARY: 3, TrialKind.NATURAL: 8}


def test_a_budget_of_trials_is_kept_and_what_it_left_out_is_named(root):
    faults = [{"fault": f, "columns": ["x"]} for f in ("null.mcar", "value.scale", "value.sign")]
    result = run(root, "usual", "gone", faults=faults, severities=[2, 4], budget={"trials": 25})
    assert len(of(result, TrialKind.FAULT)) == 24
    sample = scorecard_of(result).to_dict()["sample"]
    assert (sample["trials"], sample["full_cross"], sample["bases_each"]) == (24, 84, 3)
    assert len(sample["left_out"]) == 1


# --- what is wrong is said before anything is judged ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        ({"faults": [{"fault": "nul.mcar", "columns": ["x"]}]}, UnknownNameError, "did you mean 'null.mcar'"),
        ({"faults": [{"fault": "null.mcar", "columns": ["xx"]}]}, UnknownNameError, "unknown column 'xx'"),
        ({"faults": [{"fault": "text.typo", "columns": ["x"]}]}, ConfigError, "does not apply to column 'x'"),
        ({"faults": [{"fault": "rows.drop", "columns": ["x"]}]}, ExperimentError, "rows.drop takes no column"),
        ({"faults": [{"fault": "null.mcar", "columns": ["x", "x"]}]}, ExperimentError, "is listed twice"),
        ({"faults": [{"fault": "null.mar", "columns": ["x"]}]}, PlanError, "needs 'other'"),
        ({"faults": [{"fault": "canary.no_columns"}]}, ExperimentError, "runs by itself"),
        ({"faults": [{"fault": "benign.row_order"}]}, ExperimentError, "runs by itself"),
        (
            {"faults": [{"fault": "value.noise", "columns": ["x"], "params": {"sigma": 1.0}, "severities": [1]}]},
            ExperimentError,
            "takes either `severities:` or its own 'sigma'",
        ),
        ({"severities": [9]}, PlanError, "which has rungs 1 to 5"),
        ({"preset": "standart"}, UnknownNameError, "did you mean 'standard'"),
        ({"preset": "quick", "ignore": ["xx"]}, UnknownNameError, "unknown column 'xx'"),
        ({"key": ["idd"]}, UnknownNameError, "did you mean 'id'"),
        ({"time": "att"}, UnknownNameError, "did you mean 'at'"),
        (
            {"incidents": [{"batch": "2013-06-31", "reason": "r"}]},
            UnknownNameError,
            "unknown batch '2013-06-31' in inc",
        ),
        (
            {"controls": {"reviewed": [{"batch": "2013-07-01", "alarm": "true", "reason": "r"}]}},
            UnknownNameError,
            "unknown batch '2013-07-01' in controls.reviewed",
        ),
        ({"history": {"count": 10}}, ExperimentError, "no batch is left after the history (10 of 10"),
        ({"batches": ["nothing/*.parquet"]}, BatchError, "no directory"),
        ({"batches": ["data/*.csv"]}, BatchError, "no batch matches"),
        ({"contract": {"entity_subsample": {"entity": "shop"}}}, UnknownNameError, "unknown column 'shop'"),
        (
            {"gates": [{"metric": "fnr", "limit": 0.1, "fault": "null.mcra"}]},
            UnknownNameError,
            "did you mean 'null.mcar'",
        ),
        ({"gates": [{"metric": "fnr", "limit": 0.1, "family": "missin"}]}, UnknownNameError, "did you mean 'missing'"),
        ({"gates": [{"metric": "fnr", "limit": 0.1, "column": "xx"}]}, UnknownNameError, "unknown column 'xx'"),
        ({"budget": {"trials": 2}}, PlanError, "raise budget.trials to 3"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_judged(root, more, error, says):
    with pytest.raises(error) as caught:
        run(root, **more)
    assert says in str(caught.value)
    assert caught.value.exit_code == 2
    assert not (root / "pids").exists()


def test_a_fault_that_applies_to_no_column(root):
    for day in DAYS:
        pq.write_table(day_table(day).drop_columns(["s"]), root / "data" / f"{day}.parquet")
    with pytest.raises(ExperimentError, match=r"text\.typo applies to no column: it takes text"):
        run(root, faults=[{"fault": "text.typo"}])


def test_laying_out_a_run_touches_nothing(root):
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*")}
    made = experiment(preset="standard", contract={"row_order": True})
    plan = plan_campaign(made, Batches(made, root))
    assert plan.tasks == len(plan.first) + len(plan.second) > 100
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*")} == before


# --- files ----------------------------------------------------------------------------------------------------------


def test_trials_come_back_from_parquet_as_they_were(root, tmp_path):
    result = run(root, "usual", "deaf", preset="quick", budget={"trials": 130}, contract={"row_order": True})
    write_trials(result.trials, tmp_path / "t.parquet")
    assert read_trials(tmp_path / "t.parquet") == result.trials
    types = {f.name: str(f.type) for f in pq.read_schema(tmp_path / "t.parquet")}
    assert (types["seed"], types["dose"], types["flaky"], types["outcome"]) == ("int64", "double", "bool", "string")


def test_files_that_hold_no_trials(tmp_path):
    with pytest.raises(BatchError, match="there is no file"):
        read_trials(tmp_path / "t.parquet")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "t.parquet")
    with pytest.raises(BatchError, match="holds no trials of ours"):
        read_trials(tmp_path / "t.parquet")
    (tmp_path / "u.parquet").write_text("text")
    with pytest.raises(BatchError, match="holds no trials of ours"):
        read_trials(tmp_path / "u.parquet")
    with pytest.raises(BatchError, match="no trials to write"):
        write_trials([], tmp_path / "v.parquet")


def test_a_run_leaves_its_files_and_one_trial_can_be_replayed(root, tmp_path):
    result = run(root, "gone")
    card = scorecard_of(result)
    files = write_result(tmp_path / "out", result.experiment, card, result.trials)
    assert json.loads(Path(files["scorecard"]).read_text()) == json.loads(card.to_json())
    assert not [p for p in (tmp_path / "out").iterdir() if p.name.startswith(".")]
    trial = of(result, TrialKind.FAULT)[0]
    again = replay(trial.trial_id, result.experiment, root, Path(files["trials"]))
    assert (again.same_batch, again.same_suite, again.verdict.status) == (True, True, trial.status)
    assert again.ledger.changed_cells == trial.changed
    with pytest.raises(ConfigError, match="there is no trial"):
        replay("zzzz", result.experiment, root, Path(files["trials"]))
    with pytest.raises(ConfigError, match="give more digits"):
        replay("", result.experiment, root, Path(files["trials"]))


def test_single_files_folders_and_globs_are_batches(root):
    for given in (["data"], [f"data/{d}.parquet" for d in DAYS], [str(root / "data" / "*.parquet")], "data/2013*"):
        assert list(Batches(experiment(batches=given), root).refs) == DAYS
    with pytest.raises(ExperimentError, match="two batches are called '2013-06-01'"):
        other = root / "more"
        other.mkdir()
        pq.write_table(day_table("2013-06-01"), other / "2013-06-01.parquet")
        Batches(experiment(batches=["data", "more/*.parquet"]), root)


def test_a_starter_for_several_validators_is_an_experiment(root, monkeypatch):
    monkeypatch.chdir(root)
    (root / "second_suite.py").write_text("schema = None\n")
    files = [f"data/{d}.parquet" for d in DAYS]
    text = starter(
        files, ["second_suite.py:schema", "pandera:a:b", "callable:campaign_suite:usual"], folder=root, key=["id"]
    )
    made = parse_experiment(yaml.safe_load(text))
    assert [v.name for v in made.validators] == ["pandera", "pandera-2", "callable"]
    assert made.history.count == 3
    assert Batches(made, root).controls == tuple(CONTROLS)


def test_the_clock_is_an_argument():
    assert run_campaign.__kwdefaults__["clock"] is time.monotonic


def test_a_run_with_its_report_reads_each_batch_once(root, monkeypatch):
    read, real = [], source.read_batch

    def counting(ref, **declared):
        read.append(declared["name"])
        return real(ref, **declared)

    monkeypatch.setattr(source, "read_batch", counting)
    made = experiment("gone")
    found = run_experiment(made, root, root / "out", settings=RunSettings(jobs=1), batches=Batches(made, root))
    assert found.report.explanations  # which look at the batches again
    assert sorted(read) == sorted(DAYS)
