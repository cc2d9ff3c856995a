"""Forward mode and double backward of BatchNorm cube 1 / std, be the cube in range or not."""

import sys

import torch
import torch.nn.functional as F


def main() -> int:
    """Normalise -S and S for ever larger S: how they move does not depend on S."""
    wrong = False
    for exponent in (0, 52, -46):
        scale = 2.0**exponent
        input = torch.tensor([[-scale], [scale]])
        direction = torch.tensor([[scale], [0.0]])

        def output(x: torch.Tensor, scale: float = scale) -> torch.Tensor:
            return F.batch_norm(x, None, None, training=True, eps=3 * scale**2)

        moved = torch.func.jvp(output, (input,), (direction,))[1]
        input.requires_grad_()
        (grad,) = torch.autograd.grad(output(input)[1, 0], input, create_graph=True)
        (second,) = torch.autograd.grad(grad[0, 0], input)
        got = moved[0, 0].item(), second[0, 0].item() * scale**2
        print(f"S = 2^{exponent}: expected {(3 / 16, -9 / 128)}, got {got}")
        wrong |= got != (3 / 16, -9 / 128)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
