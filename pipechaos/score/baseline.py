"""Accepted survivors: what a team knows that it misses, who said so and until when.

The key is the weakness, which holds no seed. What is always missed or always caught stands the same under every seed;
an entry is stale only where catching it every time is more than the luck of other draws (Fisher's exact test).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np

from pipechaos.errors import ConfigError, UnknownNameError
from pipechaos.score.gates import MAX_ERROR, GateVerdict
from pipechaos.score.outcome import paranoid
from pipechaos.score.rates import counted, counts, fault_rates
from pipechaos.score.records import Outcome, Trial, TrialKind

__all__ = [
    "FAILING",
    "Accepted",
    "Baseline",
    "BaselineEntry",
    "BaselineResult",
    "Standing",
    "against",
    "check_validators",
    "label_of",
    "luck",
    "weakness_label",
]

_LUCK = 0.05
_ROUNDING = 1e-9  # 0 of 3 after 3 of 3 is 1 in 20 exactly


class Standing(StrEnum):
    """How a weakness stands to the baseline."""

    NEW = "new"  # survives, and nobody accepted it: fails
    ACCEPTED = "accepted"  # survives, as was said
    EXPIRED = "expired"  # the word is out of date, whatever was tried: fails
    STALE = "stale"  # no longer survives, by more than luck: the entry has to go, fails
    UNTRIED = "untried"  # this run judged no trial of it: says nothing


FAILING = (Standing.NEW, Standing.EXPIRED, Standing.STALE)


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """One line of a baseline file.

    Attributes
    ----------
    weakness_id
        The key; it holds no seed.
    validator, fault, columns, placement, severity
        The same in words a person can read; ``weakness_id`` decides.
    reason, owner
        Why it is accepted, and who answers for it.
    expires
        Last day it holds.
    missed, tried
        Trials of it when it was accepted.
    """

    weakness_id: str
    validator: str
    fault: str
    columns: tuple[str, ...] = ()
    placement: Mapping[str, Any] = field(default_factory=dict)
    severity: int = 0
    reason: str = ""
    owner: str = ""
    expires: dt.date | None = None
    missed: int = 0
    tried: int = 0


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Everything a team accepted.

    Attributes
    ----------
    file
        Its path as the user gave it.
    accepted
        One for each weakness, by its id.
    """

    file: str = ""
    accepted: tuple[Accepted, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BaselineEntry:
    """A weakness that survives, or that the baseline names.

    Attributes
    ----------
    standing, weakness_id
        Which one, and how it stands.
    label
        In words: validator, fault, columns, severity.
    accepted
        Its line in the baseline; None for a new survivor.
    missed, tried
        Trials of this run.
    text
        What is wrong and what to do, in a line; empty where nothing is.
    trial_id
        A trial of this run to replay, a missed one where there is one; empty where it was not tried.
    """

    standing: Standing
    weakness_id: str
    label: str
    accepted: Accepted | None = None
    missed: int = 0
    tried: int = 0
    text: str = ""
    trial_id: str = ""


@dataclass(frozen=True, kw_only=True)
class BaselineResult:
    """A run held against a baseline.

    Attributes
    ----------
    file
        Its path as the user gave it.
    entries
        New ones first, then expired, stale, accepted, untried.
    reason
        Why the run cannot pass though nothing fails, in a line; empty where it can.
    """

    file: str
    entries: tuple[BaselineEntry, ...]
    reason: str = ""

    def of(self, standing: Standing) -> tuple[BaselineEntry, ...]:
        """Entries that stand so."""
        return tuple(e for e in self.entries if e.standing is standing)

    @property
    def failed(self) -> bool:
        """Whether anything is new, expired or stale."""
        return any(e.standing in FAILING for e in self.entries)

    @property
    def verdict(self) -> GateVerdict:
        """Fail where anything is new, expired or stale; inconclusive where too little was judged to pass."""
        if self.failed:
            return GateVerdict.FAIL
        return GateVerdict.INCONCLUSIVE if self.reason else GateVerdict.PASS


def against(
    baseline: Baseline, trials: Iterable[Trial], *, validators: Sequence[str], today: dt.date, stopped: str = ""
) -> BaselineResult:
    """Hold the survivors of a run against a baseline.

    Parameters
    ----------
    baseline
        What was accepted.
    trials
        All of the run. Flaky, subnatural and no-effect trials say nothing, as in the survivors of the scorecard.
    validators
        Names of all validators of the run.
    today
        An entry holds up to its last day, that day included.
    stopped
        Why the run ended early; empty when it did not.

    Raises
    ------
    UnknownNameError
        An entry is about a validator that the run does not have.
    """
    check_validators(baseline, validators)
    everything = list(trials)
    groups = _by_weakness(counted(everything))
    tried = _by_weakness(t for t in everything if t.kind is TrialKind.FAULT)
    known = {line.weakness_id: line for line in baseline.accepted}
    found = [_known(line, groups.get(name, []), tried.get(name, []), today) for name, line in known.items()]
    found += [e for name, group in groups.items() if name not in known and (e := _entry(Standing.NEW, group)).missed]
    found.sort(key=lambda e: (_ORDER.index(e.standing), e.label, e.weakness_id))
    doubts = [stopped] if stopped else []
    doubts += [doubt for name in validators for doubt in _doubts(name, everything)]
    return BaselineResult(file=baseline.file, entries=tuple(found), reason="; ".join(doubts))


def _by_weakness(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.weakness_id, []).append(trial)
    return groups


def _doubts(validator: str, trials: Iterable[Trial]) -> Iterator[str]:
    """Why a validator that let nothing new through may not have looked."""
    mine = [t for t in trials if t.validator == validator]
    rates = fault_rates(mine)
    if not rates.fnr.trials:
        yield f"{validator} judged no trial that counts"
    if rates.error.estimate > MAX_ERROR:
        of = f"({rates.error.hits} of {rates.error.trials})"
        yield f"error rate of {validator} {rates.error.estimate:.1%} {of} exceeds {MAX_ERROR:.1%}"
    if rates.counts.flaky:
        yield f"{rates.counts.flaky} trials of {validator} are flaky"
    if paranoid(mine, validator):
        yield f"{validator} rejects most untouched batches"


def check_validators(baseline: Baseline, validators: Sequence[str]) -> None:
    """Refuse a baseline about a validator that a run does not have; of use before the run, too.

    Raises
    ------
    UnknownNameError
        The first such entry.
    """
    where = baseline.file or "the baseline"
    for line in baseline.accepted:
        if line.validator not in validators:
            raise UnknownNameError("validator", line.validator, validators, f"entry {line.weakness_id} of {where}")


_ORDER = (Standing.NEW, Standing.EXPIRED, Standing.STALE, Standing.ACCEPTED, Standing.UNTRIED)


def luck(missed: int, tried: int, now: int) -> float:
    """Probability that no trial is missed any more though nothing got better: Fisher's exact test, one-sided.

    Parameters
    ----------
    missed, tried
        When the weakness was accepted.
    now
        Trials of it today, none of them missed.

    Examples
    --------
    >>> round(luck(3, 3, 3), 9), luck(1, 1, 1)
    (0.05, 0.5)
    """
    from scipy.stats import fisher_exact

    table = np.array([[missed, tried - missed], [0, now]])
    return float(fisher_exact(table, alternative="greater").pvalue)


def weakness_label(validator: str, fault: str, columns: Sequence[str], placement: Mapping[str, Any], dose: str) -> str:
    """A weakness in words.

    Examples
    --------
    >>> weakness_label("gx", "null.mcar", ["x"], {}, "severity 3")
    'gx: null.mcar on x, severity 3'
    """
    where = ", ".join(columns) or "the whole batch"
    how = f" ({', '.join(f'{k} {v}' for k, v in placement.items())})" if placement else ""
    return f"{validator}: {fault} on {where}{how}, {dose}"


def label_of(line: Accepted) -> str:
    """A line of a baseline in words."""
    return weakness_label(line.validator, line.fault, line.columns, line.placement, _dose(line.severity))


def _dose(severity: int, rungs: int = 0, fraction: float | None = None) -> str:
    if severity:
        return f"severity {severity}" + (f" of {rungs}" if rungs else "")
    return "a dose of its own" + (f" (fraction {fraction:g})" if fraction is not None else "")


def _known(line: Accepted, group: Sequence[Trial], tried: Sequence[Trial], today: dt.date) -> BaselineEntry:
    entry = _entry(Standing.ACCEPTED, group, line)
    since = f"accepted with {line.missed} of {line.tried} missed"
    chance = 1.0 if entry.missed or not entry.tried else luck(line.missed, line.tried, entry.tried)
    if chance <= _LUCK + _ROUNDING:
        text = f"caught {entry.tried} of {entry.tried} times now, {since}: drop it with `pipechaos baseline prune`"
        return _as(entry, Standing.STALE, text)
    if line.expires is not None and today > line.expires:
        text = f"expired on {line.expires.isoformat()} ({line.owner}): catch it, or accept it again"
        return _as(entry, Standing.EXPIRED, text if entry.tried else f"{text}; {_unjudged(tried)}")
    if not entry.tried:
        return _as(entry, Standing.UNTRIED, f"{_unjudged(tried)}: it says nothing")
    if entry.missed:
        return entry
    text = f"not missed in {entry.tried} trials, {since}: another draw's luck would do that (p {chance:.2g}), it stays"
    return _as(entry, Standing.ACCEPTED, text)


def _unjudged(tried: Sequence[Trial]) -> str:
    """Why a run has no trial of a weakness that was judged."""
    if not tried:
        return "not tried in this run"
    c = counts(tried)
    found = (
        (c.errors, "ended in an error"),
        (c.flaky, "flaky"),
        (c.base_bad, "on a bad base"),
        (c.subnatural, "subnatural"),
        (c.noop, "no-op"),
        (c.injection_errors, "not injected"),
    )
    return f"not judged in this run ({', '.join(f'{n} {why}' for n, why in found if n)})"


def _as(entry: BaselineEntry, standing: Standing, text: str) -> BaselineEntry:
    return replace(entry, standing=standing, text=text)


def _entry(standing: Standing, group: Sequence[Trial], line: Accepted | None = None) -> BaselineEntry:
    judged = [t for t in group if t.outcome is not Outcome.ERROR]
    missed = [t for t in judged if t.outcome is Outcome.FN]
    best = sorted(missed or judged, key=lambda t: (-(t.dose or 0), t.trial_id))
    if group:
        t = group[0]
        name, dose = t.weakness_id, _dose(t.severity, t.rungs, t.fraction)
        label = weakness_label(t.validator, t.fault, t.columns, t.placement, dose)
    elif line is not None:
        name, label = line.weakness_id, label_of(line)
    else:
        raise ConfigError("a weakness without a trial stands in no baseline")
    return BaselineEntry(
        standing=standing,
        weakness_id=name,
        label=label,
        accepted=line,
        missed=len(missed),
        tried=len(judged),
        text=_NEW_TEXT if standing is Standing.NEW else "",
        trial_id=best[0].trial_id if best else "",
    )


_NEW_TEXT = "survives, and nobody accepted it: catch it, or accept it with `pipechaos baseline update`"
