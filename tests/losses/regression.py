"""The losses of regression, which differ in one formula: their cases, and how they are verified."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from tests.harness.doors import SideDoor, gradients, through
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes
from tests.harness.strategies.values import families
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check
from tests.losses.cases import NonNegative, reductions, tame


@dataclass(frozen=True)
class ErrorCase:
    """Predictions, what they should have been, the options, and what comes back to the loss."""

    input: DrawnArray
    target: DrawnArray
    weight: DrawnArray | None
    reduction: str
    grad_output: DrawnArray
    frozen: tuple[str, ...]


@st.composite
def error_cases(draw: st.DrawFn) -> ErrorCase:
    shape, family, reduction = (
        draw(shapes(max_dims=5, max_elements=1025)),
        draw(families),
        draw(reductions),
    )
    weight = draw(st.none() | arrays(shape, draw(tame), special=0))
    return ErrorCase(
        input=draw(arrays(shape, family)),
        target=draw(arrays(shape, family)),
        weight=NonNegative(**vars(weight)) if weight else None,
        reduction=reduction,
        grad_output=draw(arrays(shape if reduction == "none" else (), draw(families), special=0)),
        frozen=draw(st.sampled_from(((), ("target",), ("input",)))),
    )


def verify(
    component: str,
    targets: Targets,
    case: ErrorCase,
    door: SideDoor,
    reference: tuple[Callable[..., np.ndarray], Callable[..., tuple[np.ndarray, np.ndarray]]],
    function: Callable[..., torch.Tensor],
    module: Callable[..., torch.nn.Module],
) -> None:
    """Loss and gradients; the modules take no weight."""
    forward, backward = reference
    for dtype, paths in through(targets, door, modules=not case.weight):
        ops = Rounding.op_by_op(dtype)
        input, truth, back = (
            ops.array(array.numbers(dtype)) for array in (case.input, case.target, case.grad_output)
        )
        weight = ops.array(case.weight.numbers(dtype)) if case.weight else None
        loss = ops.stored(forward(input, truth, weight, reduction=case.reduction))
        grads = backward(back, input, truth, weight, reduction=case.reduction)
        expected = dict(zip(("input", "target"), map(ops.stored, grads), strict=True))
        for target in paths:
            if fails(component, case, target):
                continue
            options: dict[str, Any] = {"reduction": case.reduction}
            if case.weight:
                options["weight"] = case.weight.tensor(target)
            y, found = gradients(
                target,
                partial(function, **options),
                {"input": case.input.tensor(target), "target": case.target.tensor(target)},
                case.grad_output.tensor(target),
                partial(module, reduction=case.reduction),
                case.frozen,
            )
            check(component, "loss", target, y, loss)
            for name, grad in found.items():
                check(component, f"grad_{name}", target, grad, expected[name])


def fails(component: str, case: ErrorCase, target: Target) -> bool:
    """What these doors are known to get wrong: see `test_known_faults.py`."""
    if component == "l1_loss":
        return target.path == "compiled" and case.weight is not None
    of_none = case.reduction == "mean" and 0 in case.input.shape and case.weight is None
    return target.path in {"vmap", "compiled"} and of_none
