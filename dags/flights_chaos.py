"""The demo's pipeline: one day of flights, judged, made into features, judged and published; lanes break it on purpose.

Lanes are there only with PIPECHAOS_LANES=on; without it this DAG is the same as if the two calls were not in the file.
The kill switch wants an Airflow Variable that says "off" (one that is missing halts, as doubt does):
`airflow variables set pipechaos_halt off`, or AIRFLOW_VAR_PIPECHAOS_HALT=off.
"""

import os
from pathlib import Path

from airflow.sdk import Param, dag, task

from pipechaos.airflow.lane import chaos_lane
from pipechaos.airflow.operators import ValidateBatchOperator

HOME = Path(os.environ.get("PIPECHAOS_DEMO", "build/demo")).resolve()
JUDGE = {
    "code_roots": [str(Path(__file__).resolve().parents[1] / "expectations")],
    "results": str(HOME / "verdicts" / "{{ ti.task_id }}"),  # a folder for each task: a lane's verdicts lie apart
}
RAW = {"pandera": "pandera:pandera_schemas.raw_flights:raw_flights_schema"}
FEATURES = {"pandera": "pandera:pandera_schemas.flights:flights_schema", "gx": "gx:gx_suites/flights.json"}
LANE = {
    "shadow": str(HOME / "shadow"),
    "key": ["time_hour", "carrier", "flight", "origin"],
    "time": "time_hour",
    "max_seconds": 600,
    "halt_file": str(HOME / "halt"),
    "halt_variable": "pipechaos_halt",
}
BREAK_RAW = [
    {"fault": "null.mcar", "columns": "dest", "fraction": 0.1},
    {"fault": "category.unseen", "columns": "origin", "severity": 3},
    {"fault": "relation.shuffle", "columns": "arr_delay"},
]
BREAK_FEATURES = [
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
    raw = extract()
    raw_judged = ValidateBatchOperator(task_id="validate_raw", batch=raw, validators=RAW, **JUDGE)
    batch = features(raw)
    judged = ValidateBatchOperator(task_id="validate", batch=batch, validators=FEATURES, **JUDGE)
    published = publish(batch)
    raw_judged >> batch
    judged >> published
    chaos_lane(raw, raw_judged, batch, injections=BREAK_RAW, **LANE)
    chaos_lane(batch, judged, published, injections=BREAK_FEATURES, target=["late_15"], **LANE)


flights_chaos()
