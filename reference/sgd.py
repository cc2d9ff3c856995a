"""SGD: stochastic gradient descent, with momentum and weight decay."""

import numpy as np


def sgd_step(
    param: np.ndarray,
    grad: np.ndarray,
    momentum_buffer: np.ndarray | None = None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> tuple[np.ndarray, np.ndarray | None]:
    r"""Move the parameter one step against its gradient.

    Momentum replaces the gradient by a sum of past gradients that fades geometrically: steady
    directions add up, alternating ones cancel. Nesterov's variant looks one fading ahead. Weight
    decay adds the gradient of weight_decay/2 |p|^2, a pull towards zero.

    Symbols: p parameter, g gradient, b momentum buffer, mu momentum, tau dampening, lambda
    weight_decay.

        g <- -g                        (only to maximize)
        g <- g + lambda p
        b <- mu b + (1 - tau) g        (the first b is g itself, not dampened)
        g <- g + mu b                  (nesterov)     or     g <- b     or, where mu = 0, g
        p <- p - lr g

    Args:
        param: any shape.
        grad: the same shape, dL/dp.
        momentum_buffer: the same shape, or None before the first step.
        lr: learning rate, at least 0.
        momentum: mu, at least 0; 0 keeps no buffer.
        dampening: tau, how much less than whole a gradient enters the buffer.
        weight_decay: lambda, at least 0.
        nesterov: step along the gradient plus mu times the buffer; needs mu > 0 and tau = 0.
        maximize: climb instead of descending.

    Returns:
        the new param, and the new momentum_buffer (where momentum is 0, the one given).

    Raises:
        ValueError: if a hyperparameter is out of its range.

    Divergence from the papers: the learning rate multiplies the whole buffer, as in torch, and not
    each gradient as it enters. The two differ when lr changes between steps. A complex parameter
    is, as in torch, two real ones.

    >>> p, g = np.array([1.5]), np.array([-0.8])
    >>> sgd_step(p, g, lr=0.01)[0].tolist()
    [1.508]

    Sources: Robbins, Monro, "A Stochastic Approximation Method" (1951); Sutskever, Martens, Dahl,
    Hinton, "On the importance of initialization and momentum in deep learning" (2013), section 2.
    """
    for name, number in (("lr", lr), ("momentum", momentum), ("weight_decay", weight_decay)):
        if not number.real >= 0:
            raise ValueError(f"{name} must be at least 0, got {number}")
    if nesterov and not (momentum.real > 0 and dampening == 0):
        raise ValueError(
            f"nesterov needs momentum above 0 and dampening 0, got {momentum} and {dampening}"
        )
    if maximize:
        grad = -grad
    if weight_decay != 0:
        grad = grad + weight_decay * param
    if momentum != 0:
        if momentum_buffer is None:
            momentum_buffer = grad
        else:
            momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
        grad = grad + momentum * momentum_buffer if nesterov else momentum_buffer
    return param - lr * grad, momentum_buffer
