"""Negative log-likelihood: how surprised log-probabilities are by the true classes."""

import numpy as np

from reference.reduction import reduce, reduce_backward


def nll_loss(
    input: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> np.ndarray:
    r"""Average the negative log-likelihood of the true classes.

    Classes that are rare can be given more weight; rows without a known class can be left out.

    Symbols: y_nc the log-probability of class c in row n, t_n the true class of the row, w_c the
    weight of the class; w_{t_n} is 0 where the row is ignored. A row is one element of the target.

        l_n = -w_{t_n} y_{n, t_n}        L = sum_n l_n / sum_n w_{t_n}

    Args:
        input: (N, C, *positions) or (C,), log-probabilities.
        target: (N, *positions) or (), integers in [0, C), or ignore_index.
        weight: (C,), 1 if absent.
        ignore_index: rows with this target do not count, even if it is a class.
        reduction: "none" gives l, "sum" its sum, "mean" L.

    Returns:
        loss: (N, *positions) or () for "none", else a scalar, in nats.

    Raises:
        ValueError: if a target is no class, a shape does not fit, or the reduction is unknown.

    Divergence from torch: it also takes a target (1,) for an input (C,).

    >>> float(nll_loss(np.array([[-1.0, -2.0], [-3.0, -4.0]]), np.array([0, 1])))
    2.5
    >>> weight = np.array([1.0, 3.0])
    >>> float(nll_loss(np.array([[-1.0, -2.0], [-3.0, -4.0]]), np.array([0, 1]), weight))
    3.25

    Source: Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.3.4.
    """
    check_shapes(input, target, weight)
    rows = class_last(input)  # (N, C, *positions) -> (N, *positions, C)
    kept, classes = labels(target, rows.shape[-1], ignore_index)
    losses = -rows[(*np.indices(target.shape), classes)]  # y_{n, t_n}: (N, *positions)
    if weight is not None:
        losses = weight[classes] * losses
    losses = np.where(kept, losses, 0.0)
    return reduce(losses, reduction, total_weight(kept, classes, weight))


def nll_loss_backward(
    grad_output: np.ndarray,
    input: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> np.ndarray:
    r"""Give -w / sum w of the loss's gradient to each row's true class, nothing to the others.

        dL/dy_nc = -g w_{t_n} / sum_m w_{t_m} where c = t_n, else 0

    Args:
        grad_output: g = dL/d(loss), a scalar, or as the target for "none".
        input, target, weight, ignore_index, reduction: as given to `nll_loss`.

    Returns:
        grad_input: as the input.

    >>> nll_loss_backward(np.array(1.0), np.zeros((2, 2)), np.array([0, 1])).tolist()
    [[-0.5, 0.0], [0.0, -0.5]]
    """
    class_count = input.shape[class_dim(input)]
    kept, classes = labels(target, class_count, ignore_index)
    grad = -reduce_backward(grad_output, reduction, total_weight(kept, classes, weight))
    if weight is not None:
        grad = weight[classes] * grad
    is_target = kept[..., None] & (classes[..., None] == np.arange(class_count))
    grad_rows = np.where(is_target, grad[..., None], 0.0)  # (N, *positions, C)
    return np.moveaxis(grad_rows, -1, class_dim(input))


def class_dim(input: np.ndarray) -> int:
    """The dimension that counts the classes: the second one, after the rows of a batch."""
    if input.ndim == 0:
        raise ValueError("input: a number has no dimension for the classes")
    return 0 if input.ndim == 1 else 1


def class_last(input: np.ndarray) -> np.ndarray:
    """Move the classes behind the positions."""
    return np.moveaxis(input, class_dim(input), -1)


def labels(
    target: np.ndarray, class_count: int, ignore_index: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which rows count, and the class of each (0 for those that do not)."""
    kept = np.asarray(target != ignore_index)
    if not np.all(~kept | ((target >= 0) & (target < class_count))):
        raise ValueError(
            f"target: each must be one of the {class_count} classes 0 to {class_count - 1}"
        )
    return kept, np.where(kept, target, 0)


def total_weight(
    kept: np.ndarray, classes: np.ndarray, weight: np.ndarray | None
) -> np.ndarray | float:
    """The weights of the rows that count: without weights, their number."""
    if weight is None:
        return float(kept.sum())
    return np.where(kept, weight[classes], 0.0).sum()


def check_shapes(input: np.ndarray, target: np.ndarray, weight: np.ndarray | None) -> None:
    """Refuse what does not fit together."""
    dim = class_dim(input)
    if input.shape[:dim] + input.shape[dim + 1 :] != target.shape:
        raise ValueError(
            f"target: shape {target.shape} does not fit an input of shape {input.shape}"
        )
    check_weight(input, weight)


def check_weight(input: np.ndarray, weight: np.ndarray | None) -> None:
    """Refuse a weight that is not one number per class."""
    if weight is not None and weight.shape != (input.shape[class_dim(input)],):
        raise ValueError(f"weight: shape {weight.shape} is not one number per class")
