"""``pipechaos init``."""

from __future__ import annotations

from pathlib import Path

import click

from pipechaos.cli.console import people
from pipechaos.cli.options import batch_options

__all__ = ["command"]


@click.command("init")
@click.argument("batches", nargs=-1, required=True)
@click.option(
    "--schema",
    "schemas",
    multiple=True,
    required=True,
    help="Your validator: pandera:module:attr, gx:suite.json, file.py:attr or suite.json (repeatable).",
)
@click.option(
    "--out", default="experiment.yaml", show_default=True, help="File to write; an existing one is kept unless --force."
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@batch_options
def command(
    batches: tuple[str, ...],
    schemas: tuple[str, ...],
    out: str,
    force: bool,
    key: tuple[str, ...],
    time: str | None,
    target: tuple[str, ...],
) -> None:
    """Write a commented experiment for your own BATCHES (files, folders or quoted globs); it runs at once."""
    from pipechaos.campaign.experiment import load_experiment
    from pipechaos.campaign.source import Batches
    from pipechaos.campaign.starter import starter
    from pipechaos.errors import ExperimentError

    file = Path(out)
    if file.exists() and not force:
        raise ExperimentError(f"{file} exists and was kept: choose another --out, or replace it with --force")
    text = starter(batches, schemas, folder=file.resolve().parent, key=key, time=time, target=target)
    waiting = file.with_name(f".{file.name}.new")
    waiting.write_text(text, encoding="utf-8")
    try:
        experiment = load_experiment(waiting)  # what we write must be what we read
        found = Batches(experiment, file.resolve().parent)
        found.load(found.controls[0])
        waiting.replace(file)
    finally:
        waiting.unlink(missing_ok=True)
    people().print(
        f"{file} written: {len(found.history)} batches as history, {len(found.controls)} as bases and controls.\n"
        f"  see what a run would do   pipechaos plan {file}\n"
        f"  run it                    pipechaos run {file}"
    )
