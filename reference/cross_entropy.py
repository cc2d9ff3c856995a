"""Cross-entropy of class scores against class labels or class probabilities."""

import numpy as np

from reference.label_smoothing import (
    smooth_loss,
    smooth_probabilities,
    uniform_loss,
    uniform_loss_backward,
)
from reference.log_softmax import log_softmax, log_softmax_backward
from reference.nll_loss import class_dim, nll_loss, nll_loss_backward
from reference.soft_loss import soft_loss, soft_loss_backward


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

    Symbols: x the scores (logits), y = log softmax(x), t the true classes, p their probabilities,
    eps the label_smoothing, C classes.

        labels:         L = (1 - eps) nll_loss(y, t) + eps / C uniform_loss(y, t)
        probabilities:  L = soft_loss(y, (1 - eps) p + eps / C)

    Args:
        input: x, (N, C, *positions) or (C,), any real numbers.
        target: labels t, (N, *positions) or (), integers in [0, C) or ignore_index; or
            probabilities p, real numbers, as the input.
        weight: (C,), 1 if absent.
        ignore_index: rows with this label do not count; negative where there are no labels.
        label_smoothing: eps, in [0, 1].
        reduction: "none", "mean" or "sum".

    Returns:
        loss: (N, *positions) or () for "none", else a scalar, in nats.

    Raises:
        ValueError: if a label is no class, a shape does not fit, the reduction is unknown,
            label_smoothing lies outside [0, 1], or ignore_index means a class of probabilities.

    Divergence from torch: it takes a negative label_smoothing, and NaN, for 0.

    >>> float(cross_entropy(np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([0, 1])) - np.log(2))
    0.0
    >>> float(cross_entropy(np.array([[0.0, 0.0]]), np.array([[0.5, 0.5]])) - np.log(2))
    0.0

    Source: Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.3.4; Szegedy et
    al., "Rethinking the Inception Architecture for Computer Vision" (2016), section 7.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing: {label_smoothing} lies outside [0, 1]")
    y = log_softmax(input, class_dim(input))
    class_count = input.shape[class_dim(input)]
    if is_probabilities(target):
        if ignore_index >= 0:
            raise ValueError(f"ignore_index: {ignore_index}, but probabilities have no labels")
        if label_smoothing > 0:
            target = smooth_probabilities(target, label_smoothing, class_count)
        return soft_loss(y, target, weight, reduction=reduction)
    of_labels = nll_loss(y, target, weight, ignore_index=ignore_index, reduction=reduction)
    if label_smoothing == 0:
        return of_labels
    of_all = uniform_loss(y, target, weight, ignore_index=ignore_index, reduction=reduction)
    return smooth_loss(of_labels, of_all, label_smoothing, class_count)


def cross_entropy_backward(
    grad_output: np.ndarray,
    output: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> np.ndarray:
    r"""Carry the gradient from the loss back to the scores, by the chain rule.

    Args:
        grad_output: dL/d(loss), a scalar, or as the loss for "none".
        output: y, as returned by `log_softmax`.
        target, weight, ignore_index, label_smoothing, reduction: as given to `cross_entropy`.

    Returns:
        grad_input: dL/dx, as the input. (`soft_loss_backward` has that of probabilities, too.)

    >>> cross_entropy_backward(np.array(1.0), np.log([[0.25, 0.75]]), np.array([0])).tolist()
    [[-0.75, 0.75]]
    """
    class_count = output.shape[class_dim(output)]
    if is_probabilities(target):
        if label_smoothing > 0:
            target = smooth_probabilities(target, label_smoothing, class_count)
        grad, _ = soft_loss_backward(grad_output, output, target, weight, reduction=reduction)
        return log_softmax_backward(grad, output, class_dim(output))
    of_labels = (1 - label_smoothing) * grad_output
    of_all = (label_smoothing / class_count) * grad_output
    given = (output, target, weight)
    grad = nll_loss_backward(of_labels, *given, ignore_index=ignore_index, reduction=reduction)
    if label_smoothing > 0:
        grad = grad + uniform_loss_backward(
            of_all, *given, ignore_index=ignore_index, reduction=reduction
        )
    return log_softmax_backward(grad, output, class_dim(output))


def is_probabilities(target: np.ndarray) -> bool:
    """Labels are an array of integers; error-carrying ones, which have no dtype, are none."""
    return not np.issubdtype(getattr(target, "dtype", float), np.integer)
