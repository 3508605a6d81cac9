"""What a run leaves behind: its report in every format asked for, and word to whoever listens."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipechaos.cli.console import people, ready_for

if TYPE_CHECKING:
    import datetime as dt

    from pipechaos.campaign.experiment import Experiment
    from pipechaos.report.inputs import Report
    from pipechaos.score.baseline import Baseline

__all__ = ["accepted_so_far", "baseline_option", "deliver", "report_options", "targets_of", "tell_listeners"]

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
    "--baseline", metavar="FILE", help="Survivors a team accepts; a new, expired or stale one fails the run."
)


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """A ``--<format> FILE`` for each format of a report."""
    for flag, text in reversed(_OPTIONS.values()):
        command = click.option(flag, metavar="FILE", help=text)(command)
    return command


def targets_of(given: Mapping[str, str | None]) -> dict[str, Path]:
    """File of each format that was asked for, from the options' values; each can be written to."""
    found = {}
    for name, (flag, _) in _OPTIONS.items():
        file = given[flag.removeprefix("--").replace("-", "_")]
        if file is not None:
            ready_for(file)
            found[name] = Path(file)
    return found


def accepted_so_far(file: str | None, experiment: Experiment) -> Baseline | None:
    """Baseline of a run, checked before the work; None where none is named."""
    if file is None:
        return None
    from pipechaos.campaign.baseline_file import read_baseline
    from pipechaos.score.baseline import check_validators

    held = read_baseline(file)
    check_validators(held, [v.name for v in experiment.validators])
    return held


def deliver(report: Report, out: Path, targets: Mapping[str, Path], *, finished: dt.datetime) -> dict[str, str]:
    """Write a report: Markdown and, where Jinja2 is there, HTML into the folder of results; other formats as asked.

    Returns
    -------
    dict
        Path of each file by its format.
    """
    from pipechaos.report.formats import FORMATS, write_reports

    always = ["markdown", *(["html"] if importlib.util.find_spec("jinja2") else [])]
    files = write_reports(report, {name: out / FORMATS[name].file for name in always})
    asked = write_reports(report, targets, timestamp=finished.timestamp())
    return {**files, **{f"{name}" if name not in files else f"{name} copy": path for name, path in asked.items()}}


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
