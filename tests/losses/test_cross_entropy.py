"""Cross-entropy with class indices, averaged over the batch: loss and gradient."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.log_softmax import log_softmax, log_softmax_backward
from reference.nll_loss import nll_loss, nll_loss_backward
from tests.harness.doors import DOORS, gradients
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import sides
from tests.harness.strategies.values import families
from tests.harness.targets import Targets
from tests.harness.verdict import check


@dataclass(frozen=True)
class CrossEntropyCase:
    """Scores, the true classes, and the gradient that comes back to the loss."""

    input: DrawnArray
    target: np.ndarray
    grad_output: DrawnArray


@st.composite
def cross_entropy_cases(draw: st.DrawFn) -> CrossEntropyCase:
    rows = draw(sides(at_most=257))
    classes = draw(sides(at_least=1, at_most=4096 // max(1, rows)))
    family = draw(families)
    labels = np.frombuffer(draw(st.binary(min_size=2 * rows, max_size=2 * rows)), ">u2") % classes
    return CrossEntropyCase(
        input=draw(arrays((rows, classes), family)),
        target=labels.astype(np.int64),
        grad_output=draw(arrays((), draw(families), special=False)),
    )


@given(case=cross_entropy_cases())
def test_cross_entropy_and_its_gradient_equal_the_reference(
    targets: Targets, case: CrossEntropyCase
) -> None:
    for dtype, paths in targets.by_dtype(*DOORS):
        # torch runs two kernels each way. In half types on the CPU, log_softmax stores its sum and
        # the logarithm of it on the way; nll_loss adds up, and counts, in the half type.
        kernel = Rounding.kernel(dtype)
        softmax = Rounding.kernel(dtype, stores=(np.sum, np.log))
        mean = Rounding.native(dtype)
        logits = case.input.numbers(dtype)
        log_probabilities = softmax.stored(log_softmax(softmax.array(logits)))
        loss = mean.stored(nll_loss(mean.array(log_probabilities), case.target))
        grad_loss = mean.array(case.grad_output.numbers(dtype))
        grad_log = mean.stored(
            nll_loss_backward(grad_loss, mean.array(log_probabilities), case.target)
        )
        grad_input = kernel.stored(
            log_softmax_backward(kernel.array(grad_log), kernel.array(log_probabilities))
        )

        for target in paths:
            labels = torch.from_numpy(case.target).to(target.device)
            inputs = {"input": case.input.tensor(target), "target": labels}
            g = case.grad_output.tensor(target)
            y, grads = gradients(target, F.cross_entropy, inputs, g, torch.nn.CrossEntropyLoss)
            check("cross_entropy", "loss", target, y, loss)
            check("cross_entropy", "grad_input", target, grads["input"], grad_input)
