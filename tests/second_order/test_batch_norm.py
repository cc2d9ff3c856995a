"""BatchNorm in training: how the output moves with all three inputs, and so do its gradients."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.batch_norm import (
    all_but_channels,
    batch_norm,
    batch_norm_backward,
    batch_statistics,
    inverse_std,
    per_channel,
    values_per_channel,
)
from tests.harness.dual import Dual, tangents
from tests.harness.formats import FORMATS
from tests.harness.record import note
from tests.harness.rounding import Rounding
from tests.harness.strategies.shapes import sides
from tests.harness.targets import Targets
from tests.references.test_backward import agree
from tests.second_order.moving import Moving, moving, tame, verify

# torch's formulas have s^3, s the inverse standard deviation: where that leaves the range of the
# dtype they lose what the function itself still tells, so the input is not of the extreme family.
families = st.sampled_from(("integers", "dyadic", "uniform", "wide", "offset", "plateau"))
epsilons = st.sampled_from((1e-5, 1.0, 2.0**-10))


@dataclass(frozen=True)
class MovingBatch:
    """A batch, weight and bias that move, and the eps."""

    inputs: Moving
    eps: float


@st.composite
def moving_batches(draw: st.DrawFn) -> MovingBatch:
    rows, channels = draw(sides(at_least=2, at_most=33)), draw(sides(at_least=1, at_most=17))
    positions = draw(st.lists(sides(at_least=1, at_most=2), max_size=2))
    shape = (rows, channels, *positions)
    sizes = {"input": shape, "weight": (channels,), "bias": (channels,)}
    inputs = moving(sizes, shape, special=False, of_inputs=families, of_directions=tame)
    return MovingBatch(draw(inputs), draw(epsilons))


def batch_norm_double_backward(
    direction: Any, direction_weight: Any, grad_output: Any, input: Any, weight: Any, eps: float
) -> tuple[Any, Any]:
    r"""The gradients of sum(directions * gradients) with respect to input and weight.

    Symbols: x centered, c = x - mean, and scaled by s = 1 / std and w; g = grad_output, v and u the
    directions of the gradients of input and weight; <.> the mean over a channel of M values.

        sum(v dL/dx) = w s M (<gv> - <g><v> - s^2 <gc><vc>)

        d/dx = w s^3 (c (<g><v> - <gv> + 3 s^2 <gc><vc>) + <vc> (<g> - g) + <gc> (<v> - v))
               + u s (g - <g> - s^2 <gc> c)
        d/dw = sum v s (g - <g> - s^2 <gc> c)

    since ds/dx = -s^3 c / M, d<gc>/dx = (g - <g>) / M and d<vc>/dx = (v - <v>) / M.
    """
    axes, count = all_but_channels(input), values_per_channel(input)

    def mean(x: Any) -> Any:
        return per_channel(x.sum(axis=axes) / count, input)

    batch_mean, var = batch_statistics(input)
    s, w, u = (per_channel(x, input) for x in (inverse_std(var, eps), weight, direction_weight))
    g, v, c = grad_output, direction, input - per_channel(batch_mean, input)
    gc, vc = mean(g * c), mean(v * c)
    along = mean(g) * mean(v) - mean(g * v) + 3 * s * s * gc * vc
    by_input = w * s * s * s * (c * along + vc * (mean(g) - g) + gc * (mean(v) - v))
    without_weight = s * (g - mean(g) - c * (s * s * gc))
    return by_input + u * without_weight, (v * without_weight).sum(axis=axes)


def moved(case: MovingBatch, dtype: str) -> dict[str, Any]:
    """Normalisation has a symmetric Jacobian: how it moves is what its backward pass computes."""
    kernel = Rounding.kernel(dtype)
    x, w = (kernel.array(case.inputs.inputs[n].numbers(dtype)) for n in ("input", "weight"))
    v, u, t = (kernel.array(d.numbers(dtype)) for d in case.inputs.directions.values())
    g = kernel.array(case.inputs.grad_output.numbers(dtype))
    statistics = batch_statistics(x)
    by_input, _, _ = batch_norm_backward(v, x, *statistics, w, eps=case.eps)
    by_the_others = batch_norm(x, *statistics, u, t, eps=case.eps)
    output = kernel.stored(by_input + by_the_others)
    second = batch_norm_double_backward(v, u, g, x, w, case.eps)
    return {
        "tangent": output,
        "second grad_output": output,
        "second grad_input": kernel.stored(second[0]),
        "second grad_weight": kernel.stored(second[1]),
    }


@given(case=moving_batches())
def test_batch_norm_and_its_gradients_move_as_the_reference_does(
    targets: Targets, case: MovingBatch
) -> None:
    def function(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(input, None, None, weight, bias, training=True, eps=case.eps)

    # In half types torch's formulas store every operation, and little is left of some of them.
    dtypes = tuple(dtype for dtype in targets.dtypes if FORMATS[dtype].precision >= 24)
    if dtypes != targets.dtypes:
        note("forward mode and double backward of batch_norm in half types")
    targets = replace(targets, dtypes=dtypes)
    verify("batch_norm", targets, case.inputs, function, lambda dtype: moved(case, dtype))


def test_the_formulas_above_are_the_derivatives_of_the_reference() -> None:
    def forward(x: Any, w: Any, b: Any) -> Any:
        return batch_norm(x, *batch_statistics(x), w, b, eps=0.1)

    def backward(g: Any, x: Any, w: Any) -> Any:
        return batch_norm_backward(g, x, *batch_statistics(x), w, eps=0.1)

    generator = np.random.default_rng(0)
    x, g, v = (generator.standard_normal((4, 3, 2)) for _ in range(3))
    w, u, b, t = (generator.standard_normal(3) for _ in range(4))
    by_x, by_w = batch_norm_double_backward(v, u, g, x, w, 0.1)
    grad_input, grad_weight, _ = tangents(backward, Dual(g), Dual(x, v), Dual(w, u))
    agree(by_x, grad_input)
    agree(by_w, grad_weight)
    by_input = backward(v, x, w)[0]
    agree(by_input + forward(x, u, t), tangents(forward, Dual(x, v), Dual(w, u), Dual(b, t)))
