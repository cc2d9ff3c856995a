"""nll_loss: the log-probabilities of the true classes, with every option; value and gradient."""

from copy import copy
from functools import partial

import torch
import torch.nn.functional as F
from hypothesis import given

from reference.nll_loss import nll_loss, nll_loss_backward
from tests.harness.doors import SideDoor, gradients, side_doors, through
from tests.harness.rounding import Rounding
from tests.harness.targets import Targets
from tests.harness.verdict import check
from tests.losses.cases import LabelCase, label_cases


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
            if target.path == "vmap":  # computes what the kernel leaves at zero, and its sign
                grad_input = copy(grad_input)
                grad_input.selected = False
            check("nll_loss", "grad_input", target, grads["input"], grad_input)


def takes_layout(input: torch.Tensor) -> bool:
    """The kernel of four dimensions makes its gradient in the layout of the input, and refuses it.

    That is `nll-loss-refuses-channels-last` of the ledger. What has gaps, or repeats itself, it
    makes contiguous.
    """
    return input.dim() != 4 or torch.zeros_like(input).is_contiguous()
