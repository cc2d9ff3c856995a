"""What people believe about optimizers: the formulas, and what they adapt to."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from reference.adam import adam_step
from reference.adamw import adamw_step
from reference.sgd import sgd_step
from tests.claims.claim import Claim, holds, holds_with_care
from tests.claims.wide import fewer, wide
from tests.harness.border import to_numpy
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.targets import Targets
from tests.harness.verdict import check
from tests.optimizers.one_parameter import pairs, parameter, stepped


@holds("O1", "SGD: p <- p - lr g")
@fewer
@given(pair=pairs, lr=st.sampled_from((0.01, 0.5, 1.0)))
def test_sgd_goes_along_the_gradient(
    claim: Claim, targets: Targets, pair: tuple[DrawnArray, DrawnArray], lr: float
) -> None:
    for target, rounding in wide(targets, "for-loop"):
        numbers = (rounding.array(array.numbers(target.dtype)) for array in pair)
        expected, _ = sgd_step(*numbers, lr=lr)
        p = parameter(pair[0], target, pair[1])
        torch.optim.SGD([p], lr=lr).step()
        check("sgd", "param", target, p, rounding.stored(expected))
    weight = stepped(torch.optim.SGD, 1.5, -0.8, lr=0.01)
    bias = stepped(torch.optim.SGD, 0.5, -0.3, lr=0.01)
    # Three roundings, of lr, of the product and of the sum, of numbers below 2.
    assert abs(weight - 1.508) <= 3 * 2.0**-53
    assert abs(bias - 0.503) <= 3 * 2.0**-53
    claim.shows(f"1.5 - 0.01 (-0.8) = {weight:.4g}; 0.5 - 0.01 (-0.3) = {bias:.4g}")


@holds_with_care(
    "O2",
    "Adam: p <- p - lr m / (sqrt(v) + eps), m and v moving averages",
    "of m and v corrected for their start at 0, m / (1 - beta1^t) and v / (1 - beta2^t)",
)
@fewer
@given(pair=pairs)
def test_adam_corrects_the_start_of_its_averages(
    claim: Claim, targets: Targets, pair: tuple[DrawnArray, DrawnArray]
) -> None:
    for target, rounding in wide(targets, "for-loop"):
        param, grad = (rounding.array(array.numbers(target.dtype)) for array in pair)
        zeros = np.zeros(pair[0].shape)
        expected, *_ = adam_step(param, grad, zeros, zeros, 1)
        p = parameter(pair[0], target, pair[1])
        torch.optim.Adam([p]).step()
        check("adam", "param", target, p, rounding.stored(expected))
    first = -stepped(torch.optim.Adam, 0.0, 2.0)
    m, v = 0.1 * 2.0, 0.001 * 2.0**2
    uncorrected = 0.001 * m / (v**0.5 + 1e-8)
    assert uncorrected > 3 * first
    claim.shows(f"first step with lr 0.001: {first:.3g}; without the corrections {uncorrected:.3g}")


@holds(
    "O3",
    "AdamW: p <- p - lr wd p, apart from the gradient; then Adam",
    "while weight_decay of Adam is added to the gradient, and so goes through m and v",
)
@fewer
@given(pair=pairs, decay=st.sampled_from((0.1, 0.5)))
def test_adamw_decays_apart_from_the_gradient(
    claim: Claim, targets: Targets, pair: tuple[DrawnArray, DrawnArray], decay: float
) -> None:
    both = ((torch.optim.Adam, adam_step, "adam"), (torch.optim.AdamW, adamw_step, "adamw"))
    for target, rounding in wide(targets, "for-loop"):
        param, grad = (rounding.array(array.numbers(target.dtype)) for array in pair)
        zeros = np.zeros(pair[0].shape)
        for optimizer, step, name in both:
            p = parameter(pair[0], target, pair[1])
            optimizer([p], lr=0.01, weight_decay=decay).step()
            expected, *_ = step(param, grad, zeros, zeros, 1, lr=0.01, weight_decay=decay)
            check(name, "param", target, p, rounding.stored(expected))
    decoupled, coupled = (
        stepped(optimizer, 1.0, 0.0, lr=0.01, weight_decay=0.1) for optimizer, *_ in both[::-1]
    )
    assert decoupled > coupled + 0.005
    claim.shows(f"p = 1, no gradient, lr 0.01, wd 0.1: AdamW {decoupled:.4g}, Adam {coupled:.4g}")


@holds_with_care(
    "O13",
    "Adam adapts to each parameter, so the scale of the gradient does not matter",
    "exactly so for eps = 0; else not for gradients as small as eps",
)
@fewer
@given(
    drawn=st.lists(arrays((3,), "uniform", "contiguous", special=False), min_size=2, max_size=4),
    power=st.integers(-20, 20),
)
def test_adam_without_eps_ignores_the_scale(
    claim: Claim, targets: Targets, drawn: list[DrawnArray], power: int
) -> None:
    """A power of two scales without rounding: the paths are equal bit for bit."""
    for target, _ in wide(targets):
        start, *grads = drawn
        paths = []
        for scale in (1.0, 2.0**power):
            p = parameter(start, target)
            optimizer = torch.optim.Adam([p], lr=0.125, eps=0.0)
            for grad in grads:
                p.grad = grad.tensor(target) * scale
                optimizer.step()
            paths.append(p.detach())
        np.testing.assert_array_equal(to_numpy(paths[0]), to_numpy(paths[1]))
    usual, tiny = (-stepped(torch.optim.Adam, 0.0, grad, lr=0.1) for grad in (1.0, 1e-8))
    assert tiny < 0.6 * usual
    claim.shows(f"lr 0.1, first step: gradient 1 moves {usual:.3g}, gradient 1e-8 {tiny:.3g}")
