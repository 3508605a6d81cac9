"""The report as SARIF 2.1.0: every survivor points at the line of the check that let it through."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from pipechaos.errors import UnknownNameError
from pipechaos.faults import registry
from pipechaos.report.escape import listed, visible
from pipechaos.report.inputs import Report
from pipechaos.report.weaknesses import Fate, Weakness, accepted_text, baseline_of, checks_looking, shown, weaknesses
from pipechaos.score.baseline import Standing
from pipechaos.score.gates import ExitCode
from pipechaos.score.records import jsonable

__all__ = ["render_sarif"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_HELP = (
    "The suite accepted batches that were broken on purpose in this way. Add or tighten a check where it could happen "
    "to you, or accept the weakness in the baseline with a reason, an owner and an expiry."
)
_SURE = 0.5  # missed share from which a survivor is an error and no warning
_STATES = {Standing.NEW: "new", Standing.ACCEPTED: "unchanged", Standing.EXPIRED: "unchanged"}


def render_sarif(report: Report) -> str:
    """Write SARIF.

    A result for each weakness with a missed trial: its rule is the fault, its level ``error`` where at least half of
    the judged trials were missed. What the baseline accepts is there as a suppressed result.

    Parameters
    ----------
    report
        What is known.

    Returns
    -------
    str
        JSON, sorted and indented.
    """
    missed = [w for w in weaknesses(report) if w.fate in (Fate.MISSED, Fate.ACCEPTED)]
    missed.sort(key=lambda w: (-w.share, w.fault, w.where, w.validator, w.weakness_id))
    codes = sorted({w.fault for w in missed})
    about = report.card.about
    failed = report.card.exit_code is ExitCode.COULD_NOT_RUN
    run: dict[str, Any] = {
        "tool": {"driver": {"name": "pipechaos", **_version(report), "rules": [_rule(c) for c in codes]}},
        "automationDetails": {"id": f"pipechaos/{quote(shown(about.name), safe='')}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": not failed, "exitCode": int(report.card.exit_code)}],
        "results": [_result(report, w, codes) for w in missed],
        "properties": {
            "experimentDigest": visible(about.digest),
            "seed": about.seed,
            "rates": {
                shown(v.name): {"fnr": _rate(v.faults.fnr), "fpr": _rate(v.controls.fpr)} for v in _scores(report)
            },
        },
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, sort_keys=True, allow_nan=False) + "\n"


def _scores(report: Report) -> Sequence[Any]:
    card = report.card
    return (*card.validators, *([card.stack] if card.stack is not None else []))


def _rate(rate: Any) -> dict[str, Any]:
    return {k: jsonable(getattr(rate, k)) for k in ("estimate", "low", "high", "hits", "trials", "clusters")}


def _version(report: Report) -> dict[str, str]:
    version = report.card.about.versions.get("pipechaos", "")
    return {"version": visible(version)} if version else {}


def _rule(code: str) -> dict[str, Any]:
    """A fault as a rule; GitHub's code scanning asks for every one of its texts."""
    try:
        fault = registry.get(code)
        title, doc, tags = fault.title, fault.doc, [fault.family.value, "data-quality"]
    except UnknownNameError:  # a scorecard of another version
        title, doc, tags = code, "A fault that this version does not know.", ["data-quality"]
    return {
        "id": code,
        "shortDescription": {"text": _message(title)},
        "fullDescription": {"text": _message(doc)},
        "help": {"text": _message(f"{doc} {_HELP}")},
        "properties": {"tags": tags},
    }


def _result(report: Report, weakness: Weakness, codes: Sequence[str]) -> dict[str, Any]:
    score = next((v for v in report.card.validators if v.name == weakness.owner), None)
    looked = () if score is None else checks_looking(score, weakness.columns)
    said = f"{weakness.label}, got past {weakness.validator}: {weakness.counts}."
    said += f" {len(looked)} looked at it: {listed(looked, 5)}." if looked else " No check looked at it."
    if weakness.replay:
        said += f" Show it again: {weakness.replay}"
    result: dict[str, Any] = {
        "ruleId": weakness.fault,
        "ruleIndex": codes.index(weakness.fault),
        "kind": "fail",
        "level": "error" if weakness.share >= _SURE else "warning",
        "message": {"text": _message(said)},
        "locations": [_location(weakness)],
        "partialFingerprints": {"pipechaosWeakness/v1": weakness.weakness_id},
        "properties": {
            "validator": weakness.validator,
            "columns": list(weakness.columns),
            "severity": weakness.severity,
            "missed": weakness.missed,
            "judged": weakness.judged,
        },
    }
    if weakness.fate is Fate.ACCEPTED:
        justification = _message(accepted_text(weakness))
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": justification}]
    if baseline_of(report) is not None:
        standing = None if weakness.entry is None else weakness.entry.standing
        result["baselineState"] = _STATES.get(standing, "new") if standing else "new"
    return result


def _location(weakness: Weakness) -> dict[str, Any]:
    names = weakness.columns or ("the whole batch",)
    logical = [{"name": n, "fullyQualifiedName": f"{weakness.validator}/{n}", "kind": "member"} for n in names]
    if weakness.place is None:
        return {"logicalLocations": logical}
    place = {
        "artifactLocation": {"uri": quote(visible(weakness.place.file)), "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": weakness.place.line},
    }
    return {"physicalLocation": place, "logicalLocations": logical}


def _message(text: str) -> str:
    """Plain text of a message: no link comes of brackets, no placeholder of braces (SARIF 3.11.5, 3.11.6)."""
    text = visible(text).replace("{", "{{").replace("}", "}}")
    return text.replace("[", "\\[").replace("]", "\\]") if "](" in text else text
