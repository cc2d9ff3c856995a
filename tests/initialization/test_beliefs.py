"""What people believe about initialisation: which distribution, and what it does to activations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import init

from tests.claims.claim import Claim, does_not_hold, holds
from tests.claims.distribution import assert_normal, assert_uniform
from tests.claims.wide import fewer

WIDTH = 256


@does_not_hold(
    "I1",
    "Linear's default weights are standard normal",
    "uniform between -1/sqrt(in) and 1/sqrt(in), and the bias, too",
)
@given(inputs=st.integers(1, 60), seed=st.integers(0, 2**32 - 1))
def test_linear_starts_uniform(claim: Claim, inputs: int, seed: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layer = nn.Linear(inputs, 1500, dtype=torch.float64)
        hundred = nn.Linear(100, 1000).weight.abs()
    limit = 1 / math.sqrt(inputs)
    for parameter in layer.parameters():
        numbers = parameter.detach().numpy()
        # torch takes two roots and a quotient to get the limit, each rounded.
        assert np.abs(numbers).max() <= limit * (1 + 4 * 2.0**-53)
        assert_uniform(numbers.reshape(-1)[:1500], limit)
    assert (hundred <= 0.1).all()  # of a standard normal, 92 % would be larger
    claim.shows(f"Linear(100, 1000): the largest of 100,000 weights is {hundred.max().item():.2f}")


GAINS = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "leaky_relu": math.sqrt(2 / (1 + 0.01**2)),
    "selu": 3 / 4,
}


@holds("I2", "Xavier: variance 2 / (fan_in + fan_out) times gain²; Kaiming: gain² / fan")
@fewer
@given(
    fan_in=st.integers(1, 60), nonlinearity=st.sampled_from(tuple(GAINS)), seed=st.integers(0, 999)
)
def test_xavier_and_kaiming_have_their_variances(
    claim: Claim, fan_in: int, nonlinearity: Any, seed: int
) -> None:
    fan_out = math.ceil(10_000 / fan_in)
    weight, random = torch.empty(fan_out, fan_in), torch.Generator().manual_seed(seed)
    gain = init.calculate_gain(nonlinearity)
    assert gain == GAINS[nonlinearity]
    xavier = gain * math.sqrt(2 / (fan_in + fan_out))
    kaiming = {"fan_in": gain / math.sqrt(fan_in), "fan_out": gain / math.sqrt(fan_out)}
    mode: Any = ("fan_in", "fan_out")[seed % 2]
    options: Any = {"mode": mode, "nonlinearity": nonlinearity, "generator": random, "a": 0.01}
    for std, drawn in (
        (xavier, init.xavier_normal_(weight.clone(), gain, generator=random)),
        (kaiming[mode], init.kaiming_normal_(weight.clone(), **options)),
    ):
        assert_normal(drawn.numpy(), std)
    for std, drawn in (
        (xavier, init.xavier_uniform_(weight.clone(), gain, generator=random)),
        (kaiming[mode], init.kaiming_uniform_(weight.clone(), **options)),
    ):
        assert_uniform(drawn.numpy(), std * math.sqrt(3))  # the variance of numbers up to a is a²/3
    claim.shows(f"gains: relu {GAINS['relu']:.3f}, tanh {GAINS['tanh']:.3f}, selu {GAINS['selu']}")


def growth(weights: list[torch.Tensor], activation: Any) -> list[float]:
    """The size of the activations after each layer, over that of the input."""
    random = np.random.default_rng(1)
    x = torch.from_numpy(random.standard_normal(WIDTH))
    sizes = [x.square().mean().sqrt().item()]
    for weight in weights:
        x = activation(x @ weight.T)
        sizes.append(x.square().mean().sqrt().item())
    return [size / sizes[0] for size in sizes[1:]]


@holds(
    "I3",
    "standard normal weights of width n scale activations by sqrt(n) per layer (256: 16, then 256);"
    " Xavier and Kaiming keep their scale over 100 layers",
)
def test_scales_of_activations_are_predicted(claim: Claim) -> None:
    """|Wx|² / |x|² of normal weights is s² times a chi-squared number with n degrees of freedom.

    So is each layer's, whatever it gets: of 256, within six standard deviations, 1 ± 6 sqrt(2/256).
    Over 100 layers the logarithms add up. ReLU doubles what Kaiming halves: a layer's spread is
    then 5/n instead of 2/n. A logarithm's mean is half its spread below 0.
    """
    random = np.random.default_rng(0)
    naive = [torch.from_numpy(random.standard_normal((WIDTH, WIDTH))) for _ in range(2)]
    seen = growth(naive, lambda x: x)
    spread = 6 * math.sqrt(2 / WIDTH)
    for layers, scale in enumerate(seen, start=1):
        low, high = (math.sqrt(WIDTH * (1 + side * spread)) ** layers for side in (-1, 1))
        assert low <= scale <= high
    generator, layers = torch.Generator().manual_seed(1), 100
    empty = torch.empty(WIDTH, WIDTH, dtype=torch.float64)

    def xavier() -> torch.Tensor:
        return init.xavier_normal_(empty.clone(), generator=generator)

    def kaiming() -> torch.Tensor:
        return init.kaiming_normal_(empty.clone(), nonlinearity="relu", generator=generator)

    for make, activation, variance in ((xavier, lambda x: x, 2), (kaiming, torch.relu, 5)):
        scale = growth([make() for _ in range(layers)], activation)[-1]
        drift, deviation = layers * variance / WIDTH / 2, math.sqrt(layers * variance / WIDTH)
        assert abs(2 * math.log(scale) + drift) <= 6 * deviation, f"scale {scale}"
    claim.shows(f"256 wide, standard normal: times {seen[0]:.1f}, then times {seen[1]:.0f} in all")


ARGUMENTS = {"constant_": (0.5,), "sparse_": (0.5,)}
FUNCTIONS = [name for name in dir(init) if name.endswith("_") and not name.startswith("_")]


@holds("I4", "init functions run under no_grad, in place, and return the tensor")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_init_functions_work_in_place(claim: Claim, name: str) -> None:
    shape = (4, 4, 3) if name == "dirac_" else (4, 4)
    parameter = nn.Parameter(torch.full(shape, math.nan))
    memory = parameter.data_ptr()
    returned = getattr(init, name)(parameter, *ARGUMENTS.get(name, ()))
    assert returned is parameter
    assert parameter.data_ptr() == memory
    assert not parameter.isnan().any()
    assert parameter.is_leaf
    assert parameter.requires_grad
    with pytest.raises(RuntimeError, match="in-place operation"):
        parameter.fill_(1)  # which they could not do either, were they recorded
    p = nn.Parameter(torch.zeros(2))
    claim.shows(f"ones_(p) is p: {init.ones_(p) is p}, and p = {p.tolist()}")
