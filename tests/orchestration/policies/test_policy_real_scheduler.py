"""Plans in a real Airflow: the DAG processor stores the lane, each task process parses the DAG and the plan anew."""

import hashlib

import pytest

from pipechaos.testing.airflow_rest import until
from pipechaos.testing.airflow_server import airflow_server

# the start alone takes minutes on a busy machine
pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(1800)]

DAG = """
import hashlib, os, time
from pathlib import Path

from airflow.sdk import DAG, task

HOME = Path(os.environ["PLACE"])
FEATURES = HOME / "features" / "date=2013-06-03" / "part-0.parquet"


def note(name, path):
    with (HOME / name).open("a") as file:
        file.write(hashlib.sha256(Path(path).read_bytes()).hexdigest() + "\\n")


with DAG("patient", schedule=None):

    @task
    def features():
        while not (HOME / "go").exists():
            time.sleep(0.2)
        return str(FEATURES)

    @task
    def validate(path):
        import pandas as pd

        assert pd.read_parquet(path)["x"].notna().all(), "nulls in x"

    @task
    def publish(path):
        note("published", path)

    @task
    def live(path):
        return path

    @task
    def read(path):
        note("read", path)

    path = features()
    checked = validate(path)
    published = publish(path)
    checked >> published
    handed = live(path)
    published >> handed
    read(handed)
"""


def test_a_plan_in_a_real_airflow(place, plans):
    home = place.home
    (home / "patient").mkdir()
    (home / "patient" / "patient.py").write_text(DAG)
    lane = plans.lane(home, "features", "validate", "publish", dag="patient", injections=[plans.nulls])
    live = plans.live(home, "live", dag="patient")
    plan = plans.write(home / "plan.yaml", [lane, live], environment="test")
    env = {
        "PLACE": str(home),
        "PIPECHAOS_POLICY": plan,
        "PIPECHAOS_POLICY_ALLOW": "patient.features,patient.live",
        "PIPECHAOS_ENVIRONMENT": "test",
        # the DAG stays stored as it is: tasks of a lane are still scheduled when the plan has gone
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "AIRFLOW__WORKERS__MISSING_DAG_RETRY_DELAY": "1",
    }
    (home / "go").touch()
    with airflow_server(home / "patient", home=home / "real", env=env, timeout_seconds=480) as server:
        server.wait_for_dag("patient")
        works(server, place)
        (home / "go").unlink()
        survives_that_the_plan_is_taken_away(server, place)


def works(server, place):
    run = server.trigger("patient", run_id="planned")
    assert server.wait_for_run("patient", run, timeout_seconds=480) == "success"
    states = {name: task["state"] for name, task in server.tasks("patient", run).items()}
    assert set(states.values()) == {"success"}
    assert "chaos_features.validate__i0_null_mcar" in states
    score = server.xcom("patient", run, "chaos_features.score")
    assert [line["outcome"] for line in score["outcomes"]] == ["tp"]
    assert [line["outcome"] for line in score["controls"]] == ["tn"]
    handed = server.xcom("patient", run, "live")
    assert handed.startswith(f"{place.home}/shadow/patient/live/")
    (broken,) = (place.home / "read").read_text().split()
    assert (place.home / "published").read_text().split() == [place.digest]
    with open(handed, "rb") as file:  # noqa: PTH123 - a path as text
        assert hashlib.file_digest(file, "sha256").hexdigest() == broken != place.digest


def survives_that_the_plan_is_taken_away(server, place):
    run = server.trigger("patient", run_id="forgotten")
    for _ in until(300):
        if server.tasks("patient", run)["features"]["state"] == "running":
            break
    (place.home / "plan.yaml").unlink()
    (place.home / "go").touch()
    assert server.wait_for_run("patient", run, timeout_seconds=480) == "success"
    states = {name: task["state"] for name, task in server.tasks("patient", run).items()}
    team = ["features", "validate", "publish", "live", "read"]
    assert {states[name] for name in team} == {"success"}
    assert states["chaos_features.copies"] == states["chaos_features.score"] == "failed", "they are in no DAG any more"
    assert states["chaos_features.validate__i0_null_mcar"] == "upstream_failed"
    assert states["chaos_features.end"] == "success"
    assert (place.home / "published").read_text().split() == [place.digest] * 2
    assert (place.home / "read").read_text().split()[1:] == [place.digest], "nothing is injected without a plan"
