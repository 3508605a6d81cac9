"""Records as rows of the tables, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pipechaos.score.records import Trial, jsonable
from pipechaos.store.records import BaseVerdict, RatePoint, RunRecord, RunStatus, WeaknessRow
from pipechaos.validate.verdict_io import verdict_from_json, verdict_to_json

__all__ = [
    "rate_of_row",
    "rate_row",
    "run_of_row",
    "run_row",
    "text_of",
    "trial_of_row",
    "trial_row",
    "verdict_of_row",
    "verdict_row",
    "weakness_of_row",
]

_OF_RATE = frozenset(f.name for f in fields(RatePoint))


def text_of(value: Any) -> str:
    """Canonical JSON text."""
    return json.dumps(jsonable(value), sort_keys=True, ensure_ascii=False, allow_nan=False)


def run_row(record: RunRecord) -> dict[str, Any]:
    """Row of a run."""
    row = {f.name: getattr(record, f.name) for f in fields(record)}
    return row | {
        "suites": text_of(record.suites),
        "versions": text_of(record.versions),
        "status": record.status.value,
        "scorecard": None if record.scorecard is None else text_of(record.scorecard),
    }


def run_of_row(row: Mapping[str, Any]) -> RunRecord:
    """Inverse of :func:`run_row`; a row without its scorecard gives a record without it."""
    card = row.get("scorecard")
    return RunRecord(
        **{
            **row,
            "suites": json.loads(row["suites"]),
            "versions": json.loads(row["versions"]),
            "status": RunStatus(row["status"]),
            "scorecard": None if card is None else json.loads(card),
        }
    )


def trial_row(run_id: str, trial: Trial) -> dict[str, Any]:
    """Row of a trial."""
    return {"run_id": run_id, **trial.to_row()}


def trial_of_row(row: Mapping[str, Any]) -> Trial:
    """Inverse of :func:`trial_row`."""
    return Trial.from_row(row)


def verdict_row(run_id: str, found: BaseVerdict) -> dict[str, Any]:
    """Row of a verdict on an untouched batch; messages are left out."""
    return {
        "run_id": run_id,
        "batch": found.batch,
        "again": found.again,
        "validator": found.verdict.validator,
        "source_digest": found.source_digest,
        "verdict": text_of(verdict_to_json(found.verdict)),
    }


def verdict_of_row(row: Mapping[str, Any]) -> BaseVerdict:
    """Inverse of :func:`verdict_row`."""
    return BaseVerdict(
        batch=row["batch"],
        source_digest=row["source_digest"],
        again=row["again"],
        verdict=verdict_from_json(json.loads(row["verdict"])),
    )


def rate_row(point: RatePoint) -> dict[str, Any]:
    """Row of a run's rates; when it started and its revision stand with the run."""
    return {name: getattr(point, name) for name in sorted(_OF_RATE - {"started", "revision"})}


def rate_of_row(row: Mapping[str, Any]) -> RatePoint:
    """Rates out of the view over time."""
    return RatePoint(**{k: v for k, v in row.items() if k in _OF_RATE})


def weakness_of_row(row: Mapping[str, Any]) -> WeaknessRow:
    """A weakness out of one of the views."""
    nested = {name: json.loads(row[name]) for name in ("columns", "placement", "params")}
    plain = {f.name: row[f.name] for f in fields(WeaknessRow)}
    return WeaknessRow(**plain | nested | {"columns": tuple(nested["columns"])})
