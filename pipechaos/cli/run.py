"""``pipechaos run``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipechaos.cli.console import json_option, people, ready_for
from pipechaos.cli.experiments import default_out, duration, opened, progress_bar, replay_command, seed_option

if TYPE_CHECKING:
    from pipechaos.campaign.experiment import Experiment
    from pipechaos.campaign.source import Batches

__all__ = ["command", "run_and_report"]

_SHOWN = 25  # survivors whose rows a report shows


@click.command("run")
@click.argument("experiment")
@click.option("--out", help="Folder for scorecard.json, trials.parquet and report.md [default: <experiment>.out].")
@seed_option
@click.option("--jobs", type=click.IntRange(1), help="Worker processes [default: one for each processor].")
@click.option("--budget", type=click.IntRange(1), help="Most faulty trials, instead of the experiment's.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, like `pipechaos plan`, and stop.")
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
    no_values: bool,
    quiet: bool,
    json_to: str | None,
) -> None:
    """Run EXPERIMENT: canaries and controls first, then faults; end with the scorecard and the report."""
    parsed, root = opened(experiment, seed=seed, trials=budget)
    if dry_run:
        from pipechaos.cli.plan import show_plan

        show_plan(parsed, root, Path(out) if out else default_out(experiment), json_to)
        return
    folder = Path(out) if out else default_out(experiment)
    code = run_and_report(
        parsed, root, folder, source=experiment, jobs=jobs, values=not no_values, quiet=quiet, json_to=json_to
    )
    sys.exit(code)


def run_and_report(
    experiment: Experiment,
    root: Path,
    out: Path,
    *,
    source: str,
    jobs: int | None = None,
    values: bool = True,
    quiet: bool = False,
    json_to: str | None = None,
) -> int:
    """Run, write the files, print the report; returns the exit code of SCORING.md section 5."""
    from pipechaos.campaign.output import examples_of, scorecard_of, without_values, write_result
    from pipechaos.campaign.run import run_campaign
    from pipechaos.campaign.source import Batches
    from pipechaos.cli.console import emit_json
    from pipechaos.report.content import build_content
    from pipechaos.report.markdown import render_markdown
    from pipechaos.report.survivors import wanted_examples
    from pipechaos.report.terminal import render_terminal

    batches = Batches(experiment, root)
    _check_places(batches, out, json_to)
    with progress_bar(quiet) as progress:
        result = run_campaign(experiment, root, jobs=jobs or os.cpu_count() or 1, progress=progress)
    card = scorecard_of(result)
    wanted = wanted_examples(card, _SHOWN) if values else ()
    examples = examples_of(wanted, result.trials, batches)
    content = build_content(card, examples, experiment=source, replay=replay_command(source, out))
    kept = result.trials if values else without_values(result.trials)
    files = write_result(out, experiment, card, kept, render_markdown(content))
    emit_json(card.to_dict(), json_to)
    if not quiet:
        console = people()
        render_terminal(content, console)
        console.print()
        for name, path in files.items():
            console.print(f"{name:10} {path}", soft_wrap=True)
        console.print(
            f"{len(result.trials)} trials in {duration(result.seconds['total'])}, exit code {int(card.exit_code)}"
        )
    return int(card.exit_code)


def _check_places(batches: Batches, out: Path, json_to: str | None) -> None:
    """See before a long run that its results can be written, and that none of them is one of its batches."""
    from pipechaos.errors import ExperimentError

    ready_for(out / "scorecard.json")
    if json_to not in (None, "-"):
        ready_for(str(json_to))
    home = out.resolve()
    for ref in batches.refs.values():
        mine = [p for p in ref.paths if "://" not in p and Path(p).resolve().is_relative_to(home)]
        if mine:
            raise ExperimentError(
                f"batches: {mine[0]} lies in the folder of results {out}: narrow the pattern, or give another --out"
            )
