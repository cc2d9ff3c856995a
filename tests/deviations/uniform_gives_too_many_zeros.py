"""On the CPU uniform_ gives 0 in half types thousands of times too often."""

import sys

import torch


def main() -> int:
    """Draw from 0 to 1: in float16 what rounds to 0 has a chance of 2^-25, in bfloat16 none."""
    wrong = False
    for dtype in (torch.bfloat16, torch.float16):
        count = int((torch.empty(2**18, dtype=dtype).uniform_() == 0).sum())
        print(f"{dtype}: {count} of 2^18 numbers are 0, expected 0")
        wrong |= count > 1
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
