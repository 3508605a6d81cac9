"""``pipechaos score``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipechaos.cli.console import emit_json, json_option, people
from pipechaos.cli.experiments import opened, replay_command

__all__ = ["command"]


@click.command("score")
@click.argument("out")
@click.option("--experiment", help="Take gates and reviews from this file instead of those the run was made with.")
@json_option
def command(out: str, experiment: str | None, json_to: str | None) -> None:
    """Score the trials in OUT (a run's folder) again: after a review of alarms, or with other gates."""
    from pipechaos.campaign.output import rescore
    from pipechaos.report.content import build_content
    from pipechaos.report.terminal import render_terminal

    fresh = opened(experiment)[0] if experiment else None
    card = rescore(Path(out), fresh)
    emit_json(card.to_dict(), json_to)
    source = experiment or _beside(Path(out))
    content = build_content(card, {}, experiment=source, replay=replay_command(source, Path(out)))
    render_terminal(content, people())
    sys.exit(int(card.exit_code))


def _beside(out: Path) -> str:
    """The experiment that a folder of results is named for, if it is still there."""
    found = [out.with_suffix(end) for end in (".yaml", ".yml")]
    return next((str(f) for f in found if f.is_file()), "EXPERIMENT")
