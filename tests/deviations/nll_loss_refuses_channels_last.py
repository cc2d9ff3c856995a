"""nll_loss, backward: scores of four dimensions with their classes innermost are refused."""

import sys

import torch
import torch.nn.functional as F


def main() -> int:
    """Take the loss of one row of two classes, at one position, in either layout."""
    wrong = False
    for layout in (torch.contiguous_format, torch.channels_last):
        scores = torch.zeros(2, 2, 2, 2).contiguous(memory_format=layout).requires_grad_()
        loss = F.nll_loss(scores, torch.zeros(2, 2, 2, dtype=torch.int64), reduction="sum")
        try:
            (grad,) = torch.autograd.grad(loss, scores)
            got = f"{grad[:, 0].sum():g}"
        except RuntimeError as error:
            got = str(error)
        print(f"{layout}: expected -8, got {got}")
        wrong |= got != "-8"
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
