"""Cross-entropy of class scores against class labels, in the two steps that autograd records."""

import numpy as np


def cross_entropy(input: np.ndarray, target: np.ndarray) -> np.ndarray:
    r"""Average how surprised the scores are by the true classes.

    The loss of classification: -log of the probability that the softmax of the scores gives to the
    true class, averaged over the batch. Its gradient with respect to the scores is as simple as a
    gradient can be, (softmax(x) - onehot(t)) / N: prediction minus truth. That is what the two
    backward steps below compute when they are chained.

    Symbols: x_nc the score (logit) of class c in row n, t_n the true class of row n, N rows.

        L = -1/N sum_n log softmax(x_n)_{t_n}

    Args:
        input: (N, C) scores, any real numbers.
        target: (N,) integers in [0, C).

    Returns:
        loss: a scalar, in nats.

    Raises:
        ValueError: if a target is not a class.

    Divergence from torch: none. An empty batch has no mean, and gives NaN in both.

    >>> float(cross_entropy(np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([0, 1])) - np.log(2))
    0.0

    Source: Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.3.4.
    """
    return nll_loss(log_softmax(input), target)


def log_softmax(input: np.ndarray) -> np.ndarray:
    r"""Turn scores into log-probabilities.

    Shifting a row of scores by a constant changes no probability. The shift by the row's maximum
    makes the largest exponential 1, so that none overflows and their sum is never 0.

    Symbols: m_n = max_c x_nc.

        log softmax(x)_nc = (x_nc - m_n) - log sum_k exp(x_nk - m_n)

    Args:
        input: (N, C) scores, C at least 1.

    Returns:
        log_probabilities: (N, C), each at most 0; exp of a row sums to 1.

    >>> log_softmax(np.array([[1000.0, 1000.0]])).tolist() == [[-np.log(2), -np.log(2)]]
    True

    Source: Higham, Blanchard, Higham, "Accurately computing the log-sum-exp and softmax functions"
    (2021), section 4, the shifted formulas.
    """
    shifted = input - input.real.max(axis=1, keepdims=True)  # (N, C) - (N, 1)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # (N, C) - (N, 1)


def log_softmax_backward(grad_output: np.ndarray, output: np.ndarray) -> np.ndarray:
    r"""Carry the gradient from log-probabilities back to scores.

    Raising one score lowers all the other probabilities of its row; the second term is that effect.

    Symbols: g = dL/dy, y the log-probabilities, so exp(y) is the softmax.

        dL/dx_nc = g_nc - exp(y_nc) sum_k g_nk

    Args:
        grad_output: (N, C), dL/dy.
        output: (N, C), as returned by `log_softmax`.

    Returns:
        grad_input: (N, C); each row sums to 0.

    >>> log_softmax_backward(np.array([[-1.0, 0.0]]), np.log(np.array([[0.25, 0.75]]))).tolist()
    [[-0.75, 0.75]]
    """
    return grad_output - np.exp(output) * grad_output.sum(axis=1, keepdims=True)


def nll_loss(log_probabilities: np.ndarray, target: np.ndarray) -> np.ndarray:
    r"""Average the negative log-likelihood of the true classes.

        L = -1/N sum_n y_{n, t_n}

    Args:
        log_probabilities: (N, C).
        target: (N,) integers in [0, C).

    Returns:
        loss: a scalar; NaN for an empty batch.

    Raises:
        ValueError: if a target is not a class.

    >>> float(nll_loss(np.array([[-1.0, -2.0], [-3.0, -4.0]]), np.array([0, 1])))
    2.5
    """
    rows, classes = log_probabilities.shape
    if not np.all((target >= 0) & (target < classes)):
        raise ValueError(f"target: each must be one of the {classes} classes 0 to {classes - 1}")
    with np.errstate(invalid="ignore"):  # 0 / 0 for an empty batch
        return -log_probabilities[np.arange(rows), target].sum() / rows


def nll_loss_backward(
    grad_output: np.ndarray, log_probabilities: np.ndarray, target: np.ndarray
) -> np.ndarray:
    r"""Give -1/N of the loss's gradient to each row's true class, nothing to the others.

        dL/dy_nc = -g / N where c = t_n, else 0

    Args:
        grad_output: a scalar, the gradient of whatever follows with respect to the loss.
        log_probabilities: (N, C), as given to `nll_loss`.
        target: (N,) integers in [0, C).

    Returns:
        grad_log_probabilities: (N, C).

    >>> nll_loss_backward(np.array(1.0), np.zeros((2, 2)), np.array([0, 1])).tolist()
    [[-0.5, 0.0], [0.0, -0.5]]
    """
    rows, classes = log_probabilities.shape
    is_target = target[:, None] == np.arange(classes)  # (N, 1) == (C,) -> (N, C)
    return np.where(is_target, -grad_output / max(rows, 1), 0.0)
