"""What a run leaves behind: its report in every format asked for, and word to whoever listens."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipechaos.cli.console import people
from pipechaos.cli.places import STDOUT
from pipechaos.cli.stores import NONE

if TYPE_CHECKING:
    import datetime as dt

    from pipechaos.campaign.experiment import Experiment
    from pipechaos.report.inputs import Report
    from pipechaos.score.baseline import Baseline

__all__ = [
    "accepted_so_far",
    "baseline_option",
    "named",
    "read_accepted",
    "report_options",
    "targets_of",
    "tell_listeners",
    "to_stdout",
]

# format -> option
_OPTIONS = {
    "html": ("--html", "One page for people, nothing loaded from elsewhere."),
    "markdown": ("--markdown", "The report for a pull request or step summary."),
    "junit": ("--junit-xml", "For the test tab of a CI server."),
    "sarif": ("--sarif", "SARIF 2.1.0: survivors on the lines of the suite."),
    "mutation": ("--mutation-json", "For mutation-testing-elements."),
    "prometheus": ("--prometheus", "For node_exporter's textfile collector."),
    "badge": ("--badge", "Endpoint of a shields.io badge."),
}

baseline_option = click.option(
    "--baseline", metavar="FILE", help="Survivors a team accepts; a new, expired or stale one fails. 'none' for none."
)


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """A ``--<format> FILE`` for each format of a report."""
    for flag, text in reversed(_OPTIONS.values()):
        command = click.option(flag, metavar="FILE|-", help=text)(command)
    return command


def targets_of(given: Mapping[str, str | None]) -> dict[str, Path]:
    """File of each format that was asked for, from the options' values; what each needs is installed.

    Raises
    ------
    MissingExtraError
        It is not.
    """
    from pipechaos.report.formats import FORMATS

    found = {}
    for name, (flag, _) in _OPTIONS.items():
        file = given[flag.removeprefix("--").replace("-", "_")]
        if file is not None:
            FORMATS[name].check()
            found[name] = Path(file)
    return found


def named(targets: Mapping[str, Path]) -> dict[str, Path]:
    """The same by the options that named them, for messages."""
    return {_OPTIONS[name][0]: path for name, path in targets.items()}


def accepted_so_far(file: str | None, experiment: Experiment) -> Baseline | None:
    """Baseline of a run, checked before the work; None where none is named, or ``none``.

    Raises
    ------
    ConfigError
        It is not there, is no baseline, or names a validator that the experiment has not.
    """
    held = read_accepted(file)
    if held is not None:
        from pipechaos.score.baseline import check_validators

        check_validators(held, [v.name for v in experiment.validators])
    return held


def read_accepted(file: str | None) -> Baseline | None:
    """The baseline that an option names; None where none is named, or ``none``."""
    if file in (None, "", NONE):
        return None
    from pipechaos.campaign.baseline_file import read_baseline
    from pipechaos.errors import ConfigError

    if not Path(str(file)).exists():
        raise ConfigError(
            f"there is no baseline {file} yet: run with `--baseline none`, then write one with "
            f"`pipechaos baseline update OUT --baseline {file} --reason ... --owner ... --expires 90d`"
        )
    return read_baseline(str(file))


def to_stdout(report: Report, targets: Mapping[str, Path], *, finished: dt.datetime) -> None:
    """Print the format whose target is ``-``; there is one at most."""
    from pipechaos.report.formats import render

    for name, path in targets.items():
        if str(path) == STDOUT:
            click.echo(render(report, name, timestamp=finished.timestamp()), nl=False)


def tell_listeners(report: Report, *, started: dt.datetime, finished: dt.datetime) -> None:
    """Metrics, lineage and GitHub's annotations: each only where it is configured, none fails a run."""
    from pipechaos.report.github import write_github
    from pipechaos.report.lineage import emit_lineage
    from pipechaos.report.metrics import record_metrics

    if importlib.util.find_spec("opentelemetry"):
        record_metrics(report)
    warning = emit_lineage(report, started=started, finished=finished)
    if warning:
        people().print(warning, soft_wrap=True)
    said = write_github(report, os.environ)
    if said:
        click.echo(said, err=True, nl=not said.endswith("\n"))
