"""L1: the mean of the absolute errors."""

import numpy as np

from reference.mse_loss import check_shapes, total_weight
from reference.reduction import reduce, reduce_backward


def l1_loss(
    input: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    reduction: str = "mean",
) -> np.ndarray:
    r"""Average by how much the prediction is off.

    Minimised by the median of the targets: a large error counts as much as many small ones, where
    a square would let it lead.

    Symbols: x_n the prediction, t_n what it should have been, w_n how much that counts.

        l_n = w_n |x_n - t_n|        L = sum_n l_n / sum_n w_n

    Args:
        input: x, of any shape.
        target: t, as the input.
        weight: w, as the input; 1 if absent.
        reduction: "none" gives l, "sum" its sum, "mean" L.

    Returns:
        loss: as the input for "none", else a scalar, in the input's unit.

    Raises:
        ValueError: if the shapes differ, or the reduction is unknown.

    Divergence from torch: as that of `mse_loss`.

    >>> float(l1_loss(np.array([1.0, 2.0]), np.array([0.0, 4.0])))
    1.5

    Source: Bishop, "Pattern Recognition and Machine Learning" (2006), section 1.5.5.
    """
    check_shapes(input, target, weight)
    error = input - target
    losses = np.where(error.real < 0, -error, error)
    if weight is not None:
        losses = losses * weight
    return reduce(losses, reduction, total_weight(input, weight))


def l1_loss_backward(
    grad_output: np.ndarray,
    input: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    reduction: str = "mean",
) -> tuple[np.ndarray, np.ndarray]:
    r"""Pull the prediction towards the target, and the target to it, however large the error.

    At the kink, where the error is 0, the derivative does not exist; torch takes 0, and for NaN, 0.

        dL/dx_n = sign(x_n - t_n) w_n g / sum_m w_m        dL/dt_n = -dL/dx_n

    Args:
        grad_output: g = dL/d(loss), a scalar, or as the input for "none".
        input, target, weight, reduction: as given to `l1_loss`.

    Returns:
        grad_input, grad_target: as the input.

    >>> l1_loss_backward(np.array(1.0), np.array([1.0, 2.0]), np.array([0.0, 2.0]))
    (array([0.5, 0. ]), array([-0.5, -0. ]))
    """
    grad_losses = reduce_backward(grad_output, reduction, total_weight(input, weight))
    if weight is not None:
        grad_losses = grad_losses * weight
    error = input - target
    other_side = np.where(error.real < 0, -grad_losses, 0.0 * grad_losses)
    grad_input = np.where(error.real > 0, grad_losses, other_side)
    return grad_input, -grad_input
