"""Softplus: ReLU with its kink rounded off."""

import numpy as np


def softplus(input: np.ndarray, beta: float = 1.0, threshold: float = 20.0) -> np.ndarray:
    r"""Bend smoothly from 0, far below zero, to the identity, far above it.

    Its slope is the logistic function, so it is what ReLU becomes where a gradient is needed on
    both sides; and it is positive everywhere, as a variance or a rate must be. The larger beta, the
    sharper the bend.

        y = log(1 + exp(beta x)) / beta

    Far above zero that is x but for rounding, and the exponential would overflow:

        y = x where beta x > threshold

    Args:
        input: x, any shape.
        beta: in units of 1 / x, not 0.
        threshold: of beta x, without a unit.

    Returns:
        output: the same shape, in the input's units.

    Raises:
        ValueError: if beta is 0 or NaN.

    Divergence from torch: it divides by a beta of 0, and returns infinities.

    >>> softplus(np.array([-1000.0, 0.0, 1000.0])).tolist() == [0.0, np.log(2), 1000.0]
    True

    Source: Dugas et al., "Incorporating Second-Order Functional Knowledge for Better Option
    Pricing" (2001), section 2.
    """
    if not abs(beta) > 0:
        raise ValueError(f"beta must not be 0, got {beta}")
    scaled = beta * input
    with np.errstate(over="ignore"):  # above the threshold, where it is not used
        return np.where(scaled.real > threshold, input, np.log1p(np.exp(scaled)) / beta)


def softplus_backward(
    grad_output: np.ndarray, input: np.ndarray, beta: float = 1.0, threshold: float = 20.0
) -> np.ndarray:
    r"""Pass on the share of the gradient that the slope lets through.

        dL/dx = dL/dy where beta x > threshold, else dL/dy exp(beta x) / (exp(beta x) + 1)

    Args:
        grad_output: dL/dy, any shape.
        input: the same shape, as given to `softplus`.
        beta, threshold: as given to `softplus`.

    Returns:
        grad_input: the same shape.

    >>> softplus_backward(np.array([1.0, 1.0]), np.array([0.0, 50.0])).tolist()
    [0.5, 1.0]
    """
    scaled = beta * input
    with np.errstate(over="ignore", invalid="ignore"):  # the same, and infinity over infinity
        power = np.exp(scaled)
        return np.where(scaled.real > threshold, grad_output, grad_output * power / (power + 1))
