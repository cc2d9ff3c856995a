"""Compiled Adam, one parameter at a time: scalars of float64 stay as they were."""

import sys

import torch


def main() -> int:
    """Take a step of 0.5 against a gradient of -1, in a scalar and in a vector of one."""
    wrong = False
    for optimizer in (torch.optim.Adam, torch.optim.AdamW):
        for shape in ((1,), ()):
            torch.compiler.reset()
            param = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
            opt = optimizer([param], lr=0.5, weight_decay=0.0, foreach=False)
            param.grad = -torch.ones_like(param)
            torch.compile(opt.step, backend="aot_eager")()
            got = round(param.item(), 2)
            print(f"{optimizer.__name__}, shape {shape}: expected 0.5, got {got}")
            wrong |= got != 0.5
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
