"""Run a campaign: controls first, then faults; every observation becomes a trial at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.ipc import ipc_bytes
from pipechaos.batch.model import Batch
from pipechaos.campaign.experiment import Experiment
from pipechaos.campaign.journal import Earlier, Recorder, Unrecorded, base_verdicts, go_on, identity_of
from pipechaos.campaign.pool import Pool
from pipechaos.campaign.share import Share
from pipechaos.campaign.source import Batches
from pipechaos.campaign.tasks import CampaignPlan, Task, plan_campaign
from pipechaos.campaign.trials import Judge, Observed, subnatural
from pipechaos.errors import FaultError, UnknownNameError
from pipechaos.inject.engine import Injected, inject
from pipechaos.ledger.records import InjectionRecord, Ledger, RowEntry, Status
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.resolve import resolve
from pipechaos.safety.switch import Halted
from pipechaos.score.attribution import Groups, uniqueness_groups
from pipechaos.score.natural import NaturalRanges
from pipechaos.score.outcome import flaky
from pipechaos.score.rates import blocks
from pipechaos.score.records import Trial, TrialKind
from pipechaos.validate.limits import Limit
from pipechaos.validate.verdict import Check, Subject, Verdict
from pipechaos.validate.worker import ValidatorSpec, Worker, WorkerSpec

__all__ = ["CampaignResult", "Progress", "Suite", "inject_one", "run_campaign", "worker_spec"]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A validator as it was loaded: its checks and the numbers they declare, and the digest of its files."""

    name: str
    spec: str
    digest: str
    checks: tuple[Check, ...]
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CampaignResult:
    """Everything a run gave.

    Attributes
    ----------
    experiment, plan
        What was asked for, and what was laid out.
    suites
        The validators.
    trials
        In the order of the plan.
    history, controls, incidents
        Names of the batches.
    stopped
        Why the run ended early; empty when it did not.
    halted
        Whether that was a halt.
    seconds
        Wall time of the whole, by phase.
    injecting
        CPU time spent on making corrupted copies.
    jobs
        Worker processes.
    resumed
        Tasks that an earlier process had done; times are of this process alone.
    """

    experiment: Experiment
    plan: CampaignPlan
    suites: tuple[Suite, ...]
    trials: tuple[Trial, ...]
    history: tuple[str, ...]
    controls: tuple[str, ...]
    incidents: Mapping[str, str]
    stopped: str
    seconds: Mapping[str, float]
    injecting: float
    jobs: int
    resumed: int = 0
    halted: bool = False


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is: frames judged of all, and the seconds that are left by the pace so far (None: unknown)."""

    phase: str
    done: int
    total: int
    left_seconds: float | None


def worker_spec(experiment: Experiment, root: Path) -> WorkerSpec:
    """What each worker process loads."""
    return WorkerSpec(
        validators=tuple(
            ValidatorSpec(name=v.name, spec=v.spec, imports=tuple(v.imports), loader=v.loader)
            for v in experiment.validators
        ),
        roots=tuple(str((root / r).resolve()) for r in experiment.roots),
        loader=experiment.loader,
    )


def inject_one(injection: Injection, base: Batch, batches: Batches, *, before_values: bool = False) -> Injected:
    """Break one batch as a campaign does: scales from the pooled history, stale rows from the batch before."""
    spec = injection.spec
    earlier = batches.before(base.name) if spec.donor else None
    donors = () if earlier is None else (earlier,)
    history = batches.pooled() if spec.resolve is not None and not spec.donor else ()
    plan = resolve(Plan.of(injection), base, history, earlier=donors)
    return inject(plan, base, {d.name: d for d in donors}, before_values=before_values)


def run_campaign(
    experiment: Experiment,
    root: Path,
    *,
    jobs: int = 2,
    progress: Callable[[Progress], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    recorder: Recorder | None = None,
    halt: Callable[[], None] = lambda: None,
    share: Share | None = None,
    batches: Batches | None = None,
) -> CampaignResult:
    """Run an experiment, or what is left of a run that was killed or stopped.

    Parameters
    ----------
    experiment
        The file.
    root
        Folder that its relative paths start from.
    jobs
        Worker processes.
    progress
        Called after each frame, in the thread of the caller.
    clock
        Seconds, for the budget's minutes and the estimate. A run that goes on has all its minutes again.
    recorder
        Where verdicts and trials are committed as they come, and what an earlier process had committed; None keeps
        nothing. The scorecard is the same either way, ``runtime`` apart.
    halt
        Raises :class:`pipechaos.safety.switch.Halted` when nothing may be injected any more. Called before every task,
        from worker threads, never twice at once. Among the faults it ends the run like a budget that is spent: what was
        judged stays, ``stopped`` says why, and the run may go on later.
    share
        Only this part of it: the result holds no other trials. A run of the whole with the same recorder finds it done.
    batches
        Those of this experiment, where the caller has them already: what they read is not read again.

    Raises
    ------
    Halted
        Before the controls were through: there is nothing yet to score, and what a recorder holds stays.
    PipechaosError
        Anything that is wrong with the experiment, before anything is judged; a validator that cannot be loaded; data,
        suites or versions that differ from those of the run that is to go on.
    """
    halt()
    batches = batches or Batches(experiment, root)
    plan = plan_campaign(experiment, batches)
    kept = recorder or Unrecorded()
    started = clock()
    with Pool(worker_spec(experiment, root), jobs, experiment.limit_seconds) as pool:
        suites = _suites(experiment, pool.first)
        run = _Run(
            recorder=kept,
            earlier=_earlier(kept, experiment, batches, plan, suites) if recorder else Earlier(),
            experiment=experiment,
            batches=batches,
            plan=plan if share is None else share.plan(plan),
            clock=clock,
            progress=progress,
            started=started,
            halt=halt,
            judge=Judge(
                experiment=experiment,
                suites={s.name: s.digest for s in suites},
                blocks=blocks(batches.controls, experiment.block),
            ),
            ranges=NaturalRanges(names=batches.history, load=batches.load),
        )
        trials = [*run.controls(pool), *run.faults(pool)]
    return CampaignResult(
        experiment=experiment,
        plan=plan,
        suites=suites,
        trials=tuple(trials),
        history=batches.history,
        controls=batches.controls,
        incidents=batches.incidents,
        stopped=run.stopped,
        seconds={"total": clock() - started, **run.seconds},
        injecting=run.injecting,
        jobs=jobs,
        resumed=run.resumed,
        halted=run.halted,
    )


def _earlier(
    recorder: Recorder, experiment: Experiment, batches: Batches, plan: CampaignPlan, suites: Sequence[Suite]
) -> Earlier:
    journal = recorder.begin(identity_of(experiment, {s.name: s.digest for s in suites}, batches))
    return go_on(journal, plan, [s.name for s in suites], lambda name: ordered_digest(batches.load(name).table))


def _suites(experiment: Experiment, worker: Worker) -> tuple[Suite, ...]:
    known = worker.describe()
    return tuple(
        Suite(
            name=v.name,
            spec=v.spec,
            checks=known[v.name].checks,
            digest=known[v.name].suite_digest,
            limits=known[v.name].limits,
        )
        for v in experiment.validators
    )


Done: TypeAlias = Observed | tuple[Trial, ...]  # what a task gave here, or trials of an earlier process


@dataclass(kw_only=True)
class _Run:
    """State of one run; lives inside :func:`run_campaign` only."""

    experiment: Experiment
    batches: Batches
    plan: CampaignPlan
    clock: Callable[[], float]
    progress: Callable[[Progress], None]
    started: float
    halt: Callable[[], None]
    judge: Judge
    ranges: NaturalRanges
    recorder: Recorder
    earlier: Earlier
    done: int = 0
    resumed: int = 0
    stopped: str = ""
    halted: bool = False
    injecting: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    asking: threading.Lock = field(default_factory=threading.Lock)

    def controls(self, pool: Pool) -> list[Trial]:
        """Canaries and untouched batches: every base's own verdict comes before what is paired with it."""
        found = []
        for done, fresh in self._each("controls", self.plan.first, pool):
            found.append(done)
            if isinstance(done, Observed) and done.task.kind is TrialKind.NATURAL:
                self._keep_base(done)
                if fresh:
                    self.recorder.verdicts(base_verdicts(done))
        trials = [t for done in found for t in self._trials(done)]  # after the loop: repeats say which are flaky
        self.recorder.trials(trials)
        return trials

    def faults(self, pool: Pool) -> Iterator[Trial]:
        """Benign changes and faults, each committed as soon as it is judged."""
        for done, fresh in self._each("faults", self.plan.second, pool):
            trials = self._trials(done)
            if fresh:
                self.recorder.trials(trials)
            yield from trials

    def _trials(self, done: Done) -> Sequence[Trial]:
        return self.judge.trials(done) if isinstance(done, Observed) else done

    def _each(self, name: str, tasks: Sequence[Task], pool: Pool) -> Iterator[tuple[Done, bool]]:
        """What every task gave, in their order, and whether here: what an earlier process did is not done again."""
        began = self.clock()
        known = [self.earlier.done(task) for task in tasks]
        asked = [task for task, done in zip(tasks, known, strict=True) if done is None]
        with closing(pool.map(self._observe, asked)) as fresh:
            for was in known:
                done = next(fresh) if was is None else was
                if done is None:  # out of time, or halted
                    continue
                self.done += 1
                self.resumed += was is not None
                self.progress(Progress(phase=name, done=self.done, total=self.plan.tasks, left_seconds=self._left()))
                yield done, was is None
        self.seconds[name] = self.clock() - began

    def _keep_base(self, observed: Observed) -> None:
        for validator, verdict in observed.verdicts.items():
            at = (validator, observed.task.base)
            if not observed.task.again:
                self.judge.bases[at] = verdict
            elif flaky(self.judge.bases[at], verdict):
                self.judge.unstable.add(at)

    def _left(self) -> float | None:
        spent, here = self.clock() - self.started, self.done - self.resumed
        return spent / here * (self.plan.tasks - self.done) if here >= 5 else None

    def _out_of_time(self) -> bool:
        minutes = self.experiment.budget.minutes
        if minutes is not None and self.clock() - self.started > minutes * 60:
            self.stopped = f"the budget of {minutes:g} minutes was reached"
        return bool(self.stopped)

    def _held(self, task: Task) -> bool:
        """Whether a task may not begin any more; among the controls a halt ends everything."""
        scored = task.kind in (TrialKind.BENIGN, TrialKind.FAULT)
        if scored and self._out_of_time():
            return True
        with self.asking:
            if self.stopped:  # another worker was told while this one waited
                return True
            try:
                self.halt()
            except Halted as exc:
                if not scored:
                    raise
                self.stopped, self.halted = str(exc), True
        return bool(self.stopped)

    def _observe(self, worker: Worker, task: Task) -> Observed | None:
        if self._held(task):
            return None
        base = self.batches.load(task.base)
        source = ordered_digest(base.table)
        if task.injection is None:
            return Observed(task=task, source_digest=source, after_digest=source, verdicts=self._judge(worker, base))
        began = time.thread_time()
        try:
            injected = inject_one(task.injection, base, self.batches)
        except (UnknownNameError, FaultError) as exc:  # it fits the first control, and not this one: batches differ
            injected = Injected(batch=base, ledger=_not_applicable(task.injection, base, str(exc)))
        with self.lock:
            self.injecting += time.thread_time() - began
            hidden = subnatural(self.ranges, task, injected.batch)
        asked = injected.ledger.status is Status.APPLIED or task.kind is not TrialKind.FAULT
        verdicts = self._judge(worker, injected.batch) if asked else {}
        return Observed(
            task=task,
            source_digest=source,
            after_digest=ordered_digest(injected.batch.table),
            ledger=injected.ledger,
            subnatural=hidden,
            verdicts=verdicts,
            groups=_groups(injected.batch, verdicts),
        )

    def _judge(self, worker: Worker, batch: Batch) -> dict[str, Verdict]:
        payload = ipc_bytes(batch.table)
        return {v.name: worker.validate(v.name, payload) for v in self.experiment.validators}


def _not_applicable(injection: Injection, base: Batch, reason: str) -> Ledger:
    none = np.zeros(0, np.int64)
    record = InjectionRecord(
        injection_id=injection.injection_id(base.name),
        fault=injection.fault,
        columns=injection.columns,
        status=Status.NOT_APPLICABLE,
        reason=reason,
    )
    return Ledger(
        batch=base.name,
        injections=(record,),
        cells=(),
        rows=RowEntry(removed=none, added=none, copied_from=none, reordered=False),
        schema=(),
        rows_before=base.rows,
        rows_after=base.rows,
    )


def _groups(batch: Batch, verdicts: Mapping[str, Verdict]) -> Groups:
    """Groups of rows that share a value, for every uniqueness finding that names rows and columns of the batch."""
    wanted = {
        f.columns
        for verdict in verdicts.values()
        for f in verdict.fails
        if f.subject is Subject.UNIQUENESS and f.rows is not None and f.columns and set(f.columns) <= set(batch.columns)
    }
    return {columns: uniqueness_groups(batch.table, columns) for columns in wanted}
