"""Verdicts as JSON files, for tasks that hand them on by name."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipechaos.errors import BatchError
from pipechaos.validate.verdict import Finding, FindingKind, Subject, Verdict, VerdictStatus

__all__ = ["read_verdict", "verdict_from_json", "verdict_to_json", "write_verdict"]

SCHEMA = "pipechaos.verdict/1"


def verdict_to_json(verdict: Verdict, *, values: bool = False) -> dict[str, Any]:
    """Plain JSON value of a verdict; messages may quote data and are left out unless ``values`` is set."""
    return {
        "schema": SCHEMA,
        "validator": verdict.validator,
        "status": verdict.status.value,
        "findings": [
            {
                "check": f.check,
                "columns": list(f.columns),
                "kind": f.kind.value,
                "subject": f.subject.value,
                "rows": None if f.rows is None else f.rows.tolist(),
                "message": f.message if values else "",
            }
            for f in verdict.findings
        ],
        "checks_declared": verdict.checks_declared,
        "checks_ran": verdict.checks_ran,
        "ordered_digest": verdict.ordered_digest,
        "multiset_digest": verdict.multiset_digest,
        "seconds": verdict.seconds,
    }


def verdict_from_json(data: Mapping[str, Any]) -> Verdict:
    """Inverse of :func:`verdict_to_json`."""
    findings = tuple(
        Finding(
            check=f["check"],
            columns=tuple(f["columns"]),
            kind=FindingKind(f["kind"]),
            subject=Subject(f["subject"]),
            rows=None if f["rows"] is None else np.asarray(f["rows"], np.int64),
            message=f["message"],
        )
        for f in data["findings"]
    )
    plain = {
        k: data[k]
        for k in ("validator", "checks_declared", "checks_ran", "ordered_digest", "multiset_digest", "seconds")
    }
    return Verdict(status=VerdictStatus(data["status"]), findings=findings, **plain)


def write_verdict(verdict: Verdict, path: str | Path, *, values: bool = False) -> str:
    """Write a verdict through a temporary name; returns the path."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(verdict_to_json(verdict, values=values), file, allow_nan=False)
    Path(name).replace(target)
    return str(target)


def read_verdict(path: str | Path) -> Verdict:
    """Read what :func:`write_verdict` wrote.

    Raises
    ------
    BatchError
        The file is missing or is no verdict.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        if data.get("schema") != SCHEMA:
            raise BatchError(f"{path} is no verdict ({SCHEMA}); its schema is {data.get('schema')!r}")
        return verdict_from_json(data)
    except (OSError, ValueError, KeyError, AttributeError) as exc:
        raise BatchError(f"{path} cannot be read as a verdict: {exc}") from None
