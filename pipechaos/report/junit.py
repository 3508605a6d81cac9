"""The report as JUnit XML: a test suite for each validator, a test case for each weakness and each false alarm."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from xml.etree import ElementTree as ET

from pipechaos.report.escape import listed, visible
from pipechaos.report.inputs import Location, Report
from pipechaos.report.numbers import plural
from pipechaos.report.weaknesses import (
    Fate,
    Weakness,
    accepted_text,
    baseline_of,
    checks_looking,
    gate_text,
    place_of,
    shown,
    weaknesses,
)
from pipechaos.score.baseline import Standing
from pipechaos.score.gates import GateVerdict
from pipechaos.score.records import Outcome, Rate, Review
from pipechaos.score.scorecard import Alarm, ValidatorScore

__all__ = ["render_junit"]


class _Result(StrEnum):
    PASSED = ""
    FAILURE = "failure"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class _Case:
    classname: str
    name: str
    result: _Result = _Result.PASSED
    kind: str = ""
    message: str = ""
    body: tuple[str, ...] = ()
    seconds: float = 0.0
    place: Location | None = None


@dataclass(frozen=True, kw_only=True)
class _Suite:
    name: str
    cases: Sequence[_Case]
    properties: Mapping[str, str] = field(default_factory=dict)

    def count(self, result: _Result) -> int:
        return sum(c.result is result for c in self.cases)

    @property
    def seconds(self) -> float:
        return sum(c.seconds for c in self.cases)


def render_junit(report: Report) -> str:
    """Write JUnit XML.

    A survivor is a failure of type ``SurvivingFault``, an accepted one is skipped with its reason, a weakness that no
    trial judged is an error; a rejected untouched batch is a failure of type ``FalsePositive``. Gates and the baseline
    have suites of their own.

    Parameters
    ----------
    report
        What is known.

    Returns
    -------
    str
        XML; characters that it cannot hold are written out.
    """
    everything = weaknesses(report)
    suites = [_of_validator(report, v, everything) for v in report.card.validators]
    suites += [s for s in (_gates(report), _baseline(report)) if s.cases]
    root = ET.Element("testsuites", {"name": "pipechaos", **_totals(suites)})
    for suite in suites:
        _add(root, suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _totals(suites: Sequence[_Suite]) -> dict[str, str]:
    return {
        "tests": str(sum(len(s.cases) for s in suites)),
        "failures": str(sum(s.count(_Result.FAILURE) for s in suites)),
        "errors": str(sum(s.count(_Result.ERROR) for s in suites)),
        "time": f"{sum(s.seconds for s in suites):.3f}",
    }


def _add(root: ET.Element, suite: _Suite) -> None:
    skipped = {"skipped": str(suite.count(_Result.SKIPPED))}
    at = ET.SubElement(root, "testsuite", {"name": suite.name, **_totals([suite]), **skipped})
    if suite.properties:
        properties = ET.SubElement(at, "properties")
        for name, value in suite.properties.items():
            ET.SubElement(properties, "property", {"name": name, "value": visible(value)})
    for case in suite.cases:
        place = {} if case.place is None else {"file": visible(case.place.file), "line": str(case.place.line)}
        attributes = {"classname": case.classname, "name": visible(case.name), "time": f"{case.seconds:.3f}", **place}
        element = ET.SubElement(at, "testcase", attributes)
        if case.result is not _Result.PASSED:
            kind = {"type": case.kind} if case.kind else {}
            result = ET.SubElement(element, case.result.value, {"message": visible(case.message), **kind})
            result.text = "\n".join(visible(line) for line in case.body) or None
        elif case.message:
            ET.SubElement(element, "system-out").text = visible(case.message)


# --- validators -------------------------------------------------------------------------------------------------------


def _of_validator(report: Report, score: ValidatorScore, everything: Iterable[Weakness]) -> _Suite:
    name = shown(score.name)
    mine = [w for w in everything if w.owner == score.name]
    cases = [_canaries(score), *(_of_weakness(w, score) for w in mine), *_controls(report, score)]
    return _Suite(name=name, cases=cases, properties=_properties(report, score))


def _of_weakness(weakness: Weakness, score: ValidatorScore) -> _Case:
    case = _Case(
        classname=f"{weakness.validator}.{weakness.fault}",
        name=f"{weakness.where}, {weakness.dose}",
        seconds=weakness.seconds,
        place=weakness.place,
    )
    if weakness.fate is Fate.CAUGHT:
        return replace(case, message=weakness.counts if weakness.errors else "")
    if weakness.fate is Fate.ERROR:
        return replace(case, result=_Result.ERROR, kind=weakness.cause or "error", message=weakness.counts)
    if weakness.fate is Fate.OUTSIDE:
        return replace(case, result=_Result.SKIPPED, message=f"in no rate: {weakness.counts}")
    if weakness.fate is Fate.ACCEPTED:
        return replace(case, result=_Result.SKIPPED, message=f"{accepted_text(weakness)}; {weakness.counts}")
    looked = checks_looking(score, weakness.columns)
    body = [
        weakness.label,
        weakness.counts,
        f"checks that look at it: {listed(looked, 8) or 'none'}",
        f"weakness {weakness.weakness_id}",
        *([weakness.entry.text] if weakness.entry is not None and weakness.entry.text else []),
        *([weakness.replay] if weakness.replay else []),
    ]
    message = f"{weakness.fault} got past {weakness.validator}: {weakness.counts}"
    return replace(case, result=_Result.FAILURE, kind="SurvivingFault", message=message, body=tuple(body))


def _canaries(score: ValidatorScore) -> _Case:
    case = _Case(classname=f"{shown(score.name)}.controls", name="canaries")
    caught = sum(c.outcome is Outcome.ALARM for c in score.canaries)
    said = f"caught {caught} of {plural(len(score.canaries), 'canary', 'canaries')}"
    if score.blind is None:
        message = "no canary was tried: whether it is blind is not known"
        return replace(case, result=_Result.SKIPPED, message=message)
    if score.blind:
        message = f"{said}: nothing else it says means anything"
        return replace(case, result=_Result.FAILURE, kind="Blind", message=message)
    return replace(case, message=said)


def _controls(report: Report, score: ValidatorScore) -> Iterator[_Case]:
    """Each alarm by itself, then one case for all untouched batches that were accepted, and one for allowed changes."""
    case = _Case(classname=f"{shown(score.name)}.controls", name="untouched batches")
    place = place_of(report, score.name, ())
    for alarm in score.alarms:
        yield _alarm(alarm, replace(case, place=place), flaky=alarm.batch in score.flaky_batches)
    fpr, benign = score.controls.fpr, score.controls.benign
    if fpr.trials:
        of = plural(fpr.trials, "untouched batch", "untouched batches")
        yield replace(case, message=f"accepted {fpr.trials - fpr.hits} of {of}")
    else:
        message = f"no untouched batch was judged: {fpr.reason or 'none tried'}"
        yield replace(case, result=_Result.SKIPPED, message=message)
    if benign.trials:
        message = f"accepted {benign.trials - benign.hits} of {plural(benign.trials, 'allowed change')}"
        yield replace(case, name="allowed changes", message=message)


def _alarm(alarm: Alarm, case: _Case, *, flaky: bool) -> _Case:
    what = f"{shown(alarm.fault)} on {shown(alarm.batch)}" if alarm.fault else f"untouched batch {shown(alarm.batch)}"
    case = replace(case, name=what)
    checks = tuple(shown(c) for c in alarm.checks)
    if flaky:
        return replace(case, result=_Result.SKIPPED, message="in no rate: the verdict on this batch is flaky")
    if alarm.outcome is Outcome.ERROR:
        cause = alarm.error_cause.value.replace("_", " ") if alarm.error_cause else "error"
        return replace(case, result=_Result.ERROR, kind=cause, message=f"no verdict ({cause})")
    named = listed(checks, 8) or "no named check"
    if alarm.review is Review.TRUE:
        return replace(case, result=_Result.SKIPPED, message=f"reviewed: the batch was bad ({named})")
    kind = "BenignAlarm" if alarm.fault else "FalsePositive"
    reviewed = "" if alarm.fault else f" ({'reviewed: false' if alarm.review is Review.FALSE else 'not reviewed'})"
    message = f"rejected by {named}{reviewed}"
    return replace(case, result=_Result.FAILURE, kind=kind, message=message, body=checks)


def _properties(report: Report, score: ValidatorScore) -> dict[str, str]:
    about = report.card.about
    out = {"experiment": about.name, "experiment.digest": about.digest, "seed": str(about.seed)}
    if report.run_id:
        out["run"] = report.run_id
    if about.stopped:
        out["stopped"] = about.stopped
    if score.info is not None:
        out |= {"suite": score.info.spec, "suite.digest": score.info.suite_digest}
    rates = {
        "fnr": score.faults.fnr,
        "fnr.strict": score.faults.strict_fnr,
        "escape": score.faults.escape,
        "error": score.faults.error,
        "fpr": score.controls.fpr,
    }
    for name, rate in rates.items():
        out |= _rate(name, rate)
    return out


def _rate(name: str, rate: Rate) -> dict[str, str]:
    def number(x: float) -> str:
        return "n/a" if math.isnan(x) else f"{x:.6g}"

    out = {
        name: number(rate.estimate),
        f"{name}.low": number(rate.low),
        f"{name}.high": number(rate.high),
        f"{name}.hits": str(rate.hits),
        f"{name}.n": str(rate.trials),
        f"{name}.clusters": str(rate.clusters),
    }
    return out | ({f"{name}.undefined": rate.reason} if rate.reason else {})


# --- gates and baseline -----------------------------------------------------------------------------------------------


def _gates(report: Report) -> _Suite:
    results = {
        GateVerdict.PASS: (_Result.PASSED, ""),
        GateVerdict.FAIL: (_Result.FAILURE, "GateFailed"),
        GateVerdict.INCONCLUSIVE: (_Result.SKIPPED, ""),
    }
    cases = []
    for at, gate in enumerate(report.card.gates, 1):
        result, kind = results[gate.verdict]
        only = "".join(f", {name} {value}" for name, value in gate.gate.filters.items())
        name = f"{at}: {gate.gate.metric.value} of {gate.validator}{only} at most {gate.gate.limit:g}"
        message = f"{gate.verdict.value}: {gate_text(gate)}"
        cases.append(_Case(classname="gates", name=shown(name), result=result, kind=kind, message=message))
    return _Suite(name="gates", cases=cases)


def _baseline(report: Report) -> _Suite:
    """Entries that have to go, else how it stands; survivors themselves are with their validator."""
    baseline = baseline_of(report)
    if baseline is None:
        return _Suite(name="baseline", cases=())
    gone = [(Standing.EXPIRED, "ExpiredEntry"), (Standing.STALE, "StaleEntry")]
    cases = [
        _Case(
            classname="baseline",
            name=f"{shown(entry.label)} ({shown(entry.weakness_id)})",
            result=_Result.FAILURE,
            kind=kind,
            message=entry.text or standing.value,
        )
        for standing, kind in gone
        for entry in baseline.of(standing)
    ]
    if baseline.verdict is GateVerdict.INCONCLUSIVE:
        message = f"inconclusive: {baseline.reason}"
        cases = [_Case(classname="baseline", name="entries", result=_Result.SKIPPED, message=message)]
    elif not cases:
        cases = [_Case(classname="baseline", name="entries", message=f"{baseline.file}: none expired or stale")]
    return _Suite(name="baseline", cases=cases)
