"""The losses by hand: in exact fractions, at fifty digits, and against the complex step."""

from fractions import Fraction as Exact
from functools import partial
from itertools import product
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.cross_entropy import cross_entropy, cross_entropy_backward
from reference.l1_loss import l1_loss, l1_loss_backward
from reference.label_smoothing import uniform_loss, uniform_loss_backward
from reference.log_softmax import log_softmax, log_softmax_backward
from reference.mse_loss import mse_loss, mse_loss_backward
from reference.nll_loss import nll_loss, nll_loss_backward
from reference.soft_loss import soft_loss, soft_loss_backward
from tests.references.test_backward import agree, complex_step

REDUCTIONS = ("none", "mean", "sum")
SHAPES = ((4,), (5, 4), (3, 4, 2), (2, 4, 1, 3))  # of scores, 4 classes

# Fewer than 40 numbers below 8, and weights below 8 that sum to 1/8 or more: less than 200
# roundings of numbers below 40 * 8 * 64, before a sum of weights divides by no less than 1/8.
LOST = 200 * 2.0**-53 * 40 * 8 * 64 * 8


def agrees(loss: np.ndarray, exact: Any) -> None:
    assert abs(Exact(float(loss)) - exact) <= LOST


numbers = st.integers(-64, 64).map(lambda n: n / 8)
weights = st.integers(1, 64).map(lambda n: n / 8)
errors = st.lists(st.tuples(numbers, numbers, weights), min_size=1, max_size=12)


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of scores with their labels, of which the first counts, and the classes' weights."""
    classes, rows = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    scores = draw(st.lists(numbers, min_size=rows * classes, max_size=rows * classes))
    label = st.integers(0, classes - 1)
    others = draw(st.lists(label | st.just(-100), min_size=rows - 1, max_size=rows - 1))
    target = np.array([draw(label), *others])
    weight = draw(st.lists(weights, min_size=classes, max_size=classes))
    return np.array(scores).reshape(rows, classes), target, np.array(weight)


@given(case=labelled())
def test_nll_loss_is_the_weighted_mean_in_fractions(case):
    y, target, weight = case
    rows = [(y_n[t], weight[t]) for y_n, t in zip(y, target, strict=True) if t != -100]
    total = sum(-Exact(v) * Exact(w) for v, w in rows)
    agrees(nll_loss(y, target, weight, reduction="sum"), total)
    mean = total / sum(Exact(w) for _, w in rows)
    agrees(nll_loss(y, target, weight), mean)


@given(case=labelled(), eps=st.sampled_from((0.0, 0.125, 1.0)))
def test_cross_entropy_is_the_smoothed_formula_at_fifty_digits(case, eps):
    """A label is a certainty, and smoothing takes the share eps of it for all C classes."""
    x, target, weight = case
    classes = len(weight)
    loss = cross_entropy(x, target, weight, label_smoothing=eps)
    probabilities = np.eye(classes)[np.where(target == -100, 0, target)]
    soft = cross_entropy(x, probabilities, weight, label_smoothing=eps)
    with mpmath.workdps(50):
        of_rows: list[Any] = [
            sum(
                -w * (p * (1 - mpmath.mpf(eps)) + mpmath.mpf(eps) / classes) * y
                for w, p, y in zip(weight, p_n, exact_log_softmax(x_n), strict=True)
            )
            for x_n, p_n in zip(x, probabilities, strict=True)
        ]
        kept = target != -100
        exact = sum(of_rows[n] for n in np.flatnonzero(kept)) / sum(weight[target[kept]])
        assert abs(mpmath.mpf(float(loss)) - exact) <= LOST
        assert abs(mpmath.mpf(float(soft)) - sum(of_rows) / len(x)) <= LOST


def exact_log_softmax(scores):
    total = mpmath.log(sum(mpmath.exp(mpmath.mpf(x)) for x in scores))
    return [mpmath.mpf(x) - total for x in scores]


@given(case=errors)
def test_mse_and_l1_are_weighted_means_in_fractions(case):
    x, t, w = np.array(case).T
    for loss, power in ((mse_loss, 2), (l1_loss, 1)):
        losses = [abs(Exact(a) - Exact(b)) ** power * Exact(c) for a, b, c in case]
        agrees(loss(x, t, w, reduction="sum"), sum(losses))
        mean = sum(losses) / sum(Exact(c) for *_, c in case)
        agrees(loss(x, t, w), mean)
        unweighted = sum(abs(Exact(a) - Exact(b)) ** power for a, b, _ in case) / len(case)
        agrees(loss(x, t), unweighted)


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def drawn_labels(generator, shape):
    """Labels for scores of a shape, the first ignored, and a weight for each of 4 classes."""
    target = generator.integers(0, 4, shape[:1] + shape[2:] if len(shape) > 1 else ())
    if target.size > 1:
        target.flat[0] = -100
    return target, generator.uniform(0.5, 2.0, 4)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_log_softmax_backward_is_the_derivative_along_any_dimension(generator, dim):
    x, g = generator.standard_normal((2, 3, 4, 5))
    y = log_softmax(x, dim)
    agree(np.exp(y).sum(axis=dim), np.ones(np.exp(y).sum(axis=dim).shape))
    agree(log_softmax_backward(g, y, dim), complex_step(lambda t: log_softmax(t, dim), x, g))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_backward_of_each_loss_by_labels_is_the_derivative(
    generator, shape, reduction, weighted
):
    x = generator.standard_normal(shape)
    target, weight = drawn_labels(generator, shape)
    options: dict[str, Any] = {
        "target": target,
        "weight": weight if weighted else None,
        "reduction": reduction,
    }
    g = generator.standard_normal(target.shape if reduction == "none" else ())
    for forward, backward in ((nll_loss, nll_loss_backward), (uniform_loss, uniform_loss_backward)):
        agree(backward(g, x, **options), complex_step(partial(forward, **options), x, g))
    y = log_softmax(x, int(x.ndim > 1))
    for label_smoothing in (0.0, 0.25, 1.0):
        options["label_smoothing"] = label_smoothing
        derivative = complex_step(partial(cross_entropy, **options), x, g)
        agree(cross_entropy_backward(g, y, **options), derivative)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_backward_of_the_loss_by_probabilities_is_the_derivative(
    generator, shape, reduction, weighted
):
    x, p = generator.standard_normal(shape), generator.uniform(size=shape)
    target, weight = drawn_labels(generator, shape)
    options: dict[str, Any] = {"weight": weight if weighted else None, "reduction": reduction}
    g = generator.standard_normal(target.shape if reduction == "none" else ())
    grads = soft_loss_backward(g, x, p, **options)
    agree(grads[0], complex_step(lambda x: soft_loss(x, p, **options), x, g))
    agree(grads[1], complex_step(lambda p: soft_loss(x, p, **options), p, g))
    options["target"] = p
    y = log_softmax(x, int(x.ndim > 1))
    for label_smoothing in (0.0, 0.25, 1.0):
        options["label_smoothing"] = label_smoothing
        derivative = complex_step(partial(cross_entropy, **options), x, g)
        agree(cross_entropy_backward(g, y, **options), derivative)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_backward_of_mse_and_l1_is_the_derivative(generator, shape, reduction, weighted):
    x, t = (np.asarray(generator.standard_normal(shape)) for _ in range(2))
    w = np.asarray(generator.uniform(0.5, 2.0, shape)) if weighted else None
    g = generator.standard_normal(shape if reduction == "none" else ())
    for forward, backward in ((mse_loss, mse_loss_backward), (l1_loss, l1_loss_backward)):
        options: dict[str, Any] = {"weight": w, "reduction": reduction}
        grads = backward(g, x, t, **options)
        agree(grads[0], complex_step(partial(forward, target=t, **options), x, g))
        agree(grads[1], complex_step(partial(forward, x, **options), t, g))


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 2), (2, 3, 0)])
def test_what_averages_nothing_is_not_a_number(shape):
    x, target = np.zeros(shape), np.zeros(shape[:1] + shape[2:], int)
    for label_smoothing, labels in product((0.0, 0.5), (target, x)):
        assert np.isnan(cross_entropy(x, labels, label_smoothing=label_smoothing))
    assert np.isnan(mse_loss(x, x))
    assert np.isnan(l1_loss(x, x))


def test_rows_that_are_all_ignored_have_no_mean_and_no_gradient():
    x, target = np.zeros((2, 3)), np.array([1, 1])
    assert np.isnan(cross_entropy(x, target, ignore_index=1))
    grad = cross_entropy_backward(np.array(1.0), log_softmax(x), target, ignore_index=1)
    assert not grad.any()
