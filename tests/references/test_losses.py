"""The losses in exact fractions and at fifty digits, with every option; and what they refuse."""

from collections.abc import Callable, Iterable
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
from reference.l1_loss import l1_loss
from reference.label_smoothing import uniform_loss
from reference.log_softmax import log_softmax
from reference.mse_loss import mse_loss
from reference.nll_loss import nll_loss
from reference.soft_loss import soft_loss
from tests.references.proofs import DIGITS, exactly, numbers, within

weights = st.integers(1, 64).map(lambda n: n / 8)
Row = list[tuple[Any, Any]]
"""What adds up to the loss of a row, exactly; and of what size it is that its roundings are."""


def assert_reduced(
    loss: Callable[..., np.ndarray],
    rows: dict[Any, Row],
    total: Any,
    roundings: int = 0,
) -> None:
    """For each reduction; a term is rounded so often before it is added up.

    A mean divides by `total`, which is a sum without rounding.
    """
    roundings += sum(map(len, rows.values()))
    sums = {
        index: [sum(part) for part in zip((0, 0), *row, strict=True)] for index, row in rows.items()
    }
    losses = loss(reduction="none")
    for index, (exact, size) in sums.items():
        within(losses[index], exact, roundings, size)
    exact, size = (sum(parts) for parts in zip(*sums.values(), strict=True))
    within(loss(reduction="sum"), exact, roundings, size)
    within(loss(reduction="mean"), exact / total, roundings + 1, size / total)


def sized(terms: Iterable[Exact]) -> Row:
    return [(term, abs(term)) for term in terms]


# By classes


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, int]:
    """Scores, their labels, of which the first counts, the classes' weights, what is ignored."""
    classes, ignored = draw(st.integers(1, 4)), draw(st.sampled_from((-100, 7)))
    rows = draw(st.sampled_from(((), (1,), (4,), (2, 2), (1, 2, 1))))
    shape = (*rows[:1], classes, *rows[1:])
    count = int(np.prod(rows, dtype=int))
    x = draw(st.lists(numbers, min_size=count * classes, max_size=count * classes))
    label = st.integers(0, classes - 1)
    others = draw(st.lists(label | st.just(ignored), min_size=count - 1, max_size=count - 1))
    some = st.lists(weights, min_size=classes, max_size=classes).map(np.array)
    target = np.array([draw(label), *others]).reshape(rows)
    return np.array(x).reshape(shape), target, draw(st.none() | some), ignored


def row(x: np.ndarray, index: tuple[int, ...]) -> np.ndarray:
    """The scores of one row: (N, C, *positions) at one n and one position."""
    return np.moveaxis(x, int(x.ndim > 1), -1)[index]


def kept(target: np.ndarray, weight: np.ndarray | None, ignored: int) -> Any:
    """The weights of the labels that count, added up."""
    counted = target[target != ignored]
    return sum(exactly(*(np.ones(counted.shape) if weight is None else weight[counted])))


def classes_of(
    x: np.ndarray, weight: np.ndarray | None, index: tuple[int, ...]
) -> list[tuple[Exact, Exact]]:
    """Score and weight of each class in a row."""
    scores = row(x, index)
    ones = np.ones(scores.shape)
    return list(zip(exactly(*scores), exactly(*(ones if weight is None else weight)), strict=True))


@given(case=labelled())
def test_nll_loss_is_the_weighted_mean_in_fractions(case):
    y, target, weight, ignored = case
    rows = {
        index: sized(-v * w for c, (v, w) in enumerate(classes_of(y, weight, index)) if c == label)
        for index, label in np.ndenumerate(target)
    }
    loss = partial(nll_loss, y, target, weight, ignore_index=ignored)
    assert_reduced(loss, rows, kept(target, weight, ignored))


@given(case=labelled())
def test_the_loss_by_all_classes_alike_is_their_weighted_sum_in_fractions(case):
    y, target, weight, ignored = case
    rows = {
        index: sized(-v * w for v, w in classes_of(y, weight, index) if label != ignored)
        for index, label in np.ndenumerate(target)
    }
    loss = partial(uniform_loss, y, target, weight, ignore_index=ignored)
    assert_reduced(loss, rows, kept(target, weight, ignored))


@given(case=labelled(), data=st.data())
def test_the_loss_by_probabilities_is_the_mean_over_rows_in_fractions(case, data):
    y, target, weight, _ = case
    p = np.array(data.draw(st.lists(weights, min_size=y.size, max_size=y.size))).reshape(y.shape)
    rows = {}
    for index in np.ndindex(target.shape):
        classes = zip(classes_of(y, weight, index), exactly(*row(p, index)), strict=True)
        rows[index] = sized(-v * w * q for (v, w), q in classes)
    assert_reduced(partial(soft_loss, y, p, weight), rows, target.size)


@given(case=labelled(), dim=st.booleans())
def test_log_softmax_is_the_formula_at_fifty_digits(case, dim):
    x = case[0]
    y = log_softmax(x, int(x.ndim > 1) - dim * x.ndim)  # counted from the first or the last
    for index in np.ndindex(case[1].shape):
        for got, exact in zip(row(y, index), exact_log_softmax(row(x, index)), strict=True):
            within(got, exact, OFF, abs(exact) + 3)


OFF = 8
"""Roundings of a log-probability y of four classes at most, of the size |y| + 3.

The exponentials are off by 2u each, and their sum, which is from 1 to 4, by 3u more; so the
logarithm, at most 1.4, by 5u, and 2u of its own; and what is left after it by u |y|.
"""


def exact_log_softmax(scores):
    with mpmath.workdps(DIGITS):
        total = mpmath.log(sum(mpmath.exp(mpmath.mpf(x)) for x in scores))
        return [mpmath.mpf(x) - total for x in scores]


@given(case=labelled(), eps=st.sampled_from((0.0, 0.1, 1.0)))
def test_cross_entropy_is_the_smoothed_formula_at_fifty_digits(case, eps):
    """A label is a certainty, and smoothing takes the share eps of it for all C classes."""
    x, target, weight, ignored = case
    dim = int(x.ndim > 1)
    certain = np.eye(x.shape[dim])[np.where(target == ignored, 0, target)]  # (*rows, C)
    p = np.moveaxis(certain, -1, dim)
    rows, soft_rows = {}, {}
    for index, label in np.ndenumerate(target):
        y, q = exact_log_softmax(row(x, index)), exactly(*row(p, index))
        with mpmath.workdps(DIGITS):
            shares = [q_c * (1 - Exact(eps)) + Exact(eps) / len(y) for q_c in q]
            factors = [
                s * w for s, (_, w) in zip(shares, classes_of(x, weight, index), strict=True)
            ]
            terms = [(-v * f, (3 - v) * f) for v, f in zip(y, factors, strict=True)]
        soft_rows[index], rows[index] = terms, terms if label != ignored else []
    # 1 - eps, eps / C, their products and sums: fewer than 8 roundings more.
    options: dict[str, Any] = {"weight": weight, "label_smoothing": eps}
    of_labels = partial(cross_entropy, x, target, ignore_index=ignored, **options)
    assert_reduced(of_labels, rows, kept(target, weight, ignored), OFF + 8)
    assert_reduced(partial(cross_entropy, x, p, **options), soft_rows, target.size, OFF + 8)


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


@pytest.mark.parametrize("number", [np.inf, np.nan])
def test_scores_without_a_largest_finite_one_have_no_probabilities(number):
    assert np.isnan(log_softmax(np.array([1.0, number]))).all()
    assert log_softmax(np.array([1.0, -np.inf])).tolist() == [0, -np.inf]


# By errors


@given(case=st.lists(st.tuples(numbers, numbers, weights), min_size=1, max_size=12))
def test_mse_and_l1_are_weighted_means_in_fractions(case):
    x, t, w = np.array(case).T
    exact = [exactly(*numbers) for numbers in case]
    for loss, power in ((mse_loss, 2), (l1_loss, 1)):
        rows = {(n,): sized([abs(a - b) ** power * c]) for n, (a, b, c) in enumerate(exact)}
        assert_reduced(partial(loss, x, t, w), rows, sum(c for *_, c in exact))
        rows = {(n,): sized([abs(a - b) ** power]) for n, (a, b, _) in enumerate(exact)}
        assert_reduced(partial(loss, x, t), rows, len(case))


# What is refused

Y, LABELS = np.zeros((2, 3)), np.zeros(2, int)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "errors of two shapes": (
        lambda: mse_loss(Y, Y[:1]),
        r"target: shape \(1, 3\) is not the input",
    ),
    "a weight of another": (lambda: l1_loss(Y, Y, Y[0]), r"weight: shape \(3,\) is not the input"),
    "no such reduction": (lambda: mse_loss(Y, Y, reduction="most"), "reduction: 'most' is none of"),
    "scores without classes": (lambda: nll_loss(Y[0, 0], LABELS), "input: a number has no dimens"),
    "labels for other rows": (lambda: nll_loss(Y, LABELS[:1]), r"target: shape \(1,\) does not"),
    "a weight too few": (lambda: nll_loss(Y, LABELS, np.ones(2)), r"weight: shape \(2,\) is not"),
    "a label too large": (
        lambda: nll_loss(Y, LABELS + 3),
        "target: each must be one of the 3 class",
    ),
    "a label below 0": (lambda: uniform_loss(Y, LABELS - 1), "target: each must be one of the 3 "),
    "probabilities turned": (lambda: soft_loss(Y, Y.T), r"target: shape \(3, 2\) is not the input"),
    "one of two weights": (lambda: soft_loss(Y, Y, np.ones(2)), r"weight: shape \(2,\) is not one"),
    "too smooth": (lambda: cross_entropy(Y, LABELS, label_smoothing=1.5), "1.5 lies outside"),
    "no labels": (
        lambda: cross_entropy(Y, Y, ignore_index=0),
        "ignore_index: 0, but probabilities",
    ),
}


@pytest.mark.parametrize("refused", REFUSED)
def test_what_makes_no_sense_is_refused(refused):
    call, message = REFUSED[refused]
    with pytest.raises(ValueError, match=message):
        call()
