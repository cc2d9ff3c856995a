"""Cross-entropy against labels and against probabilities, with every option: loss and gradients."""

from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings

from reference.cross_entropy import cross_entropy, cross_entropy_backward
from reference.label_smoothing import (
    smooth_loss,
    smooth_probabilities,
    uniform_loss,
    uniform_loss_backward,
)
from reference.log_softmax import log_softmax, log_softmax_backward
from reference.nll_loss import class_dim, nll_loss, nll_loss_backward
from reference.soft_loss import soft_loss, soft_loss_backward
from tests.harness.doors import SideDoor, gradients, side_doors, through
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.harness.targets import Targets
from tests.harness.verdict import check
from tests.losses.cases import CrossEntropyCase, cross_entropy_cases
from tests.losses.test_nll_loss import batched, does_without_the_kernel


class Kernels:
    """The reference in the kernels that torch runs, each of which stores its result.

    In half types on the CPU, log_softmax stores its sum and the logarithm of it on the way, and
    nll_loss adds up, and counts, in the half type. What smooths the labels, and all that is done
    with probabilities, runs op by op. Without its kernel nll_loss computes zeros.
    """

    def __init__(self, case: CrossEntropyCase, dtype: str, batched: bool = False) -> None:
        self.case, self.batched = case, batched
        self.ops, self.nll = Rounding.op_by_op(dtype), Rounding.native(dtype)
        self.softmax = Rounding.kernel(dtype, stores=(np.sum, np.log))
        self.softmax_backward = Rounding.kernel(dtype)
        self.scores = case.input.numbers(dtype)
        self.weight = case.weight.numbers(dtype) if case.weight else None
        self.grad_output = case.grad_output.numbers(dtype)
        self.target = case.target_numbers(dtype)
        self.dim = class_dim(self.scores)
        self.class_count = self.scores.shape[self.dim]
        output = log_softmax(self.softmax.array(self.scores), self.dim)
        self.output = self.softmax.stored(output)

    def results(self) -> dict[str, Rounded]:
        return self.of_probabilities() if self.case.soft else self.of_labels()

    def of_labels(self) -> dict[str, Rounded]:
        options = dict(self.case.options)
        smoothing = options.pop("label_smoothing")
        back = self.ops.array(self.grad_output)
        given = (self.target, self.weight_in(self.nll))
        output = self.nll.array(self.output)
        loss = self.nll.stored(nll_loss(output, *given, **options))
        back_to_labels = self.nll.array(self.ops.stored((1 - smoothing) * back))
        grad = self.nll.stored(nll_loss_backward(back_to_labels, output, *given, **options))
        if self.batched:
            grad = batched(grad, back_to_labels, output, *given, **options)
        if smoothing > 0:
            output, given = self.ops.array(self.output), (self.target, self.weight_in(self.ops))
            of_all = uniform_loss(output, *given, **options)
            of_labels = self.ops.array(loss)
            loss = self.ops.stored(smooth_loss(of_labels, of_all, smoothing, self.class_count))
            back_to_all = (smoothing / self.class_count) * back
            of_all = uniform_loss_backward(back_to_all, output, *given, **options)
            grad = self.ops.stored(self.ops.array(grad) + of_all)
        return {"loss": loss, "grad_input": self.grad_scores(grad)}

    def of_probabilities(self) -> dict[str, Rounded]:
        smoothing, reduction = (self.case.options[n] for n in ("label_smoothing", "reduction"))
        target = self.ops.array(self.target)
        if smoothing > 0:
            target = smooth_probabilities(target, smoothing, self.class_count)
        given = (self.ops.array(self.output), target, self.weight_in(self.ops))
        loss = soft_loss(*given, reduction=reduction)
        back = self.ops.array(self.grad_output)
        grad, grad_target = soft_loss_backward(back, *given, reduction=reduction)
        return {
            "loss": self.ops.stored(loss),
            "grad_input": self.grad_scores(self.ops.stored(grad)),
            "grad_target": self.ops.stored(grad_target * (1 - smoothing)),
        }

    def weight_in(self, rounding: Rounding) -> Any:
        return None if self.weight is None else rounding.array(self.weight)

    def grad_scores(self, grad: Rounded) -> Rounded:
        kernel = self.softmax_backward
        given = (kernel.array(grad), kernel.array(self.output), self.dim)
        return kernel.stored(log_softmax_backward(*given))


@settings(max_examples=2 * settings().max_examples)  # it has the most options
@given(case=cross_entropy_cases(), door=side_doors)
def test_cross_entropy_and_its_gradients_equal_the_reference(
    targets: Targets, case: CrossEntropyCase, door: SideDoor
) -> None:
    for dtype, paths in through(targets, door):
        expected = Kernels(case, dtype).results()
        for target in paths:
            want = expected
            if does_without_the_kernel(target):
                want = Kernels(case, dtype, batched=True).results()
            weight = case.weight.tensor(target) if case.weight else None
            y, grads = gradients(
                target,
                partial(F.cross_entropy, weight=weight, **case.options),
                {"input": case.input.tensor(target), "target": case.target.tensor(target)},
                case.grad_output.tensor(target),
                partial(torch.nn.CrossEntropyLoss, weight, **case.options),
                case.frozen,
            )
            check("cross_entropy", "loss", target, y, want["loss"])
            for name, grad in grads.items():
                check("cross_entropy", f"grad_{name}", target, grad, want[f"grad_{name}"])


@settings(max_examples=settings().max_examples // 2)
@given(case=cross_entropy_cases())
def test_the_kernels_are_the_reference_in_parts(case: CrossEntropyCase) -> None:
    kernels = Kernels(case, "float64")
    given, options = (kernels.target, kernels.weight), case.options
    with np.errstate(all="ignore"):
        whole = cross_entropy(kernels.scores, *given, **options)
        y = log_softmax(kernels.scores, kernels.dim)
        grad = cross_entropy_backward(kernels.grad_output, y, *given, **options)
    parts = kernels.results()
    np.testing.assert_array_equal(parts["loss"].value, whole)
    np.testing.assert_array_equal(parts["grad_input"].value, grad)
