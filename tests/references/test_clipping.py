"""Gradient clipping by hand, in exact fractions and at fifty digits."""

from fractions import Fraction as Exact

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.clipping import (
    clip_grad_norm,
    clip_grad_value,
    clip_grads_with_norm,
    get_total_norm,
    vector_norm,
)
from tests.references.proofs import DIGITS, numbers, within

vectors = st.lists(numbers, min_size=1, max_size=6)
U = 2.0**-53


@given(vector=vectors, p=st.sampled_from((1.0, 2.0, 3.0, 3.5, 0.5, -1.0, -2.5)))
def test_norms_are_the_formula_at_fifty_digits(vector, p):
    """Six powers, their sum and its root, each to an ulp; and 1 / p, rounded, is an exponent.

    So S^(1/p) is off by 16u for the sum and the powers, divided by |p|, and by u |log S| / |p|
    for the exponent. S is at most 6 * 512^3.5 or as small; its logarithm is below 30.
    """
    got = vector_norm(np.array(vector), p)
    with mpmath.workdps(DIGITS):
        sizes = [abs(mpmath.mpf(x)) for x in vector]
        if p < 0 and 0 in sizes:
            exact = mpmath.mpf(0)
        else:
            exact = mpmath.fsum(x**p for x in sizes) ** (1 / mpmath.mpf(p))
        within(got, exact, (16 + 30) / abs(p) + 2)


@given(vector=vectors)
def test_limits_of_the_norm_are_largest_smallest_and_count(vector):
    x = np.array(vector)
    assert vector_norm(x, np.inf) == max(map(abs, vector))
    assert vector_norm(x, -np.inf) == min(map(abs, vector))
    assert vector_norm(x, 0.0) == sum(number != 0 for number in vector)


@given(vector=st.lists(numbers.filter(bool), min_size=1, max_size=6))
def test_the_limits_are_limits(vector):
    """|x|_inf <= |x|_p <= n^(1/p) |x|_inf; and for -p the other way round."""
    x, p, u = np.array(vector), 200.0, 1e-12  # far below what 1/p makes of n
    factor = len(vector) ** (1 / p)
    largest, smallest = vector_norm(x, np.inf), vector_norm(x, -np.inf)
    assert largest * (1 - u) <= vector_norm(x, p) <= largest * factor * (1 + u)
    assert smallest / factor * (1 - u) <= vector_norm(x, -p) <= smallest * (1 + u)


@given(
    vector=st.lists(numbers, min_size=2, max_size=6), p=st.sampled_from((1.0, 3.5, -2.5, np.inf))
)
def test_the_norm_of_norms_is_the_norm_of_all(vector, p):
    whole = vector_norm(np.array(vector), p)
    parts = get_total_norm([np.array(vector[:1]), np.array(vector[1:]).reshape(1, -1)], p)
    assert abs(parts - whole) <= 100 * U * whole


def test_the_count_of_counts_is_the_number_of_gradients_that_are_not_zero():
    grads = [np.array([1.0, 2.0, 0.0]), np.zeros(2), np.array(-3.0)]
    assert get_total_norm(grads, 0.0) == 2
    assert get_total_norm([]) == 0


def test_complex_gradients_count_by_their_absolute_value():
    clipped, norm = clip_grad_norm([np.array([3 + 4j])], max_norm=2.5)
    assert norm == 5
    assert abs(clipped[0][0] - (1.5 + 2j)) <= 1e-6  # the 1e-6 beside the norm


@given(
    vector=vectors,
    others=vectors,
    max_norm=st.sampled_from((0.125, 1.0, 3.0, 0.0, -1.0)) | st.floats(1e-3, 1e3),
    p=st.sampled_from((1.0, 2.0, 3.5, np.inf, 0.0)),
)
def test_clipping_by_norm_is_the_formula_in_fractions(vector, others, max_norm, p):
    """Three roundings up to the factor, and one of the product."""
    grads = [np.array(vector), np.array(others)[:, None]]
    clipped, norm = clip_grad_norm(grads, max_norm, p)
    assert norm == get_total_norm(grads, p)
    factor = min(Exact(1), Exact(max_norm) / (Exact(float(norm)) + Exact(1e-6)))
    for grad, new in zip(grads, clipped, strict=True):
        assert new.shape == grad.shape
        for before, after in zip(grad.ravel(), new.ravel(), strict=True):
            within(after, Exact(before) * factor, 4.001)


def test_infinities_and_nan_of_the_norm():
    finite, infinite = np.array([2.0, -2.0]), np.array([np.inf])
    clipped, norm = clip_grad_norm([finite, infinite], 1.0)
    assert norm == np.inf
    assert clipped[0].tolist() == [0, 0]
    assert np.isnan(clipped[1]).all()
    assert np.isnan(clip_grads_with_norm([finite], 1.0, np.array(np.nan))[0]).all()
    assert clip_grads_with_norm([finite], np.inf, np.array(4.0))[0].tolist() == [2, -2]


@given(vector=vectors, limit=st.sampled_from((0.125, 1.0, 3.0, 0.0, np.inf)))
def test_clipping_by_value_is_exact(vector, limit):
    (clipped,) = clip_grad_value([np.array(vector)], limit)
    assert clipped.tolist() == [max(-limit, min(limit, x)) for x in vector]


def test_what_has_no_norm_is_refused():
    for p in (np.inf, -np.inf, -1.0):
        with pytest.raises(ValueError, match="x: an empty array has no norm of order"):
            get_total_norm([np.ones(2), np.zeros((0, 3))], p)
    for number in (np.inf, np.nan):
        with pytest.raises(ValueError, match=r"grads: their norm of order 2\.0 is (inf|nan)"):
            clip_grad_norm([np.array([number])], 1.0, error_if_nonfinite=True)
    assert get_total_norm([np.zeros((0, 3))], 1.0) == 0


def test_gradients_are_left_alone():
    grad = np.array([3.0, 4.0])
    clip_grad_norm([grad], 1.0)
    clip_grad_value([grad], 1.0)
    assert grad.tolist() == [3, 4]
