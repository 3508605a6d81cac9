"""Honest intervals for proportions: Clopper-Pearson, and Korn-Graubard where trials come in clusters.

Formulas: Clopper and Pearson, Biometrika 26 (1934) 404-413, through quantiles of the beta distribution, which take a
real n; Korn and Graubard, Survey Methodology 24 (1998) 193-201, with the effective sample size capped by an assumed
smallest correlation within a cluster (SCORING.md section 4). All functions of arrays broadcast.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipechaos.errors import ConfigError

__all__ = [
    "ClusteredInterval",
    "clopper_pearson",
    "cluster_variance",
    "effective_n",
    "korn_graubard",
    "most_effective_n",
]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ClusteredInterval:
    """A weighted proportion over clusters and its two-sided interval.

    Attributes
    ----------
    estimate, low, high
        NaN when undefined.
    effective_n
        Independent trials it is worth.
    variance
        Of the estimate, between clusters.
    trials, clusters
        Counts.
    reason
        Why something is undefined; None otherwise.
    """

    estimate: float
    low: float
    high: float
    effective_n: float
    variance: float
    trials: int
    clusters: int
    reason: str | None = None


def clopper_pearson(x: npt.ArrayLike, n: npt.ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Two-sided exact interval for x of n; both may be real and broadcast.

    Parameters
    ----------
    x
        Hits, 0 <= x <= n.
    n
        Trials, n > 0.
    level
        Coverage of the interval; the ends at 0.90 are one-sided 95 % bounds.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper ends; 0 at x = 0 and 1 at x = n.

    Examples
    --------
    >>> low, high = clopper_pearson(0, 59)
    >>> float(low), round(float(high), 6)
    (0.0, 0.060609)
    """
    from scipy.special import betaincinv

    hits, trials = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(n, np.float64))
    if np.any((hits < 0) | (hits > trials) | (trials <= 0)):
        raise ConfigError("an interval needs 0 <= hits <= trials and at least one trial")
    tail = (1 - level) / 2
    misses = trials - hits
    none, all_ = hits <= 0, misses <= 0
    low = np.where(none, 0.0, betaincinv(np.where(none, 1, hits), misses + 1, tail))
    high = np.where(all_, 1.0, betaincinv(hits + 1, np.where(all_, 1, misses), 1 - tail))
    return low, high


def most_effective_n(n: npt.ArrayLike, clusters: npt.ArrayLike, rho: float) -> Floats:
    """Independent trials that n trials in so many clusters are worth at most, at a correlation of rho within each.

    Examples
    --------
    >>> round(float(most_effective_n(60, 3, 0.2)), 6)
    12.5
    """
    trials, c = np.asarray(n, np.float64), np.asarray(clusters, np.float64)
    return np.asarray(trials / (1 + rho * (trials / c - 1)))


def cluster_variance(residuals: npt.ArrayLike, weight: npt.ArrayLike) -> Floats:
    """Variance of a weighted mean from the sums of w (y - p) in each cluster.

    Parameters
    ----------
    residuals
        Shape (..., clusters).
    weight
        Sum of all weights, shape (...).
    """
    sums = np.asarray(residuals, np.float64)
    c = sums.shape[-1]
    return np.asarray(c / (c - 1) * np.sum(sums**2, axis=-1) / np.asarray(weight, np.float64) ** 2)


def effective_n(
    p: npt.ArrayLike, variance: npt.ArrayLike, *, n: npt.ArrayLike, clusters: int, level: float, rho: float
) -> Floats:
    """Effective sample size of Korn and Graubard, capped by the smallest correlation that is assumed.

    Parameters
    ----------
    p, variance
        Estimate and its variance between clusters.
    n, clusters
        Counts; clusters >= 2.
    level
        Of the two-sided interval wanted: both t quantiles stand at 1 - (1 - level) / 2.
    rho
        Smallest correlation within a cluster; 0 leaves the formula as it is in the survey literature.
    """
    from scipy.special import stdtrit

    at = 1 - (1 - level) / 2
    estimate, spread = np.asarray(p, np.float64), np.asarray(variance, np.float64)
    trials = np.asarray(n, np.float64)
    flat = (estimate <= 0) | (estimate >= 1) | (spread <= 0)
    # n = 1 has no t quantile, but it has no two clusters either
    scale = (stdtrit(np.maximum(trials - 1, 1), at) / stdtrit(clusters - 1, at)) ** 2
    found = estimate * (1 - estimate) / np.where(flat, 1.0, spread) * scale
    most = most_effective_n(trials, clusters, rho)
    if rho == 0:
        return np.where(flat, most, found)
    return np.where(flat, most, np.minimum(found, most))


def korn_graubard(
    y: Sequence[bool | int | float],
    weights: Sequence[float],
    clusters: Sequence[Hashable],
    level: float = 0.95,
    rho: float = 0.2,
) -> ClusteredInterval:
    """Weighted proportion of y over clusters, with an interval that takes the clusters into account.

    Parameters
    ----------
    y
        0 or 1 for each trial.
    weights
        Positive, one for each trial.
    clusters
        Cluster of each trial.
    level
        Coverage of the two-sided interval; 0.90 gives one-sided 95 % bounds.
    rho
        Smallest correlation within a cluster that is assumed.

    Returns
    -------
    ClusteredInterval
        The same bits for any order of the trials.

    Examples
    --------
    >>> found = korn_graubard([0] * 275, [1] * 275, [day // 7 for day in range(275)], level=0.90)
    >>> found.clusters, round(found.high, 4)
    (40, 0.0234)
    """
    if not len(y) == len(weights) == len(clusters):
        raise ConfigError(f"{len(y)} values, {len(weights)} weights and {len(clusters)} clusters: give one of each")
    if any(w <= 0 for w in weights):
        raise ConfigError("every weight must be positive")
    n = len(y)
    nan = math.nan
    if n == 0:
        return ClusteredInterval(
            estimate=nan, low=nan, high=nan, effective_n=nan, variance=nan, trials=0, clusters=0, reason="no trials"
        )
    total = math.fsum(weights)
    p = 1.0 if all(y) else math.fsum(w * v for w, v in zip(weights, y, strict=True)) / total
    groups: dict[Hashable, list[float]] = {}
    for value, weight, cluster in zip(y, weights, clusters, strict=True):
        groups.setdefault(cluster, []).append(weight * (value - p))
    c = len(groups)
    if c < 2:
        return ClusteredInterval(
            estimate=p,
            low=nan,
            high=nan,
            effective_n=nan,
            variance=nan,
            trials=n,
            clusters=c,
            reason="fewer than 2 clusters: nothing shows how much batches differ",
        )
    # fsum rounds once, so the order of trials and clusters cannot show
    variance = c / (c - 1) * math.fsum(math.fsum(g) ** 2 for g in groups.values()) / total**2
    worth = float(effective_n(p, variance, n=n, clusters=c, level=level, rho=rho))
    low, high = clopper_pearson(min(worth * p, worth), worth, level)
    return ClusteredInterval(
        estimate=p, low=float(low), high=float(high), effective_n=worth, variance=variance, trials=n, clusters=c
    )
