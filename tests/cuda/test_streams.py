"""Other streams than the default one, and kernels that add up in any order."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from reference.linear import linear, linear_backward
from reference.nll_loss import nll_loss, nll_loss_backward
from tests.cuda.replayed import aside
from tests.cuda.targets import cuda_targets, needs_cuda, normal
from tests.harness.rounding import Rounding
from tests.harness.targets import Targets
from tests.harness.verdict import check


@needs_cuda
def test_another_stream_computes_the_same(targets: Targets) -> None:
    """Backward runs on the stream of its forward pass, and the current one waits for both."""
    numbers = x, w, b, g = normal(1, 17, 33), normal(2, 9, 33), normal(3, 9), normal(4, 17, 9)
    for target in cuda_targets(targets, "stream"):
        rounding = Rounding.kernel("float32").on(target.device)
        output = rounding.stored(linear(*map(rounding.array, (x, w, b))))
        grads = map(rounding.stored, linear_backward(*map(rounding.array, (g, x, w))))
        *leaves, back = (
            torch.tensor(n, dtype=torch.float32, device=target.device) for n in numbers
        )
        for leaf in leaves:
            leaf.requires_grad_()
        outputs: list[torch.Tensor] = []

        def both_passes() -> None:
            outputs.append(F.linear(*leaves))  # noqa: B023
            outputs[-1].backward(back)  # noqa: B023

        with torch.cuda.device(target.device):
            aside(both_passes)
        check("linear", "output", target, outputs[0], output)
        for name, leaf, want in zip(("input", "weight", "bias"), leaves, grads, strict=True):
            check("linear", f"grad_{name}", target, leaf.grad, want)


@needs_cuda
def test_two_runs_without_an_order_are_both_within_the_bound(targets: Targets) -> None:
    """nll_loss of images adds up with atomics: each run in an order of its own."""
    rounding, scores = Rounding.native("float32"), normal(5, 4, 3, 33, 33)
    labels = np.random.default_rng(6).integers(0, 3, (4, 33, 33))
    loss: Any = rounding.stored(nll_loss(rounding.array(scores), labels))
    grad: Any = rounding.stored(
        nll_loss_backward(rounding.array(np.asarray(1.0)), rounding.array(scores), labels)
    )
    for target in cuda_targets(targets, "twice"):
        for _ in range(2):
            x = torch.tensor(scores, dtype=torch.float32, device=target.device).requires_grad_()
            y = F.nll_loss(x, torch.from_numpy(labels).to(target.device))
            y.backward()
            check("nll_loss", "loss", target, y, loss)
            check("nll_loss", "grad_input", target, x.grad, grad)
