"""Softplus: output and gradient, with every option."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.softplus import softplus, softplus_backward
from tests.harness.doors import SideDoor, gradients, side_doors, through
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes
from tests.harness.strategies.values import families
from tests.harness.targets import Targets
from tests.harness.verdict import check

betas = st.sampled_from((1.0, 0.5, 3.0, 0.1, -1.0))
thresholds = st.sampled_from((20.0, 1.0, 0.0, -2.0, 100.0))


@dataclass(frozen=True)
class SoftplusCase:
    """An input, the gradient that comes back, and the options."""

    input: DrawnArray
    grad_output: DrawnArray
    beta: float
    threshold: float


@st.composite
def softplus_cases(draw: st.DrawFn) -> SoftplusCase:
    shape, family = draw(shapes(max_dims=5, max_elements=257)), draw(families)
    of_shape = arrays(shape, family, special=1 / 4)
    return SoftplusCase(draw(of_shape), draw(of_shape), draw(betas), draw(thresholds))


@given(case=softplus_cases(), door=side_doors)
def test_softplus_and_its_gradient_equal_the_reference(
    targets: Targets, case: SoftplusCase, door: SideDoor
) -> None:
    options = case.beta, case.threshold
    for dtype, paths in through(targets, door):
        rounding = Rounding.kernel(dtype)
        x, g = (rounding.array(a.numbers(dtype)) for a in (case.input, case.grad_output))
        output = rounding.stored(softplus(x, *options))
        grad_input = rounding.stored(softplus_backward(g, x, *options))
        for target in paths:
            y, grads = gradients(
                target,
                lambda x: F.softplus(x, *options),
                {"input": case.input.tensor(target)},
                case.grad_output.tensor(target),
                lambda: torch.nn.Softplus(*options),
            )
            check("softplus", "output", target, y, output)
            check("softplus", "grad_input", target, grads["input"], grad_input)
