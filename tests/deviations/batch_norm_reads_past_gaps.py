"""BatchNorm's backward pass on the CPU reads a strided weight as if it were contiguous."""

import sys

import torch
import torch.nn.functional as F


def main() -> int:
    """Compare the gradients with a weight and with the same weight between gaps."""
    input = torch.tensor([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]], requires_grad=True)
    grad_output = torch.tensor([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    with_gaps = torch.tensor([[1.0, 100.0], [1.0, 100.0]])[:, 0]
    grads: list[torch.Tensor] = []
    for weight in (with_gaps.contiguous(), with_gaps):
        output = F.batch_norm(input, None, None, weight, training=True)
        grads += torch.autograd.grad(output, input, grad_output)
    print(f"weight {with_gaps.tolist()}, without gaps: {grads[0].tolist()}")
    print(f"weight {with_gaps.tolist()}, with gaps:    {grads[1].tolist()}")
    return int(not torch.equal(*grads))


if __name__ == "__main__":
    sys.exit(main())
