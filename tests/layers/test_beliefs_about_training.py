"""What people believe about layers that do one thing in training and another in evaluation."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from reference.dropout import dropout
from reference.linear import linear
from reference.relu import relu
from tests.claims.claim import Claim, does_not_hold, holds, holds_with_care
from tests.claims.wide import fewer, wide
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.targets import Targets
from tests.harness.verdict import check
from tests.layers.batch_norm import Kernels

batches = st.tuples(st.integers(2, 9), st.integers(1, 5)).flatmap(
    lambda shape: arrays(shape, "uniform", "contiguous", special=False)
)


@holds("L6", "BatchNorm normalises each feature over the batch, then rescales by gamma and beta")
@fewer
@given(array=batches, gamma=st.integers(-4, 4), beta=st.integers(-4, 4))
def test_batch_norm_normalises_and_rescales(
    claim: Claim, targets: Targets, array: DrawnArray, gamma: int, beta: int
) -> None:
    features = array.shape[1]
    for target, rounding in wide(targets):
        kernels = Kernels(target.dtype, target.dtype, target.device, dense=True, alike=True)
        x = rounding.array(array.numbers(target.dtype))
        w, b = (rounding.array(np.full(features, float(n))) for n in (gamma, beta))
        expected = kernels.output(x, *kernels.statistics(x), w, b, eps=1e-5)
        scale, shift = (
            torch.full((features,), float(n), dtype=target.torch_dtype, device=target.device)
            for n in (gamma, beta)
        )
        y = F.batch_norm(array.tensor(target), None, None, scale, shift, training=True)
        check("batch_norm", "output", target, y, expected)
    three, twos, ones = torch.tensor([[1.0], [2.0], [3.0]]), torch.full((1,), 2.0), torch.ones(1)
    y = F.batch_norm(three, None, None, twos, ones, training=True)
    claim.shows("1, 2, 3 with gamma 2, beta 1: " + ", ".join(f"{v:.3f}" for v in y.flatten()))


@does_not_hold(
    "L7",
    "BatchNorm keeps the activations in [0, 1]",
    "before gamma and beta their mean is 0 and their variance v / (v + eps), a little below 1",
)
@given(array=batches)
def test_batch_norm_gives_mean_0_and_variance_a_little_below_1(
    claim: Claim, array: DrawnArray
) -> None:
    """In exact arithmetic; torch in float64 is off by fewer than 100 roundings."""
    x = array.numbers("float64")
    var = x.var(axis=0)
    y = F.batch_norm(torch.from_numpy(x.copy()), None, None, training=True).numpy()
    # Taking off the mean loses what it rounds, of numbers below 4, over a deviation.
    lost = 100 * 2.0**-53 * 4 / np.sqrt(var + 1e-5)
    assert (np.abs(y.mean(axis=0)) <= lost).all()
    assert (np.abs((y * y).mean(axis=0) - var / (var + 1e-5)) <= lost * (1 + np.abs(y).max())).all()
    example = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    low, high = nn.BatchNorm1d(1, dtype=torch.float64)(example).flatten().tolist()
    assert low < -0.99  # and not in [0, 1]
    claim.shows(f"-1 and 1 become {low:.6f} and {high:.6f}")


@holds_with_care(
    "L8",
    "dropout trains 2^n subnetworks, and inference uses the full one",
    "kept units are scaled by 1 / (1 - p): the mean over all 2^n masks is the full network exactly"
    " if it is linear, and not otherwise; eval is the identity",
)
@given(
    row=st.lists(st.integers(-8, 8), min_size=1, max_size=5),
    p=st.sampled_from((0.5, 0.75)),
    seed=st.integers(0, 99),
)
def test_the_mean_over_all_masks_is_the_linear_network(
    claim: Claim, row: list[int], p: float, seed: int
) -> None:
    """1 / (1 - p) is 2 or 4 and the weights are small, so that nothing rounds."""
    x = np.array(row, np.float64)
    weight = np.random.default_rng(seed).integers(-4, 5, (3, len(row))).astype(np.float64)

    def mean_over_masks(network: Any) -> Any:
        return sum(
            math.prod(1 - p if kept else p for kept in mask)
            * network(dropout(x, np.array(mask, np.float64), p))
            for mask in product((0, 1), repeat=len(x))
        )

    full = linear(x, weight)
    np.testing.assert_array_equal(mean_over_masks(lambda h: linear(h, weight)), full)
    h = torch.tensor(x)
    assert torch.equal(F.dropout(h, p, training=False), h)
    trained = F.dropout(h, p, training=True)
    assert ((trained == 0) | (trained == h / (1 - p))).all()
    # x1 + x2 of (1, -1), rectified: over the four masks 0, 2, 0 and 0.
    p, x = 0.5, np.array([1.0, -1.0])
    mean, of_full = mean_over_masks(lambda h: relu(h.sum())), relu(x.sum())
    assert mean != of_full
    claim.shows(f"relu(x1 + x2) at (1, -1), p = 1/2: mean over the masks {mean}, full {of_full}")
