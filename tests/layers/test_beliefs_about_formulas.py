"""What people believe about layers: what they compute, and which way their gradients lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from reference.linear import linear, linear_backward
from reference.relu import relu_backward
from tests.claims.claim import Claim, holds, holds_with_care
from tests.claims.wide import fewer, wide
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes
from tests.harness.targets import Targets
from tests.harness.verdict import check


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
    shown = {"H": h, "dOut": d_out, "dOut H": as_said, "dOut^T H": grad}
    claim.shows("; ".join(f"{name} {x.astype(int).tolist()}" for name, x in shown.items()))


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


@holds("L9", "nn.Identity returns its input itself, and has no parameters")
@fewer
@given(array=arrays((2, 2), "uniform"))
def test_identity_is_the_identity(claim: Claim, targets: Targets, array: DrawnArray) -> None:
    for target, _ in wide(targets):
        x = array.tensor(target)
        identity = nn.Identity(54, unused=0.1)
        assert identity(x) is x
        assert not list(identity.parameters())
    y = torch.ones(2)
    claim.shows(f"Identity()(x) is x: {nn.Identity()(y) is y}")


batches = st.tuples(
    st.tuples(st.integers(2, 9), st.integers(1, 5)), st.sampled_from(("uniform", "offset"))
).flatmap(lambda drawn: arrays(*drawn, "contiguous", special=False))


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
        with torch.random.fork_rng():
            torch.manual_seed(seed)
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
        both.append((dropped[0], dropped[1]))
        for by_module, by_function in both:
            assert torch.equal(by_module, by_function)
        furthest = max((a - b).abs().max().item() for a, b in both)
        claim.shows(f"the largest difference between an nn.X and its F.x: {furthest:g}")
