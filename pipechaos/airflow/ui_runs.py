"""What the UI shows of a store, as plain functions: no Airflow and no web server in here."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipechaos.airflow.campaign import TaskKey
from pipechaos.campaign.output import without_values
from pipechaos.errors import ConfigError
from pipechaos.report.content import build_content
from pipechaos.report.html import render_html
from pipechaos.report.inputs import Report
from pipechaos.report.numbers import RateText, over_batches, over_blocks
from pipechaos.score.baseline import Accepted, BaselineEntry, BaselineResult, Standing
from pipechaos.score.gates import ExitCode, Gate, Metric
from pipechaos.score.records import Rate, Trial
from pipechaos.score.scorecard import About, Scorecard, ValidatorInfo, build
from pipechaos.score.stack import STACK
from pipechaos.store.records import RatePoint, RunIdentity, RunRecord, RunStatus
from pipechaos.validate.verdict import Check, Subject

if TYPE_CHECKING:
    from pipechaos.store.database import Store

__all__ = [
    "RateLine",
    "RunLine",
    "UnknownRunError",
    "dag_part",
    "hidden_from",
    "listed",
    "made_by",
    "report_page",
    "scorecard_from",
]

_TREND = 60  # past runs that a report draws
_SCORECARD = "pipechaos.scorecard/1"
_TASK_RUN = re.compile(r"(?P<task>(?P<dag>.+)-[0-9a-f]{16})-[0-9a-f]{8}")
_FAILED_DRILL = ".could-not-run"  # follows the id of a drill that never judged
_ENDED: Mapping[int, str] = {
    ExitCode.OK: "all gates pass",
    ExitCode.GATE_FAILED: "a gate failed",
    ExitCode.COULD_NOT_RUN: "could not judge",
    ExitCode.INCONCLUSIVE: "too little was judged to decide",
}
_ANY = RunIdentity(experiment="", experiment_digest="", seed=0)  # the parts of an id that name the task hold none of it


class UnknownRunError(ConfigError):
    """There is no such run, or none that the reader may see; nothing tells which."""


@dataclass(frozen=True, kw_only=True)
class RateLine:
    """Rates of one validator in one run, in words.

    Attributes
    ----------
    validator
        Its name; ``all together`` for the stack of all.
    missed, alarms
        False negatives among faulty trials, and false positives among untouched batches.
    """

    validator: str
    missed: RateText
    alarms: RateText


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One run in a list.

    Attributes
    ----------
    run_id, experiment
        Which one.
    started
        When, in UTC.
    ended
        How: exit code with its meaning, or that it has not ended.
    passed
        Whether it ended with exit code 0; None while it has not ended, and where no gate or baseline decides.
    rates
        One line for each validator; none while it has not ended.
    """

    run_id: str
    experiment: str
    started: str
    ended: str
    passed: bool | None
    rates: tuple[RateLine, ...]


def listed(store: Store, runs: Iterable[RunRecord]) -> tuple[RunLine, ...]:
    """Runs in words, in the order given."""
    return tuple(_line(store, run) for run in runs)


def _line(store: Store, run: RunRecord) -> RunLine:
    points = () if run.exit_code is None else store.rates(run.run_id)
    decided = bool((run.scorecard or {}).get("gates") or (run.scorecard or {}).get("baseline"))
    known = run.exit_code is not None and (decided or run.exit_code != ExitCode.OK)
    return RunLine(
        run_id=run.run_id,
        experiment=run.experiment,
        started=f"{run.started:%Y-%m-%d %H:%M}",
        ended=_ended(run, decided=decided),
        passed=run.exit_code == ExitCode.OK if known else None,
        rates=tuple(map(_rates, sorted(points, key=lambda p: (p.validator == STACK, p.validator)))),
    )


def _ended(run: RunRecord, *, decided: bool) -> str:
    if run.exit_code is None:
        return "has not ended"
    words = "no gate declared" if run.exit_code == ExitCode.OK and not decided else _ENDED.get(run.exit_code, "")
    stopped = " (stopped early)" if run.status is RunStatus.STOPPED else ""
    return f"{run.exit_code}: {words}{stopped}"


def _rates(point: RatePoint) -> RateLine:
    return RateLine(
        validator="all together" if point.validator == STACK else point.validator,
        missed=over_batches(_rate(point.fnr, point.fnr_low, point.fnr_high, point.missed, point.faulty)),
        alarms=over_blocks(_rate(point.fpr, point.fpr_low, point.fpr_high, point.alarms, point.natural)),
    )


def _rate(estimate: float | None, low: float | None, high: float | None, hits: int, trials: int) -> Rate:
    known = [math.nan if x is None else x for x in (estimate, low, high)]
    reason = "no trials" if trials == 0 else "too few batches for an interval" if low is None else None
    return Rate(estimate=known[0], low=known[1], high=known[2], hits=hits, trials=trials, reason=reason)


def report_page(store: Store, run_id: str, known: Collection[str]) -> str:
    """The report of a run as one HTML page, without data values: who may look at DAGs need not be let see data.

    Parameters
    ----------
    store
        Where the run is kept.
    run_id
        Its whole id: neither the beginning of one, nor ``last``, nor a path.
    known
        Ids of the runs in the store that the reader may see.

    Raises
    ------
    UnknownRunError
        It is none of them.
    ConfigError
        It has not ended.
    MissingExtraError
        Jinja2 is not installed.
    """
    if run_id not in known:
        raise UnknownRunError(f"there is no run {run_id!r} in the store {store.shown}: its list names those there are")
    run = store.run(run_id)
    if run.scorecard is None:
        raise ConfigError(f"run {run_id!r} has not ended: there is no scorecard yet")
    if run.scorecard.get("schema") != _SCORECARD:
        raise ConfigError(f"run {run_id!r} could not judge: it left no scorecard. The log of its task says why")
    trials = without_values(store.trials(run_id))
    card = scorecard_from(run.scorecard, trials)
    return render_html(
        Report(
            card=card,
            content=build_content(card, {}),
            trials=tuple(trials),
            run_id=run_id,
            trend=store.trend(run.experiment, _TREND),
            baseline=card.baseline,
            values=False,
        ),
        home="runs",
    )


def scorecard_from(document: Mapping[str, Any], trials: Sequence[Trial]) -> Scorecard:
    """Score the trials of a run again, under what its document says of the experiment, the gates and the baseline.

    Parameters
    ----------
    document
        ``Scorecard.to_dict()`` of the run.
    trials
        All of the run.
    """
    experiment, settings = document["experiment"], document["settings"]
    return build(
        trials,
        about=About(
            name=experiment["name"],
            digest=experiment["digest"],
            seed=experiment["seed"],
            **{k: document[k] for k in ("versions", "sample", "history", "incidents", "contract")},
            rho=settings["rho"],
            block=settings["block"],
            stopped=document["first"].get("stopped") or "",
        ),
        validators=[
            ValidatorInfo(name=v["name"], spec=v["spec"], suite_digest=v["suite_digest"], checks=_checks(v))
            for v in document["validators"]
        ],
        gates=_gates(document["gates"]),
        baseline=None if document["baseline"] is None else _baseline(document["baseline"]),
        runtime={k: v for k, v in document["runtime"].items() if k != "validators"},
    )


def _checks(validator: Mapping[str, Any]) -> tuple[Check, ...]:
    return tuple(
        Check(id=c["check"], columns=tuple(c["columns"]), subject=Subject(c["subject"]))
        for c in validator["checks"]
        if c["declared"]
    )


def _gates(results: Iterable[Mapping[str, Any]]) -> tuple[Gate, ...]:
    """Each gate once: the document has it for every validator it covers."""
    found = {str(r["gate"]): r["gate"] for r in results}
    return tuple(Gate(**{**gate, "metric": Metric(gate["metric"])}) for gate in found.values())


def _baseline(document: Mapping[str, Any]) -> BaselineResult:
    return BaselineResult(
        file=document["file"],
        reason=document.get("reason", ""),
        entries=tuple(
            BaselineEntry(**{**e, "standing": Standing(e["standing"]), "accepted": _accepted(e["accepted"])})
            for e in document["entries"]
        ),
    )


def _accepted(document: Mapping[str, Any] | None) -> Accepted | None:
    if document is None:
        return None
    expires = document["expires"]
    return Accepted(
        **{
            **document,
            "columns": tuple(document["columns"]),
            "expires": dt.date.fromisoformat(expires) if expires else None,
        }
    )


# --- whose runs -----------------------------------------------------------------------------------------------------


def made_by(
    runs: Iterable[RunRecord], dag_id: str, run_id: str, tasks: Iterable[tuple[str, int]]
) -> tuple[RunRecord, ...]:
    """Those runs that tasks of a DAG run made: campaigns and drills.

    Parameters
    ----------
    runs
        Of the store.
    dag_id, run_id
        Which DAG run.
    tasks
        Task id and map index of each of its task instances.
    """
    mine: set[str | None] = set()
    for task, index in tasks:
        key = TaskKey(dag_id=dag_id, run_id=run_id, task_id=task, map_index=index)
        mine |= {_task_part(key.store_id(_ANY)), key.drill_id}
    return tuple(run for run in runs if _task_part(run.run_id) in mine)


def _task_part(run_id: str) -> str | None:
    """The id without what the run was made of, or became of it; None where no task made it."""
    if "/" in run_id:
        return run_id.removesuffix(_FAILED_DRILL)
    found = _TASK_RUN.fullmatch(run_id)
    return found["task"] if found else None


def dag_part(run_id: str) -> str | None:
    """What the id of a run says of its DAG; None for a run that no task made.

    Examples
    --------
    >>> dag_part("flights_drill-0d2ea2d9ae7d51a4-3aa18a6b"), dag_part("flights-drill/manual__1/drill")
    ('flights_drill', 'flights-drill/')
    >>> dag_part("20261125T090000Z-a1b2") is None
    True
    """
    if "/" in run_id:  # in no DAG's id
        return run_id.partition("/")[0] + "/"
    found = _TASK_RUN.fullmatch(run_id)
    return found["dag"] if found else None


def hidden_from(readable: Collection[str], dags: Iterable[str]) -> frozenset[str]:
    """Parts of run ids that belong to a DAG the user may not read.

    Two DAGs may share a part: then both have to be readable.

    Parameters
    ----------
    readable
        Ids of DAGs the user may read.
    dags
        Ids of all DAGs.

    Examples
    --------
    >>> sorted(hidden_from({"a.b", "mine"}, ["a.b", "a-b", "mine", "theirs"]))
    ['a-b/', 'a_b', 'theirs', 'theirs/']
    """
    keys = [TaskKey(dag_id=dag, run_id="", task_id="") for dag in dags if dag not in readable]
    ids = [made for key in keys for made in (key.store_id(_ANY), key.drill_id)]
    return frozenset(filter(None, map(dag_part, ids)))
