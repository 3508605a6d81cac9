"""The demo's pipeline: features of one day, judged and published; beside it the same day, broken on purpose."""

import os
from pathlib import Path

from airflow.sdk import Param, dag, task

from pipechaos.airflow.operators import ChaosOperator, ScoreOperator, ValidateBatchOperator

HOME = Path(os.environ.get("PIPECHAOS_DEMO", "build/demo")).resolve()
ROOTS = [str(Path(__file__).resolve().parents[1] / "expectations")]
VALIDATORS = {"pandera": "pandera:pandera_schemas.flights:flights_schema", "gx": "gx:gx_suites/flights.json"}
KEYS = {"key": ["time_hour", "carrier", "flight", "origin"], "time": "time_hour", "target": ["late_15"]}
JUDGED = {"validators": VALIDATORS, "code_roots": ROOTS, "results": str(HOME / "verdicts")}
FAULTS = [
    {"fault": "null.mcar", "columns": "arr_delay", "fraction": 0.3},
    {"fault": "value.scale", "columns": "temp", "severity": 5},
    {"fault": "text.typo", "columns": "carrier", "severity": 3},
    {"fault": "relation.shuffle", "columns": "distance"},
]


@task
def extract(params: dict) -> str:
    from flights_features import extract

    return str(extract(params["day"], HOME / "raw"))


@task(multiple_outputs=False)  # one XCom: the reference
def features(raw: str) -> dict:
    from flights_features import transform

    from pipechaos.batch.ref import BatchRef

    return BatchRef.of(transform(raw, HOME / "features")).to_json()


@task
def publish(batch: dict) -> int:
    from flights_features import publish

    return publish(HOME / "features", HOME / "published.parquet")


@dag(schedule=None, params={"day": Param("2013-06-03", format="date")}, tags=["pipechaos"])
def flights_chaos():
    batch = features(extract())
    judged = ValidateBatchOperator(task_id="validate", batch=batch, **JUDGED)
    judged >> publish(batch)
    broken = ChaosOperator.partial(task_id="corrupt", batch=batch, shadow=str(HOME / "shadow"), **KEYS).expand_kwargs(
        FAULTS
    )
    verdicts = ValidateBatchOperator.partial(task_id="validate_broken", gate=False, **JUDGED).expand(
        batch=broken.output
    )
    ScoreOperator(task_id="score", base=judged.output, verdicts=verdicts.output, key=KEYS["key"])


flights_chaos()
