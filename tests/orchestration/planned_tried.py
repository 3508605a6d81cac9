"""What a real scheduler does with a plan of the policy plug-in; loaded by its test.

The DAG processor stores the lane, and each task process parses the DAG and the plan anew.
"""

import hashlib
import json
from pathlib import Path

from pipechaos.testing.airflow_rest import until

DAG_FILE = "planned_dag.py"
TEAM = ["features", "validate", "publish", "live", "read"]


def environment(home):
    """Of Airflow's processes; writes the plan."""
    nulls = {"fault": "null.mcar", "columns": "x", "fraction": 0.3}
    both = {"dag": "patient", "injections": [nulls], "shadow": f"{home}/planned-shadow", "key": ["id"]}
    lane = {**both, "stage": "features", "mode": "shadow", "validators": "validate", "consumer": "publish"}
    live = {**both, "stage": "live", "mode": "live", "halt_file": f"{home}/halt"}
    plan = {"expires": "2999-01-01T00:00:00Z", "environment": "test", "stretches": [lane, live]}
    (home / "plan.yaml").write_text(json.dumps(plan))
    return {
        "PIPECHAOS_POLICY": str(home / "plan.yaml"),
        "PIPECHAOS_POLICY_ALLOW": "patient.features,patient.live",
        "PIPECHAOS_ENVIRONMENT": "test",
        # the DAG stays stored as it is: tasks of a lane are still scheduled when the plan has gone
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "AIRFLOW__WORKERS__MISSING_DAG_RETRY_DELAY": "1",
    }


def digest(place):
    return sha256(place / "lake" / "features" / "date=2013-06-03" / "part-0.parquet")


def sha256(file):
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def a_plan_puts_a_lane_round_one_stage_and_breaks_another(airflow, place):
    (place / "go").touch()
    run = airflow.trigger("patient", run_id="planned")
    assert airflow.wait_for_run("patient", run, timeout_seconds=480) == "success"
    states = {name: task["state"] for name, task in airflow.tasks("patient", run).items()}
    assert {name: state for name, state in states.items() if state != "success"} == {}
    assert "chaos_features.validate__i0_null_mcar" in states
    score = airflow.xcom("patient", run, "chaos_features.score")
    assert [line["outcome"] for line in score["outcomes"]] == ["tp"]
    assert [line["outcome"] for line in score["controls"]] == ["tn"]
    handed = airflow.xcom("patient", run, "live")
    assert handed.startswith(f"{place}/planned-shadow/patient/live/")
    (broken,) = (place / "read").read_text().split()
    assert (place / "published").read_text().split() == [digest(place)]
    assert sha256(handed) == broken != digest(place)


def a_run_survives_that_the_plan_is_taken_away(airflow, place):
    (place / "go").unlink()
    run = airflow.trigger("patient", run_id="forgotten")
    for _ in until(300):
        if airflow.tasks("patient", run)["features"]["state"] == "running":
            break
    (place / "plan.yaml").unlink()
    (place / "go").touch()
    assert airflow.wait_for_run("patient", run, timeout_seconds=480) == "success"
    states = {name: task["state"] for name, task in airflow.tasks("patient", run).items()}
    assert {states[name] for name in TEAM} == {"success"}
    assert states["chaos_features.copies"] == states["chaos_features.score"] == "failed", "they are in no DAG any more"
    assert states["chaos_features.validate__i0_null_mcar"] == "upstream_failed"
    assert states["chaos_features.end"] == "success"
    assert (place / "published").read_text().split() == [digest(place)] * 2
    assert (place / "read").read_text().split()[1:] == [digest(place)], "nothing is injected without a plan"


TRIED = [a_plan_puts_a_lane_round_one_stage_and_breaks_another, a_run_survives_that_the_plan_is_taken_away]
