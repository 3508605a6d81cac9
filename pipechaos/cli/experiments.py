"""What the commands about experiments share: reading the file, overriding it, and progress."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipechaos.cli.console import people
from pipechaos.report.duration import duration

if TYPE_CHECKING:
    from pipechaos.campaign.experiment import Experiment
    from pipechaos.campaign.run import Progress

__all__ = ["beside", "default_out", "opened", "progress_bar", "replay_command", "seed_option"]

seed_option = click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Another seed than the experiment's.")


def opened(path: str, *, seed: int | None = None, trials: int | None = None) -> tuple[Experiment, Path]:
    """Experiment and the folder that its relative paths start from."""
    from pipechaos.campaign.experiment import load_experiment

    experiment = load_experiment(path)
    if seed is not None:
        experiment = experiment.model_copy(update={"seed": seed})
    if trials is not None:
        experiment = experiment.model_copy(update={"budget": experiment.budget.model_copy(update={"trials": trials})})
    return experiment, Path(path).resolve().parent


def default_out(experiment: str) -> Path:
    """Folder of a run's results when nobody names one: beside the experiment's file."""
    return Path(experiment).with_suffix(".out")


def beside(out: Path) -> str:
    """The experiment that a folder of results is named for, if it is still there."""
    found = [out.with_suffix(end) for end in (".yaml", ".yml")]
    return next((str(f) for f in found if f.is_file()), "EXPERIMENT")


def replay_command(experiment: str, out: Path) -> str:
    """What a report writes before the id of a trial."""
    return "pipechaos replay" + ("" if out == default_out(experiment) else f" --out {shlex.quote(str(out))}")


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Progress on stderr: a bar on a terminal, a line now and then elsewhere, nothing when quiet."""
    out = people()
    if quiet:
        yield lambda _: None
        return
    if not out.is_terminal or out.color_system is None:  # a bar moves the cursor
        from pipechaos.report.experiment_run import tenths

        out.print("starting the validators")
        yield tenths(out.print)
        return
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[left]}"),
    )
    with Bar(*columns, console=out, transient=True) as bar:
        task = bar.add_task("starting validators", total=None, left="")

        def show(p: Progress) -> None:
            left = "" if p.left_seconds is None else f"about {duration(p.left_seconds)} left"
            bar.update(task, description=p.phase, completed=p.done, total=p.total, left=left)

        yield show
