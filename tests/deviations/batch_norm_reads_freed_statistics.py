"""BatchNorm's backward pass on the CPU reads running statistics from memory that it has freed.

Where they are strided it makes a contiguous copy, keeps its address alone, and lets it go.
"""

import sys

import torch
import torch.nn.functional as F


def main() -> int:
    """Divide gradients of 1 by a standard deviation of 2, for more and more channels."""
    wrong = 0
    for channels in (2, 16, 256, 4096):
        input = torch.zeros(1, channels, requires_grad=True)
        mean, var = torch.zeros(channels), torch.full((channels, 2), 3.0)[:, 0]
        output = F.batch_norm(input, mean, var, eps=1.0)  # y = x / 2
        (grad,) = torch.autograd.grad(output, input, torch.ones(1, channels))
        got, count = grad.flatten().tolist(), int((grad != 0.5).sum())
        print(f"expected {channels} times 0.5, got {str(got[:3])[:-1]}, ...]; {count} are wrong")
        wrong += count
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
