"""``pipechaos diff-suite``."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from pipechaos.cli.console import emit_json, ended_in_order, json_option, people
from pipechaos.cli.experiments import opened, progress_bar, seed_option
from pipechaos.cli.halt import kill_switch
from pipechaos.cli.places import check_out, check_targets, inputs_of
from pipechaos.report.duration import duration

__all__ = ["command"]


@click.command("diff-suite")
@click.argument("experiment")
@click.option("--base", required=True, metavar="OLD", help="The suite before the change.")
@click.option("--head", required=True, metavar="NEW", help="The suite after the change.")
@click.option("--validator", metavar="NAME", help="Whose revisions; needed where the experiment has several.")
@click.option(
    "--budget",
    type=click.IntRange(1),
    help="Faulty trials of each version [default: 360, or the experiment's if less].",
)
@seed_option
@click.option("--jobs", type=click.IntRange(1), help="Worker processes [default: one for each processor].")
@click.option("--allow-losses", is_flag=True, help="Report losses and added alarms, and do not fail on them.")
@click.option("--markdown", "markdown_to", metavar="FILE|-", help="Write Markdown for a pull request.")
@click.option("--out", help="Folder for what `replay` needs [default: <experiment>.diff].")
@click.option("--no-values", is_flag=True, help="Keep no text that comes from data.")
@click.option("--quiet", is_flag=True, help="No progress and no report on stderr.")
@json_option
def command(
    experiment: str,
    base: str,
    head: str,
    validator: str | None,
    budget: int | None,
    seed: int | None,
    jobs: int | None,
    allow_losses: bool,
    markdown_to: str | None,
    out: str | None,
    no_values: bool,
    quiet: bool,
    json_to: str | None,
) -> None:
    """Say what a change of a suite wins and loses, on the same broken and untouched batches of EXPERIMENT.

    OLD and NEW are each one of: the name of a validator of EXPERIMENT (without --validator); a spec such as
    pandera:module:attr or gx:suite.json; a file such as old/schemas.py:schema or suite_old.json; or a git revision, or
    WORKTREE for the files as they are. A revision is copied to a temporary folder: the work tree is not touched.

    \b
      pipechaos diff-suite flights.yaml --validator pandera --base main --head WORKTREE
      pipechaos diff-suite flights.yaml --base old/schemas.py:schema --head schemas.py:schema

    Both versions see the same draws, so that a few trials show a difference. Exits 1 when a weakness is lost (caught
    before and missed now, or caught before and without a verdict now, more often than caught only now) or a false alarm
    is added, on an untouched or a harmlessly changed batch, however few they are; --allow-losses lets both through.
    Exits 3 when a version is blind, judges nothing or cannot be loaded; 4 when nothing could be compared, when the new
    version alone gives no judgement on more than 5 % of the pairs or on any untouched batch, or when a version
    contradicts itself.
    """  # noqa: D301 - click's mark for lines that are not to be wrapped
    from pipechaos.campaign.diff_suite import diff_suite, write_diff
    from pipechaos.campaign.source import Batches
    from pipechaos.campaign.suite_versions import suite_versions
    from pipechaos.report.suite_diff import markdown_diff, render_diff

    parsed, root = opened(experiment, seed=seed)
    folder = Path(out) if out else Path(experiment).with_suffix(".diff")
    halt = kill_switch().check
    batches = Batches(parsed, root)
    check_out(folder, batches)
    check_targets(
        {"--json": json_to, "--markdown": markdown_to}, inputs_of(parsed, root, {"the experiment": experiment}), batches
    )
    with (
        ended_in_order(),
        suite_versions(parsed, root, base=base, head=head, validator=validator) as (old, new),
        progress_bar(quiet) as progress,
    ):
        found = diff_suite(
            parsed, root, old, new, trials=budget, jobs=jobs or os.cpu_count() or 1, progress=progress, halt=halt
        )
    replayed = write_diff(folder, found, root, values=not no_values)
    rerun = _again(experiment, base, head, validator, budget, seed, out)
    replay = f"pipechaos replay --experiment {shlex.quote(str(replayed))} "
    emit_json(found.to_json(allow_losses=allow_losses), json_to)
    if markdown_to is not None:
        _write(markdown_diff(found, rerun=rerun, replay=replay, allow_losses=allow_losses), markdown_to)
    code = found.exit_code(allow_losses=allow_losses)
    if not quiet:
        console = people()
        render_diff(found, console, rerun=rerun, replay=replay, allow_losses=allow_losses)
        console.print(
            f"\n{found.sample.trials} faulty trials of each version in {duration(found.seconds)}, exit code {int(code)}"
        )
    sys.exit(int(code))


def _again(
    experiment: str,
    base: str,
    head: str,
    validator: str | None,
    budget: int | None,
    seed: int | None,
    out: str | None,
) -> str:
    """The command that makes the same comparison again."""
    words = ["pipechaos", "diff-suite", experiment, "--base", base, "--head", head]
    given = {"--validator": validator, "--budget": budget, "--seed": seed, "--out": out}
    for name, value in given.items():
        words += [] if value is None else [name, str(value)]
    return shlex.join(words)


def _write(text: str, to: str) -> None:
    if to == "-":
        click.echo(text, nl=False)
        return
    from pipechaos.batch.textfile import write_text

    write_text(Path(to), text)
