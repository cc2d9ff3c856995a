"""mse_loss takes targets that are integers, but not in forward mode."""

import sys

import torch
import torch.nn.functional as F


def main() -> int:
    """Move the first of two inputs, 1/2 and 3/2, whose targets are 1 and 0."""
    x, moved = torch.tensor([0.5, 1.5]), torch.tensor([1.0, 0.0])
    expected = 2 * (0.5 - 1) / 2
    wrong = False
    for target in (torch.tensor([1.0, 0.0]), torch.tensor([1, 0])):
        leaf = x.clone().requires_grad_()
        (grad,) = torch.autograd.grad(F.mse_loss(leaf, target), leaf)
        try:
            got = torch.func.jvp(lambda x, t=target: F.mse_loss(x, t), (x,), (moved,))[1].item()
        except RuntimeError as error:
            got = str(error)
        print(f"{target.dtype}: expected {expected}, got {got}; in reverse mode {grad[0].item()}")
        wrong |= got != expected
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
