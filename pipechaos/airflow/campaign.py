"""A whole campaign as one task does it, as plain functions: no Airflow in here, so that notebooks call them too."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipechaos import counter
from pipechaos.airflow.fail_on import FailOn
from pipechaos.campaign.experiment import Experiment, load_experiment, parse_experiment
from pipechaos.campaign.output import without_values
from pipechaos.campaign.run import run_campaign
from pipechaos.campaign.share import Share
from pipechaos.campaign.versions import checked_out
from pipechaos.errors import ConfigError, UnknownNameError
from pipechaos.report.experiment_run import FinishedRun, RunSettings, run_experiment, tenths
from pipechaos.report.formats import FORMATS
from pipechaos.score.gates import ExitCode, GateResult
from pipechaos.score.records import Rate, Trial, jsonable
from pipechaos.store.opening import open_store
from pipechaos.store.recorder import StoreRecorder, recorder
from pipechaos.store.records import BaseVerdict, Journal, RatePoint, RunIdentity

if TYPE_CHECKING:
    from pipechaos.score.baseline import Baseline
    from pipechaos.score.scorecard import Scorecard, ValidatorScore
    from pipechaos.store.database import Store

__all__ = [
    "TaskKey",
    "could_not_judge",
    "experiment_of",
    "failure_in",
    "run_campaign_share",
    "run_campaign_task",
    "summary",
]

_TREND = 60  # past runs that a report draws


@dataclass(frozen=True, kw_only=True)
class TaskKey:
    """Which task instance this is: the same on every try, whenever that is."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @classmethod
    def of(cls, instance: Any) -> TaskKey:
        """Key of Airflow's task instance."""
        return cls(
            dag_id=instance.dag_id,
            run_id=instance.run_id,
            task_id=instance.task_id,
            map_index=-1 if instance.map_index is None else instance.map_index,
        )

    @property
    def drill_id(self) -> str:
        """Id of the drill in the store.

        Examples
        --------
        >>> TaskKey(dag_id="d", run_id="r", task_id="t", map_index=2).drill_id
        'd/r/t/2'
        """
        parts = [self.dag_id, self.run_id, self.task_id, *([] if self.map_index < 0 else [str(self.map_index)])]
        return "/".join(parts)

    def store_id(self, identity: RunIdentity) -> str:
        """Id of the run in the store: a task that is cleared after its suite was mended is another run.

        Examples
        --------
        >>> key = TaskKey(dag_id="flights drill", run_id="manual__1", task_id="campaign")
        >>> key.store_id(RunIdentity(experiment="e", experiment_digest="d", seed=0))
        'flights_drill-a3d45a6884876299-8eaca8ca'
        """
        made_of = (identity.experiment, identity.experiment_digest, identity.seed, dict(identity.suites))
        digest = counter.digest_id("made of", *made_of, dict(identity.versions), identity.history)
        task = counter.digest_id("task", self.dag_id, self.run_id, self.task_id, self.map_index)
        return f"{re.sub(r'[^A-Za-z0-9_.]+', '_', self.dag_id)[:40]}-{task}-{digest[:8]}"


class TaskKeeping:
    """The place of a task's campaign in a store: every try goes on where the one before was ended.

    Parameters
    ----------
    store, task
        Where, and whose.
    started
        When this try began.
    revision
        Of the team's repository.
    values
        Whether data values may be written.
    """

    def __init__(self, store: Store, task: TaskKey, *, started: dt.datetime, revision: str, values: bool) -> None:
        self.run_id, self.started = "", started
        self._store, self._task, self._revision, self._values = store, task, revision, values
        self._inner: StoreRecorder | None = None

    @property
    def recorder(self) -> TaskKeeping:
        """It commits by itself."""
        return self

    def begin(self, identity: RunIdentity) -> Journal:
        """Find or begin the run of this task that is made of the same."""
        self.run_id = self._task.store_id(identity)
        kept = tuple if self._values else without_values
        self._inner = recorder(self._store, self.run_id, started=self.started, revision=self._revision, kept=kept)
        journal = self._inner.begin(identity)
        self.started = self._store.run(self.run_id).started
        return journal

    def verdicts(self, found: Sequence[BaseVerdict]) -> None:
        """Commit the verdicts on one untouched batch."""
        self._begun.verdicts(found)

    def trials(self, found: Sequence[Trial]) -> None:
        """Commit trials of one task, or of all controls."""
        self._begun.trials(found)

    def finish(self, card: Scorecard, *, finished: dt.datetime, stopped: str) -> tuple[RatePoint, ...]:
        """Write down how the run ended; a task that is cleared afterwards finds it so."""
        self._begun.finish(card.to_dict(), exit_code=int(card.exit_code), finished=finished, stopped=stopped)
        return self._store.trend(card.about.name, _TREND)

    @property
    def _begun(self) -> StoreRecorder:
        if self._inner is None:
            raise AssertionError("nothing is committed before the run has begun")
        return self._inner


def experiment_of(
    given: str | Mapping[str, Any], *, root: str | None = None, gates: Sequence[Mapping[str, Any]] | None = None
) -> tuple[Experiment, Path]:
    """Experiment from a file or a mapping, and the folder that its relative paths start from.

    Parameters
    ----------
    given
        Path of the file, or what it would say.
    root
        The folder; that of the file where there is one.
    gates
        In place of the experiment's own; an empty list is none.

    Raises
    ------
    ExperimentError
        It says something that is not allowed.
    ConfigError
        A mapping comes without a root.
    """
    if isinstance(given, Mapping):
        if not root:
            raise ConfigError("an experiment given as a mapping lies nowhere: give root, where its paths start from")
        experiment, home = parse_experiment(given), Path(root)
    else:
        experiment, home = load_experiment(given), Path(root) if root else Path(given).resolve().parent
    if gates is not None:
        experiment = parse_experiment({**experiment.model_dump(mode="json"), "gates": list(gates)}, "gates")
    return experiment, home.resolve()


def run_campaign_task(
    experiment: str | Mapping[str, Any],
    *,
    out: str,
    task: TaskKey | None = None,
    store: str | None = None,
    root: str | None = None,
    gates: Sequence[Mapping[str, Any]] | None = None,
    baseline: str | None = None,
    jobs: int = 2,
    values: bool = False,
    formats: Sequence[str] = (),
    halt: Callable[[], None] = lambda: None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Run a campaign; see :class:`pipechaos.airflow.operators.CampaignOperator`.

    Parameters
    ----------
    task
        Whose campaign it is in the store; needed with a store.
    halt
        Raises ``Halted`` when nothing may be injected any more.
    say
        Takes a line for the log.

    Raises
    ------
    PipechaosError
        Whatever stops a campaign.
    """
    parsed, home = experiment_of(experiment, root=root, gates=gates)
    folder = Path(out)
    settings = RunSettings(
        source=parsed.name if isinstance(experiment, Mapping) else str(experiment),
        replay=f"pipechaos replay --out {folder}",
        jobs=max(1, int(jobs)),
        values=values,
        baseline=_baseline(baseline, parsed),
        formats=_targets(formats, folder),
    )
    run = partial(run_experiment, parsed, home, folder, settings=settings, progress=tenths(say), halt=halt)
    if store is None:
        return summary(run())
    if task is None:
        raise ConfigError("a store keeps a campaign under its task instance: give task, or no store")
    with open_store(store) as opened:
        keeping = TaskKeeping(
            opened, task, started=dt.datetime.now(dt.UTC), revision=checked_out(home, Path()), values=values
        )
        return summary(run(keeping=keeping))


def run_campaign_share(
    experiment: str | Mapping[str, Any],
    *,
    share: Share,
    task: TaskKey,
    store: str,
    root: str | None = None,
    gates: Sequence[Mapping[str, Any]] | None = None,
    jobs: int = 2,
    values: bool = False,
    halt: Callable[[], None] = lambda: None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Run a part of a campaign into its store; see :func:`pipechaos.airflow.shards.sharded_campaign`.

    Parameters
    ----------
    share
        Which part.
    task
        Of the task that will find all parts done and score them.

    Raises
    ------
    PipechaosError
        Whatever stops a campaign.
    """
    parsed, home = experiment_of(experiment, root=root, gates=gates)
    started = dt.datetime.now(dt.UTC)
    with open_store(store) as opened:
        keeping = TaskKeeping(opened, task, started=started, revision=checked_out(home, Path()), values=values)
        done = run_campaign(
            parsed, home, jobs=max(1, jobs), progress=tenths(say), recorder=keeping, halt=halt, share=share
        )
    counts = {"trials": len(done.trials), "resumed_tasks": done.resumed, "stopped": done.stopped, "halted": done.halted}
    return {"run_id": keeping.run_id, "part": share.part, "of": share.of, **counts}


def _baseline(file: str | None, experiment: Experiment) -> Baseline | None:
    if not file:
        return None
    from pipechaos.campaign.baseline_file import read_baseline
    from pipechaos.score.baseline import check_validators

    if not Path(file).exists():
        raise ConfigError(f"there is no baseline {file}: `pipechaos baseline update OUT --baseline {file}` writes one")
    held = read_baseline(file)
    check_validators(held, [v.name for v in experiment.validators])
    return held


def _targets(formats: Sequence[str], out: Path) -> dict[str, Path]:
    """File of each further format; what each needs is installed, which is seen before the run."""
    for name in formats:
        if name not in FORMATS:
            raise UnknownNameError("format", name, FORMATS)
        FORMATS[name].check()
    always = ("markdown", "html")
    return {name: out / FORMATS[name].file for name in formats if name not in always}


def summary(done: FinishedRun) -> dict[str, Any]:
    """What the next task needs to know of a run: small, plain JSON, no NaN and no data value."""
    card = done.report.card
    return {
        "run_id": done.report.run_id,
        "experiment": card.about.name,
        "exit_code": int(card.exit_code),
        "verdict": card.exit_code.name.lower(),
        "stopped": done.result.stopped,
        "halted": done.result.halted,
        "trials": len(done.result.trials),
        "resumed_tasks": done.result.resumed,
        "injection_errors": card.injection_errors,
        "blind": list(card.blind),
        "paranoid": [v.name for v in card.validators if v.paranoid],
        "validators": {v.name: _validator(v) for v in card.validators},
        "survivors": sum(len(v.survivors) for v in card.validators),
        "gates": [_gate(g) for g in card.gates],
        "baseline": None if card.baseline is None else _standing(card),
        "files": dict(done.files),
        "problem": done.problem,
    }


def _validator(score: ValidatorScore) -> dict[str, Any]:
    return {
        "fnr": _rate(score.faults.fnr),
        "fpr": _rate(score.controls.fpr),
        "benign": _rate(score.controls.benign),
        "survivors": len(score.survivors),
    }


def _rate(rate: Rate) -> dict[str, Any]:
    wanted = ("estimate", "low", "high", "hits", "trials", "clusters", "reason")
    return {name: jsonable(getattr(rate, name)) for name in wanted}


def _gate(result: GateResult) -> dict[str, Any]:
    gate = result.gate
    return {
        "metric": gate.metric.value,
        "limit": gate.limit,
        "validator": result.validator,
        **gate.filters,
        "verdict": result.verdict.value,
        "reason": result.reason,
        **{name: jsonable(getattr(result.rate, name)) for name in ("estimate", "lower", "upper", "hits", "trials")},
    }


def _standing(card: Scorecard) -> dict[str, Any]:
    held = card.baseline
    if held is None:
        raise AssertionError("asked only where there is a baseline")
    counts = Counter(e.standing.value for e in held.entries)
    return {
        "failed": held.failed,
        "verdict": held.verdict.value,
        "reason": held.reason,
        "entries": dict(sorted(counts.items())),
    }


def failure_in(result: Mapping[str, Any], fail_on: Sequence[FailOn]) -> tuple[bool, str]:
    """Whether the outcome of a campaign is final, and what to say; the message is empty where the task succeeds.

    Parameters
    ----------
    result
        Of :func:`run_campaign_task`.
    fail_on
        What fails the task.

    Returns
    -------
    final : bool
        Another try would find the same: everything is committed. Only a run that was stopped early can go on.
    message : str
        For people.
    """
    code = ExitCode(result["exit_code"])
    asked = {ExitCode.GATE_FAILED: FailOn.GATE_FAILED, ExitCode.INCONCLUSIVE: FailOn.INCONCLUSIVE}
    if code is ExitCode.OK or (code in asked and asked[code] not in fail_on):
        return True, ""
    return not result["stopped"], f"campaign {result['experiment']!r}: {_why(result, code)}"


def could_not_judge(result: Mapping[str, Any]) -> str:
    """Why a campaign or a drill could not judge."""
    parts = [f"validator {name!r} is blind" for name in result["blind"]]
    parts += [f"{n} injections failed" for n in [result["injection_errors"]] if n]
    return "could not judge: " + "; ".join(parts)


def _why(result: Mapping[str, Any], code: ExitCode) -> str:
    if code is ExitCode.COULD_NOT_RUN:
        return could_not_judge(result)
    wanted = "fail" if code is ExitCode.GATE_FAILED else "inconclusive"
    parts = [f"{g['metric']} of {g['validator']}: {g['reason']}" for g in result["gates"] if g["verdict"] == wanted]
    held = result["baseline"]
    if held and held["verdict"] == wanted:
        parts.append("baseline: " + (held["reason"] or ", ".join(f"{n} {s}" for s, n in held["entries"].items())))
    word = "a gate failed" if code is ExitCode.GATE_FAILED else "no decision"
    stopped = f" ({result['stopped']})" if result["stopped"] else ""
    return f"{word}{stopped}: " + "; ".join(parts)
