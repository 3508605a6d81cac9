"""One trial done again, in a terminal."""

from __future__ import annotations

from rich.console import Console

from pipechaos.campaign.replay import Replay
from pipechaos.report.dose import dose_text
from pipechaos.report.escape import clean, visible
from pipechaos.report.explained import dose_lines, near_line, near_text, sketch_lines
from pipechaos.report.layout import (
    NARROWEST,
    Part,
    heading,
    line_parts,
    print_part,
    rows_table,
    suggestion_parts,
    text_part,
)
from pipechaos.report.numbers import plural
from pipechaos.report.survivors import rows_of
from pipechaos.score.records import Outcome
from pipechaos.validate.verdict import Finding, FindingKind

__all__ = ["render_replay"]

_COLUMNS, _CHECKS = 6, 5  # sketches and near checks shown
_WORDS = {
    Outcome.TP: "detected",
    Outcome.FN: "missed",
    Outcome.ERROR: "no verdict",
    Outcome.NOOP: "nothing changed for this validator",
    Outcome.BASE_BAD: "its base was not accepted",
    Outcome.ACCEPTED: "accepted",
    Outcome.ALARM: "rejected",
}


def render_replay(found: Replay, console: Console) -> None:
    """Print what a trial did to the data, what the validator says now, and which checks looked.

    Parameters
    ----------
    found
        From ``campaign.replay.replay``.
    console
        Where to; markup in it is never interpreted.
    """
    width = max(console.width, NARROWEST)
    parts = [*_head(found), *_rows(found, width), *_verdict(found), *_looked(found), *_reasons(found)]
    for part in parts:
        print_part(part, console, width)


def _head(found: Replay) -> list[Part]:
    trial = found.trial
    where = ", ".join(trial.columns) or "the whole batch"
    came_to = _WORDS.get(trial.outcome, trial.outcome.value)
    parts = [
        text_part(visible(f"{trial.fault} on {where}, {dose_text(trial)}"), "bold"),
        text_part(visible(f"batch {trial.batch}, validator {trial.validator}, in the run: {came_to}")),
    ]
    if not found.same_batch:
        parts.append(text_part("NOT the same corrupted batch as in the run: data or versions have changed", "yellow"))
    if not found.same_suite:
        parts.append(text_part("NOT the same suite as in the run: its files have changed", "yellow"))
    return parts


def _rows(found: Replay, width: int) -> list[Part]:
    parts = [text_part("")]
    if found.explanation.example is not None:
        rows = clean(rows_of(found.explanation.example))
        if rows.cells:
            parts.append(Part(what=rows_table(rows, width - 2), indent=2))
        parts += line_parts([rows.note] if rows.note else [], "dim")
    return [*parts, *line_parts(clean(sketch_lines(found.explanation.sketches, _COLUMNS)))]


def _verdict(found: Replay) -> list[Part]:
    verdict = found.verdict
    note = f"{verdict.status.value.replace('_', ' ')}, {verdict.checks_ran} of {verdict.checks_declared} checks ran"
    lines = [_finding(f) for f in verdict.findings if f.kind is not FindingKind.TOLERATED]
    return [*heading("Verdict now", note), *line_parts(visible(line) for line in lines)]


def _finding(finding: Finding) -> str:
    named = "" if finding.rows is None else f", {plural(len(finding.rows), 'row')}"
    message = f": {finding.message}" if finding.message else ""
    return f"{finding.check} ({finding.kind.value}{named}){message}"


def _reasons(found: Replay) -> list[Part]:
    """How near its checks were, what milder and stronger doses came to, and what would have caught it."""
    trial, known = found.trial, clean(found.explanation)
    parts: list[Part] = []
    near = [m for m in known.near if m.used > 0][:_CHECKS]
    if known.near:
        note = "" if near else near_line(known.near)
        parts += [*heading("How near they were", note), *line_parts(near_text(m) for m in near)]
    doses = dose_lines(known.doses, trial.columns, trial.severity, trial.rungs)
    if doses:
        parts += [*heading("Doses", f"{len(known.doses)} tried"), *line_parts(doses)]
    if known.suggestion is not None:
        parts += [text_part(""), *suggestion_parts(known.suggestion.text, known.suggestion.code, 0)]
    return parts


def _looked(found: Replay) -> list[Part]:
    if not found.looked:
        return [*heading("Checks that looked", "none")]
    return [*heading("Checks that looked"), *line_parts(visible(c.id) for c in found.looked)]
