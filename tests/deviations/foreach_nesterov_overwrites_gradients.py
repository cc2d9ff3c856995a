"""Foreach SGD with Nesterov momentum adds the momentum to the gradient itself."""

import sys

import torch


def main() -> int:
    """Take one step along a gradient of 1 and read the gradient again."""
    param = torch.zeros(1, requires_grad=True)
    param.grad = torch.ones(1)
    torch.optim.SGD([param], lr=0.5, momentum=0.5, nesterov=True, foreach=True).step()
    print(f"the gradient was 1 and is {param.grad.item()} after step()")
    return int(param.grad.item() != 1)


if __name__ == "__main__":
    sys.exit(main())
