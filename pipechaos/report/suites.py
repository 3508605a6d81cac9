"""What checks earned and what they cost, and what the controls said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipechaos.report.escape import listed
from pipechaos.report.numbers import over_batches, plural
from pipechaos.score.checks import CheckScore
from pipechaos.score.records import Outcome, Review, TrialKind
from pipechaos.score.scorecard import Alarm, Canary, ValidatorScore
from pipechaos.score.worth import SuiteWorth

__all__ = ["Checks", "Controls", "Worth", "checks_of", "controls_of", "incident_lines"]


@dataclass(frozen=True, kw_only=True)
class Worth:
    """One thing that the checks of a suite came to together.

    Attributes
    ----------
    text
        In words, with its counts.
    names
        The checks or columns it is about, in full; may be empty.
    """

    text: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Checks:
    """Check ledger of one validator.

    Attributes
    ----------
    validator
        Name.
    summary
        The one look: how many checks never caught anything, and who causes the false alarms.
    worth
        What the checks came to together: guards, redundant ones, the smallest set that would do, distinct weaknesses,
        pseudo-tested columns.
    guards
        Checks that alone catch some trial: name, and of how many weaknesses.
    alarms
        Checks that took part in false alarms: name, how many, of how many alarms.
    idle
        Declared checks that caught nothing.
    silent
        Those of them that never spoke at all: no finding of kind fail or error but on canaries.
    undeclared
        Names that spoke and that no suite file holds.
    """

    validator: str
    summary: str
    worth: tuple[Worth, ...]
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
        How alarms were reviewed, or that no untouched batch was tried; else empty.
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
        summary=_summary(declared, idle, silent, loud),
        worth=_worth(score, guards),
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
    loud: Sequence[CheckScore],
) -> str:
    if not declared:
        return "its suite declares no check that could be listed"
    text = f"{len(idle)} of {plural(len(declared), 'check')} never caught anything"
    if silent:
        text += f" ({'none of them' if len(silent) == len(idle) else f'{len(silent)} of them never'} spoke at all)"
    if not loud:
        return f"{text}; none caused a false alarm"
    share = f"{loud[0].false_alarms} of {_alarms(loud[0])}"
    every = [c for c in loud if c.false_alarm_share == 1]
    if len(every) == 1 == len(loud):
        return f"{text}; one causes every false alarm ({share})"
    if len(every) == len(loud):
        return f"{text}; {len(loud)} together cause every false alarm ({share})"
    had = f", {len(every)} of them in every one" if every else ", the loudest"
    return f"{text}; {len(loud)} had a part in false alarms{had} ({share})"


def _worth(score: ValidatorScore, guards: Sequence[CheckScore]) -> tuple[Worth, ...]:
    w = score.worth
    if w is None:
        return ()
    useful = sum(c.kills > 0 for c in score.checks)
    if not useful:
        return _pseudo_tested(w)
    caught = plural(w.weaknesses, "weakness", "weaknesses")
    lines = [Worth(text=_alone(guards, useful, w.weaknesses))]
    if w.redundant:
        text = f"{len(w.redundant)} of {useful} redundant, nothing is lost where any one of them goes"
        lines.append(Worth(text=text, names=w.redundant))
    proof = "no smaller set does" if w.smallest_proven else "found greedily, a smaller set may do"
    text = f"{plural(len(w.smallest), 'check')} would detect the same trials of {caught} ({proof})"
    lines.append(Worth(text=text, names=w.smallest))
    return (*lines, _distinct(w, score), *_pseudo_tested(w))


def _alone(guards: Sequence[CheckScore], useful: int, caught: int) -> str:
    of = plural(caught, "weakness", "weaknesses")
    if not guards:
        return f"none of the {useful} that caught something guards a trial of {of} alone"
    verb = "guards" if len(guards) == 1 else "guard"
    alone = len({weakness for c in guards for weakness in c.guarded})
    return f"{len(guards)} of the {useful} that caught something {verb} trials of {alone} of {of} alone"


def _distinct(w: SuiteWorth, score: ValidatorScore) -> Worth:
    text = f"{w.distinct} of {plural(w.weaknesses, 'detected weakness', 'detected weaknesses')} "
    text += "is distinct" if w.distinct == 1 else "are distinct"
    if w.distinct < w.weaknesses:
        text += ", the others lose nothing where those lose nothing"
    hard, raw = over_batches(w.dominator_fnr), over_batches(score.faults.fnr)
    return Worth(text=f"{text}: FNR over the distinct and the survivors {hard.line}, beside {raw.line} over all")


def _pseudo_tested(w: SuiteWorth) -> tuple[Worth, ...]:
    if not w.ruined:
        return ()
    if not w.pseudo_tested:
        return (Worth(text=f"no column is pseudo-tested: of {w.ruined} ruined whole, each was caught at least once"),)
    text = f"{len(w.pseudo_tested)} of {plural(w.ruined, 'column')} ruined whole went unnoticed every time"
    return (Worth(text=f"{text} (pseudo-tested)", names=w.pseudo_tested),)


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
    if not score.outcomes.get(TrialKind.NATURAL.value):
        return "no untouched batch was tried"
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
