"""In its tails trunc_normal_ takes any number where a half-type uniform one is 0."""

import sys
import warnings

import torch


def main() -> int:
    """Draw from 5 to 10 standard deviations: one in 10^12 should be beyond 9."""
    warnings.simplefilter("ignore")  # that so far from the mean they may be wrong
    wrong = False
    for dtype in (torch.bfloat16, torch.float16):
        x = torch.nn.init.trunc_normal_(torch.empty(2**16, dtype=dtype), 0.0, 1.0, 5.0, 10.0)
        count = int((x > 9).sum())
        print(f"{dtype}: {count} of 2^16 numbers are beyond 9, expected 0")
        wrong |= count > 0
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
