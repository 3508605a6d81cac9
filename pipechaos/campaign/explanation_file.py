"""Explanations of survivors as a file beside the trials, so that a report can be written again without the data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipechaos.batch.textfile import write_text
from pipechaos.campaign.explain import Example
from pipechaos.campaign.explanation import Dose, Explanation, NearMiss, Sketch, Suggestion
from pipechaos.errors import BatchError
from pipechaos.score.records import jsonable

__all__ = ["EXPLANATIONS", "read_explanations", "write_explanations"]

EXPLANATIONS = "explanations.json"


def write_explanations(explanations: Mapping[str, Explanation], path: str | Path) -> None:
    """Write explanations by the id of their trial, through a temporary name."""
    found = [jsonable(e) for _, e in sorted(explanations.items())]
    write_text(path, json.dumps({"schema": "pipechaos.explanations/1", "explanations": found}, indent=1) + "\n")


def read_explanations(path: str | Path) -> dict[str, Explanation]:
    """Read what :func:`write_explanations` wrote; nothing where there is no such file.

    Raises
    ------
    BatchError
        The file holds something else.
    """
    file = Path(path)
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        found = [_explanation(e) for e in data["explanations"]]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise BatchError(f"{file} holds no explanations of ours: {exc}; delete it to score without them") from None
    return {e.trial_id: e for e in found}


def _explanation(data: Mapping[str, Any]) -> Explanation:
    example, suggestion = data["example"], data["suggestion"]
    return Explanation(
        trial_id=data["trial_id"],
        example=None if example is None else _example(example),
        sketches=tuple(Sketch(**_tuples(s)) for s in data["sketches"]),
        near=tuple(NearMiss(**_numbers(n)) for n in data["near"]),
        doses=tuple(Dose(**_tuples(d)) for d in data["doses"]),
        suggestion=None if suggestion is None else Suggestion(**suggestion),
    )


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}


def _numbers(data: Mapping[str, Any]) -> dict[str, Any]:
    return {k: math.nan if v is None else v for k, v in data.items()}


def _example(data: Mapping[str, Any]) -> Example:
    def rows(name: str) -> tuple[tuple[str, ...] | None, ...]:
        return tuple(None if r is None else tuple(r) for r in data[name])

    return Example(columns=tuple(data["columns"]), before=rows("before"), after=rows("after"), note=data["note"])
