"""Do numbers come from a distribution? A goodness-of-fit test with a stated false-alarm rate."""

import math
from collections.abc import Callable

import numpy as np

FALSE_ALARMS = 1e-9


def assert_distributed(
    numbers: np.ndarray, distribution: Callable[[np.ndarray], np.ndarray]
) -> None:
    """The numbers' own distribution function is nowhere further away than chance allows.

    By the inequality of Dvoretzky, Kiefer and Wolfowitz, with Massart's constant, that of n numbers
    is further than d from the true one with probability at most 2 exp(-2 n d²), for any n.
    """
    expected, n = distribution(np.sort(numbers, axis=None)), numbers.size
    below = np.arange(n) / n  # the share of numbers below each
    furthest = np.maximum(np.abs(expected - below), np.abs(expected - below - 1 / n)).max()
    allowed = math.sqrt(math.log(2 / FALSE_ALARMS) / (2 * n))
    assert furthest <= allowed, f"off by {furthest:.3f}; chance allows {allowed:.3f}"


def uniform(low: float, high: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.clip((x - low) / (high - low), 0, 1)


def normal(mean: float, std: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.array([math.erfc((mean - v) / std / math.sqrt(2)) / 2 for v in x.tolist()])
