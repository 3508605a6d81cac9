"""DAGs for the real scheduler, copied by its tests into the folder of DAGs beside the data they use."""

import json
import os
import time
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from airflow.sdk import dag, task

from pipechaos.airflow.assets import gate_failed_asset
from pipechaos.airflow.drill import DrillOperator
from pipechaos.airflow.lane import chaos_lane
from pipechaos.airflow.operators import (
    CampaignGateOperator,
    CampaignOperator,
    ChaosOperator,
    ScoreOperator,
    ValidateBatchOperator,
)

HOME = Path(__file__).parents[1]
BATCH = str(HOME / "lake" / "features" / "date=2013-06-03" / "part-0.parquet")
FAULT = {"batch": BATCH, "fault": "null.mcar", "columns": "x", "fraction": 0.3, "key": ["id"]}
JUDGED = {"code_roots": [str(HOME / "suite")], "results": str(HOME / "verdicts")}


def first_try_fails(context, result):
    """After the work of a try: write down all that it made, and fail the first."""
    number = context["ti"].try_number
    made = [*Path(result["ledger"]).rglob("*"), Path(result["batch"]["uri"])]
    content = {p.name: p.read_bytes().hex() for p in made if p.is_file()}
    (HOME / f"try-{number}.json").write_text(json.dumps({"result": result, "files": content}))
    if number == 1:
        raise RuntimeError("made to fail after its work")


def stops_half_way(context):
    """Before the work: what writes Parquet stops in the middle of a file."""

    class Half(pq.ParquetWriter):
        def write_table(self, table, **options):
            super().write_table(table.slice(0, table.num_rows // 2), **options)
            (HOME / "half-way").touch()
            time.sleep(600)

    pq.ParquetWriter = Half


@task
def publish(_):
    """What consumers do: gather every batch under the root of features."""
    found = sorted((HOME / "lake" / "features").rglob("*.parquet"))
    table = pa.concat_tables([pq.ParquetFile(p).read() for p in found])
    pq.write_table(table, HOME / "published.parquet")
    return table.num_rows


@dag(schedule=None)
def retried():
    base = ValidateBatchOperator(
        task_id="validate", batch=BATCH, validators={"v": "callable:demo_suite:positive"}, **JUDGED
    )
    broken = ChaosOperator(
        task_id="corrupt",
        shadow=str(HOME / "shadow"),
        retries=1,
        retry_delay=timedelta(seconds=1),
        post_execute=first_try_fails,
        **FAULT,
    )
    judged = ValidateBatchOperator(
        task_id="validate_broken",
        batch=broken.output,
        validators={"v": "callable:demo_suite:positive"},
        gate=False,
        **JUDGED,
    )
    ScoreOperator(task_id="score", base=base.output, verdicts=judged.output, key=["id"])
    publish(base.output)


@dag(schedule=None)
def halted_judging():
    broken = ChaosOperator(task_id="corrupt", shadow=str(HOME / "shadow"), **FAULT)
    judged = ValidateBatchOperator(
        task_id="validate_broken",
        batch=broken.output,
        validators={"v": "callable:demo_suite:hangs"},
        gate=False,
        limit_seconds=600,
        **JUDGED,
    )
    publish(judged.output)


@dag(schedule=None)
def halted_writing():
    broken = ChaosOperator(task_id="corrupt", shadow=str(HOME / "other-shadow"), pre_execute=stops_half_way, **FAULT)
    publish(broken.output)


@dag(schedule=None)
def quiet():
    @task
    def campaign():
        return None

    campaign()


@dag(schedule=None, default_args={"retries": 0})
def stranger():
    """As somebody writes it who does not know pipechaos; two lanes are put round it, one of which cannot work."""

    @task
    def features():
        return BATCH

    @task
    def validate(path):
        import pandas as pd

        with Path(path).open("rb") as file:
            if pd.read_parquet(file)["x"].isna().any():
                raise ValueError("nulls in x")

    @task
    def deliver(path):
        import pandas as pd

        with Path(path).open("rb") as file:
            return len(pd.read_parquet(file))

    path = features()
    checked, delivered = validate(path), deliver(path)
    checked >> delivered
    stretch = (path, checked, delivered)
    asked = [{"fault": "null.mcar", "columns": column, "fraction": 0.3} for column in ("x", "s")]
    common = {"key": ["id"], "rejects": ["ValueError"], "enabled": True}
    chaos_lane(*stretch, injections=asked, shadow=str(HOME / "lane-shadow"), **common)

    other = task(task_id="other")(lambda: BATCH)()
    judged, ended = validate.override(task_id="judged")(other), task(task_id="ended")(lambda: None)()
    judged >> ended
    wrong = [{**asked[0], "columns": "no_such_column"}]
    chaos_lane(other, judged, ended, injections=wrong, shadow=str(HOME / "odd-shadow"), **common)


TINY = {"store": os.environ["TINY_STORE"], "jobs": 1}


@dag(schedule=None, default_args={"retries": 0})
def campaign():
    found = CampaignOperator(
        task_id="campaign",
        experiment=str(HOME / "tiny.yaml"),
        out=str(HOME / "campaigns" / "{{ run_id }}"),
        publish="tiny",
        fail_on=(),
        **TINY,
    )
    CampaignGateOperator(task_id="gate", result=found.output)


@dag(schedule=[gate_failed_asset("tiny")])
def alarm():
    @task
    def ticket(triggering_asset_events=None):
        return [dict(event.extra) for event in triggering_asset_events[gate_failed_asset("tiny")]]

    ticket()


@dag(schedule=None, default_args={"retries": 0})
def drill():
    known = json.loads((HOME / "tiny.yaml").read_text())
    DrillOperator(
        task_id="drill",
        experiment={**known, "name": "nightly"},  # what the campaign finds meanwhile is no news of this name
        root=str(HOME),
        out=str(HOME / "drills"),
        settings={"period_days": 1, "controls": 3, "until": "2013-06-14"},
        **TINY,
    )


retried()
quiet()
halted_judging()
halted_writing()
stranger()
campaign()
alarm()
drill()
