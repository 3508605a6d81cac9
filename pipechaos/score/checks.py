"""Check ledger: what each check of a suite earned, and what it cost (SCORING.md section 6)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipechaos.score.rates import counted
from pipechaos.score.records import FindingRef, Outcome, Review, Trial, TrialKind, Why
from pipechaos.validate.verdict import Check, FindingKind

__all__ = ["CheckScore", "check_ledger"]


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
    killers: dict[str, set[str]] = {}
    direct: dict[str, set[str]] = {}
    for trial in counted(mine):
        if trial.outcome is Outcome.TP:
            for finding in trial.findings:
                if finding.why is not None:
                    killers.setdefault(trial.weakness_id, set()).add(finding.check)
                    if finding.why is Why.DIRECT:
                        direct.setdefault(finding.check, set()).add(trial.weakness_id)
    alarms = {
        t.batch: {f.check for f in t.findings if f.kind is FindingKind.FAIL}
        for t in mine
        if t.kind is TrialKind.NATURAL and t.outcome is Outcome.FP and t.review is not Review.TRUE and not t.flaky
    }
    spoke: dict[str, FindingRef] = {}
    for trial in mine:
        if trial.kind in (TrialKind.FAULT, TrialKind.NATURAL):
            for finding in trial.findings:
                spoke.setdefault(finding.check, finding)
    known = {c.id for c in checks}
    rows = [(c.id, c.columns, c.subject.value, True) for c in checks]
    rows += [(n, spoke[n].columns, spoke[n].subject.value, False) for n in sorted(spoke) if n not in known]
    return tuple(
        _score(row, killers, direct.get(row[0], set()), list(alarms.values()), row[0] in spoke) for row in rows
    )


def _score(
    row: tuple[str, tuple[str, ...], str, bool],
    killers: dict[str, set[str]],
    direct: set[str],
    alarms: list[set[str]],
    fired: bool,
) -> CheckScore:
    name, columns, subject, declared = row
    alone = tuple(sorted(w for w, who in killers.items() if who == {name}))
    false = sum(name in a for a in alarms)
    return CheckScore(
        check=name,
        columns=columns,
        subject=subject,
        declared=declared,
        kills=sum(name in who for who in killers.values()),
        unique_kills=len(alone),
        direct_kills=len(direct),
        fired=fired,
        false_alarms=false,
        false_alarm_share=false / len(alarms) if alarms else math.nan,
        guarded=alone,
    )
