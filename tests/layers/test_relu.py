"""ReLU: which numbers pass, forward and backward, special values included."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.relu import relu, relu_backward
from tests.harness.doors import DOORS, gradients
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes
from tests.harness.strategies.values import families
from tests.harness.targets import Targets
from tests.harness.verdict import check


@dataclass(frozen=True)
class ReluCase:
    """An input, and the gradient that comes back."""

    input: DrawnArray
    grad_output: DrawnArray


@st.composite
def relu_cases(draw: st.DrawFn) -> ReluCase:
    shape, family = draw(shapes()), draw(families)
    of_shape = arrays(shape, family, special=1 / 2)
    return ReluCase(draw(of_shape), draw(of_shape))


@given(case=relu_cases())
def test_relu_and_its_gradient_equal_the_reference(targets: Targets, case: ReluCase) -> None:
    for dtype, paths in targets.by_dtype(*DOORS):
        rounding = Rounding.kernel(dtype)
        input = rounding.array(case.input.numbers(dtype))
        grad_output = rounding.array(case.grad_output.numbers(dtype))
        output, grad_input = relu(input), relu_backward(grad_output, input)
        for target in paths:
            x, g = case.input.tensor(target), case.grad_output.tensor(target)
            y, grads = gradients(target, F.relu, {"input": x}, g, torch.nn.ReLU)
            check("relu", "output", target, y, output)
            check("relu", "grad_input", target, grads["input"], grad_input)
