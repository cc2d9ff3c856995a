"""Batch normalisation: every channel shifted and scaled to mean 0 and variance 1."""

import math

import numpy as np


def batch_statistics(input: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Measure each channel over the batch and all positions: its mean and its variance.

    The variance is the average square of what is left when the mean is taken off. The other
    formula, E[x^2] - E[x]^2, is the same in real numbers and useless in rounded ones: where the
    mean is large the two terms agree in all their digits, and none are left of the difference.

    Symbols: x_ncp the input in row n, channel c, at position p; M values in each channel.

        mean_c = 1/M sum_np x_ncp        var_c = 1/M sum_np (x_ncp - mean_c)^2

    Args:
        input: (N, C, *positions).

    Returns:
        mean: (C,).
        var: (C,), the biased one: divided by M, not M - 1.

    Raises:
        ValueError: if there is one value per channel, which is its own mean.

    Divergence from torch: none. An empty batch has no statistics; the zeros returned serve nothing.

    >>> [x.tolist() for x in batch_statistics(np.array([[1.0, 5.0], [3.0, 5.0]]))]
    [[2.0, 5.0], [1.0, 0.0]]

    Source: Ioffe, Szegedy, "Batch Normalization" (2015), algorithm 1; Higham, "Accuracy and
    Stability of Numerical Algorithms" (2002), section 1.9, on the variance.
    """
    count = values_per_channel(input)
    if count == 1:
        raise ValueError("input: more than one value per channel is needed to train on")
    mean = input.sum(axis=all_but_channels(input)) / max(count, 1)
    centered = input - per_channel(mean, input)
    return mean, (centered * centered).sum(axis=all_but_channels(input)) / max(count, 1)


def batch_norm(
    input: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    *,
    eps: float = 1e-5,
) -> np.ndarray:
    r"""Take a channel's mean off, divide by its standard deviation, then scale and shift anew.

    In training mean and variance are the batch's own, so that every layer sees inputs of one size
    whatever the layers before it do; in evaluation they are the running ones, so that one row's
    output does not depend on its neighbours. Weight and bias give back the freedom taken away.

        y_ncp = (x_ncp - mean_c) / sqrt(var_c + eps) w_c + b_c

    Args:
        input: (N, C, *positions).
        mean, var: (C,), from `batch_statistics`, or running ones.
        weight, bias: (C,); absent, they are 1 and 0.
        eps: keeps the division finite, in the input's units squared.

    Returns:
        output: as the input.

    Raises:
        ValueError: if eps is negative.

    Divergence from torch: which refuses eps = 0 in training even where no variance is 0.

    >>> x = np.array([[1.0], [3.0]])
    >>> batch_norm(x, *batch_statistics(x), eps=0.0).tolist()
    [[-1.0], [1.0]]

    Source: Ioffe, Szegedy (2015), algorithms 1 and 2.
    """
    output = (input - per_channel(mean, input)) * per_channel(inverse_std(var, eps), input)
    if weight is not None:
        output = output * per_channel(weight, input)
    return output if bias is None else output + per_channel(bias, input)


def running_statistics(
    running_mean: np.ndarray,
    running_var: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    count: int,
    *,
    momentum: float | None = 0.1,
    batches: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Let the statistics that evaluation will use follow those of the batches.

    They stand for all data, of which a batch is a sample, so the variance that enters is the
    unbiased one. Normalisation itself uses the biased one.

    Symbols: m momentum, M count, the values per channel, t batches.

        running_mean <- (1 - m) running_mean + m mean
        running_var  <- (1 - m) running_var + m var M / (M - 1)

    With no momentum given m = 1/t, which makes both the plain averages over all batches so far.

    Args:
        running_mean, running_var: (C,), 0 and 1 before the first batch.
        mean, var: (C,), the batch's, from `batch_statistics`.
        count: M; of an empty batch, 0, nothing is learnt.
        momentum: how much of the new enters; None for the plain average.
        batches: t, how many batches there have been, this one included.

    Returns:
        the new running_mean, running_var.

    Divergence from the paper: none; it leaves the choice of average open.

    >>> new = running_statistics(np.zeros(1), np.ones(1), np.ones(1), np.ones(1), 2, momentum=0.5)
    >>> [x.tolist() for x in new]
    [[0.5], [1.5]]
    """
    if count == 0:
        return running_mean, running_var
    new = 1 / batches if momentum is None else momentum
    unbiased = var * (count / (count - 1))
    return (1 - new) * running_mean + new * mean, (1 - new) * running_var + new * unbiased


def batch_norm_backward(
    grad_output: np.ndarray,
    input: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    eps: float = 1e-5,
    training: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Carry the gradient back to the input, the weight and the bias.

    In evaluation the statistics are constants, and each value has a gradient of its own. In
    training each value moves the mean and the variance of its whole channel. To normalise is to
    forget shift and scale, so a gradient along them changes nothing: what is left is the gradient
    without its mean and without its component along the centered input.

    Symbols: g = dL/dy, s = 1 / sqrt(var + eps), M values per channel, sums over rows and positions.

        dL/dw_c = s_c sum g_ncp (x_ncp - mean_c)        dL/db_c = sum g_ncp
        dL/dx_ncp = g_ncp s_c w_c                                          in evaluation
        dL/dx_ncp = (g_ncp - k_c (x_ncp - mean_c) - 1/M sum g) s_c w_c     in training,
            k_c = s_c^2/M sum g_ncp (x_ncp - mean_c)

    Args:
        grad_output: (N, C, *positions), dL/dy.
        input, mean, var, weight, eps: as given to `batch_norm`.
        training: whether mean and var are the statistics of this input.

    Returns:
        grad_input: as the input.
        grad_weight, grad_bias: (C,).

    >>> x, g = np.array([[1.0], [3.0]]), np.array([[5.0], [6.0]])  # two values have no freedom left
    >>> batch_norm_backward(g, x, *batch_statistics(x), eps=0.0)[0].tolist()
    [[0.0], [0.0]]

    Source: Ioffe, Szegedy (2015), section 3, with its three steps multiplied out.
    """
    axes, count = all_but_channels(input), max(values_per_channel(input), 1)
    std_inverse = inverse_std(var, eps)
    centered = input - per_channel(mean, input)
    along = (grad_output * centered).sum(axis=axes)  # (C,)
    grad_bias = grad_output.sum(axis=axes)
    grad_weight = along * std_inverse
    grad_input = grad_output
    if training:
        shared = along * std_inverse * std_inverse / count
        grad_input = grad_input - per_channel(grad_bias / count, input)
        grad_input = grad_input - centered * per_channel(shared, input)
    grad_input = grad_input * per_channel(std_inverse, input)
    if weight is not None:
        grad_input = grad_input * per_channel(weight, input)
    return grad_input, grad_weight, grad_bias


def inverse_std(var: np.ndarray, eps: float) -> np.ndarray:
    """1 / sqrt(var + eps)."""
    if eps < 0:
        raise ValueError(f"eps must not be negative, got {eps}")
    with np.errstate(divide="ignore"):  # eps = 0 and a variance of 0
        return 1 / np.sqrt(var + eps)


def all_but_channels(input: np.ndarray) -> tuple[int, ...]:
    """The axes of rows and positions."""
    return (0, *range(2, input.ndim))


def values_per_channel(input: np.ndarray) -> int:
    """M: rows times positions."""
    return math.prod(input.shape[axis] for axis in all_but_channels(input))


def per_channel(x: np.ndarray, input: np.ndarray) -> np.ndarray:
    """(C,) -> (1, C, 1, ...), to stand beside the input."""
    return x.reshape(1, -1, *(1,) * (input.ndim - 2))
