"""Differentiable Adam makes NaN of a parameter with no gradient at a learning rate of 0."""

import sys

import torch


def main() -> int:
    """Take one step with a gradient of 0 and a learning rate of 0."""
    wrong = False
    for optimizer in (torch.optim.Adam, torch.optim.AdamW):
        param = torch.ones(1)
        param.grad = torch.zeros(1)
        optimizer([param], lr=0.0, differentiable=True).step()
        print(f"{optimizer.__name__}: expected 1, got {param.item()}")
        wrong |= param.item() != 1
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
