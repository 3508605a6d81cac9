"""The exact sign-flip test against enumeration of every sign pattern, and against the binomial test it generalises."""

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pipechaos.score.sign_flip import sign_flip

DIFFERENCES = st.lists(st.integers(-6, 6), max_size=10)


def by_enumeration(differences):
    """Every pattern of signs, one by one, zeros among them."""
    seen = sum(differences)
    sums = [
        sum(s * abs(d) for s, d in zip(signs, differences, strict=True))
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    n = len(sums)
    return (
        Fraction(sum(abs(t) >= abs(seen) for t in sums), n),
        Fraction(sum(t <= seen for t in sums), n),
        Fraction(sum(t >= seen for t in sums), n),
        Fraction(sum(abs(t) == max(sums) for t in sums), n),
    )


@given(DIFFERENCES.filter(any))
def test_every_p_is_the_share_of_sign_patterns(differences):
    found = sign_flip(differences)
    assert (found.p, found.p_loss, found.p_gain, found.smallest_p) == tuple(map(float, by_enumeration(differences)))
    assert found.total == sum(differences)
    assert found.clusters == len([d for d in differences if d])


@given(wins=st.integers(0, 60), losses=st.integers(0, 60))
def test_one_discordant_trial_a_batch_is_the_exact_mcnemar_test(wins, losses):
    found = sign_flip([1] * wins + [-1] * losses)
    if wins + losses == 0:
        assert math.isnan(found.p)
        return
    n = wins + losses
    assert found.p == pytest.approx(binomtest(wins, n, 0.5).pvalue, rel=1e-9)
    assert found.p_loss == pytest.approx(binomtest(wins, n, 0.5, alternative="less").pvalue, rel=1e-9)
    assert found.p_gain == pytest.approx(binomtest(wins, n, 0.5, alternative="greater").pvalue, rel=1e-9)


@given(DIFFERENCES, st.randoms(use_true_random=False))
def test_order_and_batches_without_a_direction_say_nothing(differences, random):
    shuffled = [*differences, 0, 0]
    random.shuffle(shuffled)
    assert repr(sign_flip(shuffled)) == repr(sign_flip(differences))


@given(DIFFERENCES.filter(any))
def test_swapping_the_versions_swaps_the_sides(differences):
    one, other = sign_flip(differences), sign_flip([-d for d in differences])
    assert (one.p, one.p_loss, one.p_gain) == (other.p, other.p_gain, other.p_loss)


def test_ten_losses_on_one_batch_are_one_loss():
    assert sign_flip([-10]).p == 1.0
    assert sign_flip([-10]).p_loss == 0.5
    assert sign_flip([-1] * 10).p == 2 / 1024


def test_no_direction_is_undefined_with_a_reason():
    found = sign_flip([0, 0])
    assert math.isnan(found.p)
    assert found.reason is not None


def test_thousands_of_clusters_keep_exact_numbers():
    found = sign_flip([-1] * 2000)
    assert found.p_gain == 1.0
    assert found.p == 0.0  # 2 / 2**2000 is below the smallest float
    even = sign_flip([1, -1] * 600)
    assert even.p == 1.0
    assert even.p_loss == float(Fraction(1, 2) + Fraction(math.comb(1200, 600), 2**1201))
