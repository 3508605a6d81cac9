"""What a campaign commits while it runs, and how one that was killed goes on from there (SCORING.md section 7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipechaos import counter
from pipechaos.batch.digest import ordered_digest
from pipechaos.campaign.experiment import Experiment
from pipechaos.campaign.source import Batches
from pipechaos.campaign.tasks import CampaignPlan, Task
from pipechaos.campaign.trials import Observed
from pipechaos.campaign.versions import library_versions
from pipechaos.errors import ConfigError
from pipechaos.score.records import Trial, TrialKind
from pipechaos.store.records import BaseVerdict, Journal, RunIdentity
from pipechaos.validate.verdict import Verdict

__all__ = ["Earlier", "Recorder", "Unrecorded", "base_verdicts", "go_on", "identity_of"]


class Recorder(Protocol):
    """Where a campaign commits what it found; the store has one (``pipechaos.store.recorder``)."""

    def begin(self, identity: RunIdentity) -> Journal:
        """Write down that the run begins; returns what an earlier process committed under the same id.

        Raises
        ------
        PipechaosError
            That run was made of something else.
        """

    def verdicts(self, found: Sequence[BaseVerdict]) -> None:
        """Commit the verdicts on one untouched batch."""

    def trials(self, found: Sequence[Trial]) -> None:
        """Commit trials: all of one task at once, so that none is there by half."""


class Unrecorded:
    """Commits nothing."""

    def begin(self, identity: RunIdentity) -> Journal:
        """Nothing came before."""
        return Journal()

    def verdicts(self, found: Sequence[BaseVerdict]) -> None:
        """Let them go."""

    def trials(self, found: Sequence[Trial]) -> None:
        """Let them go."""


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What an earlier process did of a run's tasks.

    Attributes
    ----------
    validators
        Names, in the experiment's order: a task is done when all of them judged.
    digests
        Ordered digests of the batches it met, as they are now (and were then).
    bases
        (batch, second look) -> validator -> verdict on the untouched batch.
    found
        (injection id, batch) -> validator -> trial.
    """

    validators: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    bases: Mapping[tuple[str, bool], Mapping[str, Verdict]] = field(default_factory=dict)
    found: Mapping[tuple[str, str], Mapping[str, Trial]] = field(default_factory=dict)

    def done(self, task: Task) -> Observed | tuple[Trial, ...] | None:
        """What the task gave: verdicts on an untouched batch, trials of an injection; None where it is to be done."""
        if task.injection is None:
            verdicts = self.bases.get((task.base, task.again), {})
            digest = self.digests.get(task.base, "")
            if not self._whole(verdicts):
                return None
            return Observed(task=task, source_digest=digest, after_digest=digest, verdicts=verdicts)
        trials = self.found.get(_key(task), {})
        return tuple(trials[v] for v in self.validators) if self._whole(trials) else None

    def _whole(self, by_validator: Mapping[str, object]) -> bool:
        return bool(by_validator) and by_validator.keys() == set(self.validators)


def identity_of(experiment: Experiment, suites: Mapping[str, str], batches: Batches) -> RunIdentity:
    """What a run is made of; reads the whole history."""
    history = {name: ordered_digest(batches.load(name).table) for name in batches.history}
    return RunIdentity(
        experiment=experiment.name,
        experiment_digest=experiment.digest,
        seed=experiment.seed,
        suites=suites,
        versions=library_versions(),
        history=counter.digest_id("history", history),
    )


def base_verdicts(observed: Observed) -> list[BaseVerdict]:
    """Verdicts on an untouched batch, as they are committed."""
    task = observed.task
    return [
        BaseVerdict(batch=task.base, again=task.again, source_digest=observed.source_digest, verdict=verdict)
        for verdict in observed.verdicts.values()
    ]


def go_on(journal: Journal, plan: CampaignPlan, validators: Sequence[str], digest: Callable[[str], str]) -> Earlier:
    """Match what was committed with the tasks of the plan as it is now.

    Parameters
    ----------
    journal
        What an earlier process committed.
    plan
        Laid out again.
    validators
        Names, in the experiment's order.
    digest
        Ordered digest of a batch, by its name.

    Raises
    ------
    ConfigError
        Something committed belongs to no task, or to data that have changed since: a run made of both would be neither.
    """
    tasks = (*plan.first, *plan.second)
    looks = {(t.base, t.again) for t in tasks if t.kind is TrialKind.NATURAL}
    injections = {_key(t) for t in tasks if t.injection is not None}
    injected = [t for t in journal.trials if t.kind is not TrialKind.NATURAL]  # those are judged again from verdicts
    strange = {v.batch for v in journal.verdicts if (v.batch, v.again) not in looks}
    strange |= {t.batch for t in injected if (t.injection_id, t.batch) not in injections}
    if strange:
        raise _refused("batches came or went, and the plan is another one now", strange)
    then = _sources(journal)
    digests = {name: digest(name) for name in then}
    changed = {name for name in then if then[name] != {digests[name]}}
    if changed:
        raise _refused("batches have changed", changed)
    bases: dict[tuple[str, bool], dict[str, Verdict]] = {}
    for v in journal.verdicts:
        bases.setdefault((v.batch, v.again), {})[v.verdict.validator] = v.verdict
    found: dict[tuple[str, str], dict[str, Trial]] = {}
    for t in injected:
        found.setdefault((t.injection_id, t.batch), {})[t.validator] = t
    return Earlier(validators=tuple(validators), digests=digests, bases=bases, found=found)


def _sources(journal: Journal) -> dict[str, set[str]]:
    """Digests under which each batch was met."""
    pairs = [
        *((v.batch, v.source_digest) for v in journal.verdicts),
        *((t.batch, t.source_digest) for t in journal.trials),
    ]
    found: dict[str, set[str]] = {}
    for batch, digest in pairs:
        found.setdefault(batch, set()).add(digest)
    return found


def _refused(why: str, batches: set[str]) -> ConfigError:
    shown = ", ".join(map(repr, sorted(batches)[:5])) + (", ..." if len(batches) > 5 else "")
    return ConfigError(f"the run cannot go on: since it began, {why} ({shown}). Start a new run.")


def _key(task: Task) -> tuple[str, str]:
    if task.injection is None:
        raise AssertionError("an untouched batch has no injection")
    return task.injection.injection_id(task.base), task.base
