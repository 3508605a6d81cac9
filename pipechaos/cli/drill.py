"""``pipechaos drill``: hold a scheduled drill, and say how drills stand."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipechaos.cli.console import emit_json, json_option, people
from pipechaos.cli.experiments import opened, progress_bar
from pipechaos.cli.halt import kill_switch
from pipechaos.cli.places import check_targets, inputs_of
from pipechaos.cli.results import accepted_so_far, baseline_option
from pipechaos.cli.stores import default_store, opened_store, store_option

if TYPE_CHECKING:
    from pipechaos.drill.settings import DrillSettings

__all__ = ["command"]

_SETTINGS = (
    click.option("--period-days", type=float, help="Every fault on every column is tried within so many [14]."),
    click.option("--every-days", type=float, help="Expected time between drills [1]."),
    click.option("--trials", type=int, help="Most faulty trials of a drill [the least that keeps the period]."),
    click.option("--minutes", type=float, help="A drill stops after so long [as the experiment says]."),
    click.option("--controls", type=int, help="So many of the latest batches are controls [28]."),
    click.option("--bases", type=int, help="So many of these, the latest, are broken [1]."),
    click.option("--until", metavar="BATCH", help="The latest batch that counts [the latest there is]."),
    click.option("--pause-after", type=int, help="Pause after so many drills in a row that could not run [3]."),
)


def _settings_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options about how drills are held."""
    for option in reversed(_SETTINGS):
        function = option(function)
    return function


@click.group("drill")
def command() -> None:
    """Small unattended campaigns that rotate through everything an experiment can break."""


@command.command("run")
@click.argument("experiment")
@store_option
@click.option("--out", help="Folder of all drills' results [default: <experiment>.drills].")
@click.option("--run-id", help="Id of this drill; the same one again goes on with it [default: made of the time].")
@_settings_options
@baseline_option
@click.option("--resume-drills", is_flag=True, help="Hold it though drills are paused.")
@click.option("--jobs", type=click.IntRange(1), help="Worker processes [default: one for each processor].")
@click.option("--no-values", is_flag=True, help="Show and write no data value anywhere.")
@click.option("--quiet", is_flag=True, help="No progress on stderr; a message still says what is new.")
@json_option
def run(
    experiment: str,
    store: str | None,
    out: str | None,
    run_id: str | None,
    baseline: str | None,
    resume_drills: bool,
    jobs: int | None,
    no_values: bool,
    quiet: bool,
    json_to: str | None,
    **settings: Any,
) -> None:
    """Hold a drill of EXPERIMENT: break the latest batches in those ways whose turn it is."""
    import datetime as dt
    import secrets

    from pipechaos.campaign.source import Batches
    from pipechaos.drill.execute import DrillRun, run_drill
    from pipechaos.drill.message import drill_message

    parsed, root = opened(experiment)
    files = {"the experiment": experiment, "the baseline": baseline, "the store": store or default_store()}
    check_targets({"--json": json_to}, inputs_of(parsed, root, files), Batches(parsed, root))
    held = accepted_so_far(baseline, parsed)
    how = _settings(settings)
    say = people().print

    def tell(message: str) -> None:
        say(message, soft_wrap=True)

    with opened_store(store, create=True) as keeper, progress_bar(quiet) as progress:
        drill = DrillRun(
            run_id=run_id or f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}",
            out=Path(out) if out else Path(experiment).with_suffix(".drills"),
            source=experiment,
            jobs=jobs or os.cpu_count() or 1,
            values=not no_values,
            baseline=held,
            release=resume_drills,
            notify=tell,
            halt=kill_switch().check,
            progress=progress,
        )
        result = run_drill(parsed, root, keeper, settings=how, run=drill)
    emit_json(result.to_json(), json_to)
    if not quiet and not result.alarming:
        tell(drill_message(result))
    sys.exit(result.exit_code)


@command.command("status")
@click.argument("experiment")
@store_option
@_settings_options
@json_option
def status(experiment: str, store: str | None, json_to: str | None, **settings: Any) -> None:
    """Say how the drills of EXPERIMENT stand: the last one, whether one is overdue, what comes next; on stdout.

    Ends with 3 where drills are paused or overdue, so that a cron job may watch it.
    """
    import datetime as dt

    from pipechaos.drill.execute import drill_status
    from pipechaos.drill.message import status_lines

    parsed, root = opened(experiment)
    with opened_store(store) as keeper:
        found = drill_status(parsed, root, keeper, settings=_settings(settings), now=dt.datetime.now(dt.UTC))
    emit_json(found.to_json(), json_to)
    if json_to != "-":
        click.echo("\n".join(status_lines(found)))
    sys.exit(3 if found.paused or found.overdue else 0)


def _settings(given: dict[str, Any]) -> DrillSettings:
    from pipechaos.drill.settings import DrillSettings

    return DrillSettings(**{name: value for name, value in given.items() if value is not None})
