"""What the UI shows of a store, without an Airflow."""

import datetime as dt
import importlib.util
import re
import subprocess
import sys
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipechaos.airflow.campaign import TaskKey
from pipechaos.airflow.ui_lanes import lanes_in
from pipechaos.airflow.ui_pages import message_page, policy, runs_page
from pipechaos.airflow.ui_runs import (
    UnknownRunError,
    dag_part,
    hidden_from,
    listed,
    made_by,
    report_page,
    scorecard_from,
)
from pipechaos.campaign.output import without_values
from pipechaos.errors import ConfigError
from pipechaos.score.scorecard import ValidatorInfo, build
from pipechaos.store.opening import open_store
from pipechaos.store.records import RunIdentity, RunRecord, RunStatus

DAY = dt.datetime(2024, 3, 1, 6, tzinfo=dt.UTC)
MADE_OF = RunIdentity(experiment="tiny", experiment_digest="d", seed=5)
_spec = importlib.util.spec_from_file_location("ui_store", Path(__file__).with_name("ui_store.py"))
kept = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kept)
sample, keep, card = kept.sample, kept.keep, kept.card


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with open_store(tmp_path_factory.mktemp("ui") / "runs.db") as opened:
        keep(opened, "20240301T060000Z-abcd", sample.trials())
        keep(opened, "unfinished", sample.trials()[:4], day=1, end=False)
        yield opened


def words(page):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.partition("</style>")[2])).split())


def test_a_scorecard_comes_back_from_the_store_as_it_was(store):
    run = store.run("20240301T060000Z-abcd")
    assert run.exit_code == 1
    assert run.scorecard["baseline"]["entries"]
    again = scorecard_from(run.scorecard, store.trials(run.run_id))
    assert again.to_dict() == run.scorecard
    assert int(again.exit_code) == 1


def test_a_stopped_run_comes_back_as_stopped():
    trials = sample.trials()
    made = card(trials, stopped="stopped at its budget of 1 minutes")
    assert scorecard_from(made.to_dict(), trials).to_dict() == made.to_dict()


def test_the_list_says_rates_with_their_counts_and_how_a_run_ended(store):
    page = words(runs_page(listed(store, store.runs()), store=store.shown))
    late, _, early = page.partition("20240301T060000Z-abcd")
    assert "unfinished 2024-03-02 06:00 tiny has not ended" in late
    assert "2024-03-01 06:00 tiny 1: a gate failed alpha 30.0 %" in early
    alpha, _, beta = early.partition(" beta ")
    assert "3 of 10 trials" in alpha
    assert "10.0 %" in alpha
    assert "1 of 10 batches" in alpha
    assert beta.startswith("100.0 %")
    assert "10 of 10 trials" in beta
    assert "0 of 10 batches" in beta
    assert "all together" in beta


def test_where_nothing_decides_the_exit_code_is_no_praise(tmp_path):
    trials = sample.trials()
    names = [ValidatorInfo(name=n, spec="s", suite_digest="d") for n in ("alpha", "beta")]
    free = build(trials, about=sample.ABOUT, validators=names)
    assert int(free.exit_code) == 0
    with open_store(tmp_path / "runs.db") as store:
        store.begin(RunRecord(run_id="r", experiment="tiny", experiment_digest="d", seed=5, started=DAY))
        store.add_trials("r", trials)
        store.finish("r", free.to_dict(), exit_code=0, finished=DAY)
        (line,) = listed(store, store.runs())
    assert (line.ended, line.passed) == ("0: no gate declared", None)


def judged(fault, columns, changed, outcome, how):
    return {
        "validator": "check",
        "fault": fault,
        "columns": columns,
        "changed": changed,
        "outcome": outcome,
        "how": how,
    }


LANE = {
    "outcomes": [
        judged("null.mcar", ["x", "y"], 60, "fn", "success"),
        judged("rows.drop", [], 0, "tp", "ValueError"),
        judged("null.mcar", ["z"], 9, "not_exercised", "late"),
    ],
    "controls": [{"validator": "check", "outcome": "fp", "told": "rejected", "how": "ValueError"}],
    "counts": {},
    "reason": "",
}


def test_what_a_lane_missed_is_said_in_words():
    page = words(runs_page((), store="", title="t", lanes=lanes_in([("chaos_load.score", LANE)])))
    assert (
        "Lane chaos_load 1 of 2 corrupted copies that were judged were missed; the untouched copy was rejected by"
        in page
    )
    assert "check null.mcar x, y 60 MISSED success check rows.drop 0 noticed ValueError" in page
    assert "null.mcar z 9 not exercised late" in page
    (idle,) = lanes_in([("chaos_load.score", {**LANE, "reason": "halted"})])
    assert idle.about == "Nothing is scored: halted"


def test_only_scores_of_lanes_are_taken_for_them():
    others = [("score", LANE), ("a.score", None), ("a.score", {"outcomes": []}), ("a.score", 0.7), ("b.scores", LANE)]
    assert lanes_in(others) == ()
    assert [lane.name for lane in lanes_in([("b.score", LANE), ("a.score", LANE)])] == ["a", "b"]


def test_a_rate_without_an_interval_says_why(tmp_path):
    one = [t for t in sample.trials() if t.batch == "d09" and t.validator == "beta"]
    with open_store(tmp_path / "runs.db") as store:
        keep(store, "one-batch", one)
        page = words(runs_page(listed(store, store.runs()), store="s"))
    assert "0.0 % (too few batches for an interval) 0 of 1 batch" in page


def test_only_what_has_a_report_is_a_link(store):
    page = runs_page(listed(store, store.runs()), store=store.shown)
    assert re.findall(r'href="(report[^"]*)"', page) == ["report?id=20240301T060000Z-abcd"]


TABLE = {"div", "table", "thead", "tbody", "tr", "th", "td", "a", "b", "span", "br"}


def tags(page):
    """Each tag of a page in order, with the names of its attributes."""
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.append((tag, tuple(name for name, _ in attributes)))

    Reader().feed(page)
    return found


@pytest.mark.parametrize("text", sample.HOSTILE)
def test_names_are_text_wherever_they_stand(text, tmp_path):
    with open_store(tmp_path / "runs.db") as store:
        keep(store, f"r/../{text}&id=other", sample.trials(), name=text)
        page = runs_page(listed(store, store.runs()), store=text, title=text, about=text)
        known = [run.run_id for run in store.runs()]
        report = report_page(store, known[0], known)
    plain = tags(runs_page(listed(store, ()), store="s", title="t", about="a", empty="none"))
    assert tags(message_page(text)) == tags(message_page("m"))
    assert tags(runs_page((), store=text, title=text, about=text, empty=text)) == plain
    hostile = {**LANE, "outcomes": [{**o, "validator": text, "columns": [text], "how": text} for o in LANE["outcomes"]]}
    lanes = [runs_page((), store="s", lanes=lanes_in([(f"{t}.score", r)])) for t, r in (("g", LANE), (text, hostile))]
    assert tags(lanes[0]) == tags(lanes[1])
    assert {name for name, _ in tags(page)} - {name for name, _ in plain} == TABLE
    for made in (page, message_page(text)):
        assert not {"\x1b", "\u202e", "\x00"} & set(made)
    (link,) = re.findall(r'href="(report[^"]*)"', page)
    assert "&" not in link
    assert "<script>window.pwned" not in report


def test_a_report_is_the_whole_page_without_data_values(store):
    page = report_page(store, "20240301T060000Z-abcd", {"20240301T060000Z-abcd"})
    assert page.startswith("<!DOCTYPE html>")
    assert '<a href="runs">all runs</a>' in page
    assert "default-src 'none'" in unescape(page)
    assert "3 of 10" in words(page)
    assert all(not t.resolved for t in without_values(store.trials("20240301T060000Z-abcd")))


@pytest.mark.parametrize(
    "asked", ["last", "2024", "20240301T060000Z-abc", "../20240301T060000Z-abcd", "../../etc/passwd", "", "%"]
)
def test_only_whole_ids_of_the_store_are_found(store, asked):
    known = {run.run_id for run in store.runs()}
    with pytest.raises(UnknownRunError, match="there is no run"):
        report_page(store, asked, known)


def test_a_run_that_may_not_be_seen_is_like_one_that_is_not_there(store):
    with pytest.raises(UnknownRunError) as hidden:
        report_page(store, "20240301T060000Z-abcd", {"unfinished"})
    with pytest.raises(UnknownRunError) as missing:
        report_page(store, "20240301T060000Z-none", {"unfinished"})
    assert str(hidden.value).replace("-abcd", "-none") == str(missing.value)


def test_a_run_that_has_not_ended_says_so(store):
    with pytest.raises(ConfigError, match="'unfinished' has not ended"):
        report_page(store, "unfinished", {"unfinished"})


def key(dag="flights-drill", run="manual__2024-03-01T06:00:00+00:00", task="campaign", index=-1, made_of=MADE_OF):
    return TaskKey(dag_id=dag, run_id=run, task_id=task, map_index=index).store_id(made_of)


def test_the_runs_of_a_dag_run_are_those_its_task_instances_made():
    this = "flights-drill/manual__2024-03-01T06:00:00+00:00"
    mine = [key(), key(index=1), key(made_of=replace(MADE_OF, seed=6)), key(task="other")]
    mine += [f"{this}/other", f"{this}/campaign/1", f"{this}/campaign.could-not-run"]
    others = [key(run="manual__2"), key(dag="flights_drill"), key(index=2), "20240301T060000Z-abcd", "last"]
    others += [f"{this}/campaign/2", f"{this}/campaign2", "flights-drill/manual__2/campaign", this, f"x{this}/other"]
    runs = [RunRecord(run_id=i, experiment="e", experiment_digest="d", seed=1, started=DAY) for i in [*others, *mine]]
    tasks = [("campaign", -1), ("campaign", 1), ("other", -1), ("extract", -1)]
    found = made_by(runs, "flights-drill", "manual__2024-03-01T06:00:00+00:00", tasks)
    assert [run.run_id for run in found] == mine
    assert made_by(runs, "flights-drill", "manual__2024-03-01T06:00:00+00:00", []) == ()


@pytest.mark.parametrize("dag", ["flights", "a-b.c_d", "ünïcode dag", "x" * 100, "a-0123456789abcdef-01234567"])
def test_a_run_is_hidden_from_who_may_not_read_its_dag(dag):
    part = dag_part(key(dag=dag))
    assert part in hidden_from({"mine"}, ["mine", dag])
    assert part not in hidden_from({"mine", dag}, ["mine", dag])
    assert dag_part(key(dag="mine")) not in hidden_from({"mine"}, ["mine", dag])
    assert dag_part("20240301T060000Z-abcd") not in hidden_from(set(), [dag])


def test_a_drill_is_hidden_from_who_may_not_read_its_dag():
    drill = "a-b/manual__1/drill/2.could-not-run"
    assert dag_part(drill) in hidden_from({"a.b", "a_b"}, ["a.b", "a-b", "a_b"])
    assert dag_part(drill) not in hidden_from({"a-b"}, ["a.b", "a-b", "a_b"])


def test_a_drill_that_could_not_judge_has_no_report(tmp_path):
    run = "d/r/drill.could-not-run"
    with open_store(tmp_path / "runs.db") as store:
        store.begin(RunRecord(run_id=run, experiment="e", experiment_digest="d", seed=1, started=DAY))
        failure = {"schema": "pipechaos.drill-failure/1", "validators": [], "stack": None}
        store.finish(run, failure, exit_code=3, finished=DAY, status=RunStatus.STOPPED)
        page = runs_page(listed(store, store.runs()), store="s")
        with pytest.raises(ConfigError, match="left no scorecard"):
            report_page(store, run, {run})
    assert "3: could not judge (stopped early)" in words(page)
    assert 'href="report' not in page


def test_the_pages_allow_themselves_one_style_sheet_and_one_frame():
    parts = dict(part.split(" ", 1) for part in policy().split("; "))
    assert parts["default-src"] == "'none'"
    assert parts["frame-ancestors"] == "'self'"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", parts["style-src"])
    assert "script-src" not in parts


LOADED = """
import sys
import airflow.plugins_manager, airflow.configuration
before = set(sys.modules)
import pipechaos.airflow.plugin as plugin
others = sorted({m.partition(".")[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names) - {"pipechaos"})
own = {m for m in sys.modules if m.startswith("pipechaos")}  # an installed provider may have loaded its own before
own = sorted(own - {"pipechaos", *(f"pipechaos.airflow{m}" for m in ("", ".provider", ".policy"))})
views = [(v["destination"], v["href"]) for v in plugin.PipechaosPlugin.external_views]
print("=", others, own, views)
"""


@pytest.mark.airflow
def test_loading_the_plugin_loads_nothing_heavy(airflow_environment, tmp_path):
    env = airflow_environment(tmp_path / "home", AIRFLOW__API__BASE_URL="https://example.org/airflow/")
    done = subprocess.run([sys.executable, "-c", LOADED], env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("=")]
    assert line == (
        "= [] ['pipechaos.airflow.addresses', 'pipechaos.airflow.plugin'] "
        "[('nav', '/airflow/pipechaos/runs'), "
        "('dag_run', '/airflow/pipechaos/dag-run?dag_id={DAG_ID}&run_id={RUN_ID}')]"
    )
