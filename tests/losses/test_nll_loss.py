"""nll_loss: the log-probabilities of the true classes, with every option; value and gradient."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given

from reference.nll_loss import class_dim, labels, nll_loss, nll_loss_backward, total_weight
from reference.reduction import reduce_backward
from tests.harness.doors import SideDoor, backend, gradients, side_doors, through
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check
from tests.losses.cases import ROWS, LabelCase, label_cases


@given(case=label_cases(), door=side_doors)
def test_nll_loss_and_its_gradient_equal_the_reference(
    targets: Targets, case: LabelCase, door: SideDoor
) -> None:
    for dtype, paths in through(targets, door):
        rounding = Rounding.native(dtype)  # half types add up, and count, in the half type
        input, grad_output = (
            rounding.array(array.numbers(dtype)) for array in (case.input, case.grad_output)
        )
        weight = rounding.array(case.weight.numbers(dtype)) if case.weight else None
        given = (input, case.target.numbers, weight)
        loss = rounding.stored(nll_loss(*given, **case.options))
        loss.selected &= loss.ndim > 0  # one row alone is a sum of one, whose zero has no sign
        grad_input = rounding.stored(nll_loss_backward(grad_output, *given, **case.options))
        for target in paths:
            x = case.input.tensor(target)
            if not takes_layout(x):
                x = x.contiguous()
            w = case.weight.tensor(target) if case.weight else None
            y, grads = gradients(
                target,
                partial(F.nll_loss, weight=w, **case.options),
                {"input": x, "target": case.target.tensor(target)},
                case.grad_output.tensor(target),
                partial(torch.nn.NLLLoss, w, **case.options),
            )
            check("nll_loss", "loss", target, y, loss)
            expected = grad_input
            if does_without_the_kernel(target):
                expected = batched(grad_input, grad_output, *given, **case.options)
            check("nll_loss", "grad_input", target, grads["input"], expected)


def does_without_the_kernel(target: Target) -> bool:
    """So do vmap, and the code that torch.compile generates."""
    return target.path == "vmap" or (target.path == "compiled" and backend() == "inductor")


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("rows", [31, 63, 65, 127, 129, ROWS])
def test_no_row_is_left_out(targets: Targets, rows: int, reduction: str) -> None:
    """Kernels go through rows in blocks, of which the last may be short."""
    random = np.random.default_rng(rows)
    numbers, labels = -random.integers(1, 9, (rows, 3)) / 8.0, random.integers(0, 3, rows)
    for dtype, paths in targets.by_dtype("functional"):
        rounding = Rounding.native(dtype)
        loss = rounding.stored(nll_loss(rounding.array(numbers), labels, reduction=reduction))
        for target in paths:
            x = torch.from_numpy(numbers).to(target.device, target.torch_dtype)
            t = torch.from_numpy(labels).to(target.device)
            check("nll_loss", "loss", target, F.nll_loss(x, t, reduction=reduction), loss)


def batched(
    grad_input: Rounded,
    grad_output: Any,
    input: Any,
    target: np.ndarray,
    weight: Any,
    ignore_index: int,
    reduction: str,
) -> Rounded:
    """Computed is what the kernel leaves at zero, and its sign: 0 times what a label would get.

    Where that is not finite, it makes NaN: `nll-loss-vmap-spreads-nan` of the ledger.
    """
    dim = class_dim(input)
    kept, classes = labels(target, input.shape[dim], ignore_index)
    grad = reduce_backward(grad_output, reduction, total_weight(kept, classes, weight))
    of_each: Any = grad[..., None] if weight is None else weight * grad[..., None]
    most = np.abs(of_each.value) + of_each.closed_bound
    overflows = kept[..., None] & ~(most < grad_input.rounding.storage.overflow)
    shape = (*target.shape, input.shape[dim])  # (N, *positions, C)
    spread = np.moveaxis(np.broadcast_to(overflows, shape), -1, dim) & (grad_input.value == 0)
    bound = np.where(spread, np.inf, grad_input.closed_bound)
    return Rounded(grad_input.rounding, grad_input.value, bound)


def takes_layout(input: torch.Tensor) -> bool:
    """The kernel of four dimensions makes its gradient in the layout of the input, and refuses it.

    That is `nll-loss-refuses-channels-last` of the ledger. What has gaps, or repeats itself, it
    makes contiguous.
    """
    return input.dim() != 4 or torch.zeros_like(input).is_contiguous()
