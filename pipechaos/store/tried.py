"""When each weakness was last tried, over many runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pipechaos.score.records import Outcome, TrialKind
from pipechaos.store import tables
from pipechaos.store.records import RunStatus

if TYPE_CHECKING:
    from pipechaos.store.database import Store

__all__ = ["LastTry", "last_tries"]


@dataclass(frozen=True, kw_only=True)
class LastTry:
    """The last time a weakness was tried.

    Attributes
    ----------
    started
        When that run began; UTC.
    judged
        Whether any run so far caught or missed it: errors and faults without effect are tries, and say nothing.
    """

    started: dt.datetime
    judged: bool


def last_tries(store: Store, experiment: str, *, ended_by: dt.datetime, apart_from: str = "") -> Mapping[str, LastTry]:
    """The last try of every weakness, by its id, in runs of an experiment that have ended.

    A trial whose untouched batch was not accepted is no try: nothing could be learned from it.

    Parameters
    ----------
    store
        Where.
    experiment
        Name of the experiment.
    ended_by
        Only runs that had ended then; aware.
    apart_from
        Id of a run that does not count.
    """
    run, trial = tables.run, tables.trial
    judged = sa.case((trial.c.outcome.in_([Outcome.TP.value, Outcome.FN.value]), 1), else_=0)
    query = (
        sa.select(
            trial.c.weakness_id,
            sa.func.max(run.c.started).label("started"),
            sa.func.max(judged).label("judged"),
        )
        .join(run, run.c.run_id == trial.c.run_id)
        .where(
            run.c.experiment == experiment,
            run.c.status != RunStatus.RUNNING.value,
            run.c.finished <= ended_by,
            run.c.run_id != apart_from,
            trial.c.kind == TrialKind.FAULT.value,
            trial.c.outcome != Outcome.BASE_BAD.value,
        )
        .group_by(trial.c.weakness_id)
    )
    rows = store._rows(query)
    return {row["weakness_id"]: LastTry(started=row["started"], judged=bool(row["judged"])) for row in rows}
