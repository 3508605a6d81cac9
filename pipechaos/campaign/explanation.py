"""Why a fault got through, as records: rows, a sketch of the distribution, near misses, doses, a suggestion."""

from __future__ import annotations

from dataclasses import dataclass

from pipechaos.campaign.explain import Example

__all__ = ["Dose", "Explanation", "NearMiss", "Sketch", "Suggestion"]


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """A column before and after, in a few bins: enough for a small picture, and for a line of text.

    Attributes
    ----------
    column
        Name.
    labels
        Of the bins, in order: ranges of numbers or times, or the most frequent values (with "(others)"). Without data
        values (``--no-values``) they are ordinals such as ``"bin 1"``.
    before, after
        Shares of the rows in each bin, each with nulls in the denominator.
    null_before, null_after
        Shares of nulls.
    summary
        One line: mean, spread, null share, number of values, before and after.
    """

    column: str
    labels: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    null_before: float
    null_after: float
    summary: str


@dataclass(frozen=True, kw_only=True)
class NearMiss:
    """A check that looked at a broken column and did not fail, and how near it was.

    Attributes
    ----------
    validator, check, column
        Which one.
    statistic
        What it limits, such as ``"minimum"``, ``"null share"``, ``"row count"``.
    limit, observed, untouched
        Its limit, the statistic on the broken batch and on the untouched one, in the column's unit.
    used
        Share of the room between untouched value and limit that the fault used up: 0 none, 1 it would just have failed;
        NaN where there was no room to begin with.
    """

    validator: str
    check: str
    column: str
    statistic: str
    limit: float
    observed: float
    untouched: float
    used: float


@dataclass(frozen=True, kw_only=True)
class Dose:
    """A rung of the fault's ladder tried on the same batch, or a smaller set of its columns.

    Attributes
    ----------
    severity, columns
        What was tried.
    missed
        Whether it got past the validator.
    """

    severity: int
    columns: tuple[str, ...]
    missed: bool


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A check that would have caught it: a suggestion by rule, never applied by itself.

    Attributes
    ----------
    text
        In words, with the rule and the numbers it comes from.
    code
        For the validator's own kind: a pandera Check, a GX expectation as JSON; empty where there is no obvious form.
    """

    text: str
    code: str = ""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Everything known about one missed trial.

    Attributes
    ----------
    trial_id
        Which one.
    example
        Rows before and after; None where values are kept out.
    sketches
        Of each column that changed.
    near
        Nearest first.
    doses
        Rungs and column sets tried, the smallest first; empty where nobody searched.
    suggestion
        None unless one is obvious.
    """

    trial_id: str
    example: Example | None = None
    sketches: tuple[Sketch, ...] = ()
    near: tuple[NearMiss, ...] = ()
    doses: tuple[Dose, ...] = ()
    suggestion: Suggestion | None = None
