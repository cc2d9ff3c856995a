"""Label smoothing: a share of the truth goes to all classes alike."""

import numpy as np

from reference.nll_loss import class_dim, class_last, labels, total_weight
from reference.reduction import reduce, reduce_backward


def smooth_probabilities(
    target: np.ndarray, label_smoothing: float, class_count: int
) -> np.ndarray:
    r"""Mix the probabilities of the classes with equal ones.

        p' = (1 - eps) p + eps / C

    Args:
        target: p, of any shape.
        label_smoothing: eps, in [0, 1].
        class_count: C.

    Returns:
        smoothed: as the target.

    >>> smooth_probabilities(np.array([1.0, 0.0]), 0.5, 2).tolist()
    [0.75, 0.25]

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision" (2016),
    section 7.
    """
    return target * (1 - label_smoothing) + label_smoothing / class_count


def smooth_loss(
    of_labels: np.ndarray, of_all: np.ndarray, label_smoothing: float, class_count: int
) -> np.ndarray:
    r"""Mix the loss by labels with the loss by all classes alike: what p' gives for a label.

        L = (1 - eps) L_labels + eps / C L_all

    Args:
        of_labels, of_all: as returned by `nll_loss` and `uniform_loss`.
        label_smoothing: eps, in [0, 1].
        class_count: C.

    Returns:
        loss: as they are.

    >>> float(smooth_loss(np.array(2.0), np.array(8.0), 0.5, 2))
    3.0
    """
    return (1 - label_smoothing) * of_labels + of_all * (label_smoothing / class_count)


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
        loss: (N, *positions) or () for "none", else a scalar, in nats.

    >>> float(uniform_loss(np.array([[-1.0, -2.0]]), np.array([0])))
    3.0
    """
    rows = class_last(input)
    kept, classes = labels(target, rows.shape[-1], ignore_index)
    losses = -(rows if weight is None else rows * weight).sum(axis=-1)
    losses = np.where(kept, losses, 0.0)
    return reduce(losses, reduction, total_weight(kept, classes, weight))


def uniform_loss_backward(
    grad_output: np.ndarray,
    input: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> np.ndarray:
    r"""Give each class its weight in every row that counts.

        dL/dy_nc = -g w_c / sum_m w_{t_m}

    Args:
        grad_output: g, a scalar, or as the target for "none".
        input, target, weight, ignore_index, reduction: as given to `uniform_loss`.

    Returns:
        grad_input: as the input.

    >>> uniform_loss_backward(np.array(1.0), np.zeros((2, 2)), np.array([0, 1])).tolist()
    [[-0.5, -0.5], [-0.5, -0.5]]
    """
    shape = class_last(input).shape  # (N, *positions, C)
    kept, classes = labels(target, shape[-1], ignore_index)
    grad = -reduce_backward(grad_output, reduction, total_weight(kept, classes, weight))
    grad_rows = np.broadcast_to(np.where(kept, grad, 0.0)[..., None], shape)
    if weight is not None:
        grad_rows = grad_rows * weight
    return np.moveaxis(grad_rows, -1, class_dim(input))
