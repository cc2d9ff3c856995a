"""Log-softmax: scores turned into log-probabilities."""

import numpy as np


def log_softmax(input: np.ndarray, dim: int = -1) -> np.ndarray:
    r"""Turn scores into log-probabilities.

    Shifting all scores by a constant changes no probability. The shift by their maximum makes the
    largest exponential 1, so that none overflows and their sum is never 0.

    Symbols: x_c the score of class c, m = max_c x_c.

        log softmax(x)_c = (x_c - m) - log sum_k exp(x_k - m)

    Args:
        input: scores, of any shape with at least one class.
        dim: the dimension that counts the classes, C.

    Returns:
        log_probabilities: as the input, each at most 0; exp of them sums to 1 along dim.

    Divergence from torch: none. Where the largest score is infinite, inf - inf makes NaN in both.

    >>> log_softmax(np.array([[1000.0, 1000.0]])).tolist() == [[-np.log(2), -np.log(2)]]
    True

    Source: Higham, Blanchard, Higham, "Accurately computing the log-sum-exp and softmax functions"
    (2021), section 4, the shifted formulas.
    """
    with np.errstate(invalid="ignore"):  # inf - inf
        shifted = input - input.real.max(axis=dim, keepdims=True)  # (.., C, ..) - (.., 1, ..)
        return shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True))


def log_softmax_backward(grad_output: np.ndarray, output: np.ndarray, dim: int = -1) -> np.ndarray:
    r"""Carry the gradient from log-probabilities back to scores.

    Raising one score lowers all the other probabilities; the second term is that effect.

    Symbols: g = dL/dy, y the log-probabilities, so exp(y) is the softmax.

        dL/dx_c = g_c - exp(y_c) sum_k g_k

    Args:
        grad_output: dL/dy, of any shape.
        output: as returned by `log_softmax`.
        dim: the dimension that counts the classes.

    Returns:
        grad_input: as the output; it sums to 0 along dim.

    >>> log_softmax_backward(np.array([[-1.0, 0.0]]), np.log(np.array([[0.25, 0.75]]))).tolist()
    [[-0.75, 0.75]]
    """
    return grad_output - np.exp(output) * grad_output.sum(axis=dim, keepdims=True)
