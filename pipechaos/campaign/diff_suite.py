"""Run a suite at two versions over the same frames, and say what the change wins and loses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from pipechaos.batch.textfile import write_text
from pipechaos.campaign.aim import aimed
from pipechaos.campaign.experiment import Budget, Experiment, ValidatorSpec
from pipechaos.campaign.output import without_values
from pipechaos.campaign.run import CampaignResult, Progress, run_campaign, worker_spec
from pipechaos.campaign.sample import Sample
from pipechaos.campaign.source import Batches
from pipechaos.campaign.suite_versions import SuiteVersion, importing
from pipechaos.campaign.trials_io import write_trials
from pipechaos.errors import CannotRunError, ValidatorLoadError
from pipechaos.score.gates import ExitCode
from pipechaos.score.outcome import blind, paranoid
from pipechaos.score.pair_records import Movement, Paired, PairFate
from pipechaos.score.paired import compare
from pipechaos.score.records import Outcome, Trial, TrialKind, jsonable
from pipechaos.validate.verdict import Check
from pipechaos.validate.worker import Worker

__all__ = [
    "DEFAULT_TRIALS",
    "MAX_ERROR",
    "Side",
    "SuiteDiff",
    "default_trials",
    "diff_suite",
    "write_diff",
]

SCHEMA = "pipechaos.suite-diff/1"
DEFAULT_TRIALS = 360  # of each version: both see the same draws, so that few trials tell them apart
MAX_ERROR = 0.05  # share of comparable pairs that may end without a judgement of the new version alone


@dataclass(frozen=True, kw_only=True)
class Side:
    """One version as it was loaded, and whether it can judge at all.

    Attributes
    ----------
    version, digest, checks
        What was loaded.
    blind
        It rejected no canary.
    silent
        It gave no verdict on any untouched batch.
    paranoid
        It rejected most untouched batches.
    flaky
        Batches on which it contradicted itself.
    trials
        All of them.
    """

    version: SuiteVersion
    digest: str
    checks: tuple[Check, ...]
    blind: bool
    silent: bool
    paranoid: bool
    flaky: tuple[str, ...]
    trials: tuple[Trial, ...]


@dataclass(frozen=True, kw_only=True)
class SuiteDiff:
    """A suite at two versions, compared.

    Attributes
    ----------
    experiment
        The one that both versions ran, budget and seed as used.
    base, head
        The old and the new version.
    paired
        What became of weaknesses and false alarms.
    sample, notes
        What was tried of the full cross.
    seconds
        Wall time.
    """

    experiment: Experiment
    base: Side
    head: Side
    paired: Paired
    sample: Sample
    notes: tuple[str, ...]
    seconds: float

    @property
    def identical(self) -> bool:
        """Whether both versions are one suite, byte for byte."""
        return self.base.digest == self.head.digest and _what(self.base.version) == _what(self.head.version)

    @property
    def checks_added(self) -> tuple[Check, ...]:
        """Checks, by id, that only the new version has."""
        return _only(self.head.checks, self.base.checks)

    @property
    def checks_removed(self) -> tuple[Check, ...]:
        """Checks, by id, that only the old version has."""
        return _only(self.base.checks, self.head.checks)

    @property
    def lost(self) -> bool:
        """Whether the change loses a weakness or a batch that a review found truly bad, or adds a false alarm.

        A weakness is lost to misses and to errors alike: a suite that crashes on what it caught has lost it.
        """
        found = self.paired
        alarms = bool(found.natural.added or found.benign.added)
        return bool(found.moved(Movement.LOST)) or alarms or bool(found.natural.true_alarms_lost)

    @property
    def could_not_run(self) -> tuple[str, ...]:
        """Why the comparison says nothing about a version; empty where it does."""
        sides = (("old", self.base), ("new", self.head))
        said = [f"the {name} version is blind: it rejected no canary" for name, s in sides if s.blind]
        said += [f"the {name} version gave no verdict on any untouched batch" for name, s in sides if s.silent]
        failed = self.paired.apart.get(PairFate.INJECTION.value, 0)
        return (*said, *([f"{failed} injections failed"] if failed else []))

    @property
    def inconclusive(self) -> tuple[str, ...]:
        """Why finding no loss would not mean that there is none; empty where it would."""
        found = self.paired
        said = []
        if not found.fnr.pairs:
            said.append("no pair of faulty trials could be compared")
        if not found.natural.change.pairs:
            said.append("no untouched batch could be compared")
        errors = sum(found.apart.get(f.value, 0) for f in (PairFate.ERROR_ADDED, PairFate.SILENCED))
        if errors > MAX_ERROR * (errors + found.fnr.pairs):
            said.append(f"the new version alone gave no judgement on {errors} of {errors + found.fnr.pairs} pairs")
        mute = found.natural.apart.get(PairFate.ERROR_ADDED.value, 0)
        if mute:
            said.append(f"the new version alone gave no verdict on {mute} untouched batches")
        flaky = sorted({*self.base.flaky, *self.head.flaky})
        if flaky:
            said.append(f"a version contradicts itself on {len(flaky)} batches, such as {flaky[0]}")
        return tuple(said)

    def exit_code(self, *, allow_losses: bool = False) -> ExitCode:
        """Exit code: the first that holds of could not run, loss, inconclusive, fine."""
        if self.could_not_run:
            return ExitCode.COULD_NOT_RUN
        if self.lost and not allow_losses:
            return ExitCode.GATE_FAILED
        return ExitCode.INCONCLUSIVE if self.inconclusive else ExitCode.OK

    def to_json(self, *, allow_losses: bool = False) -> dict[str, Any]:
        """Plain JSON value."""
        e, s = self.experiment, self.sample
        return {
            "schema": SCHEMA,
            "experiment": {"name": e.name, "seed": e.seed},
            "first": {
                "exit_code": int(self.exit_code(allow_losses=allow_losses)),
                "lost": self.lost,
                "could_not_run": list(self.could_not_run),
                "inconclusive": list(self.inconclusive),
                "identical": self.identical,
            },
            "base": _side(self.base),
            "head": _side(self.head),
            "checks": {
                "added": [c.id for c in self.checks_added],
                "removed": [c.id for c in self.checks_removed],
            },
            "sample": {
                "weaknesses": len(s.mutants),
                "trials": s.trials,
                "full_cross": s.full_trials,
                "bases_each": s.bases_each,
                "left_out": list(s.dropped),
                "notes": list(self.notes),
            },
            "settings": {"rho": e.rho, "block": e.block, "test": "exact sign-flip, clustered"},
            "result": jsonable(self.paired),
        }


def default_trials(experiment: Experiment) -> int:
    """Faulty trials of each version when nobody says: a good deal less than a run, and never more."""
    own = experiment.budget.trials
    return DEFAULT_TRIALS if own is None else min(DEFAULT_TRIALS, max(1, own // len(experiment.validators)))


def diff_suite(
    experiment: Experiment,
    root: Path,
    base: SuiteVersion,
    head: SuiteVersion,
    *,
    trials: int | None = None,
    jobs: int = 2,
    progress: Callable[[Progress], None] = lambda _: None,
    halt: Callable[[], None] = lambda: None,
) -> SuiteDiff:
    """Compare two versions: one campaign each, in processes of their own, with common draws.

    Parameters
    ----------
    experiment, root
        The experiment and the folder that it lies in; its gates and its budget of minutes are left aside, as both
        versions must see the same trials.
    base, head
        From :func:`~pipechaos.campaign.suite_versions.suite_versions`.
    trials
        Faulty trials of each version; :func:`default_trials` otherwise.
    jobs
        Worker processes.
    progress
        Called after each frame.
    halt
        Asked before each frame; a halt ends the comparison, as half of one would compare nothing.

    Raises
    ------
    PipechaosError
        Anything wrong with the experiment or a version, before anything is judged.
    CannotRunError
        Halted.
    """
    budget = Budget(trials=trials or default_trials(experiment), minutes=None)
    common = experiment.model_copy(update={"budget": budget, "gates": []})
    known = [_described(common, root, version, side) for side, version in (("old", base), ("new", head))]
    one = _with_version(common, base.name, base.spec, base.roots, base.imports)
    batches = Batches(one, root)  # the same for both versions: they differ in the validator alone
    aim = aimed(one, batches, [c for a, b in (known, known[::-1]) for c in _only(a, b)])
    if aim is not None:
        at = aim.experiment
        common = common.model_copy(update={"faults": at.faults, "preset": at.preset, "pairs": at.pairs})
    first = _run(common, root, base, "old", jobs, progress, halt, batches)
    second = _run(common, root, head, "new", jobs, progress, halt, batches)
    return SuiteDiff(
        experiment=common,
        base=_loaded(base, first),
        head=_loaded(head, second),
        paired=compare(first.trials, second.trials, rho=experiment.rho),
        sample=second.plan.sample if aim is None else replace(second.plan.sample, dropped=aim.left_out),
        notes=(*([aim.told] if aim else []), *second.plan.notes, *dict.fromkeys((*base.notes, *head.notes))),
        seconds=first.seconds["total"] + second.seconds["total"],
    )


def _run(
    experiment: Experiment,
    root: Path,
    version: SuiteVersion,
    side: str,
    jobs: int,
    progress: Callable[[Progress], None],
    halt: Callable[[], None],
    batches: Batches,
) -> CampaignResult:
    with importing(version), _naming(version, side):
        result = run_campaign(
            _with_version(experiment, version.name, version.spec, version.roots, version.imports),
            root,
            jobs=jobs,
            progress=lambda p: progress(_of_both(p, side)),
            halt=halt,
            batches=batches,
        )
    if result.halted:
        raise CannotRunError(result.stopped)
    return result


def _described(experiment: Experiment, root: Path, version: SuiteVersion, side: str) -> tuple[Check, ...]:
    """Checks of a version, before anything is judged."""
    alone = _with_version(experiment, version.name, version.spec, version.roots, version.imports)
    with importing(version), _naming(version, side), Worker(worker_spec(alone, root)) as worker:
        return worker.describe()[version.name].checks


@contextmanager
def _naming(version: SuiteVersion, side: str) -> Iterator[None]:
    try:
        yield
    except ValidatorLoadError as exc:
        raise ValidatorLoadError(f"the {side} version, {version.asked}, cannot be loaded: {exc}") from exc


def _with_version(
    experiment: Experiment, name: str, spec: str, roots: Sequence[str], imports: Sequence[str]
) -> Experiment:
    """The experiment with one version as its only validator."""
    reviewed = [r for r in experiment.controls.reviewed if r.validator in (None, name)]
    loader = next((v.loader for v in experiment.validators if v.name == name), None)
    return experiment.model_copy(
        update={
            "validators": [ValidatorSpec(name=name, spec=spec, imports=list(imports), loader=loader)],
            "roots": list(roots),
            "controls": experiment.controls.model_copy(update={"reviewed": reviewed}),
        }
    )


def _of_both(p: Progress, side: str) -> Progress:
    """Progress over two runs of the same length."""
    first = side == "old"
    left = p.left_seconds
    if left is not None and first and p.total > p.done:
        left *= (2 * p.total - p.done) / (p.total - p.done)
    done = p.done if first else p.total + p.done
    return Progress(phase=f"{side} version, {p.phase}", done=done, total=2 * p.total, left_seconds=left)


def _loaded(version: SuiteVersion, result: CampaignResult) -> Side:
    (suite,) = result.suites
    natural = [t for t in result.trials if t.kind is TrialKind.NATURAL]
    return Side(
        version=version,
        digest=suite.digest,
        checks=suite.checks,
        blind=bool(blind(result.trials, suite.name)),
        silent=all(t.outcome is Outcome.ERROR for t in natural),
        paranoid=paranoid(result.trials, suite.name),
        flaky=tuple(sorted({t.batch for t in natural if t.flaky})),
        trials=result.trials,
    )


def _only(mine: Sequence[Check], others: Sequence[Check]) -> tuple[Check, ...]:
    known = {c.id for c in others}
    return tuple(c for c in mine if c.id not in known)


def _what(version: SuiteVersion) -> tuple[str, tuple[str, ...]]:
    """What is loaded of the files: a copy of an absolute path differs in its folder alone."""
    kind, _, rest = version.spec.partition(":")
    return (f"{kind}:{Path(rest).name}" if kind == "gx" else version.spec), version.imports


def _side(side: Side) -> Mapping[str, Any]:
    v = side.version
    return {
        "asked": v.asked,
        "validator": v.name,
        "spec": v.spec,
        "commit": v.commit or None,
        "suite_digest": side.digest,
        "checks": len(side.checks),
        "blind": side.blind,
        "silent": side.silent,
        "paranoid": side.paranoid,
        "flaky_batches": list(side.flaky),
    }


def write_diff(out: Path, found: SuiteDiff, root: Path, *, values: bool = True) -> Path:
    """Write what ``pipechaos replay`` needs to repeat a trial of the new version: its trials and an experiment.

    Parameters
    ----------
    out
        Folder.
    found, root
        The comparison, and the folder that its experiment lies in.
    values
        Whether trials may keep texts that come from data.

    Returns
    -------
    Path
        The experiment: ``pipechaos replay TRIAL --experiment`` takes it and finds the trials beside it.
    """
    version = found.head.version
    e = _with_version(found.experiment, version.name, version.lasting_spec, version.lasting_roots, version.imports)
    e = e.model_copy(update={"batches": [b if "://" in b else str(root / b) for b in e.batches]})
    file, trials = out / "head.yaml", out / "head.out" / "trials.parquet"
    trials.parent.mkdir(parents=True, exist_ok=True)
    write_trials(found.head.trials if values else without_values(found.head.trials), trials)
    note = "# Written by `pipechaos diff-suite` for `pipechaos replay`: the new version alone.\n"
    data = e.model_dump(mode="json", exclude_none=True)
    write_text(file, note + yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
    return file
