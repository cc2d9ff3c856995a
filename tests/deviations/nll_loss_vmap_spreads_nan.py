"""nll_loss under torch.func.vmap multiplies its zeros, too: NaN where no gradient belongs."""

import sys

import torch
import torch.nn.functional as F


def main() -> int:
    """Average with weights of zero: a gradient of 0 / 0 for the label, and 0 beside it."""
    weight, label = torch.zeros(2), torch.tensor([0])

    def gradient(scores: torch.Tensor) -> torch.Tensor:
        return torch.func.grad(lambda x: F.nll_loss(x, label, weight))(scores)

    scores = torch.zeros(1, 1, 2)
    alone, batched = gradient(scores[0]), torch.func.vmap(gradient)(scores)[0]
    print(f"expected [nan, 0]; alone {alone[0].tolist()}, under vmap {batched[0].tolist()}")
    return int(batched[0, 1] != 0)


if __name__ == "__main__":
    sys.exit(main())
