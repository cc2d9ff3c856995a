"""Batch normalisation: every channel shifted and scaled to mean 0 and variance 1."""

import numpy as np

from reference.batch_statistics import all_but_channels, per_channel, values_per_channel


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

    Divergence from torch: which refuses eps = 0 in training, and up to 2.11 in evaluation,
    even where no variance is 0.

    >>> x, mean, var = np.array([[1.0], [3.0]]), np.array([2.0]), np.array([1.0])
    >>> batch_norm(x, mean, var, eps=0.0).tolist()
    [[-1.0], [1.0]]

    Source: Ioffe, Szegedy, "Batch Normalization" (2015), algorithms 1 and 2.
    """
    output = (input - per_channel(mean, input)) * per_channel(inverse_std(var, eps), input)
    if weight is not None:
        output = output * per_channel(weight, input)
    return output if bias is None else output + per_channel(bias, input)


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

    >>> x, mean, var = np.array([[1.0], [3.0]]), np.array([2.0]), np.array([1.0])
    >>> g = np.array([[5.0], [6.0]])  # two values have no freedom left
    >>> batch_norm_backward(g, x, mean, var, eps=0.0)[0].tolist()
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
