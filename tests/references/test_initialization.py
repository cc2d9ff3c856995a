"""Gains, fans and spreads by hand, and what they are for: activations that stay level."""

import math
from fractions import Fraction as Exact

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.initialization import (
    GAINS,
    calculate_gain,
    dirac,
    fans,
    kaiming_std,
    linear_parameters,
    xavier_std,
)

U = Exact(2) ** -53
sides = st.integers(1, 300)
weights = st.lists(sides, min_size=2, max_size=5).map(tuple)


def close_to_root(got: float, square: Exact, roundings: int) -> bool:
    """Whether a number is the root of a fraction, up to so many roundings."""
    return abs(Exact(got) ** 2 - square) <= (2 * roundings + 1) * U * square


def test_gains_by_hand():
    assert {name: Exact(gain) for name, gain in GAINS.items() if gain in {0.75, 1.0}} == {
        **{f"conv{kind}{n}d": 1 for kind in ("", "_transpose") for n in (1, 2, 3)},
        "linear": 1,
        "sigmoid": 1,
        "selu": Exact(3, 4),
    }
    assert calculate_gain("tanh") == 5 / 3
    assert close_to_root(calculate_gain("relu"), Exact(2), 1)
    assert calculate_gain("leaky_relu") == calculate_gain("leaky_relu", 0.01)


@given(slope=st.floats(-4, 4))
def test_the_gain_of_a_leaky_relu_undoes_its_mean_square(slope):
    """Half of normal numbers are kept, half times the slope: (1 + slope^2) / 2 of the square."""
    square = 2 / (1 + Exact(slope) ** 2)
    assert close_to_root(calculate_gain("leaky_relu", slope), square, 4)


@given(shape=weights)
def test_fans_count_the_connections(shape):
    """Every output is connected to fan_in inputs: out * fan_in = all weights, as in * fan_out."""
    fan_in, fan_out = fans(shape)
    assert shape[0] * fan_in == shape[1] * fan_out == math.prod(shape)


@given(shape=weights, gain=st.sampled_from((1.0, 0.5, 3.0)))
def test_xavier_is_the_root_of_the_mean_fan(shape, gain):
    fan_in, fan_out = fans(shape)
    assert close_to_root(xavier_std(shape, gain), Exact(gain) ** 2 * Exact(2, fan_in + fan_out), 3)


@given(
    shape=weights, mode=st.sampled_from(("fan_in", "fan_out")), a=st.sampled_from((0.0, 1.0, 0.5))
)
def test_kaiming_is_the_root_of_one_fan(shape, mode, a):
    fan = fans(shape)[("fan_in", "fan_out").index(mode)]
    square = 2 / (1 + Exact(a) ** 2) / fan
    assert close_to_root(kaiming_std(shape, a, mode), square, 7)


@given(inputs=sides)
def test_the_default_of_linear_is_kaiming_with_slope_root_5(inputs):
    """sqrt(3) times the spread is the limit: sqrt(3) sqrt(2 / 6) / sqrt(in) = 1 / sqrt(in)."""
    limit = math.sqrt(3) * kaiming_std((7, inputs), a=math.sqrt(5))
    assert close_to_root(limit, Exact(1, inputs), 10)


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_kaiming_keeps_the_mean_square_through_an_activation(slope):
    """E[f(x)^2] of a standard normal x, as an integral, times fan_in weights of that spread."""
    with mpmath.workdps(20):
        positive = mpmath.quad(lambda x: x**2 * mpmath.npdf(x), [0, 10, 40])
        mean_square = float(positive * (1 + slope**2))
    assert abs(mean_square * 64 * kaiming_std((8, 64), a=slope) ** 2 - 1) <= 1e-14


def test_dirac_passes_channels_on_and_pads_with_zeros():
    """A convolution with it: the middle tap of channel i is output i, and the others are 0."""
    weight = dirac((4, 3, 3))
    x = np.arange(12.0).reshape(3, 4)
    padded = np.pad(x, ((0, 0), (1, 1)))
    windows = np.stack([padded[:, k : k + 4] for k in range(3)], axis=1)  # (channel, tap, position)
    output = np.einsum("oik,ikp->op", weight, windows)
    assert output.tolist() == [*x.tolist(), [0] * 4]


def test_dirac_in_groups_repeats_itself():
    alone = dirac((2, 2, 3, 1))
    assert dirac((6, 2, 3, 1), groups=3).tolist() == np.concatenate([alone] * 3).tolist()
    assert dirac((0, 2, 3)).shape == (0, 2, 3)


def test_parameters_of_a_linear_layer_fill_their_range():
    """Of 4000 numbers, the largest is below 99 % of the limit with probability 0.99^4000."""
    weight, bias = linear_parameters(np.random.default_rng(1), 16, 4000)
    for numbers in (weight, bias):
        assert 0.99 * 0.25 < numbers.max() <= 0.25
        assert 0.99 * 0.25 < -numbers.min() <= 0.25


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: calculate_gain("gelu"), "nonlinearity: gelu is not one of leaky_relu, "),
        (lambda: fans((3,)), r"shape: \(3,\) has no inputs and outputs"),
        (lambda: xavier_std((2, 3, 0)), "neither inputs nor outputs"),
        (lambda: kaiming_std((0, 3), mode="fan_out"), "has a fan_out of 0"),
        (lambda: kaiming_std((2, 3), mode="fan_both"), "mode must be fan_in or fan_out"),
        (lambda: dirac((2, 2)), "has 3 to 5 dimensions"),
        (lambda: dirac((3, 2, 1), groups=2), "do not fall into 2 equal parts"),
        (lambda: linear_parameters(np.random.default_rng(0), 0, 1), "in_features must be"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
