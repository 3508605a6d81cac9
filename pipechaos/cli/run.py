"""``pipechaos run``."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipechaos.cli.console import json_option, people
from pipechaos.cli.experiments import duration, opened, progress_bar

if TYPE_CHECKING:
    from pipechaos.campaign.experiment import Experiment

__all__ = ["command", "run_and_report"]

_SHOWN = 25  # survivors whose rows a report shows


@click.command("run")
@click.argument("experiment")
@click.option("--out", help="Folder for scorecard.json, trials.parquet and report.md [default: <experiment>.out].")
@click.option("--seed", type=int, help="Another seed than the experiment's.")
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

        show_plan(parsed, root, json_to)
        return
    folder = Path(out) if out else _default_out(experiment)
    code = run_and_report(
        parsed, root, folder, source=experiment, jobs=jobs, values=not no_values, quiet=quiet, json_to=json_to
    )
    sys.exit(code)


def _default_out(source: str) -> Path:
    return Path(source).with_suffix(".out")


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
    from pipechaos.campaign.output import examples_of, scorecard_of, write_result
    from pipechaos.campaign.run import run_campaign
    from pipechaos.campaign.source import Batches
    from pipechaos.cli.console import emit_json
    from pipechaos.report.content import build_content
    from pipechaos.report.markdown import render_markdown
    from pipechaos.report.survivors import wanted_examples
    from pipechaos.report.terminal import render_terminal

    with progress_bar(quiet) as progress:
        result = run_campaign(experiment, root, jobs=jobs or os.cpu_count() or 1, progress=progress)
    card = scorecard_of(result)
    wanted = wanted_examples(card, _SHOWN) if values else ()
    examples = examples_of(wanted, result.trials, Batches(experiment, root))
    command = "pipechaos replay" if out == _default_out(source) else f"pipechaos replay --out {shlex.quote(str(out))}"
    content = build_content(card, examples, experiment=source, replay=command)
    files = write_result(out, experiment, card, result.trials, render_markdown(content))
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
