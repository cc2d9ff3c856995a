"""MSE: how the loss moves with prediction and target, and the gradients of its gradients."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.mse_loss import mse_loss, mse_loss_backward
from reference.reduction import REDUCTIONS, reduce, reduce_backward
from tests.harness.dual import Dual, tangents
from tests.harness.rounding import Rounding
from tests.harness.strategies.shapes import shapes
from tests.harness.targets import Targets
from tests.losses.cases import reductions
from tests.references.proofs import agree
from tests.second_order.moving import Moving, moving, tame, verify


@dataclass(frozen=True)
class MovingErrors:
    """A prediction and its target, which both move, and how the errors are reduced."""

    errors: Moving
    reduction: str


@st.composite
def moving_errors(draw: st.DrawFn) -> MovingErrors:
    shape, reduction = draw(shapes(max_dims=5, max_elements=1025)), draw(reductions)
    sizes = {"input": shape, "target": shape}
    output_shape = shape if reduction == "none" else ()
    errors = draw(moving(sizes, output_shape, special=False, of_directions=tame))
    return MovingErrors(errors, reduction)


def moved(case: MovingErrors, dtype: str) -> dict[str, Any]:
    """Operation by operation; what comes of the prediction, and of the target, is added last."""
    ops = Rounding.op_by_op(dtype)
    given, directions = (
        [ops.array(x.numbers(dtype)) for x in arrays.values()]
        for arrays in (case.errors.inputs, case.errors.directions)
    )
    grad_output = ops.array(case.errors.grad_output.numbers(dtype))
    results = moves(given, directions, grad_output, case.reduction)
    return {name: ops.stored(result) for name, result in results.items()}


def moves(
    given: Sequence[Any], directions: Sequence[Any], g: Any, reduction: str
) -> dict[str, Any]:
    """As torch has the formulas: the derivative of a square is linear, and that of 2 x is 2."""
    (input, target), (by_input, by_target) = given, directions
    error, total = input - target, float(math.prod(input.shape))

    def products(share: float) -> tuple[Any, Any]:
        slope = share * error
        return slope * by_input, -(slope * by_target)

    of_input, of_target = products(2.0)
    tangent = reduce(of_input + of_target, reduction, total)
    if reduction == "mean" and total:  # backwards, the constants are one factor
        of_input, of_target = products(2.0 / total)
    back = [x if reduction == "none" else x.sum() for x in (of_input, of_target)]
    pulled = [reduce_backward(2.0 * (v * g), reduction, total) for v in (by_input, by_target)]
    return {
        "tangent": tangent,
        "second grad_output": back[0] + back[1],
        "second grad_input": pulled[0] - pulled[1],
        "second grad_target": pulled[1] - pulled[0],
    }


@settings(max_examples=settings().max_examples // 2)
@given(case=moving_errors())
def test_mse_loss_and_its_gradients_move_as_the_reference_does(
    targets: Targets, case: MovingErrors
) -> None:
    function = partial(F.mse_loss, reduction=case.reduction)
    verify("mse_loss", targets, case.errors, function, partial(moved, case))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_formulas_above_are_the_derivatives_of_the_reference(reduction: str) -> None:
    generator = np.random.default_rng(0)
    x, t, v, w = (generator.standard_normal((3, 4)) for _ in range(4))
    g = generator.standard_normal((3, 4) if reduction == "none" else ())
    found = moves((x, t), (v, w), g, reduction)
    loss = tangents(partial(mse_loss, reduction=reduction), Dual(x, v), Dual(t, w))
    backward = partial(mse_loss_backward, reduction=reduction)
    grads = tangents(backward, Dual(g), Dual(x, v), Dual(t, w))
    for name, derivative in zip(found, (loss, loss, *grads), strict=True):
        agree(found[name], derivative)
