"""The intervals hold what they promise: coverage on simulated batches (SCORING.md section 4)."""

import itertools

import numpy as np
import pytest

from pipechaos.score.intervals import clopper_pearson, cluster_variance, effective_n, korn_graubard

RUNS = 4000
P = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5)
ICC = (0.0, 0.05, 0.1, 0.2)
SHAPES = ((20, 5), (20, 30), (40, 7), (30, 60), (100, 3))


def misses(rng, p, icc, clusters, each):
    """Misses per cluster, shape (runs, clusters): beta-binomial, so trials of one batch hang together."""
    share = np.full((RUNS, clusters), p)
    if icc:
        strength = (1 - icc) / icc
        share = rng.beta(p * strength, (1 - p) * strength, (RUNS, clusters))
    return rng.binomial(each, share)


def interval(missed, each, rho):
    clusters = missed.shape[1]
    n = clusters * each
    p = missed.sum(axis=1) / n
    variance = cluster_variance(missed - p[:, None] * each, n)
    worth = effective_n(p, variance, n=n, clusters=clusters, level=0.95, rho=rho)
    return clopper_pearson(np.minimum(p * worth, worth), worth, 0.95)


def coverage(seed, p, icc, clusters, each, rho=0.2):
    low, high = interval(misses(np.random.default_rng(seed), p, icc, clusters, each), each, rho)
    return float(np.mean((low <= p) & (p <= high)))


@pytest.mark.parametrize(("clusters", "each"), SHAPES)
def test_nominal_95_covers_at_least_93(clusters, each):
    found = {(p, icc): coverage(17, p, icc, clusters, each) for p, icc in itertools.product(P, ICC)}
    assert min(found.values()) >= 0.93, found


def test_the_promise_can_be_broken():
    assert coverage(17, 0.05, 0.2, 20, 30, rho=0) < 0.93
    missed = misses(np.random.default_rng(17), 0.1, 0.2, 30, 60)
    low, high = clopper_pearson(missed.sum(axis=1), 30 * 60)
    assert np.mean((low <= 0.1) & (high >= 0.1)) < 0.6  # what a plain interval makes of 60 trials a batch


def test_many_at_once_is_one_at_a_time():
    missed = misses(np.random.default_rng(3), 0.1, 0.1, 20, 6)[:25]
    low, high = interval(missed, 6, 0.2)
    for at, row in enumerate(missed):
        y = [int(i < m) for m in row for i in range(6)]
        one = korn_graubard(y, [1.0] * 120, np.repeat(np.arange(20), 6).tolist())
        assert (one.low, one.high) == pytest.approx((low[at], high[at]), rel=1e-9)
