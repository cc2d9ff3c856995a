"""The tangent of BatchNorm in training is differentiated as if some of its terms were constant."""

import sys

import torch
import torch.nn.functional as F


def output(input: torch.Tensor) -> torch.Tensor:
    """Of -1 and 1: mean 0, standard deviation 2. With half their distance d: d / sqrt(d^2 + 3)."""
    return F.batch_norm(input, None, None, training=True, eps=3.0)


def main() -> int:
    """Differentiate twice as the first value moves: d^2/dd^2 is 9/32, and d moves by -1/2."""
    input, direction = torch.tensor([[-1.0], [1.0]]), torch.tensor([[1.0], [0.0]])

    def tangent(x: torch.Tensor) -> torch.Tensor:
        return torch.func.jvp(output, (x,), (direction,))[1]

    compared = {
        "forward over reverse": torch.func.hessian(lambda x: output(x)[0, 0])(input)[0, 0, 0, 0],
        "forward over forward": torch.func.jvp(tangent, (input,), (direction,))[1][0, 0],
        "reverse over forward": torch.func.grad(lambda x: tangent(x)[0, 0])(input)[0, 0],
    }
    for name, got in compared.items():
        print(f"{name}: expected {9 / 128}, got {got.item()}")
    return int(any(got.item() != 9 / 128 for got in compared.values()))


if __name__ == "__main__":
    sys.exit(main())
