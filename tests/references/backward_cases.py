"""For every backward pass: its forward pass, with drawn shapes, options and numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

from reference import arithmetic
from reference.batch_norm import batch_norm, batch_norm_backward
from reference.batch_statistics import batch_statistics
from reference.cross_entropy import cross_entropy, cross_entropy_backward
from reference.dropout import dropout, dropout_backward
from reference.l1_loss import l1_loss, l1_loss_backward
from reference.label_smoothing import uniform_loss, uniform_loss_backward
from reference.linear import linear, linear_backward, linear_backward_parameters
from reference.log_softmax import log_softmax, log_softmax_backward
from reference.mse_loss import mse_loss, mse_loss_backward
from reference.nll_loss import nll_loss, nll_loss_backward
from reference.reduction import REDUCTIONS, reduce, reduce_backward
from reference.relu import relu, relu_backward, threshold, threshold_backward
from reference.soft_loss import soft_loss, soft_loss_backward
from reference.softplus import softplus, softplus_backward
from tests.references.proofs import normals


@dataclass
class Case:
    """A function of arrays, and what the backward pass makes of the gradient of its result."""

    forward: Callable[..., np.ndarray]
    arrays: tuple[np.ndarray, ...]
    backward: Callable[[np.ndarray], Any]  # one gradient, or one for each of the arrays


CASES: dict[Callable[..., Any], st.SearchStrategy[Case]] = {}


def of(backward: Callable[..., Any]) -> Callable[[Any], Any]:
    """Register what draws the cases of a backward pass."""

    def register(draws: Any) -> Any:
        CASES[backward] = st.composite(draws)()
        return draws

    return register


sides = st.integers(0, 4)
shapes = st.lists(sides, max_size=3).map(tuple)
reductions = st.sampled_from(REDUCTIONS)
CLASSES = 4
scores = st.sampled_from(((4,), (1, 4), (5, 4), (3, 4, 2), (2, 4, 1, 3), (0, 4)))
"""Shapes of scores for four classes."""


@of(linear_backward)
def linears(draw: st.DrawFn) -> Case:
    batch, inputs, outputs = draw(st.lists(sides, max_size=2)), draw(sides), draw(sides)
    x, w, b = (draw(normals(*s)) for s in ((*batch, inputs), (outputs, inputs), (outputs,)))
    return Case(linear, (x, w, b), lambda g: linear_backward(g, x, w))


@of(linear_backward_parameters)
def first_layers(draw: st.DrawFn) -> Case:
    case = linears(draw)
    x, w, b = case.arrays
    return Case(partial(linear, x), (w, b), lambda g: linear_backward_parameters(g, x))


@of(relu_backward)
def relus(draw: st.DrawFn) -> Case:
    """Away from the kink: a normal number is not 0."""
    x = draw(normals(*draw(shapes)))
    return Case(relu, (x,), lambda g: relu_backward(g, x))


@of(threshold_backward)
def thresholds(draw: st.DrawFn) -> Case:
    x, bend, value = draw(normals(*draw(shapes))), *draw(normals(2))
    of_x = partial(threshold, threshold=bend, value=value)
    return Case(of_x, (x,), lambda g: threshold_backward(g, x, bend))


@of(softplus_backward)
def softpluses(draw: st.DrawFn) -> Case:
    x = np.asarray(3 * draw(normals(*draw(shapes))))
    beta, bend = draw(st.sampled_from((1.0, 0.5, 3.0, -1.0))), draw(st.sampled_from((20.0, 1.0)))
    return Case(
        partial(softplus, beta=beta, threshold=bend),
        (x,),
        lambda g: softplus_backward(g, x, beta, bend),
    )


@of(batch_norm_backward)
def batch_norms(draw: st.DrawFn) -> Case:
    shape = (draw(st.integers(2, 4)), 2, *draw(st.sampled_from(((), (3,), (2, 2), (1, 2, 1)))))
    x, w, b = draw(normals(*shape)), *draw(normals(2, 2))
    training, eps = draw(st.booleans()), 10.0 ** draw(st.integers(-3, 0))
    mean, var = batch_statistics(x) if training else np.abs(draw(normals(2, 2)))

    def forward(x: np.ndarray, w: Any = None, b: Any = None) -> np.ndarray:
        return batch_norm(x, *(batch_statistics(x) if training else (mean, var)), w, b, eps=eps)

    given = partial(batch_norm_backward, eps=eps, training=training)
    if draw(st.booleans()):
        return Case(forward, (x, w, b), lambda g: given(g, x, mean, var, w))
    return Case(forward, (x,), lambda g: given(g, x, mean, var)[0])


@of(dropout_backward)
def dropouts(draw: st.DrawFn) -> Case:
    x, p = draw(normals(3, 2, 4)), draw(st.sampled_from((0.0, 0.3, 0.75, 1.0)))
    of_mask = draw(st.sampled_from(((3, 2, 4), (3, 2, 1))))
    mask = (draw(normals(*of_mask)) > 0).astype(float)
    return Case(partial(dropout, mask=mask, p=p), (x,), lambda g: dropout_backward(g, mask, p))


@of(reduce_backward)
def reduced(draw: st.DrawFn) -> Case:
    x, how, total = draw(normals(*draw(shapes))), draw(reductions), draw(st.floats(0.5, 8))

    def backward(g: np.ndarray) -> np.ndarray:
        return np.broadcast_to(reduce_backward(g, how, total), x.shape)

    return Case(partial(reduce, reduction=how, total=total), (x,), backward)


def errors(loss: Callable[..., Any], backward: Callable[..., Any], draw: st.DrawFn) -> Case:
    shape = draw(shapes.filter(math.prod))
    x, error = draw(normals(*shape)), draw(normals(*shape))
    t = np.asarray(x + error)  # not x itself, where the absolute value has its kink
    weight = 0.5 + np.abs(draw(normals(*shape))) if draw(st.booleans()) else None
    options = {"weight": weight, "reduction": draw(reductions)}
    return Case(partial(loss, **options), (x, t), lambda g: backward(g, x, t, **options))


@of(mse_loss_backward)
def squares(draw: st.DrawFn) -> Case:
    return errors(mse_loss, mse_loss_backward, draw)


@of(l1_loss_backward)
def distances(draw: st.DrawFn) -> Case:
    return errors(l1_loss, l1_loss_backward, draw)


@of(log_softmax_backward)
def log_softmaxes(draw: st.DrawFn) -> Case:
    shape = draw(shapes.filter(lambda shape: shape and math.prod(shape)))
    x, dim = 3 * draw(normals(*shape)), draw(st.integers(-len(shape), len(shape) - 1))
    y = log_softmax(x, dim)
    return Case(partial(log_softmax, dim=dim), (x,), lambda g: log_softmax_backward(g, y, dim))


def by_labels(draw: st.DrawFn) -> tuple[np.ndarray, dict[str, Any]]:
    """Scores and, as options, the rest: half of the labels are ignored, but for the first."""
    shape, ignore_index = draw(scores), draw(st.sampled_from((-100, 0, 7)))
    rows = shape[:1] + shape[2:] if len(shape) > 1 else ()
    target = np.floor(CLASSES * draw(normals(*rows)) % CLASSES).astype(int)
    target = np.where(draw(normals(*rows)) > 0, target, ignore_index)
    target[...].flat[:1] = 1
    weight = 0.5 + np.abs(draw(normals(CLASSES))) if draw(st.booleans()) else None
    reduction = draw(reductions) if target.size else "sum"
    return draw(normals(*shape)), {
        "target": target,
        "weight": weight,
        "ignore_index": ignore_index,
        "reduction": reduction,
    }


@of(nll_loss_backward)
def surprises(draw: st.DrawFn) -> Case:
    x, options = by_labels(draw)
    return Case(partial(nll_loss, **options), (x,), lambda g: nll_loss_backward(g, x, **options))


@of(uniform_loss_backward)
def surprises_by_all(draw: st.DrawFn) -> Case:
    x, options = by_labels(draw)
    return Case(
        partial(uniform_loss, **options), (x,), lambda g: uniform_loss_backward(g, x, **options)
    )


def by_probabilities(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    x, options = by_labels(draw)
    del options["target"], options["ignore_index"]
    return x, np.abs(draw(normals(*x.shape))), options


@of(soft_loss_backward)
def soft_losses(draw: st.DrawFn) -> Case:
    x, p, options = by_probabilities(draw)
    return Case(
        partial(soft_loss, **options), (x, p), lambda g: soft_loss_backward(g, x, p, **options)
    )


@of(cross_entropy_backward)
def cross_entropies(draw: st.DrawFn) -> Case:
    if draw(st.booleans()):
        x, options = by_labels(draw)
    else:
        x, p, options = by_probabilities(draw)
        options["target"] = p
    options["label_smoothing"] = draw(st.sampled_from((0.0, 0.25, 1.0)))
    y = log_softmax(x, int(x.ndim > 1))

    def backward(g: np.ndarray) -> np.ndarray:
        return cross_entropy_backward(g, y, **options)

    return Case(partial(cross_entropy, **options), (x,), backward)


def pair(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Of which one, or both, are stretched to the other's shape."""
    whole = draw(shapes)
    cuts = st.lists(st.booleans(), min_size=len(whole), max_size=len(whole))
    a, b = (
        tuple(1 if cut else side for side, cut in zip(whole, draw(cuts), strict=True))
        for _ in range(2)
    )
    return draw(normals(*a)), draw(normals(*b[draw(st.integers(0, len(b))) :]))


@of(arithmetic.add_backward)
def additions(draw: st.DrawFn) -> Case:
    a, b = pair(draw)
    return Case(arithmetic.add, (a, b), lambda g: arithmetic.add_backward(g, a, b))


@of(arithmetic.subtract_backward)
def subtractions(draw: st.DrawFn) -> Case:
    a, b = pair(draw)
    return Case(arithmetic.subtract, (a, b), lambda g: arithmetic.subtract_backward(g, a, b))


@of(arithmetic.multiply_backward)
def multiplications(draw: st.DrawFn) -> Case:
    a, b = pair(draw)
    return Case(arithmetic.multiply, (a, b), lambda g: arithmetic.multiply_backward(g, a, b))


@of(arithmetic.power_backward)
def powers(draw: st.DrawFn) -> Case:
    x, n = draw(normals(*draw(shapes))), draw(st.integers(1, 4))
    return Case(
        partial(arithmetic.power, exponent=n), (x,), lambda g: arithmetic.power_backward(g, x, n)
    )


@of(arithmetic.sum_backward)
def sums(draw: st.DrawFn) -> Case:
    x = draw(normals(*draw(shapes)))
    return Case(arithmetic.sum, (x,), lambda g: arithmetic.sum_backward(g, x))


@of(arithmetic.unbind_backward)
def rows(draw: st.DrawFn) -> Case:
    """Of which the loss depends on the first, and on others that are drawn."""
    x = draw(normals(draw(st.integers(1, 4)), *draw(shapes)))
    used = [True, *draw(st.lists(st.booleans(), min_size=len(x) - 1, max_size=len(x) - 1))]

    def forward(x: np.ndarray) -> np.ndarray:
        return np.stack([row for row, u in zip(arithmetic.unbind(x), used, strict=True) if u])

    def backward(g: np.ndarray) -> np.ndarray:
        grads = iter(g)
        return arithmetic.unbind_backward(*(next(grads) if u else None for u in used))

    return Case(forward, (x,), backward)
