"""What checks earned and what they cost, and what the controls said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipechaos.report.escape import listed
from pipechaos.report.numbers import plural
from pipechaos.score.checks import CheckScore
from pipechaos.score.records import Outcome, Review
from pipechaos.score.scorecard import Alarm, Canary, ValidatorScore

__all__ = ["Checks", "Controls", "checks_of", "controls_of", "incident_lines"]


@dataclass(frozen=True, kw_only=True)
class Checks:
    """Check ledger of one validator.

    Attributes
    ----------
    validator
        Name.
    summary
        One sentence or two.
    guards
        Checks that alone catch something: name and how many weaknesses.
    alarms
        Checks that took part in false alarms: name, how many, of how many alarms.
    idle
        Declared checks that caught nothing.
    silent
        Those of them that never spoke at all.
    undeclared
        Names that spoke and that no suite file holds.
    """

    validator: str
    summary: str
    guards: tuple[tuple[str, int], ...]
    alarms: tuple[tuple[str, str], ...]
    idle: tuple[str, ...]
    silent: tuple[str, ...]
    undeclared: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Controls:
    """What one validator said about untouched batches, allowed changes and ruin.

    Attributes
    ----------
    validator
        Name.
    natural
        One line for each untouched batch that was not accepted.
    benign
        One line for each allowed change that was not accepted.
    canaries
        One sentence.
    reviewed
        How alarms were reviewed; empty without alarms.
    """

    validator: str
    natural: tuple[str, ...]
    benign: tuple[str, ...]
    canaries: str
    reviewed: str


def checks_of(score: ValidatorScore) -> Checks:
    """Sum a check ledger up."""
    declared = [c for c in score.checks if c.declared]
    idle = [c for c in declared if not c.kills]
    silent = [c for c in idle if not c.fired]
    guards = sorted((c for c in score.checks if c.unique_kills), key=lambda c: (-c.unique_kills, c.check))
    loud = sorted((c for c in score.checks if c.false_alarms), key=lambda c: (-c.false_alarms, c.check))
    return Checks(
        validator=score.name,
        summary=_summary(declared, idle, silent, guards, loud),
        guards=tuple((c.check, c.unique_kills) for c in guards),
        alarms=tuple((c.check, f"{c.false_alarms} of {_alarms(c)}") for c in loud),
        idle=tuple(c.check for c in idle),
        silent=tuple(c.check for c in silent),
        undeclared=tuple(c.check for c in score.checks if not c.declared),
    )


def _alarms(check: CheckScore) -> int:
    return round(check.false_alarms / check.false_alarm_share)


def _summary(
    declared: Sequence[CheckScore],
    idle: Sequence[CheckScore],
    silent: Sequence[CheckScore],
    guards: Sequence[CheckScore],
    loud: Sequence[CheckScore],
) -> str:
    if not declared:
        return "its suite declares no check that could be listed"
    text = f"{len(idle)} of {plural(len(declared), 'check')} never caught anything"
    if silent:
        text += f" ({'none of them' if len(silent) == len(idle) else f'{len(silent)} of them never'} spoke at all)"
    if guards:
        alone = sum(c.unique_kills for c in guards)
        text += f"; {len(guards)} alone {'guards' if len(guards) == 1 else 'guard'} "
        text += plural(alone, "weakness", "weaknesses")
    every = [c for c in loud if c.false_alarm_share == 1]
    if not loud:
        return f"{text}; none caused a false alarm"
    if len(every) == 1 == len(loud):
        return f"{text}; one causes every false alarm"
    return f"{text}; {len(loud)} had a part in false alarms" + (f", {len(every)} of them in every one" if every else "")


def controls_of(score: ValidatorScore) -> Controls:
    """Name alarms by batch and check."""
    natural = [a for a in score.alarms if not a.fault]
    by_change: dict[tuple[str, tuple[str, ...], str], list[Alarm]] = {}
    for alarm in score.alarms:
        if alarm.fault:
            by_change.setdefault((alarm.fault, alarm.checks, _said(alarm)), []).append(alarm)
    return Controls(
        validator=score.name,
        natural=tuple(f"{a.batch}: {_said(a)}{_by(a.checks)}{_review(a)}" for a in natural),
        benign=tuple(
            f"{fault}: {said} on {plural(len(found), 'batch', 'batches')} "
            f"({listed([a.batch for a in found], 3)}){_by(checks)}"
            for (fault, checks, said), found in by_change.items()
        ),
        canaries=_canaries(score.canaries),
        reviewed=_reviewed(score, natural),
    )


def _said(alarm: Alarm) -> str:
    if alarm.outcome is not Outcome.ERROR:
        return "alarm"
    return f"error ({alarm.error_cause.value.replace('_', ' ')})" if alarm.error_cause else "error"


def _by(checks: Sequence[str]) -> str:
    return f": {listed(checks, 5)}" if checks else ""


def _review(alarm: Alarm) -> str:
    if alarm.outcome is not Outcome.FP:
        return ""
    words = {
        Review.UNREVIEWED: "not reviewed",
        Review.TRUE: "reviewed: the batch was bad",
        Review.FALSE: "reviewed: false",
    }
    return f" ({words[alarm.review]})"


def _reviewed(score: ValidatorScore, natural: Sequence[Alarm]) -> str:
    alarms = [a for a in natural if a.outcome is Outcome.FP]
    if not alarms:
        return ""
    controls = score.controls
    return (
        f"{plural(len(alarms), 'alarm')} on untouched batches: {controls.true_alarms} reviewed as true, "
        f"{controls.fpr_reviewed.hits} as false, {controls.unreviewed} not reviewed (counted as false)"
    )


def _canaries(canaries: Sequence[Canary]) -> str:
    if not canaries:
        return "no canary was tried: whether it is blind is not known"
    kept = [c for c in canaries if c.outcome is not Outcome.ALARM]
    text = f"caught {len(canaries) - len(kept)} of {plural(len(canaries), 'canary', 'canaries')}"
    if not kept:
        return text
    return f"{text}; not " + ", ".join(f"{c.fault} ({c.outcome.value})" for c in kept)


def incident_lines(incidents: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Batches set apart before the run, each with its reason."""
    return tuple(f"{i.get('batch', '')}: {i.get('reason', '')}" for i in incidents)
