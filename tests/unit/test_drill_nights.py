"""Drills over some nights of small data: whose turn it is, what is new, what is missed, what is refused."""

import datetime as dt
import json
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipechaos.campaign.experiment import parse_experiment
from pipechaos.campaign.output import rescore, scorecard_of
from pipechaos.campaign.run import run_campaign
from pipechaos.drill.execute import DrillRun, drill_status, results_folder, run_drill
from pipechaos.drill.records import Newness
from pipechaos.drill.schedule import DrillsPausedError, nights
from pipechaos.drill.settings import DrillSettings
from pipechaos.errors import CannotRunError, ConfigError
from pipechaos.safety.switch import Halted, HaltOrder
from pipechaos.score.baseline import Accepted, Baseline
from pipechaos.score.records import TrialKind
from pipechaos.store.opening import open_store
from pipechaos.store.recorder import recorder
from pipechaos.store.records import RunStatus

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

FIRST = dt.datetime(2024, 3, 10, 5, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)

SUITE = '''
import pathlib

HERE = pathlib.Path(__file__).parent


def whole(frame):
    """Everything is there, and x lies in its range."""
    with (HERE / "calls").open("a") as file:
        file.write("x")
    if (HERE / "broken").exists():
        raise RuntimeError("no verdict")
    if (HERE / "looser").exists():
        return list(frame.columns) == ["id", "x", "y"]
    return list(frame.columns) == ["id", "x", "y"] and bool(frame["x"].notna().all())


def blind(frame):
    return True
'''
# x is looked at and y is not: faults on y survive
FAULTS = [{"fault": "null.mcar", "columns": ["x", "y"]}, {"fault": "null.mnar", "columns": ["x", "y"]}]


def write_day(root, day):
    rng = np.random.default_rng(day)
    table = pa.table({"id": range(40), "x": rng.normal(10, 3, 40).round(3), "y": rng.normal(0, 1, 40).round(3)})
    pq.write_table(table, root / "data" / f"2024-03-{day:02}.parquet")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "data").mkdir()
    for day in range(1, 10):
        write_day(tmp_path, day)
    (tmp_path / "drill_suite.py").write_text(SUITE)
    return tmp_path


@pytest.fixture
def store(root):
    with open_store(root / "runs.db") as opened:
        yield opened


def experiment(*validators, **more):
    data = {
        "name": "small",
        "batches": ["data/*.parquet"],
        "key": ["id"],
        "history": {"count": 3},
        "validators": [{"name": v, "spec": f"callable:drill_suite:{v}"} for v in validators or ("whole",)],
        "faults": FAULTS,
        "severities": [4],
        "controls": {"repeats": 1, "benign": 1},
        "limit_seconds": 120,
    }
    return parse_experiment(data | more)


SETTINGS = {"period_days": 2, "controls": 4}


def drill(root, store, run_id, when, *, made=None, settings=None, told=None, **run):
    told = [] if told is None else told
    return run_drill(
        made or experiment(),
        root,
        store,
        settings=DrillSettings(**(SETTINGS if settings is None else settings)),
        run=DrillRun(run_id=run_id, out=root / "drills", now=lambda: when, notify=told.append, **run),
    )


def tried(store, run_id):
    return {(t.fault, t.columns[0]) for t in store.trials(run_id) if t.kind is TrialKind.FAULT}


ALL = {(fault, column) for fault in ("null.mcar", "null.mnar") for column in ("x", "y")}


def test_three_nights_take_turns_on_the_latest_batch(root, store):
    seen = []
    for night in range(3):
        write_day(root, 10 + night)
        found = drill(root, store, f"n{night}", FIRST + night * DAY)
        seen.append(tried(store, f"n{night}"))
        assert found.bases == (f"2024-03-{10 + night:02}",)
        batches = {k: {t.batch for t in store.trials(f"n{night}") if t.kind is k} for k in TrialKind}
        assert batches[TrialKind.FAULT] == {f"2024-03-{10 + night:02}"}
        assert batches[TrialKind.NATURAL] == {f"2024-03-{d:02}" for d in range(7 + night, 11 + night)}
        assert (found.tried, found.trials) == (2, 2)  # four pairs within two nights: two trials a night
    assert len(seen[0]) == len(seen[1]) == 2
    assert seen[0] | seen[1] == ALL
    assert seen[2] == seen[0]  # who waited longest


def test_the_result_says_how_much_is_covered_and_what_comes_next(root, store):
    one = drill(root, store, "n0", FIRST)
    assert (one.coverage.pairs, one.coverage.within, one.coverage.never) == (4, 2, 2)
    assert one.coverage.oldest == FIRST
    assert one.next_at == FIRST + DAY
    two = drill(root, store, "n1", FIRST + DAY)
    assert {f"{f} on {c}" for f, c in tried(store, "n1")} == set(one.next_due)
    assert (two.coverage.within, two.coverage.never, two.coverage.oldest) == (4, 0, FIRST)
    assert two.late == ""
    json.dumps(two.to_json(), allow_nan=False)


def test_results_lie_in_a_folder_of_their_own_and_can_be_scored_again(root, store):
    found = drill(root, store, "dag/run 1", FIRST)
    folder = results_folder(root / "drills", "dag/run 1")
    assert folder.parent == root / "drills"
    assert found.report.startswith(str(folder))
    assert rescore(folder).about.name == "small.drill"
    assert store.runs("small") == ()  # drills stand apart from other runs


def test_a_missed_night_is_told_and_its_pairs_come_first(root, store):
    drill(root, store, "n0", FIRST)
    assert drill_status(experiment(), root, store, settings=DrillSettings(**SETTINGS), now=FIRST + DAY).overdue == ""
    status = drill_status(experiment(), root, store, settings=DrillSettings(**SETTINGS), now=FIRST + 3 * DAY)
    assert status.overdue == "the last drill was 3 days ago, expected every day"
    assert status.coverage.within == 0  # the period is two days
    found = drill(root, store, "n3", FIRST + 3 * DAY)
    assert found.late == "the last drill was 3 days ago, expected every day"
    assert tried(store, "n3") == ALL - tried(store, "n0")


def test_a_budget_that_cannot_keep_the_period_is_refused_with_the_one_that_can(root, store):
    with pytest.raises(
        ConfigError, match=r"1 trials a drill are too few: 4 faults on columns take 4 trials.*need 2 each"
    ):
        drill(root, store, "n0", FIRST, settings=SETTINGS | {"trials": 1})
    assert store.runs() == ()
    assert not (root / "calls").exists()
    assert drill(root, store, "n0", FIRST, settings=SETTINGS | {"trials": 3}).tried == 3


def test_a_first_survivor_is_news_once(root, store):
    told = []
    settings = {"period_days": 1, "controls": 4}
    first = drill(root, store, "n0", FIRST, settings=settings, told=told)
    assert [(s.fault, s.columns, s.why) for s in first.new_survivors] == [
        ("null.mcar", ("y",), Newness.FIRST_SEEN),
        ("null.mnar", ("y",), Newness.FIRST_SEEN),
    ]
    assert len(told) == 1
    assert told[0].startswith("drill of small: 2 new survivors\n")
    again = drill(root, store, "n1", FIRST + DAY, settings=settings, told=told)
    assert again.new_survivors == ()
    assert not again.alarming
    assert len(told) == 1


def test_what_was_caught_and_survives_now_is_a_regression(root, store):
    settings = {"period_days": 1, "controls": 4}
    drill(root, store, "n0", FIRST, settings=settings)
    (root / "looser").touch()  # the team's check goes, its suite's file stays
    told = []
    found = drill(root, store, "n1", FIRST + DAY, settings=settings, told=told)
    assert {(s.fault, s.columns, s.why) for s in found.new_survivors} == {
        (fault, ("x",), Newness.REGRESSION) for fault in ("null.mcar", "null.mnar")
    }
    assert "caught until now" in told[0]


def test_what_the_baseline_accepts_is_no_news_and_what_it_does_not_know_is(root, store):
    settings = {"period_days": 1, "controls": 4}
    survivors = drill(root, store, "n0", FIRST, settings=settings).new_survivors
    lines = [
        Accepted(
            weakness_id=s.weakness_id,
            validator="whole",
            fault=s.fault,
            columns=s.columns,
            severity=s.severity,
            reason="known",
            owner="team",
            expires=dt.date(2030, 1, 1),
            missed=1,
            tried=1,
        )
        for s in survivors
    ]
    known = drill(root, store, "n1", FIRST + DAY, settings=settings, baseline=Baseline(accepted=tuple(lines)))
    assert (known.new_survivors, known.exit_code) == ((), 0)
    half = drill(root, store, "n2", FIRST + 2 * DAY, settings=settings, baseline=Baseline(accepted=tuple(lines[:1])))
    assert [(s.weakness_id, s.why) for s in half.new_survivors] == [(survivors[1].weakness_id, Newness.UNACCEPTED)]
    assert half.exit_code == 1


def test_what_a_whole_run_of_the_experiment_knew_is_no_news(root, store):
    before = FIRST - DAY
    keeper = recorder(store, "whole", started=before)
    card = scorecard_of(run_campaign(experiment(), root, recorder=keeper))
    keeper.finish(card.to_dict(), exit_code=0, finished=before)
    assert drill(root, store, "n0", FIRST, settings={"period_days": 1, "controls": 4}).new_survivors == ()


def test_a_night_whose_batch_is_bad_by_itself_judges_nothing_is_told_and_its_faults_come_again(root, store):
    table = pq.read_table(root / "data" / "2024-03-09.parquet")
    holes = pa.array([None, *table["x"].to_pylist()[1:]], pa.float64())
    pq.write_table(table.set_column(1, "x", holes), root / "data" / "2024-03-09.parquet")
    told = []
    bad = drill(root, store, "n0", FIRST, told=told)
    assert (bad.trials, bad.judged, bad.base_bad, bad.coverage.never) == (2, 0, ("whole",), 4)
    assert told[0].startswith("drill of small: nothing was judged in 2 trials\n")
    write_day(root, 10)
    good = drill(root, store, "n1", FIRST + DAY)
    assert (good.judged, good.base_bad, good.coverage.never) == (2, (), 2)
    assert tried(store, "n1") == tried(store, "n0")


# --- gates: over the period, as one night has too few batches -------------------------------------------------------


def ten_nights(root, store, gates, told, **more):
    """Both pairs every night: in ten nights each of them meets ten base batches."""
    faults = [{"fault": "null.mcar", "columns": ["x", "y"]}]
    made = experiment(gates=gates, faults=faults, controls={"repeats": 0, "benign": 0}, **more)
    settings = {"period_days": 10, "controls": 1, "trials": 2}
    found = []
    for night in range(10):
        write_day(root, 10 + night)
        found.append(drill(root, store, f"n{night:02}", FIRST + night * DAY, made=made, settings=settings, told=told))
    return found


@pytest.mark.slow
def test_a_gate_is_decided_over_the_drills_of_the_period_and_told_when_it_fails(root, store):
    gates = [{"metric": "fnr", "limit": 0.5, "column": "y"}, {"metric": "fnr", "limit": 0.5, "column": "x"}]
    told = []
    found = ten_nights(root, store, gates, told)
    assert {r.exit_code for r in found[:9]} == {4}  # below ten base batches nothing is decided
    assert [len(r.gates_failed) for r in found[:9]] == [0] * 9
    last = found[-1]
    (gate,) = last.gates_failed  # y is never looked at; x always
    assert (gate.validator, gate.metric, gate.limit, gate.scope) == ("whole", "fnr", 0.5, "column y")
    assert (last.exit_code, last.gates_open) == (1, 0)
    assert "1 gate failed" in told[-1]
    assert "gate: fnr of whole (column y), limit 0.5: at least" in told[-1]
    (root / "drill_suite.py").write_text(SUITE + "\n# changed\n")  # what was judged before is another suite's
    changed = drill(
        root,
        store,
        "after",
        FIRST + 10 * DAY,
        made=experiment(gates=gates, faults=[{"fault": "null.mcar", "columns": ["x", "y"]}]),
        settings={"period_days": 10, "controls": 1, "trials": 2},
    )
    assert (changed.gates_failed, changed.gates_open) == ((), 2)


def test_a_gate_cannot_pass_before_everything_was_tried(root, store):
    made = experiment(gates=[{"metric": "fnr", "limit": 1.0}])
    for day in range(10, 20):
        write_day(root, day)
    settings = {"period_days": 2, "controls": 12, "bases": 12, "trials": 24}
    one = drill(root, store, "n0", FIRST, made=made, settings=settings)
    assert (one.exit_code, one.gates_open) == (4, 1)
    two = drill(root, store, "n1", FIRST + DAY, made=made, settings=settings)
    assert (two.exit_code, two.gates_open) == (0, 0)


# --- drills that could not run --------------------------------------------------------------------------------------


def cannot_load():
    return experiment(validators=[{"name": "whole", "spec": "callable:drill_suite:nothing_of_that_name"}])


def test_drills_pause_after_some_that_could_not_run_until_they_are_released(root, store):
    told = []
    for night in range(3):
        with pytest.raises(CannotRunError):
            drill(root, store, f"n{night}", FIRST + night * DAY, made=cannot_load(), told=told)
        with pytest.raises(CannotRunError):  # a retry of the same is no second failure
            drill(root, store, f"n{night}", FIRST + night * DAY, made=cannot_load(), told=told)
    assert len(nights(store, "small")) == 3
    assert told[-1].startswith("drill of small: could not run (ValidatorLoadError), 3 times in a row now; the next one")
    with pytest.raises(DrillsPausedError, match=r"the last 3 could not run.*--resume-drills"):
        drill(root, store, "n3", FIRST + 3 * DAY)
    assert not (root / "calls").exists()
    assert len(nights(store, "small")) == 3  # a refusal is no failure
    assert drill(root, store, "n3", FIRST + 3 * DAY, release=True).status is RunStatus.FINISHED
    assert drill(root, store, "n4", FIRST + 4 * DAY).status is RunStatus.FINISHED


def test_a_drill_that_runs_at_its_second_try_is_no_failure(root, store):
    with pytest.raises(CannotRunError):
        drill(root, store, "n0", FIRST, made=cannot_load())
    assert [n.failed for n in nights(store, "small")] == [True]
    drill(root, store, "n0", FIRST + DAY / 24)
    assert [n.failed for n in nights(store, "small")] == [False]


def test_a_blind_validator_counts_as_a_drill_that_could_not_run(root, store):
    for night in range(3):
        found = drill(root, store, f"n{night}", FIRST + night * DAY, made=experiment("blind"))
        assert (found.exit_code, found.blind, found.alarming) == (3, ("blind",), True)
    with pytest.raises(DrillsPausedError):
        drill(root, store, "n3", FIRST + 3 * DAY)


def test_a_halt_is_no_failure_and_the_drill_goes_on_afterwards(root, store):
    told = []

    def stop():
        raise Halted(HaltOrder(source="test", reason="maintenance"))

    with pytest.raises(Halted):
        drill(root, store, "n0", FIRST, told=told, halt=stop)
    assert (told, [n for n in nights(store, "small") if n.run is None]) == ([], [])
    assert drill(root, store, "n0", FIRST).status is RunStatus.FINISHED


def test_a_drill_that_was_halted_among_its_faults_goes_on_where_it_stopped(root, store):
    calls = []

    def stop():
        calls.append(1)
        if len(calls) > 10:  # one before everything, three canaries, five looks at controls, one fault
            raise Halted(HaltOrder(source="test", reason="maintenance"))

    half = drill(root, store, "n0", FIRST, halt=stop)
    assert (half.status, half.halted) == (RunStatus.STOPPED, True)
    assert "maintenance" in half.stopped
    assert (half.trials, half.coverage.never) == (1, 3)
    assert [n.failed for n in nights(store, "small")] == [False]
    judged = len((root / "calls").read_text())
    whole = drill(root, store, "n0", FIRST + DAY / 24)
    assert (whole.status, whole.halted, whole.trials, whole.coverage.never) == (RunStatus.FINISHED, False, 2, 2)
    assert len((root / "calls").read_text()) == judged + 1


def test_a_wrong_experiment_is_no_failure_either(root, store):
    with pytest.raises(ConfigError):
        drill(root, store, "n0", FIRST, made=experiment(faults=[{"fault": "null.mcar", "columns": ["gone"]}]))
    assert store.runs() == ()


# --- killed, and taken up again -------------------------------------------------------------------------------------

CHILD = """
import datetime as dt, json, os, signal, sys
from pathlib import Path

from pipechaos.campaign.experiment import parse_experiment
from pipechaos.drill.execute import DrillRun, run_drill
from pipechaos.drill.settings import DrillSettings
from pipechaos.store.opening import open_store
from pipechaos.store.recorder import recorder

root = Path(sys.argv[1])


def die(progress):
    if progress.done == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)


run = DrillRun(
    run_id="n1",
    out=root / "drills",
    now=lambda: dt.datetime.fromisoformat(sys.argv[3]),
    progress=die,
)
with open_store(root / "runs.db") as store:
    made = parse_experiment(json.loads((root / "experiment.json").read_text()))
    run_drill(made, root, store, settings=DrillSettings(period_days=2, controls=4), run=run)
"""


@pytest.mark.parametrize("at", [2, 10])  # among the controls, and after a fault
def test_a_drill_that_was_killed_goes_on_with_what_it_began(root, store, at):
    drill(root, store, "n0", FIRST)
    (root / "experiment.json").write_text(json.dumps(experiment().model_dump(mode="json")))
    (root / "child.py").write_text(CHILD)
    when = (FIRST + DAY).isoformat()
    done = subprocess.run(
        [sys.executable, root / "child.py", root, str(at), when],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [(n.run_id, n.failed) for n in nights(store, "small")] == [("n1", True), ("n0", False)]
    write_day(root, 10)  # a night has passed: a newer batch is there
    found = drill(root, store, "n1", FIRST + 2 * DAY)
    assert found.bases == ("2024-03-09",)
    assert found.started == FIRST + DAY
    assert found.status is RunStatus.FINISHED
    assert tried(store, "n1") == ALL - tried(store, "n0")
    assert len(store.trials("n1")) == len({(t.trial_id, t.validator, t.batch) for t in store.trials("n1")})


def test_a_drill_that_was_killed_for_good_has_tried_nothing(root, store):
    drill(root, store, "n0", FIRST)
    (root / "experiment.json").write_text(json.dumps(experiment().model_dump(mode="json")))
    (root / "child.py").write_text(CHILD)
    command = [sys.executable, root / "child.py", root, "10", (FIRST + DAY).isoformat()]
    subprocess.run(command, capture_output=True, timeout=240, check=False)
    assert tried(store, "n1")  # something of it was committed
    drill(root, store, "n2", FIRST + 2 * DAY)
    assert tried(store, "n2") == ALL - tried(store, "n0")


def test_a_drill_that_has_finished_is_read_back_and_told_again(root, store):
    told = []
    first = drill(root, store, "n0", FIRST, told=told)
    calls = (root / "calls").read_text()
    write_day(root, 10)
    assert drill(root, store, "n0", FIRST + DAY, told=told) == first
    assert (root / "calls").read_text() == calls
    assert told[0] == told[1]


def test_a_notifier_that_fails_is_heard_and_a_retry_does_not_drill_again(root, store):
    def lost(_):
        raise OSError("no network")

    run = DrillRun(run_id="n0", out=root / "drills", now=lambda: FIRST, notify=lost)
    with pytest.raises(OSError, match="no network"):
        run_drill(experiment(), root, store, settings=DrillSettings(**SETTINGS), run=run)
    calls = (root / "calls").read_text()
    assert drill(root, store, "n0", FIRST).status is RunStatus.FINISHED
    assert (root / "calls").read_text() == calls
