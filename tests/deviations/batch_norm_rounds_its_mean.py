"""Half-type BatchNorm on the CPU subtracts the batch's mean rounded to the half type."""

import sys
from fractions import Fraction as Exact

import torch
import torch.nn.functional as F


def main() -> int:
    """Normalise two values, 1 and its successor: whatever their mean, to about -c and c."""
    wrong = False
    for dtype in (torch.bfloat16, torch.float16):
        input = torch.tensor([[1.0], [1 + torch.finfo(dtype).eps]], dtype=dtype)
        values = [Exact(x) for x in input.flatten().tolist()]
        mean = sum(values) / 2
        var = sum((x - mean) ** 2 for x in values) / 2
        expected = float(values[1] - mean) / float(var + Exact(1e-10)) ** 0.5
        got = F.batch_norm(input, None, None, training=True, eps=1e-10).flatten().tolist()
        print(f"{dtype}: expected {[-expected, expected]} within an ulp, got {got}")
        wrong |= abs(got[1] - expected) > torch.finfo(dtype).eps
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
