"""ReLU, its threshold and Softplus: element by element, exactly and at fifty digits."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.relu import relu, relu_backward, threshold, threshold_backward
from reference.softplus import softplus, softplus_backward
from tests.references.proofs import DIGITS, within

anything = st.floats()
betas = st.sampled_from((1.0, 0.5, 3.0, 0.1, -1.0))


def same(a: float, b: float) -> bool:
    """The same number, to the sign of a zero; or NaN both."""
    return (math.isnan(a) and math.isnan(b)) or (
        a == b and math.copysign(1, a) == math.copysign(1, b)
    )


@given(x=anything, g=anything, bend=st.floats(allow_nan=False), value=anything)
def test_relu_and_threshold_pass_or_replace(x, g, bend, value):
    """By Python's own comparisons, in which NaN is below nothing."""
    xs, gs = np.array([x]), np.array([g])
    assert same(relu(xs)[0], 0.0 if x < 0 else x)
    assert same(relu_backward(gs, xs)[0], 0.0 if x <= 0 else g)
    assert same(threshold(xs, bend, value)[0], value if x <= bend else x)
    assert same(threshold_backward(gs, xs, bend)[0], 0.0 if x <= bend else g)


@given(x=st.floats(-200, 200), beta=betas, bend=st.sampled_from((20.0, 1.0, -2.0, math.inf)))
def test_softplus_is_the_formula_at_fifty_digits(x, beta, bend):
    """beta x is rounded, which moves the logarithm by |beta x| times its slope, at most.

    The exponential, the logarithm and the quotient are rounded fewer than eight times.
    """
    y = softplus(np.array([x]), beta, bend)[0]
    if beta * x > bend:
        assert y == x
        return
    with mpmath.workdps(DIGITS):
        power = mpmath.exp(mpmath.mpf(beta) * x)
        exact = mpmath.log1p(power) / beta
        slope = power / (1 + power)
        within(y, exact, 8, abs(exact) + abs(x) * slope)
        back = softplus_backward(np.array([1.0]), np.array([x]), beta, bend)[0]
        within(back, slope, 8, slope * (1 + abs(beta * x) * (1 - slope)))


@given(x=st.floats(-700, 700), beta=betas)
def test_softplus_is_odd_but_for_the_identity(x, beta):
    """log(1 + e^z) - log(1 + e^-z) = z: to the half ulp of each of its eight roundings."""
    there, back = softplus(np.array([x, -x]), beta, threshold=np.inf)
    assert abs(there - back - x) <= 8 * 2.0**-53 * (abs(there) + abs(back) + abs(x))


@pytest.mark.parametrize("beta", [0.0, math.nan])
def test_a_beta_of_0_is_refused(beta):
    with pytest.raises(ValueError, match=f"beta must not be 0, got {beta}"):
        softplus(np.ones(1), beta)
