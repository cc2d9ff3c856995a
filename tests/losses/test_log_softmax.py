"""log_softmax: along every dimension of every layout; value and gradient."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.log_softmax import log_softmax, log_softmax_backward
from tests.harness.doors import SideDoor, gradients, side_doors, through
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import sides
from tests.harness.strategies.values import families
from tests.harness.targets import Targets
from tests.harness.verdict import check


@dataclass(frozen=True)
class LogSoftmaxCase:
    """Scores, the dimension that counts the classes, and the gradient that comes back."""

    input: DrawnArray
    dim: int
    grad_output: DrawnArray


@st.composite
def log_softmax_cases(draw: st.DrawFn) -> LogSoftmaxCase:
    dims = draw(st.integers(1, 5))
    dim = draw(st.integers(-dims, dims - 1))
    shape: tuple[int, ...] = ()
    for i in range(dims):
        at_most = 2048 // max(1, np.prod(shape, dtype=int))
        shape += (draw(sides(at_least=int(i == dim % dims), at_most=at_most)),)
    return LogSoftmaxCase(
        draw(arrays(shape, draw(families), special=1 / 2)), dim, draw(arrays(shape, draw(families)))
    )


@given(case=log_softmax_cases(), door=side_doors)
def test_log_softmax_and_its_gradient_equal_the_reference(
    targets: Targets, case: LogSoftmaxCase, door: SideDoor
) -> None:
    for dtype, paths in through(targets, door):
        kernel = Rounding.kernel(dtype)
        softmax = Rounding.kernel(dtype, stores=(np.sum, np.log))
        output = softmax.stored(log_softmax(softmax.array(case.input.numbers(dtype)), case.dim))
        grad_output = kernel.array(case.grad_output.numbers(dtype))
        grad_input = kernel.stored(
            log_softmax_backward(grad_output, kernel.array(output), case.dim)
        )
        for target in paths:
            y, grads = gradients(
                target,
                lambda x: F.log_softmax(x, case.dim),
                {"input": case.input.tensor(target)},
                case.grad_output.tensor(target),
                lambda: torch.nn.LogSoftmax(case.dim),
            )
            check("log_softmax", "output", target, y, output)
            check("log_softmax", "grad_input", target, grads["input"], grad_input)
