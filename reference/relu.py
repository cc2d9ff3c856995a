"""ReLU: the rectified linear unit."""

import numpy as np


def relu(input: np.ndarray) -> np.ndarray:
    r"""Keep what is positive, replace what is negative by zero.

    Without a bend between them, two Linear layers are one Linear layer. This is the cheapest bend.

        y = 0 where x < 0, else x

    Written as a choice rather than as max(0, x), because a choice settles the special values too:
    relu(-0.0) is -0.0, and NaN is not below zero, so it passes.

    Args:
        input: any shape.

    Returns:
        output: the same shape.

    >>> relu(np.array([-2.0, -0.0, 3.0, np.nan])).tolist()
    [0.0, -0.0, 3.0, nan]

    Source: Nair, Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines" (2010).
    """
    return np.where(input.real < 0, 0.0, input)


def relu_backward(grad_output: np.ndarray, input: np.ndarray) -> np.ndarray:
    r"""Let the gradient through where the input was positive, stop it elsewhere.

    The derivative is 0 below the kink and 1 above. At the kink itself, x = 0, it does not exist:
    any number in [0, 1] is a subgradient, and torch takes 0.

        dL/dx = 0 where x <= 0, else dL/dy

    A choice again, not a product with a mask: a NaN gradient at x <= 0 becomes 0, where a product
    would give NaN; and a NaN input, not being <= 0, lets the gradient through.

    Args:
        grad_output: dL/dy, any shape.
        input: the same shape, as given to `relu`.

    Returns:
        grad_input: the same shape.

    >>> relu_backward(np.array([5.0, 6.0, 7.0]), np.array([-1.0, 0.0, 1.0])).tolist()
    [0.0, 0.0, 7.0]

    Source: Goodfellow, Bengio, Courville, "Deep Learning" (2016), section 6.3.
    """
    return np.where(input.real <= 0, 0.0, grad_output)


def threshold(input: np.ndarray, threshold: float, value: float) -> np.ndarray:
    r"""Keep what is above a threshold, replace everything else by one value.

    ReLU with its bend and its floor put elsewhere; and for both at 0, ReLU again, but that -0.0,
    which is not above 0, becomes the floor, +0.0.

        y = value where x <= threshold, else x

    Args:
        input: any shape.
        threshold: in the input's units; what equals it is replaced.
        value: what replaces.

    Returns:
        output: the same shape.

    Divergence from torch: its documentation keeps x only where x > threshold, which would replace
    NaN; its code and this one pass NaN on.

    >>> threshold(np.array([-0.0, 1.0, 2.0, np.nan]), 1.0, -5.0).tolist()
    [-5.0, -5.0, 2.0, nan]

    Source: as of `relu`.
    """
    return np.where(input.real <= threshold, value, input)


def threshold_backward(grad_output: np.ndarray, input: np.ndarray, threshold: float) -> np.ndarray:
    r"""Let the gradient through where the input was above the threshold, stop it elsewhere.

        dL/dx = 0 where x <= threshold, else dL/dy

    Args:
        grad_output: dL/dy, any shape.
        input: the same shape, as given to `threshold`.
        threshold: as given to `threshold`.

    Returns:
        grad_input: the same shape.

    >>> threshold_backward(np.array([5.0, 6.0]), np.array([1.0, 1.5]), 1.0).tolist()
    [0.0, 6.0]

    Source: as of `relu_backward`, which is this at 0.
    """
    return np.where(input.real <= threshold, 0.0, grad_output)
