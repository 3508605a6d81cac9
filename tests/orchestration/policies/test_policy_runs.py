"""A stranger's DAG that is run twice, with a lane by one call and by policy alone: both must come to the same."""

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest

from pipechaos.testing.dag_runs import run_dag

# two runs of fifty tasks are the setup of whichever test comes first
pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(1200)]

CALL = """
from pipechaos.airflow.lane import chaos_lane

with the_dag:
    HOW = {"injections": INJECTIONS, "shadow": str(HOME / "shadow_by_call"), "key": ["id"], "enabled": True}
    chaos_lane(path, checked, published, **HOW)
    chaos_lane(loaded, classic, deliver, rejects=["ValueError"], **HOW)
"""

# what somebody does to the plan while the run is at work: two stretches are taken out
MEANWHILE = """
import json, os
plan = HOME / "plan.yaml"
data = json.loads(plan.read_text())
data["stretches"] = [s for s in data["stretches"] if s["stage"] not in ("late", "forgotten")]
plan.write_text(json.dumps(data))
"""

LIVE = ["plain", "rendered", "halted", "wrong", "nothing", "forgotten", "keyed"]
SCORES = ["chaos_features.score", "chaos_load.score"]


@pytest.fixture(scope="module")
def by_call(place, plans):
    calling = place.home / "calling"
    calling.mkdir()
    source = (place.home / "dags" / "stranger.py").read_text()
    (calling / "stranger.py").write_text(source + CALL.replace("INJECTIONS", repr(plans.three)))
    return run_once(place, calling, {})


@pytest.fixture(scope="module")
def by_policy(place, plans, by_call):
    """After the run by call: both append to what the consumers say they read."""
    (place.home / "meanwhile.py").write_text(MEANWHILE)
    (place.home / "ordered").mkdir()
    (place.home / "ordered" / "halt").write_text('{"who": "ops", "reason": "incident 7"}')
    shadow = {"shadow": str(place.home / "shadow_by_policy")}
    stretches = [
        plans.lane(place.home, "features", "validate", "publish", **shadow),
        plans.lane(place.home, "load", ["by_code", "whole"], "deliver", rejects=["ValueError"], **shadow),
        plans.lane(place.home, "late", "check_late", "read_late"),
        *(plans.live(place.home, stage) for stage in ("plain", "rendered", "forgotten")),
        plans.live(place.home, "halted", halt_file=str(place.home / "ordered" / "halt")),
        plans.live(place.home, "wrong", injections=[{"fault": "null.mcar", "columns": "no_such_column"}]),
        plans.live(place.home, "nothing", injections=[{**plans.nulls, "fraction": 0.0}]),
        plans.live(place.home, "keyed", output="path"),
    ]
    plan = plans.write(place.home / "plan.yaml", stretches, environment="test")
    allow = ",".join(f"stranger.{s['stage']}" for s in stretches)
    env = {"PIPECHAOS_POLICY": plan, "PIPECHAOS_POLICY_ALLOW": allow, "PIPECHAOS_ENVIRONMENT": "test"}
    return run_once(place, place.home / "dags", env)


def run_once(place, dags, env):
    (run,) = run_dag(
        dags,
        "stranger",
        [{"file": place.file}],
        home=place.home / f"airflow_{dags.name}",
        wanted=[*SCORES, "chaos_late.score", *LIVE],
        env={"PLACE": str(place.home), **env},
        timeout_seconds=540,
    )
    return run


CAUGHT = ["tp", "fn", "noop"]


def read(place, name):
    return (place.home / name).read_text().split()


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_both_score_the_same(by_call, by_policy):
    for score in SCORES:
        found = by_policy.results[score]
        assert found == by_call.results[score]
        for validator in {line["validator"] for line in found["outcomes"]}:
            assert [x["outcome"] for x in found["outcomes"] if x["validator"] == validator] == CAUGHT
        assert {c["outcome"] for c in found["controls"]} == {"tn"}


def test_both_make_the_same_copies_and_ledgers(place, by_call, by_policy):
    called, planned = (files(place.home / f"shadow_by_{how}") for how in ("call", "policy"))
    assert called == planned
    ledgers = {name.partition("/ledger/")[0] for name in called if "/ledger/" in name}
    assert len(ledgers) == 2 * 3, "two stages, three injections"


def test_both_leave_the_consumers_alone(place, by_call, by_policy):
    for consumer in ("published", "delivered", "by_late"):
        assert read(place, consumer) == [place.digest, place.digest]
    assert hashlib.sha256(Path(place.file).read_bytes()).hexdigest() == place.digest


def test_the_runs_end_alike(by_call, by_policy):
    assert by_call.state == by_policy.state == "success"
    lane = {t: s for t, s in by_policy.tasks.items() if not t.startswith("chaos_late")}
    assert lane == by_call.tasks


def test_a_lane_asks_the_plan_again_when_it_runs(place, by_policy):
    assert by_policy.tasks["chaos_late.copies"] == "skipped"
    score = by_policy.results["chaos_late.score"]
    assert score["counts"] == {"check_late": {"not_exercised": 3}}
    assert score["reason"] == (
        f"halted (plan {place.home / 'plan.yaml'}): the plan no longer names stranger.late as it was parsed"
    )
    assert not (place.home / "shadow" / "late").exists()


@pytest.mark.parametrize("stage", ["plain", "rendered"])
def test_a_live_stage_hands_over_the_copy_its_lane_would_make(place, by_policy, stage):
    handed = by_policy.results[stage]
    assert handed != place.file
    assert handed.startswith(f"{place.home}/shadow/stranger/{stage}/")
    assert handed.endswith("/date=2013-06-03/part-0.parquet"), "as the source is laid out"
    clean, broken = read(place, f"by_{stage}")
    assert clean == place.digest
    copies = files(place.home / "shadow_by_policy" / "features")
    lanes = {hashlib.sha256(data).hexdigest() for name, data in copies.items() if name.endswith("/data/part-0.parquet")}
    assert broken in lanes
    assert broken != place.digest


def test_a_live_stage_may_return_a_mapping(place, by_policy):
    assert by_policy.results["keyed"]["path"].startswith(f"{place.home}/shadow/stranger/keyed/")
    assert by_policy.results["keyed"]["rows"] == 200
    clean, broken = read(place, "by_keyed")
    assert clean == place.digest != broken


NOT_INJECTED = {
    "halted": "halted by ops (file {home}/ordered/halt): incident 7",
    "forgotten": "halted (plan {home}/plan.yaml): the plan no longer names stranger.forgotten as it was parsed",
    "wrong": "unknown column 'no_such_column'",
    "nothing": "null.mcar changed nothing of this batch (no_effect)",
}


@pytest.mark.parametrize("stage", NOT_INJECTED)
def test_where_nothing_is_injected_the_stage_hands_over_its_own(place, by_policy, stage):
    assert by_policy.results[stage] == place.file
    assert read(place, f"by_{stage}") == [place.digest, place.digest]
    assert by_policy.tasks[stage] == "success"


def test_whoever_reads_the_run_sees_what_was_broken_on_purpose(place, plans, by_policy):
    found = records(place)
    for stage in ("plain", "rendered", "keyed"):
        record = found.pop(stage)
        assert record["injected"] is True
        assert record["instead_of"] == [place.file]
        assert (record["fault"], record["columns"]) == ("null.mcar", ["x"])
        assert record["changed"] > 0
        handed = by_policy.results[stage]
        assert record["ledger"].startswith((handed if stage != "keyed" else handed["path"]).partition("/data/")[0])
    assert set(found) == set(NOT_INJECTED)
    for stage, record in found.items():
        assert record["injected"] is False
        assert record["reason"].startswith(NOT_INJECTED[stage].format(home=place.home))


def records(place):
    with sqlite3.connect(f"file:{place.home}/airflow_dags/throw-away.db?mode=ro", uri=True) as database:
        rows = database.execute("select task_id, cast(value as text) from xcom where key = 'pipechaos_live'").fetchall()
    database.close()
    return {task: json.loads(text) for task, text in rows}
