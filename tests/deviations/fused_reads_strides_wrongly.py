"""Fused optimizers on the CPU pair parameter and gradient by memory, not by element."""

import sys

import torch


def main() -> int:
    """Step along a gradient that lies column by column, from a parameter that lies row by row."""
    wrong = False
    for optimizer in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
        param = torch.zeros(2, 2, requires_grad=True)
        param.grad = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).T.contiguous().T
        optimizer([param], lr=0.5, fused=True).step()
        print(f"{optimizer.__name__}: gradient {param.grad.tolist()}, step {param.tolist()}")
        wrong |= not torch.equal(param.sign(), -param.grad.sign())
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
