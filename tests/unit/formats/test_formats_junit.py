"""JUnit XML read back by junitparser and held against the schema of Jenkins' xUnit plugin."""

import io
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from pipechaos.report.junit import render_junit
from pipechaos.score.baseline import BaselineResult
from pipechaos.score.records import Outcome, TrialKind
from pipechaos.score.scorecard import About

SCHEMAS = Path(__file__).parents[2] / "golden" / "schemas"


def read(text):
    return JUnitXml.fromstring(text.encode())


def suites(text):
    return {s.name: s for s in read(text)}


def cases(suite):
    return {(c.classname, c.name): c for c in suite}


def test_counts_are_those_worked_out_by_hand(report):
    found = suites(render_junit(report))
    counts = {name: (s.tests, s.failures, s.errors, s.skipped) for name, s in found.items()}
    assert counts == {"alpha": (10, 3, 1, 2), "beta": (6, 1, 1, 1), "gates": (3, 1, 0, 1), "baseline": (1, 1, 0, 0)}
    whole = read(render_junit(report))
    assert (whole.tests, whole.failures, whole.errors) == (20, 6, 2)


def test_counts_are_those_of_the_cases(report):
    for suite in read(render_junit(report)):
        results = [type(r) for case in suite for r in case.result]
        assert suite.tests == sum(1 for _ in suite)
        assert (suite.failures, suite.errors, suite.skipped) == tuple(map(results.count, (Failure, Error, Skipped)))


def test_a_survivor_is_a_failure_with_counts_line_and_replay(report):
    case = cases(suites(render_junit(report))["alpha"])["alpha.null.mcar", "x, severity 3 of 5 (fraction 0.2)"]
    (failure,) = case.result
    assert failure.type == "SurvivingFault"
    assert failure.message == "null.mcar got past alpha: missed 3 of 10"
    assert "checks that look at it: x:in_range\n" in failure.text
    assert failure.text.endswith("nobody accepted it\npipechaos replay alpha-w1-9 --experiment tiny.yaml")
    assert case._elem.get("file") == "suites/alpha.py"
    assert case._elem.get("line") == "5"
    assert case.time == pytest.approx(5.0)


def test_each_fate_has_its_result(report):
    found = suites(render_junit(report))
    alpha, beta = cases(found["alpha"]), cases(found["beta"])
    assert alpha["alpha.null.mcar", "y, severity 1 of 5 (fraction 0.01)"].result == []
    (crash,) = next(c for (cls, _), c in alpha.items() if cls == "alpha.value.scale").result
    assert (type(crash), crash.type, crash.message) == (Error, "crash", "no verdict on 2 (crash)")
    (noop,) = next(c for (cls, _), c in alpha.items() if cls == "alpha.rows.drop").result
    assert (type(noop), noop.message) == (Skipped, "in no rate: 2 changed nothing")
    (known,) = beta["beta.null.mcar", "x, severity 3 of 5 (fraction 0.2)"].result
    assert type(known) is Skipped
    assert known.message == "accepted until 2027-01-31 by dana: upstream fills gaps; missed 10 of 10"


def test_false_alarms_are_failures_one_by_one(report):
    found = suites(render_junit(report))
    alpha, beta = cases(found["alpha"]), cases(found["beta"])
    (alarm,) = alpha["alpha.controls", "untouched batch d0"].result
    assert (type(alarm), alarm.type, alarm.message) == (
        Failure,
        "FalsePositive",
        "rejected by x:in_range (not reviewed)",
    )
    (bad,) = alpha["alpha.controls", "untouched batch d1"].result
    assert type(bad) is Skipped
    (benign,) = alpha["alpha.controls", "benign.reencode on d0"].result
    assert benign.type == "BenignAlarm"
    (crash,) = beta["beta.controls", "untouched batch d9"].result
    assert type(crash) is Error
    # d1 was bad and leaves the denominator: 8 of 9
    assert alpha["alpha.controls", "untouched batches"].system_out == "accepted 8 of 9 untouched batches"
    assert beta["beta.controls", "untouched batches"].system_out == "accepted 9 of 9 untouched batches"


def test_gates_and_baseline_have_suites_of_their_own(report):
    found = suites(render_junit(report))
    passed, failed, open_ = list(found["gates"])
    assert passed.result == []
    assert passed.name == "1: fnr of alpha, column y at most 0.25"
    assert failed.result[0].type == "GateFailed"
    assert failed.result[0].message == "fail: fnr of alpha: at least 30.00%, allowed 25.00% (3 of 14)"
    assert type(open_.result[0]) is Skipped
    assert "only 2 clusters" in open_.result[0].message
    (stale,) = list(found["baseline"])
    assert stale.result[0].type == "StaleEntry"


UNSETTLED = BaselineResult(file="b.yaml", entries=(), reason="alpha judged no trial that counts")


def test_a_baseline_that_cannot_pass_is_skipped_with_its_reason(make_report):
    (entry,) = suites(render_junit(make_report(baseline=UNSETTLED)))["baseline"]
    assert type(entry.result[0]) is Skipped
    assert entry.result[0].message == "inconclusive: alpha judged no trial that counts"
    (fine,) = suites(render_junit(make_report(baseline=BaselineResult(file="b.yaml", entries=()))))["baseline"]
    assert fine.result == []


def test_a_run_that_was_cut_short_says_so_in_a_property(make_report):
    about = About(name="tiny", digest="0", seed=5, stopped="the budget of 5 minutes was reached")
    for suite in read(render_junit(make_report(about=about))):
        assert {p.name: p.value for p in suite.properties()}["stopped"] == "the budget of 5 minutes was reached"
    assert all("stopped" not in {p.name for p in s.properties()} for s in read(render_junit(make_report())))


def test_properties_hold_rates_counts_and_why_one_is_undefined(make_report, new_control):
    lone = [new_control("alpha", TrialKind.NATURAL, at, Outcome.TN) for at in range(4)]
    (suite,) = read(render_junit(make_report(lone)))
    got = {p.name: p.value for p in suite.properties()}
    assert (got["fpr"], got["fpr.hits"], got["fpr.n"], got["fpr.clusters"]) == ("0", "0", "4", "4")
    assert (got["fnr"], got["fnr.n"], got["fnr.undefined"]) == ("n/a", "0", "no trials")
    assert got["seed"] == "5"


def test_a_blind_validator_fails_and_an_untried_one_does_not_pass(make_report, new_control):
    blind = [new_control("alpha", TrialKind.CANARY, at, Outcome.ACCEPTED, fault=f"canary.{at}") for at in range(3)]
    (suite,) = read(render_junit(make_report(blind)))
    (failure,) = cases(suite)["alpha.controls", "canaries"].result
    assert (failure.type, failure.message.partition(":")[0]) == ("Blind", "caught 0 of 3 canaries")
    (suite,) = read(render_junit(make_report([new_control("alpha", TrialKind.NATURAL, 0, Outcome.TN)])))
    assert type(cases(suite)["alpha.controls", "canaries"].result[0]) is Skipped


def test_a_survivor_without_a_baseline_is_a_failure_too(plain):
    found = suites(render_junit(plain))
    assert sorted(found) == ["alpha", "beta"]
    (failure,) = cases(found["beta"])["beta.null.mcar", "x, severity 3 of 5 (fraction 0.2)"].result
    assert failure.type == "SurvivingFault"


def test_it_is_valid_against_the_schema_of_jenkins(report):
    xmlschema = pytest.importorskip("xmlschema")
    root = ET.fromstring(render_junit(report))  # noqa: S314 - our own text
    for case in root.iter("testcase"):  # the schema knows neither; see tests/golden/schemas/README.md
        case.attrib.pop("file", None)
        case.attrib.pop("line", None)
    schema = xmlschema.XMLSchema(str(SCHEMAS / "junit-10.xsd"))
    schema.validate(io.BytesIO(ET.tostring(root)))
