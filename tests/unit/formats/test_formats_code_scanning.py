"""SARIF and mutation-testing JSON against their published schemas, and against what was worked out by hand."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft4Validator, Draft7Validator, FormatChecker

from pipechaos.report.mutation import read_source, render_mutation
from pipechaos.report.sarif import render_sarif
from pipechaos.score.records import Outcome

SCHEMAS = Path(__file__).parents[2] / "golden" / "schemas"
SARIF = Draft4Validator(
    json.loads((SCHEMAS / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8")), format_checker=FormatChecker()
)
MUTATION = Draft7Validator(json.loads((SCHEMAS / "mutation-testing-report-schema.json").read_text(encoding="utf-8")))
ALPHA = "import pandera\n\nschema = dict(\n\tid=1,\n    x=2,\n)\n"


def sarif(report):
    log = json.loads(render_sarif(report))
    assert [e.message for e in SARIF.iter_errors(log)] == []
    (run,) = log["runs"]
    return run


def results(report):
    return {r["partialFingerprints"]["pipechaosWeakness/v1"]: r for r in sarif(report)["results"]}


def mutation(report, read=lambda file: None):
    out = json.loads(render_mutation(report, read=read))
    assert [e.message for e in MUTATION.iter_errors(out)] == []
    return out


def mutants(report, read=lambda file: None):
    files = mutation(report, read)["files"]
    return {m["id"]: (file, m) for file, entry in files.items() for m in entry["mutants"]}


def test_the_sarif_schema_refuses_what_is_wrong(report):
    log = json.loads(render_sarif(report))
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert not SARIF.is_valid(log)


def test_sarif_has_a_result_for_each_survivor(report):
    found = results(report)
    assert list(found) == ["beta-w1", "beta-w2", "alpha-w1"]  # 10 of 10, 2 of 2, 3 of 10
    assert {k: r["ruleId"] for k, r in found.items()} == {
        "alpha-w1": "null.mcar",
        "beta-w1": "null.mcar",
        "beta-w2": "value.scale",
    }
    assert {k: r["level"] for k, r in found.items()} == {"alpha-w1": "warning", "beta-w1": "error", "beta-w2": "error"}


def test_sarif_rules_are_the_faults_and_indexes_point_at_them(report):
    run = sarif(report)
    rules = [r["id"] for r in run["tool"]["driver"]["rules"]]
    assert rules == ["null.mcar", "value.scale"]
    assert all(rules[r["ruleIndex"]] == r["ruleId"] for r in run["results"])
    assert run["tool"]["driver"]["version"] == "0.1.0"


def test_every_sarif_rule_has_the_texts_that_code_scanning_asks_for(make_report, new_fault):
    trials = [
        new_fault("alpha-w1", 0, Outcome.FN),
        new_fault("alpha-w2", 0, Outcome.FN, fault="null.of_another_version"),
    ]
    for rule in sarif(make_report(trials))["tool"]["driver"]["rules"]:
        assert all(rule[name]["text"] for name in ("shortDescription", "fullDescription", "help"))


def test_survivors_are_those_of_the_scorecard(report):
    scored = {s.weakness_id: (s.missed, s.missed + s.detected) for v in report.card.validators for s in v.survivors}
    assert {k: (r["properties"]["missed"], r["properties"]["judged"]) for k, r in results(report).items()} == scored


def test_sarif_points_at_the_line_of_the_column_or_else_of_the_suite(report):
    found = results(report)

    def place(name):
        physical = found[name]["locations"][0]["physicalLocation"]
        return physical["artifactLocation"]["uri"], physical["region"]["startLine"]

    assert place("alpha-w1") == ("suites/alpha.py", 5)
    assert place("beta-w2") == ("suites/beta%20suite.json", 1)


def test_sarif_without_a_file_still_says_which_column(plain):
    (location,) = results(plain)["beta-w2"]["locations"]
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "beta/z"
    assert "physicalLocation" not in location


def test_sarif_suppresses_what_the_baseline_accepts(report, plain):
    found = results(report)
    (word,) = found["beta-w1"]["suppressions"]
    assert (word["status"], word["justification"]) == (
        "accepted",
        "accepted until 2027-01-31 by dana: upstream fills gaps",
    )
    assert {k: r["baselineState"] for k, r in found.items()} == {
        "alpha-w1": "new",
        "beta-w2": "new",
        "beta-w1": "unchanged",
    }
    assert "suppressions" not in found["alpha-w1"]
    assert not any("suppressions" in r or "baselineState" in r for r in results(plain).values())


def test_sarif_messages_hold_no_link_and_no_placeholder(make_report, new_fault):
    trials = [new_fault("alpha-w1", 0, Outcome.FN, columns=("[click](http://evil) {0}",))]
    (result,) = sarif(make_report(trials))["results"]
    text = result["message"]["text"]
    assert "\\[click\\](http://evil) {{0}}" in text


def test_sarif_says_whether_the_run_worked(report):
    (invocation,) = sarif(report)["invocations"]
    assert invocation == {"executionSuccessful": True, "exitCode": 1}  # a gate fails


def test_each_fate_is_a_status_of_a_mutant(report):
    found = {name: m["status"] for name, (_, m) in mutants(report).items()}
    assert found == {
        "alpha-w1": "Survived",
        "alpha-w2": "Killed",
        "alpha-w3": "RuntimeError",
        "alpha-w4": "Ignored",
        "beta-w1": "Ignored",
        "beta-w2": "NoCoverage",
    }


def test_mutants_name_the_checks_that_killed_and_covered_them(report):
    tests = {t["id"]: t["name"] for f in mutation(report)["testFiles"].values() for t in f["tests"]}
    _, killed = mutants(report)["alpha-w2"]
    assert [tests[i] for i in killed["killedBy"]] == ["y:mean"]
    _, survived = mutants(report)["alpha-w1"]
    assert survived["killedBy"] == []
    assert [tests[i] for i in survived["coveredBy"]] == ["x:in_range", "y:mean"]  # the second by luck, on two batches
    assert mutants(report)["beta-w2"][1]["coveredBy"] == []


def test_mutants_stand_on_their_line_of_the_suite(report):
    found = mutants(report, {"suites/alpha.py": ALPHA}.get)
    file, mutant = found["alpha-w1"]
    assert file == "suites/alpha.py"
    assert mutant["location"] == {"start": {"line": 5, "column": 1}, "end": {"line": 5, "column": 9}}
    source = mutation(report, {"suites/alpha.py": ALPHA}.get)["files"][file]["source"]
    assert source.split("\n")[4] == "    x=2,"
    assert source.count("\n") == ALPHA.count("\n")


def test_a_suite_that_is_not_there_is_shown_as_its_checks(report):
    file, mutant = mutants(report)["alpha-w2"]
    entry = mutation(report)["files"][file]
    assert file == "alpha (its checks)"
    assert entry["source"].split("\n") == ["x:in_range", "y:mean", "rows"]
    assert mutant["location"]["start"]["line"] == 2


def test_a_line_past_the_end_of_a_changed_file_stays_inside_it(report):
    _, mutant = mutants(report, {"suites/alpha.py": "one line"}.get)["alpha-w1"]
    assert mutant["location"] == {"start": {"line": 1, "column": 1}, "end": {"line": 1, "column": 9}}


def test_sources_are_read_from_where_the_command_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suite.py").write_text("x = 'ü'\n", encoding="utf-8")
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\x00")
    assert read_source("suite.py") == "x = 'ü'\n"
    assert read_source("nowhere.py") is None
    assert read_source("bytes.py") is None


@pytest.mark.parametrize("render", [render_sarif, render_mutation])
def test_the_same_report_gives_the_same_bytes(report, render):
    assert render(report) == render(report)
