"""Check ledger: what each check of a suite earned, and what it cost (SCORING.md section 6)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipechaos.score.rates import counted, distinct
from pipechaos.score.records import FindingRef, Outcome, Review, Trial, TrialKind, Why
from pipechaos.validate.verdict import Check, FindingKind

__all__ = ["CheckScore", "check_ledger", "false_alarms", "kill_sets"]

_SPOKEN = (TrialKind.FAULT, TrialKind.NATURAL, TrialKind.BENIGN)


@dataclass(frozen=True, kw_only=True)
class CheckScore:
    """What one check did in a run.

    Attributes
    ----------
    check, columns, subject
        As the suite declares it; ``declared`` is False for a name the suite file does not hold.
    kills
        Weaknesses with a trial detected with a new finding of it.
    unique_kills
        Those with a detected trial that no other check caught: without the check it would be missed.
    direct_kills
        Those where a finding of it was direct.
    fired
        Whether it spoke, with a finding of kind fail or error, on any faulty batch, natural or benign control. What it
        tolerated is no word of it, and what it says of a canary is not asked.
    false_alarms
        Natural controls rejected with it, each content once, truly bad batches left out.
    false_alarm_share
        Share of all rejected controls that it took part in; NaN when no control was rejected.
    guarded
        Ids of the weaknesses with a trial that it alone caught, sorted.
    """

    check: str
    columns: tuple[str, ...]
    subject: str
    declared: bool
    kills: int
    unique_kills: int
    direct_kills: int
    fired: bool
    false_alarms: int
    false_alarm_share: float
    guarded: tuple[str, ...]


def check_ledger(trials: Iterable[Trial], validator: str, checks: Sequence[Check]) -> tuple[CheckScore, ...]:
    """Ledger of one validator: declared checks in the suite's order, then names that no suite file holds.

    Parameters
    ----------
    trials
        Of a run.
    validator
        Name.
    checks
        Every check the suite file declares.
    """
    mine = [t for t in trials if t.validator == validator]
    who = kill_sets(mine)
    direct = kill_sets(mine, direct=True)
    alarms = list(false_alarms(mine).values())
    spoke: dict[str, FindingRef] = {}
    for trial in mine:
        if trial.kind in _SPOKEN:
            for finding in trial.findings:
                if finding.kind is not FindingKind.TOLERATED:
                    spoke.setdefault(finding.check, finding)
    known = {c.id for c in checks}
    rows = [(c.id, c.columns, c.subject.value, True) for c in checks]
    rows += [(n, spoke[n].columns, spoke[n].subject.value, False) for n in sorted(spoke) if n not in known]
    return tuple(_score(row, who, direct, alarms, row[0] in spoke) for row in rows)


def kill_sets(trials: Iterable[Trial], *, direct: bool = False) -> dict[str, tuple[frozenset[str], ...]]:
    """Checks that caught each detected trial of one validator by a new finding, by weakness.

    Parameters
    ----------
    trials
        Of one validator; those that stand in the headline rates count.
    direct
        Only findings that met what really changed.

    Returns
    -------
    dict
        Every detected weakness, sorted. A trial that no check is credited with has an empty set.
    """
    found: dict[str, list[frozenset[str]]] = {}
    for trial in counted(trials):
        if trial.outcome is Outcome.TP:
            who = (f.check for f in trial.findings if f.why is Why.DIRECT or (f.why is not None and not direct))
            found.setdefault(trial.weakness_id, []).append(frozenset(who))
    return {weakness: tuple(found[weakness]) for weakness in sorted(found)}


def false_alarms(trials: Iterable[Trial]) -> dict[str, frozenset[str]]:
    """Checks that took part in the alarms that the FPR counts, by batch: each content once, none truly bad or flaky."""
    return {
        t.batch: frozenset(f.check for f in t.findings if f.kind is FindingKind.FAIL)
        for t in distinct(t for t in trials if t.kind is TrialKind.NATURAL)
        if t.outcome is Outcome.FP and t.review is not Review.TRUE and not t.flaky
    }


def _score(
    row: tuple[str, tuple[str, ...], str, bool],
    caught_by: Mapping[str, Sequence[frozenset[str]]],
    direct: Mapping[str, Sequence[frozenset[str]]],
    alarms: Sequence[frozenset[str]],
    fired: bool,
) -> CheckScore:
    name, columns, subject, declared = row
    alone = tuple(w for w, trials in caught_by.items() if {name} in trials)
    false = sum(name in a for a in alarms)
    return CheckScore(
        check=name,
        columns=columns,
        subject=subject,
        declared=declared,
        kills=_kills(name, caught_by),
        unique_kills=len(alone),
        direct_kills=_kills(name, direct),
        fired=fired,
        false_alarms=false,
        false_alarm_share=false / len(alarms) if alarms else math.nan,
        guarded=alone,
    )


def _kills(name: str, caught_by: Mapping[str, Sequence[frozenset[str]]]) -> int:
    return sum(any(name in who for who in trials) for trials in caught_by.values())
