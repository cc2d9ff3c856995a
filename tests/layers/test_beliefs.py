"""What people believe about layers: what they compute, and which way their gradients lie."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from reference.batch_norm import batch_norm
from reference.batch_statistics import batch_statistics
from reference.dropout import dropout
from reference.linear import linear, linear_backward
from reference.relu import relu, relu_backward
from tests.claims.claim import Claim, does_not_hold, holds, holds_with_care
from tests.claims.wide import fewer, wide
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes
from tests.harness.targets import Targets
from tests.harness.verdict import check
from tests.layers.batch_norm import Kernels


@st.composite
def linear_cases(draw: st.DrawFn) -> list[DrawnArray]:
    """Input of up to four dimensions, weight, bias, and the gradient that comes back."""
    batch = draw(shapes(max_dims=3, max_elements=17))
    inputs, outputs = draw(st.integers(1, 17)), draw(st.integers(1, 17))
    family = draw(st.sampled_from(("integers", "uniform")))
    of = (*batch, inputs), (outputs, inputs), (outputs,), (*batch, outputs)
    return [draw(arrays(shape, family, special=False)) for shape in of]


@holds(
    "L1",
    "Linear computes x W^T + b, W (out, in), for any leading dimensions; matmul does the same",
    "each to within its rounding bound, which grows with the size and number of the products",
)
@fewer
@given(case=linear_cases())
def test_linear_and_matmul_agree_to_within_rounding(
    claim: Claim, targets: Targets, case: list[DrawnArray]
) -> None:
    for target, rounding in wide(targets):
        expected = rounding.stored(
            linear(*(rounding.array(array.numbers(target.dtype)) for array in case[:3]))
        )
        x, w, b = (array.tensor(target) for array in case[:3])
        check("linear", "output", target, F.linear(x, w, b), expected)
        check("linear", "by matmul", target, torch.matmul(x, w.T) + b, expected)
    float32 = Rounding.kernel("float32")
    eight: Any = linear(
        *(float32.array(np.full(shape, np.float32(1 / 3))) for shape in ((1, 8), (1, 8), 1))
    )
    claim.shows(f"float32, 8 products of thirds: either may be off by {eight.bound.item():.1e}")


@holds_with_care(
    "L2",
    "the gradient of the weight is dOut * H",
    "in torch's layout dL/dW = dOut^T H; dL/dx = dOut W; dL/db sums the rows of dOut",
)
@fewer
@given(case=linear_cases())
def test_the_gradients_of_linear_are_products(
    claim: Claim, targets: Targets, case: list[DrawnArray]
) -> None:
    for target, rounding in wide(targets):
        x, w, b = (array.tensor(target, requires_grad=True) for array in case[:3])
        F.linear(x, w, b).backward(case[3].tensor(target))
        tracked = [rounding.array(case[i].numbers(target.dtype)) for i in (3, 0, 1)]
        for name, p, grad in zip("xWb", (x, w, b), linear_backward(*tracked), strict=True):
            check("linear", f"grad {name}", target, p.grad, rounding.stored(grad))
    h = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])  # two rows of three inputs
    d_out = np.array([[1.0, 0.0], [1.0, 1.0]])  # two outputs
    _, grad, _ = linear_backward(d_out, h, np.zeros((2, 3)))
    np.testing.assert_array_equal(grad, d_out.T @ h)
    with pytest.raises(ValueError, match="broadcast"):
        d_out * h
    as_said = d_out @ h
    assert (as_said != grad).any()
    claim.shows(f"dOut H: {as_said.tolist()}; dOut^T H: {grad.tolist()}")


@holds("L3", "ReLU passes the gradient where its input is > 0, and 0 where it is <= 0")
@fewer
@given(data=st.data(), shape=shapes(max_dims=2, max_elements=65))
def test_relu_passes_the_gradient_above_0(
    claim: Claim, targets: Targets, data: st.DataObject, shape: tuple[int, ...]
) -> None:
    drawn = data.draw(arrays(shape, "extreme")), data.draw(arrays(shape, "uniform"))
    for target, rounding in wide(targets):
        x = drawn[0].tensor(target, requires_grad=True)
        F.relu(x).backward(drawn[1].tensor(target))
        tracked = [rounding.array(array.numbers(target.dtype)) for array in drawn[::-1]]
        check("relu", "grad_input", target, x.grad, relu_backward(tracked[0], tracked[1]))
    corner = torch.tensor([-1.0, -0.0, 0.0, 1e-45, 1.0], requires_grad=True)
    F.relu(corner).backward(torch.full((5,), 2.0))
    assert corner.grad is not None
    claim.shows(f"gradient 2 at -1, -0, 0, 1e-45, 1: {[int(g) for g in corner.grad]}")


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


@does_not_hold(
    "L7",
    "BatchNorm keeps the activations in [0, 1]",
    "before gamma and beta their mean is 0 and their variance v / (v + eps), a little below 1",
)
@given(array=batches)
def test_batch_norm_gives_mean_0_and_variance_a_little_below_1(
    claim: Claim, array: DrawnArray
) -> None:
    """In exact arithmetic; the reference in float64 is off by fewer than 100 roundings."""
    x = array.numbers("float64")
    mean, var = batch_statistics(x)
    y = batch_norm(x, mean, var)
    # Taking off the mean loses what it rounds, of numbers below 4, over a deviation.
    lost = 100 * 2.0**-53 * 4 / np.sqrt(var + 1e-5)
    assert (np.abs(y.mean(axis=0)) <= lost).all()
    assert (np.abs((y * y).mean(axis=0) - var / (var + 1e-5)) <= lost * (1 + np.abs(y).max())).all()
    example = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    low, high = nn.BatchNorm1d(1, dtype=torch.float64)(example).flatten().tolist()
    assert low < -0.99
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


@holds("L9", "nn.Identity returns its input itself, and has no parameters")
@fewer
@given(array=arrays((2, 2), "uniform"))
def test_identity_is_the_identity(claim: Claim, targets: Targets, array: DrawnArray) -> None:
    for target, _ in wide(targets):
        x = array.tensor(target)
        identity = nn.Identity(54, unused=0.1)
        assert identity(x) is x
        assert not list(identity.parameters())


@holds("L10", "nn.X and F.x compute the same: ReLU, Linear, dropout, cross-entropy, BatchNorm")
@fewer
@given(array=batches, seed=st.integers(0, 2**32 - 1), training=st.booleans())
def test_modules_and_functions_are_equal_bit_for_bit(
    claim: Claim, targets: Targets, array: DrawnArray, seed: int, training: bool
) -> None:
    rows, features = array.shape
    labels = torch.arange(rows) % features
    for target, _ in wide(targets):
        x, t = array.tensor(target), labels.to(target.device)
        linear_layer = nn.Linear(features, 3, device=target.device, dtype=target.torch_dtype)
        norm = nn.BatchNorm1d(features, device=target.device, dtype=target.torch_dtype)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.train(training)
        running = norm.running_mean.clone(), norm.running_var.clone()
        both = [
            (nn.ReLU()(x), F.relu(x)),
            (linear_layer(x), F.linear(x, linear_layer.weight, linear_layer.bias)),
            (nn.CrossEntropyLoss()(x, t), F.cross_entropy(x, t)),
            (norm(x), F.batch_norm(x, *running, norm.weight, norm.bias, training)),
            (norm.running_mean, running[0]),
            (norm.running_var, running[1]),
        ]
        dropped = []
        for drop in (nn.Dropout(0.5).train(training), lambda h: F.dropout(h, 0.5, training)):
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                dropped.append(drop(x))
        for by_module, by_function in [*both, tuple(dropped)]:
            assert torch.equal(by_module, by_function)
