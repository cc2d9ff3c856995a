"""Dropout by hand, in exact fractions, and against the complex step."""

from fractions import Fraction as Exact

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.dropout import dropout, dropout_backward
from tests.references.test_backward import agree, complex_step

numbers = st.integers(-64, 64).map(lambda n: n / 8)
rows = st.lists(st.tuples(numbers, st.booleans()), max_size=8)


@given(rows=rows, p=st.floats(0, 0.999))
def test_what_is_kept_is_divided_by_the_probability_to_be_kept(rows, p):
    x, mask = (np.array([row[i] for row in rows], float) for i in range(2))
    for (number, kept), got in zip(rows, dropout(x, mask, p), strict=True):
        exact = Exact(number) / (1 - Exact(p)) if kept else Exact(0)
        # 1 - p, the quotient and the product: three roundings, each of at most u times its result.
        assert abs(Exact(float(got)) - exact) <= 4 * Exact(2) ** -53 * abs(exact)


def test_p_0_is_the_identity_and_p_1_is_zero():
    x = np.array([1.0, -2.0, 0.1])
    assert dropout(x, np.ones(3), 0.0).tolist() == x.tolist()
    assert dropout(x, np.zeros(3), 1.0).tolist() == [0, 0, 0]


def test_the_expectation_over_all_masks_is_the_input():
    x, p = np.array([3.0, -1.0]), 0.25
    masks = [np.array([a, b]) for a in (0.0, 1.0) for b in (0.0, 1.0)]
    weights = [(1 - p) ** mask.sum() * p ** (2 - mask.sum()) for mask in masks]
    mean = sum(w * dropout(x, mask, p) for w, mask in zip(weights, masks, strict=True))
    assert np.abs(mean - x).max() <= 16 * 2.0**-53 * 3  # four masks, fewer than four roundings each


def test_a_mask_of_channels_drops_whole_channels():
    x, mask = np.ones((1, 2, 3)), np.array([[[0.0], [1.0]]])
    assert dropout(x, mask, 0.5).tolist() == [[[0, 0, 0], [2, 2, 2]]]


@pytest.mark.parametrize("mask_shape", [(4, 3, 5), (4, 3, 1)])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_backward_is_the_derivative(mask_shape, p):
    generator = np.random.default_rng(0)
    x, g = (generator.standard_normal((4, 3, 5)) for _ in range(2))
    mask = (generator.random(mask_shape) >= p).astype(float)
    agree(dropout_backward(g, mask, p), complex_step(lambda t: dropout(t, mask, p), x, g))


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(ValueError, match="p must be a probability, between 0 and 1, got "):
        dropout(np.ones(1), np.ones(1), p)
