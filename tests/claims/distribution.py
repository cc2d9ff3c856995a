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


def assert_normal(numbers: np.ndarray, std: float) -> None:
    """Numbers of mean 0: their distribution, and their size more closely than that can tell.

    The sum of n squares, over the variance, is a chi-squared number: further than 2 sqrt(n t) below
    n, or 2 sqrt(n t) + 2 t above, with probability at most 2 exp(-t). (Laurent, Massart, "Adaptive
    estimation of a quadratic functional by model selection" (2000), lemma 1.)
    """
    assert_distributed(numbers, normal(0, std))
    n, t = numbers.size, math.log(2 / FALSE_ALARMS)
    off = float(np.square(numbers / std, dtype=np.float64).sum()) - n
    allowed = 2 * math.sqrt(n * t)
    assert -allowed <= off <= allowed + 2 * t, f"the variance is off by {off / n:.0%}"


def assert_uniform(numbers: np.ndarray, limit: float) -> None:
    """Numbers up to a limit on both sides: their distribution, and the limit itself.

    The largest of n is a share d below the limit with probability (1 - d)^n, at most exp(-d n). A
    limit in float32 takes a few operations, each rounded.
    """
    assert_distributed(numbers, uniform(-limit, limit))
    largest, low = np.abs(numbers).max(), 1 - math.log(1 / FALSE_ALARMS) / numbers.size
    assert low * limit <= largest <= (1 + 4 * 2.0**-24) * limit, f"{largest}, not {limit}"


def uniform(low: float, high: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.clip((x - low) / (high - low), 0, 1)


def normal(mean: float, std: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.array([math.erfc((mean - v) / std / math.sqrt(2)) / 2 for v in x.tolist()])
