"""Distribution functions at fifty digits, in the middle and far in the tails."""

from fractions import Fraction as Exact

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.distributions import normal_cdf, trunc_normal_cdf, uniform_cdf

U = 2.0**-53
sizes = st.integers(-400, 400).map(lambda n: n / 8)


def far(z: float) -> float:
    """By how much erfc multiplies the relative error of what it is given: at most by 1 + z^2."""
    return 1 + z * z


@given(x=sizes, a=sizes, width=st.integers(1, 100).map(lambda n: n / 8))
def test_uniform_is_the_quotient_of_lengths(x, a, width):
    got = Exact(float(uniform_cdf(np.array(x), a, a + width)))
    exact = min(Exact(1), max(Exact(0), (Exact(x) - Exact(a)) / Exact(width)))
    assert abs(got - exact) <= Exact(U) * exact


@given(
    z=st.integers(-290, 290).map(lambda n: n / 8), mean=sizes, std=st.sampled_from((1.0, 0.25, 8.0))
)
def test_normal_is_the_integral_at_fifty_digits(z, mean, std):
    """x, mean and std are dyadic, so that z is exact; its product with 1 / sqrt(2) is off by 2u."""
    got = float(normal_cdf(np.array(mean + z * std), mean, std))
    with mpmath.workdps(50):
        exact = mpmath.ncdf(z)
        assert abs(got - exact) <= (2 * far(z) + 4) * U * exact


@given(
    start=st.integers(-290, 280).map(lambda n: n / 8),
    width=st.sampled_from((0.125, 0.5, 2.0)),
    at=st.sampled_from((0.0, 0.25, 0.5, 0.75, 1.0)),
    mean=sizes,
)
def test_truncated_normal_is_the_quotient_of_integrals(start, width, at, mean):
    """Four values of the distribution function, two above and two below, each off as in a tail.

    The largest of them is no more than 40 times the divisor: over a width of 1/8 the density of
    0.2 and more, one std to the left of the mean, makes 1/40 of 1; and further out F is smaller.
    """
    a, b = mean + start, mean + start + width
    x = a + at * width
    got = float(trunc_normal_cdf(np.array(x), mean, 1.0, a, b))
    with mpmath.workdps(400):
        low, high, here = (mpmath.ncdf(end - mean) for end in (a, b, x))
        exact = (here - low) / (high - low)
        assert abs(got - exact) <= 4 * 40 * (2 * far(max(abs(start), abs(start + width))) + 4) * U


def test_numbers_without_spread_are_all_the_same():
    x = np.array([0.9, 1.0, 1.1])
    assert uniform_cdf(x, 1.0, 1.0).tolist() == [0, 1, 1]
    assert normal_cdf(x, 1.0, 0.0).tolist() == [0, 1, 1]


@pytest.mark.parametrize("ends", [(1.0, 0.0), (float("nan"), 1.0)])
def test_ends_in_the_wrong_order_are_refused(ends):
    with pytest.raises(ValueError, match="a must be at most b"):
        uniform_cdf(np.zeros(1), *ends)


def test_a_spread_below_0_is_refused():
    with pytest.raises(ValueError, match="std must be at least 0"):
        normal_cdf(np.zeros(1), 0.0, -1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((0.0, 0.0, 1.0, 2.0), "std must be above 0"),
        ((0.0, 1.0, 2.0, 2.0), "a below b"),
        ((0.0, 1.0, 40.0, 41.0), "have probability 0"),
    ],
)
def test_truncations_that_leave_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        trunc_normal_cdf(np.zeros(1), *options)
