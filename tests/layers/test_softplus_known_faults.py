"""What torch's Softplus gets wrong on the CPU: an entry of the ledger, shown where it lies."""

import torch
import torch.nn.functional as F

from tests.harness.targets import Targets
from tests.harness.verdict import exactly

LARGE = 1000.0  # beyond the range of exp in any dtype; 1 / exp(1000) is far below any ulp


def test_a_threshold_beyond_the_range_of_exp_changes_nothing(targets: Targets) -> None:
    """`softplus-overflows-below-its-threshold`: log(1 + exp(x)) is x there, and exp infinite."""
    for _, paths in targets.by_dtype("functional"):
        for target in paths:
            if torch.device(target.device).type == "cpu":
                x = torch.tensor(LARGE, dtype=target.torch_dtype, requires_grad=True)
                y = F.softplus(x, threshold=2 * LARGE)
                (grad,) = torch.autograd.grad(y, x)
                exactly("softplus far threshold", "output", target, y, LARGE)
                exactly("softplus far threshold", "grad_input", target, grad, 1.0)
