"""The mean and variance of every channel: of a batch, and the running ones that evaluation uses."""

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


def all_but_channels(input: np.ndarray) -> tuple[int, ...]:
    """The axes of rows and positions."""
    return (0, *range(2, input.ndim))


def values_per_channel(input: np.ndarray) -> int:
    """M: rows times positions."""
    return math.prod(input.shape[axis] for axis in all_but_channels(input))


def per_channel(x: np.ndarray, input: np.ndarray) -> np.ndarray:
    """(C,) -> (1, C, 1, ...), to stand beside the input."""
    return x.reshape(1, -1, *(1,) * (input.ndim - 2))
