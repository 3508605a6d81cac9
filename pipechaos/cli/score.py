"""``pipechaos score``."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import click

from pipechaos.cli.console import emit_json, json_option, people
from pipechaos.cli.experiments import beside, opened, replay_command
from pipechaos.cli.places import STDOUT, check_targets, own_files, read_only
from pipechaos.cli.results import baseline_option, named, read_accepted, report_options, targets_of, to_stdout

__all__ = ["command"]


@click.command("score")
@click.argument("out")
@click.option("--experiment", help="Take gates and reviews from this file instead of those the run was made with.")
@baseline_option
@report_options
@click.option("--no-values", is_flag=True, help="Show no data value anywhere.")
@json_option
def command(
    out: str,
    experiment: str | None,
    baseline: str | None,
    no_values: bool,
    json_to: str | None,
    **reports: str | None,
) -> None:
    """Score the trials in OUT (a run's folder) again: after a review of alarms, with other gates, in other formats."""
    from pipechaos.campaign.explanation_file import EXPLANATIONS, read_explanations
    from pipechaos.campaign.output import rescore, without_values
    from pipechaos.campaign.trials_io import read_trials
    from pipechaos.report.content import build_content
    from pipechaos.report.formats import write_reports
    from pipechaos.report.inputs import Report
    from pipechaos.report.locate import locate_all
    from pipechaos.report.terminal import render_terminal

    folder, now = Path(out), dt.datetime.now(dt.UTC)
    targets = targets_of(reports)
    source = experiment or beside(folder)
    fresh = opened(experiment)[0] if experiment else None
    taken = own_files(folder) | read_only({"the experiment": source, "the baseline": baseline})
    check_targets({"--json": json_to, **named(targets)}, taken, None)
    card = rescore(folder, fresh, baseline=read_accepted(baseline), today=now.date())
    explanations = {} if no_values else read_explanations(folder / EXPLANATIONS)
    trials = read_trials(folder / "trials.parquet")
    report = Report(
        card=card,
        content=build_content(card, explanations, experiment=source, replay=replay_command(source, folder)),
        trials=tuple(without_values(trials) if no_values else trials),
        explanations=explanations,
        baseline=card.baseline,
        locations=locate_all(card, _roots(source)) if targets else {},
        values=not no_values,
    )
    emit_json(card.to_dict(), json_to)
    to_stdout(report, targets, finished=now)
    render_terminal(report.content, people())
    write_reports(report, {n: p for n, p in targets.items() if str(p) != STDOUT}, timestamp=now.timestamp())
    sys.exit(int(card.exit_code))


def _roots(source: str) -> list[Path]:
    """Folders that the suites of an experiment come from; none where its file is no longer there."""
    if not Path(source).is_file():
        return []
    experiment, root = opened(source)
    return [(root / r).resolve() for r in experiment.roots]
