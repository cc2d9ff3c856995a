"""Softplus: the reference proved; then output and gradient of torch, with every option."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.softplus import softplus, softplus_backward
from tests.harness.doors import DOORS, gradients
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes
from tests.harness.strategies.values import families
from tests.harness.targets import Targets
from tests.harness.verdict import check
from tests.references.test_backward import agree, complex_step

numbers = st.floats(-700, 700)
betas = st.sampled_from((1.0, 0.5, 3.0, 0.1, -1.0))
thresholds = st.sampled_from((20.0, 1.0, 0.0, -2.0, 100.0))


@given(x=numbers, beta=betas)
def test_the_reference_is_odd_but_for_the_identity(x: float, beta: float) -> None:
    """log(1 + e^z) - log(1 + e^-z) = z: to the half ulp of each of its eight roundings."""
    there, back = softplus(np.array([x, -x]), beta, threshold=np.inf)
    assert abs(there - back - x) <= 8 * 2.0**-53 * (abs(there) + abs(back) + abs(x))


@pytest.mark.parametrize(("beta", "threshold"), [(1.0, 20.0), (0.5, 0.0), (-2.0, 1.0)])
def test_the_backward_pass_is_the_derivative(beta: float, threshold: float) -> None:
    generator = np.random.default_rng(0)
    x, g = 3 * generator.standard_normal(20), generator.standard_normal(20)
    derivative = complex_step(partial(softplus, beta=beta, threshold=threshold), x, g)
    agree(softplus_backward(g, x, beta, threshold), derivative)


@pytest.mark.parametrize("beta", [0.0, float("nan")])
def test_a_beta_of_0_is_refused(beta: float) -> None:
    with pytest.raises(ValueError, match=f"beta must not be 0, got {beta}"):
        softplus(np.ones(1), beta)


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


@given(case=softplus_cases())
def test_softplus_and_its_gradient_equal_the_reference(
    targets: Targets, case: SoftplusCase
) -> None:
    options = case.beta, case.threshold
    for dtype, paths in targets.by_dtype(*DOORS):
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
