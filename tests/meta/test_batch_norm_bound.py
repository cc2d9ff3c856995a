"""The bound of BatchNorm admits every sound algorithm for the statistics, and no unsound one."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.formats import FLOAT32
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import sides
from tests.layers.batch_norm import Kernels

# Not on the CPU, where torch takes the two passes, to be held to them.
KERNELS = Kernels("float32", "float32", "cuda", dense=True, alike=True)
ONE, ZERO = np.float32(1), np.float32(0)


def two_pass(x: np.ndarray) -> tuple[np.float32, np.float32]:
    """The formula, every sum from left to right in float32."""
    mean = total(x) / np.float32(len(x))
    return mean, total((x - mean) * (x - mean)) / np.float32(len(x))


def welford(x: np.ndarray) -> tuple[np.float32, np.float32]:
    """One pass: mean and squares are corrected by each value."""
    mean, squares = ZERO, ZERO
    for n, value in enumerate(x, start=1):
        distance = value - mean
        mean = mean + distance / np.float32(n)
        squares = squares + distance * (value - mean)
    return mean, squares / np.float32(len(x))


def halves(x: np.ndarray) -> tuple[np.float32, np.float32]:
    """Chan's: the statistics of two halves, put together."""
    if len(x) == 1:
        return x[0], ZERO
    n, m = np.float32(len(x) // 2), np.float32(len(x) - len(x) // 2)
    (mean, var), (other, other_var) = halves(x[: len(x) // 2]), halves(x[len(x) // 2 :])
    apart = other - mean
    squares = var * n + other_var * m + apart * apart * (n * m / (n + m))
    return mean + apart * (m / (n + m)), squares / (n + m)


def mean_square(x: np.ndarray) -> tuple[np.float32, np.float32]:
    """The unsound one: E[x^2] - E[x]^2 cancels where the mean is large."""
    mean = total(x) / np.float32(len(x))
    return mean, total(x * x) / np.float32(len(x)) - mean * mean


def total(x: np.ndarray) -> np.float32:
    return np.add.accumulate(x, dtype=np.float32)[-1]


def shifted_then_scaled(x: np.ndarray, mean: np.float32, std: np.float32) -> np.ndarray:
    return (x - mean) * (ONE / std)


def folded(x: np.ndarray, mean: np.float32, std: np.float32) -> np.ndarray:
    scale = ONE / std
    return x * scale + (ZERO - mean * scale)


@st.composite
def channels(draw: st.DrawFn) -> DrawnArray:
    family = draw(st.sampled_from(("integers", "uniform", "wide", "offset", "plateau")))
    return draw(arrays((draw(sides(at_least=2)), 1), family, "contiguous", special=False))


def excess(
    x: np.ndarray,
    statistics: Callable[..., tuple[np.float32, np.float32]],
    form: Callable[..., np.ndarray],
) -> float:
    """The worst error of an implementation in float32, as a share of the bound."""
    tracked = KERNELS.array(x)
    mean, var = KERNELS.statistics(tracked)
    output = KERNELS.output(tracked, mean, var, None, None, eps=2.0**-10)
    single = x[:, 0].astype(np.float32)
    with np.errstate(invalid="ignore"):  # the unsound one may see a negative variance
        got_mean, got_var = statistics(single)
        got = form(single, got_mean, np.sqrt(got_var + np.float32(2.0**-10)))
        shares = [
            np.abs(np.float64(got_mean) - mean.value) / np.maximum(mean.bound, 5e-324),
            np.abs(np.float64(got_var) - var.value) / np.maximum(var.bound, 5e-324),
            np.abs(got.astype(float) - output.value[:, 0]) / np.maximum(output.bound[:, 0], 5e-324),
        ]
    return max(np.nan_to_num(share, nan=np.inf).max() for share in shares)


@pytest.mark.parametrize("form", [shifted_then_scaled, folded])
@pytest.mark.parametrize("statistics", [two_pass, welford, halves])
@given(drawn=channels())
def test_sound_algorithms_are_admitted(statistics, form, drawn: DrawnArray) -> None:
    assert excess(drawn.numbers(FLOAT32.name), statistics, form) <= 1


@pytest.mark.parametrize("offset", [2.0**8, 2.0**10, 2.0**11])
def test_the_mean_square_less_the_squared_mean_is_not(offset: float) -> None:
    x = offset + np.random.default_rng(0).uniform(-1, 1, (16, 1)).astype(np.float32).astype(float)
    assert excess(x, two_pass, folded) <= 1
    assert excess(x, mean_square, shifted_then_scaled) > 1
