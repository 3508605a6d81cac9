"""Everything that a report in any format is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipechaos.campaign.explanation import Explanation
from pipechaos.report.content import Content
from pipechaos.score.baseline import BaselineResult
from pipechaos.score.records import Trial
from pipechaos.score.scorecard import Scorecard
from pipechaos.store.records import RatePoint

__all__ = ["Location", "Report"]


@dataclass(frozen=True, kw_only=True)
class Location:
    """A place in the team's own source files.

    Attributes
    ----------
    file
        Path relative to where the command runs, with forward slashes.
    line
        From 1.
    """

    file: str
    line: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is known when a report is written.

    Attributes
    ----------
    card
        The scorecard.
    content
        The same in words, free of control characters; no text is markup.
    trials
        All of the run.
    run_id
        Of the run; empty where no store keeps it.
    explanations
        By the id of a missed trial.
    trend
        Rates of past runs of the same experiment, oldest first.
    baseline
        What was accepted, and what is new; None without a baseline.
    locations
        Where a validator's checks on a column stand: (validator, column) -> place; column "" is the suite itself.
    values
        Whether data values may be shown.
    """

    card: Scorecard
    content: Content
    trials: tuple[Trial, ...]
    run_id: str = ""
    explanations: Mapping[str, Explanation] = field(default_factory=dict)
    trend: tuple[RatePoint, ...] = ()
    baseline: BaselineResult | None = None
    locations: Mapping[tuple[str, str], Location] = field(default_factory=dict)
    values: bool = True
