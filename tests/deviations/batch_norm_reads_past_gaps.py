"""BatchNorm's backward pass on the CPU reads a strided weight as if it were contiguous."""

import sys

import torch
import torch.nn.functional as F


def main() -> int:
    """Multiply a gradient by the weights 1 and 2, and by what lies between them in memory."""
    memory = torch.tensor([1.0, 100.0, 2.0])
    weight = memory[::2]
    input = torch.zeros(1, 2, requires_grad=True)
    output = F.batch_norm(input, torch.zeros(2), torch.zeros(2), weight, eps=1.0)  # y = x w
    (grad,) = torch.autograd.grad(output, input, torch.ones(1, 2))
    print(f"expected {weight.tolist()}, got {grad.flatten().tolist()}")
    print(f"memory of the weight: {memory.tolist()}, every second number of it")
    return int(grad.flatten().tolist() != weight.tolist())


if __name__ == "__main__":
    sys.exit(main())
