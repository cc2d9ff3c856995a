"""What BatchNorm must do whatever its formula: torch against torch, within both their bounds."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.batch_statistics import all_but_channels
from tests.harness.border import to_numpy
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import sides
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check
from tests.layers.batch_norm import Kernels

EPS = 1e-3
# float64 adds up fewer than 100 gradients, each below |g| / sqrt(EPS) * 3 < 400.
ADDING_UP = 100 * 100 * 400 * 2.0**-53


@dataclass(frozen=True)
class SymmetryCase:
    """A batch, a gradient, another order of the rows, and a change of units."""

    input: DrawnArray
    grad_output: DrawnArray
    order: tuple[int, ...]
    scale: float  # a power of two, and
    shift: float  # a whole number: what they make of whole numbers is exact


@st.composite
def symmetry_cases(draw: st.DrawFn) -> SymmetryCase:
    rows, channels = draw(sides(at_least=2, at_most=33)), draw(sides(at_least=1, at_most=9))
    shape = (rows, channels, draw(st.integers(1, 3)))
    batches = arrays(shape, "integers", layout="contiguous", special=False)
    gradients = arrays(shape, "uniform", layout="contiguous", special=False)
    return SymmetryCase(
        input=draw(batches),
        grad_output=draw(gradients),
        order=tuple(np.random.default_rng(draw(st.integers(0, 2**32))).permutation(rows).tolist()),
        scale=draw(st.sampled_from((2.0, 0.25, -1.0, -4.0))),
        shift=float(draw(st.integers(-8, 8))),
    )


def normalized(
    target: Target, x: np.ndarray, g: np.ndarray, eps: float
) -> tuple[torch.Tensor, torch.Tensor, Any, Any]:
    """Output and gradient of torch, and how far each may be off."""
    kernels = Kernels(target.dtype, target.dtype, target.device, dense=True, alike=True)
    tracked = kernels.array(x)
    statistics = kernels.statistics(tracked)
    output = kernels.output(tracked, *statistics, None, None, eps=eps)
    gradients = kernels.gradients(g, tracked, *statistics, None, eps=eps, training=True)
    input, grad_output = (
        torch.from_numpy(a.copy()).to(target.device, target.torch_dtype) for a in (x, g)
    )
    input.requires_grad_()
    y = F.batch_norm(input, None, None, training=True, eps=eps)
    (grad,) = torch.autograd.grad(y, input, grad_output)
    return y, grad, output.bound, gradients["input"].bound


def like(target: Target, other: torch.Tensor, bound: np.ndarray, times: float = 1.0) -> Rounded:
    """What torch computed elsewhere, as an expectation that may be off by the bound."""
    value = to_numpy(other) * times
    return Rounded(Rounding.kernel(target.dtype), value, bound)


@settings(max_examples=settings().max_examples // 2)  # beside the reference, half of them will do
@given(case=symmetry_cases())
def test_batch_norm_sees_neither_the_units_nor_the_order_of_its_rows(
    targets: Targets, case: SymmetryCase
) -> None:
    """With eps s^2: BN(s x + t) = sign(s) BN(x), and its gradient is 1 / s times that for s g.

    Where s is negative so is sign(s) g, which is the gradient that is given.
    """
    order, sign = list(case.order), np.sign(case.scale)
    for dtype, paths in targets.by_dtype("functional"):
        x, g = case.input.numbers(dtype), case.grad_output.numbers(dtype)
        for target in paths:
            y, grad, *bounds = normalized(target, x, g, EPS)
            changed = case.scale * x[order] + case.shift, sign * g[order]
            y_changed, grad_changed, *more = normalized(target, *changed, EPS * case.scale**2)
            expected = like(target, y[order], bounds[0][order] + more[0], sign)
            check("batch_norm symmetries", "output", target, y_changed, expected)
            bound = bounds[1][order] / abs(case.scale) + more[1]
            expected = like(target, grad[order], bound, 1 / case.scale)
            check("batch_norm symmetries", "grad_input", target, grad_changed, expected)

            # A shift of the input changes nothing, so the gradient has no component along it.
            total = to_numpy(grad).sum(all_but_channels(x))
            within = np.abs(total) <= bounds[1].sum(all_but_channels(x)) + ADDING_UP
            assert within.all(), f"batch_norm on {target}: a channel's grad_input sums to {total}"
