"""The same claims as properties are ordinarily written, for `tests.meta.cost` to compare with.

One dtype and one way into torch at a time, arrays drawn number by number, and the tolerances that
everyone uses: these find less, and cost more.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from reference.linear import linear, linear_backward
from reference.mse_loss import mse_loss, mse_loss_backward
from reference.relu import relu, relu_backward
from tests.harness.doors import gradients
from tests.harness.record import RECORD
from tests.harness.targets import Target, Targets

TARGET = Target("cpu", "float32", "functional")
numbers = st.floats(-100, 100, width=32)


def float32(*shape: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float32, shape, elements=numbers)


def close(component: str, got: dict[str, torch.Tensor], expected: dict[str, Any]) -> None:
    """NumPy's `assert_allclose`, with tolerances of which all that is asked is to raise nothing."""
    for output, array in expected.items():
        np.testing.assert_allclose(got[output].detach().numpy(), array, rtol=1, atol=1)
        row = (TARGET.device, component, "ordinary", output)
        RECORD.tally(row, TARGET.dtype).examples += 1


def held(
    component: str,
    function: Callable[..., torch.Tensor],
    inputs: dict[str, np.ndarray],
    grad_output: np.ndarray,
    expected: dict[str, Any],
) -> None:
    tensors = {name: torch.tensor(x) for name, x in inputs.items()}
    output, grads = gradients(TARGET, function, tensors, torch.tensor(grad_output))
    found = {f"grad_{name}": grad for name, grad in grads.items() if grad is not None}
    close(component, {"output": output, **found}, expected)


@st.composite
def linear_inputs(draw: st.DrawFn) -> tuple[np.ndarray, ...]:
    rows, inside, out = (draw(st.integers(1, 8)) for _ in range(3))
    shapes = ((rows, inside), (out, inside), (out,), (rows, out))
    return tuple(draw(float32(*shape)) for shape in shapes)


@given(arrays=linear_inputs())
def test_linear_ordinarily(targets: Targets, arrays: tuple[np.ndarray, ...]) -> None:
    x, w, b, g = (array.astype(np.float64) for array in arrays)
    names = ("grad_input", "grad_weight", "grad_bias")
    expected = {"output": linear(x, w, b)} | dict(zip(names, linear_backward(g, x, w), strict=True))
    inputs = dict(zip(("input", "weight", "bias"), arrays, strict=False))
    held("linear", F.linear, inputs, arrays[3], expected)


@st.composite
def two_alike(draw: st.DrawFn) -> tuple[np.ndarray, ...]:
    shape = draw(array_shapes(max_dims=3, max_side=8))
    return draw(float32(*shape)), draw(float32(*shape))


@given(arrays=two_alike())
def test_relu_ordinarily(targets: Targets, arrays: tuple[np.ndarray, ...]) -> None:
    x, g = (array.astype(np.float64) for array in arrays)
    expected = {"output": relu(x), "grad_input": relu_backward(g, x)}
    held("relu", F.relu, {"input": arrays[0]}, arrays[1], expected)


@given(arrays=two_alike(), grad_output=numbers)
def test_mse_loss_ordinarily(
    targets: Targets, arrays: tuple[np.ndarray, ...], grad_output: float
) -> None:
    x, y = (array.astype(np.float64) for array in arrays)
    grads = mse_loss_backward(np.asarray(grad_output), x, y)
    names = ("grad_input", "grad_target")
    expected = {"output": mse_loss(x, y)} | dict(zip(names, grads, strict=True))
    inputs = dict(zip(("input", "target"), arrays, strict=True))
    held("mse_loss", F.mse_loss, inputs, np.asarray(grad_output, np.float32), expected)
