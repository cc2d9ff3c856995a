"""How a reference is proved: against exact arithmetic, and against its own complex step.

**Forward.** `within` holds a result against the exact one, rational or of fifty digits. What
float64 loses is counted: k roundings move a sum by at most k * 2^-53 times the sum of the absolute
terms.

**Backward.** f(x + ih) = f(x) + ih f'(x) + O(h^2): with h = 1e-30 the imaginary part over h is the
derivative, with no subtraction in it, so both sides are right to their own rounding. Each is a sum
of fewer than 100 terms here, and each term is rounded fewer than 10 times; so with gamma_110 on
either side they agree within 220 * 2^-53 times the sum of the absolute terms. That sum is below 40
times (1 + the largest derivative), as inputs and cotangents are normal numbers, or three times
such. And 220 * 40 * 2^-53 is below 1e-12.
"""

from collections.abc import Callable
from fractions import Fraction as Exact
from typing import Any

import mpmath
import numpy as np
from hypothesis import strategies as st

AGREEMENT = 1e-12
STEP = 1e-30
DIGITS = 50

numbers = st.integers(-64, 64).map(lambda n: n / 8)
"""Whose sums and products are exact in float64, so that few roundings are left to count."""


def within(got: Any, exact: Any, roundings: float, terms: Any = None) -> None:
    """Assert that a number is the exact one, but for so many roundings of the sum of its terms.

    Args:
        got: in float64.
        exact: a fraction, or a number of mpmath.
        roundings: k.
        terms: the sum of the absolute terms; |exact| if there is one, or all have one sign.
    """
    with mpmath.workdps(DIGITS):
        lost = abs(mpmath.mpf(float(got)) - exact)
        allowed = mpmath.mpf(roundings) * (abs(exact) if terms is None else terms) / 2**53
        assert lost <= allowed, f"{float(got)!r} is {lost} off, and may be {allowed}"


def exactly(*numbers: Any) -> tuple[Exact, ...]:
    return tuple(map(Exact, map(float, numbers)))


@st.composite
def normals(draw: st.DrawFn, *shape: int) -> np.ndarray:
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))).standard_normal(shape)


def complex_step(
    forward: Callable[[np.ndarray], np.ndarray], x: np.ndarray, cotangent: np.ndarray
) -> np.ndarray:
    """The gradient of sum(cotangent * forward(x)) with respect to x, one element at a time."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        nudged = x.astype(complex)
        nudged[index] += 1j * STEP
        gradient[index] = np.sum(cotangent * forward(nudged).imag) / STEP
    return gradient


def agree(ours: np.ndarray, derivative: np.ndarray) -> None:
    assert ours.shape == derivative.shape
    scale = 1 + np.abs(derivative).max(initial=0.0)
    assert np.abs(ours - derivative).max(initial=0.0) <= AGREEMENT * scale
