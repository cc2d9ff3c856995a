"""Batch normalisation by hand, in exact fractions, and against the complex step."""

from fractions import Fraction as Exact
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.batch_norm import batch_norm, batch_norm_backward
from reference.batch_statistics import batch_statistics, running_statistics
from tests.references.test_backward import agree, complex_step

numbers = st.integers(-64, 64).map(lambda n: n / 8)
channels = st.lists(numbers, min_size=2, max_size=12)  # the values of one channel
affine = st.none() | numbers

# Numbers up to 8, fewer than 12 of them, and fewer than 40 operations on them: less than 100
# roundings of numbers below 8 * 64, before eps, at least 1/8, divides by no less than 1/3.
LOST = 100 * 2.0**-53 * 8 * 64 * 3


def parameter(number):
    return None if number is None else np.array([number])


def exact_statistics(values: list[float]) -> tuple[Exact, Exact]:
    """The mean, and the sum of the squared distances from it."""
    mean = sum(map(Exact, values), Exact(0)) / len(values)
    return mean, sum(((Exact(v) - mean) ** 2 for v in values), Exact(0))


@given(values=channels, weight=affine, bias=affine, eps=st.sampled_from((0.125, 0.5, 1.0)))
def test_forward_is_the_formula_at_fifty_digits(values, weight, bias, eps):
    x = np.array(values)[:, None]
    mean, var = batch_statistics(x)
    output = batch_norm(x, mean, var, parameter(weight), parameter(bias), eps=eps)[:, 0]
    exact_mean, squares = exact_statistics(values)
    exact_var = squares / len(values)
    assert abs(Exact(float(mean[0])) - exact_mean) <= LOST
    assert abs(Exact(float(var[0])) - exact_var) <= LOST
    with mpmath.workdps(50):
        std = mpmath.sqrt(mpmath.mpf(exact_var.numerator) / exact_var.denominator + eps)
        for value, got in zip(values, output, strict=True):
            distance = Exact(value) - exact_mean
            normal = mpmath.mpf(distance.numerator) / distance.denominator / std
            exact = normal * (1 if weight is None else weight) + (0 if bias is None else bias)
            assert abs(mpmath.mpf(float(got)) - exact) <= LOST


@given(
    batches=st.lists(channels, min_size=1, max_size=4),
    momentum=st.sampled_from((None, 0.0, 1.0, 0.25, 0.1)),
)
def test_running_statistics_follow_the_rational_recurrence(batches, momentum):
    mean, var = np.zeros(1), np.ones(1)
    exact_mean, exact_var = Exact(0), Exact(1)
    for t, values in enumerate(batches, start=1):
        options = {"momentum": momentum, "batches": t}
        of_batch = batch_statistics(np.array(values)[:, None])
        mean, var = running_statistics(mean, var, *of_batch, len(values), **options)
        new = Exact(1, t) if momentum is None else Exact(momentum)
        center, squares = exact_statistics(values)
        exact_mean += new * (center - exact_mean)
        exact_var += new * (squares / (len(values) - 1) - exact_var)
        assert abs(Exact(float(mean[0])) - exact_mean) <= LOST
        assert abs(Exact(float(var[0])) - exact_var) <= LOST


def test_without_momentum_the_running_mean_is_the_mean_of_all_batches():
    batches = [np.array([[1.0], [3.0]]), np.array([[5.0], [7.0]]), np.array([[0.0], [0.0]])]
    mean, var = np.zeros(1), np.ones(1)
    for t, x in enumerate(batches, start=1):
        statistics = batch_statistics(x)
        mean, var = running_statistics(mean, var, *statistics, 2, momentum=None, batches=t)
    assert abs(mean[0] - (2 + 6 + 0) / 3) <= LOST
    assert abs(var[0] - (2 + 2 + 0) / 3) <= LOST


@pytest.fixture(params=range(5))
def generator(request):
    return np.random.default_rng(request.param)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("positions", [(), (3,), (2, 2), (1, 2, 3)])
def test_backward_is_the_derivative(generator, training, affine, positions):
    x, g = (generator.standard_normal((4, 2, *positions)) for _ in range(2))
    w, b = generator.standard_normal((2, 2)) if affine else (None, None)
    mean, var = batch_statistics(x) if training else np.abs(generator.standard_normal((2, 2)))
    eps = 10.0 ** generator.uniform(-5, 0)

    def forward(x: np.ndarray, w: Any = w, b: Any = b) -> np.ndarray:
        return batch_norm(x, *(batch_statistics(x) if training else (mean, var)), w, b, eps=eps)

    grads = batch_norm_backward(g, x, mean, var, w, eps=eps, training=training)
    agree(grads[0], complex_step(forward, x, g))
    weight = np.ones(2) if w is None else w
    bias = np.zeros(2) if b is None else b
    agree(grads[1], complex_step(lambda t: forward(x, t, bias), weight, g))
    agree(grads[2], complex_step(lambda t: forward(x, weight, t), bias, g))


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
