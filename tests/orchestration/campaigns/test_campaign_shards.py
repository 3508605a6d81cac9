"""A campaign in parts: what they leave in the store, scored, is a campaign in one."""

import json

import pytest

from pipechaos.airflow.campaign import TaskKey, run_campaign_share, run_campaign_task
from pipechaos.campaign.experiment import load_experiment
from pipechaos.campaign.share import Share
from pipechaos.campaign.source import Batches
from pipechaos.campaign.tasks import plan_campaign
from pipechaos.errors import ConfigError
from pipechaos.store.opening import open_store
from pipechaos.testing.dag_runs import run_dag

KEY = TaskKey(dag_id="drill", run_id="manual__1", task_id="campaign")

DAG_FILE = """
from airflow.sdk import DAG, TaskGroup
from pipechaos.airflow.shards import sharded_campaign

PLACE = {place!r}

with DAG("shared_out"):
    with TaskGroup("night"):
        sharded_campaign(
            task_id="campaign", shards=3, experiment=PLACE + "/toy.yaml", store_conn_id="{{{{ params.store }}}}",
            out=PLACE + "/out", jobs=1, fail_on=(), params={{"store": "drills"}},
        )
"""


def run_part(toy, part):
    return run_campaign_share(toy.file, share=Share(part=part, of=3), task=KEY, store=toy.store, jobs=1)


def test_parts_are_the_whole_and_none_is_empty(toy):
    experiment = load_experiment(toy.file)
    whole = plan_campaign(experiment, Batches(experiment, toy.place))
    parts = [Share(part=i, of=3).plan(whole) for i in range(3)]
    assert all(p.first == whole.first for p in parts)
    split = [t for p in parts for t in p.second]
    assert len(split) == len(whole.second) == 14
    assert {repr(t) for t in split} == {repr(t) for t in whole.second}
    assert all(p.second for p in parts)
    assert Share(part=None, of=3).plan(whole).second == ()
    assert Share(part=0, of=1).plan(whole) == whole


@pytest.mark.parametrize(("part", "of"), [(3, 3), (-1, 2), (0, 0)])
def test_a_part_that_is_none_is_refused(part, of):
    with pytest.raises(ConfigError, match="parts count from 0"):
        Share(part=part, of=of)


def test_parts_score_as_the_whole_does(toy, scorecard):
    run_campaign_task(toy.file, out=str(toy.place / "whole"), jobs=1)
    whole = len(toy.calls())
    parts = [None, 2, 0, 1, 1]  # in any order, and a retry among them
    found = [run_part(toy, p) for p in parts]
    assert len({f["run_id"] for f in found}) == 1
    assert len(toy.calls()) == 2 * whole  # controls once, every fault once
    result = run_campaign_task(toy.file, out=str(toy.place / "out"), jobs=1, store=toy.store, task=KEY)
    assert len(toy.calls()) == 2 * whole
    assert result["resumed_tasks"] == 31
    assert scorecard(toy.place / "out") == scorecard(toy.place / "whole")


def test_what_a_part_left_undone_is_done_before_the_score(toy, scorecard):
    for part in (None, 0):
        run_part(toy, part)
    result = run_campaign_task(toy.file, out=str(toy.place / "out"), jobs=1, store=toy.store, task=KEY)
    run_campaign_task(toy.file, out=str(toy.place / "whole"), jobs=1)
    assert 0 < result["resumed_tasks"] < 31
    assert scorecard(toy.place / "out") == scorecard(toy.place / "whole")


@pytest.mark.airflow
@pytest.mark.slow
def test_mapped_parts_in_a_dag(toy, tmp_path, scorecard):
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "shared.py").write_text(DAG_FILE.format(place=str(toy.place)))
    wanted = ["night.campaign", "night.campaign_faults", "night.campaign_controls"]
    store = {"AIRFLOW_CONN_DRILLS": json.dumps({"conn_type": "sqlite", "host": toy.store})}
    (run,) = run_dag(tmp_path / "dags", "shared_out", [{}], home=tmp_path / "home", wanted=wanted, env=store)
    assert set(run.tasks.values()) == {"success"}
    assert len(run.tasks) == 5
    result = run.results["night.campaign"]
    assert result["resumed_tasks"] == 31
    parts = run.results["night.campaign_faults"]
    assert {p["run_id"] for p in [*parts, run.results["night.campaign_controls"]]} == {result["run_id"]}
    run_campaign_task(toy.file, out=str(toy.place / "whole"), jobs=1)
    assert scorecard(toy.place / "out") == scorecard(toy.place / "whole")
    with open_store(toy.store) as store:
        assert len(store.runs()) == 1
