"""What every machine-readable report goes through: weaknesses with their trials, standing and place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipechaos.plan.placement import Placement
from pipechaos.report.dose import dose_text
from pipechaos.report.escape import clip, visible
from pipechaos.report.inputs import Location, Report
from pipechaos.score.baseline import BaselineEntry, BaselineResult, Standing
from pipechaos.score.gates import GateResult
from pipechaos.score.rates import counted
from pipechaos.score.records import ErrorCause, Outcome, Trial, TrialKind
from pipechaos.score.scorecard import ValidatorScore
from pipechaos.validate.verdict import FindingKind

__all__ = [
    "Fate",
    "Weakness",
    "accepted_text",
    "baseline_of",
    "checks_looking",
    "gate_text",
    "place_of",
    "shown",
    "weaknesses",
]

_LONGEST = 300  # of a name; a message holds several


class Fate(StrEnum):
    """What a weakness came to, over its trials that count."""

    CAUGHT = "caught"
    MISSED = "missed"  # at least once
    ACCEPTED = "accepted"  # missed, and the baseline says that is known
    ERROR = "error"  # no trial was judged
    OUTSIDE = "outside"  # no trial counts: nothing changed, base rejected, an ordinary day, flaky


@dataclass(frozen=True, kw_only=True)
class Weakness:
    """One fault on its columns at one dose against one validator. Every text is free of control characters.

    Attributes
    ----------
    owner
        Validator as the experiment names it: to compare, never to print.
    weakness_id, validator, fault, family, columns, where, severity, rungs, dose
        Which one; ``where`` is columns and placement in words.
    fate
        What it came to.
    missed, detected, errors
        Trials that count.
    outside
        Why the others do not count, and how many each.
    trials
        All of them.
    killers
        Checks with a new finding on a detected trial.
    cause
        Most frequent cause of its errors.
    entry
        What the baseline says; None where it says nothing.
    place
        Line of the checks on its column, else of the suite; None where that is not known.
    replay
        Command that shows a missed trial again; empty without one.
    seconds
        Spent on validating it.
    """

    owner: str
    weakness_id: str
    validator: str
    fault: str
    family: str
    columns: tuple[str, ...]
    where: str
    severity: int
    rungs: int
    dose: str
    fate: Fate
    missed: int
    detected: int
    errors: int
    outside: Mapping[str, int]
    trials: int
    killers: tuple[str, ...]
    cause: str
    entry: BaselineEntry | None
    place: Location | None
    replay: str
    seconds: float

    @property
    def judged(self) -> int:
        """Trials with a judgement."""
        return self.missed + self.detected

    @property
    def share(self) -> float:
        """Missed share of the judged; 0 where none was."""
        return self.missed / self.judged if self.judged else 0.0

    @property
    def label(self) -> str:
        """Fault, columns, placement and dose in one line."""
        return f"{self.fault} on {self.where}, {self.dose}"

    @property
    def counts(self) -> str:
        """What became of its trials, in words."""
        parts = [f"missed {self.missed} of {self.judged}"] if self.judged else []
        parts += [f"no verdict on {self.errors} ({self.cause})"] if self.errors else []
        parts += [f"{n} {why}" for why, n in self.outside.items()]
        return ", ".join(parts) or "no trial"


def shown(text: str) -> str:
    """A name of somebody's table or suite: one line, no control characters, no longer than a person reads."""
    return clip(visible(text), _LONGEST)


def baseline_of(report: Report) -> BaselineResult | None:
    """The run held against what was accepted, wherever it was said."""
    return report.baseline if report.baseline is not None else report.card.baseline


def gate_text(result: GateResult) -> str:
    """A gate in one line: what it limits, why it decided so, and out of how many."""
    gate = result.gate
    only = ", ".join(f"{name} {value}" for name, value in gate.filters.items())
    over = f" over {only}" if only else ""
    counts = f"{result.rate.hits:,} of {result.rate.trials:,}"
    return visible(f"{gate.metric.value} of {result.validator}{over}: {result.reason} ({counts})")


def weaknesses(report: Report) -> tuple[Weakness, ...]:
    """All that were tried, by validator in the order of the experiment, then as the trials come."""
    faulty: dict[tuple[str, str], list[Trial]] = {}
    for trial in report.trials:
        if trial.kind is TrialKind.FAULT:
            faulty.setdefault((trial.validator, trial.weakness_id), []).append(trial)
    kept = {t.trial_id for t in counted(report.trials)}
    baseline = baseline_of(report)
    entries = {} if baseline is None else {e.weakness_id: e for e in baseline.entries}
    command = _replay_command(report)
    order = {v.name: at for at, v in enumerate(report.card.validators)}
    groups = sorted(faulty.values(), key=lambda g: (order.get(g[0].validator, len(order)), _key(g[0])))
    return tuple(_weakness(report, g, kept, entries.get(g[0].weakness_id), command) for g in groups)


def _key(trial: Trial) -> tuple[str, tuple[str, ...], str, int, str]:
    return (trial.fault, trial.columns, str(Placement.of(trial.placement)), trial.severity, trial.weakness_id)


def _weakness(
    report: Report, group: Sequence[Trial], kept: set[str], entry: BaselineEntry | None, command: tuple[str, str]
) -> Weakness:
    first = group[0]
    of = {
        o: [t for t in group if t.trial_id in kept and t.outcome is o] for o in (Outcome.FN, Outcome.TP, Outcome.ERROR)
    }
    missed = sorted(of[Outcome.FN], key=lambda t: (-(t.dose or 0), t.trial_id))
    broken = [t for t in group if t.outcome is Outcome.ERROR]
    causes = Counter(t.error_cause.value for t in broken if t.error_cause)
    killers = (f.check for t in of[Outcome.TP] for f in t.findings if f.why and f.kind is not FindingKind.TOLERATED)
    placed = f" ({Placement.of(first.placement)})" if first.placement else ""
    return Weakness(
        owner=first.validator,
        weakness_id=visible(first.weakness_id),
        validator=shown(first.validator),
        fault=shown(first.fault),
        family=shown(first.family),
        columns=tuple(shown(c) for c in first.columns),
        where=shown((", ".join(first.columns) or "the whole batch") + placed),
        severity=first.severity,
        rungs=first.rungs,
        dose=shown(dose_text(first)),
        fate=_fate(of, broken, entry),
        missed=len(missed),
        detected=len(of[Outcome.TP]),
        errors=len(of[Outcome.ERROR]),
        outside=dict(sorted(Counter(_why_outside(t) for t in group if t.trial_id not in kept).items())),
        trials=len(group),
        killers=tuple(dict.fromkeys(shown(k) for k in killers)),
        cause=", ".join(causes).replace("_", " "),
        entry=entry,
        place=place_of(report, first.validator, first.columns),
        replay=visible(missed[0].trial_id.join(command)) if missed else "",
        seconds=sum(t.seconds for t in group),
    )


def _fate(of: Mapping[Outcome, Sequence[Trial]], broken: Sequence[Trial], entry: BaselineEntry | None) -> Fate:
    if of[Outcome.FN]:
        accepted = entry is not None and entry.standing is Standing.ACCEPTED
        return Fate.ACCEPTED if accepted else Fate.MISSED
    if of[Outcome.TP]:
        return Fate.CAUGHT
    return Fate.ERROR if broken else Fate.OUTSIDE


def _why_outside(trial: Trial) -> str:
    if trial.error_cause is ErrorCause.INJECTION:
        return "could not be injected"
    if trial.flaky:
        return "flaky"
    if trial.outcome is Outcome.BASE_BAD:
        return "on a batch that was rejected before"
    if trial.outcome is Outcome.NOOP:
        return "changed nothing"
    return "no more than an ordinary day" if trial.subnatural else "the same as another"


def place_of(report: Report, validator: str, columns: Sequence[str]) -> Location | None:
    """Line of the checks on the first of the columns that has any, else of the suite."""
    places = (report.locations.get((validator, c)) for c in (*columns, ""))
    return next((p for p in places if p is not None), None)


def checks_looking(score: ValidatorScore, columns: Sequence[str]) -> tuple[str, ...]:
    """Declared checks of a validator that look at one of the columns, or, without any, at the whole table."""
    wanted = {shown(c) for c in columns}
    checks = score.info.checks if score.info else ()
    return tuple(shown(c.id) for c in checks if (wanted & {shown(n) for n in c.columns} if wanted else not c.columns))


def accepted_text(weakness: Weakness) -> str:
    """Who accepted it, until when and why."""
    word = None if weakness.entry is None else weakness.entry.accepted
    if word is None:
        return "accepted"
    until = f" until {word.expires}" if word.expires else ""
    return f"accepted{until} by {shown(word.owner) or 'nobody'}: {shown(word.reason) or 'no reason given'}"


def _replay_command(report: Report) -> tuple[str, str]:
    """What stands before and after a trial's id in the commands of the content: there the experiment is named."""
    ids = {t.trial_id for t in report.trials if t.outcome is Outcome.FN}
    for entry in report.content.survivors:
        found = next((word for word in entry.replay.split(" ") if word in ids), None)
        if found is not None:
            before, _, after = entry.replay.partition(found)
            return before, after
    return "pipechaos replay ", ""
