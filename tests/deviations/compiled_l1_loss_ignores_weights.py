"""torch.compile forgets the weights of l1_loss."""

import sys

import torch
import torch.nn.functional as F


def weighted(input: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Sum the errors, each times its weight."""
    return F.l1_loss(input, target, reduction="sum", weight=weight)  # type: ignore[call-arg]


def main() -> int:
    """Errors of 2 and 3 with weights of 1/2 and 4."""
    given = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0]), torch.tensor([0.5, 4.0])
    compiled = torch.compile(weighted, backend="aot_eager")(*given).item()
    print(f"expected 13.0, eager {weighted(*given).item()}, compiled {compiled}")
    return int(compiled != 13.0)


if __name__ == "__main__":
    sys.exit(main())
