"""On the CPU normal_ makes half-type numbers from uniform ones of the half type: none lies far."""

import sys

import torch


def main() -> int:
    """Look for a number beyond 4 among 2^20: without any with a chance of 1e-28."""
    wrong = False
    for dtype in (torch.bfloat16, torch.float16):
        largest = torch.empty(2**20, dtype=dtype).normal_().abs().max().item()
        print(f"{dtype}: the largest of 2^20 normal numbers is {largest}, expected beyond 4")
        wrong |= largest <= 4
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
