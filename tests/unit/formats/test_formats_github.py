"""Annotations, step summary, badge, and the registry that writes them all."""

import dataclasses
import json
import re

import pytest

from pipechaos.errors import CannotRunError, MissingExtraError, UnknownNameError
from pipechaos.report.badge import render_badge
from pipechaos.report.formats import FORMATS, render, write_reports
from pipechaos.report.github import github_annotations, github_output, write_github
from pipechaos.score.baseline import BaselineResult
from pipechaos.score.gates import GateVerdict
from pipechaos.score.records import Outcome, TrialKind
from pipechaos.score.scorecard import About

ON = {"GITHUB_ACTIONS": "true"}
COMMAND = re.compile(r"::(error|warning) ((?:[a-z]+=[^:,]*,?)+)::(.*)")


def read(text):
    """Commands as GitHub's runner reads them."""
    found = []
    for line in text.splitlines():
        level, properties, message = COMMAND.fullmatch(line).groups()
        given = dict(p.split("=", 1) for p in properties.split(","))
        found.append((level, {k: unescape(v) for k, v in given.items()}, unescape(message)))
    return found


def unescape(text):
    for written, mark in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(written, mark)
    return text


# --- annotations ------------------------------------------------------------------------------------------------------


def test_annotations_name_gates_baseline_survivors_and_false_alarms(report):
    told = [(level, p["title"]) for level, p, _ in read(github_annotations(report))]
    assert told == [
        ("error", "gate fail"),
        ("error", "stale entry of the baseline"),
        ("error", "value.scale on z got past beta"),
        ("error", "null.mcar on x got past alpha"),
        ("warning", "gate inconclusive"),
        ("warning", "false alarm"),
    ]


UNSETTLED = BaselineResult(file="b.yaml", entries=(), reason="alpha judged no trial that counts")


def test_a_baseline_that_cannot_pass_is_a_warning(make_report):
    told = {p["title"]: (level, said) for level, p, said in read(github_annotations(make_report(baseline=UNSETTLED)))}
    assert told["baseline inconclusive"] == ("warning", "alpha judged no trial that counts")


def test_annotations_stand_on_the_line_of_the_check(report):
    (found,) = [p for _, p, _ in read(github_annotations(report)) if p["title"] == "null.mcar on x got past alpha"]
    assert (found["file"], found["line"]) == ("suites/alpha.py", "5")


def test_files_are_told_from_the_top_of_the_repository(report, tmp_path, monkeypatch):
    def files(workspace):
        out = github_output(report, {**ON, "GITHUB_WORKSPACE": workspace})
        return {p.get("file") for _, p, _ in read(out.annotations)}

    (tmp_path / "feature" / "store").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "feature" / "store")
    assert "feature/store/suites/alpha.py" in files(str(tmp_path))
    assert "suites/alpha.py" in files(str(tmp_path / "feature" / "store"))
    assert "suites/alpha.py" in files("") & files("/elsewhere")


def test_survivors_are_warnings_where_nobody_keeps_a_baseline(plain):
    told = [(level, p["title"]) for level, p, _ in read(github_annotations(plain))]
    assert ("warning", "null.mcar on x got past beta") in told
    assert {level for level, _ in told} == {"warning"}


def test_a_blind_validator_comes_first(make_report, new_control):
    trials = [new_control("alpha", TrialKind.CANARY, at, Outcome.ACCEPTED, fault=f"canary.{at}") for at in range(3)]
    level, properties, _ = read(github_annotations(make_report(trials)))[0]
    assert (level, properties["title"]) == ("error", "blind validator")


@pytest.mark.parametrize(("survivors", "shown"), [(10, 10), (11, 10), (40, 10)])
def test_at_most_ten_of_a_kind(make_report, new_fault, survivors, shown):
    trials = [new_fault(f"alpha-w{at}", 0, Outcome.FN, columns=(f"c{at}",)) for at in range(survivors)]
    found = read(github_annotations(make_report(trials)))
    assert len(found) == shown
    more = [m for _, _, m in found if "more of this kind" in m]
    assert more == ([] if survivors == 10 else [f"{survivors - 9} more of this kind: see the report"])


def test_annotations_escape_what_ends_a_command(make_report, new_fault):
    trials = [new_fault("alpha-w1", 0, Outcome.FN, columns=("50%,%3A%0Aa:b::error::x\r\n::error::y",))]
    text = github_annotations(make_report(trials))
    assert len(text.splitlines()) == 1
    (found,) = read(text)
    assert found[1]["title"] == "null.mcar on 50%,%3A%0Aa:b::error::x\\r\\n::error::y got past alpha"


# --- summary ----------------------------------------------------------------------------------------------------------


def test_anywhere_else_nothing_is_said(report, tmp_path):
    environ = {"GITHUB_STEP_SUMMARY": str(tmp_path / "s.md")}
    for value in ("", "false", "1"):
        assert github_output(report, {**environ, "GITHUB_ACTIONS": value}) is None
        assert write_github(report, {**environ, "GITHUB_ACTIONS": value}) == ""
    assert not (tmp_path / "s.md").exists()


def test_the_summary_is_appended(report, tmp_path):
    file = tmp_path / "s.md"
    file.write_text("before\n", encoding="utf-8")
    assert write_github(report, {**ON, "GITHUB_STEP_SUMMARY": str(file)}) == github_annotations(report)
    text = file.read_text(encoding="utf-8")
    assert text.startswith("before\n## tiny")
    assert text.endswith("\n")


def test_the_summary_and_what_was_there_stay_below_a_mebibyte(make_report, new_fault):
    names = ["c" * 3000 + str(at) for at in range(400)]
    report = make_report([new_fault(f"alpha-w{at}", 0, Outcome.FN, columns=(name,)) for at, name in enumerate(names)])
    for written in (0, 1_000_000, 1_040_000, 1_044_575, 1_044_576, 1_048_576, 2_000_000):
        out = github_output(report, {**ON, "GITHUB_STEP_SUMMARY": "s.md"}, written=written)
        size = len(out.summary.encode())
        assert size == 0 or written + size < 1_048_576
        assert (size > 0) == (written < 1_044_576)


def test_a_summary_that_cannot_be_written_is_a_warning(report, tmp_path):
    found = read(write_github(report, {**ON, "GITHUB_STEP_SUMMARY": str(tmp_path)}))
    assert "could not be written" in found[-1][2]
    assert found[-1][0] == "warning"


# --- badge ------------------------------------------------------------------------------------------------------------


def badge(report, **more):
    return json.loads(render_badge(report, **more))


def test_the_badge_has_what_shields_asks_for(report):
    found = badge(report)
    assert set(found) == {"schemaVersion", "label", "message", "color"}
    assert (found["schemaVersion"], found["label"]) == (1, "pipechaos")
    assert badge(report, validator="alpha")["message"] == "FNR 15% · FPR 11%"
    # together: both miss 3 of 10 of w1, alpha catches w2 for beta; of d2 to d8 none is rejected, d0 is
    assert found["message"] == "FNR 15% · FPR 12%"
    assert badge(report, validator="beta")["message"] == "FNR 100% · FPR 0%"


def test_the_badge_of_an_unknown_validator_is_refused(report):
    with pytest.raises(UnknownNameError, match="did you mean 'alpha'"):
        badge(report, validator="alhpa")


def test_the_badge_is_coloured_by_the_verdict(report, plain, make_report, new_control):
    def of(*verdicts):
        gates = tuple(g for g in report.card.gates if g.verdict in verdicts)
        return badge(dataclasses.replace(report, baseline=None, card=dataclasses.replace(report.card, gates=gates)))

    assert of(GateVerdict.PASS)["color"] == "brightgreen"
    assert of(GateVerdict.PASS, GateVerdict.INCONCLUSIVE)["color"] == "yellow"
    assert of(GateVerdict.INCONCLUSIVE, GateVerdict.FAIL)["color"] == "red"
    assert badge(dataclasses.replace(plain, baseline=report.baseline))["color"] == "red"  # something is new
    assert badge(plain)["color"] == "blue"
    blind = [new_control("alpha", TrialKind.CANARY, at, Outcome.ACCEPTED, fault=f"canary.{at}") for at in range(3)]
    assert badge(make_report(blind)) == {
        "schemaVersion": 1,
        "label": "pipechaos",
        "message": "blind · FNR n/a · FPR n/a",
        "color": "red",
    }


def test_the_badge_is_never_green_for_what_was_not_judged(report, plain, make_report):
    passed = tuple(g for g in report.card.gates if g.verdict is GateVerdict.PASS)
    cut = About(name="tiny", digest="0", seed=5, stopped="the budget was reached")
    for gates in (passed, ()):
        found = badge(make_report(gates=gates, about=cut))
        assert (found["color"], found["message"].partition(" FNR")[0]) == ("yellow", "cut short ·")
    assert badge(dataclasses.replace(plain, baseline=UNSETTLED))["color"] == "yellow"
    assert badge(dataclasses.replace(plain, baseline=dataclasses.replace(UNSETTLED, reason="")))["color"] == (
        "brightgreen"
    )


# --- registry ---------------------------------------------------------------------------------------------------------


def test_files_are_written_through_temporary_names(report, tmp_path):
    names = ["markdown", "junit", "sarif", "mutation", "prometheus", "badge"]
    targets = {name: tmp_path / "new" / FORMATS[name].file for name in names}
    assert write_reports(report, targets, timestamp=7.0) == {name: str(path) for name, path in targets.items()}
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == sorted(FORMATS[name].file for name in names)
    assert targets["badge"].read_text(encoding="utf-8") == render(report, "badge")
    assert "pipechaos_last_run_timestamp_seconds" in targets["prometheus"].read_text(encoding="utf-8")


def test_no_file_is_written_where_one_format_is_wrong(report, tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'sarif'"):
        write_reports(report, {"junit": tmp_path / "j.xml", "sarf": tmp_path / "s.json"})
    assert list(tmp_path.iterdir()) == []


def test_one_format_that_fails_costs_no_other(report, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    targets = {
        "junit": tmp_path / "file" / "j.xml",
        "badge": tmp_path / "b.json",
        "sarif": tmp_path / "file" / "s.json",
    }
    with pytest.raises(CannotRunError, match=r"(?s)junit: cannot write .*sarif: cannot write "):
        write_reports(report, targets)
    assert (tmp_path / "b.json").read_text(encoding="utf-8") == render(report, "badge")


def test_a_missing_library_is_known_before_it_is_needed(monkeypatch):
    for name, needed in (("html", "jinja2"), ("prometheus", "prometheus_client")):
        FORMATS[name].check()
        monkeypatch.setattr("importlib.util.find_spec", lambda found, needed=needed: None if found == needed else found)
        with pytest.raises(MissingExtraError, match=f"{needed} is not installed"):
            FORMATS[name].check()
        monkeypatch.undo()


def test_a_file_that_cannot_be_written_says_so(report, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(CannotRunError, match="cannot write"):
        write_reports(report, {"badge": tmp_path / "file" / "badge.json"})
    (tmp_path / "folder").mkdir()
    with pytest.raises(CannotRunError, match="cannot write"):
        write_reports(report, {"badge": tmp_path / "folder"})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_default_names_differ():
    assert len({f.file for f in FORMATS.values()}) == len(FORMATS)
