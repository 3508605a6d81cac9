"""Numbers as a report prints them: formatted here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipechaos.score.records import Rate

__all__ = ["RateText", "amount", "over_batches", "over_blocks", "percent", "plural", "short_number"]


@dataclass(frozen=True, kw_only=True)
class RateText:
    """A rate in words, never without its counts.

    Attributes
    ----------
    estimate
        Such as ``"28.3 %"``, or ``"n/a"``.
    interval
        Such as ``"(20.6-37.1)"``, or the reason why it is undefined, in brackets.
    hits
        Such as ``"150 of 566 trials"``.
    clusters
        Such as ``"30 batches"``.
    few
        Fewer than 10 clusters: no gate decides on it.
    share
        The estimate as a number for shading; None when undefined.
    """

    estimate: str
    interval: str
    hits: str
    clusters: str
    few: bool
    share: float | None

    @property
    def text(self) -> str:
        """Rate and interval in one line."""
        return f"{self.estimate} {self.interval}"

    @property
    def line(self) -> str:
        """All of it in one line."""
        return f"{self.text}, {self.counts}"

    @property
    def bare_hits(self) -> str:
        """Counts without their noun, where a heading says it."""
        return self.hits.rpartition(" ")[0]

    @property
    def counts(self) -> str:
        """Counts and clusters in one line."""
        return f"{self.hits}, {self.clusters}{' (few)' if self.few else ''}"


def percent(share: float) -> str:
    """A share in percent; what is neither 0 nor 1 is not printed as if it were.

    Examples
    --------
    >>> percent(0.2828), percent(0.0), percent(0.0001), percent(0.9999)
    ('28.3 %', '0.0 %', '<0.1 %', '>99.9 %')
    """
    if math.isnan(share):
        return "n/a"
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %"


def plural(count: int, noun: str, many: str = "") -> str:
    """A count with its noun.

    Examples
    --------
    >>> plural(1, "batch", "batches"), plural(1500, "trial")
    ('1 batch', '1,500 trials')
    """
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def amount(value: object) -> str:
    """A parameter's value, without digits that say nothing.

    Examples
    --------
    >>> amount(2.0), amount(0.05), amount("all")
    ('2', '0.05', 'all')
    """
    return f"{value:g}" if isinstance(value, float) else str(value)


def short_number(text: str) -> str:
    """A long decimal number cut to six digits; any other text as it is.

    Examples
    --------
    >>> short_number("65.89991104521869"), short_number("N5EWAA")
    ('65.8999', 'N5EWAA')
    """
    whole, dot, part = text.partition(".")
    if len(text) <= 10 or not dot or not part.isdecimal() or not whole.lstrip("-").isdecimal():
        return text
    return f"{float(text):.6g}"


def over_batches(rate: Rate) -> RateText:
    """A rate over trials whose clusters are base batches."""
    return _text(rate, plural(rate.trials, "trial"), plural(rate.clusters, "batch", "batches"))


def over_blocks(rate: Rate) -> RateText:
    """A rate over untouched batches whose clusters are blocks of consecutive ones."""
    return _text(rate, plural(rate.trials, "batch", "batches"), plural(rate.clusters, "block"))


def _text(rate: Rate, of: str, clusters: str) -> RateText:
    undefined = math.isnan(rate.estimate)
    unbounded = math.isnan(rate.low) or math.isnan(rate.high)
    return RateText(
        estimate=percent(rate.estimate),
        interval=f"({rate.reason or 'undefined'})" if unbounded else f"({_ends((rate.low, rate.high))})",
        hits=f"{rate.hits:,} of {of}",
        clusters=clusters,
        few=rate.few_batches,
        share=None if undefined else rate.estimate,
    )


def _ends(ends: Sequence[float]) -> str:
    return "-".join(f"{100 * end:.1f}" for end in ends)
