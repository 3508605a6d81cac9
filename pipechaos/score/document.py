"""A scorecard as plain JSON values (the schema is described in ``docs/scorecard.md``)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipechaos.score.baseline import BaselineEntry, BaselineResult
from pipechaos.score.gates import GateResult
from pipechaos.score.rates import FaultRates
from pipechaos.score.records import Rate, jsonable
from pipechaos.score.survivors import Survivor
from pipechaos.score.truth import RowScores

if TYPE_CHECKING:
    from pipechaos.score.scorecard import Scorecard, ValidatorScore

__all__ = ["document"]


def document(card: Scorecard) -> dict[str, Any]:
    """Plain JSON value of a scorecard."""
    about = card.about
    return {
        "schema": "pipechaos.scorecard/1",
        "first": {
            "blind": list(card.blind),
            "paranoid": [v.name for v in card.validators if v.paranoid],
            "flaky": {v.name: list(v.flaky_batches) for v in card.validators if v.flaky_batches},
            "injection_errors": card.injection_errors,
            "stopped": about.stopped or None,
            "exit_code": int(card.exit_code),
        },
        "experiment": {"name": about.name, "digest": about.digest, "seed": about.seed},
        "versions": jsonable(about.versions),
        "settings": {"rho": about.rho, "block": about.block, "level": 0.95},
        "sample": jsonable(about.sample),
        "tried": jsonable(card.tried),
        "history": jsonable(about.history),
        "incidents": jsonable(about.incidents),
        "contract": jsonable(about.contract),
        "validators": [_validator(v) for v in card.validators],
        "stack": None if card.stack is None else _validator(card.stack),
        "gates": [_gate(g) for g in card.gates],
        "baseline": None if card.baseline is None else _baseline(card.baseline),
        "reproducible": {"same_bytes": not card.voids, "voided_by": list(card.voids)},
        "runtime": jsonable(card.runtime),
    }


def _validator(v: ValidatorScore) -> dict[str, Any]:
    c = v.controls
    info = v.info
    return {
        "name": v.name,
        "spec": None if info is None else info.spec,
        "suite_digest": None if info is None else info.suite_digest,
        "checks_declared": None if info is None else len(info.checks),
        "blind": v.blind,
        "paranoid": v.paranoid,
        "flaky_batches": list(v.flaky_batches),
        "outcomes": jsonable(v.outcomes),
        "faults": _faults(v.faults),
        "by": {by: {key: _faults(r) for key, r in found.items()} for by, found in v.by.items()},
        "natural": {
            "fpr": _rate(c.fpr),
            "fpr_reviewed": _rate(c.fpr_reviewed),
            "error": _rate(c.error),
            "true_alarms": c.true_alarms,
            "unreviewed": c.unreviewed,
            "flaky": c.flaky,
        },
        "benign": {
            "alarm": _rate(c.benign),
            "error": _rate(c.benign_error),
            "base_bad": c.benign_base_bad,
            "injection_errors": c.benign_injection_errors,
        },
        "survivors": [_survivor(s) for s in v.survivors],
        "subnatural_survivors": [_survivor(s) for s in v.subnatural],
        "floors": [
            jsonable(f) | {"detect": [{"severity": s, "rate": _rate(r)} for s, r in f.detect.items()]} for f in v.floors
        ],
        "rows": _rows(v.rows),
        "canaries": jsonable(v.canaries),
        "alarms": jsonable(v.alarms),
        "checks": [
            _explained(jsonable(s), {"false_alarm_share": s.false_alarm_share}, "no control was rejected")
            for s in v.checks
        ],
        "worth": None if v.worth is None else jsonable(v.worth) | {"dominator_fnr": _rate(v.worth.dominator_fnr)},
    }


def _faults(rates: FaultRates) -> dict[str, Any]:
    return {
        "fnr": _rate(rates.fnr),
        "strict_fnr": _rate(rates.strict_fnr),
        "escape": _rate(rates.escape),
        "error": _rate(rates.error),
        "counts": jsonable(rates.counts) | {"effective": rates.counts.effective},
        "weaknesses": rates.weaknesses,
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return rate.to_json()


def _survivor(s: Survivor) -> dict[str, Any]:
    plain: dict[str, Any] = jsonable(s)
    return plain | {"share": s.share}


def _rows(rows: RowScores) -> dict[str, Any]:
    shares = {"precision": rows.precision, "recall": rows.recall, "attribution_coverage": rows.coverage}
    plain: dict[str, Any] = jsonable(rows)
    return _explained(plain | jsonable(shares), shares, "no direct finding named rows")


def _explained(plain: dict[str, Any], values: Mapping[str, float], reason: str) -> dict[str, Any]:
    undefined = any(math.isnan(v) for v in values.values())
    return plain | {"reason": reason if undefined else None}


def _baseline(result: BaselineResult) -> dict[str, Any]:
    return {
        "file": result.file,
        "verdict": result.verdict.value,
        "reason": result.reason,
        "failed": result.failed,
        "entries": [_entry(e) for e in result.entries],
    }


def _entry(entry: BaselineEntry) -> dict[str, Any]:
    plain: dict[str, Any] = jsonable(entry)
    if entry.accepted is not None and entry.accepted.expires is not None:
        plain["accepted"]["expires"] = entry.accepted.expires.isoformat()
    return plain


def _gate(result: GateResult) -> dict[str, Any]:
    plain: dict[str, Any] = jsonable(result)
    return plain | {"rate": _rate(result.rate)}
