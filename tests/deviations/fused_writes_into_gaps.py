"""Fused optimizers on the CPU update the neighbours of a parameter that is a strided view."""

import sys

import torch


def main() -> int:
    """Step along a gradient of 1 in every other element of a larger tensor of zeros."""
    wrong = False
    for optimizer in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
        larger = torch.zeros(4)
        param = larger[::2].requires_grad_()
        param.grad = torch.ones(2)
        optimizer([param], lr=0.5, weight_decay=0.0, fused=True).step()
        print(f"{optimizer.__name__}: expected [-0.5, 0, -0.5, 0], got {larger.tolist()}")
        wrong |= larger[1::2].tolist() != [0.0, 0.0]
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
