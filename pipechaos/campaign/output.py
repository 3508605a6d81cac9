"""What a run leaves behind: the scorecard, the trials, and rows of survivors a person can look at."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipechaos.batch.textfile import write_text
from pipechaos.campaign.experiment import Experiment, GateSpec, parse_experiment
from pipechaos.campaign.explanation import Explanation
from pipechaos.campaign.explanation_file import EXPLANATIONS, write_explanations
from pipechaos.campaign.run import CampaignResult
from pipechaos.campaign.tasks import CampaignPlan
from pipechaos.campaign.trials import review_of
from pipechaos.campaign.trials_io import read_trials, write_trials
from pipechaos.campaign.versions import library_versions
from pipechaos.errors import BatchError, ConfigError, UnknownNameError
from pipechaos.faults import registry
from pipechaos.faults.spec import Family
from pipechaos.plan.injection import Injection
from pipechaos.score.baseline import Baseline, BaselineResult, against
from pipechaos.score.gates import Gate, Metric
from pipechaos.score.records import Outcome, Trial, TrialKind
from pipechaos.score.scorecard import About, Scorecard, ValidatorInfo, build
from pipechaos.validate.verdict import Check, Subject

__all__ = [
    "gates_of",
    "injection_of",
    "rescore",
    "scorecard_of",
    "without_values",
    "write_result",
]


def scorecard_of(
    result: CampaignResult, *, baseline: Baseline | None = None, today: dt.date | None = None
) -> Scorecard:
    """Score a run.

    Parameters
    ----------
    result
        Of the run.
    baseline, today
        Survivors that were accepted, and the day on which they have to hold.
    """
    e = result.experiment
    return build(
        result.trials,
        about=About(
            name=e.name,
            digest=e.digest,
            seed=e.seed,
            versions=library_versions(),
            sample=_sample(result.plan),
            history={"batches": len(result.history), **_ends("history", result.history)},
            incidents=[i.model_dump() for i in e.incidents],
            contract=e.contract.model_dump(),
            rho=e.rho,
            block=e.block,
            stopped=result.stopped,
        ),
        validators=[
            ValidatorInfo(name=s.name, spec=s.spec, suite_digest=s.digest, checks=s.checks) for s in result.suites
        ],
        gates=gates_of(e.gates),
        baseline=_held(baseline, result.trials, [s.name for s in result.suites], today, result.stopped),
        runtime={
            "seconds": dict(result.seconds),
            "injecting_cpu_seconds": result.injecting,
            "jobs": result.jobs,
            "resumed_tasks": result.resumed,
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        },
    )


def _held(
    baseline: Baseline | None, trials: Sequence[Trial], validators: Sequence[str], today: dt.date | None, stopped: str
) -> BaselineResult | None:
    if baseline is None:
        return None
    if today is None:
        raise ConfigError("a baseline is held against a day, as its entries expire: give today")
    return against(baseline, trials, validators=validators, today=today, stopped=stopped)


def rescore(
    out: Path,
    fresh: Experiment | None = None,
    *,
    baseline: Baseline | None = None,
    today: dt.date | None = None,
) -> Scorecard:
    """Score the trials of a run's folder again.

    Parameters
    ----------
    out
        Folder that :func:`write_result` wrote.
    fresh
        Experiment to take gates and reviews from; those of the run otherwise.
    baseline, today
        Survivors that were accepted, and the day on which they have to hold.

    Raises
    ------
    BatchError, ExperimentError
        The folder is not a run's.
    UnknownNameError
        A gate or a review names what the run never saw.
    """
    trials = read_trials(out / "trials.parquet")
    try:
        old = json.loads((out / "scorecard.json").read_text(encoding="utf-8"))
        experiment = parse_experiment(json.loads((out / "experiment.json").read_text(encoding="utf-8")))
    except (OSError, ValueError) as exc:
        raise BatchError(f"{out} is no folder of a run: {exc}") from None
    chosen = experiment if fresh is None else fresh
    if fresh is not None:
        _check_names(fresh, trials, out)
    judged = [_reviewed(t, chosen) for t in trials]
    return build(
        judged,
        about=About(
            name=old["experiment"]["name"],
            digest=old["experiment"]["digest"],
            seed=old["experiment"]["seed"],
            **{k: old[k] for k in ("versions", "sample", "history", "incidents", "contract")},
            rho=chosen.rho,
            block=experiment.block,
            stopped=_stopped(old),
        ),
        validators=[
            ValidatorInfo(name=v["name"], spec=v["spec"], suite_digest=v["suite_digest"], checks=_checks(v))
            for v in old["validators"]
        ],
        gates=gates_of(chosen.gates),
        baseline=_held(baseline, judged, [v["name"] for v in old["validators"]], today, _stopped(old)),
        runtime=old["runtime"],
    )


def _stopped(document: Mapping[str, Any]) -> str:
    """Why a run ended early; documents without ``first.stopped`` have it only among what voids them."""
    voids = [v for v in document["reproducible"]["voided_by"] if "trials" not in v]
    return document["first"].get("stopped") or "; ".join(voids)


def _check_names(fresh: Experiment, trials: Sequence[Trial], out: Path) -> None:
    """Refuse a review or a gate about something that the run never saw: a slip would silently decide nothing."""
    batches = {t.batch for t in trials if t.kind is TrialKind.NATURAL}
    for review in fresh.controls.reviewed:
        if review.batch not in batches:
            raise UnknownNameError("batch", review.batch, batches, f"the controls of {out}")
    validators = {t.validator for t in trials}
    for gate in fresh.gates:
        if gate.validator is not None and gate.validator not in validators:
            raise UnknownNameError("validator", gate.validator, validators, f"the trials of {out}")
        if gate.fault is not None:
            registry.get(gate.fault)
        if gate.family is not None and gate.family not in set(Family):
            raise UnknownNameError("family", gate.family, [f.value for f in Family], "gates")
        weaknesses = {t.weakness_id for t in trials if t.kind is TrialKind.FAULT}
        if gate.weakness is not None and not any(w.startswith(gate.weakness) for w in weaknesses):
            raise UnknownNameError("weakness", gate.weakness, weaknesses, f"the trials of {out}")


def _checks(validator: Mapping[str, Any]) -> tuple[Check, ...]:
    return tuple(
        Check(id=c["check"], columns=tuple(c["columns"]), subject=Subject(c["subject"]))
        for c in validator["checks"]
        if c["declared"]
    )


def _reviewed(trial: Trial, experiment: Experiment) -> Trial:
    if trial.kind is not TrialKind.NATURAL or trial.outcome is not Outcome.FP:
        return trial
    return replace(trial, review=review_of(experiment, trial.batch, trial.validator))


def gates_of(specs: Sequence[GateSpec]) -> tuple[Gate, ...]:
    """Gates as scoring takes them."""
    return tuple(Gate(**{**g.model_dump(), "metric": Metric(g.metric)}) for g in specs)


def _ends(name: str, names: Sequence[str]) -> dict[str, str]:
    return {"first": names[0], "last": names[-1]} if names else {}


def _sample(plan: CampaignPlan) -> dict[str, Any]:
    s = plan.sample
    return {
        "weaknesses": len(s.mutants),
        "trials": s.trials,
        "full_cross": s.full_trials,
        "bases": s.bases,
        "bases_each": s.bases_each,
        "distinct_bases": s.distinct_bases,
        "weight": s.weight,
        "left_out": list(s.dropped),
        "notes": list(plan.notes),
    }


def injection_of(trial: Trial) -> Injection:
    """Injection of a faulty trial, as it was."""
    params = dict(trial.params)
    exact = bool(params.pop("exact", False))
    return Injection.of(
        trial.fault,
        trial.columns,
        severity=trial.severity or None,
        fraction=trial.fraction,
        placement=trial.placement or None,
        params=params,
        seed=trial.seed,
        repeat=trial.repeat,
        exact=exact,
    )


def without_values(trials: Sequence[Trial]) -> list[Trial]:
    """Trials without anything that history or source gave: a median or a bound is some cell's value too."""
    return [replace(t, resolved={}) for t in trials]


def write_result(
    out: str | Path,
    experiment: Experiment,
    scorecard: Scorecard,
    trials: Sequence[Trial],
    explanations: Mapping[str, Explanation] | None = None,
) -> dict[str, str]:
    """Write what a run found, for people and for `score`; each file through a temporary name.

    Returns
    -------
    dict
        Path of each file by what it is.
    """
    home = Path(out)
    home.mkdir(parents=True, exist_ok=True)
    files = {"scorecard": home / "scorecard.json", "trials": home / "trials.parquet"}
    write_text(files["scorecard"], scorecard.to_json())
    write_trials(trials, files["trials"])
    write_explanations(explanations or {}, home / EXPLANATIONS)
    write_text(
        home / "experiment.json", json.dumps(experiment.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"
    )
    return {name: str(path) for name, path in files.items()}
