"""Exact conditional test on clustered, paired differences: each cluster's net sign may as well have been the other."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["SignFlip", "sign_flip"]


@dataclass(frozen=True, kw_only=True)
class SignFlip:
    """What the test said.

    Attributes
    ----------
    total
        Sum of the differences: below 0 where more was lost than won.
    clusters
        Clusters with a difference that is not 0; the others say nothing about a direction.
    p
        Two-sided: share of all sign patterns whose sum is at least as far from 0; NaN when no cluster differs.
    p_loss, p_gain
        One-sided: share of patterns whose sum is at most, or at least, what was seen.
    smallest_p
        The least that ``p`` can be with these clusters, ``2 / 2**clusters``: what this few data could ever show.
    reason
        Why ``p`` is undefined; None otherwise.
    """

    total: int = 0
    clusters: int = 0
    p: float = math.nan
    p_loss: float = math.nan
    p_gain: float = math.nan
    smallest_p: float = math.nan
    reason: str | None = None


def sign_flip(differences: Iterable[int]) -> SignFlip:
    """Exact sign-flip test of "no direction" on one net difference (wins - losses) a cluster.

    Trials on one batch are not independent, so whole clusters change sign, never single trials (the randomisation test
    of Fisher 1935, The Design of Experiments, section 21, on cluster totals). With one discordant trial in each cluster
    it is McNemar's exact test, that is the binomial test with a share of 1/2.

    Parameters
    ----------
    differences
        One whole number a cluster, in any order.

    Examples
    --------
    >>> sign_flip([-1, -1, -1, -1, -1, 1]).p
    0.21875
    >>> sign_flip([-3, -2, -1]).p, sign_flip([-3, -2, -1]).smallest_p
    (0.25, 0.25)
    """
    sizes = [int(d) for d in differences if d]
    if not sizes:
        return SignFlip(reason="no cluster differs in one direction")
    total, span, clusters = sum(sizes), sum(map(abs, sizes)), len(sizes)
    counts = _subset_sums([abs(d) for d in sizes])
    patterns = 2**clusters
    # a subset j of the sizes with a plus gives the sum 2 j - span
    far = sum(n for j, n in enumerate(counts) if abs(2 * j - span) >= abs(total))
    low = sum(n for j, n in enumerate(counts) if 2 * j - span <= total)
    high = sum(n for j, n in enumerate(counts) if 2 * j - span >= total)
    return SignFlip(
        total=total,
        clusters=clusters,
        p=far / patterns,
        p_loss=low / patterns,
        p_gain=high / patterns,
        smallest_p=min(1.0, 2 / patterns),
    )


def _subset_sums(sizes: list[int]) -> list[int]:
    """How many subsets have each sum: the product of ``1 + x**size``, its coefficients side by side in one integer."""
    width = len(sizes) + 1  # bits of the largest count, and one
    product = 1
    for size in sizes:
        product += product << (width * size)
    mask = (1 << width) - 1
    return [(product >> (width * j)) & mask for j in range(sum(sizes) + 1)]
