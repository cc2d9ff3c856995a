"""SGD: stochastic gradient descent, with momentum and weight decay."""

import numpy as np


def sgd_step(
    param: np.ndarray,
    grad: np.ndarray,
    momentum_buffer: np.ndarray | None = None,
    *,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> tuple[np.ndarray, np.ndarray | None]:
    r"""Move the parameter one step against its gradient.

    Momentum replaces the gradient by a sum of past gradients that fades geometrically: steady
    directions add up, alternating ones cancel. Weight decay adds the gradient of
    weight_decay/2 |p|^2, a pull towards zero.

    Symbols: p parameter, g gradient, b momentum buffer, mu momentum, lambda weight_decay.

        g <- g + lambda p
        b <- mu b + g          (the first b is g itself)
        p <- p - lr b          (p <- p - lr g where mu = 0)

    Args:
        param: any shape.
        grad: the same shape, dL/dp.
        momentum_buffer: the same shape, or None before the first step.
        lr: learning rate, at least 0.
        momentum: mu, at least 0; 0 keeps no buffer.
        weight_decay: lambda, at least 0.

    Returns:
        the new param, and the new momentum_buffer (None where momentum is 0).

    Divergence from the papers: the learning rate multiplies the whole buffer, as in torch, and not
    each gradient as it enters. The two differ when lr changes between steps.

    >>> p, g = np.array([1.5]), np.array([-0.8])
    >>> sgd_step(p, g, lr=0.01)[0].tolist()
    [1.508]

    Sources: Robbins, Monro, "A Stochastic Approximation Method" (1951); Sutskever, Martens, Dahl,
    Hinton, "On the importance of initialization and momentum in deep learning" (2013), section 2.
    """
    if weight_decay != 0:
        grad = grad + weight_decay * param
    if momentum != 0:
        momentum_buffer = grad if momentum_buffer is None else momentum * momentum_buffer + grad
        grad = momentum_buffer
    return param - lr * grad, momentum_buffer
