"""Linear: output and gradients, for inputs of one to four dimensions in every layout."""

import math
from dataclasses import dataclass

import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.linear import linear, linear_backward
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
    for dtype, paths in targets.by_dtype("functional"):
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
        grads = [rounding.stored(g) for g in linear_backward(grad_output, input, weight)]

        for target in paths:
            x, w = (a.tensor(target, requires_grad=True) for a in (case.input, case.weight))
            b = case.bias.tensor(target, requires_grad=True) if case.bias else None
            y = F.linear(x, w, b)
            check("linear", "output", target, y, output)
            y.backward(case.grad_output.tensor(target))
            check("linear", "grad_input", target, x.grad, grads[0])
            check("linear", "grad_weight", target, w.grad, grads[1])
            if b is not None:
                check("linear", "grad_bias", target, b.grad, grads[2])
