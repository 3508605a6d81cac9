"""The report as the JSON of a badge (shields.io endpoint)."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from pipechaos.errors import UnknownNameError
from pipechaos.report.escape import visible
from pipechaos.report.inputs import Report
from pipechaos.report.weaknesses import baseline_of
from pipechaos.score.gates import ExitCode
from pipechaos.score.scorecard import ValidatorScore

__all__ = ["render_badge"]

_COLOURS = {
    ExitCode.OK: "brightgreen",
    ExitCode.GATE_FAILED: "red",
    ExitCode.COULD_NOT_RUN: "red",
    ExitCode.INCONCLUSIVE: "yellow",
}


def render_badge(report: Report, *, validator: str | None = None) -> str:
    """Write badge JSON: both rates, coloured by the verdict.

    Parameters
    ----------
    report
        What is known.
    validator
        Whose rates; by default those of all validators together, or of the only one.

    Returns
    -------
    str
        JSON. Blue where no gate is declared: no verdict was asked for. Never green for a run that was cut short.

    Raises
    ------
    UnknownNameError
        There is no such validator.
    """
    score = _score(report, validator)
    rates = f"FNR {_share(score.faults.fnr.estimate)} · FPR {_share(score.controls.fpr.estimate)}"
    before = "blind · " if report.card.blind else "cut short · " if report.card.about.stopped else ""
    out = {
        "schemaVersion": 1,
        "label": "pipechaos" if validator is None else f"pipechaos {visible(validator)}",
        "message": f"{before}{rates}",
        "color": _colour(report),
    }
    return json.dumps(out, ensure_ascii=False) + "\n"


def _score(report: Report, validator: str | None) -> ValidatorScore:
    card = report.card
    if validator is None:
        return card.stack or card.validators[0]
    found = next((v for v in card.validators if v.name == validator), None)
    if found is None:
        raise UnknownNameError("validator", validator, [v.name for v in card.validators])
    return found


def _colour(report: Report) -> str:
    card = replace(report.card, baseline=baseline_of(report))
    code = card.exit_code
    if code is ExitCode.OK and card.about.stopped:
        code = ExitCode.INCONCLUSIVE
    if code is ExitCode.OK and not card.gates and card.baseline is None:
        return "blue"
    return _COLOURS.get(code, "lightgrey")


def _share(share: float) -> str:
    """Short enough for a badge; what is neither 0 nor 1 does not look like it.

    Examples
    --------
    >>> _share(0.312), _share(0.0073), _share(0.0), _share(0.0001), _share(0.9999)
    ('31%', '0.7%', '0%', '<0.1%', '>99%')
    """
    if math.isnan(share):
        return "n/a"
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    if share < 0.0005:
        return "<0.1%"
    if share >= 0.995:
        return ">99%"
    return f"{share:.0%}" if share >= 0.0995 else f"{share:.1%}"
