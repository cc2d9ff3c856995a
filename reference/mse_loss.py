"""MSE: the mean of the squared errors."""

import math

import numpy as np

from reference.reduction import reduce, reduce_backward


def mse_loss(
    input: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    reduction: str = "mean",
) -> np.ndarray:
    r"""Average the squares of what the prediction is off by.

    The loss of regression: minimised by the mean of the targets, and so led by the largest errors.

    Symbols: x_n the prediction, t_n what it should have been, w_n how much that counts.

        l_n = w_n (x_n - t_n)^2        L = sum_n l_n / sum_n w_n

    Args:
        input: x, of any shape.
        target: t, as the input.
        weight: w, as the input; 1 if absent.
        reduction: "none" gives l, "sum" its sum, "mean" L.

    Returns:
        loss: as the input for "none", else a scalar, in the square of the input's unit.

    Raises:
        ValueError: if the shapes differ, or the reduction is unknown.

    Divergence from torch: where input and target differ in shape it broadcasts, and warns: (N, 1)
    against (N,) would be an average over N^2 pairs that nobody meant.

    >>> float(mse_loss(np.array([1.0, 2.0]), np.array([0.0, 4.0])))
    2.5

    Source: Bishop, "Pattern Recognition and Machine Learning" (2006), section 3.1.1.
    """
    check_shapes(input, target, weight)
    error = input - target
    losses = error * error
    if weight is not None:
        losses = losses * weight
    return reduce(losses, reduction, total_weight(input, weight))


def mse_loss_backward(
    grad_output: np.ndarray,
    input: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    reduction: str = "mean",
) -> tuple[np.ndarray, np.ndarray]:
    r"""Pull the prediction towards the target in proportion to the error, and the target to it.

        dL/dx_n = 2 w_n (x_n - t_n) g / sum_m w_m        dL/dt_n = -dL/dx_n

    Args:
        grad_output: g = dL/d(loss), a scalar, or as the input for "none".
        input, target, weight, reduction: as given to `mse_loss`.

    Returns:
        grad_input, grad_target: as the input.

    >>> mse_loss_backward(np.array(1.0), np.array([1.0, 2.0]), np.array([0.0, 4.0]))
    (array([ 1., -2.]), array([-1.,  2.]))
    """
    error = input - target
    total = total_weight(input, weight)
    if weight is None:  # where the constants are one factor
        share = 2.0 / total if reduction == "mean" and total else 2.0
        grad_input = share * error * grad_output
    else:
        grad_input = reduce_backward(grad_output, reduction, total) * weight * (2.0 * error)
    return grad_input, -grad_input


def total_weight(input: np.ndarray, weight: np.ndarray | None) -> np.ndarray | float:
    """What a mean divides by: without weights, the number of errors."""
    return float(math.prod(input.shape)) if weight is None else weight.sum()


def check_shapes(input: np.ndarray, target: np.ndarray, weight: np.ndarray | None) -> None:
    """Refuse to broadcast."""
    for name, array in (("target", target), ("weight", weight)):
        if array is not None and array.shape != input.shape:
            raise ValueError(f"{name}: shape {array.shape} is not the input's, {input.shape}")
