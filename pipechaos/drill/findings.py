"""What a drill found, read back from the store: the same after a retry as right after the run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipechaos.drill.plan import Drilled
from pipechaos.drill.records import Coverage, Newness, NewSurvivor
from pipechaos.drill.settings import DrillSettings
from pipechaos.score.baseline import Standing
from pipechaos.store.records import RunRecord, RunStatus, WeaknessRow
from pipechaos.store.tried import LastTry

if TYPE_CHECKING:
    from pipechaos.store.database import Store

__all__ = ["coverage", "new_survivors"]


def coverage(whole: Sequence[Drilled], settings: DrillSettings, now: dt.datetime) -> Coverage:
    """How much of the catalogue was drilled within the last period.

    Parameters
    ----------
    whole
        Everything that takes turns, with its last try.
    settings
        The period.
    now
        Its end; aware.
    """
    tried = [d.last for d in whole if d.last is not None]
    return Coverage(
        pairs=len(whole),
        within=sum(now - last <= settings.period for last in tried),
        never=len(whole) - len(tried),
        oldest=min(tried, default=None),
        period_days=settings.period_days,
    )


def new_survivors(
    store: Store, run: RunRecord, experiment: str, earlier: Mapping[str, LastTry]
) -> tuple[NewSurvivor, ...]:
    """Survivors of a drill that are news, regressions first; what the baseline accepts is none.

    Parameters
    ----------
    store
        Where runs are kept.
    run
        The drill, with its scorecard.
    experiment
        Name of the experiment itself: what its last whole run knew to survive is no news either.
    earlier
        Last try of every weakness in drills before this one.
    """
    standing = _standing(run)
    caught = {(r.now.validator, r.now.weakness_id) for r in store.regressions(run.run_id)}
    known = _known(store, experiment, run.started)
    out = []
    for row in store.survivors(run.run_id):
        why = _why(row, standing, caught, known, earlier)
        if why is not None:
            out.append(_news(row, why))
    order = list(Newness)
    return tuple(sorted(out, key=lambda n: (order.index(n.why), n.validator, n.fault, n.columns, n.severity)))


def _why(
    row: WeaknessRow,
    standing: Mapping[str, str],
    caught: set[tuple[str, str]],
    known: set[str],
    earlier: Mapping[str, LastTry],
) -> Newness | None:
    stands = standing.get(row.weakness_id)
    if stands is not None and stands != Standing.NEW.value:
        return None  # accepted; where it expired, that is a matter of the baseline
    if (row.validator, row.weakness_id) in caught:
        return Newness.REGRESSION
    if stands == Standing.NEW.value:
        return Newness.UNACCEPTED
    before = earlier.get(row.weakness_id)
    judged = before is not None and before.judged
    return None if judged or row.weakness_id in known else Newness.FIRST_SEEN


def _standing(run: RunRecord) -> dict[str, str]:
    """How weaknesses stand to the baseline, by id; empty without one."""
    held = (run.scorecard or {}).get("baseline") or {}
    return {e["weakness_id"]: e["standing"] for e in held.get("entries", ())}


def _known(store: Store, experiment: str, before: dt.datetime) -> set[str]:
    """Survivors of the experiment's last whole run before that moment."""
    for run in store.runs(experiment):
        if run.status is RunStatus.FINISHED and run.started < before:
            return {row.weakness_id for row in store.survivors(run.run_id)}
    return set()


def _news(row: WeaknessRow, why: Newness) -> NewSurvivor:
    return NewSurvivor(
        why=why,
        validator=row.validator,
        fault=row.fault,
        columns=row.columns,
        severity=row.severity,
        weakness_id=row.weakness_id,
        missed=row.missed,
        tried=row.missed + row.detected,
    )
