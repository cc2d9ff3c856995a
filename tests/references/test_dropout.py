"""Dropout by hand, and in exact fractions."""

from fractions import Fraction as Exact

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.dropout import dropout
from tests.references.proofs import numbers, within

rows = st.lists(st.tuples(numbers, st.booleans()), max_size=8)


@given(rows=rows, p=st.floats(0, 0.999))
def test_what_is_kept_is_divided_by_the_probability_to_be_kept(rows, p):
    x, mask = (np.array([row[i] for row in rows], float) for i in range(2))
    for (number, kept), got in zip(rows, dropout(x, mask, p), strict=True):
        # 1 - p, the quotient and the product: three roundings, and a little for their products.
        within(got, Exact(number) / (1 - Exact(p)) if kept else 0, 3.001)


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


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(ValueError, match="p must be a probability, between 0 and 1, got "):
        dropout(np.ones(1), np.ones(1), p)
