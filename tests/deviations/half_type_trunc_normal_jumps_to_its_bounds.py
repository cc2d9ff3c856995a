"""On the CPU trunc_normal_ takes half-type quantiles, whose ends it sends to the bounds."""

import sys

import torch


def main() -> int:
    """Look for a number beyond 10 standard deviations among 2^20: there with a chance of 1e-16."""
    wrong = False
    for dtype in (torch.bfloat16, torch.float16):
        x = torch.nn.init.trunc_normal_(torch.empty(2**20, dtype=dtype), std=0.001, a=-2.0, b=2.0)
        largest = x.abs().max().item()
        print(f"{dtype}: the largest of 2^20, std 0.001, is {largest}, expected below 0.01")
        wrong |= largest > 0.01
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
