"""``pipechaos run``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipechaos.cli.console import json_option, people
from pipechaos.cli.experiments import default_out, opened, progress_bar, replay_command, seed_option
from pipechaos.cli.places import STDOUT, check_out, check_targets, inputs_of, own_files
from pipechaos.cli.results import (
    accepted_so_far,
    baseline_option,
    named,
    report_options,
    targets_of,
    tell_listeners,
    to_stdout,
)
from pipechaos.cli.stores import default_store, store_option
from pipechaos.errors import CannotRunError
from pipechaos.report.duration import duration

if TYPE_CHECKING:
    from pipechaos.campaign.experiment import Experiment
    from pipechaos.campaign.run import CampaignResult
    from pipechaos.campaign.source import Batches
    from pipechaos.report.inputs import Report

__all__ = ["Wanted", "command", "run_and_report"]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How a run is done, kept and shown.

    Attributes
    ----------
    jobs
        Worker processes; one for each processor otherwise.
    values
        Whether data values may be shown and written.
    quiet, json_to
        Nothing on stderr; where the scorecard goes as JSON.
    targets
        File of each format of the report beside those in the folder of results.
    store, resume
        As the options give them.
    baseline
        File of accepted survivors.
    """

    jobs: int | None = None
    values: bool = True
    quiet: bool = False
    json_to: str | None = None
    targets: Mapping[str, Path] = field(default_factory=dict)
    store: str | None = None
    resume: str | None = None
    baseline: str | None = None


@click.command("run")
@click.argument("experiment")
@click.option("--out", help="Folder for scorecard, trials and reports [default: <experiment>.out].")
@seed_option
@click.option("--jobs", type=click.IntRange(1), help="Worker processes [default: one for each processor].")
@click.option("--budget", type=click.IntRange(1), help="Most faulty trials, instead of the experiment's.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, like `pipechaos plan`, and stop.")
@store_option
@click.option(
    "--resume", metavar="RUN|last", help="Go on with a run that was killed or stopped; nothing is done twice."
)
@baseline_option
@report_options
@click.option("--no-values", is_flag=True, help="Show no data value anywhere.")
@click.option("--quiet", is_flag=True, help="No progress and no report on stderr.")
@json_option
def command(
    experiment: str,
    out: str | None,
    seed: int | None,
    jobs: int | None,
    budget: int | None,
    dry_run: bool,
    store: str | None,
    resume: str | None,
    baseline: str | None,
    no_values: bool,
    quiet: bool,
    json_to: str | None,
    **reports: str | None,
) -> None:
    """Run EXPERIMENT: canaries and controls first, then faults; end with the scorecard and the report."""
    parsed, root = opened(experiment, seed=seed, trials=budget)
    folder = Path(out) if out else default_out(experiment)
    if dry_run:
        from pipechaos.cli.plan import show_plan

        show_plan(parsed, root, folder, json_to)
        return
    wanted = Wanted(
        jobs=jobs,
        values=not no_values,
        quiet=quiet,
        json_to=json_to,
        targets=targets_of(reports),
        store=store,
        resume=resume,
        baseline=baseline,
    )
    sys.exit(run_and_report(parsed, root, folder, source=experiment, wanted=wanted))


def run_and_report(experiment: Experiment, root: Path, out: Path, *, source: str, wanted: Wanted | None = None) -> int:
    """Run, write the files, print the report.

    Parameters
    ----------
    experiment, root
        What is run, and the folder that its relative paths start from.
    out
        Folder for the results.
    source
        The experiment's file as the user named it.
    wanted
        How it is done, kept and shown.

    Returns
    -------
    int
        Exit code of SCORING.md section 5.
    """
    from pipechaos.campaign.output import without_values
    from pipechaos.campaign.source import Batches
    from pipechaos.cli.console import emit_json
    from pipechaos.cli.halt import kill_switch
    from pipechaos.cli.keeping import keeping
    from pipechaos.report.experiment_run import RunSettings, run_experiment

    how = wanted or Wanted()
    batches = Batches(experiment, root)
    _check_places(experiment, root, out, batches, source, how)
    settings = RunSettings(
        source=source,
        replay=replay_command(source, out),
        jobs=how.jobs or os.cpu_count() or 1,
        values=how.values,
        baseline=accepted_so_far(how.baseline, experiment),
        formats={name: path for name, path in how.targets.items() if str(path) != STDOUT},
    )
    kept = tuple if how.values else without_values
    with (
        keeping(experiment.name, root, store=how.store, resume=how.resume, kept=kept) as keeper,
        progress_bar(how.quiet) as progress,
    ):
        done = run_experiment(
            experiment,
            root,
            out,
            settings=settings,
            keeping=keeper,
            progress=progress,
            halt=kill_switch().check,
            batches=batches,
        )
    emit_json(done.report.card.to_dict(), how.json_to)
    to_stdout(done.report, how.targets, finished=done.finished)
    if not how.quiet:
        _say(done.report, done.result, done.files)
    tell_listeners(done.report, started=done.started, finished=done.finished)
    if done.problem:
        raise CannotRunError(f"{done.problem}\nthe run is whole: `pipechaos score {out}` writes formats again")
    return CannotRunError.exit_code if done.result.halted else int(done.report.card.exit_code)


def _say(report: Report, result: CampaignResult, files: Mapping[str, str]) -> None:
    from pipechaos.report.terminal import render_terminal

    console = people()
    render_terminal(report.content, console)
    console.print()
    for name, path in files.items():
        console.print(f"{name:10} {path}", soft_wrap=True)
    took = duration(result.seconds["total"])
    kept = f", run {report.run_id}" if report.run_id else ""
    console.print(f"{len(result.trials)} trials in {took}{kept}, exit code {int(report.card.exit_code)}")


def _check_places(experiment: Experiment, root: Path, out: Path, batches: Batches, source: str, how: Wanted) -> None:
    """See before a long run that its results can be written, and that nothing is lost by it."""
    files = {"the experiment": source, "the baseline": how.baseline, "the store": how.store or default_store()}
    taken = {**own_files(out), **inputs_of(experiment, root, files)}
    check_out(out, batches)
    check_targets({"--json": how.json_to, **named(how.targets)}, taken, batches)
