"""Distributions: how likely a random number is to be at most x."""

import math

import numpy as np


def uniform_cdf(x: np.ndarray, a: float = 0.0, b: float = 1.0) -> np.ndarray:
    r"""Give the probability that a number spread evenly between a and b is at most x.

        F(x) = (x - a) / (b - a), and 0 or 1 outside

    Args:
        x: any shape.
        a, b: the ends, a at most b. Where a = b, every number is a.

    Returns:
        probability: as x.

    Raises:
        ValueError: if a is above b.

    >>> uniform_cdf(np.array([0.0, 1.5, 9.0]), 1.0, 3.0).tolist()
    [0.0, 0.25, 1.0]
    """
    if not a <= b:
        raise ValueError(f"a must be at most b, got {a} and {b}")
    if a == b:
        return np.where(x >= a, 1.0, 0.0)
    return np.clip((x - a) / (b - a), 0.0, 1.0)


def normal_cdf(x: np.ndarray, mean: float = 0.0, std: float = 1.0) -> np.ndarray:
    r"""Give the probability that a normal number is at most x.

    Symbols: z = (x - mean) / std; erfc the complementary error function, which keeps its digits in
    the tail, where 1 + erf cancels.

        F(x) = erfc(-z / sqrt(2)) / 2

    Args:
        x: any shape.
        mean: the middle, in units of x.
        std: the standard deviation, at least 0. Where it is 0, every number is the mean.

    Returns:
        probability: as x.

    Raises:
        ValueError: if std is below 0.

    >>> normal_cdf(np.array([-10.0, 0.0, 10.0])).round(25).tolist()
    [7.6e-24, 0.5, 1.0]

    Source: Abramowitz, Stegun, "Handbook of Mathematical Functions" (1964), section 26.2.
    """
    if not std >= 0:
        raise ValueError(f"std must be at least 0, got {std}")
    if std == 0:
        return np.where(x >= mean, 1.0, 0.0)
    return erfc((mean - x) / std / math.sqrt(2)) / 2


def trunc_normal_cdf(
    x: np.ndarray, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> np.ndarray:
    r"""Give the probability that a normal number is at most x, knowing that it is from a to b.

    Symbols: F the distribution of the normal numbers.

        G(x) = (F(x) - F(a)) / (F(b) - F(a)), and 0 or 1 outside

    Right of the mean F is near 1 and the differences cancel. There each of the three is replaced by
    1 - F, the distribution mirrored at the mean, and its sign by the other.

    Args:
        x: any shape.
        mean, std: of the normal numbers before they are cut off, std above 0.
        a, b: where they are cut off, a below b, and one of them within 37 std of the mean.

    Returns:
        probability: as x.

    Raises:
        ValueError: if std is not above 0, or a is not below b, or all of [a, b] is so far out that
            its probability is 0 in float64.

    >>> trunc_normal_cdf(np.array([-3.0, 0.0, 3.0])).tolist()
    [0.0, 0.5, 1.0]
    >>> trunc_normal_cdf(np.array([30.01]), a=30.0, b=31.0).round(6).tolist()  # near 1 - exp(-0.3)
    [0.259465]

    Source: Robert, "Simulation of truncated normal variables" (1995), section 1.
    """
    if not (std > 0 and a < b):
        raise ValueError(f"std must be above 0 and a below b, got std {std}, a {a}, b {b}")
    side = -1.0 if a > mean else 1.0  # mirrored, where all is right of the mean
    below_a, below_b, below_x = (
        normal_cdf(side * (np.asarray(end) - mean), 0.0, std) for end in (a, b, np.clip(x, a, b))
    )
    if below_a == below_b:
        raise ValueError(f"a, b: numbers from {a} to {b} have probability 0")
    return (below_x - below_a) / (below_b - below_a)


def erfc(x: np.ndarray) -> np.ndarray:
    """Apply the complementary error function to each element, as NumPy has none."""
    return np.asarray(np.frompyfunc(math.erfc, 1, 1)(x), np.float64)
