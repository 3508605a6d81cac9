"""``pipechaos replay``."""

from __future__ import annotations

from pathlib import Path

import click

from pipechaos.cli.console import emit_json, json_option, people
from pipechaos.cli.experiments import default_out, opened

__all__ = ["command"]


@click.command("replay")
@click.argument("trial_id")
@click.option("--experiment", required=True, help="The experiment of the run.")
@click.option("--out", help="Folder of the run [default: <experiment>.out].")
@click.option("--rows", type=click.IntRange(1), default=3, show_default=True, help="Rows to show.")
@click.option("--shrink", is_flag=True, help="Search for the smallest dose and set of columns that still survives.")
@click.option("--no-values", is_flag=True, help="Show no data value anywhere.")
@json_option
def command(
    trial_id: str, experiment: str, out: str | None, rows: int, shrink: bool, no_values: bool, json_to: str | None
) -> None:
    """Repeat one trial: what it did to the data, what the validator says now, which checks looked and how near."""
    from pipechaos.campaign.replay import replay
    from pipechaos.report.replay import render_replay

    parsed, root = opened(experiment)
    folder = Path(out) if out else default_out(experiment)
    found = replay(trial_id, parsed, root, folder / "trials.parquet", rows=rows, values=not no_values, smaller=shrink)
    emit_json(found.to_json(), json_to)
    render_replay(found, people())
