"""The formats a report can be written in, by name; what renders one is imported when it is asked for."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from pipechaos.batch.textfile import write_text
from pipechaos.errors import CannotRunError, MissingExtraError, PipechaosError, UnknownNameError
from pipechaos.report.inputs import Report
from pipechaos.report.markdown import LIMIT, render_markdown

__all__ = ["FORMATS", "Format", "markdown_report", "render", "write_reports"]


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format.

    Attributes
    ----------
    file
        Name it has in a run's folder by default.
    renders
        ``module:function`` of a report, giving text.
    about
        What it is for, in a line.
    timed
        Takes the ``timestamp`` of the run.
    needs
        Optional library, and the extra that brings it.
    """

    file: str
    renders: str
    about: str
    timed: bool = False
    needs: tuple[str, str] | None = None

    def check(self) -> None:
        """See before a long run that its library is there.

        Raises
        ------
        MissingExtraError
            It is not.
        """
        if self.needs is not None and importlib.util.find_spec(self.needs[0]) is None:
            raise MissingExtraError(*self.needs)

    def load(self) -> Callable[..., str]:
        """Import the function."""
        module, _, name = self.renders.partition(":")
        function: Callable[..., str] = getattr(importlib.import_module(module), name)
        return function


_HERE = "pipechaos.report"

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "markdown": Format(
            file="report.md", renders=f"{_HERE}.formats:markdown_report", about="for pull requests and step summaries"
        ),
        "html": Format(
            file="report.html",
            renders=f"{_HERE}.html:render_html",
            about="one page, nothing loaded",
            needs=("jinja2", "report"),
        ),
        "junit": Format(
            file="junit.xml", renders=f"{_HERE}.junit:render_junit", about="for the test tab of a CI server"
        ),
        "sarif": Format(
            file="pipechaos.sarif", renders=f"{_HERE}.sarif:render_sarif", about="for code scanning: survivors by line"
        ),
        "mutation": Format(
            file="mutation.json", renders=f"{_HERE}.mutation:render_mutation", about="for mutation-testing-elements"
        ),
        "prometheus": Format(
            file="pipechaos.prom",
            renders=f"{_HERE}.prometheus:render_prometheus",
            about="for the textfile collector of node_exporter",
            timed=True,
            needs=("prometheus_client", "prometheus"),
        ),
        "badge": Format(
            file="badge.json", renders=f"{_HERE}.badge:render_badge", about="endpoint of a shields.io badge"
        ),
    }
)


def markdown_report(report: Report, *, limit: int = LIMIT) -> str:
    """Markdown of a report: rows before and after only where values may be shown."""
    content = report.content
    if not report.values:
        content = replace(content, survivors=tuple(replace(e, rows=None) for e in content.survivors))
    return render_markdown(content, limit=limit)


def render(report: Report, name: str, *, timestamp: float | None = None) -> str:
    """Render a report in one format.

    Parameters
    ----------
    report
        What is known.
    name
        A key of ``FORMATS``.
    timestamp
        When the run ended, in seconds since 1970 UTC, for the formats that say it.

    Raises
    ------
    UnknownNameError
        There is no such format.
    MissingExtraError
        It needs a library that is not installed.
    """
    if name not in FORMATS:
        raise UnknownNameError("format", name, FORMATS)
    chosen = FORMATS[name]
    return chosen.load()(report, **({"timestamp": timestamp} if chosen.timed else {}))


def write_reports(report: Report, targets: Mapping[str, Path], *, timestamp: float | None = None) -> dict[str, str]:
    """Write a report in several formats, each by itself and through a temporary name: one that fails costs no other.

    Parameters
    ----------
    report
        What is known.
    targets
        File for each format.
    timestamp
        As :func:`render` takes it.

    Returns
    -------
    dict
        Path of each file by format.

    Raises
    ------
    UnknownNameError
        There is no such format; nothing is written.
    CannotRunError
        Some could not be made or written; the others are there.
    """
    for name in targets:
        if name not in FORMATS:
            raise UnknownNameError("format", name, FORMATS)
    problems = []
    for name, path in targets.items():
        try:
            _write(Path(path), render(report, name, timestamp=timestamp))
        except PipechaosError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise CannotRunError("\n".join(problems))
    return {name: str(path) for name, path in targets.items()}


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise CannotRunError(
            f"cannot write {path}: {error.strerror}; give a path in a folder you may write to"
        ) from None
