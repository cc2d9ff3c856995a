"""The norm of gradients sums their squares, be those in range or not."""

import sys

import torch
from torch.nn.utils import clip_grad_norm_


def main() -> int:
    """Clip (3 S, 4 S), whose norm is 5 S, to a norm of 1."""
    wrong = False
    for exponent in (0, 70, -80):
        scale = 2.0**exponent
        param = torch.ones(2, requires_grad=True)
        param.grad = torch.tensor([3 * scale, 4 * scale])
        norm = clip_grad_norm_(param, 1.0).item()
        print(
            f"S = 2^{exponent}: expected 5 S, got {norm / scale} S; clipped {param.grad.tolist()}"
        )
        wrong |= norm != 5 * scale
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
