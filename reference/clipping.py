"""Gradient clipping: cutting gradients that are too large, by their norm or one by one."""

from collections.abc import Sequence

import numpy as np

Gradients = Sequence[np.ndarray]


def clip_grad_norm(
    grads: Gradients, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> tuple[list[np.ndarray], np.ndarray]:
    r"""Shorten all gradients together until their norm is at most max_norm.

    One steep wall in the loss would throw the parameters far away. All gradients are scaled by one
    factor, so that the step keeps its direction and loses only its length.

    Args:
        grads: arrays of any shapes. A parameter without gradient has none here.
        max_norm: the largest norm that is left alone, in the gradients' units.
        norm_type: p, any number but NaN (see `vector_norm`).
        error_if_nonfinite: refuse gradients whose norm is an infinity or NaN.

    Returns:
        the new gradients, and their norm before they were clipped, a scalar.

    Raises:
        ValueError: for a norm that is not finite, if so asked; and as `vector_norm`.

    >>> clipped, norm = clip_grad_norm([np.array([3.0]), np.array([4.0])], max_norm=1.0)
    >>> float(norm), [grad.round(4).tolist() for grad in clipped]
    (5.0, [[0.6], [0.8]])

    Source: Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks"
    (2013), section 3.2, algorithm 1.
    """
    total_norm = get_total_norm(grads, norm_type)
    if error_if_nonfinite and not np.isfinite(total_norm):
        raise ValueError(f"grads: their norm of order {norm_type} is {total_norm}, not finite")
    return clip_grads_with_norm(grads, max_norm, total_norm), total_norm


def get_total_norm(grads: Gradients, norm_type: float = 2.0) -> np.ndarray:
    r"""Measure all gradients by one number: the norm of their norms.

    For every p but 0 that is the norm of the one long vector that they would make, side by side.
    For p = 0, which counts, it is the number of gradients that are not all zero, as in torch.

    Args:
        grads: arrays of any shapes.
        norm_type: p, any number but NaN.

    Returns:
        total_norm: a scalar; 0 without gradients.

    Raises:
        ValueError: as `vector_norm`.

    >>> float(get_total_norm([np.array([3.0, 0.0]), np.array(-4.0)]))
    5.0
    """
    if not grads:
        return np.asarray(0.0)
    norms = np.stack([vector_norm(grad, norm_type) for grad in grads])  # (number of gradients,)
    return vector_norm(norms, norm_type)


def vector_norm(x: np.ndarray, norm_type: float = 2.0) -> np.ndarray:
    r"""Measure an array by the p-norm of its elements, whatever its shape.

        |x|_p = (sum_i |x_i|^p)^(1/p)          p not 0

    and its limits:

        |x|_inf = max_i |x_i|        |x|_-inf = min_i |x_i|        |x|_0 = how many x_i are not 0

    For p < 0 one zero makes the norm 0.

    Args:
        x: any shape; complex numbers count by their absolute value.
        norm_type: p, any number but NaN.

    Returns:
        norm: a scalar, at least 0.

    Raises:
        ValueError: if p is below 0 or infinite and x is empty, where the norm has no value.

    Divergence from torch: none in exact arithmetic; but neither scales before it squares, so that a
    norm overflows where the squares do, and squares of tiny gradients are lost.

    >>> x = np.array([3.0, -4.0, 0.0])
    >>> [float(vector_norm(x, p)) for p in (1, 2, np.inf, -np.inf, 0, -1)]
    [7.0, 5.0, 4.0, 0.0, 2.0, 0.0]

    Source: Golub, Van Loan, "Matrix Computations" (4th edition, 2013), section 2.2.
    """
    if 0 in x.shape and (norm_type < 0 or norm_type == np.inf):
        raise ValueError(f"x: an empty array has no norm of order {norm_type}")
    sizes = np.abs(x)
    if norm_type == np.inf:
        return np.max(sizes)
    if norm_type == -np.inf:
        return np.min(sizes)
    if norm_type == 0:
        return np.where(sizes == 0, np.zeros_like(sizes), np.ones_like(sizes)).sum()
    with np.errstate(divide="ignore", over="ignore"):  # 0^-1 and what is too large: infinities
        if norm_type == 2:
            return np.sqrt((sizes * sizes).sum())
        return (sizes**norm_type).sum() ** (1 / norm_type)


def clip_grads_with_norm(
    grads: Gradients, max_norm: float, total_norm: np.ndarray
) -> list[np.ndarray]:
    r"""Scale all gradients by max_norm over their norm, where that makes them smaller.

    Symbols: g a gradient, c max_norm, n total_norm.

        g <- g min(1, c / (n + 1e-6))

    The 1e-6 keeps the division finite where all gradients are 0. So n = c is scaled, too, and the
    clipped norm comes out a little below c.

    Args:
        grads: arrays of any shapes.
        max_norm: c, in the gradients' units; below 0 it turns the gradients round, as in torch.
        total_norm: n, a scalar. Infinite, it makes every finite gradient 0; NaN makes all NaN.

    Returns:
        the new gradients.

    >>> clip_grads_with_norm([np.array([3.0, -4.0])], 10.0, np.array(5.0))[0].tolist()
    [3.0, -4.0]
    """
    with np.errstate(invalid="ignore"):  # 0 times infinity
        factor = np.minimum(max_norm * (1 / (total_norm + 1e-6)), 1.0)  # a reciprocal, as in torch
        return [grad * factor for grad in grads]


def clip_grad_value(grads: Gradients, clip_value: float) -> list[np.ndarray]:
    r"""Cut each element off at -clip_value and clip_value.

    Simpler than a norm, and it may turn the gradient: (3, 4) cut at 3 is (3, 3).

        g <- min(max(g, -c), c)

    Args:
        grads: arrays of any shapes, real.
        clip_value: c, in the gradients' units; below 0 every element becomes c, as in torch.

    Returns:
        the new gradients; NaN stays NaN.

    >>> clip_grad_value([np.array([0.5, -7.0])], 2.0)[0].tolist()
    [0.5, -2.0]

    Source: Mikolov, "Statistical Language Models Based on Neural Networks" (2012), section 3.2.2.
    """
    return [np.minimum(np.maximum(grad, -clip_value), clip_value) for grad in grads]
