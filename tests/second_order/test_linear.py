"""Linear: how the output moves with all three inputs, and the gradients of its gradients."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.linear import linear, linear_backward
from tests.harness.dual import Dual, tangents
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.harness.strategies.shapes import shapes, sides
from tests.harness.targets import Targets
from tests.second_order.moving import Moving, moving, verify


@st.composite
def moving_layers(draw: st.DrawFn) -> Moving:
    batch = draw(shapes(max_dims=3, max_elements=64))
    rows = max(1, math.prod(batch))
    inside = draw(sides(at_most=2048 // rows))
    out = draw(sides(at_most=2048 // max(rows, inside)))
    sizes = {"input": (*batch, inside), "weight": (out, inside), "bias": (out,)}
    return draw(moving(sizes, output_shape=(*batch, out)))


def moved_output(duals: dict[str, Dual], dtype: str, kernel: Rounding) -> Rounded:
    """The output is linear in each input: it moves by what the direction gives in its place.

    Each contribution is a kernel of its own; what they come to is added in the dtype, in any order.
    """
    input, weight, bias = duals.values()
    adding = Rounding.native(dtype)
    products = (
        kernel.stored(linear(*x))
        for x in ((input.tangent, weight.value), (input.value, weight.tangent))
    )
    first, second = map(adding.array, products)
    return adding.stored(first + second + adding.array(bias.tangent))


def moved(case: Moving, device: str, dtype: str) -> dict[str, Any]:
    kernel = Rounding.kernel(dtype, flushes=dtype == "bfloat16").on(device)
    duals = case.duals(kernel, dtype)
    grad_output = Dual(kernel.array(case.grad_output.numbers(dtype)))
    grads = tangents(linear_backward, grad_output, duals["input"], duals["weight"])
    output = moved_output(duals, dtype, kernel)
    return {
        "tangent": output,
        "second grad_output": output,
        "second grad_input": kernel.stored(grads[0]),
        "second grad_weight": kernel.stored(grads[1]),
    }


@given(case=moving_layers())
def test_linear_and_its_gradients_move_as_the_reference_does(
    targets: Targets, case: Moving
) -> None:
    for device in targets.devices:
        alone = replace(targets, devices=(device,))
        verify("linear", alone, case, F.linear, partial(moved, case, device))
