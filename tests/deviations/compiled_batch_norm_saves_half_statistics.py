"""Compiled BatchNorm of half-type inputs and float32 parameters goes back with rounded statistics.

The backend here decomposes as inductor does, and needs no C++ compiler.
"""

import sys
from fractions import Fraction as Exact

import torch
import torch.nn.functional as F

EPS = 1e-5


def main() -> int:
    """The mean of 256, 258 and 256, which bfloat16 does not hold: its neighbours are 2 apart."""
    input = torch.tensor([[256.0], [258.0], [256.0]], dtype=torch.bfloat16)
    back = torch.tensor([[1.0], [0.0], [0.0]], dtype=torch.bfloat16)
    values = [Exact(x) for x in input.flatten().tolist()]
    mean = sum(values) / 3
    var = sum((x - mean) ** 2 for x in values) / 3
    expected = float(values[0] - mean) / float(var + Exact(EPS)) ** 0.5

    def normalised(weight: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(input, None, None, weight, training=True, eps=EPS)

    def gradient(function: object) -> float:
        weight = torch.ones(1, requires_grad=True)
        function(weight).backward(back)  # type: ignore[operator]
        assert weight.grad is not None
        return weight.grad.item()

    compiled = gradient(torch.compile(normalised, backend="aot_eager_decomp_partition"))
    print(f"expected {expected}, eager {gradient(normalised)}, compiled {compiled}")
    return int(abs(compiled - expected) > 1e-3)  # of float32: 10,000 ulp


if __name__ == "__main__":
    sys.exit(main())
