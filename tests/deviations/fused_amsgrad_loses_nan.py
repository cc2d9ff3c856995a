"""Fused Adam's running maximum on the CPU forgets that a second moment is NaN."""

import math
import sys

import torch


def main() -> int:
    """Take one step along a gradient of NaN, whose square is the largest so far."""
    wrong = False
    for optimizer in (torch.optim.Adam, torch.optim.AdamW):
        param = torch.ones(1, requires_grad=True)
        adam = optimizer([param], amsgrad=True, fused=True)
        param.grad = torch.full((1,), math.nan)
        adam.step()
        got = adam.state[param]["max_exp_avg_sq"].item()
        print(f"{optimizer.__name__}: expected nan, got {got}")
        wrong |= not math.isnan(got)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
