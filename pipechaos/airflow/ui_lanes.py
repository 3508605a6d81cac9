"""What the UI shows of lanes, as plain functions: no Airflow and no web server in here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipechaos.airflow.lane_scores import in_words
from pipechaos.score.records import Outcome

__all__ = ["LaneLine", "LaneTable", "lanes_in"]


@dataclass(frozen=True, kw_only=True)
class LaneLine:
    """One validator on one corrupted copy of a lane.

    Attributes
    ----------
    validator, fault, columns, changed
        Who judged what, and how many cells were changed.
    outcome, missed
        In words; whether it is a miss.
    how
        What that was told from.
    """

    validator: str
    fault: str
    columns: str
    changed: int
    outcome: str
    missed: bool
    how: str


@dataclass(frozen=True, kw_only=True)
class LaneTable:
    """The score of one lane.

    Attributes
    ----------
    name
        Of its task group.
    about
        How many were missed, and whether an untouched copy was rejected; or why nothing is scored.
    lines
        One for each validator and injection.
    """

    name: str
    about: str
    lines: tuple[LaneLine, ...]


def lanes_in(results: Iterable[tuple[str, Any]]) -> tuple[LaneTable, ...]:
    """Scores of lanes among what the tasks of a DAG run returned.

    Parameters
    ----------
    results
        Task id and result. What is no score of a lane is left out.
    """
    ours = {"outcomes", "controls", "counts", "reason"}
    found = [(t, r) for t, r in results if t.endswith(".score") and isinstance(r, Mapping) and ours <= set(r)]
    return tuple(_lane(task.removesuffix(".score"), result) for task, result in sorted(found, key=lambda f: f[0]))


def _lane(name: str, result: Mapping[str, Any]) -> LaneTable:
    judged = [o for o in result["outcomes"] if o["outcome"] in (Outcome.TP, Outcome.FN)]
    missed = sum(o["outcome"] == Outcome.FN for o in judged)
    alarms = [c["validator"] for c in result["controls"] if c["outcome"] == Outcome.FP]
    about = f"{missed} of {len(judged)} corrupted copies that were judged were missed"
    about += f"; the untouched copy was rejected by {', '.join(alarms)}" if alarms else ""
    return LaneTable(
        name=name,
        about=f"Nothing is scored: {result['reason']}" if result["reason"] else f"{about}.",
        lines=tuple(
            LaneLine(
                validator=o["validator"],
                fault=o["fault"],
                columns=", ".join(o["columns"]),
                changed=o["changed"],
                outcome=in_words(o["outcome"]),
                missed=o["outcome"] == Outcome.FN,
                how=o["how"],
            )
            for o in result["outcomes"]
        ),
    )
