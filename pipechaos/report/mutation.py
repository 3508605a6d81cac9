"""The report for the viewers of mutation testing: weaknesses as mutants on the lines of the team's own suites.

The schema has no word for a false alarm, so this is a second view of a run and never the whole of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipechaos.report.escape import clip, visible
from pipechaos.report.inputs import Report
from pipechaos.report.weaknesses import Fate, Weakness, accepted_text, checks_looking, shown, weaknesses
from pipechaos.score.scorecard import ValidatorScore

__all__ = ["read_source", "render_mutation"]

_LANGUAGES = {".py": "python", ".json": "json"}
_BIGGEST = 2_000_000  # characters of a suite file that are worth showing


def read_source(file: str) -> str | None:
    """Text of a suite's file, from where the command runs; None where it cannot be read."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    return text if len(text) <= _BIGGEST else None


def render_mutation(report: Report, *, read: Callable[[str], str | None] = read_source) -> str:
    """Write JSON of mutation-testing-report-schema 2.0.

    A mutant is a weakness: killed by every check with a new finding, survived where one trial was missed, without
    coverage where no check looks at its columns, ignored where the baseline accepts it or nothing changed. A suite
    whose file is not known is shown as the list of its checks.

    Parameters
    ----------
    report
        What is known.
    read
        Text of a file named in the report's locations; None where there is none.

    Returns
    -------
    str
        JSON.
    """
    everything = weaknesses(report)
    files: dict[str, dict[str, Any]] = {}
    tests: dict[str, dict[str, Any]] = {}
    for score in report.card.validators:
        name = shown(score.name)
        mine = [w for w in everything if w.owner == score.name]
        names = _test_names(score, mine)
        ids = {check: f"{name}/{at}" for at, check in enumerate(names)}
        tests[name] = {"tests": [{"id": ids[check], "name": check} for check in names]}
        for weakness in mine:
            file, line = _where(files, weakness, score, read)
            entry = files[file]
            entry["mutants"].append(_mutant(weakness, score, ids, line, entry["source"]))
    about = report.card.about
    out = {
        "schemaVersion": "2.0",
        "thresholds": {"high": 80, "low": 60},
        "framework": {"name": "pipechaos", **_version(about.versions)},
        "config": {"experiment": shown(about.name), "digest": visible(about.digest), "seed": about.seed},
        "files": files,
        "testFiles": tests,
    }
    # "<\/" is the same text to JSON, and closes no element of the page that a viewer puts it in
    return json.dumps(out, indent=1, sort_keys=True, allow_nan=False).replace("</", "<\\/") + "\n"


def _version(versions: Mapping[str, str]) -> dict[str, str]:
    return {"version": visible(versions["pipechaos"])} if versions.get("pipechaos") else {}


def _test_names(score: ValidatorScore, mine: Sequence[Weakness]) -> list[str]:
    declared = [shown(c.id) for c in score.info.checks] if score.info else []
    return list(dict.fromkeys([*declared, *(k for w in mine for k in w.killers)]))


def _where(
    files: dict[str, dict[str, Any]], weakness: Weakness, score: ValidatorScore, read: Callable[[str], str | None]
) -> tuple[str, int]:
    """File and line that a mutant stands on; the file is added the first time."""
    place = weakness.place
    if place is not None:
        file = visible(place.file)
        if file not in files:
            text = read(place.file)
            if text is not None:
                language = _LANGUAGES.get(Path(place.file).suffix, "plaintext")
                files[file] = {"language": language, "source": _lines_kept(text), "mutants": []}
        if file in files:
            return file, place.line
    file = f"{weakness.validator} (its checks)"
    checks = [shown(c.id) for c in score.info.checks] if score.info else []
    if file not in files:
        files[file] = {"language": "plaintext", "source": "\n".join(checks) or "(no check is known)", "mutants": []}
    looked = checks_looking(score, weakness.columns)
    return file, checks.index(looked[0]) + 1 if looked else 1


def _lines_kept(text: str) -> str:
    """A source without control characters, line for line."""
    return "\n".join(visible(line.replace("\t", "    ")) for line in text.split("\n"))


def _mutant(
    weakness: Weakness, score: ValidatorScore, ids: Mapping[str, str], line: int, source: str
) -> dict[str, Any]:
    lines = source.split("\n")
    line = min(max(line, 1), len(lines))
    looked = checks_looking(score, weakness.columns)
    killed_by = [ids[k] for k in weakness.killers if k in ids]
    covered = [ids[c] for c in dict.fromkeys([*looked, *weakness.killers]) if c in ids]
    status, reason = _status(weakness, covered=bool(covered))
    return {
        "id": weakness.weakness_id,
        "mutatorName": weakness.fault,
        "description": clip(weakness.label, 500),
        "replacement": clip(weakness.label, 500),
        "location": {
            "start": {"line": line, "column": 1},
            "end": {"line": line, "column": max(len(lines[line - 1]), 1) + 1},
        },
        "status": status,
        "statusReason": reason,
        "coveredBy": covered,
        "killedBy": killed_by if status == "Killed" else [],
        "testsCompleted": weakness.trials,
        "duration": round(1000 * weakness.seconds, 3) if math.isfinite(weakness.seconds) else 0,
    }


def _status(weakness: Weakness, *, covered: bool) -> tuple[str, str]:
    match weakness.fate:
        case Fate.CAUGHT:
            return "Killed", weakness.counts
        case Fate.ACCEPTED:
            return "Ignored", f"{accepted_text(weakness)}; {weakness.counts}"
        case Fate.OUTSIDE:
            return "Ignored", f"in no rate: {weakness.counts}"
        case Fate.ERROR:
            return "Timeout" if weakness.cause == "timed out" else "RuntimeError", weakness.counts
        case _:
            told = weakness.replay and f"; {weakness.replay}"
            return "Survived" if covered else "NoCoverage", f"{weakness.counts}{told}"
