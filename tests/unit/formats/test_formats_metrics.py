"""Metrics and lineage, read back by the readers they are meant for."""

import datetime as dt
import json
import logging
import math
import os
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.parser import text_string_to_metric_families
from referencing import Registry, Resource

from pipechaos.errors import MissingExtraError
from pipechaos.report.lineage import emit_lineage, lineage_configured, lineage_events
from pipechaos.report.metrics import record_metrics
from pipechaos.report.prometheus import render_prometheus
from pipechaos.score.baseline import BaselineResult
from pipechaos.score.records import Outcome, TrialKind

SCHEMAS = Path(__file__).parents[2] / "golden" / "schemas"
STARTED = dt.datetime(2026, 11, 25, 6, 0, tzinfo=dt.UTC)
TIMES = {"started": STARTED, "finished": STARTED + dt.timedelta(minutes=5)}


# --- Prometheus -------------------------------------------------------------------------------------------------------


def samples(text):
    return {
        (s.name, s.labels.get("validator"), *(v for k, v in sorted(s.labels.items()) if k in ("kind", "outcome"))): s
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_prometheus_reads_the_rates_with_bounds_and_counts(report):
    found = {k: s.value for k, s in samples(render_prometheus(report)).items()}
    # alpha: the mean of 3/10 and 0/4, weakness by weakness; beta misses everything
    assert found["pipechaos_fnr", "alpha"] == pytest.approx(0.15)
    assert (found["pipechaos_fnr_hits", "alpha"], found["pipechaos_fnr_trials", "alpha"]) == (3, 14)
    assert found["pipechaos_fnr", "beta"] == 1
    assert found["pipechaos_fpr", "alpha"] == pytest.approx(1 / 9)
    assert found["pipechaos_fnr_lower", "alpha"] < 0.15 < found["pipechaos_fnr_upper", "alpha"]
    assert found["pipechaos_trials", "alpha", "fault", "tp"] == 11
    assert found["pipechaos_trials", "beta", "natural", "error"] == 1
    assert found["pipechaos_blind", "alpha"] == 0


def test_prometheus_tells_the_verdict_of_the_gates(report):
    found = {k: s.value for k, s in samples(render_prometheus(report, timestamp=1764000000.5)).items()}
    assert found["pipechaos_gates", None] == 3
    assert found["pipechaos_gate_failed", None] == 1
    assert found["pipechaos_gate_inconclusive", None] == 1
    assert found["pipechaos_exit_code", None] == 1
    assert found["pipechaos_last_run_timestamp_seconds", None] == 1764000000.5
    assert ("pipechaos_last_run_timestamp_seconds", None) not in samples(render_prometheus(report))


def test_prometheus_has_few_labels(report):
    labels = {name for s in samples(render_prometheus(report)).values() for name in s.labels}
    assert labels == {"experiment", "validator", "kind", "outcome"}


def test_an_undefined_rate_is_nan_and_not_zero(make_report, new_control):
    report = make_report([new_control("alpha", TrialKind.NATURAL, at, Outcome.TN) for at in range(3)])
    found = samples(render_prometheus(report))
    assert math.isnan(found["pipechaos_fnr", "alpha"].value)
    assert found["pipechaos_fpr", "alpha"].value == 0


# --- OpenTelemetry ----------------------------------------------------------------------------------------------------


def points(reader):
    data = reader.get_metrics_data()
    metrics = [] if data is None else [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics]
    return {m.name: {tuple(sorted(p.attributes.items())): p.value for p in m.data.data_points} for m in metrics}


def test_otel_counts_trials_and_sets_gauges(report):
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    record_metrics(report, provider)
    found = points(reader)
    alpha = (("experiment", "tiny"), ("validator", "alpha"))
    assert found["pipechaos.fnr"][alpha] == pytest.approx(0.15)
    assert found["pipechaos.fpr"][alpha] == pytest.approx(1 / 9)
    trials = {tuple(v for _, v in at): n for at, n in found["pipechaos.trials"].items()}
    assert trials["tiny", "fault", "fn", "beta"] == 12
    assert trials["tiny", "natural", "fp", "alpha"] == 2
    assert sum(trials.values()) == len(report.trials)


def test_otel_leaves_an_undefined_rate_out(make_report, new_control):
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    record_metrics(make_report([new_control("alpha", TrialKind.NATURAL, 0, Outcome.TN)]), provider)
    assert "pipechaos.fnr" not in points(reader)


def test_otel_without_an_sdk_does_nothing(report):
    record_metrics(report, NoOpMeterProvider())


# --- OpenLineage ------------------------------------------------------------------------------------------------------


@pytest.fixture
def unconfigured(tmp_path, monkeypatch):
    for name in [n for n in os.environ if n.startswith("OPENLINEAGE")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def to_file(path):
    return {"transport": {"type": "file", "log_file_path": str(path), "append": True}}


@pytest.fixture
def sent(report, unconfigured):
    path = unconfigured / "events.jsonl"
    assert emit_lineage(report, **TIMES, config=to_file(path)) == ""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def schema(name):
    return json.loads((SCHEMAS / name).read_text(encoding="utf-8"))


def test_lineage_events_are_valid_against_the_published_schemas(sent):
    core = schema("openlineage-core.json")
    core["$defs"] = core["definitions"]  # the facet names the newer place of the same definitions
    home = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
    registry = Registry().with_resource(home, Resource.from_contents(core))
    facet = schema("openlineage-test-run-facet.json")
    for event in sent:
        errors = Draft202012Validator(core, format_checker=FormatChecker()).iter_errors(event)
        assert [e.message for e in errors] == []
    validator = Draft202012Validator(facet, registry=registry)
    assert [e.message for e in validator.iter_errors(sent[1]["run"]["facets"])] == []
    assert not validator.is_valid({"test": {"tests": []}})  # it looks at the facet: no producer


def test_lineage_says_start_and_complete_of_one_run(sent):
    assert [e["eventType"] for e in sent] == ["START", "COMPLETE"]
    assert len({e["run"]["runId"] for e in sent}) == 1
    assert sent[0]["eventTime"] == "2026-11-25T06:00:00+00:00"
    assert "test" not in sent[0]["run"]["facets"]


def test_lineage_carries_faults_and_gates_as_tests_of_the_run(sent):
    tests = {t["name"]: t for t in sent[1]["run"]["facets"]["test"]["tests"]}
    assert {n: t["status"] for n, t in tests.items() if t["type"] == "gate"} == {
        "gate 1: fnr of alpha": "pass",
        "gate 2: fnr of alpha": "fail",
        "gate 3: fnr of alpha": "skip",
    }
    assert {n: (t["status"], t["actual"], t["severity"]) for n, t in tests.items() if t["type"] == "fault"} == {
        "alpha rejects null.mcar": ("fail", "3 of 14 missed", "warn"),
        "alpha rejects value.scale": ("skip", "0 of 0 missed", "warn"),
        "alpha rejects rows.drop": ("skip", "0 of 0 missed", "warn"),
        "beta rejects null.mcar": ("pass", "10 of 10 missed", "warn"),  # accepted
        "beta rejects value.scale": ("fail", "2 of 2 missed", "warn"),
    }
    assert (tests["baseline"]["status"], tests["baseline"]["actual"]) == ("fail", "3 entries")


def test_lineage_skips_a_baseline_that_cannot_pass(make_report):
    def told(reason):
        held = BaselineResult(file="b.yaml", entries=(), reason=reason)
        event = lineage_events(make_report(baseline=held), **TIMES)[1]
        (found,) = [t for t in event.run.facets["test"].tests if t.name == "baseline"]
        return found.status, found.description

    assert told("alpha judged no trial that counts") == ("skip", "alpha judged no trial that counts")
    assert told("") == ("pass", None)


def test_every_dataset_of_lineage_lies_in_a_namespace_of_our_own(sent):
    named = [d for e in sent for d in (*e["inputs"], *e["outputs"], e["job"])]
    assert len(named) == 5
    assert {d["namespace"] for d in named} == {"pipechaos://tiny"}
    assert all("dataQualityAssertions" not in {**d.get("facets", {}), **d.get("inputFacets", {})} for d in named)


def test_the_run_id_is_kept_where_it_is_one_and_repeats_otherwise(make_report):
    known = str(uuid.uuid4())
    begins, _ = lineage_events(make_report(run_id=known), **TIMES)
    assert begins.run.runId == known
    first, second = (lineage_events(make_report(run_id="run-7"), **TIMES)[0].run.runId for _ in range(2))
    assert first == second != lineage_events(make_report(run_id="run-8"), **TIMES)[0].run.runId


def test_without_a_configuration_nothing_is_sent_or_printed(report, unconfigured, capfd, caplog):
    with caplog.at_level(logging.DEBUG):
        assert emit_lineage(report, **TIMES) == ""
    out = capfd.readouterr()
    assert (out.out, out.err, caplog.text) == ("", "", "")


def test_a_file_without_a_transport_prints_no_event(report, unconfigured, capfd, caplog):
    Path("openlineage.yml").write_text("tags: {}\n", encoding="utf-8")
    assert lineage_configured({})
    assert emit_lineage(report, **TIMES) == ""
    assert "eventType" not in capfd.readouterr().out + caplog.text


def test_the_usual_variables_and_files_turn_it_on(unconfigured):
    assert not lineage_configured({})
    assert not lineage_configured({"OPENLINEAGE_CONFIG": "nowhere.yml"})
    assert lineage_configured({"OPENLINEAGE_URL": "http://127.0.0.1:5000"})
    assert lineage_configured({"OPENLINEAGE__TRANSPORT__TYPE": "http"})
    assert not lineage_configured({"OPENLINEAGE_URL": "http://127.0.0.1:5000", "OPENLINEAGE_DISABLED": "True"})
    Path("here.yml").write_text("", encoding="utf-8")
    assert lineage_configured({"OPENLINEAGE_CONFIG": "here.yml"})


def test_a_catalogue_that_is_down_is_one_line_without_its_password(report, unconfigured, monkeypatch):
    def refuse(self, event):
        raise ConnectionError("no route to http://me:hunter2@catalogue\nsecond line")

    monkeypatch.setattr("openlineage.client.transport.file.FileTransport.emit", refuse)
    said = emit_lineage(report, **TIMES, config=to_file(unconfigured / "e"))
    assert said == "lineage was not sent: ConnectionError: no route to http://catalogue\\nsecond line"


def test_a_catalogue_that_hangs_is_given_up(report, unconfigured, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr("openlineage.client.transport.file.FileTransport.emit", lambda self, event: released.wait(60))
    try:
        assert emit_lineage(report, **TIMES, config=to_file(unconfigured / "e"), seconds=0.2) == (
            "lineage was not sent: not done after 0.2 s"
        )
    finally:
        released.set()
    while any(t.name == "pipechaos-lineage" for t in threading.enumerate()):
        time.sleep(0.01)


def test_a_wrong_configuration_is_a_line_and_no_exception(report, unconfigured):
    said = emit_lineage(report, **TIMES, config={"transport": {"type": "pigeon"}})
    assert said.startswith("lineage was not sent: ")


# --- without the libraries --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("library", "call", "extra"),
    [
        ("prometheus_client", render_prometheus, "prometheus"),
        ("opentelemetry", record_metrics, "otel"),
        ("openlineage.client", lambda report: lineage_events(report, **TIMES), "lineage"),
    ],
)
def test_a_missing_library_names_its_extra(plain, monkeypatch, library, call, extra):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"pipechaos\[{extra}\]"):
        call(plain)
