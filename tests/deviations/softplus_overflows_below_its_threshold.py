"""Softplus: exp overflows where beta * input is large and yet not above the threshold."""

import sys
from decimal import Decimal, localcontext

import torch
import torch.nn.functional as F


def main() -> int:
    """Take log(1 + exp(1000)), which is 1000 and a little, and its derivative."""
    with localcontext(prec=1000):
        one, exp = Decimal(1), Decimal(1000).exp()
        expected = float((one + exp).ln()), float(exp / (one + exp))
    wrong = False
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        x = torch.tensor(1000.0, dtype=dtype, requires_grad=True)
        y = F.softplus(x, threshold=2000.0)
        (grad,) = torch.autograd.grad(y, x)
        got = y.item(), grad.item()
        print(f"{dtype}: expected {expected}, got {got}")
        wrong |= got != expected
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
