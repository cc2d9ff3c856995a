"""Fused SGD on the CPU leaves full vectors of half-type parameters as they were."""

import sys

import torch


def main() -> int:
    """Take one step of lr 0.5 from 1 along a gradient of 1, to 0.5 exactly."""
    wrong = False
    for dtype in (torch.bfloat16, torch.float16):
        param = torch.ones(64, dtype=dtype, requires_grad=True)
        param.grad = torch.ones(64, dtype=dtype)
        torch.optim.SGD([param], lr=0.5, fused=True).step()
        got = sorted(set(param.tolist()))
        print(f"{dtype}: expected [0.5], got {got}")
        wrong |= got != [0.5]
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
