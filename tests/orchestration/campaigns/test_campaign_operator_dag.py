"""Campaigns in a DAG: templates, mapping, asset events, the gate behind, the decorator."""

import json
import sqlite3
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from pipechaos.testing.dag_runs import run_dag

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DAG_FILE = """
import json, pathlib

from airflow.sdk import DAG, Param, task
from pipechaos.airflow.assets import gate_failed_asset, outlets_of, score_asset
from pipechaos.airflow.notifier import PipechaosNotifier
from pipechaos.airflow.operators import CampaignGateOperator, CampaignOperator

PLACE = {place!r}
TOY = json.loads(pathlib.Path(PLACE, "toy.yaml").read_text())
EASY = {{**TOY, "name": "easy", "validators": TOY["validators"][:1]}}

with DAG("chaos", params={{"where": Param(PLACE, type="string"), "share": Param(0.5, type="number")}}):
    campaign = CampaignOperator(
        task_id="campaign",
        experiment="{{{{ params.where }}}}/toy.yaml",
        out="{{{{ params.where }}}}/out/{{{{ ti.task_id }}}}",
        store="{{{{ params.where }}}}/runs.db",
        gates=[{{"metric": "fnr", "limit": "{{{{ params.share }}}}"}}],
        jobs="{{{{ 1 + 0 }}}}",
        fail_on=(),
        publish="to y",
        report_url="https://chaos.example/{{run_id}}/{{{{ dag.dag_id }}}}",
    )
    CampaignGateOperator(
        task_id="gate",
        result=campaign.output,
        retries=3,
        on_failure_callback=PipechaosNotifier(campaign="campaign", slack_conn_id="missing"),
    )
    CampaignOperator.partial(
        task_id="mapped", root=PLACE, store=PLACE + "/runs.db", publish="mapped", fail_on=(), jobs=1,
        outlets=outlets_of("mapped"), map_index_template="{{{{ task.experiment['name'] }}}}",
    ).expand_kwargs([
        {{"experiment": TOY, "out": PLACE + "/out/mapped-0"}},
        {{"experiment": EASY, "out": PLACE + "/out/mapped-1"}},
    ])

    CampaignOperator(
        task_id="halted", experiment=PLACE + "/toy.yaml", out=PLACE + "/out/halted", halt_variable="nobody_set_it"
    )

    @task.chaos(fault="null.mcar", columns="x", shadow="{{{{ params.where }}}}/../shadow", severity="{{{{ 2 + 2 }}}}")
    def broken(day: str, params=None):
        return params["where"] + "/features/date=" + day + "/part-0.parquet"

    broken.expand(day=["2013-06-03", "2013-06-04"])

for name in ("to y", "mapped"):
    with DAG("listens_" + name.replace(" ", "_"), schedule=[score_asset(name)]):
        task(lambda: None, task_id="nothing")()
    with DAG("alarms_" + name.replace(" ", "_"), schedule=[gate_failed_asset(name)]):
        task(lambda: None, task_id="nothing")()
"""


@pytest.fixture
def ran(toy, tmp_path, provider_path):
    """The DAG, run once; events of its assets and links of its tasks from Airflow's database."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "chaos.py").write_text(DAG_FILE.format(place=str(toy.place)))
    home = tmp_path / "home"
    wanted = ["campaign", "mapped", "broken", "gate"]
    (run,) = run_dag(
        tmp_path / "dags",
        "chaos",
        [{"share": 0.25}],
        home=home,
        wanted=wanted,
        env={"PYTHONPATH": provider_path},
    )
    with sqlite3.connect(home / "throw-away.db") as database:
        events = database.execute("SELECT uri, e.extra FROM asset_event e JOIN asset a ON a.id = e.asset_id").fetchall()
        links = database.execute("SELECT task_id, value FROM xcom WHERE key = '_link_ChaosReportLink'").fetchall()
    database.close()
    log = "\n".join(p.read_text() for p in [*home.rglob("*.log")])
    return SimpleNamespace(
        run=run, events=[(u, json.loads(e)) for u, e in events], links=links, log=log, place=toy.place
    )


def test_a_dag_of_campaigns(ran):
    """One run, looked at from all sides, as a start of Airflow costs seconds."""
    check_states(ran.run)
    check_results(ran.run.results)
    check_events(ran.events)
    check_links(ran)
    check_copies(ran)
    assert "pipechaos: toy: a gate failed (DAG chaos, task gate, run manual__" in ran.log  # the failed task's callback
    assert "pip install apache-airflow-providers-slack" in ran.log


def check_states(run):
    assert run.state == "failed"
    assert run.tasks == {
        "campaign": "success",
        "gate": "failed",  # and not up_for_retry: it would find the same
        "halted": "skipped",  # a switch that cannot be read is on
        "mapped[0]": "success",
        "mapped[1]": "success",
        "broken[0]": "success",
        "broken[1]": "success",
    }


def check_results(results):
    assert results["campaign"]["gates"][0]["limit"] == 0.25  # the run's own parameter, through a template
    assert [r["verdict"] for r in results["mapped"]] == ["gate_failed", "ok"]
    assert [list(r["validators"]) for r in results["mapped"]] == [["strict", "weak"], ["strict"]]
    assert len({r["run_id"] for r in [results["campaign"], *results["mapped"]]}) == 3
    assert results["gate"]["run_id"] == results["campaign"]["run_id"]  # pushed before it failed


def check_events(events):
    by_uri = {}
    for uri, extra in events:
        by_uri.setdefault(uri, []).append(extra)
    assert {uri: len(found) for uri, found in by_uri.items()} == {
        "x-pipechaos://to%20y/score": 1,
        "x-pipechaos://to%20y/gate-failed": 1,
        "x-pipechaos://mapped/score": 2,
        "x-pipechaos://mapped/gate-failed": 1,  # the other one passed
    }
    (failed,) = by_uri["x-pipechaos://mapped/gate-failed"]
    assert failed["experiment"] == "toy"
    assert failed["validators"]["weak"]["fnr"]["hits"] == 12
    assert {e["verdict"] for e in by_uri["x-pipechaos://mapped/score"]} == {"ok", "gate_failed"}


def check_links(ran):
    links = {}
    for task_id, value in ran.links:
        links.setdefault(task_id, set()).add(json.loads(value))
    run_id = ran.run.results["campaign"]["run_id"]
    assert links["campaign"] == {f"https://chaos.example/{run_id}/chaos"}
    # where a store keeps the run, the page of our plugin
    assert links["gate"] == {f"/pipechaos/report?id={run_id}"}
    assert links["mapped"] == {f"/pipechaos/report?id={r['run_id']}" for r in ran.run.results["mapped"]}


def check_copies(ran):
    copies = ran.run.results["broken"]
    assert [c["status"] for c in copies] == ["applied", "applied"]
    assert [c["batch"]["name"] for c in copies] == ["2013-06-03", "2013-06-04"]
    for copy in copies:
        broken = pq.ParquetFile(copy["batch"]["uri"]).read()
        source = pq.ParquetFile(copy["source"]["uri"]).read()
        assert broken.column("x").null_count == copy["changed"] > 0
        assert source.column("x").null_count == 0
