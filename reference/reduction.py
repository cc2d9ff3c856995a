"""Reductions: many losses made into one."""

import numpy as np

REDUCTIONS = ("none", "mean", "sum")


def reduce(losses: np.ndarray, reduction: str, total: np.ndarray | float) -> np.ndarray:
    r"""Leave the losses as they are, add them up, or average them.

    Symbols: l_n one loss, W what an average divides by: their number, or the sum of their weights.

        none: l        sum: sum_n l_n        mean: sum_n l_n / W

    Args:
        losses: l, of any shape.
        reduction: "none", "mean" or "sum".
        total: W, a scalar.

    Returns:
        loss: as the losses for "none", else a scalar. With nothing to average, 0 / 0 gives NaN.

    Raises:
        ValueError: if the reduction is unknown.

    >>> float(reduce(np.array([1.0, 2.0]), "mean", 2.0))
    1.5
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction: {reduction!r} is none of {', '.join(REDUCTIONS)}")
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0
        return losses.sum() / total


def reduce_backward(
    grad_output: np.ndarray, reduction: str, total: np.ndarray | float
) -> np.ndarray:
    r"""Carry the gradient back to each loss.

        none, sum: dL/dl_n = g        mean: dL/dl_n = g / W

    Args:
        grad_output: g, as returned by `reduce`.
        reduction, total: as given to it.

    Returns:
        grad_losses: dL/dl; a scalar that stands for all, if grad_output is one.

    >>> float(reduce_backward(np.array(1.0), "mean", 2.0))
    0.5
    """
    if reduction != "mean":
        return grad_output
    with np.errstate(invalid="ignore", divide="ignore"):  # with nothing to average
        return grad_output / total
