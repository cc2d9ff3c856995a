"""Compiled SGD with momentum: two groups of parameters that are scalars of float64 are refused."""

import sys

import torch


def main() -> int:
    """Take a step of 0.5 against gradients of 1, in scalars and in vectors of one."""
    wrong = False
    for shape in ((1,), ()):
        torch.compiler.reset()
        params = [torch.ones(shape, dtype=torch.float64, requires_grad=True) for _ in range(2)]
        opt = torch.optim.SGD([{"params": [p]} for p in params], lr=0.5, momentum=0.5)
        for p in params:
            p.grad = torch.ones_like(p)
        try:
            torch.compile(opt.step, backend="aot_eager")()
            got = str([p.item() for p in params])
        except Exception as error:
            got = type(error).__name__
        print(f"shape {shape}: expected [0.5, 0.5], got {got}")
        wrong |= got != "[0.5, 0.5]"
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
