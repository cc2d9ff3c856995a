"""Fused SGD raises TypeError where a parameter gets its first gradient later than others."""

import sys

import torch


def main() -> int:
    """Give one parameter a gradient in both of two steps, the other in the second only."""
    early, late = (torch.ones(1, requires_grad=True) for _ in range(2))
    sgd = torch.optim.SGD([early, late], lr=0.5, momentum=0.5, fused=True)
    early.grad = torch.ones(1)
    sgd.step()
    late.grad = torch.ones(1)
    try:
        sgd.step()
    except TypeError as error:
        print(error)
    print(f"expected 0.5, got {late.item()}")
    return int(late.item() != 0.5)


if __name__ == "__main__":
    sys.exit(main())
