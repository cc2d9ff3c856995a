"""Batch normalisation by hand, in exact fractions, and at fifty digits."""

from fractions import Fraction as Exact

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.batch_norm import batch_norm, batch_norm_backward
from reference.batch_statistics import batch_statistics, running_statistics
from tests.references.proofs import DIGITS, exactly, numbers, within

channels = st.lists(numbers, min_size=2, max_size=12)  # the values of one channel
affine = st.none() | numbers


def parameter(number):
    return None if number is None else np.array([number])


@given(values=channels, weight=affine, bias=affine, eps=st.sampled_from((1e-5, 0.125, 1.0)))
def test_forward_is_the_formula_at_fifty_digits(values, weight, bias, eps):
    """The sum is exact, so that the mean is rounded once.

    A distance is off by a share of itself and of the mean, which together are its `length`; the
    variance by a rounding more for each term. Of the error of a variance half enters its root.
    """
    x, n = np.array(values)[:, None], len(values)
    mean, var = batch_statistics(x)
    output = batch_norm(x, mean, var, parameter(weight), parameter(bias), eps=eps)[:, 0]
    exact_mean = sum(exactly(*values), Exact(0)) / n
    distances = [value - exact_mean for value in exactly(*values)]
    lengths = [abs(distance) + abs(exact_mean) for distance in distances]
    exact_var = sum(d**2 for d in distances) / n
    terms = sum(length**2 for length in lengths) / n
    within(mean[0], exact_mean, 1)
    within(var[0], exact_var, n + 6, terms)
    w, b = exactly(1.0 if weight is None else weight, 0.0 if bias is None else bias)
    with mpmath.workdps(DIGITS):
        std = mpmath.sqrt(exact_var + mpmath.mpf(eps))
        for distance, length, got in zip(distances, lengths, output, strict=True):
            off = abs(w) * length / std * (1 + terms / std**2) + abs(b)
            within(got, distance / std * w + b, n + 14, off)


@given(
    batches=st.lists(channels, min_size=1, max_size=4),
    momentum=st.sampled_from((None, 0.0, 1.0, 0.25, 0.1)),
)
def test_running_statistics_follow_the_rational_recurrence(batches, momentum):
    """At each step, to the six roundings of 1 / t, 1 - m, n / (n - 1), two products and a sum."""
    running = np.zeros(1), np.ones(1)
    for t, values in enumerate(batches, start=1):
        before, n = running, len(values)
        of_batch = batch_statistics(np.array(values)[:, None])
        running = running_statistics(*before, *of_batch, n, momentum=momentum, batches=t)
        new = Exact(1, t) if momentum is None else Exact(momentum)
        for i, unbiased in enumerate((Exact(1), Exact(n, n - 1))):
            (old,), (ours,) = exactly(*before[i]), exactly(*of_batch[i])
            terms = (1 - new) * old, new * ours * unbiased
            within(running[i][0], sum(terms), 6, sum(map(abs, terms)))


def test_without_momentum_the_running_mean_is_the_mean_of_all_batches():
    batches = [np.array([[1.0], [3.0]]), np.array([[5.0], [7.0]]), np.array([[0.0], [0.0]])]
    mean, var = np.zeros(1), np.ones(1)
    for t, x in enumerate(batches, start=1):
        statistics = batch_statistics(x)
        mean, var = running_statistics(mean, var, *statistics, 2, momentum=None, batches=t)
    within(mean[0], Exact(2 + 6 + 0, 3), 3 * 6)  # as above, in three steps
    within(var[0], Exact(2 + 2 + 0, 3), 3 * 6)


def test_an_empty_batch_has_empty_gradients_and_teaches_nothing():
    x, w = np.zeros((0, 2, 3)), np.ones(2)
    mean, var = batch_statistics(x)
    assert batch_norm(x, mean, var, w, w).shape == x.shape
    grad_input, *grads = batch_norm_backward(x, x, mean, var, w)
    assert grad_input.shape == x.shape
    assert [g.tolist() for g in grads] == [[0, 0], [0, 0]]
    kept = running_statistics(w, w, mean, var, 0)
    assert [x.tolist() for x in kept] == [[1, 1], [1, 1]]


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_one_value_per_channel_is_refused(shape):
    with pytest.raises(ValueError, match="more than one value per channel"):
        batch_statistics(np.zeros(shape))


def test_a_negative_eps_is_refused():
    with pytest.raises(ValueError, match=r"eps must not be negative, got -1e-05"):
        batch_norm(np.zeros((2, 1)), np.zeros(1), np.ones(1), eps=-1e-5)


def test_the_variance_does_not_cancel_under_a_large_mean():
    x = 1e8 + np.array([[1.0], [2.0], [3.0]])  # E[x^2] - E[x]^2 is 2 or 0 here, not 2/3
    assert batch_statistics(x)[1].tolist() == [2 / 3]
