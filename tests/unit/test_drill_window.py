"""The window of a drill: recent batches as controls, the latest of them broken, later ones left out."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipechaos.campaign.experiment import parse_experiment
from pipechaos.campaign.source import Batches
from pipechaos.campaign.tasks import plan_campaign
from pipechaos.drill.plan import plan_drill, window_ends
from pipechaos.drill.settings import DrillSettings
from pipechaos.errors import ConfigError, ExperimentError, FaultError
from pipechaos.score.records import TrialKind


@pytest.fixture
def root(tmp_path):
    (tmp_path / "data").mkdir()
    for day in range(1, 10):
        table = pa.table({"id": [1, 2, 3], "x": [0.5, 1.5, day / 3], "s": ["a", "b", "c"]})
        pq.write_table(table, tmp_path / "data" / f"d{day}.parquet")
    return tmp_path


def experiment(**more):
    data = {
        "name": "small",
        "batches": ["data/*.parquet"],
        "history": {"count": 2},
        "incidents": [{"batch": "d8", "reason": "bad"}],
        "validators": [{"name": "v", "spec": "callable:m:f"}, {"name": "w", "spec": "callable:m:g"}],
        "preset": "missing",
        "severities": [1, 5],
        "controls": {"repeats": 0, "benign": 0},
    }
    return parse_experiment(data | more)


@pytest.mark.parametrize(
    ("controls", "names"),
    [
        ({}, ["d3", "d4", "d5", "d6", "d7", "d9"]),
        ({"until": "d6"}, ["d3", "d4", "d5", "d6"]),
        ({"last": 2}, ["d7", "d9"]),
        ({"until": "d8", "last": 2}, ["d6", "d7"]),
        ({"last": 99}, ["d3", "d4", "d5", "d6", "d7", "d9"]),
    ],
)
def test_which_batches_are_controls(root, controls, names):
    batches = Batches(experiment(controls=controls), root)
    assert list(batches.controls) == names
    assert batches.history == ("d1", "d2")  # the window takes nothing from it


def test_a_window_that_ends_before_the_controls_is_refused(root):
    with pytest.raises(ExperimentError, match="no batch is left after the history"):
        Batches(experiment(controls={"until": "d2"}), root)


@pytest.mark.parametrize(
    ("bases", "names"), [(1, {"d9"}), (2, {"d7", "d9"}), (None, {"d3", "d4", "d5", "d6", "d7", "d9"})]
)
def test_only_the_latest_are_broken_and_all_are_controls(root, bases, names):
    made = experiment(controls={"bases": bases, "repeats": 0, "benign": 0})
    plan = plan_campaign(made, Batches(made, root))
    assert {t.base for t in plan.second if t.kind is TrialKind.FAULT} == names
    assert {t.base for t in plan.first if t.kind is TrialKind.NATURAL} == {"d3", "d4", "d5", "d6", "d7", "d9"}


def test_a_drill_is_an_experiment_of_its_own_that_names_its_last_batch(root):
    settings = DrillSettings(period_days=3, controls=4)
    plan = plan_drill(experiment(), root, settings, {})
    made = plan.experiment
    assert (made.name, made.preset, made.budget.trials, made.gates) == ("small.drill", None, None, [])
    assert (made.controls.until, made.controls.last, made.controls.bases) == ("d9", 4, 1)
    assert (plan.controls, plan.bases) == (("d5", "d6", "d7", "d9"), ("d9",))
    assert {d.cost for d in plan.whole} == {4}  # two rungs, two validators, one base
    assert plan.budget == plan.least == 4 * -(-len(plan.whole) // 3)
    assert len(plan.tonight) == -(-len(plan.whole) // 3)
    pairs = {(f.fault, *f.columns) for f in made.faults}
    assert pairs == {(d.pair.fault, *d.pair.columns) for d in plan.tonight}


def test_the_catalogue_is_that_of_the_experiment(root):
    made = experiment()
    whole = plan_campaign(made, Batches(made, root)).sample.mutants
    drilled = plan_drill(made, root, DrillSettings(), {}).whole
    assert sorted(str(d.pair) for d in drilled) == sorted({str(m.pair) for m in whole})
    narrow = plan_drill(experiment(pairs=2), root, DrillSettings(), {}).whole
    assert len(narrow) == 2


def test_the_order_of_turns_owes_nothing_to_the_order_of_the_file(root):
    faults = [{"fault": "null.mcar", "columns": ["x", "s"]}, {"fault": "text.typo", "columns": ["s"]}]
    orders = [
        [d.key for d in plan_drill(experiment(preset=None, faults=f), root, DrillSettings(), {}).whole]
        for f in (faults, faults[::-1])
    ]
    assert orders[0] == orders[1] == sorted(orders[0])


def test_ends_of_the_window_from_the_latest_back(root):
    found = [s.until for s in window_ends(experiment(), root, DrillSettings(controls=4))]
    assert found == ["d9", "d7", "d6", "d5"]


@pytest.mark.parametrize("until", ["d5", None])
def test_the_experiments_own_end_holds_too(root, until):
    made = experiment(controls={"until": "d6", "repeats": 0, "benign": 0})
    assert plan_drill(made, root, DrillSettings(until=until), {}).bases == (until or "d6",)


@pytest.mark.parametrize(
    "gate", [{"metric": "fnr", "limit": 0.1, "column": "nope"}, {"metric": "fnr", "limit": 0.1, "fault": "nul.mcar"}]
)
def test_a_gate_about_nothing_is_refused_before_the_first_night(root, gate):
    with pytest.raises(ConfigError):
        plan_drill(experiment(gates=[gate]), root, DrillSettings(), {})


def test_a_fault_that_does_not_fit_is_refused(root):
    with pytest.raises(FaultError, match="does not apply to column"):
        plan_drill(
            experiment(preset=None, faults=[{"fault": "text.typo", "columns": ["x"]}]), root, DrillSettings(), {}
        )
