"""Run an experiment and leave behind all that it gives: its place in a store, the folder of results, the report."""

from __future__ import annotations

import datetime as dt
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipechaos.campaign.experiment import Experiment
from pipechaos.campaign.explanation import Explanation
from pipechaos.campaign.journal import Recorder
from pipechaos.campaign.output import scorecard_of, without_values, write_result
from pipechaos.campaign.run import CampaignResult, Progress, run_campaign
from pipechaos.campaign.source import Batches
from pipechaos.campaign.survivors import declared_by, explanations_of
from pipechaos.errors import CannotRunError, ConfigError
from pipechaos.report.content import build_content
from pipechaos.report.duration import duration
from pipechaos.report.formats import FORMATS, write_reports
from pipechaos.report.inputs import Report
from pipechaos.report.locate import locate_all
from pipechaos.report.survivors import wanted_examples
from pipechaos.score.baseline import Baseline
from pipechaos.score.scorecard import Scorecard
from pipechaos.store.records import RatePoint

__all__ = ["FinishedRun", "Keeping", "RunSettings", "Unkept", "check_results_folder", "run_experiment", "tenths"]

_SHOWN = 25  # survivors that a report explains


class Keeping(Protocol):
    """A run's place in a store."""

    @property
    def run_id(self) -> str:
        """Of the run, once it has begun; empty where nothing is kept."""

    @property
    def started(self) -> dt.datetime:
        """When the run began, in whichever process that was; aware."""

    @property
    def recorder(self) -> Recorder | None:
        """Where a campaign commits what it finds."""

    def finish(self, card: Scorecard, *, finished: dt.datetime, stopped: str) -> tuple[RatePoint, ...]:
        """Write down how the run ended; returns the rates of the experiment's past runs, this one the last."""


@dataclass(frozen=True, kw_only=True)
class Unkept:
    """The place of a run that no store keeps."""

    started: dt.datetime
    run_id: str = ""
    recorder: Recorder | None = None

    def finish(self, card: Scorecard, *, finished: dt.datetime, stopped: str) -> tuple[RatePoint, ...]:
        """Nothing is written, and there is no past."""
        return ()


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a run is done and shown.

    Attributes
    ----------
    source, replay
        The experiment's file, and what a report writes before the id of a trial.
    jobs
        Worker processes.
    values
        Whether data values may be shown and written.
    baseline
        Survivors that were accepted, held on the day on which the run began.
    formats
        File of each format of the report beside those in the folder of results.
    """

    source: str = "EXPERIMENT"
    replay: str = "pipechaos replay"
    jobs: int = 1
    values: bool = True
    baseline: Baseline | None = None
    formats: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """What a run gave, and where it lies.

    Attributes
    ----------
    report
        The scorecard, and everything else that a report is made from.
    result
        Of the campaign.
    files
        Path of each file by what it is.
    started, finished
        UTC.
    problem
        What of the report could not be written; empty when all is there. The run is whole either way.
    """

    report: Report
    result: CampaignResult
    files: Mapping[str, str]
    started: dt.datetime
    finished: dt.datetime
    problem: str = ""


def run_experiment(
    experiment: Experiment,
    root: Path,
    out: Path,
    *,
    settings: RunSettings | None = None,
    keeping: Keeping | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    halt: Callable[[], None] = lambda: None,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    batches: Batches | None = None,
) -> FinishedRun:
    """Run an experiment, or what is left of it; write its results.

    Parameters
    ----------
    experiment, root
        What is run, and the folder that its relative paths start from.
    out
        Folder for the results.
    settings
        How.
    keeping
        Its place in a store; None keeps nothing.
    progress
        Called after each frame.
    halt
        As :func:`pipechaos.campaign.run.run_campaign` takes it.
    now
        The clock: aware, UTC.
    batches
        As :func:`pipechaos.campaign.run.run_campaign` takes them.

    Raises
    ------
    PipechaosError
        Whatever stops a campaign. A format of the report that cannot be written is told, not raised.
    """
    how = settings or RunSettings()
    place = keeping or Unkept(started=now())
    batches = batches or Batches(experiment, root)
    check_results_folder(out, batches)
    kept = tuple if how.values else without_values
    result = run_campaign(
        experiment,
        root,
        jobs=how.jobs,
        progress=progress,
        recorder=place.recorder,
        halt=halt,
        batches=batches,
    )
    finished = now()
    card = scorecard_of(result, baseline=how.baseline, today=place.started.date())
    explanations = _explained(card, result, batches, how.values)
    files = write_result(out, experiment, card, kept(result.trials), explanations)
    trend = place.finish(card, finished=finished, stopped=result.stopped)  # from here on it cannot go on
    report = Report(
        card=card,
        content=build_content(card, explanations, experiment=how.source, replay=how.replay),
        trials=tuple(kept(result.trials)),
        run_id=place.run_id,
        explanations=explanations,
        trend=trend,
        baseline=card.baseline,
        locations=locate_all(card, [(root / r).resolve() for r in experiment.roots]),
        values=how.values,
    )
    written, problem = _written(report, out, how.formats, finished.timestamp())
    return FinishedRun(
        report=report,
        result=result,
        files={**files, **written},
        started=place.started,
        finished=finished,
        problem=problem,
    )


def check_results_folder(out: Path, batches: Batches) -> None:
    """See before a long run that no batch lies in the folder of results.

    Raises
    ------
    ConfigError
        One does.
    """
    home = out.resolve()
    for ref in batches.refs.values():
        if any("://" not in p and Path(p).resolve().is_relative_to(home) for p in ref.paths):
            raise ConfigError(
                f"batch {ref.uri} lies in the folder of results {out}: narrow `batches:`, or name another folder"
            )


def tenths(write: Callable[[str], None]) -> Callable[[Progress], None]:
    """Progress as a line for each tenth of a run.

    Parameters
    ----------
    write
        Takes a line.
    """
    shown = -1

    def show(p: Progress) -> None:
        nonlocal shown
        tenth = p.done * 10 // max(1, p.total)
        if tenth > shown:
            shown = tenth
            left = "" if p.left_seconds is None else f", about {duration(p.left_seconds)} left"
            write(f"{p.phase}: {p.done} of {p.total} frames judged{left}")

    return show


def _explained(card: Scorecard, result: CampaignResult, batches: Batches, values: bool) -> Mapping[str, Explanation]:
    """Reasons for the worst survivors."""
    declared = declared_by(result.experiment, {s.name: s for s in result.suites})
    return explanations_of(wanted_examples(card, _SHOWN), result.trials, batches, declared, values=values)


def _written(report: Report, out: Path, more: Mapping[str, Path], timestamp: float) -> tuple[dict[str, str], str]:
    """Markdown and, where Jinja2 is there, HTML into the folder of results; then the formats asked for."""
    always = ["markdown", *(["html"] if importlib.util.find_spec("jinja2") else [])]
    files: dict[str, str] = {}
    problems = []
    for targets in ({name: out / FORMATS[name].file for name in always}, dict(more)):
        try:
            found = write_reports(report, targets, timestamp=timestamp)
        except CannotRunError as exc:
            problems.append(str(exc))
            found = {name: str(path) for name, path in targets.items() if path.exists()}
        files.update({f"{name} too" if name in files else name: path for name, path in found.items()})
    return files, "\n".join(problems)
