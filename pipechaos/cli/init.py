"""``pipechaos init``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipechaos.cli.console import people, ready_for
from pipechaos.cli.options import batch_options

if TYPE_CHECKING:
    from pipechaos.batch.model import Batch
    from pipechaos.campaign.experiment import Experiment

__all__ = ["command"]

_FEW = 10  # bases that a gate needs


@click.command("init")
@click.argument("batches", nargs=-1, required=True)
@click.option(
    "--schema",
    "schemas",
    multiple=True,
    required=True,
    help="Your validator: schemas.py:attr, suite.json, plan.yaml, pandera:module:attr, gx:suite.json, "
    "dataframely:module:Schema, pointblank:module:function or callable:module:attr (repeatable).",
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
    root = file.resolve().parent
    text = starter(batches, schemas, folder=root, key=key, time=time, target=target)
    ready_for(file)
    waiting = file.with_name(f".{file.name}.new")
    try:
        waiting.write_text(text, encoding="utf-8")
        experiment = load_experiment(waiting)  # what we write must be what we read
        found = Batches(experiment, root)
        first = found.load(found.controls[0])
        said = _first_look(experiment, root, first)
        waiting.replace(file)
    finally:
        waiting.unlink(missing_ok=True)
    say = people().print
    say(f"{file} written: {len(found.history)} batches as history, {len(found.controls)} as bases and controls.")
    for line in (*said, *_notes(first, len(found.controls))):
        say(f"  {line}")
    shown = shlex.quote(str(file))
    say(f"  see what a run would do   pipechaos plan {shown}\n  run it                    pipechaos run {shown}")


def _first_look(experiment: Experiment, root: Path, batch: Batch) -> list[str]:
    """What each validator says about an untouched batch: a suite that cannot be loaded is noticed here."""
    from pipechaos.batch.ipc import ipc_bytes
    from pipechaos.campaign.run import worker_spec
    from pipechaos.validate.verdict import VerdictStatus
    from pipechaos.validate.worker import Worker

    words = {VerdictStatus.ACCEPTED: "accepts", VerdictStatus.REJECTED: "rejects"}
    said = []
    with Worker(worker_spec(experiment, root), limit_seconds=experiment.limit_seconds) as worker:
        for validator in experiment.validators:
            verdict = worker.validate(validator.name, ipc_bytes(batch.table))
            word = words.get(verdict.status, "gives no verdict on")
            line = f"{validator.name} {word} the untouched batch {batch.name}"
            if verdict.status is not VerdictStatus.ACCEPTED:
                checks = dict.fromkeys(f.check for f in verdict.findings)
                line += f" ({', '.join(list(checks)[:3]) or 'no finding'}): `pipechaos validate` says more"
            said.append(line)
    return said


def _notes(batch: Batch, controls: int) -> list[str]:
    """What a newcomer should know before the first run."""
    notes = []
    if batch.key:
        distinct = batch.table.select(list(batch.key)).group_by(list(batch.key)).aggregate([]).num_rows
        if distinct < batch.rows:
            notes.append(
                f"note: key {', '.join(batch.key)} does not identify a row: {batch.rows} rows of batch {batch.name} "
                f"have {distinct} keys"
            )
    if controls < _FEW:
        notes.append(f"note: with fewer than {_FEW} bases intervals are wide and no gate decides: give more batches")
    return notes
