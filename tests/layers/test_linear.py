"""Linear: output and gradients, for inputs of one to four dimensions in every layout."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.linear import linear, linear_backward
from tests.harness.doors import DOORS, gradients
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes, sides
from tests.harness.strategies.values import families
from tests.harness.targets import Targets
from tests.harness.verdict import check


@dataclass(frozen=True)
class LinearCase:
    """A layer, its input, and the gradient that comes back to its output."""

    input: DrawnArray
    weight: DrawnArray
    bias: DrawnArray | None
    grad_output: DrawnArray


@st.composite
def linear_cases(draw: st.DrawFn) -> LinearCase:
    batch = draw(shapes(max_dims=3, max_elements=257))
    rows = max(1, math.prod(batch))
    in_features = draw(sides(at_most=8192 // rows))
    out_features = draw(sides(at_most=8192 // max(rows, in_features)))
    family = draw(families)
    return LinearCase(
        input=draw(arrays((*batch, in_features), family)),
        weight=draw(arrays((out_features, in_features), family)),
        bias=draw(st.none() | arrays((out_features,), family)),
        grad_output=draw(arrays((*batch, out_features), family)),
    )


@given(case=linear_cases())
def test_linear_and_its_gradients_equal_the_reference(targets: Targets, case: LinearCase) -> None:
    out_features, in_features = case.weight.shape
    for dtype, paths in targets.by_dtype(*DOORS):
        # A matrix is one kernel; other inputs may be a product, stored, and a bias added to it.
        # Processors that multiply bfloat16 matrices (AVX512_BF16, AMX) flush subnormal numbers.
        kind = Rounding.kernel if len(case.input.shape) == 2 else Rounding.op_by_op
        rounding = kind(dtype, flushes=dtype == "bfloat16")
        input, weight, grad_output = (
            rounding.array(array.numbers(dtype))
            for array in (case.input, case.weight, case.grad_output)
        )
        bias = rounding.array(case.bias.numbers(dtype)) if case.bias else None
        output = rounding.stored(linear(input, weight, bias))
        backward = map(rounding.stored, linear_backward(grad_output, input, weight))
        expected = dict(zip(("input", "weight", "bias"), backward, strict=True))

        for target in paths:
            drawn = {"input": case.input, "weight": case.weight, "bias": case.bias}
            y, grads = gradients(
                target,
                F.linear,
                {name: array.tensor(target) for name, array in drawn.items() if array},
                case.grad_output.tensor(target),
                lambda: torch.nn.Linear(in_features, out_features, case.bias is not None),
            )
            check("linear", "output", target, y, output)
            for name, grad in grads.items():
                check("linear", f"grad_{name}", target, grad, expected[name])
