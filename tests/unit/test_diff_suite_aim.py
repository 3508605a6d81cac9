"""Where a small budget goes when checks change."""

from itertools import chain

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipechaos.campaign.aim import aimed
from pipechaos.campaign.experiment import parse_experiment
from pipechaos.campaign.sample import MIN_BASES
from pipechaos.campaign.source import Batches
from pipechaos.campaign.tasks import plan_campaign
from pipechaos.validate.verdict import Check, Subject

COLUMNS = ["a", "b", "c", "d"]


@pytest.fixture
def root(tmp_path):
    for day in range(5):
        table = pa.table({c: [float(i + day) for i in range(20)] for c in COLUMNS})
        pq.write_table(table, tmp_path / f"d{day}.parquet")
    return tmp_path


def experiment(trials, **more):
    base = {
        "name": "e",
        "batches": ["*.parquet"],
        "validators": [{"name": "v", "spec": "callable:m:f"}],
        "preset": "value",
        "severities": [1, 5],
        "pairs": 2,
        "budget": {"trials": trials},
    }
    return parse_experiment({**base, **more})


def check(*columns):
    return Check(id=f"c{columns}", columns=columns, subject=Subject.VALUE)


def tried(aim):
    return [(f.fault, tuple(f.columns)) for f in aim.experiment.faults]


def test_every_fault_on_a_changed_column_comes_before_any_other(root):
    e = experiment(200)
    aim = aimed(e, Batches(e, root), [check("b")])
    on_b = [f for f, columns in tried(aim) if columns == ("b",)]
    assert sorted(on_b) == ["value.noise", "value.outlier", "value.scale", "value.sign"]
    others = {columns for _, columns in tried(aim)} - {("b",)}
    assert others == {("a",), ("c",), ("d",)}
    assert "aimed at what changed checks look at (b): 4 of 4 faults there, and 12 of 12 others" in aim.told
    assert aim.left_out == ()


def test_the_budget_holds_and_leaves_some_room_for_the_rest(root):
    e = experiment(MIN_BASES * 2 * 6)  # six faults at two severities on three bases
    batches = Batches(e, root)
    aim = aimed(e, batches, [check("b")])
    columns = [c for _, c in tried(aim)]
    assert (columns.count(("b",)), len(columns)) == (4, 6)
    assert len(aim.left_out) == 16 - 6
    plan = plan_campaign(aim.experiment, batches)
    assert plan.sample.trials == MIN_BASES * 2 * 6
    assert plan.sample.dropped == ()


def test_many_changed_columns_share_what_there_is(root):
    e = experiment(MIN_BASES * 2 * 6)
    aim = aimed(e, Batches(e, root), [check("a"), check("b"), check("c", "d")])
    assert len(tried(aim)) == 6
    assert {f for f, _ in tried(aim)} == {"value.noise", "value.outlier", "value.scale", "value.sign"}


def test_a_check_of_the_whole_table_stands_for_faults_without_columns(root):
    e = experiment(MIN_BASES * 2 * 4, preset="rows", pairs=None)
    aim = aimed(e, Batches(e, root), [check()])
    assert [f for f, columns in tried(aim) if not columns][:2] == ["rows.drop", "rows.duplicate"]
    assert "the table as a whole" in aim.told


@pytest.mark.parametrize("changed", [[], [check("not_a_column")], [check()]])
def test_without_anything_to_aim_at_the_sample_stays_as_it_is(root, changed):
    e = experiment(200)
    assert aimed(e, Batches(e, root), changed) is None


def test_faults_of_the_experiment_itself_keep_their_own_doses(root):
    listed = [
        {"fault": "value.outlier", "columns": ["a"], "params": {"distance": 7.0}},
        {"fault": "value.sign", "columns": ["b"], "severities": [2]},
    ]
    e = experiment(200, preset=None, faults=listed, pairs=None)
    batches = Batches(e, root)
    aim = aimed(e, batches, [check("a")])

    def weaknesses(of):
        tasks = plan_campaign(of, batches).second
        return {t.injection.weakness_id("") for t in chain(tasks) if t.injection}

    assert weaknesses(aim.experiment) == weaknesses(e)
