"""Hold a drill, or what is left of one that was killed; say how drills stand."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipechaos.campaign.experiment import Experiment
from pipechaos.campaign.journal import Recorder
from pipechaos.campaign.output import without_values
from pipechaos.campaign.run import Progress
from pipechaos.campaign.versions import checked_out
from pipechaos.drill.findings import coverage, new_survivors
from pipechaos.drill.message import drill_message, failure_message
from pipechaos.drill.period import failed_gates, period_gates, worst
from pipechaos.drill.plan import Drilled, DrillPlan, plan_drill, window_ends
from pipechaos.drill.records import DrillResult, DrillStatus
from pipechaos.drill.rotation import Turn, next_turns
from pipechaos.drill.schedule import DrillsPausedError, failures, nights, overdue, paused, record_failure
from pipechaos.drill.settings import DrillSettings, drill_name
from pipechaos.errors import ConfigError, PipechaosError
from pipechaos.report.experiment_run import RunSettings, run_experiment
from pipechaos.safety.switch import Halted
from pipechaos.score.baseline import Baseline
from pipechaos.score.gates import GateVerdict
from pipechaos.score.records import Outcome, TrialKind
from pipechaos.score.scorecard import Scorecard
from pipechaos.store.recorder import recorder
from pipechaos.store.records import RatePoint, RunRecord, RunStatus
from pipechaos.store.tried import LastTry, last_tries

if TYPE_CHECKING:
    from pipechaos.store.database import Store

__all__ = ["DrillRun", "drill_status", "results_folder", "run_drill"]

_TREND = 60  # past drills that a report draws


def _log(message: str) -> None:
    logging.getLogger("pipechaos.drill").warning("%s", message)


@dataclass(frozen=True, kw_only=True)
class DrillRun:
    """How one drill is done and told.

    Attributes
    ----------
    run_id
        In the store; a retry under the same one goes on and does nothing twice.
    out
        Folder of all drills' results; each has one of its own in it.
    source
        The experiment's file as the user named it.
    jobs
        Worker processes.
    values
        Whether data values may be shown and written.
    baseline
        Survivors that were accepted.
    release
        Hold it though drills are paused.
    notify
        Takes a message when a gate failed, a survivor is new or the drill could not run. What it raises is not caught:
        a retry tells again, and does not drill again.
    halt
        As ``run_campaign`` takes it.
    progress
        Called after each frame.
    now
        The clock: aware, UTC.
    """

    run_id: str
    out: Path
    source: str = "EXPERIMENT"
    jobs: int = 1
    values: bool = False
    baseline: Baseline | None = None
    release: bool = False
    notify: Callable[[str], None] = _log
    halt: Callable[[], None] = lambda: None
    progress: Callable[[Progress], None] = lambda _: None
    now: Callable[[], dt.datetime] = field(default=lambda: dt.datetime.now(dt.UTC))


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A drill's place in a store."""

    store: Store
    run_id: str
    started: dt.datetime
    recorder: Recorder | None

    def finish(self, card: Scorecard, *, finished: dt.datetime, stopped: str) -> tuple[RatePoint, ...]:
        """Write down how it ended; returns the rates of past drills, this one the last."""
        status = RunStatus.STOPPED if stopped else RunStatus.FINISHED
        code = int(card.exit_code)
        self.store.finish(self.run_id, card.to_dict(), exit_code=code, finished=finished, status=status)
        return self.store.trend(card.about.name, _TREND)


def results_folder(out: Path, run_id: str) -> Path:
    """Folder of one drill's results.

    Examples
    --------
    >>> results_folder(Path("drills"), "nightly/scheduled__2024-03-01T05:00:00+00:00").name
    'nightly%2Fscheduled__2024-03-01T05%3A00%3A00%2B00%3A00'
    """
    return out / quote(run_id, safe="")


def run_drill(
    experiment: Experiment, root: Path, store: Store, *, settings: DrillSettings, run: DrillRun
) -> DrillResult:
    """Hold a drill: break the latest batches in the ways whose turn it is, and tell what is new.

    A drill that has finished is not held again under the same id: its result is read back, and told again.

    Parameters
    ----------
    experiment, root
        What is drilled, and the folder that its relative paths start from.
    store
        Open; it holds the drills so far, and so decides whose turn it is.
    settings, run
        How drills are held, and this one.

    Raises
    ------
    DrillsPausedError
        Too many drills in a row could not run; nothing was touched.
    ConfigError
        The experiment or the budget cannot be used; nothing was touched.
    Halted
        The kill switch is on. That is no failure.
    PipechaosError
        It could not run: the store remembers, and after ``settings.pause_after`` of these drills are paused.
    """
    held = _held(store, experiment, run.run_id)
    past = nights(store, experiment.name, apart_from=run.run_id)
    started = run.now() if held is None else held.started
    tries = last_tries(store, drill_name(experiment.name), ended_by=started, apart_from=run.run_id)
    if held is None or held.status is not RunStatus.FINISHED:
        why = paused(past, settings)
        if why and not run.release:
            raise DrillsPausedError(f"experiment {experiment.name!r}: {why}")
    try:
        plan = _laid_out(experiment, root, settings, tries, held)
        fresh = held is None or held.status is not RunStatus.FINISHED
        halted = fresh and _hold(plan, root, store, started, run)
    except (ConfigError, Halted):
        raise
    except Exception as exc:
        with suppress(PipechaosError):  # where the store is what failed, its own error is the one to see
            record_failure(store, experiment, run.run_id, started=started, at=run.now())
        run.notify(failure_message(experiment.name, exc, len(failures(past)) + 1, settings.pause_after))
        raise
    earlier = [n for n in past if n.started < started]
    late = overdue(earlier, settings, started)
    found = _result(experiment, store, plan, tries, settings, run, late=late, halted=halted)
    if found.alarming:
        run.notify(drill_message(found))
    return found


def _held(store: Store, experiment: Experiment, run_id: str) -> RunRecord | None:
    return next((r for r in store.runs(drill_name(experiment.name)) if r.run_id == run_id), None)


def _laid_out(
    experiment: Experiment,
    root: Path,
    settings: DrillSettings,
    tries: Mapping[str, LastTry],
    held: RunRecord | None,
) -> DrillPlan:
    """The plan of a drill; of one that began before, as it was then."""
    if held is not None:
        for then in window_ends(experiment, root, settings):
            plan = plan_drill(experiment, root, then, tries)
            if plan.experiment.digest == held.experiment_digest:
                return plan
    return plan_drill(experiment, root, settings, tries)  # where it differs from what was begun, the store refuses it


def _hold(plan: DrillPlan, root: Path, store: Store, started: dt.datetime, run: DrillRun) -> bool:
    """Whether the kill switch ended it among its faults."""
    kept = tuple if run.values else without_values
    place = _Place(
        store=store,
        run_id=run.run_id,
        started=started,
        recorder=recorder(store, run.run_id, started=started, revision=checked_out(root, Path()), kept=kept),
    )
    folder = results_folder(run.out, run.run_id)
    how = RunSettings(
        source=run.source,
        replay=f"pipechaos replay --out {folder}",
        jobs=run.jobs,
        values=run.values,
        baseline=run.baseline,
    )
    done = run_experiment(
        plan.experiment,
        root,
        folder,
        settings=how,
        keeping=place,
        progress=run.progress,
        halt=run.halt,
        now=run.now,
    )
    return done.result.halted


def _result(
    experiment: Experiment,
    store: Store,
    plan: DrillPlan,
    tries: Mapping[str, LastTry],
    settings: DrillSettings,
    run: DrillRun,
    *,
    late: str,
    halted: bool,
) -> DrillResult:
    done = store.run(run.run_id)
    card = done.scorecard or {}
    faulty = [t for t in store.trials(done.run_id) if t.kind is TrialKind.FAULT]
    after = last_tries(store, drill_name(experiment.name), ended_by=done.finished or done.started)
    whole = [d.at(after) for d in plan.whole]
    at = done.finished or done.started
    covered = coverage(whole, settings, at)
    gates = period_gates(store, done, experiment, settings, covered)
    folder = results_folder(run.out, run.run_id)
    pages = [folder / name for name in ("report.html", "report.md")]
    return DrillResult(
        experiment=experiment.name,
        run_id=done.run_id,
        started=done.started,
        finished=done.finished,
        status=done.status,
        exit_code=int(worst(done.exit_code or 0, gates)),
        stopped=card["first"]["stopped"] or "",
        halted=halted,
        bases=plan.bases,
        tried=len(plan.tonight),
        trials=len(faulty),
        judged=sum(t.outcome in (Outcome.TP, Outcome.FN) for t in faulty),
        base_bad=tuple(sorted({t.validator for t in faulty if t.outcome is Outcome.BASE_BAD})),
        blind=tuple(card["first"]["blind"]),
        injection_errors=card["first"]["injection_errors"],
        gates_failed=failed_gates(gates),
        gates_open=sum(g.verdict is GateVerdict.INCONCLUSIVE for g in gates),
        new_survivors=new_survivors(store, done, experiment.name, tries),
        coverage=covered,
        next_due=_next(whole, plan.budget),
        next_at=done.started + settings.every,
        late=late,
        report=next((str(p) for p in pages if p.is_file()), ""),
    )


def _next(whole: list[Drilled], budget: int) -> tuple[str, ...]:
    """The pairs of the next drill, in words."""
    names = {d.key: str(d.pair) for d in whole}
    return tuple(names[t.key] for t in next_turns([Turn(key=d.key, cost=d.cost, last=d.last) for d in whole], budget))


def drill_status(
    experiment: Experiment, root: Path, store: Store, *, settings: DrillSettings, now: dt.datetime
) -> DrillStatus:
    """How the drills of an experiment stand; nothing is touched.

    Parameters
    ----------
    experiment, root
        What is drilled, and the folder that its relative paths start from.
    store
        Open.
    settings
        How drills are held.
    now
        Aware.
    """
    past = nights(store, experiment.name)
    plan = plan_drill(experiment, root, settings, last_tries(store, drill_name(experiment.name), ended_by=now))
    last = next((n.run for n in past if not n.failed), None)
    whole = [*plan.tonight, *plan.waiting]
    return DrillStatus(
        experiment=experiment.name,
        drills=len(past),
        last=None if last is None else last.started,
        last_exit_code=None if last is None else last.exit_code,
        overdue=overdue(past, settings, now),
        paused=paused(past, settings),
        coverage=coverage(whole, settings, now),
        next_due=_next(whole, plan.budget),
        next_at=None if last is None else last.started + settings.every,
        trials_each=plan.budget,
    )
