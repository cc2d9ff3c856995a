"""nll_loss and cross_entropy on the CPU store the sum of float16 losses before they divide it."""

import sys

import torch
import torch.nn.functional as F


def main() -> int:
    """Average 40000 and 40000, and 1 and 1 with weights of 40000 each."""
    scores = torch.tensor([[0.0, -40000.0]] * 2, dtype=torch.float16)
    labels, surely = torch.tensor([1, 1]), torch.tensor([[0.0, 1.0]] * 2, dtype=torch.float16)
    weight = torch.full((2,), 40000.0, dtype=torch.float16)
    ones = torch.full((2, 2), -1.0, dtype=torch.float16, requires_grad=True)
    weighted = F.nll_loss(ones, labels, weight)
    (grad,) = torch.autograd.grad(weighted, ones)
    compared = {
        "nll_loss": (F.nll_loss(scores, labels).item(), 40000.0),
        "cross_entropy": (F.cross_entropy(scores, labels).item(), 40000.0),
        "cross_entropy with probabilities": (F.cross_entropy(scores, surely).item(), 40000.0),
        "nll_loss, weighted": (weighted.item(), 1.0),
        "its gradient": (grad[0, 1].item(), -0.5),
    }
    for name, (got, expected) in compared.items():
        print(f"{name}: expected {expected}, got {got}")
    return int(any(got != expected for got, expected in compared.values()))


if __name__ == "__main__":
    sys.exit(main())
