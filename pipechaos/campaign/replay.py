"""Repeat one trial of a run, and look at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.ipc import ipc_bytes
from pipechaos.batch.model import Batch
from pipechaos.campaign.experiment import Experiment
from pipechaos.campaign.explanation import Dose, Explanation
from pipechaos.campaign.output import injection_of
from pipechaos.campaign.run import inject_one, worker_spec
from pipechaos.campaign.shrink import shrink
from pipechaos.campaign.source import Batches
from pipechaos.campaign.survivors import declared_by, explanations_of
from pipechaos.campaign.trials_io import read_trials
from pipechaos.errors import ConfigError, UnknownNameError, suggest
from pipechaos.ledger.records import Ledger
from pipechaos.score.records import Trial, jsonable
from pipechaos.validate.verdict import Check, Verdict, VerdictStatus
from pipechaos.validate.verdict_io import verdict_to_json
from pipechaos.validate.worker import Worker

__all__ = ["Replay", "looked_at", "replay"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Replay:
    """One trial done again.

    Attributes
    ----------
    trial
        As it was.
    explanation
        Rows before and after, and why it got through, as far as that is known.
    ledger
        What changed.
    verdict
        What the validator says now.
    looked
        Checks that look at what was changed.
    same_batch, same_suite
        Whether the corrupted batch and the suite are the ones of the run, byte for byte.
    """

    trial: Trial
    explanation: Explanation
    ledger: Ledger
    verdict: Verdict
    looked: tuple[Check, ...]
    same_batch: bool
    same_suite: bool

    def to_json(self) -> Mapping[str, Any]:
        """Plain JSON value."""
        return {
            "trial_id": self.trial.trial_id,
            "outcome": self.trial.outcome.value,
            "same_batch": self.same_batch,
            "same_suite": self.same_suite,
            "explanation": jsonable(self.explanation),
            "verdict": verdict_to_json(self.verdict),
            "looked": [c.id for c in self.looked],
        }


def replay(
    trial_id: str,
    experiment: Experiment,
    root: Path,
    trials: Path,
    *,
    rows: int = 3,
    values: bool = True,
    smaller: bool = False,
) -> Replay:
    """Do one faulty trial again.

    Parameters
    ----------
    trial_id
        Its id, or the first digits of it.
    experiment, root
        The experiment and where it lies.
    trials
        The run's ``trials.parquet``.
    rows
        Rows to show.
    values
        Whether data values may be told.
    smaller
        Whether to search for the smallest dose that still survives: the validator is asked once for each.

    Raises
    ------
    ConfigError
        No faulty trial has this id, or several have.
    UnknownNameError
        Its validator is no longer in the experiment.
    """
    every = read_trials(trials)
    trial = _find(trial_id, every, trials)
    batches = Batches(experiment, root)
    base = batches.load(trial.batch)
    injected = inject_one(injection_of(trial), base, batches)
    with Worker(worker_spec(experiment, root), limit_seconds=experiment.limit_seconds) as worker:
        described = worker.describe()
        if trial.validator not in described:
            raise UnknownNameError("validator", trial.validator, described, "the experiment")
        verdict = worker.validate(trial.validator, ipc_bytes(injected.batch.table))
        suite = described[trial.validator]
        doses = _smaller(trial, base, batches, worker) if smaller else ()
    known = explanations_of(
        [trial.trial_id], every, batches, declared_by(experiment, described), values=values, rows=rows
    )[trial.trial_id]
    names = _names(trial, suite.suite_digest)
    return Replay(
        trial=trial,
        explanation=replace(known, doses=doses) if smaller else known,
        ledger=injected.ledger,
        verdict=verdict if values else _without_messages(verdict),
        looked=looked_at(suite.checks, trial.columns),
        same_batch=ordered_digest(injected.batch.table) == trial.after_digest,
        same_suite=names == trial.trial_id,
    )


def _smaller(trial: Trial, base: Batch, batches: Batches, worker: Worker) -> tuple[Dose, ...]:
    def missed(table: pa.Table) -> bool:
        return worker.validate(trial.validator, ipc_bytes(table)).status is VerdictStatus.ACCEPTED

    return shrink(trial, base, batches, missed)


def _without_messages(verdict: Verdict) -> Verdict:
    """A verdict whose findings quote nothing."""
    return replace(verdict, findings=tuple(replace(f, message="") for f in verdict.findings))


def _find(trial_id: str, trials: Sequence[Trial], where: Path) -> Trial:
    found = {t.trial_id: t for t in trials if t.trial_id.startswith(trial_id)}
    if len(found) > 1:
        raise ConfigError(f"{len(found)} trials start with {trial_id!r}: give more digits")
    if not found:
        near = suggest(trial_id, {t.trial_id for t in trials if t.fault})
        hint = f"did you mean {near!r}?" if near else "the report of the run names those that were missed."
        raise ConfigError(f"there is no trial {trial_id!r} in {where}: {hint}")
    trial = next(iter(found.values()))
    if not trial.fault:
        raise ConfigError(
            f"trial {trial_id!r} is an untouched batch, {trial.batch!r}: `pipechaos validate` looks at that"
        )
    return trial


def _names(trial: Trial, suite_digest: str) -> str:
    from pipechaos import counter

    return counter.digest_id("trial", trial.injection_id, trial.source_digest, trial.validator, suite_digest)


def looked_at(checks: tuple[Check, ...], columns: tuple[str, ...]) -> tuple[Check, ...]:
    """Checks that name one of the columns; without columns those about the whole table."""
    if columns:
        return tuple(c for c in checks if set(c.columns) & set(columns))
    return tuple(c for c in checks if not c.columns)
