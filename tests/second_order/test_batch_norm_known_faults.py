"""Where torch's second derivatives of BatchNorm are wrong: two entries of the ledger.

Two values -S and S in one channel, with eps = 3 S^2, have a mean of 0 and an inverse standard
deviation of 1 / (2 S), and whatever follows is a power of two times a small integer. With half
their distance d,

    y_2 = d / sqrt(d^2 + 3 S^2)     dy_2/dd = 3/8 / S     d^2 y_2/dd^2 = -9/32 / S^2   at d = S,

and when the first value moves by S, d moves by -S / 2. For y_1 all signs are the opposite.
"""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from tests.harness.targets import Target, Targets
from tests.harness.verdict import exactly

Tensor = torch.Tensor
FIRST, SECOND = -3 / 16, -9 / 128
"""How y_2 moves, to first and to second order, when the first value moves by S."""


def output(input: Tensor, scale: float) -> Tensor:
    return F.batch_norm(input, None, None, training=True, eps=3 * scale**2)


def two_values(dtype: str, scale: float) -> tuple[Tensor, Tensor]:
    """The two values, and the direction in which the first moves."""
    of_dtype = getattr(torch, dtype)
    input = torch.tensor([[-scale], [scale]], dtype=of_dtype)
    return input, torch.tensor([[scale], [0.0]], dtype=of_dtype)


def tangent(input: Tensor, direction: Tensor, scale: float = 1.0) -> Tensor:
    return torch.func.jvp(lambda x: output(x, scale), (input,), (direction,))[1]


def on_the_cpu(targets: Targets) -> list[Target]:
    by_dtype = targets.by_dtype("jvp")
    return [t for _, paths in by_dtype for t in paths if torch.device(t.device).type == "cpu"]


def test_the_tangent_of_batch_norm_has_derivatives(targets: Targets) -> None:
    """`batch-norm-tangent-not-differentiated`: by forward mode again, or backward."""
    for target in on_the_cpu(targets):
        input, direction = two_values(target.dtype, 1.0)
        moved = partial(tangent, direction=direction)
        again = torch.func.jvp(moved, (input,), (direction,))[1]
        exactly("batch_norm twice", "second tangent", target, again, [[-SECOND], [SECOND]])
        back = torch.func.grad(lambda x, moved=moved: moved(x)[1, 0])(input)
        exactly("batch_norm twice", "grad of tangent", target, back, [[SECOND], [-SECOND]])


@pytest.mark.parametrize("large", [True, False])
def test_derivatives_of_batch_norm_do_not_depend_on_the_scale(
    targets: Targets, large: bool
) -> None:
    """`batch-norm-cubes-its-scale`: reverse mode alone, with no s^3, does not."""
    scales = {"float32": (2.0**52, 2.0**-46), "float64": (2.0**360, 2.0**-346)}
    for target in on_the_cpu(targets):
        if target.dtype not in scales:
            continue
        scale = scales[target.dtype][0 if large else 1]
        input, direction = two_values(target.dtype, scale)
        moved = tangent(input, direction, scale)
        exactly("batch_norm scaled", "tangent", target, moved, [[-FIRST], [FIRST]])
        input.requires_grad_()
        (grad,) = torch.autograd.grad(output(input, scale)[1, 0], input, create_graph=True)
        (second,) = torch.autograd.grad(grad[0, 0], input)
        expected = [[SECOND / scale**2], [-SECOND / scale**2]]
        exactly("batch_norm scaled", "second grad_input", target, second, expected)
