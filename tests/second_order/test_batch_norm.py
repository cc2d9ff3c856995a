"""BatchNorm in training: how the output moves with all three inputs, and so do its gradients."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.batch_norm import batch_norm, batch_norm_backward, inverse_std
from reference.batch_statistics import (
    all_but_channels,
    batch_statistics,
    per_channel,
    values_per_channel,
)
from tests.harness.dual import Dual, tangents
from tests.harness.formats import FORMATS
from tests.harness.record import note
from tests.harness.rounding import Rounding
from tests.harness.strategies.shapes import sides
from tests.harness.targets import Targets
from tests.references.proofs import agree
from tests.second_order.moving import Moving, moving, tame, verify

# torch's formulas have s^3, s the inverse standard deviation, and are wrong where that leaves the
# range of the dtype (`batch-norm-cubes-its-scale`), so the input is not of the extreme family.
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


def how_batch_norm_moves(
    x: Any, w: Any, v: Any, u: Any, t: Any, g: Any, eps: float
) -> tuple[Any, Any, Any]:
    r"""How the output and the gradients of input and weight move with input, weight and bias.

    Written as sums of separate terms, because torch multiplies them out, some before it adds and
    some after, and where they cancel that is what tells.

    Symbols: x the input, w the weight, v, u, t the directions of input, weight and bias, and
    g = grad_output; c = x - mean, s = 1 / std; sums run over the M values of a channel, <.> is
    their mean.

        J v = s (v - <v> - s^2 <vc> c)                    how x, normalised, moves: symmetric in v
        output moves by        w J v + u s c + t
        dL/dw = sum g s c      by sum g J v = sum v J g
        dL/dx = w J g          by u J g + w s^3 (c (<g><v> - <gv> + 3 s^2 <gc><vc>)
                                                 + <vc> (<g> - g) + <gc> (<v> - v))

    since s moves by -s^3 <vc>, <gc> by <gv> - <g><v>, and c by v - <v>.
    """
    axes, count = all_but_channels(x), values_per_channel(x)

    def total(x: Any) -> Any:
        return per_channel(x.sum(axis=axes), c)

    batch_mean, var = batch_statistics(x)
    c = x - per_channel(batch_mean, x)
    s, w, u, t = (per_channel(a, x) for a in (inverse_std(var, eps), w, u, t))

    css = c * s * s
    sum_g, gc, sum_v, vc = total(g), total(g * c), total(v), total(v * c)

    def normalised(v: Any, sum_v: Any, vc: Any, scale: Any) -> Any:
        """J v, times a scale."""
        h = scale * s / count
        return h * (v * count) + -(h * sum_v) + -(h * (css * vc))

    along = sum_g * sum_v / count + -total(g * v) + 3 / count * (s * s * gc * vc)
    grad_input = (
        w * (css * s * along / count)
        + w * (vc * s * s * s / count * (sum_g / count + -g))
        + w * (gc * s * s * s / count * (sum_v / count + -v))
        + normalised(g, sum_g, gc, u)
    )
    grad_weight = (v * normalised(g, sum_g, gc, 1.0)).sum(axis=axes)
    output = normalised(v, sum_v, vc, w) + u * c * s + t
    return output, grad_input, grad_weight


def moved(case: MovingBatch, dtype: str) -> dict[str, Any]:
    kernel = Rounding.kernel(dtype)
    x, w = (kernel.array(case.inputs.inputs[n].numbers(dtype)) for n in ("input", "weight"))
    v, u, t = (kernel.array(d.numbers(dtype)) for d in case.inputs.directions.values())
    g = kernel.array(case.inputs.grad_output.numbers(dtype))
    moves = how_batch_norm_moves(x, w, v, u, t, g, case.eps)
    output, grad_input, grad_weight = map(kernel.stored, moves)
    return {
        "tangent": output,
        "second grad_output": output,
        "second grad_input": grad_input,
        "second grad_weight": grad_weight,
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
    output, grad_input, grad_weight = how_batch_norm_moves(x, w, v, u, t, g, 0.1)
    agree(output, tangents(forward, Dual(x, v), Dual(w, u), Dual(b, t)))
    by_input, by_weight, _ = tangents(backward, Dual(g), Dual(x, v), Dual(w, u))
    agree(grad_input, by_input)
    agree(grad_weight, by_weight)
