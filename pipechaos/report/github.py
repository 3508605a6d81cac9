"""The report for GitHub Actions: annotations on the lines of the suites, and the summary of the step."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipechaos.report.escape import clip, listed, visible
from pipechaos.report.inputs import Location, Report
from pipechaos.report.markdown import LIMIT
from pipechaos.report.weaknesses import Fate, baseline_of, gate_text, place_of, shown, weaknesses
from pipechaos.score.baseline import Standing
from pipechaos.score.gates import GateVerdict
from pipechaos.score.records import Outcome, Review

__all__ = ["GithubOutput", "github_annotations", "github_output", "write_github"]

_MOST = 10  # annotations of a kind that GitHub keeps of one step
_SUMMARY = 1_048_576  # bytes; what is larger is dropped whole
_LEAST = 4_000  # bytes below which a summary says nothing
_LONGEST = 1_000


class _Level(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class _Annotation:
    level: _Level
    title: str
    message: str
    place: Location | None = None

    def text(self, base: str) -> str:
        """The command; ``base`` is the folder, from the top of the repository, that places are told from."""
        parts = []
        if self.place is not None:
            file = posixpath.normpath(posixpath.join(base, self.place.file))
            parts = [f"file={_property(file)}", f"line={self.place.line}"]
        parts.append(f"title={_property(clip(visible(self.title), _LONGEST))}")
        return f"::{self.level.value} {','.join(parts)}::{_data(clip(visible(self.message), _LONGEST))}"


@dataclass(frozen=True, kw_only=True)
class GithubOutput:
    """What to write in a step of GitHub Actions.

    Attributes
    ----------
    annotations
        Lines for stdout or stderr; empty without any.
    summary
        Markdown to append to the step's summary; empty where there is no room for it.
    summary_file
        Where to; None where the runner gave none.
    """

    annotations: str
    summary: str
    summary_file: Path | None


def github_output(report: Report, environ: Mapping[str, str], *, written: int = 0) -> GithubOutput | None:
    """What a run says to GitHub Actions; None anywhere else (``GITHUB_ACTIONS`` is not ``true``).

    Parameters
    ----------
    report
        What is known.
    environ
        Environment of the process.
    written
        Bytes that the step's summary holds already.
    """
    from pipechaos.report.formats import markdown_report

    if environ.get("GITHUB_ACTIONS") != "true":
        return None
    file = environ.get("GITHUB_STEP_SUMMARY", "")
    room = min(_SUMMARY - written - 1, LIMIT)
    summary = markdown_report(report, limit=room) if file and room >= _LEAST else ""
    return GithubOutput(
        annotations=github_annotations(report, base=_base(environ.get("GITHUB_WORKSPACE", ""))),
        summary=summary if len(summary.encode()) <= room else "",
        summary_file=Path(file) if file else None,
    )


def write_github(report: Report, environ: Mapping[str, str]) -> str:
    """Append the report to the step's summary, and return the annotations to print; both only on GitHub Actions.

    A summary that cannot be written is left out: it is no reason to fail a run.
    """
    file = environ.get("GITHUB_STEP_SUMMARY", "")
    written = Path(file).stat().st_size if file and Path(file).is_file() else 0
    out = github_output(report, environ, written=written)
    if out is None:
        return ""
    annotations = out.annotations
    if out.summary_file is not None and out.summary:
        try:
            with out.summary_file.open("a", encoding="utf-8") as summary:
                summary.write(out.summary)
        except OSError as error:
            said = f"the summary of this step could not be written: {error.strerror}"
            annotations += _Annotation(level=_Level.WARNING, title="pipechaos", message=said).text("") + "\n"
    return annotations


def github_annotations(report: Report, *, base: str = "") -> str:
    """Write workflow commands: failing gates, survivors and false alarms, at most ten of a kind.

    A survivor is an error where a baseline was given and does not accept it, and a warning otherwise: without one,
    gates decide. What was accepted is not named.

    Parameters
    ----------
    report
        What is known.
    base
        Folder that the command runs in, from the top of the repository: GitHub tells files from there.

    Returns
    -------
    str
        One command on each line; nothing in a name can begin a command of its own.
    """
    found = list(_annotations(report))
    lines = []
    for level in _Level:
        these = [a for a in found if a.level is level]
        if len(these) > _MOST:
            said = f"{len(these) - _MOST + 1:,} more of this kind: see the report"
            more = _Annotation(level=level, title="pipechaos", message=said)
            these = [*these[: _MOST - 1], more]
        lines += [a.text(base) for a in these]
    return "".join(f"{line}\n" for line in lines)


def _annotations(report: Report) -> Iterator[_Annotation]:
    card = report.card
    for name in card.blind:
        said = f"{name} rejected no canary; nothing else it says means anything"
        yield _Annotation(level=_Level.ERROR, title="blind validator", message=said, place=place_of(report, name, ()))
    for gate in card.gates:
        if gate.verdict is not GateVerdict.PASS:
            level = _Level.ERROR if gate.verdict is GateVerdict.FAIL else _Level.WARNING
            yield _Annotation(
                level=level,
                title=f"gate {gate.verdict.value}",
                message=gate_text(gate),
                place=place_of(report, gate.validator, (gate.gate.column,) if gate.gate.column else ()),
            )
    baseline = baseline_of(report)
    if baseline is not None:
        if baseline.verdict is GateVerdict.INCONCLUSIVE:
            yield _Annotation(level=_Level.WARNING, title="baseline inconclusive", message=baseline.reason)
        for standing in (Standing.EXPIRED, Standing.STALE):
            for entry in baseline.of(standing):
                title = f"{standing.value} entry of the baseline"
                yield _Annotation(level=_Level.ERROR, title=title, message=f"{entry.label}: {entry.text}")
    yield from _survivors(report)
    yield from _false_alarms(report)


def _survivors(report: Report) -> Iterator[_Annotation]:
    missed = [w for w in weaknesses(report) if w.fate is Fate.MISSED]
    baseline = baseline_of(report)
    if baseline is not None:
        told = {e.weakness_id for e in baseline.of(Standing.EXPIRED)}
        missed = [w for w in missed if w.weakness_id not in told]
    level = _Level.WARNING if baseline is None else _Level.ERROR
    for w in sorted(missed, key=lambda w: (-w.share, -w.severity / max(w.rungs, 1), w.fault, w.where, w.validator)):
        title = f"{w.fault} on {w.where} got past {w.validator}"
        yield _Annotation(level=level, title=title, message=f"{w.dose}: {w.counts}. {w.replay}", place=w.place)


def _false_alarms(report: Report) -> Iterator[_Annotation]:
    for score in report.card.validators:
        for alarm in score.alarms:
            false = alarm.outcome is Outcome.FP and alarm.review is not Review.TRUE
            if false and alarm.batch not in score.flaky_batches:
                checks = listed([shown(c) for c in alarm.checks], 5) or "no named check"
                said = f"{shown(score.name)} rejected the untouched batch {shown(alarm.batch)}: {checks}"
                place = place_of(report, score.name, ())
                yield _Annotation(level=_Level.WARNING, title="false alarm", message=said, place=place)


def _base(workspace: str) -> str:
    """Where this process runs, told from the checked-out repository; empty where it runs elsewhere."""
    here = Path.cwd().resolve()
    top = Path(workspace).resolve() if workspace else here
    return here.relative_to(top).as_posix() if here.is_relative_to(top) else ""


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(visible(text)).replace(":", "%3A").replace(",", "%2C")
