"""Cross-entropy of class scores against class labels or class probabilities."""

import math

import numpy as np

from reference.log_softmax import log_softmax
from reference.nll_loss import (
    check_reduction,
    class_dim,
    class_last,
    counted,
    nll_loss,
    total_weight,
)


def cross_entropy(
    input: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> np.ndarray:
    r"""Average how surprised the scores are by the true classes.

    The loss of classification: -log of the probability that the softmax of the scores gives to the
    true class, averaged over the rows. Its gradient with respect to the scores is as simple as a
    gradient can be, (softmax(x) - onehot(t)) / N: prediction minus truth. That is what the steps
    back through `nll_loss` and `log_softmax` come to.

    Label smoothing trusts the label only so far: a share of the truth goes to all classes alike.

    Symbols: x_nc the score (logit) of class c in row n, y = log softmax(x), t_n the true class of
    the row, w_c the weight of a class, eps the label_smoothing, C classes.

        L = (1 - eps) nll_loss(y, t) + eps / C uniform_loss(y, t)

    Args:
        input: (N, C, *positions) or (C,), scores, any real numbers.
        target: (N, *positions) or (), integers in [0, C) or ignore_index; or, as the input, the
            probability of each class, of real numbers.
        weight: (C,), 1 if absent.
        ignore_index: rows with this class do not count; it means nothing to probabilities.
        label_smoothing: eps, in [0, 1].
        reduction: "none", "mean" or "sum".

    Returns:
        loss: (N, *positions) or () for "none", else a scalar, in nats.

    Raises:
        ValueError: if a target is no class, a shape does not fit, the reduction is unknown, or
            label_smoothing lies outside [0, 1].

    Divergence from torch: none. An empty batch has no mean, and gives NaN in both.

    >>> float(cross_entropy(np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([0, 1])) - np.log(2))
    0.0
    >>> float(cross_entropy(np.array([[0.0, 0.0]]), np.array([[0.5, 0.5]])) - np.log(2))
    0.0

    Source: Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.3.4; Szegedy et
    al., "Rethinking the Inception architecture" (2016), section 7, on label smoothing.
    """
    check_smoothing(label_smoothing)
    log_probabilities = log_softmax(input, class_dim(input))
    if is_probabilities(target):
        smoothed = smooth(target, label_smoothing, input.shape[class_dim(input)])
        return soft_loss(log_probabilities, smoothed, weight, reduction=reduction)
    labels = (target, weight)
    hard = nll_loss(log_probabilities, *labels, ignore_index=ignore_index, reduction=reduction)
    if label_smoothing == 0:
        return hard
    uniform = uniform_loss(
        log_probabilities, *labels, ignore_index=ignore_index, reduction=reduction
    )
    share = label_smoothing / input.shape[class_dim(input)]
    return (1 - label_smoothing) * hard + share * uniform


def uniform_loss(
    input: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> np.ndarray:
    r"""Add up the surprise by every class; rows count, and are averaged, as in `nll_loss`.

        l_n = -sum_c w_c y_nc        L = sum_n l_n / sum_n w_{t_n}

    Args:
        input: (N, C, *positions) or (C,), log-probabilities.
        target, weight, ignore_index, reduction: as in `nll_loss`.

    Returns:
        loss: (N, *positions) or () for "none", else a scalar.

    >>> float(uniform_loss(np.array([[-1.0, -2.0]]), np.array([0])))
    3.0
    """
    rows = class_last(input)
    kept, classes = counted(target, rows.shape[-1], ignore_index)
    losses = -(rows if weight is None else rows * weight).sum(axis=-1)
    losses = np.where(kept, losses, 0.0)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0
        return losses.sum() / total_weight(kept, classes, weight)


def soft_loss(
    input: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    reduction: str = "mean",
) -> np.ndarray:
    r"""Average the surprise by each class, as probable as the target says. Each row counts alike.

        l_n = -sum_c y_nc p_nc w_c        L = sum_n l_n / N

    Args:
        input: (N, C, *positions) or (C,), log-probabilities.
        target: as the input, the probabilities p.
        weight: (C,), 1 if absent; the mean does not divide by it.
        reduction: "none", "mean" or "sum".

    Returns:
        loss: (N, *positions) or () for "none", else a scalar.

    Raises:
        ValueError: if the shapes differ, or the reduction is unknown.

    >>> float(soft_loss(np.array([[-1.0, -2.0]]), np.array([[0.5, 0.5]])))
    1.5
    """
    check_reduction(reduction)
    if input.shape != target.shape:
        raise ValueError(f"target: shape {target.shape} is not the input's, {input.shape}")
    products = class_last(input) * class_last(target)
    losses = -(products if weight is None else products * weight).sum(axis=-1)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    with np.errstate(invalid="ignore"):  # 0 / 0
        return losses.sum() / float(math.prod(losses.shape))


def smooth(target: np.ndarray, label_smoothing: float, classes: int) -> np.ndarray:
    """Mix probabilities with the uniform ones: p (1 - eps) + eps / C."""
    if label_smoothing == 0:
        return target
    return target * (1 - label_smoothing) + label_smoothing / classes


def is_probabilities(target: np.ndarray) -> bool:
    """Labels are integers, probabilities real numbers."""
    return getattr(target, "dtype", None) is None or not np.issubdtype(target.dtype, np.integer)


def check_smoothing(label_smoothing: float) -> None:
    """Refuse a share that is none."""
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing: {label_smoothing} lies outside [0, 1]")
