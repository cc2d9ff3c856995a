"""A weight decay to be differentiated is added to the gradient itself."""

import sys

import torch


def main() -> int:
    """Take one step along a gradient of 1 and read the gradient again."""
    wrong = False
    for optimizer in (torch.optim.SGD, torch.optim.Adam):
        decay = torch.tensor(0.5, requires_grad=True)
        param = torch.ones(1)
        param.grad = torch.ones(1)
        optimizer([param], lr=0.5, weight_decay=decay, differentiable=True).step()  # type: ignore[arg-type]
        print(f"{optimizer.__name__}: the gradient was 1 and is {param.grad.item()} after step()")
        wrong |= param.grad.item() != 1
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
