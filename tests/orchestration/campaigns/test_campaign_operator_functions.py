"""What CampaignOperator does, without Airflow: results, tries that go on, what fails a task."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from pipechaos.airflow.campaign import TaskKey, experiment_of, failure_in, run_campaign_task
from pipechaos.airflow.fail_on import FailOn, fail_on_of
from pipechaos.campaign.experiment import load_experiment
from pipechaos.campaign.output import scorecard_of
from pipechaos.campaign.run import run_campaign
from pipechaos.errors import ConfigError, ExperimentError, MissingExtraError, UnknownNameError
from pipechaos.safety.switch import Halted, HaltOrder
from pipechaos.score.records import jsonable
from pipechaos.store.opening import open_store
from pipechaos.store.records import RunIdentity, RunStatus

KEY = TaskKey(dag_id="drill", run_id="manual__1", task_id="campaign")
IDENTITY = RunIdentity(experiment="e", experiment_digest="d", seed=1, suites={"v": "1"}, history="h")


class Ended(BaseException):
    """As Airflow ends a task."""


def run(toy, out="out", **more):
    return run_campaign_task(toy.file, out=str(toy.place / out), jobs=1, **more)


def test_the_result_is_small_plain_and_what_is_true(toy):
    result = run(toy)
    text = json.dumps(result, allow_nan=False)
    assert json.loads(text) == result
    assert len(text) < 4000
    # twelve controls, one fault on each: strict sees every missing value, weak sees none
    counts = {n: (v["fnr"]["hits"], v["fnr"]["trials"], v["survivors"]) for n, v in result["validators"].items()}
    assert counts == {"strict": (0, 12, 0), "weak": (12, 12, 1)}
    assert [v["fpr"]["hits"] for v in result["validators"].values()] == [0, 0]
    assert {(g["validator"], g["verdict"]) for g in result["gates"]} == {("strict", "pass"), ("weak", "fail")}
    assert (result["exit_code"], result["verdict"], result["survivors"], result["run_id"]) == (1, "gate_failed", 1, "")
    assert set(result["files"]) == {"scorecard", "trials", "markdown", "html"}


def test_the_scorecard_is_that_of_the_library(toy, scorecard):
    run(toy)
    experiment = load_experiment(toy.file)
    expected = scorecard_of(run_campaign(experiment, toy.place, jobs=2)).to_dict()
    assert scorecard(toy.place / "out") == {k: v for k, v in jsonable(expected).items() if k != "runtime"}


def test_an_undefined_rate_is_null_with_its_reason(toy):
    nothing = {**toy.experiment, "controls": {"benign": 0, "repeats": 0}, "contract": {}}
    result = run_campaign_task(nothing, root=str(toy.place), out=str(toy.place / "out"), jobs=1)
    benign = result["validators"]["strict"]["benign"]
    assert benign["estimate"] is None
    assert benign["reason"]


def test_progress_is_a_line_for_each_tenth(toy):
    lines = []
    run(toy, say=lines.append)
    assert 10 <= len(lines) <= 12
    assert lines[-1].startswith("faults: 31 of 31 frames judged")


def test_a_try_goes_on_where_the_one_before_was_ended(toy, scorecard):
    run(toy, "whole")

    def ended(line):
        if line.startswith("faults: 2"):
            raise Ended

    with pytest.raises(Ended):
        run(toy, store=toy.store, task=KEY, say=ended)
    asked = len(toy.calls())
    with open_store(toy.store) as store:
        assert [r.status for r in store.runs()] == [RunStatus.RUNNING]
    result = run(toy, store=toy.store, task=KEY)
    assert 0 < result["resumed_tasks"] < 31
    assert len(toy.calls()) - asked == 2 * (31 - result["resumed_tasks"])  # two validators; nothing committed again
    assert scorecard(toy.place / "out") == scorecard(toy.place / "whole")
    with open_store(toy.store) as store:
        assert [(r.run_id, r.status) for r in store.runs()] == [(result["run_id"], RunStatus.FINISHED)]


def test_a_halt_among_the_faults_keeps_what_was_judged(toy, scorecard):
    asked = []

    def halt():
        asked.append(1)
        if len(asked) > 24:
            raise Halted(HaltOrder(source="test", reason="incident 7"))

    halted = run(toy, store=toy.store, task=KEY, halt=halt)
    assert halted["halted"]
    assert halted["stopped"] == "halted (test): incident 7"
    assert halted["verdict"] == "inconclusive"
    with open_store(toy.store) as store:
        assert [r.status for r in store.runs()] == [RunStatus.STOPPED]
    result = run(toy, store=toy.store, task=KEY)
    assert (result["halted"], result["run_id"]) == (False, halted["run_id"])
    assert result["resumed_tasks"] > 17
    run(toy, "whole")
    assert scorecard(toy.place / "out") == scorecard(toy.place / "whole")


def test_a_task_that_is_cleared_after_its_end_judges_nothing_again(toy):
    first = run(toy, store=toy.store, task=KEY)
    asked = len(toy.calls())
    again = run(toy, store=toy.store, task=KEY)
    assert len(toy.calls()) == asked
    assert again["resumed_tasks"] == 31
    assert {**again, "resumed_tasks": 0} == first


def test_a_task_that_is_cleared_after_its_suite_was_mended_is_another_run(toy):
    first = run(toy, store=toy.store, task=KEY)
    toy.suite.write_text(toy.suite.read_text().replace("notna().any()", "notna().all()"))
    mended = run(toy, store=toy.store, task=KEY)
    assert mended["run_id"] != first["run_id"]
    assert mended["resumed_tasks"] == 0
    assert mended["verdict"] == "ok"


def test_an_id_in_the_store_knows_neither_try_nor_clock():
    instances = [
        SimpleNamespace(dag_id="a/b c", run_id="r", task_id="t", map_index=i, try_number=n, start_date=n)
        for i, n in [(None, 1), (-1, 7), (0, 1), (1, 1)]
    ]
    ids = [TaskKey.of(i).store_id(IDENTITY) for i in instances]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert ids[0].startswith("a_b_c-")
    others = [replace(IDENTITY, suites={"v": "2"}), replace(IDENTITY, seed=2), replace(IDENTITY, history="g")]
    assert len({KEY.store_id(i) for i in [IDENTITY, *others]}) == 4
    assert KEY.store_id(IDENTITY) != replace(KEY, run_id="manual__2").store_id(IDENTITY)


def outcome(code, stopped=""):
    gates = [{"metric": "fnr", "validator": "v", "verdict": "fail", "reason": "too many"}]
    return {
        "experiment": "e",
        "exit_code": code,
        "stopped": stopped,
        "gates": gates,
        "blind": ["v"],
        "injection_errors": 0,
        "baseline": None,
    }


@pytest.mark.parametrize(
    ("code", "fail_on", "stopped", "final", "said"),
    [
        (0, "gate_failed", "", True, ""),
        (1, "gate_failed", "", True, "campaign 'e': a gate failed: fnr of v: too many"),
        (1, "inconclusive", "", True, ""),
        (1, (), "", True, ""),
        (4, "gate_failed", "", True, ""),
        (4, "inconclusive", "", True, "campaign 'e': no decision: "),
        (4, "inconclusive", "out of time", False, "campaign 'e': no decision (out of time): "),  # a try goes on
        (3, (), "", True, "campaign 'e': could not judge: validator 'v' is blind"),
    ],
)
def test_what_fails_a_task(code, fail_on, stopped, final, said):
    assert failure_in(outcome(code, stopped), fail_on_of(fail_on)) == (final, said)


def test_an_outcome_of_no_name_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'gate_failed'"):
        fail_on_of(["gate_fail"])
    assert fail_on_of([]) == ()
    assert fail_on_of("gate_failed") == (FailOn.GATE_FAILED,)


def test_gates_replace_those_of_the_experiment(toy):
    wanted = [{"metric": "fpr", "limit": "0.9", "validator": "weak"}]  # a template gives text
    experiment, root = experiment_of(toy.file, gates=wanted)
    assert [(g.metric, g.limit, g.validator) for g in experiment.gates] == [("fpr", 0.9, "weak")]
    assert root == toy.place
    assert experiment_of(toy.file, gates=[])[0].gates == []
    assert len(experiment_of(toy.file)[0].gates) == 1
    with pytest.raises(ExperimentError, match="did you mean 'weak'"):
        experiment_of(toy.file, gates=[{"metric": "fpr", "limit": 0.9, "validator": "weka"}])


def test_what_is_wrong_is_seen_before_anything_is_judged(toy, monkeypatch):
    with pytest.raises(ConfigError, match="give root"):
        run_campaign_task(toy.experiment, out=str(toy.place / "out"))
    with pytest.raises(UnknownNameError, match="did you mean 'junit'"):
        run(toy, formats=["junti"])
    with pytest.raises(ConfigError, match="give task"):
        run(toy, store=toy.store)
    with pytest.raises(ConfigError, match="there is no baseline"):
        run(toy, baseline=str(toy.place / "none.yaml"))
    with pytest.raises(ConfigError, match="lies in the folder of results"):
        run(toy, ".")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError):
        run(toy, formats=["prometheus"])
    assert toy.calls() == []
    assert not (toy.place / "out").exists()


def test_further_formats_lie_beside_the_others(toy):
    result = run(toy, formats=["junit", "html"])
    assert {"junit", "html", "markdown"} <= result["files"].keys()
    assert (toy.place / "out" / "junit.xml").stat().st_size > 0


@pytest.mark.parametrize("values", [False, True])
def test_what_history_gave_is_written_only_where_values_may_be(toy, values):
    moved = {**toy.experiment, "faults": [{"fault": "drift.mean", "columns": ["x"], "severities": [4]}]}
    out = str(toy.place / "out")
    run_campaign_task(moved, root=str(toy.place), out=out, jobs=1, store=toy.store, task=KEY, values=values)
    with open_store(toy.store) as store:
        (record,) = store.runs()
        given = [t.resolved for t in store.trials(record.run_id) if t.fault == "drift.mean"]
    assert len(given) == 24
    assert [bool(g) for g in given] == [values] * 24
