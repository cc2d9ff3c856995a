"""On the CPU uniform_ rounds up to the end of a range that it promises to stay below."""

import sys

import torch


def main() -> int:
    """Fill 2^20 numbers from 128 to 129: the last half ulp of the range rounds to 129."""
    wrong = False
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        x = torch.empty(2**20, dtype=dtype).uniform_(128, 129)
        count = int((x == 129).sum())
        print(f"{dtype}: {count} of 2^20 numbers from 128 to below 129 are 129, expected 0")
        wrong |= count > 0
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
