"""Check ledger: what each check of a suite earned, and what it cost (SCORING.md section 6)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipechaos.score.rates import counted
from pipechaos.score.records import FindingRef, Outcome, Review, Trial, TrialKind, Why
from pipechaos.validate.verdict import Check, FindingKind

__all__ = ["CheckScore", "check_ledger", "false_alarms", "killers"]


@dataclass(frozen=True, kw_only=True)
class CheckScore:
    """What one check did in a run.

    Attributes
    ----------
    check, columns, subject
        As the suite declares it; ``declared`` is False for a name the suite file does not hold.
    kills
        Weaknesses detected with a new finding of it.
    unique_kills
        Those that no other check of the validator kills.
    direct_kills
        Those where a finding of it was direct.
    fired
        Whether it spoke on any faulty batch or natural control.
    false_alarms
        Natural controls rejected with it, truly bad batches left out.
    false_alarm_share
        Share of all rejected controls that it took part in; NaN when no control was rejected.
    guarded
        Ids of the weaknesses it alone kills, sorted.
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
    who = killers(mine)
    direct = killers(mine, direct=True)
    alarms = list(false_alarms(mine).values())
    spoke: dict[str, FindingRef] = {}
    for trial in mine:
        if trial.kind in (TrialKind.FAULT, TrialKind.NATURAL):
            for finding in trial.findings:
                spoke.setdefault(finding.check, finding)
    known = {c.id for c in checks}
    rows = [(c.id, c.columns, c.subject.value, True) for c in checks]
    rows += [(n, spoke[n].columns, spoke[n].subject.value, False) for n in sorted(spoke) if n not in known]
    return tuple(_score(row, who, direct, alarms, row[0] in spoke) for row in rows)


def killers(trials: Iterable[Trial], *, direct: bool = False) -> dict[str, frozenset[str]]:
    """Checks that catch each weakness of one validator by a new finding: the check x weakness matrix.

    Parameters
    ----------
    trials
        Of one validator; those that stand in the headline rates count.
    direct
        Only findings that met what really changed.

    Returns
    -------
    dict
        By weakness. One that was caught by an error alone is not in it: no check is credited with it.
    """
    found: dict[str, set[str]] = {}
    for trial in counted(trials):
        if trial.outcome is Outcome.TP:
            for finding in trial.findings:
                if finding.why is Why.DIRECT or (finding.why is not None and not direct):
                    found.setdefault(trial.weakness_id, set()).add(finding.check)
    return {weakness: frozenset(found[weakness]) for weakness in sorted(found)}


def false_alarms(trials: Iterable[Trial]) -> dict[str, frozenset[str]]:
    """Checks that took part in rejecting each natural control, by batch; truly bad and flaky ones left out."""
    return {
        t.batch: frozenset(f.check for f in t.findings if f.kind is FindingKind.FAIL)
        for t in trials
        if t.kind is TrialKind.NATURAL and t.outcome is Outcome.FP and t.review is not Review.TRUE and not t.flaky
    }


def _score(
    row: tuple[str, tuple[str, ...], str, bool],
    caught_by: Mapping[str, frozenset[str]],
    direct: Mapping[str, frozenset[str]],
    alarms: Sequence[frozenset[str]],
    fired: bool,
) -> CheckScore:
    name, columns, subject, declared = row
    alone = tuple(w for w, who in caught_by.items() if who == {name})
    false = sum(name in a for a in alarms)
    return CheckScore(
        check=name,
        columns=columns,
        subject=subject,
        declared=declared,
        kills=sum(name in who for who in caught_by.values()),
        unique_kills=len(alone),
        direct_kills=sum(name in who for who in direct.values()),
        fired=fired,
        false_alarms=false,
        false_alarm_share=false / len(alarms) if alarms else math.nan,
        guarded=alone,
    )
