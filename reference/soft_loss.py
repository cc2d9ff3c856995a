"""The cross-entropy of log-probabilities against probabilities, which are called soft labels."""

import math

import numpy as np

from reference.nll_loss import check_weight, class_dim, class_last
from reference.reduction import reduce, reduce_backward


def soft_loss(
    input: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    reduction: str = "mean",
) -> np.ndarray:
    r"""Average the surprise by each class, as probable as the target says. Each row counts alike.

    Symbols: y_nc the log-probability of class c in row n of N, p_nc its probability, w_c a weight.

        l_n = -sum_c y_nc p_nc w_c        L = sum_n l_n / N

    Args:
        input: (N, C, *positions) or (C,), log-probabilities.
        target: as the input, the probabilities p.
        weight: (C,), 1 if absent; unlike labels', the mean does not divide by it.
        reduction: "none", "mean" or "sum".

    Returns:
        loss: (N, *positions) or () for "none", else a scalar, in nats.

    Raises:
        ValueError: if a shape does not fit, or the reduction is unknown.

    >>> float(soft_loss(np.array([[-1.0, -2.0]]), np.array([[0.5, 0.5]])))
    1.5

    Source: Bishop, "Pattern Recognition and Machine Learning" (2006), section 1.6.1.
    """
    if input.shape != target.shape:
        raise ValueError(f"target: shape {target.shape} is not the input's, {input.shape}")
    check_weight(input, weight)
    products = class_last(input) * class_last(target)  # (N, *positions, C)
    if weight is not None:
        products = products * weight
    losses = products.sum(axis=-1) if reduction == "none" else products
    return reduce(-losses, reduction, row_count(input))


def soft_loss_backward(
    grad_output: np.ndarray,
    input: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    reduction: str = "mean",
) -> tuple[np.ndarray, np.ndarray]:
    r"""Carry the gradient back to both: a sum of products is linear in either.

        dL/dy_nc = -g p_nc w_c / N        dL/dp_nc = -g y_nc w_c / N

    Args:
        grad_output: g, a scalar, or (N, *positions) for "none".
        input, target, weight, reduction: as given to `soft_loss`.

    Returns:
        grad_input, grad_target: as the input.

    >>> soft_loss_backward(np.array(1.0), np.array([[-1.0, -2.0]]), np.array([[0.5, 0.5]]))
    (array([[-0.5, -0.5]]), array([[1., 2.]]))
    """
    grad = -reduce_backward(grad_output, reduction, row_count(input))
    grad_rows = np.broadcast_to(grad[..., None], class_last(input).shape)
    if weight is not None:
        grad_rows = grad_rows * weight
    grad_products = np.moveaxis(grad_rows, -1, class_dim(input))
    return grad_products * target, grad_products * input


def row_count(input: np.ndarray) -> float:
    """N, the positions of each row of the batch included."""
    return float(math.prod(class_last(input).shape[:-1]))
